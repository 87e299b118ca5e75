"""The type I error of a randomised comparison: trials whose truth lies on the edge of the null hypothesis.

For superiority both arms are given the control strategy. For non-inferiority the arms truly differ by the margin: the drug's
effect is scaled (:func:`cmvsim.planning.detectable.scaled`) until the contrast of the arms, in one large cohort with every
visit made, is the margin. What the study sees may lie nearer to no difference than that: visits that are missed hide events
of both arms. So the mean estimate stands beside, and how often an estimate with the same spread and no bias would conclude.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray
from cmvsim.designs import Randomised
from cmvsim.endpoints.comparison import COMPARISONS
from cmvsim.models.baseline import Baseline
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.experiment import RowKey
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.planning.criteria import estimates_of
from cmvsim.planning.detectable import scaled
from cmvsim.planning.trial import BY_ARM
from cmvsim.scenarios import ResolvedScenario

STRONGEST = 8.0
CLOSE = 0.5
"""Share of the Monte Carlo standard error of the contrast within which it is the margin."""
MOST_STEPS = 12


@dataclass(frozen=True, slots=True)
class Contrast:
    """What is true of both arms with every visit made: incidences, the comparison and its Monte Carlo standard error."""

    control: float
    experimental: float
    value: float
    mcse: float


ContrastAt = Callable[[ResolvedScenario, Baseline], Contrast]


@dataclass(frozen=True, slots=True)
class Edge:
    """A truth on the edge of the null hypothesis.

    Attributes
    ----------
    strength
        Of the scenario's own effect of the drug; below 0 it does harm. None where both arms have the control strategy.
    truth
        None where both arms have the control strategy.
    """

    scenario: ResolvedScenario
    baseline: Baseline
    strength: float | None
    truth: Contrast | None


@dataclass(frozen=True, slots=True)
class Rejections:
    """How often a comparison rejects what is true, at one size.

    Attributes
    ----------
    value, mcse, low, high, n_failed
        Share of all trials; bounds with failed ones as not rejecting, and as rejecting.
    mean_estimate, mean_estimate_mcse
        Of the comparison; of a ratio the geometric mean.
    unbiased
        Share that would reject were the limits moved by the bias; None on equal arms.
    """

    n: int
    comparison: str
    value: float
    mcse: float
    low: float | None
    high: float | None
    n_failed: int
    mean_estimate: float
    mean_estimate_mcse: float
    unbiased: float | None


@dataclass(frozen=True, slots=True)
class Type1:
    """Everything that is reported of the type I error.

    Attributes
    ----------
    nominal
        Level at which the design rejects: of both sides for superiority of two-sided tests.
    """

    nominal: float
    edge: float
    strength: float | None
    control: float | None
    experimental: float | None
    truth: float | None
    truth_mcse: float | None
    rows: tuple[Rejections, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def edge_of_null(scenario: ResolvedScenario, baseline: Baseline, design: Randomised, contrast_at: ContrastAt) -> Edge:
    """Where the truth is what the design tests.

    Raises
    ------
    InputError
        If the arms do not differ by letermovir, or no strength of its effect brings them to the margin.
    """
    if design.hypothesis == "superiority":
        return Edge(scenario, baseline, None, None)
    effect = scenario.spec.letermovir.known_effect or baseline.letermovir
    gives = [scenario.spec.strategies[name].prophylaxis != "none" for name in design.arms]
    if effect is None or effect == LetermovirEffect(1.0, 0.0) or not any(gives):
        told = "the truth is moved to the margin by the effect of letermovir, which neither arm is given with an effect"
        raise InputError(Problem(told, "--type1", allowed="a design with letermovir in an arm"))

    def miss(strength: float) -> tuple[float, Contrast]:
        found = contrast_at(*scaled(scenario, baseline, effect, strength))
        value, wanted = (found.value, design.null) if design.no_difference == 0 else (_log(found.value), math.log(design.null))
        return value - wanted, found

    # more of the drug sets arms apart: for the worse if the control has it, and it must harm if the experimental arm has it
    for side in (1.0, -1.0) if gives[0] else (-1.0, 1.0):
        strength, found = _root(miss, side)
        if found is not None:
            return Edge(*scaled(scenario, baseline, effect, strength), strength, found)
    told = f"no effect of the drug makes the experimental arm worse by the margin of {design.margin:g}"
    raise InputError(Problem(told, "--type1", allowed="a smaller margin, or a control arm with more events"))


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _root(miss: Callable[[float], tuple[float, Contrast]], side: float) -> tuple[float, Contrast | None]:
    """Strength at which nothing is missed, by the secant, from the first doubling that overshoots."""
    low, high = 0.0, side
    below = miss(low)[0]
    above, found = miss(high)
    while above < 0 and abs(high) < STRONGEST:
        if above <= below:
            return high, None  # the wrong side: it makes the arms more alike, or the experimental arm better
        low, below, high = high, above, 2 * high
        above, found = miss(high)
    if above < 0 or below >= 0:
        return high, None
    last, before = (high, above), (low, below)
    for _ in range(MOST_STEPS):
        strength = last[0] - last[1] * (last[0] - before[0]) / (last[1] - before[1])
        if not min(low, high) < strength < max(low, high):
            strength = (low + high) / 2
        here, found = miss(strength)
        if abs(here) <= CLOSE * found.mcse or here == last[1]:
            break
        low, high = (strength, high) if here < 0 else (low, strength)
        before, last = last, (strength, here)
    return strength, found


def rejections(result: MonteCarloResult, size: int, key: RowKey, design: Randomised, edge: Edge) -> Rejections | None:
    """How often a comparison rejects; None where the design's margin is not on its scale."""
    own = design.model_copy(update={"comparison": key.estimator})
    if design.margin is not None and own.no_difference != design.no_difference:
        return None
    status, estimates = result.column(size, key, "status"), estimates_of(result, size, key)
    decision = own.decide(estimates)
    assert decision.met is not None
    assert decision.against is not None
    superiority = design.hypothesis == "superiority"
    met: BoolArray = decision.met | decision.against if superiority and design.sides == 2 else decision.met
    found = mcse.proportion(met, status)
    ratio = COMPARISONS[key.estimator].no_difference == 1
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled_estimate = np.where(estimates.estimate > 0, np.log(estimates.estimate), np.nan) if ratio else estimates.estimate
        high = np.log(estimates.ci_high) if ratio else estimates.ci_high
    middle = mcse.mean(scaled_estimate, status)
    unbiased = None
    if edge.truth is not None and key.estimator == design.comparison:
        null = math.log(design.null) if ratio else design.null
        with np.errstate(invalid="ignore"):
            unbiased = mcse.proportion(high - (middle.value - null) < null, status).value
    value = math.exp(middle.value) if ratio else middle.value
    error = value * middle.mcse if ratio else middle.mcse
    told = (found.value, found.mcse, found.low, found.high, found.n_failed)
    return Rejections(size, key.estimator, *told, value, error, unbiased)


def type1_of(result: MonteCarloResult, design: Randomised, edge: Edge) -> Type1:
    """Of all sizes and comparisons of the design's endpoint."""
    first = result.experiment.rows[0].endpoint
    keys = [key for key in result.experiment.rows if key.estimator != BY_ARM and key.endpoint == first]
    found = [rejections(result, size, key, design, edge) for size in result.experiment.sizes for key in keys]
    nominal = design.alpha if design.hypothesis == "superiority" else design.alpha_side
    truth = edge.truth
    return Type1(
        nominal,
        design.null,
        edge.strength,
        truth.control if truth is not None else None,
        truth.experimental if truth is not None else None,
        truth.value if truth is not None else None,
        truth.mcse if truth is not None else None,
        tuple(item for item in found if item is not None),
    )
