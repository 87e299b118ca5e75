"""Probabilistic analysis: each draw has parameters of its own, and patients of its own whom all strategies share.

A replicate of the experiment is a draw: parameters, prices among them, new patients, and for each strategy the means over
these patients with their standard errors, so that the sampling of few patients can be told from what is not known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from cmvsim.calibration.redraw import Redraw
from cmvsim.core.errors import CmvsimError
from cmvsim.core.records import BoolArray, FloatArray, Request, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.economics.cohort import model_of
from cmvsim.economics.comparison import drug_days
from cmvsim.economics.evaluate import Outcomes, evaluate
from cmvsim.economics.settings import EvaluationSettings, economics_of
from cmvsim.montecarlo.experiment import FIELDS, Failure, Replicates, RowKey
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.scenarios import ResolvedScenario
from cmvsim.scenarios.parameters import UncertainInput, uncertain_inputs, uncertain_prices
from cmvsim.scenarios.sampling import ParameterDraws, draw_parameters
from cmvsim.scenarios.vary import vary, vary_prices
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.valuation import price_list

FIRST_CHUNK = 2**20
"""Chunks of the role that draws begin at: the base case has those before."""
MET = "met"
MEASURES = ("cost", "qaly", "cost_increment", "qaly_increment", "drug_days", "clinically_significant")


def drawn_inputs(scenario: ResolvedScenario) -> tuple[UncertainInput, ...]:
    """What is not known of a scenario and of the prices it is valued at."""
    return (*uncertain_inputs(scenario), *uncertain_prices(economics_of(scenario.spec).price_list.value))


@dataclass(frozen=True)
class PsaExperiment:
    """Draws of a probabilistic analysis.

    Attributes
    ----------
    redraw
        Prepared: its tables travel to the workers.
    strategies
        The comparator first.
    patients
        Of each draw.
    """

    scenario: ResolvedScenario
    redraw: Redraw
    strategies: tuple[str, ...]
    patients: int
    seed: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """One: the patients of a draw."""
        return (self.patients,)

    @cached_property
    def rows(self) -> tuple[RowKey, ...]:
        """Measures by strategy."""
        return tuple(RowKey(measure, strategy=name) for name in self.strategies for measure in MEASURES)

    @property
    def extras(self) -> tuple[str, ...]:
        """Covariance of the means of the increments over the patients of a draw, by strategy; whether its targets are met."""
        return (*(f"covariance:{name}" for name in self.strategies), MET)

    @cached_property
    def request(self) -> Request:
        """What may change a number of these draws."""
        content: dict[str, Any] = {
            "strategies": list(self.strategies),
            "patients": self.patients,
            "baseline": self.redraw.solved.as_dict(),
            "redraw": self.redraw.patients,
            "economics": economics_of(self.scenario.spec).model_dump(mode="json"),
        }
        return Request("psa-chunks", self.scenario.id, self.scenario.digest, content, self.seed)

    @cached_property
    def inputs(self) -> tuple[UncertainInput, ...]:
        """What is drawn."""
        return drawn_inputs(self.scenario)

    def parameters(self, draws: int) -> ParameterDraws:
        """The first `draws` draws: a longer series begins with a shorter one."""
        return draw_parameters(self.inputs, draws, self.seed)

    def chunk(self, index: int) -> Replicates:
        """Compute draws ``64 * index`` to ``64 * index + 63``."""
        first = index * CHUNK_REPLICATES
        drawn = self.parameters(first + CHUNK_REPLICATES)
        result = Replicates.empty(1, len(self.rows), len(self.extras))
        failures = []
        for offset in range(CHUNK_REPLICATES):
            try:
                outcomes, settings, met = self.draw(drawn, first + offset)
            except CmvsimError as error:  # parameters that no model meets: counted, and never drawn again
                failures.append(Failure.of(first + offset, error, self.seed))
                continue
            self._fill(result, offset, outcomes, settings)
            result.extras[offset, 0, -1] = met
        return replace(result, failures=tuple(failures))

    def draw(self, drawn: ParameterDraws, draw: int) -> tuple[Outcomes, EvaluationSettings, bool]:
        """Patients of one draw under every strategy, at its parameters and prices; whether hazards meet all its targets.

        Targets that no hazards meet have the nearest.
        """
        changes = drawn.changes(draw)
        varied = vary(self.scenario, changes)
        prices = vary_prices(price_list(economics_of(varied.spec).price_list.value), changes)
        settings = EvaluationSettings.of(varied.spec, self.strategies[1:], prices)
        baseline, met = self.redraw.solve(varied, laws="solved")
        model = model_of(varied.spec, baseline, drawn=True)
        chance = ChunkDraws(self.seed, Role.DECISION, FIRST_CHUNK + draw, -(-self.patients // CHUNK_REPLICATES))
        return evaluate(model, chance, settings).first(self.patients), settings, met

    def _fill(self, result: Replicates, offset: int, outcomes: Outcomes, settings: EvaluationSettings) -> None:
        more, gain = outcomes.total - outcomes.total[0], outcomes.qaly - outcomes.qaly[0]
        values = {
            "cost": outcomes.total,
            "qaly": outcomes.qaly,
            "cost_increment": more,
            "qaly_increment": gain,
            "drug_days": np.stack([drug_days(outcomes, k, float(p)) for k, p in enumerate(settings.day_prices)]),
            "clinically_significant": outcomes.events["clinically_significant"],
        }
        n = outcomes.patients
        cell = result.values[offset, 0]
        for place, key in enumerate(self.rows):
            sample = values[key.endpoint][self.strategies.index(key.strategy)]
            cell[place, FIELDS.index("estimate")] = sample.mean()
            cell[place, FIELDS.index("se")] = sample.std(ddof=1) / np.sqrt(n)
            cell[place, FIELDS.index("n")] = n
            cell[place, FIELDS.index("status")] = Status.OK
        for place in range(len(self.strategies)):
            result.extras[offset, 0, place] = np.cov(more[place], gain[place])[0, 1] / n


@dataclass(frozen=True, eq=False, slots=True)
class PsaDraws:
    """The draws that could be computed.

    Attributes
    ----------
    draws
        (D,) their numbers.
    parameters
        (D, inputs).
    cost, qaly, drug_days, clinically_significant
        (D, strategies) means over the patients of a draw.
    within
        (D, strategies, 2, 2) covariance, by patient sampling, of the increments of cost and QALYs against the comparator.
    met
        (D,) whether hazards meet all targets of the draw; the others have the nearest.
    failed
        Draws that raised.
    """

    strategies: tuple[str, ...]
    inputs: tuple[UncertainInput, ...]
    patients: int
    draws: np.ndarray
    parameters: FloatArray
    cost: FloatArray
    qaly: FloatArray
    drug_days: FloatArray
    clinically_significant: FloatArray
    within: FloatArray
    met: BoolArray
    failed: tuple[Failure, ...]

    @property
    def unreached(self) -> int:
        """Draws whose targets no hazards meet together; they have the nearest."""
        return int((~self.met).sum())

    def at_price(self, today: float, price: float) -> FloatArray:
        """(D, strategies) cost at another price of a day of the drug: cost is linear in it."""
        cost: FloatArray = self.cost + (price - today) * self.drug_days
        return cost


def collect(result: MonteCarloResult, experiment: PsaExperiment) -> PsaDraws:
    """Read the draws of a run."""
    size, names = experiment.patients, experiment.strategies

    def table(measure: str, field: str = "estimate") -> FloatArray:
        return np.stack([result.column(size, RowKey(measure, strategy=name), field) for name in names], axis=1)

    cost = table("cost")
    kept = np.flatnonzero(np.isfinite(cost).all(axis=1))
    within = np.empty((cost.shape[0], len(names), 2, 2))
    within[..., 0, 0], within[..., 1, 1] = table("cost_increment", "se") ** 2, table("qaly_increment", "se") ** 2
    within[..., 0, 1] = np.stack([result.extra_column(size, f"covariance:{name}") for name in names], axis=1)
    within[..., 1, 0] = within[..., 0, 1]
    return PsaDraws(
        names,
        experiment.inputs,
        size,
        kept,
        experiment.parameters(cost.shape[0]).values[kept],
        cost[kept],
        table("qaly")[kept],
        table("drug_days")[kept],
        table("clinically_significant")[kept],
        within[kept],
        result.extra_column(size, MET)[kept] != 0,
        tuple(result.failures()),
    )
