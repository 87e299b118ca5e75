"""Numbers of a scenario that are tied to each other: shares that add up to 1, and parts that are no more than the whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from cmvsim.core.errors import InputError
from cmvsim.core.value import Value
from cmvsim.scenarios.key_paths import at
from cmvsim.scenarios.scenario import Scenario

_SHARES = (
    re.compile(r"(preemptive_therapy\.first_line)\.\w+"),
    re.compile(r"(cmv\.disease\.organs)\.\w+"),
    re.compile(r"(population\.strata\.\w+\.products)\.\w+"),
    re.compile(r"(population\.strata)\.\w+\.share"),
)
_PARTS = (
    ("follow_up.non_relapse_mortality_by_90.", "follow_up.death_by_90."),
    ("resistance.aciclovir.ul54", "resistance.aciclovir.change"),
    ("toxicity.crs.severe.", "toxicity.crs.any."),
    ("toxicity.icans.severe.", "toxicity.icans.any."),
)
"""Beginnings of the keys of parts, and of their wholes."""
_OF_ONE_RANK = ("resistance.aciclovir.ul54",)
"""Parts that are drawn at the rank of their whole: both are rare and hardly known, so that a part drawn by itself and then kept
below its whole would lose most of its mean."""


@lru_cache(maxsize=8192)
def table_of_shares(key: str) -> str:
    """The table whose shares add up to 1 and to which a key belongs; empty if none."""
    return next((found[1] for pattern in _SHARES if (found := pattern.fullmatch(key))), "")


def whole_of(key: str) -> str:
    """The key of the whole that a key is a part of; empty if none."""
    return next((whole + key.removeprefix(part) for part, whole in _PARTS if key.startswith(part)), "")


def of_one_rank(key: str) -> bool:
    """Whether a part is drawn at the same rank of its distribution as its whole."""
    return key in _OF_ONE_RANK


def part_of(key: str) -> str:
    """The key of the part of which a key is the whole; empty if none."""
    return next((part + key.removeprefix(whole) for part, whole in _PARTS if key.startswith(whole)), "")


def number_or_none(spec: Scenario, key: str) -> Value | None:
    """The value at a key, if a value stands there."""
    try:
        found = at(spec, key) if key else None
    except InputError:
        return None
    return found if isinstance(found, Value) else None


def shares(spec: Scenario, table: str) -> dict[str, float]:
    """The shares of a table by key."""
    members = at(spec, table)
    suffix = ".share" if table == "population.strata" else ""
    return {f"{table}.{name}{suffix}": float(at(spec, f"{table}.{name}{suffix}")) for name in members}


def completed(spec: Scenario, changes: Mapping[str, float]) -> dict[str, float]:
    """Changes, with what they entail for the other shares of a table.

    The shares that were not changed divide among them, in their old proportions, what those changed leave. Where all were
    changed, or they leave nothing, they are scaled to add up to 1.
    """
    found = dict(changes)
    for table in {table_of_shares(key) for key in changes} - {""}:
        now = shares(spec, table)
        changed = {key: found[key] for key in now if key in found}
        rest = {key: value for key, value in now.items() if key not in found}
        taken, left = sum(changed.values()), sum(rest.values())
        if abs(taken + left - 1) < 1e-12:
            continue
        if left > 0 and taken <= 1:
            found.update({key: value * (1 - taken) / left for key, value in rest.items()})
        elif taken > 0:
            found.update({key: value / taken for key, value in changed.items()}, **dict.fromkeys(rest, 0.0))
    return found
