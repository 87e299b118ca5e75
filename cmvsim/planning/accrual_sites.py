"""The smallest number of sites that enrols all patients in time with a given probability."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmvsim.core.records import FloatArray, Measure
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.models.accrual import MOST_SITES, open_sites
from cmvsim.montecarlo.mcse import wilson_se
from cmvsim.planning.accrual import AccrualQuestion, Tick, chunk_draws, closed_forms, recruited, why_different
from cmvsim.planning.question import Point
from cmvsim.scenarios.scenario import Scenario

CONFIRMED_WITHIN = 0.01
_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class SitesAnswer:
    """The number of sites that was looked for.

    Attributes
    ----------
    n
        Patients of the study.
    sites
        The number of sites: `found`, moved up where the confirmation asked for it. None if not reached.
    found, ci_low, ci_high
        Smallest number of the search, and its 95% interval (Monte Carlo error only).
    by_group
        The sites by group.
    status
        "confirmed", "not confirmed" or "not reached".
    confirmation
        The probability with one site fewer, with these, and with one more, on new streams; `n` of a point is the number of
        sites.
    """

    criterion: dict[str, Any]
    n: int
    sites: int | None
    found: int | None
    ci_low: int | None
    ci_high: int | None
    by_group: dict[str, int]
    status: str
    confirmation: tuple[Point, ...]
    closed_form: dict[str, Any]
    why_different: tuple[str, ...]


def site_order(counts: Mapping[str, int], total: int) -> tuple[str, ...]:
    """Groups in the order in which sites are added: always nearest to the proportions of `counts`.

    Notes
    -----
    The divisor method of Sainte-Laguë: the next site goes to the group with the largest count / (2 k + 1), k being the sites
    it has. Adding a site takes none away, so every step is a larger set of the same sites.
    """
    have = dict.fromkeys(counts, 0)
    order = []
    for _ in range(total):
        name = max(counts, key=lambda g: counts[g] / (2 * have[g] + 1))
        have[name] += 1
        order.append(name)
    return tuple(order)


def probabilities(scenario: Scenario, question: AccrualQuestion, total: int, tick: Tick, role: Role = Role.STUDY) -> FloatArray:
    """Share of simulated studies that enrol all in time with 1, 2, ... `total` sites: (total,), never decreasing.

    The last patient is enrolled in time when the sites' cumulative rate by then reaches the sum of the patients' standard
    exponentials: no enrolment day is needed. Sites are the same from one number to the next.
    """
    law, population = scenario.accrual, scenario.population
    order = site_order(law.counts(population), total)
    counts = {name: order.count(name) for name in law.counts(population) if name in order}
    first = dict(zip(counts, np.cumsum([0, *counts.values()])[:-1].tolist(), strict=True))
    columns = []
    for name in order:
        columns.append(first[name])
        first[name] += 1
    assert question.by is not None
    day, met = min(question.by, law.closing_day), np.zeros(total)
    for start in range(0, question.replicates, CHUNK_REPLICATES):
        size = min(CHUNK_REPLICATES, question.replicates - start)
        draws = chunk_draws(scenario, question.sizes[-1], question.seed, start // CHUNK_REPLICATES, role)
        needed = draws("accrual.arrival").reshape(draws.patients, draws.replicates).cumsum(axis=0)[-1, :size]
        reached = open_sites(law, counts, draws).cumulative_rate(day)[:size, columns].cumsum(axis=1)
        met += np.count_nonzero(reached >= needed[:, None], axis=0)
        tick(start + size, question.replicates)
    return met / question.replicates


def smallest_sites(scenario: Scenario, question: AccrualQuestion, tick: Tick) -> SitesAnswer:
    """Search the number of sites for the largest size, and confirm it on new streams."""
    wanted = question.probability
    assert wanted is not None
    closed = _closed(scenario, question)
    total = min(MOST_SITES, 2 * (closed["sites"] or 0) + 20)
    share = probabilities(scenario, question, total, tick)
    # the interval's upper end must be on the grid too
    while share[-1] - _Z * wilson_se(float(share[-1]), question.replicates) < wanted and total < MOST_SITES:
        total = min(MOST_SITES, 2 * total)
        share = probabilities(scenario, question, total, tick)
    errors = np.array([wilson_se(float(p), question.replicates) for p in share])
    found, low, high = (_first(values >= wanted) for values in (share, share + _Z * errors, share - _Z * errors))
    status, sites = "not reached", found
    points: tuple[Point, ...] = ()
    if found is not None:
        sites, points, confirmed = _confirm(scenario, question, found, tick)
        status = "confirmed" if confirmed else "not confirmed"
    counts = scenario.accrual.counts(scenario.population)
    order = site_order(counts, sites or 0)
    return SitesAnswer(
        criterion={"measure": Measure.P_ENROLLED_BY.value, "by": question.by, "probability": wanted},
        n=question.sizes[-1],
        sites=sites,
        found=found,
        ci_low=low,
        ci_high=high,
        by_group={name: order.count(name) for name in counts},
        status=status,
        confirmation=points,
        closed_form=closed,
        why_different=why_different(scenario),
    )


def _first(met: Any) -> int | None:
    """Number of sites of the first place that is met."""
    places = np.flatnonzero(met)
    return int(places[0]) + 1 if places.size else None


def _confirm(scenario: Scenario, question: AccrualQuestion, sites: int, tick: Tick) -> tuple[int, tuple[Point, ...], bool]:
    """The probability on new streams: the number of sites is moved up while a shortfall of a point cannot be excluded."""
    assert question.probability is not None
    top = min(MOST_SITES, sites + max(10, sites // 5))
    share = probabilities(scenario, question, top + 1, tick, Role.CONFIRMATION)
    errors = [wilson_se(float(p), question.replicates) for p in share]
    enough = [float(p) - _Z * error > question.probability - CONFIRMED_WITHIN for p, error in zip(share, errors, strict=True)]
    sites = next((k for k in range(sites, top + 1) if enough[k - 1]), sites)
    points = tuple(Point(k, float(share[k - 1]), errors[k - 1]) for k in (sites - 1, sites, sites + 1) if k >= 1)
    return sites, points, enough[sites - 1]


def _closed(scenario: Scenario, question: AccrualQuestion) -> dict[str, Any]:
    """Sites of the constant-rate closed form: all open from the first day, groups in proportion."""
    assert question.by is not None
    assert question.probability is not None
    law, counts = closed_forms(scenario)["poisson"], scenario.accrual.counts(scenario.population)
    patients = recruited(scenario, question.sizes[-1])
    day, have = min(question.by, scenario.accrual.closing_day), sum(counts.values())
    # the time scales with the rate: as many times the sites as the time is too long
    needed = have * law.time_quantile(patients, question.probability) / day if day > 0 else math.inf
    sites = math.ceil(needed - 1e-9) if needed <= MOST_SITES else None
    return {"name": "Poisson with all sites open from the first day", "sites": sites}
