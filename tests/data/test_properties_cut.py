"""Data cuts: identity without a cut, idempotent, monotone, nothing later survives; and a twin that filters row by row."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from data_further import full_studies, plain_rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cmvsim.data import EndReason, Result, Study
from cmvsim.data.cut import cut, infused, known_until

PROFILE = settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
DAYS = st.integers(-20, 130).map(float) | st.just(np.inf)


def same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if is_dataclass(a):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    return bool(a == b)


def known_days(draw: st.DrawFn, study: Study, values: st.SearchStrategy[float] = DAYS) -> np.ndarray:
    size = study.replicates * study.patients
    return np.array(draw(st.lists(values, min_size=size, max_size=size))).reshape(study.replicates, study.patients)


@PROFILE
@given(full_studies())
def test_without_a_cut_the_study_is_itself(study: Study) -> None:
    whole = cut(study, known_until(np.zeros((study.replicates, study.patients)), np.inf), enrolment=-30, turnaround=3)
    assert same(study, whole)


@PROFILE
@given(st.data())
def test_cut_twice_is_cut_once_and_an_earlier_cut_follows_a_later(data: st.DataObject) -> None:
    study = data.draw(full_studies())
    early = known_days(data.draw, study)
    late = early + known_days(data.draw, study, st.integers(0, 40).map(float))
    with np.errstate(invalid="ignore"):
        once = cut(study, early, enrolment=-5, turnaround=2)
        assert same(once, cut(once, early, enrolment=-5, turnaround=2))
    through = cut(cut(study, late), early)
    direct = cut(study, early)
    # use that is spread over days is shared out in two steps
    assert study.resources is not None
    assert through.resources is not None
    assert direct.resources is not None
    np.testing.assert_allclose(through.resources.quantity, direct.resources.quantity, rtol=1e-12)
    through.resources.quantity[:] = direct.resources.quantity
    assert same(through, direct)


def _filtered(rows: dict[str, list[tuple[object, ...]]], known: float, end: float) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of one patient that stand in the tables on day `known`."""

    def by(day: Any) -> bool:
        return day is not None and day <= known

    def sampled(row: tuple[Any, ...], at: int) -> bool:
        nominal, day, result = row[at : at + 3]
        return by(day) if result != Result.NONE else by(nominal) and nominal <= end

    found: dict[str, list[tuple[Any, ...]]] = {name: [] for name in rows}
    for name, day, last, grade, sure in rows["events"]:
        if by(day):
            found["events"].append((name, day, last if by(last) else None, grade, sure))
    found["virome"] = [row for row in rows["virome"] if sampled(row, 1)]
    found["car_t"] = [row for row in rows["car_t"] if sampled(row, 1)]
    found["sequencing"] = [row for row in rows["sequencing"] if by(row[0])]
    for nominal, day, instrument, proxy, *answers, vas in rows["eq5d"]:
        if by(day):
            found["eq5d"].append((nominal, day, instrument, proxy, *answers, vas))
        elif by(nominal):
            found["eq5d"].append((nominal, None, instrument, proxy, 0, 0, 0, 0, 0, None))
    for start, stop, icu in rows["stays"]:
        if by(start):
            found["stays"].append((start, stop if stop is not None and by(stop - 1) else None, icu))
    for item, component, first, last, quantity in rows["resources"]:
        days = [day for day in range(int(first), int(last) + 1) if day <= known]
        if days:
            share = 1.0 if len(days) == last - first + 1 else len(days) / (last - first + 1)
            found["resources"].append((item, component, first, float(days[-1]), quantity * share))
    return found


@PROFILE
@given(st.data())
def test_independent_twin_filters_the_rows_of_each_patient(data: st.DataObject) -> None:
    study = data.draw(full_studies())
    known = known_days(data.draw, study, st.integers(-20, 130).map(float))
    seen = cut(study, known)
    for r in range(study.replicates):
        whole, left = plain_rows(study, r), plain_rows(seen, r)
        for i in range(study.patients):
            day = known[r, i]
            mine = {name: rows[i] for name, rows in whole.items()}
            expected = _filtered(mine, day, study.disposition.end[r, i])
            for name, rows in expected.items():
                assert sorted(map(str, rows)) == sorted(map(str, left[name][i])), name
            end, reason, death = (getattr(seen.disposition, f)[r, i] for f in ("end", "reason", "death"))
            assert end == min(day, study.disposition.end[r, i])
            assert reason == (EndReason.ONGOING if study.disposition.end[r, i] > day else study.disposition.reason[r, i])
            died = study.disposition.death[r, i]
            assert death == died if died <= day else math.isnan(death)
            for drug, courses in study.exposures.items():
                for k, (start, stop) in enumerate(zip(courses.start[r, i], courses.stop[r, i], strict=True)):
                    got = seen.exposures[drug]
                    assert got.start[r, i, k] == start if start <= day else math.isnan(got.start[r, i, k])
                    over = start <= day and stop <= day + 1
                    assert got.stop[r, i, k] == stop if over else math.isnan(got.stop[r, i, k])
            kept = study.samples.day[r, i] <= day
            np.testing.assert_array_equal(seen.samples.result[r, i], np.where(kept, study.samples.result[r, i], 0))
            np.testing.assert_array_equal(seen.samples.day[r, i], np.where(kept, study.samples.day[r, i], np.nan))
            np.testing.assert_array_equal(seen.samples.load[r, i], np.where(kept, study.samples.load[r, i], np.nan))


@PROFILE
@given(st.data())
def test_nothing_after_the_cut_survives(data: st.DataObject) -> None:
    study = data.draw(full_studies())
    known = known_days(data.draw, study, st.integers(-20, 130).map(float))
    seen = cut(study, known, turnaround=2)

    def later(days: np.ndarray, until: np.ndarray = known) -> bool:
        return bool((days > until.reshape(*until.shape, *(1,) * (days.ndim - 2))).any())

    assert seen.car_t is not None
    assert seen.sequencing is not None
    assert seen.questionnaires is not None
    assert seen.stays is not None
    assert seen.resources is not None
    for samples in (seen.samples, seen.car_t, *seen.virome.values()):
        assert not later(samples.day, known - 2)
        assert ((samples.result == Result.NONE) == np.isnan(samples.day)).all()
        assert not later(np.where(np.isnan(samples.day), samples.nominal, np.nan))
    assert not later(seen.sequencing.day, known - 2)
    assert not later(seen.questionnaires.day)
    assert not later(seen.stays.start)
    assert not later(seen.stays.stop - 1)
    assert not later(seen.disposition.end)
    assert not later(seen.disposition.death)
    for found in seen.events.values():
        assert not later(found.day)
        assert found.end is None or not later(found.end)
    for courses in seen.exposures.values():
        assert not later(courses.start)
        assert not later(courses.stop - 1)
    assert (seen.resources.last <= known.reshape(-1)[seen.resources.row]).all()


def test_days_that_are_known_count_from_infusion_and_nobody_is_there_before_enrolment() -> None:
    infusion = np.array([[10.0, 20.6, np.inf]])
    np.testing.assert_array_equal(known_until(infusion, 20.5), [[10.0, -1.0, -np.inf]])
    np.testing.assert_array_equal(known_until(infusion, np.inf), [[np.inf, np.inf, -np.inf]])
    np.testing.assert_array_equal(
        known_until(np.repeat(infusion, 2, axis=0), np.array([0.0, 30.6])), [[-10, -21, -np.inf], [20, 10, -np.inf]]
    )


@PROFILE
@given(full_studies())
def test_of_patients_who_are_not_enrolled_nothing_is_known(study: Study) -> None:
    gone = cut(study, np.full((study.replicates, study.patients), -31.0), enrolment=-30)
    assert not infused(gone).any()
    assert all(np.isnan(column).all() for column in gone.subjects.covariates.values())
    assert gone.resources is not None
    assert gone.resources.row.size == 0
    assert np.isnan(gone.samples.nominal).all()
    enrolled = cut(study, np.full((study.replicates, study.patients), -30.0), enrolment=-30)
    assert same(enrolled.subjects, study.subjects)
