"""The decision table: incremental cost-effectiveness ratios along the efficiency frontier, dominance, extended dominance.

Strategies in order of cost. A strategy is dominated (D) when another costs no more and is no less effective; extendedly
dominated (ED) when a mixture of two others is cheaper and as effective, which shows as ratios that fall along the frontier;
the others are the frontier (ND), each with its ratio to the one before it.

Ties, by one rule everywhere: of strategies with equal cost and equal effect the one named first stays and the others are
dominated; of equal cost the more effective stays; of equal effect the cheaper; a strategy that lies exactly on the line between
its neighbours stays (its ratio equals the next).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike


class Dominance(StrEnum):
    """Where a strategy stands."""

    FRONTIER = "ND"
    EXTENDED = "ED"
    DOMINATED = "D"


@dataclass(frozen=True, slots=True)
class FrontierRow:
    """One strategy of the decision table.

    Attributes
    ----------
    increment_cost, increment_effect, icer
        Against `against`; None where the strategy is not on the frontier or is its first.
    against
        The strategy before it on the frontier.
    dominated_by
        One strategy, or the two whose mixture is better; empty on the frontier.
    """

    strategy: str
    cost: float
    effect: float
    status: Dominance
    increment_cost: float | None = None
    increment_effect: float | None = None
    icer: float | None = None
    against: str = ""
    dominated_by: tuple[str, ...] = ()


def frontier(names: Sequence[str], cost: ArrayLike, effect: ArrayLike) -> tuple[FrontierRow, ...]:
    """The decision table, in order of cost.

    Parameters
    ----------
    names
        Of the strategies, all different.
    cost, effect
        (strategies,) expected cost and effect, finite.

    Raises
    ------
    ValueError
        If lengths differ, a name comes twice or a number is not finite.
    """
    costs, effects = np.asarray(cost, dtype=np.float64), np.asarray(effect, dtype=np.float64)
    if costs.shape != (len(names),) or effects.shape != (len(names),) or len(set(names)) != len(names) or not names:
        raise ValueError("names, cost and effect are of one length, and names differ")
    if not (np.isfinite(costs).all() and np.isfinite(effects).all()):
        raise ValueError("cost and effect are finite")
    order = sorted(range(len(names)), key=lambda k: (costs[k], -effects[k], k))
    candidates: list[int] = []
    dominated: dict[int, tuple[int, ...]] = {}
    for k in order:
        if candidates and effects[k] <= effects[candidates[-1]]:
            dominated[k] = (candidates[-1],)
        else:
            candidates.append(k)
    efficient: list[int] = []
    for k in candidates:
        while len(efficient) > 1 and _falls(efficient[-2], efficient[-1], k, costs, effects):
            efficient.pop()
        efficient.append(k)
    rows = []
    for k in order:
        if k in dominated:
            rows.append(_row(k, names, costs, effects, Dominance.DOMINATED, by=dominated[k]))
        elif k not in efficient:
            after = next(place for place, other in enumerate(efficient) if costs[other] > costs[k])
            rows.append(_row(k, names, costs, effects, Dominance.EXTENDED, by=tuple(efficient[after - 1 : after + 1])))
        else:
            place = efficient.index(k)
            rows.append(_row(k, names, costs, effects, Dominance.FRONTIER, before=efficient[place - 1] if place else None))
    return tuple(rows)


def efficient(rows: Sequence[FrontierRow]) -> tuple[FrontierRow, ...]:
    """The rows on the frontier."""
    return tuple(row for row in rows if row.status is Dominance.FRONTIER)


def _falls(a: int, b: int, c: int, cost: np.ndarray, effect: np.ndarray) -> bool:
    """Whether the ratio from b to c is smaller than that from a to b; products, because effects may be nearly equal."""
    return bool((cost[c] - cost[b]) * (effect[b] - effect[a]) < (cost[b] - cost[a]) * (effect[c] - effect[b]))


def _row(
    k: int,
    names: Sequence[str],
    cost: np.ndarray,
    effect: np.ndarray,
    status: Dominance,
    *,
    before: int | None = None,
    by: tuple[int, ...] = (),
) -> FrontierRow:
    own = (names[k], float(cost[k]), float(effect[k]), status)
    if before is None:
        return FrontierRow(*own, dominated_by=tuple(names[other] for other in by))
    more, gain = float(cost[k] - cost[before]), float(effect[k] - effect[before])
    return FrontierRow(*own, more, gain, more / gain, names[before])
