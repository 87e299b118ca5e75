"""Tables that disagree are told, patient by patient, and nothing is told of tables that agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmvsim.data import Disposition, EndReason, Occurrences, Result, Samples, Study, Subjects
from cmvsim.data.consistency import contradictions


def _study(**changes: object) -> Study:
    n = 4
    day = np.tile([0.0, 7.0, 90.0], (1, n, 1))
    samples = Samples(
        day.copy(), day, np.full((1, n, 3), Result.NOT_DETECTED, np.int8), np.full((1, n, 3), np.nan), "plasma", 35.0
    )
    disposition = Disposition(np.full((1, n), 90.0), np.full((1, n), EndReason.COMPLETED, np.int8), np.full((1, n), np.nan))
    subjects = Subjects(np.zeros((1, n), np.int8), ("dlbcl",), ("lymphoma",), patients=("A", "B", "C", "D"))
    return replace(Study(subjects, samples, disposition), **changes)


def test_tables_that_agree_are_quiet() -> None:
    assert contradictions(_study(), 90) == []


def test_each_contradiction_is_told_with_its_patients() -> None:
    hct = np.array([[35.0, np.nan, np.nan, np.nan]])
    assert "transplantation" in contradictions(_study(events={"hct": Occurrences.once(hct)}), 90)[0]
    assert "1 patient (A)" in contradictions(_study(events={"hct": Occurrences.once(hct)}), 90)[0]
    assert "a new therapy" in contradictions(_study(events={"new_therapy": Occurrences.once(hct)}), 90)[0]
    base = _study()
    base.disposition.end[0, 1] = 40.0
    assert contradictions(base, 90) == ["monitoring is called completed before day 90; censored at end_day: 1 patient (B)"]
    lost = _study()
    lost.disposition.end[0, 2], lost.disposition.reason[0, 2] = 5.0, EndReason.LOST
    lost.samples.result[0, 2, 1] = Result.QUANTIFIED
    assert contradictions(lost, 90) == [
        "a quantified sample lies after the end of monitoring and does not count: 1 patient (C)"
    ]
    unseen = _study()
    unseen.samples.result[0, 3] = Result.NONE
    assert contradictions(unseen, 90) == ["no sample at all, taken as event-free until end_day: 1 patient (D)"]


def test_an_early_closing_visit_is_no_contradiction() -> None:
    early = _study()
    early.disposition.end[0, 1] = 85.0
    assert contradictions(early, 90, 7) == []
    assert "before day 90" in contradictions(early, 90, 4)[0]
