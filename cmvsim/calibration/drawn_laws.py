"""Laws that are not known, put into the scenario on which a target was solved: what a draw of them means for the target.

A target was measured in patients who followed the true law, whatever it is. If the law is drawn, the hazards under which that
law shows the target are others; an input that the scenario states otherwise than its basis does is no part of what the target
was measured under, and stays as it is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from cmvsim.core.value import Between, Value
from cmvsim.models.cmv import TargetSpec
from cmvsim.scenarios.scenario import Scenario

SECTIONS = ("population", "kinetics", "toxicity", "virome", "cmv", "monitoring", "preemptive_therapy", "follow_up")
"""Parts of a scenario that bear on when CMV comes, how high it is and when it is seen."""
_SOLVED = {"cmv": ("targets", "checks"), "follow_up": ("death_by_90", "non_relapse_mortality_by_90")}
"""What hazards are solved on, which is no law."""


def with_laws(basis: Scenario, own: Scenario, new: Scenario) -> Scenario:
    """The basis with every law that differs between two scenarios, at the same key.

    Parameters
    ----------
    basis
        Scenario on which the onset hazard is solved.
    own, new
        A scenario and what :func:`cmvsim.scenarios.vary.vary` made of it. Where the basis does not state what `own` does, it
        keeps its own number: the scenario differs from it on purpose.

    Returns
    -------
    Scenario
        With the targets of the basis; `basis` itself if no law that bears on them differs.
    """
    changed = {}
    for name in SECTIONS:
        there, was, now = (getattr(spec, name) for spec in (basis, own, new))
        merged = there if now is was else _merged(there, was, now, _SOLVED.get(name, ()))
        if merged is not there:
            try:
                changed[name] = type(there).model_validate(
                    {field: getattr(merged, field) for field in type(there).model_fields}
                )
            except ValidationError:  # shares of another mix, say, which add up to 1 here and not there
                continue
    return basis.model_copy(update=changed) if changed else basis


def measurement(spec: Scenario) -> tuple[TargetSpec, ...]:
    """How targets are measured, whatever their values."""
    fixed = {"value": Value(value=0.5), "published": None}
    return tuple(target.model_copy(update=fixed) for target in spec.cmv.targets)


def _merged(there: Any, was: Any, now: Any, left: tuple[str, ...] = ()) -> Any:
    """`there` with what differs between `was` and `now`; itself where nothing does."""
    if now is was or type(there) is not type(was) or type(now) is not type(was):
        return there
    if isinstance(was, Value | Between) or not isinstance(was, BaseModel | Mapping | tuple):
        return now if not _same(was, now) and _same(there, was) else there
    if isinstance(was, BaseModel):
        names = [name for name in type(was).model_fields if name not in left]
        parts = {name: _merged(getattr(there, name), getattr(was, name), getattr(now, name)) for name in names}
        moved = {name: part for name, part in parts.items() if part is not getattr(there, name)}
        return there.model_copy(update=moved) if moved else there
    if isinstance(was, Mapping):
        items = {key: _merged(item, was[key], now[key]) if key in was and key in now else item for key, item in there.items()}
        return items if any(items[key] is not there[key] for key in items) else there
    if not len(there) == len(was) == len(now):
        return there
    row = tuple(_merged(*items) for items in zip(there, was, now, strict=True))
    return row if any(a is not b for a, b in zip(row, there, strict=True)) else there


def _same(a: Any, b: Any) -> bool:
    """Whether two leaves are the same number, wherever it comes from."""
    if isinstance(a, Value) and isinstance(b, Value):
        return a.value == b.value
    if isinstance(a, Between) and isinstance(b, Between):
        return (a.law, a.centre, a.spread) == (b.law, b.centre, b.spread)
    return bool(a == b)
