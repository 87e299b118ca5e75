"""Whatever stands in the wrong place, the answer is a message that names it, never a traceback."""

from __future__ import annotations

import datetime as dt
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_scenario_mistakes import JARGON

from cmvsim.core.errors import InputError
from cmvsim.scenarios.load import load_tree
from cmvsim.scenarios.resolve import resolve_tree
from cmvsim.scenarios.scenario import Scenario

BASE = load_tree("cmv-cart")
JUNK = [
    None,
    True,
    "x",
    "@x",
    [],
    {},
    -1,
    0,
    1e300,
    10**400,
    math.nan,
    math.inf,
    dt.date(2024, 1, 1),
    [1],
    ["a", []],
    {"x": 1},
    {"value": None},
    {"value": {}},
    {"value": 1, "evidence": 3},
    {"median": 1, "varies": 3},
    {"mean": 1, "varies": {"sd": "x"}},
    {"value": 1, "uncertain": {"beta": "x"}},
    {"value": 1, "uncertain": {"beta": [10**400, 1]}},
]
# `definition` quotes what it was given in Python's words, see endpoints.analysis
QUOTED_ELSEWHERE = ("analysis", "definition")
FIRST_TARGET = ("cmv", "targets", 0)


def paths(tree, path=()):
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield (*path, key)
        yield from paths(value, (*path, key))


def put(tree, path, value):
    if not path:
        return value
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    copy[path[0]] = put(tree[path[0]], path[1:], value)
    return copy


PATHS = [path for path in paths(BASE) if path != FIRST_TARGET]


def test_there_are_many_places():
    assert len(PATHS) > 250


def outcome(tree):
    """The scenario, or the problems that refuse it."""
    try:
        return resolve_tree(tree, "mine.toml"), ()
    except InputError as error:
        return None, error.problems


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.sampled_from(PATHS), st.sampled_from(JUNK))
def test_junk_anywhere_is_accepted_or_explained(path, junk):
    spec, problems = outcome(put(BASE, path, junk))
    assert isinstance(spec, Scenario) or problems
    for problem in problems:
        assert problem.where == "mine.toml"
        assert problem.at
        assert path[:2] == QUOTED_ELSEWHERE or not [word for word in JARGON if word in str(problem)]


def test_a_first_target_that_is_no_table():
    with pytest.raises(InputError):
        resolve_tree(put(BASE, FIRST_TARGET, 3), "mine.toml")
