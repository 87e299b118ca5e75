"""A severe grade counts from the day on which it was reached, where the tables say it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from cmvsim.data.cut import _occurrences
from cmvsim.data.study import Occurrences
from cmvsim.endpoints.covariates import covariate, known_on

NAN = np.nan
# of four patients: severe from day 6; severe, nobody wrote when; two events, the second severe at once; never severe
DAY = np.array([[[3.0, NAN], [3.0, NAN], [2.0, 9.0], [3.0, NAN]]])
GRADE = np.array([[[4.0, NAN], [3.0, NAN], [1.0, 3.0], [2.0, NAN]]])
SEVERE = np.array([[[6.0, NAN], [NAN, NAN], [NAN, 9.0], [NAN, NAN]]])


def _known(severe: np.ndarray | None, evening: float) -> list[bool]:
    study: Any = SimpleNamespace(events={"crs": Occurrences(DAY, grade=GRADE, severe=severe)})
    return [bool(x) for x in known_on(covariate("severe_crs"), study, evening)[0]]


def test_severity_counts_from_its_own_day_and_else_from_onset() -> None:
    assert _known(SEVERE, 5) == [False, True, False, False]
    assert _known(SEVERE, 6) == [True, True, False, False]
    assert _known(SEVERE, 9) == [True, True, True, False]
    assert _known(None, 3) == [True, True, False, False]


def test_a_severe_day_says_enough_without_a_grade() -> None:
    for grade in (None, np.where(np.isnan(SEVERE), GRADE, NAN)):
        study: Any = SimpleNamespace(events={"crs": Occurrences(DAY, grade=grade, severe=SEVERE)})
        known = [bool(x) for x in known_on(covariate("severe_crs"), study, 9)[0]]
        assert known == [True, grade is not None, True, False]


def test_an_interim_look_does_not_know_a_grade_reached_later() -> None:
    found = _occurrences(Occurrences(DAY, grade=GRADE, severe=SEVERE), np.array([[5.0, 5.0, 20.0, 20.0]]))
    assert found.grade is not None
    assert found.severe is not None
    np.testing.assert_array_equal(found.grade, [[[NAN, NAN], [3.0, NAN], [1.0, 3.0], [2.0, NAN]]])
    np.testing.assert_array_equal(found.severe, [[[NAN, NAN], [NAN, NAN], [NAN, 9.0], [NAN, NAN]]])
