"""Every entry of the catalogue: shape, grade, sources, and the message that a bad entry gives."""

from __future__ import annotations

import math

import pytest
from pydantic import TypeAdapter, ValidationError

from cmvsim.core.errors import InputError
from cmvsim.core.quantities import Number, VaryingLog10
from cmvsim.core.value import Between, Value
from cmvsim.evidence import parameter, parameters, sources
from cmvsim.evidence.registry import parse_parameters, parse_sources

IDS = sorted(parameters())
GOOD = {"value": 0.3, "unit": "proportion", "measures": "m", "grade": "found", "role": "law", "source": ["lin2024"]}

# What the registered scenario asks for by name.
REGISTERED = [
    "seronegative_share_adult",
    "prior_allogeneic_hct_lbcl",
    "prior_allogeneic_hct_ball",
    "share_ball_child",
    "share_ball_adult",
    "share_dlbcl",
    "steroid_use_axi",
    "steroid_use_tisa_lbcl",
    "steroid_use_tisa_ball",
    "steroid_use_brexu",
    "steroid_washout_days",
    "tocilizumab_use_axi",
    "tocilizumab_use_tisa_lbcl",
    "tocilizumab_use_tisa_ball",
    "tocilizumab_use_brexu",
    "tocilizumab_washout_days",
    "prevalent_dnaemia_plasma",
    "prevalent_dnaemia_whole_blood",
    "prevalent_age_days",
    "cmv_onset_shape",
    "cmv_latent_onset_share",
    "onset_ratio_steroids",
    "onset_ratio_tocilizumab",
    "onset_ratio_prior_allo",
    "onset_ratio_score",
    "onset_ratio_on_antivirals",
    "re_episode_ratio",
    "cmv_start_log10",
    "set_point_shift_steroids",
    "set_point_shift_score",
    "cmv_self_limited_share",
    "cmv_self_limited_slope",
    "cmv_treatment_lag_days",
    "cmv_regrowth_share",
    "lloq_plasma",
    "lod_plasma",
    "lloq_whole_blood",
    "lod_whole_blood",
    "assay_sd_within_site",
    "assay_sd_between_site",
    "treatment_threshold_plasma",
    "treatment_accepted_plasma",
    "treatment_threshold_whole_blood",
    "treatment_accepted_whole_blood",
    "p_any90_plasma_weekly",
    "p_any90_kampouri",
    "p_any90_whole_blood",
    "cmv_detection_median",
    "steroid_or_1000_wb",
    "death90_lbcl",
    "death90_ball_young",
    "death90_ball_adult",
    "non_relapse_mortality90",
    "relapse90_lbcl",
    "relapse90_ball_young",
    "relapse90_ball_adult",
    "stop_monitoring_lbcl",
    "stop_monitoring_ball",
    "monitoring_stop_given_relapse_lbcl",
    "monitoring_stop_given_relapse_ball_young",
    "monitoring_stop_given_relapse_ball_adult",
    "relapse_shape",
    "hct90_ball",
    "hct90_lbcl",
    "hct_from_day",
    "lost90",
    "withdrawn90",
    "death_ratio_cs_cmv",
]
VARYING = [
    "steroid_start_day",
    "steroid_duration_days",
    "tocilizumab_start_day",
    "tocilizumab_duration_days",
    "cmv_doubling_time",
    "cmv_set_point_plasma",
    "cmv_plateau_days",
    "cmv_decay_half_life",
    "cmv_half_life_on_treatment",
    "whole_blood_offset",
    "treatment_duration",
]


def test_the_catalogue_is_not_empty():
    assert len(IDS) > 200
    assert len(sources()) > 50


@pytest.mark.parametrize("name", REGISTERED)
def test_the_registered_scenario_finds_its_numbers(name):
    assert parameter(name).value is not None


@pytest.mark.parametrize("name", VARYING)
def test_what_differs_between_patients_says_how(name):
    assert parameter(name).varies is not None


@pytest.mark.parametrize("name", IDS)
def test_the_human_form_is_read_back_by_the_scenario_grammar(name):
    entry = parameter(name)
    kind = Number if entry.varies is None else VaryingLog10  # the two grammars without a range of their own
    read = TypeAdapter(kind).validate_python(entry.human())
    assert read.evidence == name
    assert read.assumed == (entry.reason if entry.grade == "assumed" else None)
    assert read.uncertain == entry.uncertain
    if isinstance(read, Between):
        assert (read.centre, read.spread) == (entry.centre, entry.varies.sdlog or entry.varies.sd)
        assert (read.low, read.high) == (entry.varies.low, entry.varies.high)
        assert (read.law == "lognormal") == (entry.median is not None)
    else:
        assert isinstance(read, Value)
        assert read.value == entry.value


@pytest.mark.parametrize("name", IDS)
def test_the_grade_is_earned(name):
    entry = parameter(name)
    assert entry.reason
    assert entry.population
    if entry.grade in ("found", "recalled"):
        assert entry.source
    if entry.grade == "found":
        assert entry.locator
    if entry.grade == "derived":
        assert entry.derivation
    if entry.grade == "assumed":
        assert not entry.source
        assert not entry.confidence
    assert (entry.grade == "recalled") == (entry.confidence is not None)


@pytest.mark.parametrize("name", IDS)
def test_the_number_lies_inside_its_intervals(name):
    entry = parameter(name)
    pairs = [entry.interval95] if entry.interval95 else []
    if entry.uncertain:
        pairs.append(entry.uncertain.interval95())
    if entry.varies and entry.varies.low is not None:
        pairs.append((entry.varies.low, math.inf))
    if entry.varies and entry.varies.high is not None:
        pairs.append((-math.inf, entry.varies.high))
    for low, high in pairs:
        assert low <= entry.centre <= high


BETAS = [n for n in IDS if (u := parameters()[n].uncertain) and u.kind == "beta"]


@pytest.mark.parametrize("name", BETAS)
def test_a_beta_has_its_mean_near_the_value(name):
    # Assurance samples the Beta: its mean must not move the scenario away from its own base case.
    a, b = parameter(name).uncertain.parameters
    value = parameter(name).value
    assert a / (a + b) == pytest.approx(value, rel=0.05, abs=min(0.011, 0.1 * value))


@pytest.mark.parametrize("key", sorted(sources()))
def test_every_source_is_cited_or_marked_as_background(key):
    cited = {k for entry in parameters().values() for k in (*entry.source, *entry.see)}
    assert (key in cited) != sources()[key].background
    assert sources()[key].cite()


def test_every_cited_source_exists():
    cited = {k for entry in parameters().values() for k in (*entry.source, *entry.see)}
    assert cited
    assert cited <= set(sources())


def test_an_unknown_id_suggests_the_nearest():
    with pytest.raises(InputError, match=r"no evidence entry '@lloq_plasme'.*did you mean 'lloq_plasma'"):
        parameter("@lloq_plasme")


def test_the_at_sign_is_optional():
    assert parameter("@lloq_plasma") is parameter("lloq_plasma")


def test_the_catalogue_cannot_be_changed():
    with pytest.raises(TypeError):
        parameters()["x"] = None
    with pytest.raises(ValidationError, match="frozen"):
        parameter("lloq_plasma").value = 1.0


def test_a_good_entry_is_accepted():
    entry = parse_parameters({"x": GOOD}, sources())["x"]
    assert entry.human() == {"value": 0.3, "evidence": "x"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"valeu": 1}, r"x\.valeu: unknown key 'valeu'.*did you mean 'value'"),
        ({"unit": "proportoin"}, "unknown unit 'proportoin'.*did you mean 'proportion'"),
        ({"value": 1.3}, "1.3 is not allowed.*from 0 to 1, a proportion"),
        ({"value": "0.3"}, "x.value"),
        ({"value": None}, "exactly one number"),
        ({"median": 2}, "exactly one number"),
        ({"varies": {"sd": 1}}, "exclude each other"),
        ({"uncertain": {"bta": [1, 2]}}, "unknown distribution 'bta'.*did you mean 'beta'"),
        ({"uncertain": {"beta": [0, 2]}}, "is no distribution"),
        ({"uncertain": {"beta": [90, 10]}}, "lies outside its uncertain"),
        ({"interval95": [0.4, 0.5]}, "lies outside its interval95"),
        ({"source": []}, "a found number needs a 'source'"),
        ({"source": ["lin2042"]}, r"x\.source: 'lin2042' does not exist.*did you mean 'lin2024'"),
        ({"see": ["nobody"]}, "x.see: 'nobody' does not exist"),
        ({"inputs": ["y"]}, "x.inputs: 'y' does not exist"),
        ({"confidence": "high"}, "belongs to recalled"),
        ({"grade": "recalled"}, "belongs to recalled"),
        ({"grade": "derived"}, "needs its 'derivation'"),
        ({"grade": "derived", "derivation": "1 + 1", "source": []}, "starts from something"),
        ({"grade": "assumed", "source": []}, "needs a 'reason'"),
        ({"grade": "assumed", "reason": "r"}, "has no 'source'"),
        ({"grade": "guessed"}, "x.grade"),
        ({"id": "y"}, "the table's name is its id"),
    ],
)
def test_one_mistake_gives_one_message(change, message):
    table = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(InputError, match=message) as caught:
        parse_parameters({"x": table}, sources())
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].where == "parameters.toml"


def test_what_rests_on_an_assumption_is_an_assumption():
    guess = {**GOOD, "grade": "assumed", "reason": "r", "source": []}
    derived = {**GOOD, "grade": "derived", "derivation": "x", "inputs": ["x"], "source": []}
    with pytest.raises(InputError, match="computed from an assumption"):
        parse_parameters({"x": guess, "y": derived}, sources())


def test_all_mistakes_are_reported_at_once():
    with pytest.raises(InputError) as caught:
        parse_parameters({"x": {**GOOD, "value": 2}, "y": {**GOOD, "unit": "u"}, "z": 3}, sources())
    assert [problem.at.split(".")[0] for problem in caught.value.problems] == ["x", "y", "z"]


def test_a_source_says_what_it_is():
    with pytest.raises(InputError, match="the key 'what' is missing"):
        parse_sources({"s": {"title": "t"}})
