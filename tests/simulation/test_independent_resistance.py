"""Resistance against a plain twin and closed forms; sequencing rule by rule and in a simulated cohort."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from scipy import special
from simulation_build import binomial_se, model

from cmvsim.core.errors import InputError
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.streams import Role, day_index
from cmvsim.models.baseline import Baseline
from cmvsim.models.resistance import CLASSES, GENES, ResistanceSpec
from cmvsim.models.windows import Windows
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.resistance import Resistance, Sequencing, resistance, sequence, under_ganciclovir

PATIENTS = 1000
P = PATIENTS * 64
HORIZON = 104.0
KNOWN, POLYMORPHISM, UNKNOWN = range(3)
UL54, UL97, UL56 = range(3)

STRESS = (
    "resistance.aciclovir={ change = 0.3, ul54 = 0.1 }",
    "resistance.ganciclovir={ change = 0.5, exposure = 10 }",
    "resistance.letermovir=0.4",
)


def _spec(*overrides: str) -> ResistanceSpec:
    return resolve("cmv-cart", overrides).spec.resistance


@cache
def _draws() -> ChunkDraws:
    return ChunkDraws(1, Role.STUDY, 0, PATIENTS)


@cache
def _course() -> tuple[FloatArray, FloatArray, Windows, Windows, BoolArray]:
    """Three episodes, four courses and a stay on letermovir per patient, with gaps, overlaps and absences of all kinds."""
    rng = np.random.default_rng(3)
    bounds = np.cumsum(rng.exponential(12, (6, P)), axis=0) - 10
    onset, clear = bounds[::2].copy(), bounds[1::2].copy()
    onset[2, rng.random(P) < 0.3] = np.nan
    onset[1, np.isnan(onset[2]) & (rng.random(P) < 0.5)] = np.inf
    clear[2, rng.random(P) < 0.3] = np.inf
    clear[2, rng.random(P) < 0.2] = np.nan
    times = np.cumsum(rng.exponential(9, (8, P)), axis=0) - 5
    start, stop = times[::2].copy(), times[1::2].copy()
    gone = rng.random((4, P)) < 0.3
    start[gone], stop[gone] = np.nan, np.nan
    stop[3, rng.random(P) < 0.3] = np.inf
    begin = np.where(rng.random(P) < 0.7, rng.uniform(-5, 30, P), np.inf)
    return onset, clear, Windows(start, stop), Windows(begin, begin + 40), rng.random(P) < 0.8


def _stressed() -> Resistance:
    onset, clear, ganciclovir, letermovir, aciclovir = _course()
    return resistance(_spec(*STRESS), _draws(), aciclovir, onset, clear, ganciclovir, letermovir, HORIZON)


def _twin(i: int, k: int) -> dict[int, float]:
    """Known changes of one episode, by walking through the courses."""
    onset, clear, ganciclovir, letermovir, aciclovir = (a for a in _course())
    found: dict[int, float] = {}
    begins, ends = onset[k, i], clear[k, i]
    if not begins <= HORIZON:
        return found
    ends = HORIZON if math.isnan(ends) else min(ends, HORIZON)
    if aciclovir[i] and _draws()("resistance.aciclovir", k)[i] < 0.3:
        found[UL54 if _draws()("resistance.gene", k)[i] < 0.1 / 0.3 else UL97] = begins
    left = _draws()("resistance.ganciclovir", k)[i] * 10 / math.log(2)
    for start, stop in zip(ganciclovir.start[:, i], ganciclovir.stop[:, i], strict=True):
        if math.isnan(start) or stop <= begins or start >= ends:
            continue
        first, last = max(start, begins), min(stop, ends)
        if left <= last - first:
            gene = UL54 if UL97 in found else UL97
            found[gene] = min(found.get(gene, math.inf), first + left)
            break
        left -= last - first
    if letermovir.start[i] <= begins < letermovir.stop[i] and _draws()("resistance.letermovir", k)[i] < 0.4:
        found[UL56] = begins
    return found


def test_independent_twin_of_the_known_changes() -> None:
    result = _stressed()
    met = dict.fromkeys(range(3), 0)
    both = 0
    for i in range(0, P, P // 4000):
        for k in range(3):
            twin = _twin(i, k)
            for gene in range(3):
                assert result.known[gene, k, i] == pytest.approx(twin.get(gene, math.inf), abs=1e-9), (i, k, gene)
                met[gene] += gene in twin
            both += UL54 in twin and UL97 in twin
    assert min(met.values()) > 100
    assert both > 30, "each branch is reached"


# -- laws --------------------------------------------------------------------------------------------------------------
def test_closed_form_resistance_after_so_many_days_of_ganciclovir() -> None:
    """4% after 21 days of exposure, 1 - 0.96^(d / 21) after d, whether the days come in one course or in three."""
    spec = _spec("resistance.aciclovir={ change = 0, ul54 = 0 }", "resistance.ganciclovir.change=0.2")
    none = np.zeros(P, dtype=bool)
    onset, clear = np.full((1, P), 3.0), np.full((1, P), np.inf)
    for pieces in (((10, 31),), ((0, 10), (20, 27), (60, 67))):  # 7 of the first ten are within the episode
        courses = Windows(*(np.repeat([[float(x)] for x in side], P, axis=1) for side in zip(*pieces, strict=True)))
        times = resistance(spec, _draws(), none, onset, clear, courses, None, HORIZON).known
        assert abs(np.isfinite(times[UL97]).mean() - 0.2) < 4.5 * binomial_se(0.2, P)
        assert not np.isfinite(times[[UL54, UL56]]).any()
        start, stop = pieces[0][0], pieces[0][1]
        days = stop - max(start, 3)
        expected = 1 - 0.8 ** (days / 21)
        assert abs((times[UL97] <= stop).mean() - expected) < 4.5 * binomial_se(expected, P)
        if len(pieces) > 1:
            finite = times[UL97][np.isfinite(times[UL97])]
            assert all(any(max(a, 3) <= t <= b for a, b in pieces) for t in finite[:2000]), "only while exposed"


def test_closed_form_aciclovir_and_letermovir() -> None:
    spec = _spec()
    onset = np.full((1, P), 12.0)
    onset[:, ::2] = 50.0
    never = Windows(np.full((1, P), np.inf), np.full((1, P), np.inf))
    taken = Windows(np.full(P, 12.0), np.full(P, 50.0))
    treated = np.arange(P) % 4 < 2
    found = resistance(
        _spec("resistance.aciclovir={ change = 0.1, ul54 = 0.03 }", "resistance.letermovir=0.2"),
        _draws(),
        treated,
        onset,
        onset + 9,
        never,
        taken,
        HORIZON,
    ).known
    for gene, share in ((UL54, 0.03), (UL97, 0.07)):
        with_it = found[gene, 0] == onset[0]
        assert abs(with_it[treated].mean() - share) < 4.5 * binomial_se(share, treated.sum())
        assert not with_it[~treated].any()
    on_drug = found[UL56, 0] == 12.0
    assert abs(on_drug[1::2].mean() - 0.2) < 4.5 * binomial_se(0.2, P // 2)
    assert not np.isfinite(found[UL56, 0, ::2]).any(), "an onset at the stop is not on the drug"
    rare = resistance(spec, _draws(), np.ones(P, dtype=bool), onset, onset + 9, never, None, HORIZON).known
    assert abs(np.isfinite(rare).any(axis=0).mean() - 0.01) < 4.5 * binomial_se(0.01, P)
    assert not np.isfinite(rare[UL56]).any(), "no letermovir, no change in the terminase"


def test_polymorphisms_and_unknown_changes_belong_to_the_strain() -> None:
    found = _stressed()
    for array, shares in ((found.polymorphism, (0.5, 0.2, 0.3)), (found.unknown, (0.05, 0.05, 0.05))):
        for gene, share in enumerate(shares):
            assert abs(array[gene].mean() - share) < 4.5 * binomial_se(share, P)
    assert abs(np.corrcoef(found.polymorphism)[0, 1]) < 4.5 / math.sqrt(P)


def test_properties_changes_lie_within_their_episode() -> None:
    found = _stressed()
    arose = np.isfinite(found.known)
    onset, clear = (np.broadcast_to(a, found.known.shape) for a in (found.onset, found.clear))
    assert (found.known[arose] >= onset[arose]).all()
    assert not (found.known[arose] > clear[arose]).any()
    assert found.known[arose].max() <= HORIZON
    nothing = np.full((4, P), np.nan)
    spent = under_ganciclovir(np.zeros(P), found.onset[0], found.clear[0], Windows(nothing, nothing), HORIZON)
    assert np.isinf(spent).all(), "without a course nothing is spent"


# -- sequencing --------------------------------------------------------------------------------------------------------
def _plain(known: float = np.inf, onset: float = 5.0, clear: float = 60.0) -> Resistance:
    none = np.zeros((3, P), dtype=bool)
    changes = np.full((3, 1, P), np.inf)
    changes[UL97] = known
    return Resistance(np.full((1, P), onset), np.full((1, P), clear), changes, none, none)


def _samples(*rows: tuple[int, float]) -> tuple[tuple[int, ...], FloatArray, FloatArray]:
    days = tuple(day for day, _ in rows)
    times = np.repeat([[float(day)] for day in days], P, axis=1)
    return days, times, np.repeat([[load] for _, load in rows], P, axis=1)


EVERY = "resistance.sequencing.per_episode=9"


@pytest.mark.parametrize("log10", [2.7, 3.0, 3.4, 4.5])
def test_closed_form_success_of_sequencing(log10: float) -> None:
    """expit(4 (log10 load - 3)): half at 1,000 IU/mL; the uniform is the sample's own."""
    load = 10**log10
    result = sequence(_spec(EVERY), _draws(), *_samples((14, load), (21, load)), _plain())
    expected = float(special.expit(4 * (log10 - 3)))
    assert result.sent.all()
    assert abs(result.sequenced[0].mean() - expected) < 4.5 * binomial_se(expected, P)
    keyed = _draws()("resistance.sequencing", day_index(21)) < special.expit(4 * (np.log10(load) - 3))
    assert np.array_equal(result.sequenced[1], keyed)


def test_what_is_sent_and_what_is_seen() -> None:
    """The sending level; absent and unquantified samples; a change is seen from when it arose, and in its episode only."""
    spec = _spec(EVERY, "resistance.sequencing.half_load=-9")  # whatever is sent succeeds
    days, times, load = _samples((7, 399.0), (14, 400.0), (21, 5000.0), (28, np.nan), (60, 5000.0))
    times[2, :100] = np.nan
    load[2, :100] = np.nan
    result = sequence(spec, _draws(), days, times, load, _plain(known=21.0))
    assert result.sent.all(axis=1).tolist() == [False, True, False, False, False]
    assert result.sent[2, 100:].all()
    assert not result.sent[[0, 3, 4]].any(), "cleared at day 60: a sample at that time is none of the episode"
    assert np.array_equal(result.sent, result.sequenced)
    seen = result.seen[KNOWN, UL97]
    assert not seen[1].any()
    assert seen[2, 100:].all()
    assert not result.seen[KNOWN, [UL54, UL56]].any()
    assert not result.seen[POLYMORPHISM].any()
    assert result.seen.shape == (len(CLASSES), len(GENES), 5, P)


def test_only_the_first_samples_of_an_episode_are_sent() -> None:
    """By time, not by row; each episode has its own."""
    onset = np.array([[0.0], [40.0]]).repeat(P, axis=1)
    found = Resistance(onset, onset + 30, np.full((3, 2, P), np.inf), *(np.ones((3, P), dtype=bool),) * 2)
    samples = _samples((20, 900.0), (8, 900.0), (14, 100.0), (55, 900.0), (62, 900.0))
    one = sequence(_spec(), _draws(), *samples, found)
    assert one.sent.all(axis=1).tolist() == [False, True, False, True, False]
    assert not one.sent[[0, 2, 4]].any()
    two = sequence(_spec("resistance.sequencing.per_episode=2"), _draws(), *samples, found)
    assert two.sent.all(axis=1).tolist() == [True, True, False, True, True]
    assert np.array_equal(two.sequenced[[1, 3]], one.sequenced[[1, 3]])
    for change in (POLYMORPHISM, UNKNOWN):
        assert np.array_equal(one.seen[change], np.broadcast_to(one.sequenced, (3, 5, P)))


def _by_row(a: FloatArray) -> FloatArray:
    """(R, N, V) as (V, P), patient-major."""
    return np.ascontiguousarray(a.transpose(2, 1, 0)).reshape(a.shape[2], -1)


def _cohort(scenario: str, *overrides: str) -> tuple[Sequencing, Resistance]:
    of = model(
        *overrides,
        scenario=scenario,
        baseline=Baseline(0.657, 12.83, (3e-4,) * 3, (6e-3,) * 3, (0.0036, 0.0011), (3e-4, 1.8e-4)),
    )
    draws = ChunkDraws(5, Role.STUDY, 0, 250)
    h = simulate(of, draws, path=True)
    assert h.episodes is not None
    assert h.samples is not None
    found = resistance(
        of.resistance,
        draws,
        np.ones(250 * 64, dtype=bool),
        _by_row(h.episodes.onset),
        _by_row(h.episodes.clear),
        Windows(_by_row(h.treatment.start), _by_row(h.treatment.stop)),
        None,
        of.horizon,
    )
    return sequence(of.resistance, draws, of.monitoring.days, _by_row(h.samples.time), _by_row(h.samples.load), found), found


@pytest.mark.parametrize(("scenario", "low", "high"), [("cmv-cart", 2, 10), ("cmv-cart-whole-blood", 30, 45)])
def test_genotypable_patients_of_the_registered_cohort(scenario: str, low: float, high: float) -> None:
    """Of 250: 2 to 10 in plasma; about 35 (20 to 50) in whole blood. Hardly anybody has resistance that is seen."""
    result, found = _cohort(scenario)
    per_study = result.sequenced.any(axis=0).reshape(250, 64).sum(axis=0)
    assert low < per_study.mean() < high
    seen = result.seen[KNOWN].any(axis=(0, 1)).reshape(250, 64).sum(axis=0)
    assert seen.mean() < 1
    assert np.isfinite(found.known).any(axis=(0, 1)).sum() > seen.sum()
    assert result.seen[POLYMORPHISM, UL54].sum() > 10 * result.seen[KNOWN].sum(), "polymorphisms are frequent"


def test_impossible_inputs_are_refused() -> None:
    for override, says in (
        ("resistance.aciclovir.ul54=0.02", "part of change"),
        ("resistance.ganciclovir.change=1", "no finite hazard"),
        ("resistance.sequencing.per_episode=0", "at least 1"),
        ("resistance.polymorphism={ UL57 = 0.1 }", "UL57"),
    ):
        with pytest.raises(InputError, match=says):
            resolve("cmv-cart", (override,))
