"""The pathway engine, written from docs/model.md alone, against the cohort engine: patient by patient, event by event."""

from __future__ import annotations

from collections import Counter

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
        result, _ = both_engines(catalogue_model(name), 3, patients, strategy=strategy, never_lost=never_lost, cmv=cmv)
        total.add(result)
    return total


def compare_stress(sets: range, patients: int) -> tuple[Comparison, Counter[str]]:
    """Random parameter sets, and the branches that their patients went through."""
    total, seen = Comparison(), Counter[str]()
    for number in sets:
        random = stress_set(number)
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
    model = catalogue_model("letermovir-strategies", amplitude=4.0)
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
