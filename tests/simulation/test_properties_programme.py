"""A programme: the same patients as one by one where nothing is short, and what a shortage does where it is."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from cmvsim.core.errors import InputError
from cmvsim.core.streams import Role
from cmvsim.models.capacity import CapacitySpec
from cmvsim.scenarios import resolve
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.pathway.engine import simulate_pathway
from cmvsim.simulation.programme import MONTH, Programme, by_month, run_programme
from tests.simulation.pathway_build import catalogue_model
from tests.simulation.pathway_stress import stress_set

WORKING = ["monday", "tuesday", "wednesday", "thursday", "friday"]
LABORATORY: dict[str, Any] = {
    "opening_days": WORKING,
    "sampled_at": "08:00",
    "transport": 24,
    "runs_at": ["14:00"],
    "run": 5,
    "batch": 20,
    "analysers": 1,
    "other_samples": 12,
}
PATIENTS = 60


def enrolled(patients: int = PATIENTS, over: float = 200.0) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.sort(np.random.default_rng(8).uniform(0, over, patients))


@cache
def programme(capacity: str, seed: int = 3, amplitude: float = 6.0) -> Programme:
    parts: dict[str, dict[str, Any]] = {
        "unlimited": {},
        "laboratory": {"laboratory": LABORATORY},
        "slow laboratory": {"laboratory": {**LABORATORY, "opening_days": ["monday"], "batch": 90}},
        "all": {
            "laboratory": LABORATORY,
            "infusions": {"slots_per_week": 2, "manufacturing": {"median": 28, "varies": {"sdlog": 0.2}}},
            "ward": {"beds": 14, "others": 6, "other_stay": 20},
            "icu": {"beds": 1, "others": 0.7, "other_stay": 6},
        },
    }
    draws = ChunkDraws(seed, Role.STUDY, 0, PATIENTS, 2)
    model = catalogue_model("cmv-cart", amplitude=amplitude)
    return run_programme(model, draws, enrolled(), CapacitySpec.parse(parts[capacity]), replicate=1)


@pytest.mark.parametrize("scenario", ["cmv-cart", "lin-2024", "ball-paediatric"])
def test_unlimited_capacity_is_the_pathway_of_patients_one_by_one(scenario: str) -> None:
    model, draws = catalogue_model(scenario, amplitude=4.0), ChunkDraws(3, Role.STUDY, 0, 40, 3)
    alone = simulate_pathway(model, draws, patients=slice(None), replicate=2)
    for capacity in (CapacitySpec(), resolve("cmv-cart", ["capacity.limits=[]"]).spec.capacity):
        together = run_programme(model, draws, enrolled(40, 30.0), capacity, replicate=2)
        assert repr(together.histories) == repr(tuple(alone))  # repr: NaN equals itself, and no digit is lost
        assert together.queue.times.size == 0
    assert any(story.treatment.courses for story in alone)


@pytest.mark.parametrize("number", range(6))
def test_unlimited_capacity_is_the_pathway_under_stress_parameters(number: int) -> None:
    random = stress_set(number)
    draws = ChunkDraws(number, Role.STUDY, 0, 20, 2)
    alone = simulate_pathway(random.model, draws, patients=slice(None), replicate=0)
    together = run_programme(random.model, draws, enrolled(20, 5.0), CapacitySpec())
    assert repr(together.histories) == repr(tuple(alone))


@pytest.mark.parametrize("scenario", ["cmv-cart", "lin-2024"])
def test_a_laboratory_in_which_nobody_waits_is_the_drawn_turnaround(scenario: str) -> None:
    """Always open, with room for all: results come after transport and run, here the scenario's turnaround of a day."""
    model, draws = catalogue_model(scenario, amplitude=6.0), ChunkDraws(5, Role.STUDY, 0, 50, 1)
    assert float(model.monitoring.turnaround) == 1
    days = [*WORKING, "saturday", "sunday"]
    roomy = {"opening_days": days, "sampled_at": "00:00", "transport": 6, "run": 18, "analysers": 10_000, "other_samples": 0}
    together = run_programme(model, draws, enrolled(50), CapacitySpec.parse({"laboratory": roomy}))
    assert set(together.specimens.turnaround) == {1.0}
    treated = 0
    for found, alone in zip(together.histories, simulate_pathway(model, draws, patients=slice(None), replicate=0), strict=True):
        assert found.death == alone.death
        assert found.ledger == alone.ledger
        assert found.stays == alone.stays
        assert repr([s for s in found.samples if s.time < found.death]) == repr(
            [s for s in alone.samples if s.time < alone.death]
        )
        starts = [course.start for course in alone.treatment.courses if course.start < alone.death]
        assert [course.start for course in found.treatment.courses if course.start < found.death] == starts
        treated += len(starts)
    assert treated >= 5
    assert together.starts.delay.tolist() == [2.0] * together.starts.delay.size


def test_turnaround_feeds_back_into_the_start_of_treatment() -> None:
    """A first treatment starts later by exactly what its decisive result is later, as long as that sample is decisive."""
    fast, slow = programme("laboratory"), programme("slow laboratory")
    compared = 0
    for a, b in zip(fast.histories, slow.histories, strict=True):
        first_a, first_b = (_first_start(run, story.patient) for run, story in ((fast, a), (slow, b)))
        if first_a is None or first_b is None or first_a[0] != first_b[0]:
            continue
        assert fast.infused[a.patient] == slow.infused[b.patient]
        assert first_b[1] >= first_a[1]
        assert _result_of(slow, b.patient, first_b[0]) - _result_of(fast, a.patient, first_a[0]) == pytest.approx(
            first_b[1] - first_a[1], abs=1e-9
        )
        compared += 1
    assert compared >= 8
    assert slow.starts.delay.mean() > fast.starts.delay.mean() + 1.5
    assert np.allclose(fast.starts.delay % 1, (19 - 8) / 24, atol=1e-5)  # reported at 19:00, treated a day later


def _first_start(run: Programme, patient: int) -> tuple[float, float] | None:
    own = run.starts.patient == patient
    return (float(run.starts.sampled[own][0]), float(run.starts.started[own][0])) if own.any() else None


def _result_of(run: Programme, patient: int, sampled: float) -> float:
    (row,) = np.flatnonzero((run.specimens.patient == patient) & (run.specimens.sampled == sampled))
    return float(run.specimens.reported[row])


def test_the_laboratory_keeps_its_timetable_and_its_order() -> None:
    found = programme("all").specimens
    assert set(np.floor(found.started).astype(int) % 7) <= set(range(5))
    assert np.allclose(found.started % 1, 14 / 24, atol=1e-9)
    assert np.allclose(found.received - found.sampled, 1)
    assert np.allclose(found.reported - found.started, 5 / 24, atol=1e-4)
    order = np.argsort(found.received, kind="stable")
    assert (np.diff(found.started[order]) >= 0).all()
    per_run = np.unique(found.started, return_counts=True)[1]
    assert per_run.max() <= 20
    for patient in np.unique(found.patient):  # read in the order of sampling, one after the other
        assert (np.diff(found.reported[found.patient == patient]) > 0).all()


def test_slots_are_working_days_never_early_and_no_more_than_there_are() -> None:
    found = programme("all")
    day = np.floor(found.infused).astype(int)
    assert set(day % 7) <= {0, 2}  # two a week: Monday, Wednesday
    assert np.unique(day).size == day.size
    assert (found.wait >= 0).all()
    assert (found.vein_to_vein > 14).all()
    assert (np.diff(found.infused[np.argsort(found.ready)]) > 0).all()


def test_beds_are_never_more_than_there_are() -> None:
    found = programme("all")
    for use, beds in ((found.ward, 14), (found.icu, 1)):
        assert use.occupied.values.max() == beds == use.beds
        assert (use.of_study.at(use.occupied.times) <= use.occupied.values).all()
        assert use.refused > 0
    assert np.nanmax(found.ward.wait) > 0
    assert np.nanmax(found.icu.wait) == 0
    free = programme("unlimited").ward
    assert free.refused == 0
    stays = [window for story in programme("unlimited").histories for window in story.stays.hospital]
    whole = np.array([0.0, 1_000.0])
    assert free.occupied.means(whole)[0] * 1_000 == pytest.approx(sum(window.stop - window.start for window in stays))


def test_the_same_again_and_what_never_enrols_takes_no_part() -> None:
    model, draws = catalogue_model("cmv-cart"), ChunkDraws(3, Role.STUDY, 0, 12, 2)
    times = enrolled(12, 20.0)
    capacity = resolve("cmv-cart").spec.capacity
    first, again = (run_programme(model, draws, times, capacity) for _ in range(2))
    assert repr(first) == repr(again)
    times[4] = np.inf
    without = run_programme(model, draws, times, capacity)
    assert [story.patient for story in without.histories] == [0, 1, 2, 3, *range(5, 12)]
    for wrong in (-times, np.append(times, 3.0), np.full(3, np.inf)):
        with pytest.raises(ValueError, match="enrolled_at"):
            run_programme(model, draws, wrong, capacity)


def test_the_first_weekday_moves_the_timetable_and_the_slots() -> None:
    """Opened on a Wednesday, everything is as if it had opened two days later in the week."""
    model, draws = catalogue_model("cmv-cart"), ChunkDraws(3, Role.STUDY, 0, 8, 1)
    capacity = CapacitySpec.parse({"laboratory": {**LABORATORY, "other_samples": 0}, "infusions": {"slots_per_week": 2}})
    wednesday = run_programme(model, draws, enrolled(8, 20.0), capacity, first_weekday=2)
    monday = run_programme(model, draws, enrolled(8, 20.0) + 2, capacity)
    assert np.allclose(wednesday.infused + 2, monday.infused)
    assert np.allclose(wednesday.specimens.reported + 2, monday.specimens.reported)


def test_months_hold_what_falls_into_them() -> None:
    month = by_month(np.array([1.0, 2.0, 3.0 * MONTH + 1, 3.0]), np.array([1.0, 3.0, 5.0, np.nan]))
    assert month.month.tolist() == [0.0, MONTH, 2 * MONTH, 3 * MONTH]
    assert month.number.tolist() == [2, 0, 0, 1]
    assert month.mean[0] == month.quantiles[0, 0] == 2.0
    assert np.isnan(month.quantiles[:, 1]).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"laboratory": {**LABORATORY, "other_samples": 20}}, "fill the laboratory"),
        ({"laboratory": {**LABORATORY, "runs_at": ["25:00"]}}, "25:00"),
        ({"laboratory": {**LABORATORY, "opening_days": []}}, "opening_days"),
        ({"laboratory": {**LABORATORY, "opening_days": ["lundi"]}}, "monday"),
        ({"laboratory": {**LABORATORY, "batch": 0}}, "batch"),
        ({"ward": {"beds": 10, "others": 4}}, "other_stay"),
        ({"icu": {"beds": 4, "others": 4, "other_stay": 3}}, "none is left"),
        ({"limits": ["wards"]}, "ward"),
    ],
)
def test_mistakes_are_said_in_words(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        CapacitySpec.parse(wrong)
