"""The story of a patient as a tree, on random parameter sets: nothing beyond the end, reasons that hold, the load as it was."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from cmvsim.core.streams import Role
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.pathway.engine import background_of, stories_of
from cmvsim.simulation.pathway.recorded import ending_of
from cmvsim.simulation.pathway.records import PatientHistory
from cmvsim.simulation.pathway.story import story_tree
from cmvsim.simulation.pathway.story_events import events_of
from tests.simulation.pathway_stress import stress_set

SETS, PATIENTS = 10, 14


@lru_cache(maxsize=1)
def told() -> tuple[tuple[Any, PatientHistory, dict[str, Any]], ...]:
    """Background, story and tree of many patients."""
    made = []
    for number in range(SETS):
        random = stress_set(number)
        draws = ChunkDraws(number, Role.STUDY, 0, PATIENTS, 2)
        background = background_of(random.model, draws, strategy=random.strategy)
        stories = stories_of(background, range(PATIENTS), 1)
        made += [(background, story, story_tree(background, story, random.strategy)) for story in stories]
    return tuple(made)


def windows(tree: Any) -> Iterator[dict[str, Any]]:
    """All windows of a tree."""
    if isinstance(tree, dict):
        if {"start", "stop", "until"} <= tree.keys() and tree["start"] is not None:
            yield tree
        for value in tree.values():
            yield from windows(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from windows(value)


def test_nothing_lies_beyond_the_end() -> None:
    cut = set()
    for background, story, tree in told():
        for window in windows(tree):
            assert window["start"] <= window["stop"] <= tree["end"]
            assert (window["until"] == "death") <= (story.death <= tree["end"])
            cut.add(window["until"])
        events = events_of(tree, ending_of(background.model, story))
        assert all(event.day <= tree["end"] for event in events if event.what != "end of monitoring")
    assert cut == {"over", "death", "horizon"}


def test_every_start_and_switch_has_its_reason() -> None:
    """The reasons are read off the course: a start that no result and no disease explains would be an assertion."""
    reasons: set[str] = set()
    for background, _, tree in told():
        delay = float(background.model.treatment.delay)
        for treatment in tree["treatments"]:
            because = treatment["because"]
            reasons |= {because["what"]} | {spell["because"] for spell in treatment["spells"][1:]}
            assert treatment["start"] >= because["day"] + delay - 1e-5
            assert treatment["spells"][0]["because"] is None
            later = itertools.pairwise(treatment["spells"])
            assert all(a["stop"] == b["start"] for a, b in later)
    assert reasons == {"result", "disease", "neutropenia", "kidney_injury", "load"}


def test_the_load_is_continuous_and_ends_where_it_is_cleared() -> None:
    bends = 0
    for background, story, tree in told():
        cleared = float(background.model.cmv.load.start_log10) + story.offset
        for path, episode in zip(tree["load_log10"], tree["episodes"], strict=True):
            times = [t for t, _ in path]
            assert times == sorted(times)
            assert path[0] == [episode["onset"], pytest.approx(cleared)]
            if episode["cleared"] is not None:
                assert path[-1] == [episode["cleared"], pytest.approx(cleared, abs=1e-6)]
            jumps = [abs(y - x) for (a, x), (b, y) in itertools.pairwise(path) if b - a < 1e-9]
            assert max(jumps, default=0.0) < 1e-6
            bends += len(path) > 3
    assert bends > 30


def test_the_level_is_reached_when_the_cohort_engine_says_so() -> None:
    """First time at or above a level, from the corners of the path and from the other engine's function."""
    compared = 0
    for number in range(4):
        random = stress_set(number)
        draws = ChunkDraws(number, Role.STUDY, 0, PATIENTS, 2)
        background = background_of(random.model, draws, strategy=random.strategy)
        history = simulate(random.model, draws, path=True, strategy=random.strategy)
        assert history.episodes is not None
        stories = list(stories_of(background, range(PATIENTS), 1))
        # of the matrix alone: where laboratories differ the history's own offset holds their shift too
        level = math.log10(float(random.model.monitoring.lloq)) - np.array([story.offset for story in stories])
        first = history.episodes.first_reaching(np.stack([level, level]))[1]
        for story in stories:
            tree = story_tree(background, story, random.strategy)
            mine = min((e["lloq_from"] for e in tree["episodes"] if e["lloq_from"] is not None), default=math.inf)
            theirs = first[story.patient] if first[story.patient] <= tree["end"] else math.inf
            assert mine == pytest.approx(theirs, abs=1e-6)
            compared += np.isfinite(mine)
    assert compared > 15
