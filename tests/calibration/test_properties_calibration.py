"""Calibration: targets met on patients other than those solved on, and nothing but a target moves the solution."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cmvsim.calibration import Calibration, calibrate, solve
from cmvsim.calibration import cache as kept
from cmvsim.calibration.cohort import Cohort
from cmvsim.core.errors import CalibrationError
from cmvsim.scenarios import ResolvedScenario, Scenario, resolve

SMALL = 16_384  # one chunk: enough for what must be identical; targets are judged on the full size below
CHUNKS = range(777, 783)
SCENARIOS = ("cmv-cart", "cmv-cart-whole-blood", "null", "null-confounded")


@cache
def _solved(*overrides: str, scenario: str = "cmv-cart") -> Calibration:
    return calibrate(resolve(scenario, overrides), SMALL)


@cache
def _full(scenario: str, *overrides: str) -> Calibration:
    return calibrate(resolve(scenario, overrides))


def _basis(resolved: ResolvedScenario) -> Scenario:
    """The scenario that the onset targets are solved on."""
    if resolved.basis is None:
        return resolved.spec
    cmv = resolved.basis.cmv.model_copy(update={"targets": resolved.spec.cmv.targets})
    return resolved.basis.model_copy(update={"cmv": cmv})


def _as_measured_anew(scenario: str, *overrides: str) -> None:
    """Every target on a third cohort of 98,304 patients, within 4 SE of the difference of two such cohorts.

    Incidence and timing hold in the scenario that the targets are calibrated on, death in the scenario itself.
    """
    resolved = resolve(scenario, overrides)
    spec, solved = resolved.spec, _full(scenario, *overrides)
    target = spec.cmv.target("cumulative_incidence")
    onset = Cohort(_basis(resolved), CHUNKS).see(target, solved.baseline)
    seen = Cohort(spec, CHUNKS).see(target, solved.baseline)

    def allowed(p: float, n: float) -> float:
        return 4 * math.sqrt(2) * math.sqrt(p * (1 - p) / n) + 1e-3 * p

    p = float(target.value)
    assert abs(onset.at(90) - p) < allowed(p, onset.at_risk)
    assert allowed(p, onset.at_risk) < 0.03 * p, "an error of 3% of the target would be seen"
    median = float(spec.cmv.target("median_detection").value)
    slope = (onset.at(median + 3.5) - onset.at(median - 3.5)) / 7
    assert abs(onset.median(90) - median) < allowed(p / 2, onset.at_risk) / slope + 1e-3 * median
    for i, name in enumerate(spec.population.strata):
        n = seen.strata_sizes[i]
        for got, table in (
            (seen.death, spec.follow_up.death_by_90),
            (seen.non_relapse_death, spec.follow_up.non_relapse_mortality_by_90),
        ):
            wanted = float(table[name])
            assert abs(got[i] - wanted) < allowed(wanted, n), (name, wanted)


def test_targets_are_met_on_fresh_patients() -> None:
    _as_measured_anew("cmv-cart")


@pytest.mark.verification
@pytest.mark.parametrize("scenario", SCENARIOS[1:])
def test_targets_of_all_scenarios_are_met_on_fresh_patients(scenario: str) -> None:
    _as_measured_anew(scenario)


def test_the_report_says_what_a_fresh_cohort_shows() -> None:
    solved = _full("cmv-cart")
    assert solved.patients == 98_304
    measures = [(t.measure, t.stratum) for t in solved.targets]
    assert measures[:2] == [("cumulative_incidence", ""), ("median_detection", "")]
    assert len(measures) == len(set(measures)) == 2 + 2 * 3
    for target in solved.targets:
        assert target.verdict == "met"
        assert 0 < target.mcse < 0.2 * max(target.wanted, 0.05)
        assert target.achieved != target.wanted, "reported on other patients than those solved on"
    assert solved.as_dict()["baseline"]["onset_amplitude"] == solved.baseline.onset_amplitude


def test_a_death_ratio_leaves_the_death_targets_met() -> None:
    """The factor inflates death; the hazards come down for it, so that the targets still hold."""
    override = "follow_up.death_ratios.clinically_significant=1.5"
    _as_measured_anew("cmv-cart", override)


@pytest.mark.verification
def test_a_strong_death_ratio_is_seen_without_the_correction() -> None:
    """With a ratio of 8 the uncorrected hazards miss the target by more than the tolerance."""
    override = "follow_up.death_ratios.clinically_significant=8"
    _as_measured_anew("cmv-cart", override)
    resolved = resolve("cmv-cart", (override,)).spec
    seen = Cohort(resolved, CHUNKS).see(resolved.cmv.target("cumulative_incidence"), _full("cmv-cart").baseline)
    nrm = 0.025
    assert seen.non_relapse_death[2] - nrm > 8 * math.sqrt(nrm / seen.strata_sizes[2])


MONITORING = {
    "visits": (
        "monitoring.schedule=[{ every = 14, to = 84 }, { at = 90 }]",
        "monitoring.jitter=0",
        "monitoring.attendance=0.5",
    ),
    "matrix and limits": (
        'monitoring.matrix="whole_blood"',
        "monitoring.lloq=137",
        "monitoring.lod=30",
        "preemptive_therapy.start_at=250",
        "preemptive_therapy.accepted=1",
    ),
    "noise of the assay": ("monitoring.assay_sd_log10=0.4",),
    "turnaround": ("monitoring.turnaround=4",),
    "baseline samples": ("monitoring.baseline=[-5, 0]",),
    "treatment": ("preemptive_therapy.start_at=1000", "preemptive_therapy.accepted=0.2"),
}
AFTERWARDS = MONITORING | {
    "number of patients": ("study.patients=60",),
    "strategy": ('strategies.other={ label = "Another name" }',),
    "leaving": ("follow_up.lost_by_90=0.3", "follow_up.withdrawn_by_90=0.3", "follow_up.monitoring_stop.dlbcl=0.1"),
    "analysis": (
        'analysis.definition="detected"',
        'analysis.relapse="competing"',
        'analysis.hct="censor"',
        "designs.precision.target={ half_width = 0.1, probability = 0.5 }",
    ),
}
OWN = 'cmv.calibrated_on="own"'


@pytest.mark.parametrize("what", AFTERWARDS)
def test_what_the_study_does_leaves_the_disease_as_it_is(what: str) -> None:
    assert _solved(*AFTERWARDS[what]).baseline == _solved().baseline


@pytest.mark.parametrize("what", MONITORING)
def test_monitoring_leaves_the_disease_of_a_scenario_calibrated_on_itself(what: str) -> None:
    """Its targets bring their own measurement: what this study samples, and with which noise, is no part of it."""
    assert _solved(OWN, *MONITORING[what]).baseline == _solved(OWN).baseline


SAME = 'cmv.targets.1.measured_by="same"'
CALIBRATED = {
    "incidence": ("cmv.targets.0.value=0.4",),
    "timing": ("cmv.targets.1.value=25",),
    "how it was measured": (SAME, "cmv.targets.0.measured_by.every=14"),
    "its limit": (SAME, "cmv.targets.0.measured_by.lloq=50"),
    "onset ratio of its own": (OWN, "cmv.onset.ratios.corticosteroids=3"),
    "death target": ("follow_up.death_by_90.dlbcl=0.2",),
}


@pytest.mark.parametrize("what", CALIBRATED)
def test_a_target_or_a_law_changes_the_solution(what: str) -> None:
    assert _solved(*CALIBRATED[what]).baseline != _solved().baseline


@pytest.mark.parametrize(
    "override",
    [
        "cmv.onset.ratios.corticosteroids=3",
        "cmv.onset.prevalent=0.1",
        "cmv.load.set_point={ mean = 2, varies = { sd = 0.6 } }",
        "follow_up.death_by_90.dlbcl=0.2",
    ],
)
def test_a_law_that_differs_from_the_basis_is_not_calibrated_away(override: str) -> None:
    """The onset hazard is that of the basis, so that what was changed shows in what is seen."""
    changed, usual = _solved(override).baseline, _solved().baseline
    assert (changed.onset_amplitude, changed.onset_median) == (usual.onset_amplitude, usual.onset_median)


def test_solving_again_gives_the_same_numbers() -> None:
    first, second = (solve._solved(resolve("null"), SMALL) for _ in range(2))
    assert first is not second
    assert repr(first) == repr(second)  # NaN is not equal to itself


def test_what_is_kept_on_disk_is_what_was_solved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bit for bit, letermovir's effects included; and what cannot be read is solved again."""
    monkeypatch.setattr(kept, "folder", lambda: tmp_path)
    scenario = resolve("letermovir-breakeven")
    solve._calibrate.cache_clear()
    first = calibrate(scenario, SMALL)
    (file,) = tmp_path.glob("*.json")
    monkeypatch.setattr(solve, "_solved", lambda *_: pytest.fail("it was kept"))
    solve._calibrate.cache_clear()
    assert repr(calibrate(scenario, SMALL)) == repr(first)
    assert first.letermovir is not None
    monkeypatch.setattr(solve, "_solved", lambda *_: replace(first, evaluations=-1))
    solve._calibrate.cache_clear()
    with kept.ignored():  # as a replay does
        assert calibrate(scenario, SMALL).evaluations == -1
    file.write_text("{ broken", encoding="utf-8")
    solve._calibrate.cache_clear()
    assert calibrate(scenario, SMALL).evaluations == -1
    solve._calibrate.cache_clear()


def test_measured_incidence_rises_with_the_amplitude_and_timing_with_the_median() -> None:
    resolved = resolve("null").spec
    cohort, base = Cohort(resolved, range(1)), _solved(scenario="null").baseline
    target = resolved.cmv.target("cumulative_incidence")
    usual = cohort.see(target, base)
    more = cohort.see(target, replace(base, onset_amplitude=1.3 * base.onset_amplitude))
    later = cohort.see(target, replace(base, onset_median=1.3 * base.onset_median))
    assert more.at(90) > 1.1 * usual.at(90)
    assert later.median(90) > usual.median(90) + 1
    assert np.all(np.diff(usual.incidence) >= 0)
    assert usual.at(usual.median(90)) == pytest.approx(usual.at(90) / 2, abs=1e-12)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("cmv.targets.1.value=2", "cmv.targets are out of reach"),
        ("cmv.targets.1.value=80", "cmv.targets are out of reach"),
        ("cmv.targets.0.value=0.97", "cmv.targets are out of reach"),
        ("follow_up.death_by_90.ball_child=0.6", r"death_by_90\.ball_child = 0\.6 is out of reach"),
    ],
)
def test_out_of_reach_is_an_error_that_says_what_was_wanted(override: str, says: str) -> None:
    with pytest.raises(CalibrationError, match=says) as caught:
        calibrate(resolve("cmv-cart", (override,)), SMALL)
    text = str(caught.value)
    assert text.startswith("cmv-cart: ")
    assert "nan" not in text
    assert "inf" not in text
    assert override.partition("=")[2] in text


@pytest.mark.parametrize("to", [60, 180])
def test_a_target_seen_by_visits_short_of_its_day_or_beyond_it_is_handled(to: int) -> None:
    """Visits to day 60 or 180 are allowed by a scenario that reaches so far; the incidence by day 90 is read off anyway."""
    overrides = ('cmv.targets.1.measured_by="same"', f"cmv.targets.0.measured_by.to={to}", "study.horizon=200")
    solved = calibrate(resolve("cmv-cart", overrides), SMALL)
    incidence = next(target for target in solved.targets if target.measure == "cumulative_incidence")
    # both cohorts are finite: the one solved on and the fresh one
    assert abs(incidence.achieved - 0.30) < 4 * np.sqrt(2) * incidence.mcse
    weekly_to_90 = calibrate(resolve("cmv-cart"), SMALL).baseline.onset_amplitude
    if to == 60:  # fewer visits find fewer episodes, so more of them are needed for the same figure
        assert solved.baseline.onset_amplitude > weekly_to_90
