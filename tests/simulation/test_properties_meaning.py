"""The model means what it says: which way results move when a cause, the disease, testing or the drug is changed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from simulation_build import NOBODY_LEAVES, PLAIN_BASELINE, history, model
from whole_model_build import CLINICAL

from cmvsim.models.history import History, Process
from cmvsim.models.strategies import LetermovirEffect

N = 120
QUIET = ("monitoring.assay_sd_log10=0",)
BASELINE = replace(PLAIN_BASELINE, onset_amplitude=1.0, letermovir=LetermovirEffect(0.3, -0.8))
RETROSPECTIVE = "population.retrospective_share=1"
TESTED = (
    "monitoring.clinical={ phases = [{ start = -5, odds = %s }], inpatient = 1, corticosteroids = 1, crs = 1, "
    "neutropenia = 1, score = 1, follow_up_every = 7, between_visits = false }"
)


@cache
def _run(*overrides: str, strategy: str | None = None, scenario: str = "cmv-cart") -> History:
    return history(model(*QUIET, *overrides, baseline=BASELINE, scenario=scenario), N, strategy=strategy)


def _detected(h: History) -> np.ndarray:
    """(R, N) whether a result was detected on days 1 to 90, before death."""
    assert h.samples is not None
    time = h.samples.time
    return np.any((h.samples.result > 1) & (time > 0) & (time <= 90) & (time <= h.death[..., None]), axis=-1)


def _onset(h: History) -> np.ndarray:
    assert h.episodes is not None
    return np.where(np.isnan(h.episodes.onset[..., 0]), np.inf, h.episodes.onset[..., 0])


def _raises(low: np.ndarray, high: np.ndarray, by: float = 0.005) -> None:
    """Of the same patients: a paired difference beyond `by`, and beyond 5 of its standard errors."""
    change = high.astype(float) - low.astype(float)
    assert change.mean() > max(by, 5 * change.std() / np.sqrt(change.size))


RATIOS = {
    "corticosteroids": lambda h: np.isfinite(h.toxicity.courses["corticosteroids"].start),
    "tocilizumab": lambda h: np.isfinite(h.toxicity.courses["tocilizumab"].start),
    "anakinra": lambda h: np.isfinite(h.toxicity.courses["anakinra"].start),
    "severe_crs": lambda h: np.isfinite(h.toxicity.severe_crs.start),
    "severe_icans": lambda h: np.isfinite(h.toxicity.severe_icans.start),
    "high_anellovirus": lambda h: h.virome.first_high() <= h.horizon,
    "incident_virus": lambda h: np.minimum(h.virome.acquired("anellovirus"), h.virome.acquired("pegivirus")) <= h.horizon,
    "leukaemia": lambda h: h.population.stratum < 2,
    "child": lambda h: h.population.age < 18,
    "lymphopenia": lambda h: h.population.lymphocytes < 0.2,
    "prior_allogeneic_hct": lambda h: h.population.prior_allogeneic_hct,
}


@pytest.mark.parametrize("cause", RATIOS)
def test_a_cause_of_reactivation_brings_it_forward_in_those_who_have_it(cause: str) -> None:
    """With a higher ratio no first episode comes later, those without the cause are not touched, and more CMV is seen."""
    low, high = (_run(f"cmv.onset.ratios.{cause}={ratio}", *NOBODY_LEAVES) for ratio in (1, 6))
    has = np.asarray(low.view(RATIOS[cause](low)))
    before, after = _onset(low), _onset(high)
    assert np.all(after <= before)
    assert np.array_equal(after[~has], before[~has])
    assert (after[has] < before[has]).mean() > 0.01
    assert has.any()
    assert not has.all()
    _raises(_detected(low)[has], _detected(high)[has], 0.01)


def test_higher_set_points_are_detected_and_treated_more_often() -> None:
    low, high = (_run(f"cmv.load.set_point={{ mean = {mean}, varies = {{ sd = 0.7 }} }}") for mean in (1.6, 2.6))
    assert np.array_equal(_onset(low), _onset(high))
    _raises(_detected(low), _detected(high), 0.03)
    treated = [np.isfinite(h.treatment.start[..., 0]) for h in (low, high) if h.treatment is not None]
    _raises(treated[0], treated[1], 0.03)


def test_seropositive_patients_alone_have_cmv() -> None:
    few, all_ = (_run(f"population.seropositive_enrolled={share}") for share in (0.4, 1))
    positive = np.asarray(few.view(few.population.seropositive))
    assert abs(positive.mean() - 0.4) < 0.03
    assert np.isinf(_onset(few)[~positive]).all()
    assert few.samples is not None
    assert (few.samples.result[~positive] <= 1).all()
    assert np.array_equal(_onset(few)[positive], _onset(all_)[positive])
    assert np.array_equal(_detected(few)[positive], _detected(all_)[positive])
    _raises(_detected(few), _detected(all_), 0.05)


def test_tests_find_what_is_there() -> None:
    """With higher odds every test made before is made again, and more CMV is found; the disease is the same."""
    seldom, often = (_run(RETROSPECTIVE, TESTED % odds) for odds in (0.01, 0.1))
    assert np.array_equal(_onset(seldom), _onset(often))
    _raises(_detected(seldom), _detected(often), 0.05)
    assert seldom.samples is not None
    assert often.samples is not None
    due, more = (np.isfinite(h.samples.time) & ~h.samples.extra for h in (seldom, often) if h.samples is not None)
    assert np.all(more[due])
    assert more.sum() > 5 * due.sum()
    retrospective_alone = seldom.samples.time[..., : seldom.samples.visits]
    assert np.isnan(retrospective_alone).all()


REASONS = {
    "inpatient": None,
    "corticosteroids": lambda h: h.toxicity.courses["corticosteroids"],
    "crs": lambda h: h.toxicity.from_grade("crs", 2),
    "neutropenia": lambda h: h.toxicity.neutropenia,
}


@pytest.mark.parametrize("reason", REASONS)
def test_clinicians_test_more_while_there_is_a_reason(reason: str) -> None:
    """The daily share of tests within the window has the odds of the reason, outside those of nobody; 5 SE."""
    odds, ratio = 0.05, 6.0
    h = _run(RETROSPECTIVE, (TESTED % odds).replace(f"{reason} = 1", f"{reason} = {ratio}"), *NOBODY_LEAVES)
    s = h.samples
    assert s is not None
    tests = np.swapaxes(s.time[..., s.visits :], 0, 1).reshape(h.patients * h.replicates, -1)
    extra = np.swapaxes(s.extra[..., s.visits :], 0, 1).reshape(tests.shape)
    days = np.arange(-5, -5 + tests.shape[1])
    if reason == "inpatient":
        early, late = (days <= -1), (days > 80)  # everybody is in hospital before infusion, hardly anybody after day 80
        inside, outside = np.broadcast_to(early, tests.shape), np.broadcast_to(late, tests.shape)
    else:
        window = REASONS[reason](h)  # type: ignore[misc]
        inside = (window.start[:, None] <= days) & (days < window.stop[:, None])
        outside = ~inside
    made = np.isfinite(tests) & ~extra
    untouched = ~np.logical_or.accumulate(extra, axis=1)  # before follow-up takes over
    for where, o in ((inside & untouched, odds * ratio), (outside & untouched, odds)):
        p, n = o / (1 + o), int(where.sum())
        slack = 0.004 if reason == "inpatient" and o == odds else 0.0  # long stays
        assert n > 2000
        assert abs(made[where].mean() - p) < 5 * np.sqrt(p * (1 - p) / n) + slack


def test_letermovir_lowers_what_is_detected_and_more_what_is_treated() -> None:
    of = "letermovir-strategies"
    without, with_drug = _run(scenario=of), _run(scenario=of, strategy="universal")
    _raises(_detected(with_drug), _detected(without), 0.05)
    early = [
        np.isfinite(h.treatment.start[..., 0]) & (h.treatment.start[..., 0] <= 90) for h in (with_drug, without) if h.treatment
    ]
    _raises(early[0], early[1], 0.05)
    ratio = [x.mean() / y.mean() for x, y in ((_detected(with_drug), _detected(without)), (early[0], early[1]))]
    assert ratio[1] < ratio[0] < 1
    assert with_drug.prophylaxis is not None
    stop = np.asarray(with_drug.view(with_drug.prophylaxis.stop))
    before, after = _onset(without), _onset(with_drug)
    during = np.isfinite(stop) & (before >= 0) & (before <= stop)
    assert np.all(after[during] >= before[during]), "on the drug no first episode comes earlier"
    assert np.array_equal(after[before < 0], before[before < 0])


def test_rebound_brings_late_episodes_forward() -> None:
    of = "letermovir-strategies"
    low, high = (_run(f"letermovir.rebound.ratio={ratio}", scenario=of, strategy="universal") for ratio in (1, 4))
    before, after = _onset(low), _onset(high)
    assert np.all(after <= before)
    moved = after < before
    assert low.prophylaxis is not None
    assert moved.mean() > 0.01
    assert np.all(after[moved] >= np.asarray(low.view(low.prophylaxis.stop))[moved]), "only after the drug"


@pytest.mark.parametrize(
    ("factor", "low", "high"),
    [
        ("severe_infection", 1, 30),
        ("clinically_significant", 1, 5),
        ("disease", 1, 50),
        ("severe_toxicity", 1, 30),
        ("score", 1, 3),
    ],
)
def test_what_kills_brings_death_forward_in_those_who_have_it(factor: str, low: float, high: float) -> None:
    """Before re-calibration: the same hazards, a higher ratio."""
    more_disease = "cmv.disease.hazard=0.01"
    few, many = (_run(more_disease, f"follow_up.death_ratios.{factor}={ratio}") for ratio in (low, high))
    earlier = many.death < few.death
    assert earlier.mean() > 0.0005
    if factor == "score":
        score = np.asarray(few.view(few.population.score))
        assert np.all(score[earlier] > 0)
        assert np.all(score[many.death > few.death] < 0)
        return
    assert np.all(many.death <= few.death)
    assert few.treatment is not None
    assert few.disease is not None
    has = {
        "clinically_significant": np.isfinite(few.clinically_significant) | np.isfinite(few.treatment.start[..., 0]),
        "disease": np.isfinite(few.disease.time),
        "severe_toxicity": np.asarray(
            few.view(np.isfinite(few.toxicity.severe_crs.start) | np.isfinite(few.toxicity.severe_icans.start))
        ),
    }
    if factor == "severe_infection":
        assert many.infections is not None
        has[factor] = np.asarray(many.view(np.isfinite(many.infections.severe.start).any(axis=0)))
    assert not earlier[~has[factor]].any()
    _raises(few.death <= 90, many.death <= 90, 0.0005)


@pytest.mark.parametrize("factor", ["cmv", "neutropenia", "corticosteroids", "leukaemia"])
def test_what_weakens_brings_the_first_infection_forward(factor: str) -> None:
    needs = frozenset({Process.INFECTIONS})
    found = [
        history(
            model(*(f"infections.{kind}.ratios.{factor}={ratio}" for kind in ("bacterial", "fungal")), baseline=BASELINE),
            N,
            needs=needs,
        )
        for ratio in (1, 5)
    ]
    low, high = (h.infections for h in found)
    assert low is not None
    assert high is not None
    assert np.all(high.bacterial.start[0] <= low.bacterial.start[0])
    assert np.all(high.fungal.start <= low.fungal.start)
    assert (high.bacterial.start[0] < low.bacterial.start[0]).mean() > 0.01


def test_more_resistance_and_a_longer_exposure() -> None:
    needs = frozenset({Process.RESISTANCE})
    low, high = (
        history(model(f"resistance.ganciclovir.change={share}", baseline=BASELINE), N, needs=needs).resistance
        for share in (0.05, 0.5)
    )
    assert low is not None
    assert high is not None
    ul97 = 1
    assert np.all(high.known[ul97] <= low.known[ul97])
    assert np.isfinite(high.known[ul97]).sum() > 2 * np.isfinite(low.known[ul97]).sum() > 20
    assert np.array_equal(high.known[2], low.known[2])


def test_clinical_tests_between_visits_are_for_whom_they_are_meant() -> None:
    none, between = (
        _run("population.retrospective_share=0.5", CLINICAL.replace("= true", f"= {flag}")) for flag in ("false", "true")
    )
    for h, tested in ((none, False), (between, True)):
        assert h.samples is not None
        retrospective = np.asarray(h.view(h.population.retrospective))
        tests = np.isfinite(h.samples.time[..., h.samples.visits :]) & ~h.samples.extra[..., h.samples.visits :]
        assert tests[retrospective].any()
        assert tests[~retrospective].any() == tested
