"""What is not known of a scenario: its uncertain inputs, each once, with their distributions inside their ranges."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.marginal import Marginal
from cmvsim.core.value import Between, Uncertain, Value
from cmvsim.evidence import parameter
from cmvsim.scenarios.inputs import Input, inputs
from cmvsim.scenarios.key_paths import range_of
from cmvsim.scenarios.relations import number_or_none, part_of, table_of_shares, whole_of
from cmvsim.scenarios.scenario import ResolvedScenario, Scenario
from cmvsim.scenarios.vary import PRICES
from cmvsim.valuation.prices import price_list

Kind = Literal["target", "law", "price"]
_TARGETS = re.compile(
    r"cmv\.targets\[.*|follow_up\.(death_by_90|non_relapse_mortality_by_90)\..*|infections\.bacterial\.(early|late)"
    r"|infections\.fungal\.(whole|late_ratio)|letermovir\.targets\..*|quality_of_life\.mean_index.*"
)
"""Inputs that hazards (or the latent scale of quality of life) are solved on, or that say how."""


@dataclass(frozen=True)
class UncertainInput:
    """A number that is not known, with its distribution.

    Attributes
    ----------
    key, keys
        Its first key path in the resolved specification, and all that take the same number: an entry of the evidence that is
        used at several places is one unknown.
    value
        Used by ordinary runs, with its provenance.
    distribution
        As stated; :attr:`marginal` keeps it inside the range of the quantity.
    unit
        Fixed by the type.
    kind
        "target": hazards are solved on it; "law": no target; hazards stay as they are when it is varied, and show
        their targets under it when it is drawn; "price".
    group, correlation
        Inputs of one group move together; empty and 0: independent.
    evidence
        Its entry of the catalogue, if it has one.
    label
        For people.
    low, high, whole
        Range of the quantity; a part is no more than its whole, where that is known, nor a whole less than its part.
    wholes
        Keys of what it is a part of and what is not known either: it is drawn no higher than these.
    shares
        Table whose shares, this one among them, add up to 1; empty if none.
    """

    key: str
    value: Value | Between
    distribution: Uncertain
    unit: str
    kind: Kind
    group: str
    evidence: str | None
    label: str
    keys: tuple[str, ...] = ()
    correlation: float = 0.0
    low: float = -math.inf
    high: float = math.inf
    whole: bool = False
    wholes: tuple[str, ...] = ()
    shares: str = ""

    @property
    def id(self) -> str:
        """The evidence id, or the key: what its random stream is named after."""
        return self.evidence or self.key

    @property
    def centre(self) -> float:
        """The number that ordinary runs use."""
        return self.value.centre if isinstance(self.value, Between) else float(self.value)

    @cached_property
    def marginal(self) -> Marginal:
        """The distribution inside the range."""
        return Marginal(self.distribution, self.centre, self.low, self.high, self.whole)

    def changes(self, value: float) -> dict[str, float]:
        """What :func:`cmvsim.scenarios.vary.vary` takes to give it another number."""
        return dict.fromkeys(self.keys, value)


def uncertain_inputs(scenario: ResolvedScenario) -> tuple[UncertainInput, ...]:
    """What is not known of a scenario, in the order of the file.

    Inputs that concern nothing in it are left out (:mod:`cmvsim.scenarios.relevance`), and so are the numbers of price lists,
    see :func:`uncertain_prices`.

    Raises
    ------
    InputError
        If members of a group disagree on its correlation.
    """
    spec = scenario.spec
    found: dict[str, list[Input]] = {}
    for item in inputs(spec):
        if getattr(item.value, "uncertain", None) is not None:
            found.setdefault(_name(item), []).append(item)
    result = tuple(_of_scenario(spec, members) for members in found.values())
    _check_groups(result)
    return result


def uncertain_prices(price_list_name: str) -> tuple[UncertainInput, ...]:
    """What is not known of the unit costs of a price list: those whose evidence says so.

    The numbers are in the unit and of the year of the evidence; keys are ``prices.<item>``, for
    :func:`cmvsim.scenarios.vary.vary_prices`.

    Raises
    ------
    InputError
        If there is no such list.
    """
    by_entry: dict[str, list[str]] = {}
    for item, evidence in price_list(price_list_name).evidence.items():
        by_entry.setdefault(evidence, []).append(f"{PRICES}{item.value}")
    result = []
    for name, keys in by_entry.items():
        entry = parameter(name)
        if entry.uncertain is None:
            continue
        value = Value(value=entry.centre, evidence=name, uncertain=entry.uncertain)
        low = math.nextafter(0.0, 1.0)
        result.append(
            UncertainInput(
                keys[0],
                value,
                entry.uncertain,
                entry.unit,
                "price",
                entry.uncertain.group or "",
                name,
                _label(keys),
                tuple(keys),
                entry.uncertain.correlation or 0.0,
                low=low,
            )
        )
    _check_groups(tuple(result))
    return tuple(result)


def kind_of(key: str) -> Kind:
    """Whether a key is a target, a price, or part of the law."""
    if key.startswith(PRICES):
        return "price"
    return "target" if _TARGETS.fullmatch(key) else "law"


def _name(item: Input) -> str:
    return item.evidence or item.path


def _label(keys: list[str]) -> str:
    return keys[0] + (f" (and {len(keys) - 1} more)" if len(keys) > 1 else "")


def _of_scenario(spec: Scenario, members: list[Input]) -> UncertainInput:
    first, keys = members[0], [item.path for item in members]
    value = first.value
    assert isinstance(value, Value | Between)
    assert value.uncertain is not None
    ranges = [range_of(spec, key) for key in keys]
    wholes = {name: number for key in keys if (number := number_or_none(spec, name := whole_of(key))) is not None}
    parts = [number for key in keys if (number := number_or_none(spec, part_of(key))) is not None]
    low = max([*(low for low, _, _ in ranges), *(float(part) for part in parts if part.uncertain is None)])
    high = min([*(high for _, high, _ in ranges), *(float(whole) for whole in wholes.values() if whole.uncertain is None)])
    return UncertainInput(
        keys[0],
        value,
        value.uncertain,
        first.unit,
        kind_of(keys[0]),
        value.uncertain.group or "",
        first.evidence,
        _label(keys),
        tuple(keys),
        value.uncertain.correlation or 0.0,
        low,
        high,
        any(whole for _, _, whole in ranges),
        tuple(key for key, whole in wholes.items() if whole.uncertain is not None),
        table_of_shares(keys[0]),
    )


def limits_of(scenario: ResolvedScenario, item: UncertainInput) -> tuple[float, float]:
    """Central 95% of an input while all others stay as they are: a part no more than its whole, nor a whole less."""
    wholes = [number_or_none(scenario.spec, key) for key in item.wholes]
    parts = [number_or_none(scenario.spec, part_of(key)) for key in item.keys]
    low, high = item.marginal.interval95(min([item.high, *(float(whole) for whole in wholes if whole is not None)]))
    least = max([item.low, *(float(part) for part in parts if part is not None)])
    return max(low, least), max(high, least)


def _check_groups(found: tuple[UncertainInput, ...]) -> None:
    stated: dict[str, UncertainInput] = {}
    problems = []
    for item in found:
        first = stated.setdefault(item.group, item)
        if item.group and item.correlation != first.correlation:
            message = f"group '{item.group}' has correlation {first.correlation:g} at {first.key}, {item.correlation:g} here"
            problems.append(Problem(message, "", item.key, "one correlation for all of a group"))
    if problems:
        raise InputError(problems)
