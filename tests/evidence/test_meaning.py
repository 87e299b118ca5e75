"""What the numbers must mean, written from the papers and not from the catalogue: signs, orders, sums.

Never changed together with the entry it guards.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydantic import TypeAdapter
from scipy import stats

from cmvsim.core.quantities import VaryingDays
from cmvsim.evidence import parameter


def v(name: str) -> float:
    return parameter(name).centre


def law(name: str):
    return TypeAdapter(VaryingDays).validate_python(parameter(name).human())


# In words: the left side is smaller than the right side.
@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("redondovirus_blood", "redondovirus_oropharynx"),
        ("hpgv_incident", "hpgv_baseline"),
        ("polymorphism_ul97", "polymorphism_ul54"),
        ("unknown_change", "polymorphism_ul97"),
        ("ttv_start_load", "ttv_high_load"),
        ("steroid_use_tisa_lbcl", "steroid_use_tisa_ball"),
        ("steroid_use_tisa_ball", "steroid_use_axi"),
        ("steroid_use_axi", "steroid_use_brexu"),
        ("tocilizumab_use_tisa_lbcl", "tocilizumab_use_tisa_ball"),
        ("tocilizumab_use_tisa_ball", "tocilizumab_use_axi"),
        ("tocilizumab_use_axi", "tocilizumab_use_brexu"),
        ("prior_allogeneic_hct_lbcl", "prior_allogeneic_hct_ball"),
        ("seropositive_share_child", "seropositive_share_18_50"),
        ("seropositive_share_18_50", "seropositive_share_over_50"),
        ("prevalent_dnaemia_plasma", "prevalent_dnaemia_whole_blood"),
        ("tocilizumab_start_day", "steroid_start_day"),
        ("onset_ratio_tocilizumab", "onset_ratio_steroids"),
        ("onset_ratio_steroids", "ratio_steroids_any_ever_never"),
        ("ratio_steroids_any_ever_never", "ratio_steroids_cscmvi_ever_never"),
        ("onset_ratio_steroids", "onset_ratio_prior_allo"),
        ("cmv_half_life_on_treatment", "cmv_decay_half_life"),
        ("cmv_doubling_time_t_depleted", "cmv_doubling_time"),
        ("lod_plasma", "lloq_plasma"),
        ("lod_whole_blood", "lloq_whole_blood"),
        ("lloq_plasma", "lloq_whole_blood"),
        ("lloq_plasma", "treatment_threshold_plasma"),
        ("lloq_whole_blood", "treatment_threshold_whole_blood"),
        ("treatment_threshold_plasma", "treatment_threshold_whole_blood"),
        ("treatment_accepted_whole_blood", "treatment_accepted_plasma"),
        ("p_any90_kampouri", "p_any_lin"),
        ("p_any_lin", "p_any90_whole_blood"),
        ("p_any90_cart_sie", "p_any90_kampouri"),
        ("p_10000_whole_blood", "p_1000_whole_blood"),
        ("p_1000_whole_blood", "p_any90_whole_blood"),
        ("p_any_lin_no_steroids", "p_any_lin"),
        ("p_any_lin", "p_any_lin_steroids"),
        ("p_disease90", "p_cscmvi90"),
        ("p_cscmvi90", "p_any90_plasma_weekly"),
        # an assay sees only part of the onsets
        ("p_any90_plasma_weekly", "cmv_latent_onset_share"),
        ("peak_plasma_p25", "peak_plasma_median"),
        ("peak_plasma_median", "peak_plasma_p75"),
        ("peak_plasma_median", "peak_whole_blood_median"),
        ("peak_plasma_median", "treatment_threshold_plasma"),
        ("assay_sd_within_site", "assay_sd_total_plasma"),
        ("assay_sd_total_plasma", "assay_sd_total_whole_blood"),
        ("death90_ball_young", "death90_ball_adult"),
        ("death90_ball_adult", "death90_lbcl"),
        ("non_relapse_mortality90", "death90_ball_young"),
        ("nrm_28_days_fr", "nrm_3_months"),
        ("relapse90_ball_young", "relapse90_ball_adult"),
        ("relapse90_ball_adult", "relapse90_lbcl"),
        ("stop_monitoring_ball", "stop_monitoring_lbcl"),
        ("death90_lbcl", "relapse90_lbcl"),
        ("stop_monitoring_lbcl", "relapse90_lbcl"),
        ("stop_monitoring_ball", "relapse90_ball_young"),
        ("hct90_lbcl", "hct90_ball"),
        ("death_ratio_cs_cmv", "death_ratio_cs_cmv_scenario"),
        ("hr_letermovir_cscmvi", "hr_letermovir_any_dnaemia"),
        ("hr_letermovir_any_dnaemia", "death_ratio_cs_cmv"),
        ("resistance_naive_ul54", "resistance_naive"),
        ("resistance_naive", "resistance_after_ganciclovir"),
        ("redondovirus_blood", "hpgv_baseline"),
        ("hpgv_baseline", "redondovirus_oropharynx"),
        ("ttv_baseline_positive", "ttv_positive_by_90"),
        ("bacterial_29_90", "bacterial_28"),
        ("infection_density_late", "infection_density_early"),
        ("infection_density_early", "infection_density_early_child"),
        ("utility_day28", "utility_baseline"),
        ("utility_baseline", "utility_norm_fr"),
        ("disutility_cmv_disease", "disutility_cscmvi"),
        ("disutility_icu", "disutility_ward"),
        ("price_cmv_pcr", "price_consultation"),
        ("price_ward_day", "price_icu_day"),
        ("price_letermovir_240_fr", "price_letermovir_480_fr"),
        ("price_valganciclovir_day", "price_letermovir_480_fr"),
        ("stay_days_cscmvi", "stay_days_cscmvi_hct_us"),
        ("stay_days_cscmvi_hct_us", "stay_days_cscmvi_hct_fr"),
        ("treatment_duration", "pet_days_hct"),
    ],
)
def test_order(smaller, larger):
    assert v(smaller) < v(larger)


@pytest.mark.parametrize(
    "name",
    [
        "onset_ratio_steroids",
        "onset_ratio_tocilizumab",
        "onset_ratio_prior_allo",
        "onset_ratio_score",
        "relapse_shape",
        "cmv_onset_shape",
        "letermovir_rebound",
        "ratio_surveillance",
        "steroid_or_1000_wb",
        "infection_ratio_cmv",
    ],
)
def test_above_one(name):
    assert v(name) > 1


@pytest.mark.parametrize("name", ["onset_ratio_on_antivirals", "hr_letermovir_cscmvi", "hr_letermovir_any_dnaemia"])
def test_drugs_protect(name):
    assert 0 < v(name) < 1


@pytest.mark.parametrize("name", ["whole_blood_offset", "set_point_shift_steroids", "ttv_rise"])
def test_upward(name):
    assert v(name) > 0


@pytest.mark.parametrize(
    "name",
    [
        "cmv_self_limited_slope",
        "letermovir_set_point_shift",
        "disutility_crs3",
        "disutility_icans3",
        "disutility_cscmvi",
        "disutility_ward",
    ],
)
def test_downward(name):
    assert v(name) < 0


@pytest.mark.parametrize("name", ["death_ratio_cs_cmv", "ratio_ball_lbcl", "expansion_ratio_cmv", "re_episode_ratio"])
def test_neutral_where_nothing_is_known(name):
    assert v(name) == 1


def test_the_latent_set_point_is_below_and_wider_than_the_detected_peak():
    assert v("cmv_set_point_plasma") < math.log10(v("peak_plasma_median"))
    assert parameter("cmv_set_point_plasma").varies.sd > v("peak_plasma_sd")


def test_shares_of_the_strata_sum_to_one():
    assert v("share_ball_child") + v("share_ball_adult") + v("share_dlbcl") == pytest.approx(1, abs=1e-12)


def test_first_line_drugs_sum_to_one():
    drugs = ("valganciclovir", "ganciclovir", "foscarnet")
    assert sum(v(f"pet_first_line_{drug}") for drug in drugs) == pytest.approx(1)


@pytest.mark.parametrize(
    ("given", "stop", "relapse"),
    [
        ("monitoring_stop_given_relapse_lbcl", "stop_monitoring_lbcl", "relapse90_lbcl"),
        ("monitoring_stop_given_relapse_ball_young", "stop_monitoring_ball", "relapse90_ball_young"),
        ("monitoring_stop_given_relapse_ball_adult", "stop_monitoring_ball", "relapse90_ball_adult"),
    ],
)
def test_monitoring_stops_as_often_as_stated(given, stop, relapse):
    assert v(given) * v(relapse) == pytest.approx(v(stop), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "value", "tolerance"),
    [
        ("seronegative_share_adult", 1 - 0.62, 1e-9),
        ("onset_ratio_score", math.exp(math.sqrt(0.3)), 1e-4),
        ("prevalent_dnaemia_plasma", 1 / 72, 1e-9),
        ("prevalent_dnaemia_whole_blood", 10 / 105, 1e-9),
        ("cmv_detection_shape", math.log(math.log(4) / math.log(4 / 3)) / math.log(31 / 9), 0.005),
        ("cmv_detection_scale", 9 / math.log(4 / 3) ** (1 / 1.27), 0.05),
        ("cmv_self_limited_share", 76 / 109, 0.005),
        ("p_treated_given_any", 33 / 109, 0.005),
        ("nrm_3_months", 1 - 0.989 * 0.988, 5e-4),
        ("peak_plasma_sd", math.log10(276 / 61) / (2 * stats.norm.ppf(0.75)), 0.005),
        ("peak_whole_blood_sd", 1 / stats.norm.ppf(1 - 4 / 42), 0.005),
        ("assay_sd_total_plasma", 0.5 / stats.norm.ppf(0.911), 0.005),
        ("assay_sd_total_whole_blood", 0.5 / stats.norm.ppf(0.8655), 0.005),
        ("steroid_use_lin", (31 / 95 - 0.21) / 0.18, 0.001),
        ("pet_days_hct", 852 / (26.3 * 0.682), 1),
        ("screened_for_250", 250 / (0.1 * 0.35 + 0.1 * 0.45 + 0.8 * 0.62), 0.5),
        ("price_letermovir_480_fr", 8515.74 / 28, 0.01),
        ("price_letermovir_240_fr", 4590.12 / 28, 0.01),
        ("price_valganciclovir_day", 590.11 / 60 * 4, 0.01),
        ("price_cmv_pcr", 150 * 0.25, 1e-9),
    ],
)
def test_arithmetic(name, value, tolerance):
    assert v(name) == pytest.approx(value, abs=tolerance)


def test_the_pooled_incidence_is_the_random_effects_mean_of_four_cohorts():
    x, n = np.array([18, 31, 42, 18]), np.array([72, 95, 95, 86])
    y, w = np.log(x / (n - x)), 1 / (1 / x + 1 / (n - x))
    q = (w * (y - (w * y).sum() / w.sum()) ** 2).sum()
    tau2 = max(0.0, (q - 3) / (w.sum() - (w**2).sum() / w.sum()))
    star = 1 / (1 / w + tau2)
    mean, half = (star * y).sum() / star.sum(), 1.959964 / math.sqrt(star.sum())
    low, mid, high = 1 / (1 + np.exp(-np.array([mean - half, mean, mean + half])))
    entry = parameter("p_any90_plasma_weekly")
    assert entry.value == pytest.approx(mid, abs=0.006)
    assert entry.interval95 == pytest.approx((low, high), abs=0.001)


def test_a_new_setting_is_less_certain_than_the_pooled_mean():
    mean = parameter("p_any90_plasma_weekly").uncertain.interval95()
    new = parameter("p_any90_new_setting").uncertain.interval95()
    assert new[0] < mean[0]
    assert new[1] > mean[1]


def test_the_doubling_time_has_the_published_quartiles():
    entry = parameter("cmv_doubling_time")
    low, high = (entry.median * math.exp(z * entry.varies.sdlog) for z in (-0.6745, 0.6745))
    assert low == pytest.approx(2.5, abs=0.1)
    assert high == pytest.approx(7.8, abs=0.3)


def test_steroid_courses_have_the_published_lengths():
    z = stats.norm.ppf((np.arange(20000) + 0.5) / 20000)
    days = law("steroid_duration_days").of_normal(z)
    assert np.mean(days > 3) == pytest.approx(0.60, abs=0.005)
    assert np.mean(days >= 9) == pytest.approx(14 / 40, abs=0.005)


def test_steroids_begin_on_days_2_to_10():
    start = law("steroid_start_day").of_normal(np.array([-4.0, 0.0, 4.0]))
    assert start[0] >= 2
    assert start[2] <= 10
    assert 6 <= start[1] <= 7.5


def test_tocilizumab_is_not_begun_after_day_14():
    assert law("tocilizumab_start_day").of_normal(np.array([5.0]))[0] <= 14


def test_an_untreated_plasma_episode_takes_weeks_from_onset_to_detection():
    # Why published times cannot be onset times: the load must first grow from its start.
    doublings = (math.log10(v("lloq_plasma")) - v("cmv_start_log10")) / math.log10(2)
    assert doublings * v("cmv_doubling_time") > 7


def test_no_disease_in_263_is_compatible():
    low, high = parameter("p_disease90").uncertain.interval95()
    assert low < 1 - 0.05 ** (1 / 263) < high


def test_ttv_acquired_adds_up_to_what_is_positive_by_day_90() -> None:
    baseline = v("ttv_baseline_positive")
    assert baseline + (1 - baseline) * v("ttv_incident") == pytest.approx(v("ttv_positive_by_90"))
    assert v("ttv_positive_by_90") > v("ttv_positive_from_day30_allo")


def test_a_sample_at_the_sending_level_is_at_the_floor_of_genotyping() -> None:
    assert math.log10(v("genotyping_send_at")) == pytest.approx(2.6, abs=0.01)
