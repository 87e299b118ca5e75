"""Type I error on the edge of what a randomised comparison tests: equal arms, and arms that differ by the margin."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trial_setup import PRIMARY, solved_trial

from cmvsim.core.errors import InputError
from cmvsim.designs import TwoArm
from cmvsim.montecarlo.contrast_values import contrast_values
from cmvsim.montecarlo.run import MonteCarloResult, open_store, run
from cmvsim.planning.detectable import scaled
from cmvsim.planning.trial import TrialExperiment, WithoutEffect
from cmvsim.planning.trial_type1 import Contrast, Edge, edge_of_null, type1_of

N, REPLICATES, MARGIN, ALPHA = 300, 640, 0.03, 0.1
NI = (
    f"designs.ni={{kind='two_arm',arms=['letermovir','preemptive'],hypothesis='non_inferiority',margin={MARGIN},sides=1,alpha={ALPHA},"
    "comparison='farrington_manning'}"
)
EVERY_VISIT = "monitoring.attendance=1.0"


def trial(design: str, edge: Edge) -> TrialExperiment:
    return TrialExperiment(edge.scenario, edge.baseline, (N,), (PRIMARY,), design, True, 3)


def contrast_at(scenario: Any, baseline: Any, chunks: int = 4) -> Contrast:
    model, plan = (getattr(trial("ni", Edge(scenario, baseline, 1.0, None)), name) for name in ("model", "plan"))
    found = contrast_values(model, plan, ((PRIMARY, "farrington_manning"),), chunks=chunks)
    own = [value for value in found if value.kind == "protocol"]
    return Contrast(own[0].value, own[1].value, own[2].value, own[2].mcse)


@cache
def on_margin() -> Edge:
    scenario, calibration = solved_trial(NI, EVERY_VISIT)
    design = scenario.spec.designs["ni"]
    assert isinstance(design, TwoArm)
    return edge_of_null(scenario, calibration.baseline, design, contrast_at)


def ran(experiment: TrialExperiment, folder: Path) -> MonteCarloResult:
    return run(experiment, replicates=REPLICATES, store=open_store(folder, experiment))


def test_the_truth_is_moved_to_the_margin() -> None:
    edge = on_margin()
    assert edge.truth is not None
    assert edge.strength is not None
    assert 0 < edge.strength < 1, "the drug as stated sets the arms farther apart"
    assert abs(edge.truth.value - MARGIN) <= edge.truth.mcse
    assert edge.truth.experimental - edge.truth.control == pytest.approx(edge.truth.value)
    known = edge.baseline.letermovir
    assert known is not None
    assert (known.onset_ratio, known.set_point_shift) == pytest.approx((0.5**edge.strength, -0.5 * edge.strength))


def test_the_level_holds_on_the_margin(tmp_path: Path) -> None:
    """Within 4 Monte Carlo SE (4.7 points) of 10%; of arms that do not differ far more trials conclude."""
    edge, (scenario, calibration) = on_margin(), solved_trial(NI, EVERY_VISIT)
    design = scenario.spec.designs["ni"]
    assert isinstance(design, TwoArm)
    found = type1_of(ran(trial("ni", edge), tmp_path / "edge"), design, edge)
    rows = {row.comparison: row for row in found.rows}
    own = rows["farrington_manning"]
    assert found.nominal == ALPHA
    assert abs(own.value - ALPHA) < 4 * own.mcse
    assert abs(own.mean_estimate - MARGIN) < 4 * (own.mean_estimate_mcse + edge.truth.mcse)  # type: ignore[union-attr]
    assert own.unbiased is not None
    assert abs(own.unbiased - own.value) < 0.05
    assert {"risk_difference", "newcombe"} <= rows.keys()
    assert not {"gray_test", "cox"} & rows.keys(), "the margin is of a difference"
    effect = scenario.spec.letermovir.known_effect
    assert effect is not None
    equal = Edge(*scaled(scenario, calibration.baseline, effect, 0.0), 0.0, None)
    power = type1_of(ran(trial("ni", equal), tmp_path / "equal"), design, equal)
    assert {row.comparison: row for row in power.rows}["farrington_manning"].value > own.value + 4 * own.mcse


def test_equal_arms_for_superiority(tmp_path: Path) -> None:
    scenario, calibration = solved_trial(NI, EVERY_VISIT)
    design = scenario.spec.designs["superiority"]
    assert isinstance(design, TwoArm)
    edge = edge_of_null(scenario, calibration.baseline, design, contrast_at)
    assert (edge.strength, edge.truth) == (None, None)
    plain = trial("superiority", edge)
    equal = WithoutEffect(*(getattr(plain, name) for name in plain.__dataclass_fields__))
    assert equal.request.digest != plain.request.digest
    study, whole = equal.study(1), plain.study(1)
    arm = whole.subjects.covariates["arm"]
    np.testing.assert_array_equal(study.subjects.covariates["arm"], arm)
    control = arm == 0
    np.testing.assert_array_equal(study.samples.load[control], whole.samples.load[control])
    assert not np.array_equal(study.samples.load[~control], whole.samples.load[~control], equal_nan=True)
    found = type1_of(ran(equal, tmp_path), design, edge)
    assert found.nominal == 0.05
    for row in found.rows:
        assert row.value < 0.05 + 4 * row.mcse
        assert row.unbiased is None


def test_where_no_drug_moves_the_truth() -> None:
    scenario, calibration = solved_trial(NI, EVERY_VISIT)
    design = scenario.spec.designs["ni"]
    assert isinstance(design, TwoArm)
    neither = design.model_copy(update={"arms": ("preemptive", "preemptive")})
    with pytest.raises(InputError, match="neither arm is given"):
        edge_of_null(scenario, calibration.baseline, neither, contrast_at)
    wide = design.model_copy(update={"margin": 0.9})
    with pytest.raises(InputError, match="no effect of the drug"):
        edge_of_null(scenario, calibration.baseline, wide, lambda *_: replace(on_margin().truth, value=0.2))  # type: ignore[type-var]
