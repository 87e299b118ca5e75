"""What every registered endpoint promises."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.core.streams import Role
from cmvsim.data import Study
from cmvsim.endpoints import ENDPOINTS, AnalysisSpec, endpoint
from cmvsim.endpoints.base import by_term, derivation, plan_of
from cmvsim.endpoints.derived import TimeToEvent
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import History, Process
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import ALL, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

N = 60
SIZES = (1, 25, 60)
CHANGES = (
    {},
    {"definition": "detected"},
    {"definition": {"at_least": 1000}},
    {"definition": "clinically_significant"},
    {"prevalent": "count"},
    {"relapse": "competing"},
    {"hct": "censor"},
    {"window": 30},
)
COHORTS = {"usual": 0.6, "nobody reactivates": 1e-12, "everybody does": 1000.0}


def _baseline(amplitude: float) -> Baseline:
    """Given hazards; severe infections act on death."""
    return Baseline(amplitude, 13.0, (2.8e-4,) * 3, (4e-3,) * 3, (0.0036, 0.0011), (0.0003, 0.00018))


@cache
def _cohort(amplitude: float) -> tuple[History, Study, AnalysisSpec]:
    spec = resolve("cmv-cart").spec
    model = Model.of(spec, _baseline(amplitude), convert(spec.quality_of_life))
    h = simulate(model, ChunkDraws(2, Role.STUDY, 0, N), needs=ALL, path=True)
    return h, record(h), spec.analysis


def _plans(plan: AnalysisSpec) -> list[AnalysisSpec]:
    return [AnalysisSpec.model_validate({**plan.human(), **change}) for change in CHANGES]


def test_the_registry_is_not_empty() -> None:
    assert len(ENDPOINTS) >= 3
    assert {"cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma"} <= set(ENDPOINTS)
    with pytest.raises(InputError, match="did you mean 'cmv_lymphoma'"):
        endpoint("cmv_lymfoma")


@pytest.mark.parametrize("name", ENDPOINTS)
def test_says_what_it_is(name: str) -> None:
    entry = endpoint(name)
    assert entry.id == name
    assert entry.label
    assert entry.objective
    for part in (
        entry.estimand.population,
        entry.estimand.variable,
        entry.estimand.intercurrent_events,
        entry.estimand.summary,
    ):
        assert len(part) > 5
    assert entry.needs <= frozenset(Process)
    ids = [choice.id for choice in entry.estimators]
    assert ids
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("cohort", COHORTS)
@pytest.mark.parametrize("name", ENDPOINTS)
def test_derives_times_in_the_window_and_accounts_for_everybody(name: str, cohort: str) -> None:
    h, study, plan = _cohort(COHORTS[cohort])
    for spec in _plans(plan):
        derived = endpoint(name).derive(study, spec)
        inside = derived.entered
        assert inside.shape == (h.replicates, h.patients)
        assert np.array_equal(sum(derived.endings.values()), inside.sum(axis=1)), "everybody's follow-up ends somehow"
        if isinstance(derived, TimeToEvent):
            assert set(np.unique(derived.cause)) <= {-1, 0, 1, 2, 3, 4}
            times = derived.time[inside]
            assert np.array_equal(times, np.floor(times))
            assert np.all((times >= 0) & (times <= spec.window))
        out = np.zeros(inside.shape, dtype=int)
        for who in derived.excluded.values():
            assert who.shape == inside.shape
            out += who
        assert np.array_equal(out, (~inside).astype(int)), "nobody is dropped silently, nor twice"
        if spec.prevalent == "exclude" and isinstance(derived, TimeToEvent):
            assert not np.any((derived.cause == 1) & (derived.time == 0))


@pytest.mark.parametrize("cohort", COHORTS)
@pytest.mark.parametrize("name", ENDPOINTS)
def test_latent_is_one_zero_or_outside(name: str, cohort: str) -> None:
    h, _, plan = _cohort(COHORTS[cohort])
    for spec in _plans(plan):
        values = endpoint(name).latent(h, spec)
        if values is None:
            continue
        assert values.shape == (h.replicates, h.patients)
        assert set(np.unique(values[~np.isnan(values)])) <= {0.0, 1.0}
        assert (~np.isnan(values)).any()
    if not name.startswith(("cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma")):
        return
    loosest, tightest = ({"definition": {"at_least": level}} for level in (40, 4000))
    low, high = (
        endpoint(name).latent(h, AnalysisSpec.model_validate({**plan.human(), **change, "prevalent": "count"}))
        for change in (loosest, tightest)
    )
    both = ~np.isnan(low) & ~np.isnan(high)
    assert np.all(low[both] >= high[both])


@pytest.mark.parametrize("name", ["cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma"])
def test_latent_needs_the_path(name: str) -> None:
    spec = resolve("cmv-cart").spec
    model = Model.of(spec, _baseline(0.6))
    with pytest.raises(ValueError, match="path"):
        endpoint(name).latent(simulate(model, ChunkDraws(2, Role.STUDY, 0, 3)), spec.analysis)


@pytest.mark.parametrize("cohort", COHORTS)
@pytest.mark.parametrize("name", ENDPOINTS)
def test_estimators_return_statuses_and_never_a_silent_number(name: str, cohort: str) -> None:
    """Nested sizes, nobody in the study included; where the status says there is an estimate it lies in its interval."""
    _, study, plan = _cohort(COHORTS[cohort])
    seen = set()
    for choice in endpoint(name).estimators:
        if not choice.batched:
            continue
        spec = plan_of(choice, plan)
        derived = derivation(endpoint(name), choice, study, spec)
        results = by_term(choice.estimate(derived, spec, SIZES))
        assert tuple(results) == choice.terms(spec), choice.id
        for got in results.values():
            shape = (64, len(SIZES))
            arrays = (got.estimate, got.se, got.ci_low, got.ci_high, got.n, got.events, got.status)
            assert all(array.shape == shape for array in arrays), choice.id
            assert set(np.unique(got.status)) <= {int(status) for status in Status}
            seen |= {Status(int(code)) for code in np.unique(got.status)}
            usable = np.isin(got.status, [status for status in Status if status.usable])
            inside = np.stack([derived.entered[:, :n].sum(axis=1) for n in SIZES], axis=1)
            assert np.all(got.n <= inside), choice.id
            value, low, high = got.estimate[usable], got.ci_low[usable], got.ci_high[usable]
            known = ~np.isnan(low)
            assert np.all((low <= value + 1e-12)[known] & (value <= high + 1e-12)[known]), choice.id
            if choice.scale == "probability":
                assert np.array_equal(got.n, inside), choice.id
                assert np.all((low >= 0) & (high <= 1)), choice.id
            assert np.isnan(got.estimate[~usable]).all(), choice.id
    if name.startswith(("cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma")):
        expected = {"usual": Status.OK, "nobody reactivates": Status.NO_EVENTS, "everybody does": Status.OK}[cohort]
        assert expected in seen


def test_diseases_partition_the_patients_and_the_events() -> None:
    _, study, plan = _cohort(0.6)
    whole, *parts = (endpoint(name).derive(study, plan) for name in ("cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma"))
    for code in range(5):
        assert np.array_equal(whole.cause == code, sum(part.cause == code for part in parts).astype(bool)), code
    assert np.array_equal(whole.cause >= 0, (parts[0].cause >= 0) ^ (parts[1].cause >= 0))
    assert min((part.cause == 1).sum() for part in parts) > 20
