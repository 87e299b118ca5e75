"""What must hold in every history and every study, whatever the parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation_build import NO_DISEASE, PLAIN_BASELINE, STRESS, STRESS_BASELINE, history, model

from cmvsim.core.streams import Role
from cmvsim.endpoints import endpoint
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import History
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

CLINICAL = (
    "{ phases = [{ start = -5, odds = 0.02 }, { start = 30, odds = 0.01 }], inpatient = 3, corticosteroids = 2, crs = 2, "
    "neutropenia = 1.5, score = 1.5, between_visits = true, follow_up_every = 7 }"
)
RETROSPECTIVE = ("population.retrospective_share=0.5", f"monitoring.clinical={CLINICAL}")
SOME = settings(max_examples=40, deadline=None)


@st.composite
def models(draw: st.DrawFn) -> tuple[tuple[str, ...], Baseline]:
    """Overrides and baseline (not the model: its repr is as long as a scenario)."""
    pick = draw
    every = pick(st.sampled_from([3, 5, 7, 14]))
    negatives, least = pick(st.integers(0, 3)), pick(st.sampled_from([1, 7, 14]))
    overrides = (
        *STRESS,
        f"monitoring.schedule=[{{ every = {every}, to = 84 }}, {{ at = 90 }}]",
        f"monitoring.jitter={pick(st.integers(0, 1))}",
        f"monitoring.attendance={pick(st.sampled_from([0, 0.4, 1]))}",
        f"monitoring.turnaround={pick(st.sampled_from([0, 0.25, 1, 5]))}",
        f"preemptive_therapy.delay={pick(st.sampled_from([0, 0.75, 2]))}",
        f"preemptive_therapy.accepted={pick(st.sampled_from([0, 0.5, 1]))}",
        f"preemptive_therapy.start_at={pick(st.sampled_from([1, 40, 5000]))}",
        f"preemptive_therapy.stop_after={{ negatives = {negatives}, minimum_days = {least}, maximum_days = {least + 20} }}",
        f"cmv.load.treated.regrowth={pick(st.sampled_from([0, 0.5, 1]))}",
        f"cmv.load.treated.lag={pick(st.sampled_from([0, 4]))}",
        f"cmv.onset.ratios.antiviral={pick(st.sampled_from([0.1, 1, 4]))}",
        f"cmv.onset.episodes={pick(st.integers(1, 4))}",
        f"follow_up.lost_by_90={pick(st.sampled_from([0, 0.5]))}",
        f"follow_up.death_ratios.clinically_significant={pick(st.sampled_from([0.5, 1, 3]))}",
        f"cmv.disease.hazard={pick(st.sampled_from([1e-12, 0.02]))}",
        f"cmv.load.treated.refractory={pick(st.sampled_from([0, 0.5]))}",
        f"preemptive_therapy.confirmations={pick(st.sampled_from([0, 1]))}",
        f"preemptive_therapy.refractory_after={pick(st.sampled_from([3, 14]))}",
        f"preemptive_therapy.toxicity.neutropenia.probability={pick(st.sampled_from([0, 0.3, 0.99]))}",
        f"preemptive_therapy.toxicity.kidney_injury.probability={pick(st.sampled_from([0, 0.3, 0.99]))}",
        *pick(st.sampled_from([(), (f"monitoring.clinical={CLINICAL}",), RETROSPECTIVE])),
    )
    return overrides, replace(
        STRESS_BASELINE,
        onset_amplitude=pick(st.sampled_from([0.5, 4.0])),
        non_relapse_hazard=(pick(st.sampled_from([0.0, 0.01])),) * 3,
    )


def _check_course(of: Model, h: History) -> None:
    assert h.episodes is not None
    onset, clear = h.episodes.onset, h.episodes.clear
    there = ~np.isnan(onset)
    assert np.all(there[..., 1:] <= there[..., :-1]), "episodes are numbered without gaps"
    assert np.all(clear[there] >= onset[there])
    assert np.all(np.isinf(clear[~there]))
    assert np.all(onset[..., 1:][there[..., 1:]] >= clear[..., :-1][there[..., 1:]]), "episodes do not overlap"
    assert np.nanmax(onset, initial=-60) <= of.horizon
    finite = np.isfinite(clear)
    assert np.all(clear[finite] <= of.horizon)


def _check_care(of: Model, h: History) -> None:
    """A start follows a qualifying result, or CMV disease, by exactly the delay; treatments follow one another."""
    s, care, ill = h.samples, of.treatment, h.disease
    assert s is not None
    assert ill is not None
    assert h.treatment is not None
    start, stop = h.treatment.start, h.treatment.stop
    given_ = ~np.isnan(start)
    ended = ~np.isnan(stop)
    assert np.all(given_ | ~ended)
    assert np.all(given_[..., 1:] <= ended[..., :-1]), "no course begins before the one before it has ended"
    both = given_[..., 1:]
    assert np.all(start[..., 1:][both] >= stop[..., :-1][both])
    length = (stop - start)[ended]
    least, most = float(care.stop_after.minimum_days), float(care.stop_after.maximum_days)
    assert np.all(length >= min(least, most) - 1e-9)
    assert np.all(length <= most + 1e-9)
    qualifying = (s.result == 3) & (s.load >= float(care.start_at))
    due = np.where(qualifying, s.time + float(of.monitoring.turnaround) + float(care.delay), np.nan)
    of_disease = np.abs(ill.time[..., None] + float(care.delay) - start) < 1e-5
    for r, n, c in np.argwhere(given_ & ~of_disease):
        assert np.nanmin(np.abs(due[r, n] - start[r, n, c])) < 1e-9, "a start without a qualifying result"
        decided = start[r, n, c] - float(care.delay)
        assert decided <= h.observation.monitoring_end[r, n] + 1e-9
    if float(care.accepted) == 0:
        assert not (given_ & ~of_disease).any()


def _check_study(of: Model, h: History) -> None:
    study = record(h, frozenset())
    s, d = study.samples, study.disposition
    taken = s.result > 0
    assert np.array_equal(taken, ~np.isnan(s.day)), "a result and a day belong together"
    assert np.array_equal(~np.isnan(s.load), s.result == 3)
    assert np.all(s.load[s.result == 3] >= float(of.monitoring.lloq))
    for limit in (d.death, d.end):
        after = s.day > limit[..., None]
        assert not np.any(after & ~(s.nominal <= 0)), "a sample after death or the end of monitoring"
    for values in (
        s.day,
        d.end,
        d.death,
        *(o.day for o in study.events.values()),
        *(x for c in study.exposures.values() for x in (c.start, c.stop)),
    ):
        known = values[~np.isnan(values)]
        assert np.array_equal(known, np.floor(known)), "days are whole"
    assert np.all(d.death[d.reason == 1] == d.end[d.reason == 1])
    assert h.samples is not None
    closing = h.samples.time[..., h.samples.visits - 1]
    over = np.fmax(h.samples.nominal[h.samples.visits - 1], np.where(closing <= h.death, closing, np.nan))
    unknown = np.minimum(np.minimum(h.observation.withdrawn, h.observation.lost), over) < h.death
    assert np.isnan(d.death[unknown]).all(), "a death after withdrawal, loss or the end of the study is not known"
    known = ~unknown & np.isfinite(h.death)
    assert np.array_equal(d.death[known], np.ceil(h.death[known]))
    for courses in study.exposures.values():
        assert not np.any(courses.start > d.death[..., None])


@SOME
@given(models(), st.integers(0, 1000))
def test_what_must_hold_in_every_history(chosen: tuple[tuple[str, ...], Baseline], seed: int) -> None:
    of = model(*chosen[0], baseline=chosen[1])
    h = simulate(of, ChunkDraws(seed, Role.STUDY, 0, 12), path=True)
    _check_course(of, h)
    _check_care(of, h)
    _check_study(of, h)


@settings(max_examples=12, deadline=None)
@given(models(), st.integers(0, 1000))
def test_keeping_the_path_changes_nothing_else(chosen: tuple[tuple[str, ...], Baseline], seed: int) -> None:
    of = model(*chosen[0], baseline=chosen[1])
    draws = ChunkDraws(seed, Role.STUDY, 0, 8)
    with_path, without = simulate(of, draws, path=True), simulate(of, draws)
    assert without.episodes is None
    assert with_path.treatment.stop.tobytes() == without.treatment.stop.tobytes()
    assert with_path.death.tobytes() == without.death.tobytes()
    assert with_path.samples is not None
    assert without.samples is not None
    assert with_path.samples.load.tobytes() == without.samples.load.tobytes()


def test_operational_times_are_on_the_grid() -> None:
    """Turnaround and delay that are no multiples of 2^-20 day are rounded to it, so that sums of times are exact."""
    h = history(
        model(
            *STRESS,
            "monitoring.turnaround=0.3",
            "preemptive_therapy.delay=0.7",
            "preemptive_therapy.stop_after={ negatives = 1, minimum_days = 3.3, maximum_days = 12.1 }",
            baseline=STRESS_BASELINE,
        ),
        20,
    )
    for times in (h.treatment.start, h.treatment.stop, *(w.start for w in h.toxicity.courses.values())):
        finite = times[np.isfinite(times)]
        assert finite.size > 40
        assert np.array_equal(finite * 2**20, np.rint(finite * 2**20))


# -- counterfactuals ---------------------------------------------------------------------------------------------
def _course(h: History) -> bytes:
    assert h.episodes is not None
    assert h.samples is not None
    return b"".join(a.tobytes() for a in (h.episodes.onset, h.episodes.clear, h.samples.load, h.treatment.start, h.death))


@pytest.mark.parametrize("drug", ["corticosteroids", "tocilizumab"])
def test_windows_with_a_ratio_of_one_are_no_windows(drug: str) -> None:
    nobody = (
        f"toxicity.{drug}.use={{ leukaemia = {{ tisagenlecleucel = 0, brexucabtagene = 0 }}, "
        "lymphoma = { axicabtagene = 0, tisagenlecleucel = 0 } }"
    )
    shared = (*STRESS, "cmv.load.set_point_shift.corticosteroids=0")
    neutral = history(model(*shared, f"cmv.onset.ratios.{drug}=1", baseline=STRESS_BASELINE), 30)
    none = history(model(*shared, nobody, baseline=STRESS_BASELINE), 30)
    acting = history(model(*shared, baseline=STRESS_BASELINE), 30)
    assert neutral.episodes is not None
    assert none.episodes is not None
    onset, other = neutral.episodes.onset[..., 0], none.episodes.onset[..., 0]
    np.testing.assert_allclose(onset, other, rtol=0, atol=1e-9)
    assert np.isfinite(neutral.toxicity.courses[drug].start).mean() > 0.2
    assert _course(acting) != _course(neutral)


def _first_detected(h: History) -> np.ndarray:
    assert h.samples is not None
    return np.where(h.samples.result > 1, h.samples.time, np.inf).min(axis=-1)


@pytest.mark.parametrize("thin", ["[{ every = 14, to = 84 }, { at = 90 }]", "[{ at = 28 }, { at = 90 }]", "[{ at = 90 }]"])
def test_more_visits_never_detect_later(thin: str) -> None:
    """Visits of the thin schedule are visits of the dense one; no noise; nothing is treated before it is detected."""
    quiet = (*STRESS, "monitoring.assay_sd_log10=0", "monitoring.attendance=1", "monitoring.jitter=0")
    dense = history(model(*quiet, "monitoring.schedule=[{ every = 7, to = 84 }, { at = 90 }]", baseline=STRESS_BASELINE), 60)
    sparse = history(model(*quiet, f"monitoring.schedule={thin}", baseline=STRESS_BASELINE), 60)
    early, late = _first_detected(dense), _first_detected(sparse)
    assert np.all(early <= late)
    assert (early < late).mean() > 0.2


TWICE, ONCE = "[{ every = 7, to = 84 }, { at = 90 }]", "[{ every = 14, to = 84 }, { at = 90 }]"


@pytest.mark.parametrize("level", [10.0, 35.0, 249.0])  # 249.5 is reported as 250
def test_visits_do_not_change_when_the_load_first_reaches_a_level_below_treatment(level: float) -> None:
    """Without assay noise nobody is treated before the load has reached the threshold: the same times, bit for bit."""
    quiet = (
        "monitoring.assay_sd_log10=0",
        "preemptive_therapy.start_at=250",
        ("cmv.load.set_point={ mean = 2.4, varies = { sd = 0.9 } }"),
        "cmv.onset.prevalent=0",
        *NO_DISEASE,
    )
    often = history(model(*quiet, f"monitoring.schedule={TWICE}", baseline=STRESS_BASELINE), 60)
    seldom = history(model(*quiet, f"monitoring.schedule={ONCE}", baseline=STRESS_BASELINE), 60)
    assert often.episodes is not None
    assert seldom.episodes is not None
    assert np.nanmean(np.isfinite(often.treatment.start[..., 0])) > 0.1
    assert often.treatment.start.tobytes() != seldom.treatment.start.tobytes()
    at_level = np.float64(np.log10(level))
    first, second = often.episodes.first_reaching(at_level), seldom.episodes.first_reaching(at_level)
    reached = (first <= 90).mean()
    assert 0.02 < reached < 0.98
    assert np.array_equal(first, second)
    above = np.float64(4.5)
    assert not np.array_equal(often.episodes.first_reaching(above), seldom.episodes.first_reaching(above))


def test_halving_visits_leaves_the_latent_estimand_of_the_built_in_scenario_unchanged() -> None:
    """102,400 patients: the latent share is the same to 12 digits, the share seen by the schedule is not.

    But for those with CMV disease before the load was at the level: treatment of it is stopped by results. The assay's
    noise, too, could start treatment before the load truly reaches the level (by 4 SD or more): none here.
    """
    plan = resolve("cmv-cart").spec.analysis
    primary = endpoint("cmv_reactivation")
    latent: list[list[np.ndarray]] = [[], []]
    seen, ill = [0, 0], []
    for i, schedule in enumerate((TWICE, ONCE)):
        of = model(f"monitoring.schedule={schedule}", baseline=PLAIN_BASELINE)
        for chunk in range(4):
            h = simulate(of, ChunkDraws(3, Role.TRUTH, chunk, 400), path=True)
            assert h.episodes is not None
            assert h.disease is not None
            latent[i].append(primary.latent(h, plan))
            seen[i] += int((primary.derive(record(h, frozenset()), plan).cause == 1).sum())
            if i == 0:
                ill.append(h.disease.time < h.episodes.first_reaching(np.float64(np.log10(35.0)) - h.episodes.offset, 0.0))
    first, second = (np.concatenate(values, axis=1) for values in latent)
    early = np.concatenate(ill, axis=1)
    assert early.mean() < 2e-3
    assert np.array_equal(first[~early], second[~early], equal_nan=True)
    assert 0.05 < np.nanmean(first) < 0.9
    assert seen[0] > 1.02 * seen[1]


def test_nobody_is_lost_and_every_visit_is_made_under_the_protocol_plan() -> None:
    of = model(*STRESS, "monitoring.attendance=0.2", "follow_up.lost_by_90=0.6", baseline=STRESS_BASELINE)
    h = history(of, 30, never_lost=True)
    assert h.samples is not None
    due = h.samples.nominal + float(of.monitoring.jitter) < h.observation.hct[..., None]
    assert np.all((~np.isnan(h.samples.time))[due])
    assert np.isinf(h.observation.lost).all()
    assert np.isinf(h.observation.new_therapy).all()
    reason = record(h, frozenset()).disposition.reason
    assert set(np.unique(reason)) <= {0, 1, 2}
    assert h.observation.relapse.tobytes() == history(of, 30).observation.relapse.tobytes()
