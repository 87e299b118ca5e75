"""Sections 5 to 9 for a chunk: traits by numpy, the time-ordered course by the kernels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.models.time_grid import on_grid
from cmvsim.simulation.background import Background
from cmvsim.simulation.cmv_traits import course_traits, disease_clock, kernel_parameters, may_be_seen, rate_bound
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.kernels import layout as at
from cmvsim.simulation.model import Model
from cmvsim.simulation.monitoring import PlannedSamples, assay_noise, matrix_offset, planned_samples, reported_offset
from cmvsim.simulation.onset import first_onset_times, onset_factors, onset_rates


@dataclass(frozen=True, slots=True)
class CmvOutcome:
    """What the CMV course leaves (P = patients x replicates, flat).

    Attributes
    ----------
    samples
        As taken, with the results.
    start, stop
        (C, P) treatments; as many as anybody had, at least one. NaN where there is none, stop NaN if it outlasts the horizon.
    spell_drug, spell_start, spell_stop
        (S, P) spells of one drug: code (0 where there is none), start, stop.
    disease, neutropenia, kidney_injury
        (P,) first CMV disease, neutropenia on (val)ganciclovir and kidney injury on foscarnet, +inf if none.
    neutropenia_stop
        (P,) its end.
    organ
        (P,) index of the organ, -1 without disease.
    growth, offset
        (P,) of the path: None unless it was asked for; growth is NaN for patients without an episode.
    episodes
        (K, P, 5) onset, peak, end of plateau, decay, clearance; None unless they were asked for.
    knots
        (J, P, 4) controlled course: time, log10, slope, episode; None unless the path was asked for.
    """

    samples: PlannedSamples
    start: FloatArray
    stop: FloatArray
    spell_drug: NDArray[np.int8]
    spell_start: FloatArray
    spell_stop: FloatArray
    disease: FloatArray
    neutropenia: FloatArray
    neutropenia_stop: FloatArray
    kidney_injury: FloatArray
    organ: NDArray[np.int8]
    growth: FloatArray | None
    offset: FloatArray | None
    episodes: FloatArray | None
    knots: FloatArray | None

    @property
    def first_treatment(self) -> FloatArray:
        """(P,) start of the first treatment, +inf if none."""
        first = self.start[0]
        return np.where(np.isnan(first), np.inf, first)

    @property
    def clinically_significant(self) -> FloatArray:
        """(P,) first treatment or disease, +inf if none."""
        return np.minimum(self.first_treatment, self.disease)


def simulate_cmv(
    model: Model,
    draws: ChunkDraws,
    background: Background,
    *,
    episodes: bool,
    path: bool,
    full_attendance: bool,
    cmv: bool = True,
    only_seen: bool = False,
) -> CmvOutcome:
    """Run onset, load, monitoring, treatment and disease for all patients of a chunk.

    Parameters
    ----------
    episodes
        Keep all episodes, also those that nobody sees.
    path
        Keep what the load does in them, too.
    full_attendance
        Every visit is made.
    cmv
        False: nobody's CMV replicates (the counterfactual); all else, and every draw, stays as it is.
    only_seen
        Keep the episodes of those alone who may be seen or diseased; all are kept otherwise.
    """
    episodes |= path
    samples = planned_samples(model, draws, background, full_attendance=full_attendance)
    if not cmv:
        return _scatter(model, draws, samples, _Rows.none(), None, episodes, path)
    factors = onset_factors(model, background)
    rate = onset_rates(model, background)
    log_bound = factors.log_bound(rate.size, model.horizon)
    onset = first_onset_times(model, draws, rate, factors, log_bound)
    ever = np.flatnonzero(onset < np.inf)
    of_matrix, noise = matrix_offset(model, draws), assay_noise(model, draws)
    offset = reported_offset(of_matrix, model, draws, background)
    bound = rate_bound(model, rate, log_bound)
    disease = disease_clock(model, draws, background, ever, bound)
    if only_seen or not episodes:
        # an episode after the last sample, or below detection, leaves no trace unless it brings disease
        seen = may_be_seen(model, draws, background, ever, bound, offset, noise) & (onset[ever] <= samples.last[ever])
        seen |= disease < np.inf
        ever, disease = ever[seen], disease[seen]
    parameters = kernel_parameters(model, factors)
    traits = course_traits(model, draws, background, ever, rate, bound, onset, offset, factors)
    traits[at.DISEASE_CLOCK] = disease
    rows = _run(model, samples, noise, parameters, factors.shared, ever, traits, episodes, path)
    return _scatter(model, draws, samples, rows, of_matrix, episodes, path)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What the kernel leaves of the patients `rows` (A,)."""

    rows: IntArray
    growth: FloatArray
    courses: FloatArray
    spells: FloatArray
    events: FloatArray
    episodes: FloatArray
    knots: FloatArray

    @classmethod
    def none(cls) -> _Rows:
        """Of nobody."""
        empty = np.empty((0, 0, 0))
        return cls(np.empty(0, np.int64), np.empty(0), np.empty((0, 1, 2)), np.empty((0, 0, 3)), np.empty((0, 3)), empty, empty)


def _run(
    model: Model,
    samples: PlannedSamples,
    noise: FloatArray,
    p: FloatArray,
    factors: FloatArray,
    ever: IntArray,
    traits: FloatArray,
    episodes: bool,
    path: bool,
) -> _Rows:
    from cmvsim.simulation.kernels.cmv_course import run_patients

    k, most, patients = int(float(model.cmv.onset.episodes)), int(p[at.COURSES]), ever.size
    courses, spells = np.full((patients, most, 2), np.nan), np.full((patients, int(p[at.SPELLS]), 3), np.nan)
    events = np.empty((patients, 3))
    used, latent = np.zeros(2, dtype=np.int64), np.full((patients, k if episodes else 0, 5), np.nan)
    knots = np.full((patients, 2 * int(p[at.SPELLS]) + k if path else 0, 4), np.nan)
    run_patients(
        ever,
        traits,
        p,
        factors,
        samples.clinical,
        samples.due,
        samples.time,
        noise,
        samples.code,
        samples.load,
        courses,
        spells,
        events,
        used,
        latent,
        knots,
    )
    return _Rows(ever, traits[at.GROWTH], courses[:, : max(used[0], 1)], spells[:, : used[1]], events, latent, knots)


def _scatter(
    model: Model,
    draws: ChunkDraws,
    samples: PlannedSamples,
    found: _Rows,
    offset: FloatArray | None,
    episodes: bool,
    path: bool,
) -> CmvOutcome:
    """From the patients with an episode to all patients, with no more courses and spells than anybody had."""
    size, rows = draws.patients * draws.replicates, found.rows

    def spread(values: FloatArray, fill: float) -> FloatArray:
        everybody = np.full((*values.shape[1:], size), fill)
        everybody[..., rows] = np.moveaxis(values, 0, -1)
        return everybody

    courses, spell = spread(found.courses, np.nan), spread(found.spells, np.nan)
    disease, neutropenia, kidney = spread(found.events, np.inf)
    lasts = model.treatment.toxicity.neutropenia.duration
    neutropenic = np.flatnonzero(neutropenia < np.inf)
    neutropenia_stop = np.full(size, np.inf)
    if neutropenic.size:
        length = on_grid(lasts.of_normal(draws("treatment.neutropenia_duration")[neutropenic]))
        neutropenia_stop[neutropenic] = neutropenia[neutropenic] + length
    growth = None
    if path:
        growth = np.full(size, np.nan)
        growth[rows] = found.growth
    k = int(float(model.cmv.onset.episodes))
    return CmvOutcome(
        samples,
        courses[:, 0],
        courses[:, 1],
        np.nan_to_num(spell[:, 0]).astype(np.int8),
        spell[:, 1],
        spell[:, 2],
        disease,
        neutropenia,
        neutropenia_stop,
        kidney,
        _organs(model, draws, disease),
        growth,
        (offset if offset is not None else np.zeros(size)) if path else None,
        _by_episode(found.episodes, rows, size, k) if episodes else None,
        _by_episode(found.knots[:, : _used(found.knots)], rows, size, 0) if path else None,
    )


def _used(knots: FloatArray) -> int:
    return int(np.isfinite(knots[..., 0]).sum(axis=1).max(initial=0)) if knots.size else 0


def _by_episode(values: FloatArray, rows: IntArray, size: int, least: int) -> FloatArray:
    """(A, K, C) of some patients to (K, P, C) of all, NaN elsewhere."""
    columns = 5 if least else 4
    everybody = np.full((max(values.shape[1], least), size, columns), np.nan)
    if rows.size:
        everybody[:, rows] = np.swapaxes(values, 0, 1)
    return everybody


def _organs(model: Model, draws: ChunkDraws, disease: FloatArray) -> NDArray[np.int8]:
    """(P,) the organ of CMV disease, -1 without."""
    organ = np.full(disease.shape, -1, dtype=np.int8)
    ill = np.flatnonzero(disease < np.inf)
    if ill.size:
        cuts = np.cumsum([float(share) for share in model.cmv.disease.organs.values()])[:-1]
        organ[ill] = np.searchsorted(cuts, draws("cmv.disease_organ")[ill], side="right")
    return organ
