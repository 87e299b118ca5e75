"""Stays and ledger against a plain twin in sixteenths of a day, to the last bit; and the exactness that is promised."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from ledger_twin import Patient

from cmvsim.core.ledger import Component, Item, Ledger
from cmvsim.core.streams import STREAMS, Kind, stable_hash
from cmvsim.core.value import Between, Value
from cmvsim.models.resources import PlannedStay, ResourcesSpec, Stays
from cmvsim.models.windows import Windows
from cmvsim.scenarios import resolve
from cmvsim.simulation.ledger import ledger, surveillance_tests
from cmvsim.simulation.stays import Antivirals, Care, InfectionOnsets, hospital_stays

P, C, W, V = 1600, 4, 4, 14
HORIZON = 80.0
INF = math.inf


def quarters(rng: np.random.Generator, low: float, high: float, size: object) -> np.ndarray:
    return rng.integers(round(low * 4), round(high * 4), size=size) / 4


def draws(name: str, index: int = 0) -> np.ndarray:
    """Chance of the test: normals are whole and quarter days around 0, so that everything stays on quarter days."""
    rng = np.random.default_rng([stable_hash(name), index])
    return rng.random(P) if STREAMS[name] is Kind.UNIFORM else quarters(rng, -3, 4, P)


@cache
def spec() -> ResourcesSpec:
    """The scenario's resources with laws that keep quarter days."""

    def law(centre: float) -> Between:
        return Between(law="normal", centre=centre, spread=1.0)

    base = resolve("cmv-cart").spec.resources
    cmv = {
        "prolongation_days": law(4),
        "admission_days": law(6),
        "disease_days": law(8),
        "disease_icu_share": Value(value=0.25),
    }
    cmv["kidney_injury_days"] = Value(value=3.5)
    infections = {
        "days": law(5),
        "severe_icu": Value(value=0.6),
        "severe_icu_share": Value(value=0.5),
        "admission": Value(value=0.4),
    }
    outpatient = {"blood_test_every": base.outpatient.blood_test_every.model_copy(update={"foscarnet": Value(value=1.25)})}
    return base.model_copy(
        update={
            "cmv": base.cmv.model_copy(update=cmv),
            "infections": base.infections.model_copy(update=infections),
            "outpatient": base.outpatient.model_copy(update=outpatient),
            "support": base.support.model_copy(update={"gcsf_days": Value(value=4.0)}),
        }
    )


def windows(rng: np.random.Generator, share: float, low: float, high: float, longest: float, size: object) -> Windows:
    start = np.where(rng.random(size) < share, quarters(rng, low, high, size), np.nan)
    stop = start + quarters(rng, 0.25, longest, size)
    return Windows(start, stop)


@cache
def care() -> Care:
    """A crowded ward: everything happens to many, at times that collide."""
    rng = np.random.default_rng(7)
    admitted, discharge = quarters(rng, -6, 0.25, P), quarters(rng, 8, 24, P)
    planned = windows(rng, 0.3, 2, 8, 6, P)
    icu = Windows(np.where(np.isnan(planned.start), INF, planned.start), np.fmin(planned.stop, discharge))
    has = rng.random((C, P)) < np.array([0.7, 0.6, 0.5, 0.4])[:, None]
    has = np.logical_and.accumulate(has, axis=0)
    gap, length = quarters(rng, 0, 9, (C, P)), quarters(rng, 0.25, 14, (C, P))
    start, stop, course = np.full((C, P), np.nan), np.full((C, P), np.nan), np.zeros((C, P), dtype=np.int64)
    clock = quarters(rng, 0, 25, P)
    for c in range(C):
        switched = rng.random(P) < 0.5
        start[c] = clock + np.where(switched, 0.0, gap[c])
        stop[c] = start[c] + length[c]
        course[c] = course[c - 1] + ~switched if c else 0
        clock = stop[c]
    drug = np.where(has, rng.integers(1, 5, (C, P)), 0).astype(np.int8)
    start, stop = np.where(has, start, np.nan), np.where(has, stop, np.nan)
    # disease: anywhere, and at the very time of the first treatment, or on the day of discharge
    disease = np.where(rng.random(P) < 0.3, quarters(rng, 0, 60, P), INF)
    disease = np.where(rng.random(P) < 0.08, np.where(has[0], start[0], INF), disease)
    disease = np.where(rng.random(P) < 0.05, discharge, disease)
    test = np.where(rng.random((V, P)) < 0.9, np.arange(V)[:, None] * 7.0, np.nan)
    never = np.full(P, INF)
    bare = windows(rng, 0.3, 2, 10, 12, P)
    return Care(
        planned=PlannedStay(Windows(admitted, discharge), Windows(icu.start, np.where(np.isinf(icu.start), INF, icu.stop))),
        death=np.where(rng.random(P) < 0.4, quarters(rng, 1, 79, P), never),
        horizon=HORIZON,
        antivirals=Antivirals(drug, start, np.where(rng.random((C, P)) < 0.1, INF, stop), course),
        disease=disease,
        neutropenia=windows(rng, 0.2, 10, 60, 12, (C, P)),
        kidney_injury=windows(rng, 0.1, 5, 70, 2, (C, P)).start,
        infections=InfectionOnsets(windows(rng, 0.4, 0, 70, 2, (W, P)).start, rng.random((W, P)) < 0.3),
        toxicity={
            "corticosteroids": Windows(np.where(np.isnan(bare.start), INF, bare.start), bare.stop),
            "tocilizumab": windows(rng, 0.4, 1, 10, 14, P),
            "anakinra": windows(rng, 0.2, 3, 12, 9, P),
        },
        letermovir=windows(rng, 0.5, 0, 30, 60, P),
        adherence=rng.integers(0, 1025, P) / 1024,
        test=test,
        test_extra=rng.random((V, P)) < 0.2,
        sequenced=windows(rng, 0.1, 5, 79, 2, (2, P)).start,
    )


@cache
def made() -> tuple[Stays, Ledger]:
    stays = hospital_stays(spec(), care(), draws)
    return stays, ledger(spec(), care(), stays)


@cache
def twins() -> list[Patient]:
    return [Patient(spec(), care(), draws, i) for i in range(P)]


def of(table: Windows, i: int) -> list[tuple[float, float]]:
    return [(a, b) for a, b in zip(table.start[:, i], table.stop[:, i], strict=True) if a < INF]


def test_independent_stays() -> None:
    stays, _ = made()
    for i, twin in enumerate(twins()):
        assert of(stays.in_hospital, i) == twin.runs(twin.hospital), i
        assert of(stays.in_icu, i) == twin.runs(twin.icu), i


def test_independent_totals() -> None:
    _, book = made()
    everything = book.totals_by_item()
    for j, component in enumerate(Component):
        for k, item in enumerate(Item):
            expected = np.array([twin.totals[component.value, item.value] for twin in twins()])
            np.testing.assert_array_equal(book.totals(item, component), expected, err_msg=f"{component} {item}")
            np.testing.assert_array_equal(everything[j, k], expected)
    assert all(book.totals(item).any() for item in Item)
    assert all(book.totals(component=component).any() for component in Component)


def test_the_twin_reaches_every_branch() -> None:
    seen = Counter(branch for twin in twins() for branch in twin.branches)
    assert set(seen) == {
        "initial_stay_planned",
        "initial_stay_prolonged",
        "additional_stays",
        "course prolongs",
        "disease prolongs",
        "course of the disease",
        "stay for disease",
        "admitted",
        "admitted after a switch",
        "severe infection inside",
        "severe infection outside",
        "severe infection in intensive care",
        "infection",
        "cut",
    }
    assert min(seen.values()) >= 30


def test_properties_totals_are_the_sum_of_the_rows_to_the_last_bit() -> None:
    _, book = made()
    by_patient: dict[int, list[float]] = {i: [] for i in range(P)}
    for patient, quantity in zip(book.patient, book.quantity, strict=True):
        by_patient[int(patient)].append(float(quantity))
    exact = np.array([math.fsum(by_patient[i]) for i in range(P)])
    np.testing.assert_array_equal(book.totals(), exact)
    np.testing.assert_array_equal(book.totals_by_item().sum(axis=(0, 1)), exact)


def test_properties_a_cut_splits_exactly() -> None:
    """Off the quarter days too: laws as the scenario has them, cuts at any time of the grid."""
    rng = np.random.default_rng(3)
    real = resolve("cmv-cart").spec.resources
    stays = hospital_stays(real, care(), lambda name, index=0: np.random.default_rng([stable_hash(name), index]).random(P))
    book = ledger(real, care(), stays)
    cuts = np.sort(rng.integers(-5 * 2**20, 80 * 2**20, size=(3, P)) / 2**20, axis=0)
    edges = [np.full(P, -INF), *cuts, np.full(P, INF)]
    pieces = [book.between(a, b) for a, b in itertools.pairwise(edges)]
    for item in Item:
        np.testing.assert_array_equal(sum(piece.totals(item) for piece in pieces), book.totals(item))
        if item not in (Item.GCSF_DAY, Item.SEQUENCING):
            assert sum(piece.totals(item).any() for piece in pieces) >= 3
    assert all(piece.rows < book.rows for piece in pieces)


def test_a_period_counts_occasions_after_its_beginning_and_at_its_end() -> None:
    test = np.array([[0.0] * P, [7.0] * P, [14.0] * P])
    mine = replace(care(), test=test, test_extra=None, death=np.full(P, INF))
    book = ledger(spec(), mine, made()[0])
    first = book.between(0.0, 14.0)
    tests = first.start[first.item == Item.CMV_PCR.code]
    assert sorted(set(tests)) == [7, 14]
    assert tests.size == 2 * P
    assert (book.between(np.nan, 14.0).totals() == 0).all()


def test_nothing_follows_death_at_any_time() -> None:
    rng = np.random.default_rng(11)
    mine = replace(care(), death=rng.exponential(30.0, P))
    stays = hospital_stays(spec(), mine, draws)
    book, longer = ledger(spec(), mine, stays), made()[1]
    assert (book.stop <= mine.death[book.patient]).all()
    assert (book.stop <= HORIZON).all()
    for table in (stays.in_hospital, stays.in_icu, stays.planned):
        there = np.isfinite(table.start)
        assert (table.stop <= np.broadcast_to(mine.death, table.stop.shape))[there].all()
    # it is a real cut: the same patients without it use more, and lie in hospital until the grid's last step before death
    assert (longer.stop > mine.death[longer.patient]).sum() > 500
    in_bed = np.isclose(
        np.where(np.isfinite(stays.in_hospital.stop), stays.in_hospital.stop, -1).max(axis=0), mine.death, atol=2**-20
    )
    assert in_bed.sum() > 50


def test_hospital_windows_are_disjoint_and_hold_the_icu() -> None:
    stays, book = made()
    for table in (stays.in_hospital, stays.in_icu):
        assert (table.start[1:] > table.stop[:-1])[np.isfinite(table.start[1:])].all()
        assert (np.isfinite(table.start[:-1]) | np.isinf(table.start[1:])).all()
    there = np.isfinite(stays.in_hospital.start)
    days = np.subtract(stays.in_hospital.stop, stays.in_hospital.start, out=np.zeros(there.shape), where=there).sum(axis=0)
    np.testing.assert_array_equal(book.totals(Item.WARD_DAY) + book.totals(Item.ICU_DAY), days)


# -- CMV off ------------------------------------------------------------------------------------------------------
def cmv_free(**more: object) -> Care:
    return replace(
        care(), antivirals=None, disease=None, neutropenia=None, kidney_injury=None, test_extra=None, sequenced=None, **more
    )


def test_empty_cmv_inputs_are_no_cmv_inputs() -> None:
    none = np.full((C, P), np.nan)
    empty = replace(
        cmv_free(),
        antivirals=Antivirals(np.zeros((C, P), np.int8), none, none, np.zeros((C, P), np.int64)),
        disease=np.full(P, INF),
        neutropenia=Windows(none, none),
        kidney_injury=none,
        test_extra=np.zeros((V, P), dtype=bool),
        sequenced=none[:2],
    )
    books = []
    for each in (cmv_free(), empty):
        stays = hospital_stays(spec(), each, draws)
        books.append(ledger(spec(), each, stays))
    first, second = books
    for column in ("patient", "start", "stop", "rate", "item", "component"):
        np.testing.assert_array_equal(getattr(first, column), getattr(second, column), err_msg=column)


def test_cmv_leaves_the_planned_stay_and_everything_before_it_alone() -> None:
    stays, book = made()
    off_stays = hospital_stays(spec(), cmv_free(), draws)
    off = ledger(spec(), cmv_free(), off_stays)
    np.testing.assert_array_equal(stays.planned.stop, off_stays.planned.stop)
    for component in (Component.INITIAL_STAY_PLANNED, Component.PROPHYLAXIS, Component.OTHER):
        np.testing.assert_array_equal(book.totals(component=component), off.totals(component=component))
    assert not off.totals(component=Component.TREATMENTS).any()
    assert not off.totals(component=Component.SURVEILLANCE_EXTRA).any()
    # CMV only adds days in hospital
    added = sum(book.totals(i) - off.totals(i) for i in (Item.WARD_DAY, Item.ICU_DAY))
    assert (added >= 0).all()
    assert (added > 0).mean() > 0.3
    # in patients who meet CMV at no time nothing differs but the tests
    untouched = (
        (care().antivirals.drug == 0).all(axis=0) & np.isinf(care().disease) & np.isnan(care().kidney_injury).all(axis=0)
    )
    assert untouched.sum() > 100
    np.testing.assert_array_equal(added[untouched], 0)


# -- one patient at a time ----------------------------------------------------------------------------------------
def lone(*spells: tuple[int, float, float, int], **more: object) -> tuple[Stays, Ledger]:
    """One patient with a planned stay [-5, 20), given spells (drug, start, stop, course) and what else is given."""
    one = np.ones(1)
    table = np.array(spells, dtype=float).reshape(-1, 4)
    antivirals = Antivirals(
        table[:, :1].astype(np.int8), table[:, 1:2].copy(), table[:, 2:3].copy(), table[:, 3:].astype(np.int64)
    )
    planned = PlannedStay(Windows(-5 * one, 20 * one), Windows(INF * one, INF * one))
    mine = Care(planned=planned, death=INF * one, horizon=90.0, antivirals=antivirals, **more)

    def chance(name: str, index: int = 0) -> np.ndarray:
        return np.array([0.5]) if STREAMS[name] is Kind.UNIFORM else np.array([0.0])

    stays = hospital_stays(spec(), mine, chance)
    return stays, ledger(spec(), mine, stays)


VALGANCICLOVIR, GANCICLOVIR, FOSCARNET = 1, 2, 3


@pytest.mark.parametrize(
    ("spells", "prolonged", "additional"),
    [
        ([], 0, 0),
        ([(VALGANCICLOVIR, 19.0, 33.0, 0)], 4, 0),  # begun in the stay: it is prolonged by 4 days, whatever the drug
        ([(VALGANCICLOVIR, 20.0, 34.0, 0)], 0, 0),  # at discharge: out of the stay; 0.5 is above 0.20, no stay
        ([(FOSCARNET, 20.0, 34.0, 0)], 6, 0),  # admitted at discharge: the same stay goes on
        ([(FOSCARNET, 20.25, 34.0, 0)], 0, 6),  # a quarter of a day later: another stay
        ([(VALGANCICLOVIR, 19.0, 22.0, 0), (VALGANCICLOVIR, 23.0, 30.0, 1)], 8, 0),  # within the prolonged stay
        ([(VALGANCICLOVIR, 19.0, 30.0, 0), (FOSCARNET, 30.0, 44.0, 0)], 4, 6),  # switched after discharge: admitted then
        ([(VALGANCICLOVIR, 30.0, 35.0, 0), (FOSCARNET, 35.0, 44.0, 0), (FOSCARNET, 44.0, 60.0, 0)], 0, 6),  # once a course
        ([(FOSCARNET, 30.0, 33.0, 0), (FOSCARNET, 34.0, 44.0, 1)], 0, 10),  # two stays that overlap: days spent once
    ],
)
def test_prolonged_and_additional(spells: list[tuple[int, float, float, int]], prolonged: float, additional: float) -> None:
    _, book = lone(*spells)
    got = [book.totals(component=c)[0] for c in list(Component)[:3]]
    assert got == [25, prolonged, additional]


def test_what_comes_before_admission_belongs_to_the_initial_stay_if_it_reaches_it() -> None:
    early = InfectionOnsets(np.array([[-7.0], [-20.0]]), np.array([[True], [True]]))
    stays, book = lone(infections=early)  # stays of 5 days, half of them in intensive care
    assert of(stays.in_hospital, 0) == [(-20, -15), (-7, 20)]
    assert [book.totals(component=c)[0] for c in list(Component)[:3]] == [25, 2, 5]
    assert book.totals(Item.ICU_DAY)[0] == 5


def test_outpatients_come_and_inpatients_do_not() -> None:
    # ganciclovir from day 30 to 44 with a stay of 6 days: 8 sessions; blood tests every 3.5 days, the first two inside
    stays, book = lone((GANCICLOVIR, 30.0, 44.0, 0))
    assert of(stays.in_hospital, 0) == [(-5, 20), (30, 36)]
    assert book.totals(Item.GANCICLOVIR_DAY)[0] == 14
    assert book.totals(Item.DAY_HOSPITAL)[0] == 8
    assert book.totals(Item.BLOOD_TEST)[0] == 2
    assert book.totals(Item.CONSULTATION)[0] == 0
    # valganciclovir from day 10, in hospital until day 24: consultations on days 24 and 31
    _, book = lone((VALGANCICLOVIR, 10.0, 38.0, 0))
    assert sorted(book.start[book.item == Item.CONSULTATION.code]) == [24, 31]


def test_surveillance_counts_are_those_of_the_ledger() -> None:
    _, book = made()
    planned, extra = surveillance_tests(care().test, care().test_extra, care().end)
    np.testing.assert_array_equal(planned, book.totals(Item.CMV_PCR, Component.SURVEILLANCE_PLANNED))
    np.testing.assert_array_equal(extra, book.totals(Item.CMV_PCR, Component.SURVEILLANCE_EXTRA))
    assert planned.sum() > 3 * extra.sum() > 0
    assert not surveillance_tests(care().test, None, care().end)[1].any()
