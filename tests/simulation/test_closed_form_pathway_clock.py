"""The pathway engine's clock: order of simultaneous events, refusals, hazards that are spent, and what a comparison sees."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cmvsim.core.streams import Role
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.pathway.clock import Clock, Rank, SimultaneousEventsError, Spending
from cmvsim.simulation.pathway.compare import compare
from cmvsim.simulation.pathway.engine import simulate_pathway
from tests.simulation.pathway_build import WITHOUT_HEALTH, catalogue_model

PAGE = ("RESULT", "STOP", "TOXICITY", "START", "DRUG_ACTS", "CLEARANCE", "DISEASE", "ONSET", "SAMPLE")


def test_simultaneous_events_come_in_the_order_of_the_page() -> None:
    clock, seen = Clock(10.0), []
    for name in reversed(PAGE):
        clock.book(3.0, Rank[name], lambda name=name: seen.append(name))
    clock.run_to_horizon()
    assert tuple(seen) == PAGE
    assert tuple(rank.name for rank in Rank)[: len(PAGE)] == PAGE


def test_two_of_a_kind_at_once_a_delay_and_the_past_are_refused() -> None:
    clock = Clock(10.0)
    first = clock.book(3.0, Rank.RESULT, lambda: None)
    with pytest.raises(SimultaneousEventsError):
        clock.book(3.0, Rank.RESULT, lambda: None)
    first.cancel()
    clock.book(3.0, Rank.RESULT, lambda: None)
    with pytest.raises(TypeError):
        clock.timeout(1.0)
    clock.run_to_horizon()
    with pytest.raises(ValueError, match="before now"):
        clock.book(2.0, Rank.RESULT, lambda: None)


def test_events_at_the_horizon_happen_and_later_ones_do_not() -> None:
    clock, seen = Clock(10.0), []
    clock.book(10.0, Rank.SAMPLE, lambda: seen.append("at"))
    clock.book(math.nextafter(10.0, 11.0), Rank.SAMPLE, lambda: seen.append("after"))
    clock.run_to_horizon()
    assert seen == ["at"]


def test_an_exponential_is_spent_at_the_rates_that_held() -> None:
    """From 2: rate 0.5 to 4 spends 1, nothing to 7, then 2 a day for the remaining 3: the event is at 8.5."""
    clock, seen = Clock(20.0), []
    spending: list[Spending] = []

    def begin() -> None:
        spending.append(Spending(clock, Rank.BACTERIAL_BEGINS, 4.0, lambda: seen.append(clock.now)))
        spending[0].go_on_at(0.5)

    clock.book(2.0, Rank.INFUSION, begin)
    clock.book(4.0, Rank.STEROIDS_BEGIN, lambda: spending[0].go_on_at(0.0))
    clock.book(7.0, Rank.STEROIDS_END, lambda: spending[0].go_on_at(2.0))
    clock.run_to_horizon()
    assert seen == [pytest.approx(8.5, abs=1e-14)]


def test_a_comparison_sees_what_differs() -> None:
    model = catalogue_model("cmv-cart")
    draws = ChunkDraws(1, Role.STUDY, 0, 30, 1)
    history = simulate(model, draws, needs=WITHOUT_HEALTH, path=True)
    stories = simulate_pathway(model, draws, patients=slice(None), replicate=0)
    ill = next(story for story in stories if story.episodes and story.samples)
    assert not compare(history, stories).mismatches
    late = replace(ill.episodes[0], onset=ill.episodes[0].onset + 1e-8)
    for wrong in (
        replace(ill, episodes=(late, *ill.episodes[1:])),
        replace(ill, samples=ill.samples[:-1]),
        replace(ill, samples=(replace(ill.samples[0], extra=True), *ill.samples[1:])),
        replace(ill, ledger=ill.ledger[1:]),
        replace(ill, patient=ill.patient + 1),
    ):
        (words,) = compare(history, [wrong]).mismatches
        assert "\n! " in words
