"""A scenario with other numbers: what one-way sensitivity, grids, assurance and probabilistic analyses run on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.spec import problems_of
from cmvsim.core.value import Between, Value
from cmvsim.scenarios.key_paths import at, numbers_in, parts_of
from cmvsim.scenarios.relations import completed
from cmvsim.scenarios.scenario import ResolvedScenario, Scenario
from cmvsim.valuation.prices import PriceList

WHERE = "--vary"
PRICES = "prices."
"""Beginning of the keys of unit costs, ``prices.ward_day``: they stand in a price list, in no scenario."""


def vary(scenario: ResolvedScenario, changes: Mapping[str, float]) -> ResolvedScenario:
    """Put other numbers into a scenario and validate it again.

    Of a quantity that differs between patients the centre is replaced. A number that stays as it is keeps its provenance, any
    other says that it was varied. Shares of a table that must add up to 1 give way, see
    :func:`cmvsim.scenarios.relations.completed`; what repeats a target's measurement follows it. Keys of prices are left out.

    Parameters
    ----------
    scenario
        Resolved.
    changes
        Numbers by key path of the resolved form.

    Raises
    ------
    InputError
        If a key does not exist or holds no number, or the scenario would be no valid one.
    """
    spec = scenario.spec
    wanted = {key: value for key, value in changes.items() if not key.startswith(PRICES)}
    edits: dict[tuple[str | int, ...], float] = {}
    for key, value in completed(spec, wanted).items():
        if _number_at(spec, key) != value:
            edits.update(dict.fromkeys((parts_of(key), *_repeated(spec, key)), float(value)))
    if not edits:
        return scenario
    try:
        varied = _rebuilt(spec, edits)
    except ValidationError as error:
        raise InputError(problems_of(error, Scenario, WHERE)) from None
    varied.check(WHERE)
    return replace(scenario, spec=varied)


def vary_prices(prices: PriceList, changes: Mapping[str, float]) -> PriceList:
    """A price list with other unit costs.

    Parameters
    ----------
    prices
        The list.
    changes
        By ``prices.<item>``, in the unit and of the year of the evidence: what carries a price to the year of the list
        carries the changed one too. Other keys are left out.
    """
    from cmvsim.evidence import parameter

    costs = np.array(prices.unit_costs)
    for item, evidence in prices.evidence.items():
        key = f"{PRICES}{item.value}"
        if key in changes:
            costs[item.code] *= changes[key] / parameter(evidence).centre
    return replace(prices, unit_costs=costs)


def _number_at(spec: Scenario, key: str) -> float:
    node = at(spec, key)
    if isinstance(node, Between):
        return node.centre
    if isinstance(node, Value) or (isinstance(node, int | float) and not isinstance(node, bool)):
        return float(node)
    under = [name for name, _ in numbers_in(node, parts_of(key))]
    allowed = "a key of a number" + (f", e.g. {', '.join(under[:3])}" if under else "")
    raise InputError(Problem("is no number", WHERE, key, allowed))


def _repeated(spec: Scenario, key: str) -> list[tuple[str | int, ...]]:
    """Where the same number stands again: both targets are measured the same way."""
    parts = parts_of(key)
    if parts[:2] != ("cmv", "targets") or len(parts) < 4 or parts[3] not in ("measured_by", "definition"):
        return []
    return [("cmv", "targets", index, *parts[3:]) for index in range(len(spec.cmv.targets))]


def _rebuilt(node: Any, edits: Mapping[tuple[str | int, ...], float]) -> Any:
    """A copy of a part of the specification with numbers replaced; only what holds them is built, and validated, again."""
    if () in edits:
        return _replaced(node, edits[()])
    inner: dict[str | int, dict[tuple[str | int, ...], float]] = {}
    for path, value in edits.items():
        inner.setdefault(path[0], {})[path[1:]] = value
    if isinstance(node, Mapping):
        return {key: _rebuilt(item, inner[key]) if key in inner else item for key, item in node.items()}
    if isinstance(node, tuple):
        return [_rebuilt(item, inner[index]) if index in inner else item for index, item in enumerate(node)]
    if not isinstance(node, BaseModel):
        raise TypeError(f"{type(node).__name__} holds no numbers")
    fields = {name: getattr(node, name) for name in type(node).model_fields}
    new = {name: _rebuilt(item, inner[name]) if name in inner else item for name, item in fields.items()}
    if isinstance(node, Value | Between):
        return new  # their quantity validates them, where they stand
    return type(node).model_validate(new)


def _replaced(node: Any, value: float) -> Any:
    """A number in the resolved form of what it replaces."""
    if isinstance(node, Value | Between):
        name = "value" if isinstance(node, Value) else "centre"
        old = getattr(node, name)
        kept = {key: getattr(node, key) for key in type(node).model_fields}
        return {**kept, name: value, "assumed": f"varied, {old:g} in the scenario"}
    return int(value) if isinstance(node, int) and value == int(value) else value
