"""The pathway engine, written from docs/model.md alone, against the cohort engine: patient by patient, event by event."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from cmvsim.core.streams import Role
from cmvsim.scenarios.load import catalogue_ids
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.pathway.compare import Comparison, compare
from cmvsim.simulation.pathway.engine import simulate_pathway
from tests.simulation.pathway_build import WITHOUT_HEALTH, both_engines, branches, catalogue_model
from tests.simulation.pathway_stress import stress_set

DEPARTURES = {
    "death_of_disease": (
        1,
        "the ratio of clinically significant CMV acts on death from disease on, not from the first treatment on",
    ),
    "falls_without_drug": (4, "a later spell does not act where the load still falls from a treatment that was stopped"),
    "result_before_onset": (28, "a result of a sample from before the first onset is not counted during treatment"),
    "failed_sequencing": (2, "sequencing is counted in the ledger when it fails"),
    "occasion_at_the_end": (7, "visits and tests on a drug at the end itself are not counted"),
    "questionnaire_after_monitoring": (0, "questionnaires go on after new therapy and transplantation"),
    "health_with_kidney_injury": (9, "a kidney injury does not change health; the page does not say for how long it does"),
}
"""Where the cohort engine is known not to follow the page: a set of random parameters that shows it, and what it is."""
KNOWN = frozenset(DEPARTURES)
CATALOGUE = ("resistance.sequencing.half_load=-20",)  # as "failed_sequencing"
STRESS_SETS = 24
REACHED = 30
"""Patients that must have gone through each branch."""


def catalogue_cases() -> list[tuple[str, str | None, bool, bool]]:
    """Scenario, strategy, never lost, CMV."""
    cases: list[tuple[str, str | None, bool, bool]] = []
    for name in sorted(catalogue_ids()):
        strategies = [s for s, spec in catalogue_model(name).strategies.items() if spec.prophylaxis != "none"]
        cases += [(name, strategy, False, True) for strategy in (None, *strategies)]
        cases += [(name, None, True, True), (name, None, False, False)]
    return cases


def compare_catalogue(patients: int) -> Comparison:
    """All catalogue scenarios under all strategies, without losses, and without CMV."""
    total = Comparison()
    for name, strategy, never_lost, cmv in catalogue_cases():
        model = catalogue_model(name, *CATALOGUE)
        model = replace(model, horizon=model.horizon + 0.3)  # as "occasion_at_the_end"
        result, _ = both_engines(model, 3, patients, strategy=strategy, never_lost=never_lost, cmv=cmv)
        total.add(result)
    return total


def compare_stress(sets: range, patients: int, departures: frozenset[str] = KNOWN) -> tuple[Comparison, Counter[str]]:
    """Random parameter sets, and the branches that their patients went through."""
    total, seen = Comparison(), Counter[str]()
    for number in sets:
        random = stress_set(number, departures)
        result, stories = both_engines(random.model, number, patients, strategy=random.strategy, never_lost=number % 9 == 8)
        total.add(result)
        seen += branches(stories, random.model)
    return total, seen


def test_catalogue_scenarios_agree() -> None:
    result = compare_catalogue(10)
    assert result.events > 40_000
    assert not result.mismatches, result.table() + "\n\n" + result.mismatches[0]


def test_random_parameter_sets_agree_on_every_branch() -> None:
    result, seen = compare_stress(range(STRESS_SETS), 28)
    assert not result.mismatches, result.table() + "\n\n" + result.mismatches[0]
    rare = {name: count for name, count in seen.items() if count < REACHED}
    assert not rare
    assert len(seen) >= 45


@pytest.mark.parametrize("name", DEPARTURES)
@pytest.mark.xfail(strict=True, reason="the cohort engine departs from the page; see DEPARTURES")
def test_known_departure(name: str) -> None:
    number, _ = DEPARTURES[name]
    result, _ = compare_stress(range(number, number + 1), 50, KNOWN - {name})
    assert not result.mismatches


@pytest.mark.verification
def test_many_patients_agree() -> None:
    """The long tier: 10,000 patients of the catalogue's, 200 random parameter sets."""
    result = compare_catalogue(130)
    stress, seen = compare_stress(range(1000, 1200), 30)
    result.add(stress)
    assert result.patients >= 20_000
    assert min(seen.values()) >= REACHED
    assert not result.mismatches, result.table() + "\n\n" + result.mismatches[0]


def test_arms_of_a_cohort_agree_in_any_replicate_of_a_full_chunk() -> None:
    model = catalogue_model("letermovir-strategies", *CATALOGUE, amplitude=4.0)
    model = replace(model, horizon=model.horizon + 0.3)
    names, draws = list(model.strategies), ChunkDraws(9, Role.STUDY, 2, 40)
    arm = np.random.default_rng(1).integers(len(names), size=draws.patients * draws.replicates)
    history = simulate(model, draws, needs=WITHOUT_HEALTH, path=True, strategy=names, arm=arm)
    result = Comparison()
    for replicate in (0, 17, 63):
        some = range(5, 40, 2)
        stories = simulate_pathway(model, draws, patients=some, replicate=replicate, strategy=names, arm=arm)
        result.add(compare(history, stories))
    assert result.kinds["letermovir start"].compared >= 10
    assert not result.mismatches, result.mismatches[0]
