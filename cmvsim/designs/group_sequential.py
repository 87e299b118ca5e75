"""A randomised comparison of two arms with interim looks: stop for efficacy, for harm, or for futility.

Errors are spent by the information seen at each look (Lan and DeMets 1983), which is the number of events of the endpoint over
both arms, as a share of the number planned. The looks are set by that share, or by calendar days. The last one is made when the
follow-up of all patients is complete.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from cmvsim.core.errors import Problem
from cmvsim.core.records import Estimates, FloatArray
from cmvsim.core.spec import Spec
from cmvsim.designs.base import Decision, Look, Surroundings, listed_or_none, usable
from cmvsim.designs.closed_forms.group_sequential import DEFAULT_GAMMA, Spending, SpendingName
from cmvsim.designs.sequential_rules import Rules
from cmvsim.designs.two_arm import Randomised

SCORE_INTERVALS = frozenset({"newcombe", "miettinen_nurminen", "farrington_manning"})
"""Comparisons of crude proportions whose intervals invert a score test; they also take no account of censoring at a look."""
Ascending = Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(strict=False)]


class Looks(Spec):
    """When one looks: one of the two.

    Attributes
    ----------
    information
        Shares of the planned events, the last one 1.
    calendar
        Days from the start of the study of the interim looks; the final analysis comes when follow-up is complete.
    """

    information: Ascending = ()
    calendar: Ascending = ()

    @model_validator(mode="after")
    def _check(self) -> Looks:
        if bool(self.information) == bool(self.calendar):
            raise ValueError("give information (shares of the planned events) or calendar (days), one of the two")
        if any(b <= a for a, b in pairwise(self.information or self.calendar)):
            raise ValueError("looks come one after the other")
        if self.information and self.information[-1] != 1:
            raise ValueError("the last look is at information 1")
        return self

    @property
    def count(self) -> int:
        """Looks, the final one included."""
        return len(self.information) if self.information else len(self.calendar) + 1

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the looks."""
        return (*(f"look {k + 1}" for k in range(self.count - 1)), "final")

    def __call__(self, calendar: FloatArray) -> tuple[Look, ...]:
        """The looks of a design; by information they come when the events do."""
        patients = int(calendar.shape[-1])
        shares = self.information or (*(float("nan") for _ in self.calendar), 1.0)
        days = (*self.calendar, float("nan")) if self.calendar else (float("nan"),) * len(shares)
        return tuple(Look(name, patients, share, day) for name, share, day in zip(self.names, shares, days, strict=True))


class EfficacySpec(Spec):
    """How the level is spent; `gamma` is of Hwang, Shih and DeCani."""

    spending: SpendingName = "obrien_fleming"
    gamma: Annotated[float, Field(ge=-40, le=40)] = DEFAULT_GAMMA


class FutilitySpec(Spec):
    """How the type II error is spent on stops for futility.

    Attributes
    ----------
    beta
        Type II error to be spent in all.
    binding
        The efficacy boundary counts on stops for futility; if one is overruled the level is lost.
    """

    spending: SpendingName = "hwang_shih_decani"
    gamma: Annotated[float, Field(ge=-40, le=40)] = -2.0
    beta: Annotated[float, Field(gt=0, lt=1)] = 0.20
    binding: bool = False


class GroupSequential(Randomised):
    """Group-sequential trial; other attributes as in :class:`~cmvsim.designs.two_arm.Randomised`.

    Attributes
    ----------
    looks
        See :class:`Looks`.
    efficacy, futility
        Spending; without futility the study is never given up.
    events
        Events planned (information 1); 0: as many as are expected under the scenario, both arms together.
    delay
        Days from the data cut of a look to the decision, in which enrolment goes on.
    """

    kind: Literal["group_sequential"]
    looks: Looks
    efficacy: EfficacySpec = EfficacySpec()
    futility: FutilitySpec | None = None
    events: Annotated[int, Field(ge=0)] = 0
    delay: Annotated[float, Field(ge=0)] = 0.0

    def rules(self, planned: float) -> Rules:
        """The rules, where so many events are information 1."""
        spending = Spending(self.efficacy.spending, self.alpha_side, self.efficacy.gamma)
        given_up = None
        if self.futility is not None:
            given_up = Spending(self.futility.spending, self.futility.beta, self.futility.gamma)
        count = self.looks.count
        fractions = self.looks.information or tuple((k + 1) / count for k in range(count))
        binding = self.futility is not None and self.futility.binding
        return Rules(planned, spending, self.sides, given_up, binding, fractions)

    def decide(self, estimates: Estimates) -> Decision:
        """The final analysis as if it were the only one; looks are decided by :meth:`rules`."""
        fine = usable(estimates)
        with np.errstate(invalid="ignore"):
            met, against = fine & (estimates.ci_high < self.null), fine & (estimates.ci_low > self.null)
        return Decision(met, against, fine)

    def check(self, around: Surroundings, where: str, at: str) -> list[Problem]:
        """Also a comparison without a standard error, whose statistic has no place in a process over looks."""
        problems = super().check(around, where, at)
        if not problems and self.comparison in SCORE_INTERVALS:
            known = around.endpoints[self.endpoint or around.primary]
            allowed = listed_or_none([name for name in known if name not in SCORE_INTERVALS])
            message = f"{self.comparison} has no standard error to follow from look to look"
            problems.append(Problem(message, where, f"{at}.comparison", allowed))
        return problems

    def sentence(self, around: Surroundings) -> str:
        """The comparison, then the looks."""
        share = ", ".join(f"{100 * t:g}%" for t in self.looks.information)
        days = ", ".join(f"{t:g}" for t in self.looks.calendar)
        when = f"at {share} of the planned events" if share else f"on days {days} and when follow-up is complete"
        tail = ""
        if self.futility is not None:
            bound = "binding" if self.futility.binding else "not binding"
            tail = f", futility spending {self.futility.spending} of {100 * self.futility.beta:g}% ({bound})"
        return f"{super().sentence(around)}; looks {when}, level spent as {self.efficacy.spending}{tail}"
