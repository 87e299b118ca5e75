"""Two randomised arms compared once: superiority, one- or two-sided, or non-inferiority by a margin.

The decision is read off the confidence interval of the comparison, whose level goes with alpha: all comparisons offered are
such that their test and their interval agree (score tests have the interval that inverts them). Fewer events are better.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.records import Estimates, FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.designs.base import Decision, ListDraws, Look, Surroundings, listed_or_none, one_final_look, usable
from cmvsim.designs.randomisation import permuted_blocks

Names = Annotated[tuple[str, ...], Field(strict=False)]
Numbers = Annotated[tuple[Annotated[int, Field(ge=1, le=100)], ...], Field(strict=False, min_length=1)]
DIFFERENCES = frozenset({"risk_difference", "newcombe", "miettinen_nurminen", "farrington_manning", "mantel_haenszel"})
"""Comparisons whose value is 0 where the arms do not differ; of all others it is 1."""


class Randomised(Spec):
    """What all randomised designs of two arms say.

    Attributes
    ----------
    arms
        Strategies, the control first.
    ratio
        Patients of each arm.
    stratify
        Baseline factors; none: one list.
    block_sizes
        Each a multiple of the sum of the ratio; several vary at random.
    endpoint
        Endpoint compared; "" is the first of the analysis.
    comparison
        Comparison of the arms, one of :data:`cmvsim.endpoints.comparison.COMPARISONS`.
    hypothesis, margin
        Superiority, or non-inferiority by a margin on the scale of the comparison (0.05: five points more are tolerated; a
        ratio of 1.3).
    alpha, sides
        Level, and whether it is shared by two sides. The interval that decides has the level 1 - alpha (two sides) or
        1 - 2 alpha (one).
    power
        Power that a sample size is looked for with, unless the question names one.
    """

    arms: Annotated[tuple[str, str], Field(strict=False)]
    ratio: Annotated[tuple[Annotated[int, Field(ge=1, le=20)], Annotated[int, Field(ge=1, le=20)]], Field(strict=False)] = (
        1,
        1,
    )
    stratify: Names = ("stratum",)
    block_sizes: Numbers = (4,)
    endpoint: str = ""
    comparison: str = "risk_difference"
    hypothesis: Literal["superiority", "non_inferiority"] = "superiority"
    margin: float | None = None
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    sides: Literal[1, 2] = 2
    power: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _whole_margin(cls, raw: Any) -> Any:
        """A margin of 2 is a number like 2.0."""
        if isinstance(raw, dict) and type(raw.get("margin")) is int:
            return {**raw, "margin": float(raw["margin"])}
        return raw

    @model_validator(mode="after")
    def _check(self) -> Randomised:
        if self.arms[0] == self.arms[1]:
            raise ValueError(f"both arms are '{self.arms[0]}'; two strategies are compared")
        whole = sum(self.ratio)
        odd = [size for size in self.block_sizes if size % whole]
        if odd:
            raise ValueError(
                f"a block of {odd[0]} cannot hold {self.ratio[0]}:{self.ratio[1]}; block sizes are multiples of {whole}"
            )
        if self.hypothesis == "superiority" and self.margin is not None:
            raise ValueError('a margin belongs to hypothesis = "non_inferiority"')
        if self.hypothesis == "non_inferiority":
            if self.margin is None:
                raise ValueError("non-inferiority needs a margin, on the scale of the comparison")
            if self.margin <= self.no_difference:
                raise ValueError(
                    f"margin = {self.margin:g}: what is tolerated is above {self.no_difference:g}, the value of equal arms"
                )
            if self.comparison in DIFFERENCES and self.margin >= 1:
                raise ValueError(f"margin = {self.margin:g} of a difference of risks: below 1, as 0.05 for five points")
        if self.sides == 1 and self.alpha >= 0.25:
            raise ValueError(f"alpha = {self.alpha:g} on one side is no test")
        return self

    @property
    def strategies(self) -> tuple[str, ...]:
        """Both arms, the control first."""
        return self.arms

    @property
    def no_difference(self) -> float:
        """Value of the comparison where the arms do not differ."""
        return 0.0 if self.comparison in DIFFERENCES else 1.0

    @property
    def null(self) -> float:
        """Value of the comparison on the edge of the null hypothesis."""
        return self.no_difference if self.margin is None else self.margin

    @property
    def level(self) -> float:
        """Confidence level of the interval that decides."""
        return 1 - self.alpha * (2 / self.sides)

    @property
    def alpha_side(self) -> float:
        """Level of the side on which the conclusion is drawn."""
        return self.alpha / self.sides

    def assign(self, strata: IntArray, draws: ListDraws) -> IntArray:
        """Stratified permuted blocks; see :func:`cmvsim.designs.randomisation.permuted_blocks`."""
        return permuted_blocks(strata, draws, ratio=self.ratio, block_sizes=self.block_sizes)

    def arm_sizes(self, patients: int) -> tuple[int, int]:
        """Patients of each arm, control first, of so many in all: as the ratio has it, rounded to the control."""
        control = round(patients * self.ratio[0] / sum(self.ratio))
        return control, patients - control

    def check(self, around: Surroundings, where: str, at: str) -> list[Problem]:
        """Strategies, endpoint, comparison and factors that the scenario has not."""
        problems = [
            Problem(f"there is no strategy '{arm}'", where, f"{at}.arms", did_you_mean(arm, around.strategies))
            for arm in self.arms
            if arm not in around.strategies
        ]
        problems += [
            Problem(f"patients cannot be stratified by '{name}'", where, f"{at}.stratify", listed_or_none(around.factors))
            for name in self.stratify
            if name not in around.factors
        ]
        name = self.endpoint or around.primary
        if name not in around.endpoints:
            if self.endpoint:  # an analysis that names an unknown endpoint is told so itself
                allowed = did_you_mean(name, around.endpoints)
                problems.append(Problem(f"there is no endpoint '{name}'", where, f"{at}.endpoint", allowed))
            return problems
        known = around.endpoints[name]
        if self.comparison not in known:
            key = "comparison" if known else "endpoint"
            what = f"{name} has no comparison '{self.comparison}'" if known else f"{name} cannot be compared between two arms"
            served = [other for other, has in around.endpoints.items() if has]
            problems.append(Problem(what, where, f"{at}.{key}", listed_or_none(known or served)))
        return problems

    def sentence(self, around: Surroundings) -> str:
        """Who is compared with whom, and how."""
        one, other = self.arms
        goal = "superior to" if self.hypothesis == "superiority" else f"not inferior to (margin {self.margin:g})"
        tail = f", power {100 * self.power:g}% wanted" if self.power is not None else ""
        sides = "two-sided" if self.sides == 2 else "one-sided"
        strata = f"stratified by {', '.join(self.stratify)}, " if self.stratify else ""
        return (
            f"{other} {goal} {one}, randomised {self.ratio[1]}:{self.ratio[0]} ({strata}blocks of "
            f"{' or '.join(map(str, self.block_sizes))}), {self.comparison.replace('_', ' ')} of "
            f"{self.endpoint or around.primary}, {sides} alpha {self.alpha:g}{tail}"
        )

    def decide(self, estimates: Estimates) -> Decision:
        """Superior (or not inferior) where the interval lies wholly below the null value; against: wholly above.

        A study without a usable estimate concludes nothing.
        """
        fine = usable(estimates)
        with np.errstate(invalid="ignore"):
            met = fine & (estimates.ci_high < self.null)
            against = fine & (estimates.ci_low > self.null)
        return Decision(met, against, fine)


class TwoArm(Randomised):
    """A randomised comparison with one final analysis; attributes as in :class:`Randomised`."""

    kind: Literal["two_arm"]

    def looks(self, calendar: FloatArray) -> tuple[Look, ...]:
        """One final analysis."""
        return one_final_look(calendar)
