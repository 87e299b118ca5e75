"""What the tables of a study say against each other.

None of it is refused: real studies have reasons. Disposition rules the end of follow-up; where another table disagrees,
the analyst is told how many patients it concerns and what the analysis does.
"""

from __future__ import annotations

import numpy as np

from cmvsim.core.ledger import Item
from cmvsim.data.study import EndReason, Result, Study


def contradictions(study: Study, window: int, closing_window: int = 0) -> list[str]:
    """Sentences about a study (a batch of one) whose tables disagree.

    Parameters
    ----------
    window
        Last day that counts.
    closing_window
        Days before it from which completed monitoring lasts to it.
    """
    end, reason = study.disposition.followed(window, closing_window)[0], study.disposition.reason[0]
    told = []
    for name, ended_by, says in (
        ("hct", EndReason.HCT, "transplantation"),
        ("new_therapy", EndReason.NEW_THERAPY, "a new therapy"),
    ):
        day = study.events[name].first[0] if name in study.events else np.full(end.shape, np.nan)
        with np.errstate(invalid="ignore"):
            unsaid = (day <= end) & (day <= window) & (reason != ended_by)
        if unsaid.any():
            told.append(
                f"{says} is dated within monitoring, but disposition, which rules, says otherwise: {_who(study, unsaid)}"
            )
    after = (
        (study.samples.result[0] == Result.QUANTIFIED)
        & (study.samples.day[0] > end[:, None])
        & (study.samples.day[0] <= window)
    )
    if after.any():
        told.append(
            f"a quantified sample lies after the end of monitoring and does not count: {_who(study, after.any(axis=-1))}"
        )
    early = (reason == EndReason.COMPLETED) & (end < window)
    if early.any():
        told.append(f"monitoring is called completed before day {window}; censored at end_day: {_who(study, early)}")
    untested = ~(study.samples.result[0] > Result.NONE).any(axis=-1)
    if untested.any():
        told.append(f"no sample at all, taken as event-free until end_day: {_who(study, untested)}")
    return told + _after_death(study) + _unsaid_stays(study)


def _after_death(study: Study) -> list[str]:
    """Courses and stays that outlast their patient."""
    death = study.disposition.death[0][:, None]
    spans = {"a course": [courses.stop[0] for courses in study.exposures.values()]}
    spans["a stay in hospital"] = [study.stays.stop[0]] if study.stays is not None else []
    told = []
    for what, stops in spans.items():
        # stop is the last day + 1: a span that ends with the day of death stops one day later
        late = np.zeros(death.shape[0], dtype=bool)
        for stop in stops:
            late |= (stop > death + 1).any(axis=-1)
        if late.any():
            told.append(f"{what} goes on after death: {_who(study, late)}")
    return told


def _unsaid_stays(study: Study) -> list[str]:
    """Days of intensive care in one of stays and resources, and not in the other."""
    if study.stays is None or study.resources is None:
        return []
    code = list(Item).index(Item.ICU_DAY)
    used = np.zeros(study.patients, dtype=bool)
    used[study.resources.row[study.resources.item == code]] = True
    stayed = (study.stays.icu[0] & ~np.isnan(study.stays.start[0])).any(axis=-1)
    differ = used != stayed
    if not differ.any():
        return []
    return [f"stays and resources disagree on intensive care; each analysis reads its own: {_who(study, differ)}"]


def _who(study: Study, which: np.ndarray) -> str:
    """The patients, the first few by name."""
    names = [study.subjects.patients[i] for i in np.flatnonzero(which)] if study.subjects.patients else []
    count = int(which.sum())
    shown = ", ".join(names[:3]) + (", ..." if count > 3 else "")
    return f"{count} patient{'s' if count > 1 else ''}" + (f" ({shown})" if shown else "")
