"""Errors, canonical JSON and the specification base: what people read and what digests are made of."""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Annotated, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from cmvsim.core.canonical import canonical_json, digest, pretty_json, rounded
from cmvsim.core.errors import CalibrationError, CmvsimError, ExitCode, InputError, Problem, did_you_mean, nearest, shown
from cmvsim.core.quantities import Days
from cmvsim.core.spec import Spec, key_path
from cmvsim.core.value import Stated

# ---- errors


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("wrong"), "wrong"),
        (Problem("wrong", "a.toml"), "a.toml: wrong"),
        (Problem("wrong", at="x.y"), "x.y: wrong"),
        (Problem("wrong", "a.toml", "x.y", "allowed: 1"), "a.toml: x.y: wrong (allowed: 1)"),
    ],
)
def test_a_problem_says_where_what_and_what_is_allowed(problem, text):
    assert str(problem) == text


def test_an_input_error_carries_every_problem():
    two = InputError(Problem(text) for text in ("one", "two"))
    assert str(two) == "one\ntwo"
    assert len(two.problems) == 2
    assert InputError("one").problems == (Problem("one"),)
    assert InputError(Problem("one")).problems == (Problem("one"),)


def test_exit_codes():
    assert (ExitCode.OK, ExitCode.INTERNAL, ExitCode.USAGE, ExitCode.VERDICT_NO, ExitCode.INTERRUPTED) == (0, 1, 2, 3, 130)
    assert InputError("x").exit_code == CalibrationError("x").exit_code == ExitCode.USAGE
    assert CmvsimError("x").exit_code == ExitCode.INTERNAL


def test_did_you_mean():
    assert did_you_mean("attendence", ["attendance", "lod"]) == "did you mean 'attendance'?"
    assert did_you_mean("zzz", ["b", "a", "a"]) == "known: a, b"
    assert did_you_mean("zzz", []) == "none exist"
    assert nearest("zzz", ["a"]) == []


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (True, "true"),
        (None, "null"),
        (1.5, "1.5"),
        ("a", "'a'"),
        ([1, True], "[1, true]"),
        ({}, "{}"),
        ({"a": 1, "b": [False]}, "{ a = 1, b = [false] }"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        ("x" * 80, "'" + "x" * 56 + "..."),
    ],
)
def test_values_are_shown_as_they_were_written(given, text):
    assert shown(given) == text


# ---- canonical JSON


def test_twelve_significant_digits():
    assert rounded(1 / 3) == 0.333333333333
    assert rounded(123456789.123456789) == 123456789.123
    assert canonical_json(0.1 + 0.2) == canonical_json(0.3)
    assert canonical_json(1.00000000001) != canonical_json(1.0)
    assert canonical_json(1.0000000000001) == canonical_json(1.0)


def test_key_order_means_nothing_and_list_order_does():
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert len(digest({})) == 64


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf, np.float64("nan")])
def test_what_is_not_finite_is_null(x):
    assert canonical_json({"x": x}) == '{"x":null}'


def test_types_are_kept():
    assert canonical_json([1, 1.0, True, None, "é", (2,), np.int64(3), np.float64(0.5), np.bool_(True)]) == (
        '[1,1.0,true,null,"é",[2],3,0.5,true]'
    )
    assert pretty_json({"b": 1, "a": 0.0}) == '{\n  "b": 1,\n  "a": 0.0\n}\n'
    with pytest.raises(TypeError, match="not JSON: object"):
        rounded(object())


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=80, deadline=None)
@given(JSON)
def test_canonical_form_is_a_fixed_point(tree):
    text = canonical_json(tree)
    assert canonical_json(json.loads(text)) == text
    assert digest(json.loads(pretty_json(tree))) == digest(tree)


# ---- specifications


class Inner(Spec):
    wait: Days
    kind: Literal["plain", "cloglog"] = "plain"


class Outer(Spec):
    inner: Inner
    rows: Annotated[tuple[Inner, ...], Field(strict=False)] = ()
    table: Annotated[dict[str, Inner], Field(default_factory=dict)]
    choice: Stated[Literal["a", "b"]] = Stated(value="a")
    count: Annotated[int, Field(ge=1)] = 1
    pair: Annotated[tuple[float, float], Field(strict=False)] = (0.0, 1.0)
    limited: Annotated[float, Field(gt=0, lt=1)] = 0.5


GOOD = {"inner": {"wait": 1}}


def problems(tree):
    with pytest.raises(InputError) as caught:
        Outer.parse(tree, where="f.toml")
    return [(problem.at, problem.message, problem.allowed) for problem in caught.value.problems]


def test_key_path():
    assert key_path(("cmv", "targets", 0, "value")) == "cmv.targets[0].value"
    assert key_path(()) == ""


def test_a_specification_does_not_change():
    spec = Outer.parse(GOOD)
    with pytest.raises(ValidationError, match="frozen"):
        spec.count = 2
    assert Outer.parse(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    ("change", "at", "message", "allowed"),
    [
        ({"inner": 3}, "inner", "3 is not a table", "a table"),
        ({"inner": {"wait": 1, "wiat": 2}}, "inner.wiat", "unknown key 'wiat'", "did you mean 'wait'?"),
        ({"inner": {"wiat": 2}}, "inner.wiat", "unknown key 'wiat'", "did you mean 'wait'?"),
        ({"inner": {}}, "inner.wait", "the key 'wait' is missing", ""),
        ({"inner": {"wait": None}}, "inner.wait", "null is not a number", "days"),
        ({"inner": None}, "inner", "null is not a table", "a table"),
        (
            {"inner": {"wait": 1, "kind": "clogclog"}},
            "inner.kind",
            "'clogclog' is not allowed",
            "plain, cloglog; did you mean 'cloglog'?",
        ),
        ({"rows": [{"wait": 1}, {"wait": -1}]}, "rows[1].wait", "-1 is not allowed", "of at least 0"),
        ({"rows": [{"wait": 1, "knid": 2}]}, "rows[0].knid", "unknown key 'knid'", "did you mean 'kind'?"),
        ({"rows": {"wait": 1}}, "rows", "{ wait = 1 } is not a list", "a list"),
        ({"table": {"x": {"wait": 1, "knid": 2}}}, "table.x.knid", "unknown key 'knid'", "did you mean 'kind'?"),
        ({"table": [1]}, "table", "[1] is not a table", "a table"),
        ({"choice": "c"}, "choice", "'c' is not allowed", "a, b"),
        ({"choice": {"value": "c"}}, "choice.value", "'c' is not allowed", "a, b"),
        ({"choice": {"value": "a", "assumde": "x"}}, "choice.assumde", "unknown key 'assumde'", "did you mean 'assumed'?"),
        ({"count": 0}, "count", "0 is not allowed", "at least 1"),
        ({"count": 1.5}, "count", "1.5 is not a whole number", ""),
        ({"count": True}, "count", "true is not a whole number", ""),
        ({"count": "1"}, "count", "'1' is not a whole number", ""),
        ({"pair": [1]}, "pair[1]", "[1] has too few entries", ""),
        ({"pair": [1, 2, 3]}, "pair", "[1, 2, 3] has 3 entries", "at most 2"),
        ({"pair": [1, "2"]}, "pair[1]", "'2' is not a number", ""),
        ({"limited": 1}, "limited", "1 is not allowed", "below 1"),
        ({"limited": 0}, "limited", "0 is not allowed", "above 0"),
        ({"cuont": 3}, "cuont", "unknown key 'cuont'", "did you mean 'count'?"),
    ],
)
def test_one_mistake_one_problem(change, at, message, allowed):
    ((found_at, found, found_allowed),) = problems({**GOOD, **change})
    assert (found_at, found) == (at, message)
    assert allowed in found_allowed


def test_all_mistakes_are_found():
    assert [at for at, _, _ in problems({"inner": {"wait": -1}, "count": 0, "zzz": 1})] == ["inner.wait", "count", "zzz"]
