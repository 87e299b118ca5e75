"""The experiment of a randomised study: nested sizes, who gets what, pairing with the single arm, failures, workers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trial_setup import PRIMARY, trial, values

from cmvsim.core.records import Status
from cmvsim.core.streams import Role
from cmvsim.endpoints import comparison, endpoint
from cmvsim.endpoints.comparison import COMPARISONS, compared_by
from cmvsim.montecarlo.contrast_values import contrast_values
from cmvsim.montecarlo.estimand_values import estimand_values
from cmvsim.montecarlo.experiment import FIELDS
from cmvsim.montecarlo.run import open_store, run
from cmvsim.planning.experiment import CohortExperiment

STATUS = FIELDS.index("status")


def test_a_nested_size_has_the_bytes_of_a_study_of_that_size_alone() -> None:
    together = trial((80, 120, 200), sensitivity=True).chunk(2)
    alone = trial((80,), sensitivity=True).chunk(2)
    assert not together.failures
    assert together.values[:, :1].tobytes() == alone.values.tobytes()
    assert together.extras[:, :1].tobytes() == alone.extras.tobytes()


def test_both_arms_together_are_the_size_and_the_ratio_is_kept() -> None:
    study = trial((101,)).study(0)
    arm = study.subjects.covariates["arm"]
    assert study.subjects.labels["arm"] == ("preemptive", "letermovir")
    strata = len(study.subjects.strata)
    assert (np.abs((arm == 1).sum(axis=1) - 50.5) <= 2 * strata).all()
    extras = trial((101,)).chunk(0).extras[:, 0]
    np.testing.assert_array_equal(extras[:, 1] + extras[:, 2], 101)
    np.testing.assert_array_equal(extras[:, 2], (arm == 1).sum(axis=1))
    two_to_one = ("designs.superiority.ratio=[1,2]", "designs.superiority.block_sizes=[6]")
    more = trial((120,), *two_to_one).study(0).subjects.covariates["arm"]
    assert (np.abs((more == 1).mean(axis=1) - 2 / 3) < 0.05).all()


def test_only_those_assigned_take_the_drug_and_the_others_are_the_patients_of_the_single_arm() -> None:
    made = trial((90,))
    study = made.study(1)
    arm = study.subjects.covariates["arm"]
    takes = ~np.isnan(study.exposures["letermovir"].start[..., 0])
    assert not takes[arm == 0].any()
    assert takes[arm == 1].mean() > 0.95
    single = CohortExperiment(made.scenario, made.baseline, (90,), (PRIMARY,), False, 3).study(1)
    control = arm == 0
    for name in ("day", "result", "load"):
        np.testing.assert_array_equal(getattr(study.samples, name)[control], getattr(single.samples, name)[control])
    np.testing.assert_array_equal(study.disposition.death[control], single.disposition.death[control])


def test_rows_are_the_comparison_that_decides_then_the_arms() -> None:
    made = trial((60,), endpoints=(PRIMARY, "cmv_disease"))
    assert [(k.endpoint, k.estimator, k.term, k.strategy) for k in made.rows] == [
        (PRIMARY, "risk_difference", "letermovir - preemptive", ""),
        (PRIMARY, "by_arm", "", "preemptive"),
        (PRIMARY, "by_arm", "", "letermovir"),
        ("cmv_disease", "risk_difference", "letermovir - preemptive", ""),
        ("cmv_disease", "by_arm", "", "preemptive"),
        ("cmv_disease", "by_arm", "", "letermovir"),
    ]
    assert made.primary == made.rows[0]
    chosen = trial((60,), 'designs.superiority.comparison="log_rank_stratified"')
    assert chosen.primary.estimator == "log_rank_stratified"
    every = trial((60,), sensitivity=True)
    assert tuple(k.estimator for k in every.rows if k.estimator != "by_arm") == compared_by(endpoint(PRIMARY))


def test_the_level_of_the_intervals_is_that_of_the_design() -> None:
    """One-sided 0.05 is decided by a 90% interval: narrower by 1.645 / 1.96 than the 95% one."""
    wide, narrow = trial((200,)), trial((200,), "designs.superiority.sides=1")
    widths = [
        v[..., FIELDS.index("ci_high")] - v[..., FIELDS.index("ci_low")]
        for v in (made.chunk(0).values[:, 0, 0] for made in (wide, narrow))
    ]
    events = wide.chunk(0).values[:, 0, 1:, FIELDS.index("events")].min(axis=1) > 0
    np.testing.assert_allclose(widths[1][events] / widths[0][events], 1.6448536 / 1.9599640, rtol=1e-6)


def test_the_comparison_is_the_difference_of_the_arms() -> None:
    """Inclusion-exclusion of two paths through the code: arms estimated apart, and compared."""
    v = values(trial((150,)), 2)[:, 0]
    estimate = FIELDS.index("estimate")
    np.testing.assert_allclose(v[:, 0, estimate], v[:, 2, estimate] - v[:, 1, estimate], atol=1e-14)


def test_seeds_roles_attempts_designs_are_other_chunks() -> None:
    base = trial((60,))
    others = [replace(base, seed=4), replace(base, role=Role.CONFIRMATION), replace(base, role=Role.CONFIRMATION, attempt=1)]
    assert len({made.chunk(0).values.tobytes() for made in (base, *others)}) == 4
    assert len({made.request.digest for made in (base, *others, replace(base, sizes=(61,)))}) == 5


def test_a_replicate_that_raises_is_kept_and_never_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = trial((100,)).chunk(0)
    bad = honest.values[:, 0, 0, FIELDS.index("events")] >= np.quantile(honest.values[:, 0, 0, FIELDS.index("events")], 0.9)
    inner = comparison.COMPARISONS["risk_difference"].compare

    def fussy(derived, plan, sizes):
        found = inner(derived, plan, sizes)
        if (found.events >= np.quantile(honest.values[:, 0, 0, FIELDS.index("events")], 0.9)).any():
            raise ArithmeticError("too many events")
        return found

    monkeypatch.setitem(comparison.COMPARISONS, "risk_difference", replace(COMPARISONS["risk_difference"], compare=fussy))
    chunk = trial((100,)).chunk(0)
    assert [f.replicate for f in chunk.failures] == np.flatnonzero(bad).tolist()
    assert (chunk.values[bad][:, 0, 0, STATUS] == Status.RAISED).all()
    np.testing.assert_array_equal(chunk.values[~bad], honest.values[~bad])


def test_one_and_two_workers_write_the_same_bytes(tmp_path: Path) -> None:
    made = trial((60, 100))
    for jobs in (1, 2):
        run(made, replicates=150, store=open_store(tmp_path / str(jobs), made), jobs=jobs)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / str(jobs)).iterdir()} for jobs in (1, 2))
    assert one == two
    assert len(one) == 3


def test_estimand_values_of_arms_and_their_contrast() -> None:
    """Each strategy's own value is that of a single arm; the contrast is their difference, with the error of paired chance."""
    made = trial((60,))
    found = contrast_values(made.model, made.plan, [(PRIMARY, "risk_difference"), (PRIMARY, "cox")], chunks=4)
    at = {(v.strategy, v.kind): v for v in found}
    assert len(at) == len(found) == 7
    for arm in made.plan.arms:
        alone = estimand_values(made.model, [made.plan], arm, [PRIMARY], chunks=4)
        assert {(v.kind, v.value) for v in alone} == {(kind, at[arm, kind].value) for kind in ("latent", "protocol")}
    for kind in ("latent", "protocol"):
        contrast = at["letermovir - preemptive", kind]
        arms = [at[arm, kind] for arm in made.plan.arms]
        assert contrast.value == pytest.approx(arms[1].value - arms[0].value, abs=1e-12)
        assert contrast.value < -0.02
        assert contrast.mcse < 0.9 * np.hypot(arms[0].mcse, arms[1].mcse)
    ratio = at["letermovir / preemptive", "protocol"]
    risks = [at[arm, "protocol"].value for arm in made.plan.arms]
    assert abs(np.log(ratio.value) - np.log(np.log1p(-risks[1]) / np.log1p(-risks[0]))) < 0.1


def test_the_mean_comparison_is_the_true_contrast_where_nobody_is_lost() -> None:
    kept = (
        "monitoring.attendance=1",
        "follow_up.lost_by_90=0",
        "follow_up.withdrawn_by_90=0",
        "follow_up.monitoring_stop={ball_child=0,ball_adult=0,dlbcl=0}",
    )
    made = trial((300,), *kept)
    (truth,) = [
        v
        for v in contrast_values(made.model, made.plan, [(PRIMARY, "risk_difference")], chunks=6)
        if v.kind == "protocol" and " - " in v.strategy
    ]
    estimate = values(made, 8)[:, 0, 0, FIELDS.index("estimate")]
    error = np.hypot(truth.mcse, estimate.std() / np.sqrt(estimate.size))
    assert abs(estimate.mean() - truth.value) < 4 * error
    assert error < 0.1 * abs(truth.value)  # so that no effect would be told


def test_the_experiment_is_made_of_a_design_with_arms() -> None:
    single = replace(trial((60,)), design="precision")
    with pytest.raises(TypeError, match="no two arms"):
        _ = single.rows
