"""Assurance: how often a study succeeds when its scenario is not known, one draw of the parameters per study (or a few).

Power is the share of studies that reach their conclusion at the scenario's numbers; assurance is its mean over what is not
known of them (O'Hagan, Stevens and Campbell 2005). Each draw has hazards of its own, from
:class:`~cmvsim.calibration.redraw.Redraw`, which show the drawn targets under the drawn law, and chance of its own; nested
sizes share both.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import stats

from cmvsim.calibration import Calibration
from cmvsim.calibration.redraw import Redraw
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, FloatArray, Request
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.designs import PrecisionTarget, SimonTwoStage
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.experiment import Failure, Replicates, RowKey
from cmvsim.montecarlo.run import MonteCarloResult, run
from cmvsim.planning.nested import ROLE_CHUNKS
from cmvsim.planning.one_analysis import Assured, assured_of, outcome, under
from cmvsim.planning.question import Work
from cmvsim.planning.search import Crossing, find_crossing
from cmvsim.planning.sizes import LARGEST, grid_around
from cmvsim.scenarios import ResolvedScenario
from cmvsim.scenarios.parameters import UncertainInput, uncertain_inputs
from cmvsim.scenarios.sampling import draw_parameters
from cmvsim.scenarios.vary import vary

REACHED = "targets reached"
WIDENINGS = 4


@dataclass(frozen=True)
class AssuranceQuestion:
    """What is asked.

    Attributes
    ----------
    design, of
        The assurance design, and the design that it is of.
    endpoint
        Whose estimate decides.
    target
        Half-width wanted of a precision design; None for one that decides.
    studies_per_draw
        A divisor of 64.
    sizes
        To report; None: the smallest with `probability` is looked for.
    probability
        Assurance wanted, if any.
    replicates
        Studies at each size.
    """

    design: str
    of: str
    endpoint: str
    target: PrecisionTarget | None
    studies_per_draw: int
    sizes: tuple[int, ...] | None
    probability: float | None
    replicates: int
    seed: int


@dataclass(frozen=True)
class AssuranceExperiment:
    """Studies of another experiment, each few of them with parameters of their own.

    Attributes
    ----------
    studies
        At the scenario's own numbers; what it is says how a study is simulated and analysed.
    redraw
        Hazards of a draw.
    inputs
        What is drawn.
    studies_per_draw
        Studies that share a draw.
    """

    studies: Assured
    redraw: Redraw
    inputs: tuple[UncertainInput, ...]
    studies_per_draw: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the studies."""
        return self.studies.sizes

    @property
    def rows(self) -> tuple[RowKey, ...]:
        """Of the studies."""
        return self.studies.rows

    @property
    def extras(self) -> tuple[str, ...]:
        """Those of the studies, and whether the model reaches the targets drawn."""
        return (*self.studies.extras, REACHED)

    @cached_property
    def request(self) -> Request:
        """What may change a number of these chunks: what is not known is a part of the scenario."""
        plain = self.studies.request
        content = {**plain.content, "studies_per_draw": self.studies_per_draw, "cohort": self.redraw.patients}
        return Request("assurance", plain.scenario, plain.scenario_digest, content, plain.seed)

    def chunk(self, index: int) -> Replicates:
        """Compute 64 replicates: 64 / m draws with m studies each, every draw with streams of its own."""
        result = Replicates.empty(len(self.sizes), len(self.rows), len(self.extras))
        few, failures = self.studies_per_draw, []
        draws = CHUNK_REPLICATES // few
        first = (0 if self.studies.role is Role.STUDY else 1 + self.studies.attempt) * ROLE_CHUNKS + index
        parameters = draw_parameters(self.inputs, draws, self.studies.seed, first)
        for draw in range(draws):
            here = slice(draw * few, (draw + 1) * few)
            try:
                scenario = vary(self.studies.scenario, parameters.changes(draw))
                baseline, reached = self.redraw.solve(scenario, laws="solved")
                found = under(self.studies, scenario, baseline, few).chunk(index * draws + draw)
            except Exception as error:  # noqa: BLE001 -- a draw that cannot be simulated is kept and counted, never re-drawn
                at = range(index * CHUNK_REPLICATES + here.start, index * CHUNK_REPLICATES + here.stop)
                failures += [Failure.of(replicate, error, self.studies.seed) for replicate in at]
                continue
            result.values[here] = found.values
            result.extras[here, :, :-1] = found.extras
            result.extras[here, :, -1] = reached
            moved = index * CHUNK_REPLICATES + here.start - (index * draws + draw) * CHUNK_REPLICATES
            failures += [replace(failure, replicate=failure.replicate + moved) for failure in found.failures]
        return replace(result, failures=tuple(failures))


@dataclass(frozen=True, slots=True)
class Distribution:
    """Power over the draws, as a beta distribution whose studies are beta-binomial; by moments.

    Attributes
    ----------
    mean, sd
        Of the power; `sd` is 0 where studies of one draw are no more alike than others, and `alpha` and `beta` are NaN then.
    quantiles
        5%, 50% and 95%.
    at_least
        Share of draws whose power is at least the assurance wanted (or 0.8).
    level
        That power.
    """

    mean: float
    sd: float
    alpha: float
    beta: float
    quantiles: tuple[float, float, float]
    at_least: float
    level: float


@dataclass(frozen=True, slots=True)
class AssuranceRow:
    """Assurance at one size, and beside it the power at the scenario's own numbers.

    Attributes
    ----------
    assurance
        MCSE by draws, since studies of one draw are alike.
    power
        Share of studies at the scenario's own numbers.
    distribution
        None with one study per draw, which says nothing of it.
    """

    n: int
    assurance: mcse.Summary
    power: mcse.Summary
    distribution: Distribution | None


@dataclass(frozen=True, slots=True)
class AssuranceResult:
    """Everything that is reported.

    Attributes
    ----------
    crossing, confirmed
        The size looked for, and its assurance on new draws and new chance; None if not asked for, or not reached.
    unreached
        Share of draws whose targets the model does not reach: they have the nearest hazards.
    by_draw
        Share of successes of each draw at the largest size.
    """

    question: AssuranceQuestion
    inputs: tuple[UncertainInput, ...]
    rows: tuple[AssuranceRow, ...]
    crossing: Crossing | None
    confirmed: AssuranceRow | None
    unreached: float
    by_draw: FloatArray
    failures: tuple[Failure, ...]
    chunks: int


class Assurer:
    """Runs the stages of one question.

    Parameters
    ----------
    scenario, calibration, question, work
        What is simulated and asked; stores, workers, progress.
    """

    def __init__(self, scenario: ResolvedScenario, calibration: Calibration, question: AssuranceQuestion, work: Work) -> None:
        self.scenario, self.calibration = scenario, calibration
        self.question, self.work = question, work
        self.inputs = uncertain_inputs(scenario)
        if not self.inputs:
            raise InputError(
                Problem("nothing in the scenario is said to be uncertain", scenario.id, allowed="uncertain = { ... }")
            )
        self.redraw = Redraw(scenario, calibration)
        self.chunks = 0

    def answer(self) -> AssuranceResult:
        """Assurance and power by size, and the smallest size wanted."""
        asked = self.question
        with self.work.progress("tables of the hazards by their targets"):
            self.redraw.prepare()
        sizes = asked.sizes or grid_around(self.scenario.spec.study.patients)
        drawn = self._run("assurance", self._drawn(sizes))
        crossing, confirmed = None, None
        if asked.sizes is None:
            drawn, crossing = self._search(drawn)
        sizes = drawn.experiment.sizes
        plain = self._run("power", self._studies(sizes))
        rows = [self._row(drawn, plain, n) for n in sizes]
        if crossing is not None:
            again = replace(self._drawn((crossing.n,)).studies, role=Role.CONFIRMATION)
            fresh = self._run("confirmation", replace(self._drawn((crossing.n,)), studies=again))
            known = self._run("confirmation-power", self._studies((crossing.n,)))
            confirmed = self._row(fresh, known, crossing.n)
        reached = drawn.extra_column(sizes[-1], REACHED)
        return AssuranceResult(
            asked,
            self.inputs,
            tuple(rows),
            crossing,
            confirmed,
            float(np.mean(reached == 0)),
            self._shares(drawn, sizes[-1]),
            tuple(drawn.failures()),
            self.chunks,
        )

    def _studies(self, sizes: tuple[int, ...]) -> Assured:
        """At the scenario's own numbers."""
        asked = self.question
        return assured_of(self.scenario, self.calibration.baseline, asked.of, asked.endpoint, sizes, asked.seed)

    def _drawn(self, sizes: tuple[int, ...]) -> AssuranceExperiment:
        return AssuranceExperiment(self._studies(sizes), self.redraw, self.inputs, self.question.studies_per_draw)

    def _run(self, stage: str, experiment: AssuranceExperiment | Assured) -> MonteCarloResult:
        sizes = experiment.sizes
        label = f"{stage}: n = {sizes[0]}" + (f" to {sizes[-1]}" if len(sizes) > 1 else "")
        with self.work.progress(label) as tick:
            result = run(
                experiment,
                replicates=self.question.replicates,
                store=self.work.store(stage, experiment),
                jobs=self.work.jobs,
                backend=self.work.backend,
                progress=lambda done, total, _rate: tick(done, total),
            )
        self.chunks += math.ceil(result.replicates / CHUNK_REPLICATES)
        return result

    def _outcome(self, result: MonteCarloResult, size: int) -> tuple[BoolArray, FloatArray]:
        """Which studies succeed, and their status."""
        half_width = self.question.target.half_width if self.question.target is not None else None
        ran: Any = result.experiment
        studies = ran.studies if isinstance(ran, AssuranceExperiment) else ran
        return outcome(result, studies, size, self.scenario.spec.designs[self.question.of], half_width)

    def _met(self, result: MonteCarloResult, size: int) -> BoolArray:
        return self._outcome(result, size)[0]

    def _shares(self, result: MonteCarloResult, size: int) -> FloatArray:
        """Share of successes by draw; of the last draw maybe of fewer studies."""
        met = self._met(result, size).astype(np.float64)
        starts = np.arange(0, met.size, self.question.studies_per_draw)
        shares: FloatArray = np.add.reduceat(met, starts) / np.diff([*starts, met.size])
        return shares

    def _row(self, drawn: MonteCarloResult, plain: MonteCarloResult, size: int) -> AssuranceRow:
        shares, (met, status) = self._shares(drawn, size), self._outcome(drawn, size)
        found = mcse.proportion(met, status)
        if self.question.studies_per_draw > 1 and shares.size > 1:
            found = replace(found, mcse=float(shares.std(ddof=1) / np.sqrt(shares.size)))
        known = mcse.proportion(*self._outcome(plain, size))
        level = self.question.probability or 0.8
        full = met.size // self.question.studies_per_draw
        design = self.scenario.spec.designs[self.question.of]
        patients = design.stages.n if isinstance(design, SimonTwoStage) else size  # of two stages: evaluable ones
        return AssuranceRow(patients, found, known, beta_binomial(shares[:full], self.question.studies_per_draw, level))

    def _search(self, drawn: MonteCarloResult) -> tuple[MonteCarloResult, Crossing | None]:
        """The smallest size with the assurance wanted; the grid moves where it is outside."""
        target = self.question.probability
        assert target is not None
        for attempt in range(WIDENINGS):
            sizes = drawn.experiment.sizes
            share = [self._met(drawn, n).mean() for n in (sizes[0], sizes[-1])]
            if share[0] < target <= share[1] or (share[0] >= target and sizes[0] <= 5):
                break
            centre = sizes[0] // 2 if share[0] >= target else 2 * sizes[-1]
            if centre > LARGEST / 2:
                break
            drawn = self._run(f"widened-{attempt}", self._drawn(grid_around(centre)))
        sizes = drawn.experiment.sizes
        met = np.column_stack([self._met(drawn, n) for n in sizes])
        return drawn, find_crossing(sizes, met, target, self.question.seed)


def beta_binomial(shares: FloatArray, studies: int, level: float) -> Distribution | None:
    """The distribution of power from the share of successes among `studies` of each draw, by the method of moments.

    The variance of the shares is that of the power and that of chance, [mu (1 - mu) - s^2] / m: solved for s^2.
    """
    if studies < 2 or shares.size < 2:
        return None
    mean = float(shares.mean())
    chance = mean * (1 - mean) / studies
    variance = (float(shares.var(ddof=1)) - chance) / (1 - 1 / studies)
    variance = min(max(variance, 0.0), mean * (1 - mean))
    sd = math.sqrt(variance)
    if variance <= 0 or variance >= mean * (1 - mean):
        reached = float(mean >= level) if variance <= 0 else mean
        ends = (mean, mean, mean) if variance <= 0 else (0.0, float(mean > 0.5), 1.0)
        return Distribution(mean, sd, math.nan, math.nan, ends, reached, level)
    size = mean * (1 - mean) / variance - 1
    law = stats.beta(mean * size, (1 - mean) * size)
    low, middle, high = (float(x) for x in law.ppf([0.05, 0.5, 0.95]))
    return Distribution(mean, sd, mean * size, (1 - mean) * size, (low, middle, high), float(law.sf(level)), level)


def as_dict(row: AssuranceRow) -> dict[str, Any]:
    """JSON-ready form."""
    spread = row.distribution
    return {
        "n": row.n,
        "assurance": row.assurance.value,
        "assurance_mcse": row.assurance.mcse,
        "power": row.power.value,
        "power_mcse": row.power.mcse,
        "n_ok": row.assurance.n_ok,
        "n_failed": row.assurance.n_failed,
        "distribution": None
        if spread is None
        else {
            "mean": spread.mean,
            "sd": spread.sd,
            "alpha": spread.alpha,
            "beta": spread.beta,
            "q05": spread.quantiles[0],
            "q50": spread.quantiles[1],
            "q95": spread.quantiles[2],
            "level": spread.level,
            "share_at_least_level": spread.at_least,
        },
    }
