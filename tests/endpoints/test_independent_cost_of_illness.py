"""Cost of illness: cost per day, exposure and matching state from diaries; estimates by hand on small studies."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmvsim.core.errors import InputError
from cmvsim.core.ledger import Item
from cmvsim.core.records import Status
from cmvsim.data.study import COMPONENTS, EndReason, Result
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.base import by_term, derivation
from cmvsim.endpoints.cost_of_illness import OF_ILLNESS, TERMS, total_cost
from cmvsim.endpoints.resampling import patient_counts
from cmvsim.valuation import price_list
from tests.endpoints.diaries import NAN, Diary, any_diary, first_treated, prevalent, study_of

ENTRY = endpoint("cost_of_illness")
PLAN = AnalysisSpec(endpoints=("cost_of_illness",), resamples=0)
PRICES = price_list("france_2025").unit_costs


def _choice(name: str):
    return next(c for c in ENTRY.estimators if c.id == name)


def known_until(d: Diary) -> float:
    """Last day of the window of which costs are known, deaths apart."""
    left = (EndReason.WITHDRAWN, EndReason.LOST, EndReason.ONGOING)  # who is still followed is known until the cut
    if d.reason in left or (d.reason is EndReason.COMPLETED and d.end < 83):
        return min(d.end, 90.0)
    return 90.0


def spent(d: Diary, day: int, component: str) -> float:
    """Cost of a component on a day."""
    if day > known_until(d) or day > d.death:
        return 0.0
    return sum(
        quantity * PRICES[item.code] / (last - first + 1)
        for item, part, first, last, quantity in d.uses
        if part == component and first <= day <= last
    )


def first_detected(d: Diary) -> float:
    days = [
        min(day, 90.0) if nominal == 90 and abs(day - 90) <= 7 else day
        for nominal, day, result, _ in d.samples
        if result in (Result.BELOW_LLOQ, Result.QUANTIFIED) and day > 0
    ]
    return min((day for day in days if day <= min(90, d.end)), default=math.inf)


def monitored_until(d: Diary) -> float:
    """Completed in the window of the last visit (from day 83) is monitored until day 90."""
    return 90 if d.reason is EndReason.COMPLETED and d.end >= 83 else min(d.end, 90)


def index_day(d: Diary, exposure: str) -> float:
    if exposure == "matching":
        return first_treated(d)
    if exposure == "matching_any_dnaemia":
        return first_detected(d)
    days = [day for day, _ in sorted(d.events.get("cmv_disease", []))[:1] if 0 < day <= monitored_until(d)]
    return min(days, default=math.inf)


def left_out(d: Diary, exposure: str) -> bool:
    if exposure == "matching_any_dnaemia":
        return any(result in (Result.BELOW_LLOQ, Result.QUANTIFIED) and day <= 0 for _, day, result, _ in d.samples)
    return prevalent(d)


def state(d: Diary, day: int) -> int:
    """Stratum, in hospital, on steroids on the evening before."""
    evening = day - 1

    def on(spells: list[tuple[float, float]]) -> bool:
        return any(start <= evening and not evening >= stop for start, stop in spells)

    return 4 * d.stratum + 2 * on([(a, b) for a, b, _ in d.stays]) + on(d.courses.get("corticosteroids", []))


@settings(max_examples=40, deadline=None)
@given(st.randoms(use_true_random=False))
def test_cost_tables_against_diaries(random: Random) -> None:
    parts = [[any_diary(random) for _ in range(2)] for _ in range(2)]
    for part in parts:
        for d in part:
            d.events["cmv_disease"] = d.events["cmv_disease"][:1]
    study = study_of(parts)
    for name in ("matching", "matching_any_dnaemia", "matching_disease"):
        derived = derivation(ENTRY, _choice(name), study, PLAN)
        assert derived.components == COMPONENTS
        assert derived.daily.shape == (2, 2, 90, len(COMPONENTS))
        for r, part in enumerate(parts):
            for n, d in enumerate(part):
                assert bool(derived.inside[r, n]) != left_out(d, name)
                assert sum(bool(who[r, n]) for who in derived.excluded.values()) == left_out(d, name)
                if left_out(d, name):
                    assert np.isnan(derived.index[r, n])
                    assert not derived.daily[r, n].any()
                    continue
                first = index_day(d, name)
                assert derived.monitored[r, n] == monitored_until(d)
                assert derived.index[r, n] == first or (
                    np.isnan(derived.index[r, n]) and first > min(monitored_until(d), d.death)
                )
                assert derived.exit[r, n] == known_until(d)
                assert [int(k) for k in derived.key[r, n]] == [state(d, day) for day in range(1, 91)]
                want = [[spent(d, day, c) for c in COMPONENTS] for day in range(1, 91)]
                np.testing.assert_allclose(derived.daily[r, n], want, rtol=1e-12, atol=1e-9)


def _patient(index: float | None, *uses: tuple[Item, str, float, float, float], **more: object) -> Diary:
    d = Diary(uses=list(uses), **more)  # type: ignore[arg-type]
    if index is not None:
        d.courses["valganciclovir"] = [(index, index + 14)]
    return d


def _ward(first: float, last: float) -> tuple[Item, str, float, float, float]:
    return (Item.WARD_DAY, "additional_stays", first, last, last - first + 1)


def test_attributable_cost_by_hand() -> None:
    """Two cases; the controls of each are those free of it on that day and in its state, the later case among them.

    The case of day 20 spends 5 ward days from then on; its controls spend 2 (day 50 to 51), 0, and what the case of day 40
    spends: 3. The case of day 40: 3 ward days against 2 and 0. Cost before the index day counts for nobody.
    """
    diaries = [
        _patient(20, _ward(2, 9), _ward(22, 26)),
        _patient(40, _ward(41, 43)),
        _patient(None, _ward(1, 10), _ward(50, 51)),
        _patient(None),
        _patient(None, _ward(20, 80), stratum=1),
        _patient(None, _ward(30, 60), stays=[(0.0, NAN, False)]),
        _patient(None, _ward(30, 60), end=10.0, reason=EndReason.NEW_THERAPY),
    ]
    derived = ENTRY.derive(study_of([diaries]), PLAN)
    got = by_term(_choice("matching").estimate(derived, PLAN, (7,)))
    assert tuple(got) == _choice("matching").terms(PLAN) == TERMS
    want = 1150 * ((5 - (2 + 0 + 3) / 3) + (3 - (2 + 0) / 2)) / 2
    for term in ("total", "additional_stays"):
        assert got[term].status[0, 0] == Status.OK
        assert got[term].estimate[0, 0] == pytest.approx(want)
        assert (got[term].n[0, 0], got[term].events[0, 0]) == (7, 2)
    assert got["surveillance"].estimate[0, 0] == 0


def test_terms_add_up_to_the_total_and_prophylaxis_stands_beside_it() -> None:
    random = Random(3)
    diaries = [any_diary(random) for _ in range(60)]
    for n, d in enumerate(diaries):
        d.stratum, d.stays, d.samples = 0, [], []
        d.courses = {"valganciclovir": [(10.0 + n, 80.0)]} if n % 3 == 0 else {}
    derived = ENTRY.derive(study_of([diaries]), PLAN)
    got = by_term(_choice("matching").estimate(derived, PLAN, (60,)))
    parts = sum(got[term].estimate[0, 0] for term in OF_ILLNESS)
    assert got["total"].status[0, 0] == Status.OK
    assert got["total"].estimate[0, 0] == pytest.approx(parts, rel=1e-10)
    assert abs(got["prophylaxis"].estimate[0, 0]) > 1
    for n, d in enumerate(diaries):
        want = sum(spent(d, day, c) for day in range(1, 91) for c in OF_ILLNESS)
        assert total_cost(derived)[0, n] == pytest.approx(want)


def test_resamples_give_the_error_and_none_leaves_the_influence() -> None:
    diaries = [
        _patient(15.0 + n if n % 4 == 0 else None, _ward(1 + n % 7, 20 + (5 * n) % 23), _ward(60, 61 + n % 5))
        for n in range(40)
    ]
    derived = ENTRY.derive(study_of([diaries]), PLAN)
    boot = PLAN.model_copy(update={"resamples": 200})
    one, two = (by_term(_choice("matching").estimate(derived, plan, (20, 40)))["total"] for plan in (PLAN, boot))
    assert np.array_equal(one.estimate, two.estimate)
    assert (one.status == Status.OK).all()
    assert (two.status == Status.OK).all()
    assert 0.6 < two.se[0, 1] / one.se[0, 1] < 1.6
    assert two.se[0, 1] != one.se[0, 1]
    again = by_term(_choice("matching").estimate(derived, boot, (40,)))["total"]
    assert again.se[0, 0] == two.se[0, 1], "a size does not depend on the others"
    other = by_term(_choice("matching").estimate(derived, boot.model_copy(update={"bootstrap_seed": 2}), (40,)))["total"]
    assert other.se[0, 0] != two.se[0, 1]


def test_resamples_draw_as_many_patients_as_there_are() -> None:
    plan = PLAN.model_copy(update={"resamples": 50})
    counts = patient_counts(plan, 13)
    assert counts is not None
    assert counts.shape == (50, 13)
    assert (counts.sum(axis=1) == 13).all()
    more = patient_counts(plan.model_copy(update={"resamples": 80}), 13)
    assert more is not None
    assert np.array_equal(more[:50], counts), "a resample is known by its number"
    assert abs(counts.var() - 12 / 13) < 0.25
    assert patient_counts(PLAN, 13) is None


def test_sensitivity_estimators_on_the_same_patients() -> None:
    """Complete histories without strata: all of them are differences of means."""
    diaries = [_patient(20.0 if n % 3 == 0 else None, _ward(1, 3 + n % 4 + 4 * (n % 3 == 0))) for n in range(30)]
    derived = ENTRY.derive(study_of([diaries]), PLAN)
    total = total_cost(derived)[0]
    had = np.arange(30) % 3 == 0
    want = total[had].mean() - total[~had].mean()
    for name in ("poisson", "two_part", "ever_never"):
        got = by_term(_choice(name).estimate(derived, PLAN, (30,)))["total"]
        assert got.status[0, 0] == Status.OK, name
        assert got.estimate[0, 0] == pytest.approx(want, rel=1e-8), name
        assert "naive" in _choice(name).note
    means = by_term(_choice("bang_tsiatis").estimate(derived, PLAN, (30,)))
    assert means["with the infection"].estimate[0, 0] == pytest.approx(total[had].mean())
    assert means["without"].estimate[0, 0] == pytest.approx(total[~had].mean())


def test_a_stratum_that_is_absent_from_a_replicate_has_no_coefficient() -> None:
    one = [_patient(20.0 if n % 3 == 0 else None, _ward(1, 2 + n % 5), stratum=1) for n in range(20)]
    two = [_patient(20.0 if n % 3 == 0 else None, _ward(1, 2 + n % 5), stratum=n % 2) for n in range(20)]
    derived = ENTRY.derive(study_of([one, two]), PLAN)
    got = by_term(_choice("poisson").estimate(derived, PLAN, (20,)))["total"]
    assert (got.status == Status.OK).all()
    alone = by_term(_choice("poisson").estimate(derived.of_replicates(slice(1, 2)), PLAN, (20,)))["total"]
    assert got.estimate[1, 0] == pytest.approx(alone.estimate[0, 0], rel=1e-10)


def test_prices_of_the_study_and_items_without_one() -> None:
    costs = np.full(len(Item), np.nan)
    costs[Item.WARD_DAY.code] = 500.0
    plan = PLAN.model_copy(update={"price_list": "study"})
    derived = ENTRY.derive(study_of([[_patient(None, _ward(3, 4))]], costs), plan)
    assert total_cost(derived)[0, 0] == 1000
    tested = _patient(None, (Item.CMV_PCR, "surveillance", 5, 5, 1))
    with pytest.raises(InputError, match="no price of cmv_pcr"):
        ENTRY.derive(study_of([[tested]], costs), plan)
    with pytest.raises(InputError, match="did you mean 'france_2025'"):
        ENTRY.derive(study_of([[tested]]), PLAN.model_copy(update={"price_list": "france"}))


@pytest.mark.parametrize("absent", ["resources", "stays", "exposures"])
def test_absent_tables_are_named(absent: str) -> None:
    study = study_of([[_patient(None, _ward(3, 4))]])
    parts = {name: getattr(study, name) for name in ("subjects", "samples", "disposition", "events", "exposures")}
    parts |= {name: getattr(study, name) for name in ("resources", "stays")}
    parts[absent] = {} if absent == "exposures" else None
    with pytest.raises(InputError, match=rf"{absent}\.csv"):
        ENTRY.derive(type(study)(**parts), PLAN)
