"""The published cohorts as scenarios: who, how looked at and treated as the papers say, and no virology of their own.

Written from the papers. Never changed together with the entry or the scenario it guards.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from cmvsim.calibration.joint import cohorts
from cmvsim.core.streams import Role
from cmvsim.evidence import parameter
from cmvsim.models.kinetics import Kinetics
from cmvsim.models.population import Population
from cmvsim.models.toxicity import Toxicity
from cmvsim.scenarios import Scenario, catalogue_ids, resolve
from cmvsim.simulation.draws import ChunkDraws

PUBLISHED = ("kampouri-2024", "lin-2024", "marquez-algaba-2022", "cart-sie")
OF_THE_COHORT = {
    "id",
    "title",
    "study",
    "population",
    "toxicity",
    "cmv",
    "monitoring",
    "preemptive_therapy",
    "analysis",
    "designs",
    "accrual",
}


def spec(name: str, *overrides: str) -> Scenario:
    return resolve(name, overrides).spec


def private_virology(cohort: Scenario, base: Scenario) -> list[str]:
    """What a cohort has of its own beyond incidence, prevalence, steroid use, product mix, testing and treatment rule."""
    found = [
        name for name in Scenario.model_fields if name not in OF_THE_COHORT and getattr(cohort, name) != getattr(base, name)
    ]
    found += [f"cmv.{name}" for name in ("load", "matrices") if getattr(cohort.cmv, name) != getattr(base.cmv, name)]
    onset = cohort.cmv.onset.model_copy(update={"prevalent": base.cmv.onset.prevalent})
    found += ["cmv.onset"] if onset != base.cmv.onset else []
    others = set(type(cohort.cmv).model_fields) - {"calibrated_on", "onset", "load", "matrices", "targets", "checks"}
    found += [f"cmv.{name}" for name in others if getattr(cohort.cmv, name) != getattr(base.cmv, name)]
    steroids = cohort.toxicity.corticosteroids.model_copy(update={"use": base.toxicity.corticosteroids.use})
    toxicity = cohort.toxicity.model_copy(update={"corticosteroids": steroids})
    found += ["toxicity"] if toxicity != base.toxicity else []
    found += ["population.score_loadings"] if cohort.population.score_loadings != base.population.score_loadings else []
    assay = {"plasma": ("lod_plasma", "lloq_plasma"), "whole_blood": ("lod_whole_blood", "lloq_whole_blood")}
    limits = tuple(limit.evidence for limit in (cohort.monitoring.lod, cohort.monitoring.lloq))
    found += ["limits of the assay"] if limits != assay[cohort.monitoring.matrix.value] else []
    same_noise = cohort.monitoring.assay_sd_log10 == base.monitoring.assay_sd_log10
    return found + ([] if same_noise else ["noise of the assay"])


def test_every_published_cohort_is_held_against_its_figures() -> None:
    assert set(cohorts()) == {*PUBLISHED, "cmv-cart"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_cohort_has_a_virology_of_its_own(name: str) -> None:
    assert private_virology(spec(name), spec("cmv-cart")) == []


@pytest.mark.parametrize(
    ("override", "found"),
    [
        ("cmv.load.set_point_shift.corticosteroids=1.5", "cmv.load"),
        ("cmv.onset.ratios.corticosteroids=2", "cmv.onset"),
        ("cmv.matrices.whole_blood.offset=1", "cmv.matrices"),
        ("toxicity.corticosteroids.washout=10", "toxicity"),
        ("monitoring.lod=10", "limits of the assay"),
        ("follow_up.lost_by_90=0.2", "follow_up"),
    ],
)
def test_a_private_virology_would_be_noticed(override: str, found: str) -> None:
    assert private_virology(spec("kampouri-2024", override), spec("cmv-cart")) == [found]


def test_kampouri_is_weekly_plasma_for_twelve_weeks() -> None:
    """72 adults, 18 of them with DNAemia; 27% (16.8-38.2); 3 with leukaemia, 6 transplanted, 15 with axi-cel; 5 treated."""
    s = spec("kampouri-2024")
    assert s.study.patients == 72
    assert [day for day in s.monitoring.days if day > 0] == [7 * week for week in range(1, 13)]
    assert s.monitoring.matrix.value == "plasma"
    assert s.analysis.definition.name == s.cmv.incidence.definition.name == "detected"
    assert (float(s.cmv.incidence.value), s.cmv.incidence.published) == (0.27, (0.168, 0.382))
    strata = s.population.strata
    assert float(strata["ball_child"].share) == 0
    assert float(strata["ball_adult"].share) == pytest.approx(3 / 72, abs=1e-4)
    assert {float(s.prior_allogeneic_hct) for name, s in strata.items() if name != "ball_child"} == {0.0833}
    assert float(strata["dlbcl"].products["axicabtagene"]) == pytest.approx(15 / 72, abs=1e-4)
    values = {check.label: float(check.value) for check in s.cmv.checks}
    assert values["peak median"] == 127
    assert values["peak, quantile 0.25"] == 61
    assert values["peak, quantile 0.75"] == 276
    assert values["treated share"] == pytest.approx(5 / 72, abs=0.001)


def test_marquez_algaba_is_whole_blood_without_prior_transplant() -> None:
    """95 with LBCL and 10 positive before; 42, 21 and 4 of 95 reach any, 1,000, 10,000 IU/mL; 7 of 105 treated; OR 8.4."""
    s = spec("marquez-algaba-2022")
    assert s.study.patients == 105
    assert s.monitoring.matrix.value == "whole_blood"
    assert float(s.cmv.onset.prevalent) == pytest.approx(10 / 105)
    present = [stratum for stratum in s.population.strata.values() if float(stratum.share) > 0]
    assert [(stratum.disease, float(stratum.prior_allogeneic_hct)) for stratum in present] == [("lymphoma", 0)]
    assert float(s.cmv.incidence.value) == pytest.approx(42 / 95, abs=0.005)
    shares = {c.definition.level: float(c.value) for c in s.cmv.checks if c.measure == "share_reaching"}
    assert shares == {1000: pytest.approx(21 / 95, abs=0.005), 10000: pytest.approx(4 / 95, abs=0.005)}
    ratio = next(check for check in s.cmv.checks if check.measure == "odds_ratio_steroids")
    assert (float(ratio.value), ratio.published, ratio.definition.level) == (8.4, (2.4, 36.6), 1000)
    treated = next(check for check in s.cmv.checks if check.measure == "treated_share")
    assert float(treated.value) == pytest.approx(7 / 105, abs=0.001)


def test_lin_has_two_thirds_on_steroids_and_the_published_contrast() -> None:
    """31 of 95, on day 19 (9-31); 39 against 21% by steroids, which with 31/95 says how many had them; 10 treated."""
    s = spec("lin-2024")
    assert s.study.patients == 95
    assert float(s.cmv.incidence.value) == pytest.approx(31 / 95, abs=0.005)
    assert float(s.cmv.timing.value) == 19
    values = {check.label: float(check.value) for check in s.cmv.checks}
    assert values["incidence with steroids, detected"] == 0.39
    assert values["incidence without steroids, detected"] == 0.21
    assert values["treated share"] == pytest.approx(10 / 95, abs=0.01)
    draws = ChunkDraws(3, Role.STUDY, 0, 512)
    population = Population(s.population, draws)
    toxicity = Toxicity(s.toxicity, population, Kinetics(s.kinetics, population, draws), draws)
    given = np.isfinite(toxicity.course("corticosteroids").start).mean()
    assert given == pytest.approx((31 / 95 - 0.21) / 0.18, abs=4 * math.sqrt(0.25 / (512 * 64)))


def test_cart_sie_is_lymphoma_and_nothing_is_solved_on_it() -> None:
    """122 of 1,124 as tested by clinicians: what sparse testing finds of the disease of the registered cohort."""
    s = spec("cart-sie")
    assert s.study.patients == 1124
    assert {stratum.disease for stratum in s.population.strata.values() if float(stratum.share) > 0} == {"lymphoma"}
    assert s.cmv.calibrated_on == "cmv-cart"
    assert s.cmv.targets == spec("cmv-cart").cmv.targets
    assert float(s.cmv.checks[0].value) == pytest.approx(122 / 1124, abs=0.001)


@pytest.mark.parametrize("name", catalogue_ids())
def test_every_figure_lies_inside_its_interval(name: str) -> None:
    for figure in (*spec(name).cmv.targets, *spec(name).cmv.checks):
        assert figure.published is not None
        assert figure.published[0] <= float(figure.value) <= figure.published[1]


@pytest.mark.parametrize(
    ("name", "value", "sdlog"),
    [
        # asymptotic error of a quantile: sqrt(q (1 - q) / n) / phi(z_q), times the spread that the quartiles say
        ("cmv_detection_median", 19, math.log(31 / 9) / 1.349 * math.sqrt(0.25 / 31) / stats.norm.pdf(0)),
        ("peak_plasma_median", 127, math.log(276 / 61) / 1.349 * math.sqrt(0.25 / 18) / stats.norm.pdf(0)),
        ("peak_plasma_p25", 61, math.log(276 / 61) / 1.349 * math.sqrt(3 / 16 / 18) / stats.norm.pdf(0.6745)),
        ("peak_plasma_p75", 276, math.log(276 / 61) / 1.349 * math.sqrt(3 / 16 / 18) / stats.norm.pdf(0.6745)),
    ],
)
def test_a_published_quartile_says_how_sure_the_median_is(name: str, value: float, sdlog: float) -> None:
    entry = parameter(name)
    assert entry.value == value
    assert entry.uncertain.parameters[1] == pytest.approx(sdlog, abs=0.006)


@pytest.mark.parametrize(
    ("name", "events", "others"),
    [
        ("p_any_lin_steroids", 24, 37),
        ("p_any_lin_no_steroids", 7, 27),
        ("p_treated_lin_steroids", 10, 46),
        ("steroid_use_lin", 61, 34),
        ("nrm_3_months", 11, 464),
    ],
)
def test_counts_agree_with_the_published_percentages(name: str, events: int, others: int) -> None:
    entry = parameter(name)
    assert entry.uncertain.parameters == (events, others)
    assert events / (events + others) == pytest.approx(entry.value, abs=0.006)


def test_the_counts_of_lin_make_up_the_cohort() -> None:
    (a, b), (c, d) = (parameter(f"p_any_lin_{who}").uncertain.parameters for who in ("steroids", "no_steroids"))
    assert (a + c, a + b + c + d) == (31, 95)


@pytest.mark.parametrize(("name", "n"), [("p_disease_monitored", 72 + 105 + 86), ("p_disease_cart_sie", 1124)])
def test_nothing_seen_is_a_one_sided_bound(name: str, n: int) -> None:
    low, high = parameter(name).interval95
    assert low == 0
    assert (1 - high) ** n == pytest.approx(0.05, abs=0.001)


def test_shares_of_the_cohort_of_72_make_it_up() -> None:
    for pair in (("share_axi_kampouri", "share_other_product_kampouri"), ("share_ball_kampouri", "share_lymphoma_kampouri")):
        assert sum(parameter(name).value for name in pair) == pytest.approx(1, abs=1e-12)


def test_steroids_raise_the_higher_end_more() -> None:
    odds = [p / (1 - p) for p in (parameter("p_any_lin_steroids").value, parameter("p_any_lin_no_steroids").value)]
    assert all(a < b for a, b in pairwise([1.0, odds[0] / odds[1], parameter("steroid_or_1000_wb").value]))
