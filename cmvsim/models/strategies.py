"""Section 15, strategies: what is done about CMV beside pre-emptive therapy, and what letermovir does while it is taken.

A strategy says who gets letermovir, from when and for how long; ``[letermovir]`` says once per scenario what the drug
does. Its effect has two parts, a ratio on the hazard of onset and a shift of the set-point, so that the same drug can
prevent few episodes of any DNAemia and most of those that would be treated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from cmvsim.core.errors import Problem, shown
from cmvsim.core.quantities import (
    CellCount,
    Count,
    DailyDose,
    Days,
    Log10Copies,
    Log10Load,
    PositiveDays,
    Probability,
    Ratio,
    StudyDay,
    VaryingProportion,
)
from cmvsim.core.spec import Spec
from cmvsim.core.value import Stated, Value
from cmvsim.models.monitoring import WholeDay

REFERENCE = "preemptive"
"""Name of the reference strategy where there is one of that name."""
ZERO, ONE = Value(value=0.0), Value(value=1.0)
WHO = 'allowed: "all", { baseline = { lymphocytes_below = 0.5 } }, or { ttv = { ... } }'
COURSE_KEYS = ("who", "start", "duration", "dose", "latest_stop")
StopEvent = Literal["preemptive_therapy", "hct", "new_therapy"]


class BaselineRule(Spec):
    """A score of what is known before the first dose: one point for each criterion that is met.

    Attributes
    ----------
    lymphocytes_below
        Lymphocytes before lymphodepletion below this count.
    prior_allogeneic_hct
        An allogeneic transplantation before.
    hematotox_high
        CAR-HEMATOTOX of two points or more.
    points
        Criteria that must be met.
    """

    lymphocytes_below: CellCount | None = None
    prior_allogeneic_hct: bool = False
    hematotox_high: bool = False
    points: Count = ONE

    @model_validator(mode="after")
    def _check(self) -> BaselineRule:
        named = (self.lymphocytes_below is not None) + self.prior_allogeneic_hct + self.hematotox_high
        if named == 0:
            raise ValueError("no criterion is named: lymphocytes_below, prior_allogeneic_hct = true, or hematotox_high = true")
        if not 1 <= float(self.points) <= named:
            raise ValueError(f"points = {float(self.points):g}: the number of criteria named is {named}")
        return self


class TtvRule(Spec):
    """A high load of torque teno virus, as the assay reports it.

    Attributes
    ----------
    log10_at_least
        Measured load in blood that counts as high.
    day
        Planned day of the sample; a visit of ``virome.visits``.
    turnaround
        Days until the result is known.
    """

    log10_at_least: Log10Copies
    day: WholeDay
    turnaround: Days

    @property
    def known(self) -> float:
        """Day of the result."""
        return self.day + float(self.turnaround)


class WhoSpec(Spec):
    """Who gets the drug: "all", or those of a baseline rule, or those with a high measured load of TTV."""

    baseline: BaselineRule | None = None
    ttv: TtvRule | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_human(cls, raw: Any) -> Any:
        if raw == "all":
            return {}
        if not isinstance(raw, Mapping | WhoSpec):
            message = f"{shown(raw)} does not say who"
            raise PydanticCustomError("value", "{message}", {"message": message, "allowed": WHO})
        return raw

    @model_validator(mode="after")
    def _check(self) -> WhoSpec:
        if self.baseline is not None and self.ttv is not None:
            raise ValueError("who selects by a baseline rule or by a measured load of TTV, not by both")
        return self


class StartSpec(Spec):
    """When the drug begins: on `day`, or so long after a trigger or a result, and then not before `day`.

    Attributes
    ----------
    trigger
        "corticosteroids": the start of their course; who has none does not get the drug.
    delay
        Days from the trigger, or from the result of a measurement, to the first dose.
    """

    day: StudyDay = ZERO
    trigger: Literal["corticosteroids"] | None = None
    delay: Days = ZERO


class StrategySpec(Spec):
    """A strategy by name.

    Attributes
    ----------
    label
        For tables and figures.
    label_fr
        The same in French, for the French paragraph of a protocol; "" where there is none.
    prophylaxis
        The drug given to prevent reactivation; "none" is pre-emptive therapy alone, and names nothing else.
    who, start, duration
        Needed with a drug.
    dose
        Tells which price a day has; the effect is that of the dose as labelled.
    latest_stop
        Day on which the course ends at the latest, whenever it began.
    """

    label: str
    label_fr: str = ""
    prophylaxis: Literal["none", "letermovir"] = "none"
    who: WhoSpec | None = None
    start: StartSpec | None = None
    duration: PositiveDays | None = None
    dose: DailyDose | None = None
    latest_stop: StudyDay | None = None

    @model_validator(mode="after")
    def _check(self) -> StrategySpec:
        given = [key for key in COURSE_KEYS if getattr(self, key) is not None]
        if self.prophylaxis == "none":
            if given:
                raise ValueError(f'{", ".join(given)}: say what is given with prophylaxis = "letermovir"')
            return self
        missing = [key for key in COURSE_KEYS[:4] if key not in given]
        if missing:
            raise ValueError(f"prophylaxis with {self.prophylaxis} also needs {', '.join(missing)}")
        assert self.who is not None
        assert self.start is not None
        assert self.duration is not None
        if float(self.duration) < 1:
            raise ValueError(f"duration = {float(self.duration):g}: a course lasts at least a day")
        waits = self.start.trigger is not None or self.who.ttv is not None
        if float(self.start.delay) > 0 and not waits:
            raise ValueError("start.delay counts from a trigger or a measurement; without one, give the day itself")
        if self.latest_stop is not None and float(self.latest_stop) <= float(self.start.day):
            raise ValueError(
                f"latest_stop (day {float(self.latest_stop):g}) is not after the first possible day ({float(self.start.day):g})"
            )
        return self

    def check(self, first: float, last: float, ttv_visits: tuple[int, ...] | None, where: str, at: str) -> list[Problem]:
        """Problems of a course that other sections rule out.

        Parameters
        ----------
        first, last
            Study days of inclusion and horizon.
        ttv_visits
            Days on which TTV is measured; None where that is not known.
        where, at
            File and key path for messages.
        """
        if self.start is None or self.who is None:
            return []
        problems, day = [], float(self.start.day)
        if day < first:
            problems.append(Problem(f"day {day:g} is before inclusion (day {first:g})", where, f"{at}.start.day"))
        ttv = self.who.ttv
        earliest = max(day, ttv.known + float(self.start.delay)) if ttv is not None else day
        if earliest >= last:
            problems.append(
                Problem(
                    f"no course can begin: day {earliest:g} is not before the horizon ({last:g})",
                    where,
                    f"{at}.start",
                    "a later horizon",
                )
            )
        if ttv is not None and ttv_visits is not None and ttv.day not in ttv_visits:
            days = ", ".join(map(str, ttv_visits)) or "none"
            problems.append(Problem(f"TTV is not measured on day {ttv.day}", where, f"{at}.who.ttv.day", f"visits: {days}"))
        return problems


class LetermovirTargets(Spec):
    """Published ratios of marginal hazards while on the drug, which its two effects reproduce together.

    Attributes
    ----------
    any_dnaemia
        First detected DNAemia.
    clinically_significant
        First clinically significant infection.
    """

    any_dnaemia: Ratio
    clinically_significant: Ratio


class GivenEffect(Spec):
    """The two effects of one patient, stated instead of solved.

    Attributes
    ----------
    onset_ratio
        On the hazard of onset of replication, while on the drug.
    set_point_shift
        Of episodes that begin on the drug.
    """

    onset_ratio: Ratio
    set_point_shift: Log10Load


class ReboundSpec(Spec):
    """A higher hazard of onset after the last dose.

    Attributes
    ----------
    ratio
        At the last dose.
    days
        Over which its logarithm declines to 0.
    step
        The decline goes in steps of so many days.
    """

    ratio: Ratio
    days: Days
    step: PositiveDays

    @model_validator(mode="after")
    def _check(self) -> ReboundSpec:
        if float(self.step) < 1:
            raise ValueError(f"step = {float(self.step):g}: steps are at least a day long")
        return self


@dataclass(frozen=True, slots=True)
class LetermovirEffect:
    """What letermovir does to one patient who takes all of it.

    Attributes
    ----------
    onset_ratio
        Hazard ratio of onset while on the drug.
    set_point_shift
        log10 IU/mL, of episodes that begin on the drug.
    """

    onset_ratio: float
    set_point_shift: float


class LetermovirSpec(Spec):
    """What letermovir does, once per scenario.

    Attributes
    ----------
    effect
        "solved" from `targets`, "given", or "none": the drug is taken and changes nothing (no rebound and no resistance
        either).
    targets
        Read under the measurement of ``cmv.targets``.
    disease_ratio
        On the hazard of CMV disease while on the drug, beyond what a lower load does.
    adherence
        Share of the doses taken; scales every log effect of a patient.
    discontinued_by_90
        Probability of stopping within 90 days of the first dose for other reasons than plan, CMV and `stopped_by`.
    stopped_by
        Events that end a course, and after which none begins.
    """

    effect: Literal["solved", "given", "none"]
    targets: LetermovirTargets
    given: GivenEffect | None = None
    disease_ratio: Ratio
    rebound: ReboundSpec
    adherence: VaryingProportion
    discontinued_by_90: Probability
    stopped_by: Stated[Annotated[tuple[StopEvent, ...], Field(strict=False)]]

    @model_validator(mode="after")
    def _check(self) -> LetermovirSpec:
        if self.effect == "given" and self.given is None:
            raise ValueError('effect = "given" needs given = { onset_ratio = ..., set_point_shift = ... }')
        law = self.adherence
        if law.centre > 1 or (law.spread > 0 and (law.low is None or law.low < 0 or law.high is None or law.high > 1)):
            raise ValueError("adherence is a proportion: a centre of at most 1, with low = 0 and high = 1 in 'varies'")
        if float(self.discontinued_by_90) >= 1:
            raise ValueError("discontinued_by_90: a probability of 1 by day 90 has no finite hazard")
        return self

    @property
    def acts(self) -> bool:
        """Whether the drug does anything at all."""
        return self.effect != "none"

    @property
    def known_effect(self) -> LetermovirEffect | None:
        """The effect where it is stated, None where it is to be solved."""
        if self.effect == "none":
            return LetermovirEffect(1.0, 0.0)
        if self.effect == "given":
            assert self.given is not None
            return LetermovirEffect(float(self.given.onset_ratio), float(self.given.set_point_shift))
        return None

    @property
    def log_rebound(self) -> float:
        """Log ratio at the last dose, of a patient who took all of it."""
        return math.log(float(self.rebound.ratio)) if self.acts else 0.0

    @property
    def log_disease(self) -> float:
        """Log ratio on the hazard of disease, of a patient who takes all of it."""
        return math.log(float(self.disease_ratio)) if self.acts else 0.0


def reference_strategy(strategies: Mapping[str, StrategySpec]) -> str | None:
    """Name of the strategy that the others are compared with: `preemptive`, or the first without a drug."""
    plain = [name for name, strategy in strategies.items() if strategy.prophylaxis == "none"]
    return REFERENCE if REFERENCE in plain else next(iter(plain), None)


def check_strategies(
    strategies: Mapping[str, StrategySpec], first: float, last: float, ttv_visits: tuple[int, ...] | None, where: str
) -> list[Problem]:
    """Problems of all strategies together; parameters as :meth:`StrategySpec.check`."""
    if not strategies:
        return [Problem("at least one is needed", where, "strategies")]
    problems = [
        problem
        for name, strategy in strategies.items()
        for problem in strategy.check(first, last, ttv_visits, where, f"strategies.{name}")
    ]
    if REFERENCE in strategies and strategies[REFERENCE].prophylaxis != "none":
        problems.append(
            Problem(
                f"'{REFERENCE}' is the reference of every comparison and has no prophylaxis",
                where,
                f"strategies.{REFERENCE}.prophylaxis",
                "give this strategy another name",
            )
        )
    elif reference_strategy(strategies) is None:
        problems.append(
            Problem(
                "no strategy is without prophylaxis: comparisons need a reference", where, "strategies", 'prophylaxis = "none"'
            )
        )
    return problems
