"""Single arm tested against a fixed incidence: exactly among evaluable patients, or by the cumulative incidence.

The decision is read off an interval of level 1 - 2 alpha (one side): Clopper and Pearson's limit excludes the null incidence
exactly where the exact binomial test rejects; that of Aalen and Johansen's estimate is the z test on the complementary log-log
scale, with the exact limit where nobody, or everybody, had the event.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.records import Estimates, FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.designs.base import Decision, ListDraws, Look, Surroundings, listed_or_none, one_final_look, usable

Evaluable = Literal["outcome_known", "censored_event_free", "censored_event"]
"""Who is evaluable, and as what. "outcome_known": patients who had the event, a competing one, or were followed to the end of
the window; the others are excluded (and replaced, where the design counts evaluable patients). "censored_event_free",
"censored_event": everybody; who was lost sight of had no event, or had it."""

RULES = {
    "outcome_known": "patients lost sight of before the end of the window are not evaluable",
    "censored_event_free": "patients lost sight of count as without the event",
    "censored_event": "patients lost sight of count as with the event",
}


class SingleArm(Spec):
    """What tests of one arm say.

    Attributes
    ----------
    endpoint
        A rate; "" is the first of the analysis.
    strategy
        What all patients are given; "" is the reference strategy.
    evaluable
        Who is evaluable, :data:`Evaluable`.
    """

    endpoint: str = ""
    strategy: str = ""
    evaluable: Evaluable = "outcome_known"

    @property
    def strategies(self) -> tuple[str, ...]:
        """The one strategy; none: the reference strategy."""
        return (self.strategy,) if self.strategy else ()

    def assign(self, strata: IntArray, draws: ListDraws) -> IntArray:  # noqa: ARG002 -- the seam's signature
        """Everybody has the same strategy."""
        return np.zeros(strata.shape, dtype=np.int64)

    def check(self, around: Surroundings, where: str, at: str) -> list[Problem]:
        """A strategy or endpoint that the scenario has not."""
        problems = []
        if self.strategy and self.strategy not in around.strategies:
            allowed = did_you_mean(self.strategy, around.strategies)
            problems.append(Problem(f"there is no strategy '{self.strategy}'", where, f"{at}.strategy", allowed))
        name = self.endpoint or around.primary
        if name not in around.rates and (self.endpoint or name in around.endpoints):
            what = f"{name} is no cumulative incidence" if name in around.endpoints else f"there is no endpoint '{name}'"
            problems.append(Problem(what, where, f"{at}.endpoint", listed_or_none(around.rates)))
        return problems


class SingleArmTest(SingleArm):
    """One final test of an incidence.

    Attributes
    ----------
    null_incidence
        Of the event within the window, under the null hypothesis.
    direction
        What is to be shown: that the incidence is below it, or above.
    alpha, sides
        Level, and whether it is shared by two sides.
    test
        "exact" among evaluable patients, or "cumulative_incidence_z" among all, with censoring.
    power
        Power that a sample size is looked for with, unless the question names one.
    """

    kind: Literal["single_arm_test"]
    null_incidence: Annotated[float, Field(gt=0, lt=1)]
    direction: Literal["below", "above"] = "below"
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    sides: Literal[1, 2] = 1
    test: Literal["exact", "cumulative_incidence_z"] = "exact"
    power: Annotated[float, Field(gt=0, lt=1)] | None = None

    @property
    def level(self) -> float:
        """Confidence level of the interval that decides."""
        return 1 - 2 * self.alpha / self.sides

    def looks(self, calendar: FloatArray) -> tuple[Look, ...]:
        """One final analysis."""
        return one_final_look(calendar)

    def decide(self, estimates: Estimates) -> Decision:
        """Shown where the interval lies wholly on the side that is wanted; against: on the other, of two sides."""
        fine = usable(estimates)
        with np.errstate(invalid="ignore"):
            below, above = fine & (estimates.ci_high <= self.null_incidence), fine & (estimates.ci_low >= self.null_incidence)
        met, other = (below, above) if self.direction == "below" else (above, below)
        return Decision(met, other if self.sides == 2 else np.zeros_like(met), fine)

    def sentence(self, around: Surroundings) -> str:
        """What is tested."""
        test = "exact binomial test" if self.test == "exact" else "z test of the cumulative incidence"
        sides = "two-sided" if self.sides == 2 else "one-sided"
        tail = f", power {100 * self.power:g}% wanted" if self.power is not None else ""
        rule = f"; {RULES[self.evaluable]}" if self.test == "exact" else ""
        return (
            f"incidence of {self.endpoint or around.primary} {self.direction} {100 * self.null_incidence:g}%, {test}, {sides} "
            f"alpha {self.alpha:g}{tail}{rule}"
        )


class TestedProportion(SingleArm):
    """Shared by designs that name the incidence of both hypotheses."""

    p0: Annotated[float, Field(gt=0, lt=1)]
    p1: Annotated[float, Field(gt=0, lt=1)]
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    power: Annotated[float, Field(gt=0, lt=1)] = 0.80

    @model_validator(mode="after")
    def _check(self) -> TestedProportion:
        if self.p0 == self.p1:
            raise ValueError("p1 must differ from p0")
        if self.power <= self.alpha:
            raise ValueError("power must be above alpha")
        return self
