"""Power of the design where closed forms hold: nothing competes, nobody is missed, all are followed to the window.

A tiny experiment made by hand randomises with the design's own lists, compares with the design's own comparisons and decides by
the design: what is simulated is all there is, so that the formulas' power, and the level without an effect, must come out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pytest

from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.designs import TwoArm
from cmvsim.designs.closed_forms import lachin_foulkes_power, schoenfeld_power, two_proportions_power
from cmvsim.endpoints import AnalysisSpec
from cmvsim.endpoints.comparison import COMPARISONS, TESTS
from cmvsim.endpoints.derived import GroupedTimeToEvent
from cmvsim.planning.trial_closed_forms import (
    LACHIN,
    LATOUCHE,
    PROPORTIONS,
    SCHOENFELD,
    Expected,
    closed_forms,
    detectable_risk,
    nearest,
)
from cmvsim.simulation.draws import ChunkDraws

WINDOW = 90.0
SLOW = frozenset({"miettinen_nurminen", "farrington_manning"})
"""Their limits take iterations: fewer studies."""
FIXED = (
    "risk_difference",
    "gray_test",
    "log_rank",
    "log_rank_stratified",
    "newcombe",
    "miettinen_nurminen",
    "farrington_manning",
)


@dataclass(frozen=True)
class Toy:
    """Exponential events in two strata of equal hazard, whole days of a fine grid, nobody censored before the window."""

    design: TwoArm
    control: float
    experimental: float
    n: int

    def power(self, chunks: int, comparison: str | None = None) -> tuple[float, float]:
        """Shares that conclude, and that reject on the wrong side."""
        name = comparison or self.design.comparison
        design = self.design.model_copy(update={"comparison": name})
        plan = AnalysisSpec(endpoints=("cmv_reactivation",), window=90, arms=design.arms, level=design.level)
        met = against = 0
        for chunk in range(chunks):
            decision = design.decide(COMPARISONS[name].compare(self.studies(chunk), plan, (self.n,)))
            met += int(decision.met.sum())
            against += int(decision.against.sum())
        total = chunks * CHUNK_REPLICATES
        return met / total, against / total

    def studies(self, chunk: int) -> GroupedTimeToEvent:
        draws = ChunkDraws(11, Role.STUDY, chunk, self.n)
        strata = (draws("population.stratum").reshape(self.n, -1).T < 0.4).astype(np.int64)
        arm = self.design.assign(strata, draws)
        hazard = -np.log1p(-np.where(arm == 1, self.experimental, self.control)) / WINDOW
        time = draws("cmv.onset").reshape(self.n, -1).T / hazard
        cause = (time <= WINDOW).astype(np.int8)
        return GroupedTimeToEvent(np.minimum(time, WINDOW), cause, arm, self.design.arms, {}, strata)


def design(**keys):
    return TwoArm.parse({"kind": "two_arm", "arms": ["a", "b"], **keys})


def error(p: float, chunks: int) -> float:
    return math.sqrt(p * (1 - p) / (chunks * CHUNK_REPLICATES))


@pytest.mark.parametrize("ratio", [(1, 1), (1, 2)])
def test_the_difference_of_incidences_has_the_power_of_two_proportions(ratio):
    """Without censoring the Aalen-Johansen estimate is the proportion; Farrington and Manning's test is the formula's."""
    made = Toy(design(ratio=list(ratio), block_sizes=[sum(ratio) * 2]), 0.30, 0.15, 240)
    n1 = 240 * ratio[1] / sum(ratio)
    wanted = two_proportions_power(n1, 0.15, 0.30, ratio=ratio[0] / ratio[1])
    for name, slack in (
        ("farrington_manning", 0.01),
        ("miettinen_nurminen", 0.01),
        ("newcombe", 0.02),
        ("risk_difference", 0.02),
    ):
        chunks = 12 if name in SLOW else 60
        got, wrong = made.power(chunks, name)
        assert abs(got - wanted) < 4 * error(wanted, chunks) + slack, name
        assert wrong < 0.001
    # what other studies would have: the tolerance tells them apart
    assert abs(two_proportions_power(n1 / 1.15, 0.15, 0.30, ratio=ratio[0] / ratio[1]) - wanted) > 0.045


def test_the_log_rank_test_has_the_power_of_schoenfeld_and_of_lachin_and_foulkes():
    made = Toy(design(comparison="log_rank"), 0.30, 0.18, 300)
    hazards = [-math.log1p(-p) / WINDOW for p in (0.30, 0.18)]
    by_events = schoenfeld_power(150 * 0.30 + 150 * 0.18, hazards[1] / hazards[0])
    by_patients = lachin_foulkes_power(300, *hazards, accrual=0.0, followup=WINDOW)
    assert abs(by_events - by_patients) < 0.03
    for name in ("log_rank", "log_rank_stratified", "gray_test"):  # nothing competes: Gray's test asks the same
        got, _ = made.power(100, name)
        assert abs(got - by_patients) < 4 * error(by_patients, 100) + 0.01, name
    got, _ = made.power(20, "cox")
    assert abs(got - by_patients) < 4 * error(by_patients, 20) + 0.01


def test_non_inferiority_has_the_power_of_the_score_test():
    made = Toy(design(hypothesis="non_inferiority", margin=0.10, comparison="farrington_manning"), 0.20, 0.20, 500)
    wanted = two_proportions_power(250, 0.20, 0.20, difference0=0.10)
    assert 0.7 < wanted < 0.9
    got, _ = made.power(15)
    assert abs(got - wanted) < 4 * error(wanted, 15) + 0.01


@pytest.mark.parametrize("name", FIXED)
def test_without_an_effect_the_level_is_kept(name):
    """6,400 studies of 200: within 4 Monte Carlo errors (0.011) and 0.004 of the test's own approximation; 0.07 is told."""
    chunks = 15 if name in SLOW else 100
    met, against = Toy(design(), 0.25, 0.25, 200).power(chunks, name)
    assert abs(met + against - 0.05) < 4 * error(0.05, chunks) + 0.004
    assert abs(met - against) < 4 * math.sqrt(0.05 / (chunks * CHUNK_REPLICATES))


def test_on_the_margin_non_inferiority_keeps_its_level():
    made = Toy(design(hypothesis="non_inferiority", margin=0.10, comparison="farrington_manning"), 0.20, 0.30, 300)
    met, _ = made.power(25)
    assert abs(met - 0.025) < 4 * error(0.025, 25) + 0.003


def test_one_side_of_five_percent_rejects_more_than_two_sides():
    one, two = (Toy(design(sides=s), 0.30, 0.18, 200).power(30)[0] for s in (1, 2))
    assert one > two + 4 * error(two, 30)


def test_all_closed_forms_are_given_and_the_nearest_is_named():
    found = closed_forms(design(), Expected(0.30, 0.15, WINDOW), 0.80)
    assert list(found) == [PROPORTIONS, SCHOENFELD, LACHIN, LATOUCHE]
    assert all(200 < n < 280 for n in found.values())
    assert found[PROPORTIONS] == 241  # 120.48 per arm: Fleiss without continuity correction
    assert nearest(design()) == PROPORTIONS
    assert nearest(design(comparison="cox_stratified")) == SCHOENFELD
    assert nearest(design(comparison="gray_test")) == LATOUCHE
    assert set(COMPARISONS) - TESTS >= {"cox_stratified", "gray_test"}


@pytest.mark.parametrize(
    "expected", [Expected(0.1, 0.2, 90), Expected(0.2, 0.2, 90), Expected(0.0, 0.0, 90), Expected(math.nan, 0.1, 90)]
)
def test_no_closed_form_where_the_experimental_arm_does_no_better(expected):
    assert set(closed_forms(design(), expected, 0.8).values()) == {None}


def test_a_margin_is_known_to_two_proportions_alone():
    found = closed_forms(design(hypothesis="non_inferiority", margin=0.05), Expected(0.1, 0.1, WINDOW), 0.8)
    assert found[PROPORTIONS] is not None
    assert {found[name] for name in (SCHOENFELD, LACHIN, LATOUCHE)} == {None}
    ratio = design(hypothesis="non_inferiority", margin=1.5, comparison="cox")
    assert set(closed_forms(ratio, Expected(0.1, 0.1, WINDOW), 0.8).values()) == {None}


def test_the_detectable_risk_inverts_the_power():
    risk = detectable_risk(design(), 0.30, 240, 0.8)
    assert risk is not None
    assert two_proportions_power(120, risk, 0.30) == pytest.approx(0.8, abs=1e-6)
    assert detectable_risk(design(), 0.01, 20, 0.9) is None
