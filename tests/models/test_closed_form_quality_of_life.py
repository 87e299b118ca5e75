"""Section 13 against what it states: means, changes, spread, norms, instruments, missing answers."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import stats

from cmvsim.calibration.quality_of_life import achieved, convert, index_moments
from cmvsim.core.errors import CalibrationError, InputError
from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role, day_index
from cmvsim.evidence import parameter
from cmvsim.models.population import Population
from cmvsim.models.quality_of_life import (
    STATES,
    Instrument,
    LatentHealth,
    QualityOfLifeSpec,
    instrument_at,
    level_probabilities,
)
from cmvsim.models.windows import Windows
from cmvsim.scenarios import resolve
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.quality_of_life import (
    HealthStates,
    Questionnaires,
    disease_windows,
    expected_index_at,
    missing_probability,
    responses,
)
from cmvsim.valuation import value_set

PATIENTS = 1500
SIZE = PATIENTS * 64
NEVER = np.full(SIZE, np.inf)
ALWAYS = Windows(np.full(SIZE, -np.inf), NEVER)
NOBODY_MISSING = ("quality_of_life.missing.share=[0, 0, 0]",)
ADULTS = ("population.strata.ball_child.share=0", "population.strata.dlbcl.share=0.79")
FRANCE, BELGIUM = value_set("france_5l"), value_set("belgium_y3l")


@cache
def _spec(*overrides: str) -> QualityOfLifeSpec:
    return resolve("cmv-cart", overrides).spec.quality_of_life


@cache
def _draws() -> ChunkDraws:
    return ChunkDraws(11, Role.STUDY, 0, PATIENTS)


@cache
def _population() -> Population:
    return Population(resolve("cmv-cart").spec.population, _draws())


def _adult() -> np.ndarray:
    return _population().age >= 18


def _answers(states: HealthStates | None = None, *overrides: str, death: FloatArray = NEVER, until: FloatArray = NEVER):  # type: ignore[no-untyped-def]
    spec = _spec(*(overrides or NOBODY_MISSING))
    return responses(spec, convert(spec), _population(), states or HealthStates(NEVER), death, until, _draws())


def _in(state: str) -> HealthStates:
    return HealthStates(np.full(SIZE, -100.0)) if state == "relapse" else replace(HealthStates(NEVER), **{state: ALWAYS})


def _index(answers: Questionnaires, visit: int, who: np.ndarray) -> FloatArray:
    return FRANCE.index(answers.levels[visit][:, who], axis=0)


def _mean_is(values: FloatArray, expected: float, k: float = 4.5) -> bool:
    return abs(values.mean() - expected) < k * values.std() / math.sqrt(values.size)


# -- what is stated is what is seen ------------------------------------------------------------------------------
@pytest.mark.parametrize("visit", [0, 1, 2])
@pytest.mark.parametrize("state", ["", *STATES])
def test_round_trip_of_means_and_changes(state: str, visit: int) -> None:
    """Simulated answers have the stated mean index on each day, with and without each change."""
    spec = _spec()
    stated = (0.80, 0.74, 0.87)[visit] + (float(getattr(spec.changes, state)) if state else 0.0)
    index = _index(_answers(_in(state) if state else None), visit, _adult())
    assert _mean_is(index, stated)
    assert 4.5 * index.std() / math.sqrt(index.size) < 0.007, "an error of a hundredth would be seen"


def test_round_trip_of_the_spread_at_baseline() -> None:
    index = _index(_answers(), 0, _adult())
    kurtosis = float(stats.kurtosis(index, fisher=False))
    assert abs(index.std() - 0.20) < 4.5 * 0.20 * math.sqrt((kurtosis - 1) / (4 * index.size))


def test_closed_form_report_has_stated_and_achieved() -> None:
    spec = _spec()
    rows = achieved(spec, convert(spec))
    assert len(rows) == 3 * 3 * (1 + len(STATES))
    assert all(abs(row.achieved - row.stated) < 1e-9 for row in rows)
    first = next(row for row in rows if (row.stratum, row.day, row.state) == ("dlbcl", -6, ""))
    assert first.sd == pytest.approx(0.20, abs=1e-9)


@pytest.mark.parametrize("values", [FRANCE, BELGIUM], ids=["5L", "Y"])
def test_independent_moments_by_simulation(values) -> None:  # type: ignore[no-untyped-def]
    """Mean, SD and correlation between two visits of the quadrature, against plain random numbers."""
    spec = _spec()
    cut = spec.items(Instrument.ADULT if values is FRANCE else Instrument.YOUTH).thresholds
    rng, n = np.random.default_rng(8), 200_000
    mean, spread, rho = 0.6, 0.8, float(spec.correlation)
    patient = rng.standard_normal(n)
    seen = []
    for _ in range(2):
        y = mean + spread * (math.sqrt(rho) * patient + math.sqrt(1 - rho) * rng.standard_normal((5, n)))
        seen.append(values.index((1 + (y[:, None] > cut[:, :, None]).sum(axis=1)).T))
    centre, sd, link = (float(x[0]) for x in index_moments(spec, values, np.array([mean]), spread))
    assert _mean_is(seen[0], centre)
    assert seen[0].std() == pytest.approx(sd, rel=0.01)
    assert np.corrcoef(*seen)[0, 1] == pytest.approx(link, abs=0.012)


def test_meaning_a_general_population_has_the_published_norms() -> None:
    """Latent mean 0 and spread 1: index 0.905, no problem in 25%, level sum 7.6; children about the same index."""
    spec = _spec()
    centre, sd, _ = index_moments(spec, FRANCE, np.array([0.0]), 1.0)
    assert float(centre[0]) == pytest.approx(parameter("utility_norm_fr").centre, abs=0.001)
    assert float(sd[0]) == pytest.approx(0.158, abs=0.012)
    rng, n, rho = np.random.default_rng(4), 200_000, float(spec.correlation)
    y = math.sqrt(rho) * rng.standard_normal(n) + math.sqrt(1 - rho) * rng.standard_normal((5, n))
    levels = 1 + (y[:, None] > spec.adult.thresholds[:, :, None]).sum(axis=1)
    assert levels.sum(axis=0).mean() == pytest.approx(parameter("eq5d_level_sum_fr").centre, abs=0.03)
    assert (levels == 1).all(axis=0).mean() == pytest.approx(parameter("eq5d_no_problem_fr").centre, abs=0.02)
    assert (levels > 1).mean(axis=1) == pytest.approx([0.276, 0.087, 0.258, 0.623, 0.474], abs=0.006)
    assert float(index_moments(spec, BELGIUM, np.array([0.0]), 1.0)[0][0]) == pytest.approx(0.905, abs=0.02)


def test_vas_has_its_norm_its_spread_and_its_link_between_visits() -> None:
    """Where the mean index is the norm's, the mean score is; SD 20 and correlation 0.5 within a patient."""
    spec = _spec("quality_of_life.mean_index.dlbcl=[0.905, 0.905, 0.905]", *NOBODY_MISSING)
    answers = responses(spec, convert(spec), _population(), HealthStates(NEVER), NEVER, NEVER, _draws())
    mine = _population().stratum == 2
    score = answers.vas[:, mine]
    assert np.array_equal(score, np.rint(score))
    assert (score.min(), score.max()) == (0, 100)
    for row in score:
        assert _mean_is(row, 73.4)
    middle = responses(
        low := _spec("quality_of_life.mean_index.dlbcl=[0.7, 0.7, 0.7]", *NOBODY_MISSING),
        convert(low),
        _population(),
        HealthStates(NEVER),
        NEVER,
        NEVER,
        _draws(),
    ).vas[:, mine]  # far from both ends, where the cut does not matter
    assert middle.std() == pytest.approx(20, abs=0.35)
    assert np.corrcoef(middle[0], middle[1])[0, 1] == pytest.approx(0.5, abs=0.02)


def test_the_score_weighs_on_health_as_its_loading_says() -> None:
    vas, z = _answers().vas[1, _adult()], _population().score[_adult()]
    slope = float(np.polyfit(z, vas, 1)[0])
    expected = -20 * math.sqrt(0.5) * 0.2
    assert abs(slope - expected) < 4.5 * 20 / math.sqrt(vas.size)
    assert abs(expected) > 20 * 20 / math.sqrt(vas.size)


# -- combinations ------------------------------------------------------------------------------------------------
def test_the_worse_of_states_that_come_together_counts_and_others_add_up() -> None:
    icu = _index(_answers(_in("icu")), 1, _adult())
    both = _index(_answers(replace(_in("icu"), hospital=ALWAYS, severe_icans=ALWAYS)), 1, _adult())
    assert np.array_equal(icu, both)
    assert np.array_equal(
        _index(_answers(_in("cmv_disease")), 1, _adult()),
        _index(_answers(replace(_in("cmv_disease"), cmv_treatment=ALWAYS)), 1, _adult()),
    )
    sick = _index(_answers(replace(_in("icu"), infection=ALWAYS)), 1, _adult()).mean()
    assert sick < icu.mean() - 0.05


def test_windows_are_closed_below_and_open_above_and_relapse_lasts() -> None:
    """At the start the change is on, at the stop it is off; several windows act like one."""

    def mean_at_28(states: HealthStates) -> float:
        return float(_index(_answers(states), 1, _adult()).mean())

    def window(start: float, stop: float) -> HealthStates:
        two = Windows(
            np.stack([np.full(SIZE, 60.0), np.full(SIZE, start)]), np.stack([np.full(SIZE, 61.0), np.full(SIZE, stop)])
        )
        return replace(HealthStates(NEVER), infection=two)

    well, ill = mean_at_28(HealthStates(NEVER)), mean_at_28(_in("infection"))
    assert ill < well - 0.05
    assert mean_at_28(window(28.0, 29.0)) == ill
    assert mean_at_28(window(20.0, 28.0)) == well
    assert mean_at_28(HealthStates(np.full(SIZE, 28.0))) == mean_at_28(_in("relapse"))
    assert mean_at_28(HealthStates(np.full(SIZE, 28.000001))) == well


def test_disease_windows_last_as_stated() -> None:
    windows = disease_windows(_spec(), np.array([10.0, np.inf, np.nan]))
    assert windows.start.tolist() == [10.0, math.inf, math.inf]
    assert windows.stop.tolist() == [70.0, math.inf, math.inf]


# -- instruments -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("age", "day", "instrument", "proxy"),
    [
        (3, 90, Instrument.NONE, False),
        (3, 364, Instrument.NONE, False),
        (3, 366, Instrument.YOUTH, True),
        (4, 0, Instrument.YOUTH, True),
        (4, -6, Instrument.YOUTH, True),
        (7, 90, Instrument.YOUTH, True),
        (8, 0, Instrument.YOUTH, False),
        (15, 90, Instrument.YOUTH, False),
        (15, 366, Instrument.ADULT, False),
        (16, -6, Instrument.ADULT, False),
        (85, 90, Instrument.ADULT, False),
    ],
)
def test_instrument_by_age_at_the_visit(age: int, day: int, instrument: Instrument, proxy: bool) -> None:
    due, by_proxy = instrument_at(np.array([float(age)]), day)
    assert (due[0], bool(by_proxy[0])) == (instrument, proxy)


def test_answers_fit_the_instrument() -> None:
    answers, age = _answers(), _population().age
    for v in range(3):
        levels = answers.levels[v]
        assert not answers.answered[v, age < 4].any()
        assert np.isnan(answers.vas[v, age < 4]).all()
        young, old = (age >= 4) & (age < 16), age >= 16
        assert (levels[:, young].min(), levels[:, young].max()) == (1, 3)
        assert (levels[:, old].min(), levels[:, old].max()) == (1, 5)
        assert np.array_equal(answers.proxy[v], (age >= 4) & (age < 8))
        youth = BELGIUM.index(levels[:, young], axis=0)
        latent = convert(_spec())
        assert _mean_is(youth, float(index_moments(_spec(), BELGIUM, latent.mean[0, v], latent.spread)[0]))
    assert {answers.levels.dtype, answers.instrument.dtype} == {np.dtype(np.int8)}


# -- missing answers ---------------------------------------------------------------------------------------------
def test_missing_answers_have_their_marginal_shares() -> None:
    """A quarter relapsed: at day 90 a quarter is missing of all, and twice the odds in the relapsed."""
    relapsed = np.random.default_rng(2).random(SIZE) < 0.25
    answers = _answers(HealthStates(np.where(relapsed, -50.0, np.inf)), "quality_of_life.score_loading=0.2")
    due = answers.instrument != Instrument.NONE
    gone = due & ~answers.answered
    assert _mean_is(gone[2][due[2]].astype(float), 0.25)
    well = gone[2][due[2] & ~relapsed].mean()
    ill = gone[2][due[2] & relapsed].mean()
    assert ill / (1 - ill) / (well / (1 - well)) == pytest.approx(2, rel=0.08)
    assert _mean_is(gone[0][due[0] & ~relapsed].astype(float), 0.10)
    assert np.array_equal(np.isnan(answers.vas), ~answers.answered)
    assert ((answers.levels > 0).all(axis=1) == answers.answered).all(), "a questionnaire is filled in wholly or not"


def test_missing_probability_between_days_and_with_both_odds_ratios() -> None:
    spec, latent = _spec(), convert(_spec())
    p = missing_probability(spec, latent, HealthStates(NEVER), 59.0)
    assert p == pytest.approx((0.20 + 0.215) / 2)
    p = missing_probability(spec, latent, replace(_in("relapse"), hospital=ALWAYS), 28.0)
    assert p == pytest.approx(0.2 * 4 / (0.8 + 0.2 * 4))


def test_no_answer_after_death_or_the_end_of_follow_up() -> None:
    days = np.random.default_rng(5).choice([-7.0, -6.0, 10.0, 28.0, 28.5, 90.0, np.inf], size=(2, SIZE))
    death, until = days
    answers = _answers(death=death, until=until)
    age = _population().age
    for v, day in enumerate(answers.days):
        asked = (day < death) & (day <= until) & (age >= 4)
        assert np.array_equal(answers.instrument[v] != Instrument.NONE, asked)
        assert np.array_equal(answers.answered[v], asked)
        assert not answers.proxy[v, ~asked].any()


# -- draws -------------------------------------------------------------------------------------------------------
def test_same_draws_whatever_else_happens() -> None:
    """Death, missing answers, states, instruments and other visits move no answer that they do not concern."""
    plain = _answers()
    death = np.where(np.arange(SIZE) % 2 == 0, 50.0, np.inf)
    some = _answers(death=death)
    odd = np.arange(SIZE) % 2 == 1
    assert np.array_equal(plain.levels[:, :, odd], some.levels[:, :, odd])
    assert np.array_equal(plain.levels[:2], some.levels[:2])
    usual = _answers(None, "quality_of_life.score_loading=0.2")
    assert 0.1 < 1 - usual.answered.sum() / plain.answered.sum() < 0.25
    assert np.array_equal(np.where(usual.answered[:, None], plain.levels, 0), usual.levels)
    sick = _answers(replace(HealthStates(NEVER), infection=Windows(np.where(odd, 20.0, np.inf), np.where(odd, 30.0, np.inf))))
    assert np.array_equal(plain.levels[1][:, ~odd], sick.levels[1][:, ~odd])
    assert (sick.levels[1][:, odd] >= plain.levels[1][:, odd]).all(), "the same draws, in worse health"
    assert (sick.vas[1, odd & _adult()] <= plain.vas[1, odd & _adult()]).all()
    one = _answers(None, *NOBODY_MISSING, "quality_of_life.visits=[28]")
    assert np.array_equal(one.levels[0], plain.levels[1])
    used = {name for name, _ in _draws().drawn if name.startswith("quality_of_life")}
    assert len(used) == 8
    assert ("quality_of_life.vas", day_index(-6)) in _draws().drawn


# -- expected index ----------------------------------------------------------------------------------------------
def test_closed_form_expected_index_of_a_patient_averages_to_the_path() -> None:
    spec, latent = _spec(), convert(_spec())
    states = HealthStates(NEVER)
    index = expected_index_at(spec, latent, _population(), states, 28.0, _draws(), FRANCE)
    assert _mean_is(index, 0.74)
    seen = _index(_answers(), 1, _adult())
    assert abs((seen - index[_adult()]).mean()) < 4.5 * (seen - index[_adult()]).std() / math.sqrt(seen.size)
    assert np.corrcoef(seen, index[_adult()])[0, 1] > 0.7
    own = latent.spread * math.sqrt(0.5)
    health = latent.mean[0, 1] + own * (0.2 * _population().score + math.sqrt(0.96) * _draws()("quality_of_life.patient"))
    by_levels = FRANCE.expected(level_probabilities(spec.adult.thresholds, health[:500], own))
    assert index[:500] == pytest.approx(by_levels, abs=1e-12)
    both = expected_index_at(spec, latent, _population(), states, 28.0, _draws(), FRANCE, BELGIUM)
    young = _population().age < 16
    assert np.array_equal(both[~young], index[~young])
    assert _mean_is(both[young], float(index_moments(spec, BELGIUM, latent.mean[0, 1], latent.spread)[0]))


def test_the_path_is_linear_between_its_days_and_constant_outside() -> None:
    latent = LatentHealth(np.array([0.0, 10.0, 30.0]), np.array([[1.0, 2.0, 6.0]]), np.zeros((9, 1, 3)), 1.0, 0.0, 0.0)
    for day, expected in [(-5.0, 1.0), (0.0, 1.0), (5.0, 1.5), (10.0, 2.0), (25.0, 5.0), (30.0, 6.0), (99.0, 6.0)]:
        assert latent.at(latent.mean, day)[0] == pytest.approx(expected, abs=1e-12)


# -- refusals ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("quality_of_life.mean_index.dlbcl=[0.8, 0.7, 1.0]", r"mean_index \(dlbcl, day 90\).*out of reach"),
        ("quality_of_life.changes.cmv_treatment=0.5", r"changes.cmv_treatment \(ball_child, day -6\).*out of reach"),
        ("quality_of_life.spread.sd=0.9", r"spread: a standard deviation of 0.9.*out of reach"),
        ("quality_of_life.vas.index=1", "vas.index"),
    ],
)
def test_what_is_out_of_reach_is_told(override: str, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        convert(_spec(override))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("quality_of_life.value_set='france'", "did you mean 'france_5l'"),
        ("quality_of_life.visits=[-6, 28, 200]", "day 200 is after the horizon"),
        ("quality_of_life.visits=[28, 28]", "ascending"),
        ("quality_of_life.days=[0, 28]", "has 3 entries; `days` has 2"),
        ("quality_of_life.missing.share=[0.1]", "has 1 entries; `days` has 3"),
        ("quality_of_life.mean_index.dlbl=[0.8, 0.8, 0.8]", "did you mean 'dlbcl'"),
        ("quality_of_life.adult.worse=[0.4, 0.1]", "5 levels need 3"),
        ("quality_of_life.adult.worse=[0.4, 0.5, 0.1]", "fall from level to level"),
        ("quality_of_life.adult.problems.pain=1", "between 0 and 1"),
        ("quality_of_life.correlation=1", "below 1"),
        ("quality_of_life.spread.sd=0", "above 0"),
        ("quality_of_life.vas.mean=100", "between 0 and 100"),
        ("quality_of_life.changes.icu=-2", "from -1 to 1"),
    ],
)
def test_mistakes_are_told(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve("cmv-cart", [override])


def test_null_scenarios_take_the_effects_of_cmv_away() -> None:
    for name in ("null", "null-confounded"):
        changes = resolve(name).spec.quality_of_life.changes
        assert [float(x) for x in (changes.cmv_treatment, changes.cmv_disease, changes.antiviral_toxicity)] == [0, 0, 0]
        assert float(changes.hospital) < 0
    assert float(resolve("null").spec.quality_of_life.score_loading) == 0
    assert float(resolve("null-confounded").spec.quality_of_life.score_loading) > 0
