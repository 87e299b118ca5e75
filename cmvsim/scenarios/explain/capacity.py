"""What patients share: slots, laboratory, beds."""

from __future__ import annotations

from cmvsim.models.capacity import WEEKDAYS, BedsSpec, InfusionSpec, LaboratorySpec
from cmvsim.scenarios.explain.sentences import Section, joined, sentence
from cmvsim.scenarios.scenario import Scenario
from cmvsim.scenarios.words import between, number


def capacity(spec: Scenario) -> Section | None:
    """Slots, laboratory and beds that are in force; nothing where all is unlimited, or nobody is recruited."""
    if not spec.accrual.recruits(spec.population):
        return None
    law = spec.capacity.in_force
    told = [
        _infusions(law.infusions) if law.infusions is not None else "",
        _laboratory(law.laboratory) if law.laboratory is not None else "",
        *(_beds(name, beds) for name, beds in (("haematology", law.ward), ("intensive-care", law.icu)) if beds is not None),
    ]
    if not any(told):
        return None
    return Section("CAPACITY", ["In `cmvsim accrual` only, where patients share them:", *map(sentence, told)])


def _infusions(law: InfusionSpec) -> str:
    parts = [
        f"{number(float(law.slots_per_week))} infusions a week" if law.slots_per_week is not None else "",
        f"{between(law.manufacturing, 'days')} from enrolment to product" if law.manufacturing is not None else "",
    ]
    return joined([part for part in parts if part])


def _laboratory(law: LaboratorySpec) -> str:
    when = f"at {joined(list(law.runs_at.value))}" if law.runs_at is not None else "whenever an analyser is free"
    size = f"of up to {number(float(law.batch))} samples " if law.batch is not None else ""
    others = f", beside {number(float(law.other_samples))} samples of other patients a day" if float(law.other_samples) else ""
    return (
        f"a PCR laboratory that runs {when} {size}{_days(law)}, results {number(float(law.run))} hours "
        f"later, samples {number(float(law.transport))} hours on the way{others}"
    )


def _days(law: LaboratorySpec) -> str:
    """Opening days: those in a row by the first and the last."""
    open_ = sorted(WEEKDAYS.index(day) for day in law.opening_days.value)
    names = [WEEKDAYS[day].capitalize() for day in open_]
    if len(open_) == len(WEEKDAYS):
        return "every day"
    row = len(open_) > 2 and open_[-1] - open_[0] == len(open_) - 1
    return f"from {names[0]} to {names[-1]}" if row else f"on {joined(names)}"


def _beds(name: str, law: BedsSpec) -> str:
    others = f", {number(float(law.others))} of them for others on average" if float(law.others) else ""
    return f"{number(float(law.beds))} {name} beds{others}"
