"""Infections after CMV adjusted for measured causes: what an analyst would fit beside the endpoint's own model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cmvsim.core.records import Estimates, FloatArray
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints import AnalysisSpec
from cmvsim.endpoints.cmv_infections import INFECTIONS, infections_after_cmv
from cmvsim.endpoints.covariates import Spells, baseline_values, covariates, spells
from cmvsim.estimators.cox import cox

BASELINE = ("age", "leukaemia", "prior_allogeneic_hct")
CHANGING = ("corticosteroids_current", "tocilizumab", "severe_crs", "severe_icans", "neutropenia")
READS = frozenset({Topic.BASELINE, Topic.TOXICITY, Topic.INFECTIONS})


ID = "time_dependent_cox, adjusted"


def adjusted_cox(study: Study, plan: AnalysisSpec, sizes: Sequence[int]) -> dict[str, list[Estimates]]:
    """Cause-specific Cox regression of each kind of infection on CMV status and the causes that a study measures.

    The rows of a patient end where CMV status or a cause changes; robust standard errors. One result for each sample size.
    """
    derived = infections_after_cmv(study, plan)
    changing = [spells(entry, study) for entry in covariates(CHANGING)]
    fixed = [baseline_values(entry, study) for entry in covariates(BASELINE)]
    known = ~np.isnan(np.stack(fixed)).any(axis=0) & derived.inside
    found = {}
    for place, outcome in enumerate(INFECTIONS):
        stop = np.minimum(derived.outcome[..., place], derived.exit)[..., None]
        happened = derived.outcome[..., place] <= derived.exit
        begin, end = _rows(derived.exposed, changing, stop)
        exists = known[..., None] & (begin < end)
        cause = np.where(exists, np.where((end == stop) & happened[..., None], 1, 0), -1)
        values = [derived.exposed <= begin, *(_during(spell, begin) for spell in changing)]
        values += [np.broadcast_to(column[..., None], begin.shape) for column in fixed]
        table = np.stack([np.where(exists, value, 0.0) for value in values], axis=-1).astype(np.float64)
        replicates, patients, rows = begin.shape
        flat = (replicates, patients * rows)
        patient = np.broadcast_to(np.repeat(np.arange(patients), rows), flat)
        entry, time = (np.where(exists, column, 0.0).reshape(flat) for column in (begin, end))
        columns = (time, cause.reshape(flat), table.reshape(*flat, -1), entry, patient)
        found[outcome] = [_cox(columns, n * rows, plan.level) for n in sizes]
    return found


def _cox(columns: tuple[FloatArray, ...], last: int, level: float) -> Estimates:
    time, cause, table, entry, patient = (column[:, :last] for column in columns)
    return cox(time, cause, table, entry=entry, cluster=patient, level=level).term(0, exponentiate=True)


def _rows(exposed: FloatArray, changing: list[Spells], stop: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Beginnings and ends of rows; a change after the end of follow-up makes an empty row."""
    cuts = [np.zeros(stop.shape), stop, exposed]
    for spell in changing:
        cuts += [spell.start] if np.isposinf(spell.stop).all() else [spell.start, spell.stop + 1]
    bounds = np.sort(np.concatenate([np.where(np.isnan(cut), np.inf, cut).clip(0.0, stop) for cut in cuts], axis=-1), axis=-1)
    return bounds[..., :-1], bounds[..., 1:]


def _during(spell: Spells, begin: FloatArray) -> FloatArray:
    inside = np.zeros(begin.shape, dtype=bool)
    for k in range(spell.start.shape[-1]):
        inside |= (spell.start[..., k, None] <= begin) & (begin <= spell.stop[..., k, None])
    return inside.astype(np.float64)
