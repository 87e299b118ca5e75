"""Inputs and the values that they are given in turn: typed by the user, or the 95% limits of what is not known."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.value import Between, Stated, Value
from cmvsim.scenarios import ResolvedScenario
from cmvsim.scenarios.inputs import all_inputs
from cmvsim.scenarios.key_paths import at
from cmvsim.scenarios.load import apply_overrides
from cmvsim.scenarios.parameters import Kind, kind_of, limits_of, uncertain_inputs
from cmvsim.scenarios.resolve import resolve_tree
from cmvsim.scenarios.scenario import BASIS
from cmvsim.scenarios.template import inline
from cmvsim.scenarios.vary import vary

WHERE = "--vary"
MOST_SETTINGS = 400


@dataclass(frozen=True)
class Variation:
    """An input and its values.

    Attributes
    ----------
    key, keys
        Key path, and all that take the same number.
    values
        Numbers; or anything else that a scenario file may say there, as it would be typed.
    base
        What the scenario says, in the same form.
    unit
        Of a number; empty for a choice.
    kind
        Whether hazards are solved on it ("target") or held fixed.
    numeric
        Whether all values are numbers.
    limits
        The values are the 95% limits of what is not known of it.
    evidence
        Its entry of the catalogue, if it has one.
    """

    key: str
    keys: tuple[str, ...]
    values: tuple[Any, ...]
    base: Any
    unit: str
    kind: Kind
    numeric: bool
    limits: bool = False
    evidence: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """What may change a number."""
        return {"key": self.key, "keys": list(self.keys), "values": list(self.values), "limits": self.limits}


Setting = tuple[tuple[Variation, Any], ...]


def varied(scenario: ResolvedScenario, setting: Setting) -> ResolvedScenario:
    """The scenario with the values of a setting.

    Raises
    ------
    InputError
        If it would be no valid one.
    """
    words = [f"{variation.key}={_typed(value)}" for variation, value in setting if not variation.numeric]
    if words:
        tree = apply_overrides({key: part for key, part in scenario.as_dict().items() if key != BASIS}, words)
        spec = resolve_tree(tree, WHERE)
        if spec.cmv.calibrated_on != scenario.spec.cmv.calibrated_on:
            raise InputError(Problem("what hazards are solved on cannot be varied", WHERE, "cmv.calibrated_on"))
        scenario = replace(scenario, spec=spec)
    numbers = {key: float(value) for variation, value in setting if variation.numeric for key in variation.keys}
    return vary(scenario, numbers)


def unknowns(scenario: ResolvedScenario) -> tuple[Variation, ...]:
    """All uncertain inputs, each at its 95% limits."""
    return tuple(
        Variation(item.key, item.keys, limits_of(scenario, item), item.centre, item.unit, item.kind, True, True, item.evidence)
        for item in uncertain_inputs(scenario)
    )


def parse_variation(scenario: ResolvedScenario, text: str) -> Variation:
    """Read ``KEY=a,b,c``; a bare ``KEY`` is an uncertain input at its 95% limits.

    Raises
    ------
    InputError
        If the key does not exist, nothing is given for it, or a value is not allowed there.
    """
    key, sign, values = (part.strip() for part in text.partition("="))
    node = at(scenario.spec, key)
    if not sign:
        known = {name: variation for variation in unknowns(scenario) for name in variation.keys}
        if key not in known:
            raise InputError(Problem(f"nothing says what is not known of '{key}'", WHERE, key, f"values: --vary {key}=a,b,c"))
        return known[key]
    given = _values(values)
    if not given:
        raise InputError(Problem("no value is given", WHERE, key, f"--vary {key}=a,b,c"))
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in given)
    numeric = numbers and (isinstance(node, Value | Between) or (isinstance(node, int | float) and not isinstance(node, bool)))
    found = Variation(
        key,
        (key,),
        tuple(float(x) for x in given) if numeric else given,
        _base(node),
        next((item.unit for item in all_inputs(scenario.spec) if item.path == key), ""),
        kind_of(key),
        numeric,
        evidence=getattr(node, "evidence", None),
    )
    for value in found.values:
        _checked(scenario, found, value)
    return found


def check_settings(variations: Sequence[Variation], count: int) -> None:
    """Refuse a key that is varied twice, and more settings than anybody would wait for.

    Raises
    ------
    InputError
        In these cases.
    """
    keys = [key for variation in variations for key in variation.keys]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise InputError(Problem("is varied twice", WHERE, twice[0], "each key once, with all its values"))
    if count > MOST_SETTINGS:
        raise InputError(Problem(f"{count} settings", WHERE, allowed=f"at most {MOST_SETTINGS}: fewer values"))


def _checked(scenario: ResolvedScenario, variation: Variation, value: Any) -> None:
    try:
        other = varied(scenario, ((variation, value),))
    except InputError as error:
        raise InputError(Problem(f"{value}: {p.message}", WHERE, variation.key, p.allowed) for p in error.problems) from None
    if tuple(other.spec.population.strata) != tuple(scenario.spec.population.strata):
        raise InputError(Problem("strata cannot be added or taken away here", WHERE, variation.key, "a scenario of its own"))


def _base(node: Any) -> Any:
    if isinstance(node, Value):
        return node.value
    if isinstance(node, Between):
        return node.centre
    if isinstance(node, Stated):
        node = node.value
    return node if isinstance(node, str | int | float | bool) else json.loads(json.dumps(node, default=_plain))


def _plain(node: Any) -> Any:
    return node.model_dump(mode="json", exclude_none=True)


def _values(text: str) -> tuple[Any, ...]:
    """Values between commas, as TOML; a bare word is text."""
    parts, depth, start, quoted = [], 0, 0, False
    for index, letter in enumerate(text):
        quoted ^= letter == '"'
        depth += 0 if quoted else (letter in "[{") - (letter in "]}")
        if letter == "," and depth == 0 and not quoted:
            parts.append(text[start:index])
            start = index + 1
    return tuple(_value(part.strip()) for part in (*parts, text[start:]) if part.strip())


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _typed(value: Any) -> str:
    """As it would be typed after ``--set KEY=``."""
    return value if isinstance(value, str) and value.startswith("@") else inline(value)
