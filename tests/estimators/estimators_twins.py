"""Plain-Python twins of the compiled kernels, written from the definitions, one time at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass
class Twin:
    estimate: float
    variance: float
    survival: float
    events: int
    n: int
    at_risk: dict[float, float]


def _rows(time, cause, entry, weight):
    for i, (t, k) in enumerate(zip(time, cause, strict=True)):
        start = -math.inf if entry is None else entry[i]
        w = 1.0 if weight is None else weight[i]
        if k >= 0 and not math.isnan(t) and start < t and w > 0:
            yield t, k, start, w


def incidence_twin(time, cause, horizon, variance, *, event=1, entry=None, weight=None) -> Twin:
    """Aalen-Johansen by the textbook: product integral first, then the closed formula of each variance."""
    rows = list(_rows(time, cause, entry, weight))
    steps = []
    F, S = 0.0, 1.0
    for t in sorted({t for t, k, _, _ in rows if k > 0 and t <= horizon}):
        Y = sum(w for u, _, start, w in rows if start < t <= u)
        d1 = sum(w for u, k, _, w in rows if u == t and k == event)
        d2 = sum(w for u, k, _, w in rows if u == t and k > 0 and k != event)
        stays = any(start < t <= u and not (u == t and k > 0) for u, k, start, _ in rows)
        before = S
        F += S * d1 / Y
        S = S * (Y - d1 - d2) / Y if stays else 0.0
        steps.append((t, Y, d1, d2, before, S, F))
    remaining = [(F - f) / s if s > 0 else 0.0 for *_, s, f in steps]
    if variance == "aalen":
        total = _aalen(steps, remaining)
    elif variance == "greenwood":
        total = _greenwood(steps, remaining)
    else:
        total = _jackknife(rows, steps, remaining, event, horizon)
    events = sum(1 for t, k, _, _ in rows if k == event and t <= horizon)
    return Twin(F, total, S, events, len(rows), {t: Y for t, Y, *_ in steps})


def _aalen(steps, remaining):
    total = 0.0
    for (_, Y, d1, d2, before, _, _), c in zip(steps, remaining, strict=True):
        for d, factor in ((d1, (1 - c) ** 2), (d2, c**2)):
            tie = 1 - (d - 1) / (Y - 1) if d > 1 else 1.0
            total += before**2 * d / Y**2 * tie * factor
    return total


def _greenwood(steps, remaining):
    total = 0.0
    for (_, Y, d1, d2, before, _, _), c in zip(steps, remaining, strict=True):
        a1, a2 = d1 / Y, d2 / Y
        spread = a1 * (1 - a1) * (1 - c) ** 2 + a2 * (1 - a2) * c**2 + 2 * a1 * a2 * (1 - c) * c
        total += before**2 / Y * spread
    return total


def _jackknife(rows, steps, remaining, event, horizon):
    """Each patient's influence: own jump minus the share of every jump made while at risk."""
    total = 0.0
    for exit_, k, start, w in rows:
        influence = 0.0
        for (t, Y, d1, d2, before, _, _), c in zip(steps, remaining, strict=True):
            if not start < t <= exit_:
                continue
            own1 = 1.0 if t == exit_ and k == event else 0.0
            own2 = 1.0 if t == exit_ and k > 0 and k != event else 0.0
            influence += before / Y * ((own1 - d1 / Y) * (1 - c) - (own2 - d2 / Y) * c)
        total += (w * influence) ** 2
    return total


def greenwood_twin(time, event, horizon) -> tuple[float, float]:
    """Kaplan-Meier and Greenwood's variance."""
    S, total = 1.0, 0.0
    for t in sorted({t for t, e in zip(time, event, strict=True) if e and t <= horizon}):
        Y = sum(u >= t for u in time)
        d = sum(1 for u, e in zip(time, event, strict=True) if u == t and e)
        S *= (Y - d) / Y
        total += d / (Y * (Y - d)) if d < Y else 0.0
    return S, S * S * total


def effective_size_twin(time, cause, horizon, weight=None) -> float:
    """Kish's size of the known outcomes, weighted by 1 / P(uncensored just before them)."""
    weight = [1.0] * len(time) if weight is None else weight
    rows = list(_rows(time, cause, None, weight))
    values = []
    for t, k, _, w in rows:
        known = (k > 0 and t <= horizon) or t >= horizon
        if not known:
            continue
        until = min(t, horizon)
        G = 1.0
        for u in sorted({u for u, j, _, _ in rows if j == 0 and u < until}):
            Y = sum(v for x, j, _, v in rows if x > u or (x == u and j == 0))
            G *= 1 - sum(v for x, j, _, v in rows if x == u and j == 0) / Y
        values.append(w / G)
    return sum(values) ** 2 / sum(v * v for v in values) if values else 0.0


def person_time_twin(time, cause, entry, horizon) -> float:
    """Effective size under late entry: shares observed of the time from first entry to horizon, summed."""
    rows = list(_rows(time, cause, entry, None))
    first = min(start for _, _, start, _ in rows)
    if first >= horizon:
        return 0.0
    shares = []
    for t, k, start, _ in rows:
        last = horizon if k > 0 or t > horizon else t
        shares.append(max(last - start, 0.0) / (horizon - first))
    return sum(shares)
