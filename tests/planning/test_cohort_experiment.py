"""The experiment of a cohort study: nested sizes, failures kept, sensitivity analyses, workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planning_setup import NO_LOSS, PRIMARY, experiment, solved, values

from cmvsim.core.records import Estimates, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.endpoints import AnalysisSpec, EstimatorChoice, TimeToEvent, endpoint, reactivation
from cmvsim.endpoints.base import by_term, derivation
from cmvsim.endpoints.derived import EVENT
from cmvsim.endpoints.incidence import aalen_johansen_at_window
from cmvsim.montecarlo.experiment import FIELDS
from cmvsim.montecarlo.run import compute_chunk, open_store, run
from cmvsim.planning import experiment as module

SIZES = tuple(range(60, 201, 20))
STATUS = FIELDS.index("status")


@pytest.mark.parametrize("sensitivity", [False, True])
def test_a_nested_size_has_the_bytes_of_a_study_of_that_size_alone(sensitivity: bool) -> None:
    together = experiment(SIZES, sensitivity=sensitivity).chunk(2)
    alone = experiment((60,), sensitivity=sensitivity).chunk(2)
    assert together.values[:, :1].tobytes() == alone.values.tobytes()
    assert together.extras[:, :1].tobytes() == alone.extras.tobytes()
    largest = experiment((200,), sensitivity=sensitivity).chunk(2)
    assert together.values[:, -1:].tobytes() == largest.values.tobytes()
    assert alone.values.tobytes() != largest.values.tobytes()


def test_a_replicate_is_the_same_study_whatever_the_largest_size() -> None:
    small, large = experiment((40,)).study(1), experiment((40, 130)).study(1)
    for name in ("day", "result", "load"):
        np.testing.assert_array_equal(getattr(small.samples, name), getattr(large.samples, name)[:, :40])
    for name in ("end", "reason", "death"):
        np.testing.assert_array_equal(getattr(small.disposition, name), getattr(large.disposition, name)[:, :40])
    np.testing.assert_array_equal(small.subjects.stratum, large.subjects.stratum[:, :40])


def test_seeds_roles_attempts_and_chunks_are_other_studies() -> None:
    base = experiment((60,))
    others = [replace(base, seed=4), replace(base, role=Role.CONFIRMATION), replace(base, role=Role.CONFIRMATION, attempt=1)]
    seen = {chunk.values.tobytes() for chunk in (base.chunk(0), base.chunk(1), *(other.chunk(0) for other in others))}
    assert len(seen) == 5
    assert len({base.request.digest, *(other.request.digest for other in others)}) == 4
    assert replace(base, sizes=(61,)).request.digest != base.request.digest


def test_samples_are_those_of_the_first_patients() -> None:
    made = experiment((30, 50))
    taken = made.study(0).samples.result > 0
    for position, n in enumerate(made.sizes):
        np.testing.assert_array_equal(made.chunk(0).extras[:, position, 0], taken[:, :n].sum(axis=(1, 2)))


def test_every_sensitivity_estimator_answers() -> None:
    endpoints = ("cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma")
    made = experiment((120, 250), endpoints=endpoints, sensitivity=True)
    chunk = made.chunk(0)
    assert not chunk.failures
    assert [(key.endpoint, key.estimator, key.term) for key in made.rows] == [
        (name, choice.id, term)
        for name in endpoints
        for choice in endpoint(name).estimators
        if choice.batched
        for term in choice.terms(made.plan)
    ]
    assert list(made.plans) == list(made.rows)
    usable = np.isin(chunk.values[..., STATUS], [s for s in Status if s.usable])
    assert usable.all()
    estimate, low, high = (chunk.values[..., FIELDS.index(name)] for name in ("estimate", "ci_low", "ci_high"))
    tests = [row for row, key in enumerate(made.rows) if key.estimator == "gray_test"]
    assert len(tests) == 2
    assert np.isnan(low[:, :, tests]).all(), "a p-value has no interval"
    others = [row for row in range(len(made.rows)) if row not in tests]
    assert np.all((low <= estimate)[:, :, others] & (estimate <= high)[:, :, others])
    by_id = {key.estimator: chunk.values[:, :, row, 0] for row, key in enumerate(made.rows) if key.endpoint == PRIMARY}
    # 1 - KM never lies below the cumulative incidence, and the crude proportion never above it.
    assert np.all(by_id["one_minus_km"] >= by_id["aalen_johansen"] - 1e-12)
    assert np.all(by_id["crude_wilson"] <= by_id["aalen_johansen"] + 1e-12)
    assert not np.array_equal(by_id["relapse_competing"], by_id["aalen_johansen"])


def test_each_row_is_what_its_estimator_says_of_the_derived_study() -> None:
    """Each analysis derived and estimated afresh: nothing leaks from one estimator's plan to the next."""
    made = experiment((80,), endpoints=("cmv_lymphoma",), sensitivity=True)
    study, chunk = made.study(0), made.chunk(0)
    row = 0
    for name, choice in made.choices:
        plan = made.plan.model_copy(update=dict(choice.plan))
        for expected in by_term(choice.estimate(derivation(endpoint(name), choice, study, plan), plan, (80,))).values():
            for column, field in enumerate(FIELDS):
                np.testing.assert_array_equal(chunk.values[:, 0, row, column], getattr(expected, field)[:, 0])
            row += 1
    assert row == len(made.rows)


def test_a_changed_definition_of_a_sensitivity_analysis_is_derived_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Estimators may change any key of the plan, not only the handling of relapse."""
    first = reactivation.ESTIMATORS[0]
    other = EstimatorChoice("any", "Any DNAemia", first.estimate, plan={"prevalent": "count"})
    monkeypatch.setattr(reactivation, "ESTIMATORS", (first, other))
    made = experiment((100,), sensitivity=True)
    plan = made.plan.model_copy(update={"prevalent": "count"})
    expected = first.estimate(endpoint(PRIMARY).derive(made.study(0), plan), plan, (100,))
    np.testing.assert_array_equal(made.chunk(0).values[:, 0, 1, 0], expected.estimate[:, 0])


class Fussy:
    """Raises for replicates with many events among the first 60; counts how often it was asked."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.calls = 0

    def __call__(self, derived: TimeToEvent, plan: AnalysisSpec, sizes: tuple[int, ...]) -> Estimates:
        self.calls += 1
        if ((derived.cause[:, :60] == EVENT).sum(axis=1) >= self.limit).any():
            raise ArithmeticError("too many events")
        return aalen_johansen_at_window(derived, plan, sizes)


def test_a_replicate_that_raises_is_kept_and_never_drawn_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = experiment((60, 90))
    honest = made.chunk(1)
    events = honest.values[:, 0, 0, FIELDS.index("events")]
    limit = int(np.quantile(events, 0.9))
    bad = events >= limit
    assert 0 < bad.sum() < CHUNK_REPLICATES / 2
    fussy = Fussy(limit)
    monkeypatch.setattr(
        reactivation, "ESTIMATORS", (replace(reactivation.ESTIMATORS[0], estimate=fussy), reactivation.ESTIMATORS[1])
    )
    asked = experiment((60, 90), sensitivity=True)
    chunk = asked.chunk(1)
    assert fussy.calls == 1 + CHUNK_REPLICATES
    # only those, all their sizes, and nothing put in their place
    assert (chunk.values[bad][:, :, 0, STATUS] == Status.RAISED).all()
    assert np.isnan(chunk.values[bad][:, :, 0, :STATUS]).all()
    np.testing.assert_array_equal(chunk.values[~bad][:, :, 0], honest.values[~bad][:, :, 0])
    assert (chunk.values[:, :, 1, STATUS] == Status.OK).all()  # the other estimator has no part in it
    assert [failure.replicate for failure in chunk.failures] == [CHUNK_REPLICATES + int(r) for r in np.flatnonzero(bad)]
    assert {failure.seed for failure in chunk.failures} == {3}
    assert {failure.message for failure in chunk.failures} == {"ArithmeticError: too many events"}
    assert all("Fussy" in f.traceback or "too many events" in f.traceback for f in chunk.failures)
    # and the runner writes them down
    result = run(asked, replicates=2 * CHUNK_REPLICATES, store=open_store(tmp_path / "s", asked), jobs=1)
    kept = [f.replicate for f in result.failures()]
    assert [k for k in kept if k >= CHUNK_REPLICATES] == [CHUNK_REPLICATES + int(r) for r in np.flatnonzero(bad)]


def test_an_engine_that_breaks_fails_its_chunk_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no such patient")

    monkeypatch.setattr(module, "simulate", broken)
    index, chunk = compute_chunk(experiment((60,)), 3)
    assert index == 3
    assert (chunk.values[..., STATUS] == Status.RAISED).all()
    assert [f.replicate for f in chunk.failures] == list(range(3 * CHUNK_REPLICATES, 4 * CHUNK_REPLICATES))


def test_one_and_two_workers_write_the_same_bytes(tmp_path: Path) -> None:
    made = experiment((60, 100), sensitivity=True)
    for jobs in (1, 2):
        run(made, replicates=150, store=open_store(tmp_path / str(jobs), made), jobs=jobs)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / str(jobs)).iterdir()} for jobs in (1, 2))
    assert one == two
    assert len(one) == 3


def test_the_expected_half_width_of_the_registered_study() -> None:
    """0.0595 as scheduled; 0.057 when nobody is lost to monitoring and no visit is missed (1.96 sqrt(0.295 0.705 / 247))."""
    widths = {}
    for name, overrides in (("scheduled", ()), ("complete", NO_LOSS)):
        v = values(experiment((250,), overrides=overrides), 16)
        half = (v[:, 0, 0, FIELDS.index("ci_high")] - v[:, 0, 0, FIELDS.index("ci_low")]) / 2
        widths[name] = half.mean(), half.std(ddof=1) / np.sqrt(half.size)
    # the small calibration cohort moves the incidence by 0.004 (1 SE), the width by 0.0002
    assert abs(widths["scheduled"][0] - 0.0595) <= 4 * widths["scheduled"][1] + 3 * 0.0002
    assert abs(widths["complete"][0] - 0.057) <= 0.002
    gap = widths["scheduled"][0] - widths["complete"][0]
    assert gap > 4 * np.hypot(widths["scheduled"][1], widths["complete"][1])


def test_switching_losses_off_leaves_the_disease_alone() -> None:
    assert solved(*NO_LOSS)[1].baseline == solved()[1].baseline
