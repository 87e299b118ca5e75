"""Queues against formulas and recursions: laboratory (M/D/1, M/M/c, batches), slots (Lindley), beds (Erlang B, M/G/inf)."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from fractions import Fraction

import numpy as np
import pytest
from simpy.events import Event

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role
from cmvsim.models.capacity import BedsSpec
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.programme.beds import BedUse, use_of_beds
from cmvsim.simulation.programme.calendar import Calendar, Rank
from cmvsim.simulation.programme.infusions import Slots
from cmvsim.simulation.programme.laboratory import SharedLaboratory, Specimen, Timetable
from cmvsim.simulation.programme.others import Others, poisson_quantile

ALWAYS = Timetable(frozenset(range(7)))
BATCHES = 30
K = 4.0
"""Tolerance in Monte Carlo standard errors."""


def waits(arrivals: FloatArray, duration: Callable[[], float], analysers: int) -> FloatArray:
    """Days that samples wait for an analyser, one sample a run, always open."""
    calendar = Calendar()
    laboratory = SharedLaboratory(calendar, ALWAYS, 0, duration, analysers=analysers, batch=1)
    return _waits(calendar, laboratory, arrivals)[0]


def _waits(calendar: Calendar, laboratory: SharedLaboratory, arrivals: FloatArray) -> tuple[FloatArray, FloatArray]:
    specimens = [Specimen(float(time), lambda _: None) for time in arrivals]

    def arrive() -> Generator[Event, None, None]:
        for number, specimen in enumerate(specimens):
            yield calendar.until(specimen.received, Rank.RECEIPT, number)
            laboratory.receive(specimen)

    calendar.process(arrive())
    calendar.run_out()
    started = np.array([specimen.started for specimen in specimens])
    return started - arrivals, np.array([specimen.reported for specimen in specimens])


def batch_means(values: FloatArray) -> tuple[float, float]:
    """Mean without the first twentieth, and its standard error from batch means."""
    kept = values[values.size // 20 :]
    means = np.array([batch.mean() for batch in np.array_split(kept, BATCHES)])
    return float(kept.mean()), float(means.std(ddof=1) / math.sqrt(BATCHES))


def erlang_b(servers: int, offered: float) -> float:
    """Share of arrivals that find all servers busy and leave."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked


def erlang_c(servers: int, offered: float) -> float:
    """Share of arrivals that wait."""
    blocked = erlang_b(servers, offered)
    return blocked / (1 - offered / servers * (1 - blocked))


def pollaczek_khinchine(load: float, service: float, squared_variation: float) -> float:
    """Mean wait of M/G/1."""
    return load * service * (1 + squared_variation) / (2 * (1 - load))


def test_one_analyser_with_runs_of_fixed_length_is_m_d_1() -> None:
    load, service = 0.7, 0.02
    arrivals = np.cumsum(np.random.default_rng(1).standard_exponential(40_000)) * service / load
    mean, se = batch_means(waits(arrivals, lambda: service, 1))
    assert abs(mean - pollaczek_khinchine(load, service, 0.0)) < K * se
    assert abs(mean - pollaczek_khinchine(load, service, 1.0)) > 2 * K * se  # M/M/1 waits twice as long


def test_several_analysers_with_exponential_runs_are_m_m_c() -> None:
    servers, load, service = 3, 0.75, 0.05
    rng = np.random.default_rng(2)
    arrivals = np.cumsum(rng.standard_exponential(40_000)) * service / (servers * load)
    lengths = iter(rng.standard_exponential(arrivals.size) * service)
    found = waits(arrivals, lambda: next(lengths), servers)
    mean, se = batch_means(found)
    delayed, delayed_se = batch_means((found > 0).astype(float))
    wait = erlang_c(servers, servers * load)
    assert abs(mean - wait * service / (servers * (1 - load))) < K * se
    assert abs(delayed - wait) < K * delayed_se
    # one analyser that is three times as fast makes more samples wait; without variation each waits about half as long
    assert abs(delayed - load) > 2 * K * delayed_se
    assert abs(mean - wait * service / (servers * (1 - load)) / 2) > K * se


def timetable_by_hand(
    arrivals: FloatArray, open_days: set[int], hours: tuple[float, ...], batch: float, run: float, last: int
) -> FloatArray:
    """Reported times, run by run: at each time of an opening day the oldest, if the analyser is free."""
    reported = np.full(arrivals.shape, np.nan)
    first, busy_until = 0, -math.inf
    for day in range(last):
        for hour in hours if day % 7 in open_days else ():
            now = day + hour
            here = int(np.searchsorted(arrivals, now, side="right"))
            if now < busy_until or here == first:
                continue
            upto = min(here, first + batch)
            reported[first : int(upto)] = now + run
            first, busy_until = int(upto), now + run
    return reported


@pytest.mark.parametrize(
    ("hours", "batch", "run"),
    [((14 / 24,), math.inf, 5 / 24), ((0.375, 0.75), 6, 0.25), ((0.375, 0.5, 0.75), 9, 0.25)],
)
def test_batches_on_opening_days_against_run_by_run_enumeration(hours: tuple[float, ...], batch: float, run: float) -> None:
    arrivals = np.sort(np.random.default_rng(3).uniform(0, 400, 3_000))
    arrivals[::50] = np.sort(np.floor(arrivals[::50]) + hours[0])  # received at the very cut-off
    arrivals.sort()
    calendar = Calendar()
    laboratory = SharedLaboratory(calendar, Timetable(frozenset({0, 1, 2, 3, 4}), hours), 0, lambda: run, batch=batch)
    _, reported = _waits(calendar, laboratory, arrivals)
    np.testing.assert_array_equal(reported, timetable_by_hand(arrivals, {0, 1, 2, 3, 4}, hours, batch, run, 3_000))


def test_an_open_laboratory_without_timetable_closes_at_weekends() -> None:
    arrivals = np.array([4.5, 5.25, 6.75])  # Friday noon, Saturday, Sunday
    calendar = Calendar()
    laboratory = SharedLaboratory(calendar, Timetable(frozenset({0, 1, 2, 3, 4})), 0, lambda: 0.125, batch=2)
    _, reported = _waits(calendar, laboratory, arrivals)
    assert reported.tolist() == [4.625, 7.125, 7.125]
    queue = laboratory.queue.steps
    assert queue.at(np.array([4.5, 5.0, 5.25, 6.9, 7.0])).tolist() == [0, 0, 1, 2, 0]
    assert queue.means(np.array([5.0, 7.0])).tolist() == [(1.5 * 1 + 0.25 * 2) / 2]


@pytest.mark.parametrize("per_week", [0.5, 1.0, 2.5, 3.0, 8.0])
def test_slots_follow_lindleys_recursion(per_week: float) -> None:
    """In numbers of slots: who comes k-th takes max(one after the last taken, the first on or after being ready)."""
    ready = np.sort(np.random.default_rng(4).uniform(0, 120 * 7 / per_week, 110))
    numbers = range(int(per_week * 3 * ready[-1] / 7) + 200)
    weeks = [Fraction(j) / Fraction(per_week) for j in numbers]
    days = [7 * math.floor(week) + math.floor(5 * (week % 1)) for week in weeks]
    slots, last = Slots(per_week), -1
    for time in ready:
        last = max(last + 1, next(j for j in numbers if days[j] >= time))
        assert slots.take(float(time)) == days[last]
    assert all(day % 7 < 5 for day in days)


def test_without_a_limit_the_infusion_is_on_the_next_morning() -> None:
    slots = Slots(None)
    assert [slots.take(time) for time in (3.0, 3.2, 3.2)] == [3, 4, 4]


# Beds -----------------------------------------------------------------------------------------------------------------


def random_stays(seed: int, number: int, offered: float, stay: float) -> list[tuple[int, float, float]]:
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.standard_exponential(number)) * stay / offered
    return [(k, t, t + s) for k, (t, s) in enumerate(zip(arrivals, stay * rng.standard_exponential(number), strict=True))]


def dedicated(unit: str, beds: int, stays: list[tuple[int, float, float]]) -> BedUse:
    spec = BedsSpec.parse({"beds": beds, "others": 0})
    return use_of_beds(unit, spec, stays, Others(ChunkDraws(1, Role.STUDY, 0, 1, 1), 0), 0)  # type: ignore[arg-type]


def test_intensive_care_that_turns_away_is_erlang_b() -> None:
    beds, offered = 8, 6.5
    use = dedicated("icu", beds, random_stays(5, 30_000, offered, 6.0))
    refused = np.isnan(use.admitted).astype(float)
    mean, se = batch_means(refused)
    assert abs(mean - erlang_b(beds, offered)) < K * se
    assert abs(mean - erlang_c(beds, offered)) > 2 * K * se
    assert use.refused == refused.sum()
    assert np.nanmax(use.wait) == 0
    assert use.occupied.values.max() == beds


def test_a_ward_whose_patients_wait_until_their_need_is_over() -> None:
    """Who needs a bed is M/G/inf, so Poisson; a bed is never free while somebody waits, so taken is min(Poisson, beds)."""
    beds, offered = 20, 18.0
    use = dedicated("ward", beds, random_stays(6, 20_000, offered, 14.0))
    np.testing.assert_array_equal(use.occupied.at(use.asking.times), np.minimum(use.asking.values, beds))
    edges = np.linspace(*(float(use.wanted[k]) for k in (1_000, -1)), BATCHES + 1)
    k = np.arange(200)
    weights = np.exp(k * math.log(offered) - offered - np.array([math.lgamma(n + 1) for n in k]))
    for steps, truth in ((use.asking, offered), (use.occupied, float((np.minimum(k, beds) * weights).sum()))):
        means = steps.means(edges)
        assert abs(means.mean() - truth) < K * means.std(ddof=1) / math.sqrt(BATCHES)
    assert abs(use.occupied.means(edges).mean() - offered) > K * use.occupied.means(edges).std() / math.sqrt(BATCHES)
    admitted = ~np.isnan(use.admitted)
    assert (use.wait[admitted] >= 0).all()
    assert (use.admitted[admitted] < use.until[admitted]).all()
    assert 0 < use.refused < 0.1 * admitted.size


def test_other_patients_take_as_many_beds_as_is_said() -> None:
    spec = BedsSpec.parse({"beds": 100, "others": 7.5, "other_stay": 4})
    use = use_of_beds("icu", spec, [(0, 0.0, 3_000.0)], Others(ChunkDraws(2, Role.STUDY, 0, 1, 1), 0), 0)
    means = use.occupied.means(np.linspace(0, 3_000, BATCHES + 1)) - use.of_study.means(np.linspace(0, 3_000, BATCHES + 1))
    se = means.std(ddof=1) / math.sqrt(BATCHES)
    assert abs(means.mean() - 7.5) < K * se
    assert K * se < 0.75


def test_poisson_numbers_are_the_inverse_distribution() -> None:
    from scipy import stats

    for mean in (0.3, 4.0, 33.0, 480.0):
        u = np.linspace(0.0005, 0.9995, 400)
        assert [poisson_quantile(float(x), mean) for x in u] == stats.poisson.ppf(u, mean).astype(int).tolist()
    assert poisson_quantile(0.5, 900.0) == pytest.approx(900, abs=1)
