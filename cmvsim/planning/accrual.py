"""Forecast of recruitment: how long it takes to enrol the patients, and how many candidates are screened for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cmvsim.core.records import FloatArray, Measure, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.designs.closed_forms.accrual import Accrual, PoissonAccrual, PoissonGammaAccrual
from cmvsim.models.accrual import Enrolment, enrol
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.mcse import Summary
from cmvsim.planning.characteristics import Row
from cmvsim.scenarios.scenario import Scenario
from cmvsim.simulation.draws import ChunkDraws

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
"""Quantiles reported: the median, and the ends of the 80% and 95% prediction intervals."""
SIMULATION = "simulation"
CURVE_POINTS = 120
STEPS = (1.0, 2.0, 7.0, 14.0, 28.0, 91.0, 182.0, 365.0)
"""Days between points of the enrolment curve."""
LONGEST = 4.0
"""The curve ends at this many times the median duration, where sites differ so much that some studies take far longer."""
Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class AccrualQuestion:
    """What is asked of recruitment.

    Attributes
    ----------
    sizes
        Patients of the study, ascending; those of the retrospective part need no recruitment.
    by
        Day from the start by which they are to be enrolled.
    probability
        With `by`: the smallest number of sites is sought that enrols all in time with this probability.
    programmes
        Studies that are simulated with all that their patients share, the first ones.
    """

    sizes: tuple[int, ...]
    by: float | None
    probability: float | None
    replicates: int
    seed: int
    programmes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """What goes into the request: everything that may change a number."""
        return {
            "sizes": list(self.sizes),
            "by": self.by,
            "probability": self.probability,
            "replicates": self.replicates,
            "programmes": self.programmes,
        }


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Recruitment on a day, of the largest size.

    Attributes
    ----------
    low95, low80, median, high80, high95
        Quantiles of the number enrolled.
    sites
        Mean number of sites open.
    poisson
        Mean of the closed form with all sites open from the first day, up to the size.
    """

    day: float
    mean: float
    low95: float
    low80: float
    median: float
    high80: float
    high95: float
    sites: float
    poisson: float

    def as_dict(self) -> dict[str, float]:
        """JSON-ready form."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is forecast.

    Attributes
    ----------
    curve
        Enrolment of the largest size over time.
    duration
        (R,) days to the last enrolment of the largest size; infinite where recruitment closed before.
    first
        Recruitment of the first chunk, at the largest size; replicate 0 is the example.
    """

    rows: tuple[Row, ...]
    curve: tuple[CurvePoint, ...]
    duration: FloatArray
    first: Enrolment


def recruited(scenario: Scenario, patients: int) -> int:
    """Patients of the prospective part, who have to be recruited."""
    return math.ceil(patients * (1 - float(scenario.population.retrospective_share)) - 1e-9)


def last_visit(scenario: Scenario) -> float:
    """Days from enrolment to the last planned visit."""
    return float(scenario.monitoring.days[-1]) - float(scenario.study.inclusion)


def chunk_draws(scenario: Scenario, patients: int, seed: int, chunk: int, role: Role = Role.STUDY) -> ChunkDraws:
    """Chance of a chunk at a size."""
    return ChunkDraws(seed, role, chunk, recruited(scenario, patients))


def enrolment_days(scenario: Scenario, patients: int, *, seed: int, replicate: int = 0) -> FloatArray:
    """Days from the start on which the patients of one simulated study are enrolled: (patients,), ascending.

    Infusion follows ``-study.inclusion`` days later. Infinite for patients whom recruitment does not reach before it closes.
    """
    chunk, row = divmod(replicate, CHUNK_REPLICATES)
    days: FloatArray = enrol(scenario.accrual, scenario.population, chunk_draws(scenario, patients, seed, chunk)).day[row]
    return days


def closed_forms(scenario: Scenario) -> dict[str, Accrual]:
    """Closed forms with all sites open from the first day, per day; the second only where sites differ."""
    law, population = scenario.accrual, scenario.population
    counts = law.counts(population)
    rates = tuple(law.rate(name) for name in counts)
    cvs = tuple(float(law.sites[name].between_sites_cv) for name in counts)
    found: dict[str, Accrual] = {"poisson": PoissonAccrual(sum(n * m for n, m in zip(counts.values(), rates, strict=True)))}
    if any(cvs):
        found["poisson_gamma"] = PoissonGammaAccrual.of_sites(tuple(counts.values()), rates, cvs)
    return found


def why_different(scenario: Scenario) -> tuple[str, ...]:
    """What the closed form with a constant rate does not know and this scenario has."""
    law, population = scenario.accrual, scenario.population
    groups = [law.sites[name] for name in law.active(population)]
    # one candidate per patient where nobody is turned away
    screens = any(population.screened_each(s) > 1 for s in population.strata.values() if float(s.share) > 0)
    reasons = (
        (
            any(g.activation.spread > 0 or g.activation.centre > 0 for g in groups),
            "sites open one after another, not all on the first day",
        ),
        (any(float(g.between_sites_cv) > 0 for g in groups), "sites recruit at different rates, which nobody knows beforehand"),
        (math.isfinite(law.closing_day), "recruitment ends on a date"),
        (
            screens or float(law.participation) < 1,
            "candidates are screened out, which costs serologies but no time: the rates are of eligible patients",
        ),
    )
    return tuple(text for holds, text in reasons if holds)


def forecast(scenario: Scenario, question: AccrualQuestion, tick: Tick) -> Forecast:
    """Simulate recruitment and describe it."""
    sizes, shape = question.sizes, (question.replicates, len(question.sizes))
    law, population = scenario.accrual, scenario.population
    at = [recruited(scenario, n) - 1 for n in sizes]
    groups = law.active(population)
    duration, screened = np.empty(shape), np.empty(shape)
    share = np.empty((*shape, len(groups)))
    grid: FloatArray = np.empty(0)
    enrolled = sites = np.empty((0, 0))
    first: Enrolment | None = None
    for start in range(0, question.replicates, CHUNK_REPLICATES):
        rows = slice(start, min(start + CHUNK_REPLICATES, question.replicates))
        one = enrol(law, population, chunk_draws(scenario, sizes[-1], question.seed, start // CHUNK_REPLICATES))
        if first is None:
            first, grid = one, curve_days(one.day[:, -1], deadlines(scenario, question))
            enrolled, sites = (np.empty((question.replicates, grid.size)) for _ in range(2))
        keep = slice(0, rows.stop - rows.start)
        duration[rows], screened[rows] = one.day[keep][:, at], one.screened[keep][:, at]
        for column, last in enumerate(at):
            chosen = one.group[keep, : last + 1]
            with np.errstate(invalid="ignore"):  # a study that enrolled nobody has no mix
                share[rows, column] = np.stack([(chosen == g).sum(axis=1) for g in range(len(groups))], axis=1) / (
                    (chosen >= 0).sum(axis=1, keepdims=True)
                )
        enrolled[rows] = _counts(one.day[keep], grid)
        sites[rows] = _counts(np.sort(one.sites.opens[keep], axis=1), grid)
        tick(rows.stop, question.replicates)
    assert first is not None
    found = [
        row
        for column, n in enumerate(sizes)
        for row in (
            *_simulated(scenario, question, n, duration[:, column], screened[:, column]),
            *_mix(n, groups, share[:, column]),
            *_closed(scenario, question, n),
        )
    ]
    found += _by(deadlines(scenario, question), sizes[-1], grid, enrolled, sites)
    return Forecast(tuple(found), _curve(scenario, sizes[-1], grid, enrolled, sites), duration[:, -1], first)


def curve_days(duration: FloatArray, asked: tuple[float, ...]) -> FloatArray:
    """Days of the enrolment curve: from 0 to about the longest recruitment of a chunk, days asked for included."""
    known = duration[np.isfinite(duration)]
    end = min(float(known.max()), LONGEST * float(np.median(known))) if known.size else 0.0
    end = max(end, *asked, 1.0)
    step = next((step for step in STEPS if end / step <= CURVE_POINTS), end / CURVE_POINTS)
    return np.union1d(np.arange(0.0, end + step, step), np.array(asked))


def _counts(times: FloatArray, grid: FloatArray) -> FloatArray:
    """How many of the sorted times (R, K) have passed on each day of the grid: (R, G)."""
    return np.stack([np.searchsorted(row, grid, side="right") for row in times]).astype(np.float64)


def _row(n: int, measure: Measure, summary: Summary, *, at: float = 0.0, estimator: str = SIMULATION, group: str = "") -> Row:
    return Row(n, "", group, "", estimator, "", measure.value, at, summary.value, summary.mcse, summary.n_ok, summary.n_failed)


def _simulated(
    scenario: Scenario, question: AccrualQuestion, n: int, duration: FloatArray, screened: FloatArray
) -> Iterator[Row]:
    ok = np.full(duration.shape, float(Status.OK))
    reached = np.isfinite(duration)
    # a study that recruitment left short has no duration; its being short counts in quantiles and probabilities
    yield _row(n, Measure.MEAN_DURATION, mcse.mean(duration, np.where(reached, ok, float(Status.NOT_ESTIMABLE))))
    for level in LEVELS:
        yield _row(n, Measure.DURATION_QUANTILE, mcse.quantile(duration, ok, level), at=level)
    for level in LEVELS:
        yield _row(n, Measure.LAST_VISIT_QUANTILE, mcse.quantile(duration + last_visit(scenario), ok, level), at=level)
    for day in deadlines(scenario, question):
        yield _row(n, Measure.P_ENROLLED_BY, mcse.proportion(duration <= day, ok), at=day)
    yield _row(n, Measure.EXPECTED_SCREENED, mcse.mean(screened, ok))
    for level in LEVELS:
        yield _row(n, Measure.SCREENED_QUANTILE, mcse.quantile(screened, ok, level), at=level)


def deadlines(scenario: Scenario, question: AccrualQuestion) -> tuple[float, ...]:
    """Days of which the probability is asked: the one asked for, and the end of recruitment."""
    days = {day for day in (question.by, scenario.accrual.closing_day) if day is not None and math.isfinite(day)}
    return tuple(sorted(days))


def _mix(n: int, groups: tuple[str, ...], share: FloatArray) -> Iterator[Row]:
    for column, group in enumerate(groups):
        status = np.where(np.isnan(share[:, column]), float(Status.NOT_ESTIMABLE), float(Status.OK))
        yield _row(n, Measure.SHARE_ENROLLED, mcse.mean(share[:, column], status), group=group)


def _closed(scenario: Scenario, question: AccrualQuestion, n: int) -> Iterator[Row]:
    patients = recruited(scenario, n)

    def exact(value: float) -> Summary:
        return Summary(value, 0.0, 0, 0)

    for name, law in closed_forms(scenario).items():
        yield _row(n, Measure.MEAN_DURATION, exact(law.mean_time(patients)), estimator=name)
        for level in LEVELS:
            yield _row(n, Measure.DURATION_QUANTILE, exact(law.time_quantile(patients, level)), at=level, estimator=name)
        for day in deadlines(scenario, question):
            yield _row(n, Measure.P_ENROLLED_BY, exact(law.probability(patients, day)), at=day, estimator=name)


def _by(days: tuple[float, ...], n: int, grid: FloatArray, enrolled: FloatArray, sites: FloatArray) -> Iterator[Row]:
    ok = np.full(enrolled.shape[0], float(Status.OK))
    for day in days:
        column = int(np.searchsorted(grid, day))
        yield _row(n, Measure.EXPECTED_ENROLLED, mcse.mean(enrolled[:, column], ok), at=day)
        yield _row(n, Measure.EXPECTED_SITES_OPEN, mcse.mean(sites[:, column], ok), at=day)


def _curve(scenario: Scenario, n: int, grid: FloatArray, enrolled: FloatArray, sites: FloatArray) -> tuple[CurvePoint, ...]:
    ends = np.quantile(enrolled, LEVELS, axis=0, method="inverted_cdf")
    poisson = np.minimum(closed_forms(scenario)["poisson"].rate * grid, recruited(scenario, n))
    columns = (grid, enrolled.mean(axis=0), *ends, sites.mean(axis=0), poisson)
    return tuple(CurvePoint(*(float(x) for x in point)) for point in zip(*columns, strict=True))
