"""Report of an evaluation: intervals that do not claim more than the draws hold, figures with nothing to draw, names, terms."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from matplotlib.figure import Figure

from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.economics import decision_curves
from cmvsim.economics.probabilistic import PsaDraws, drawn_inputs
from cmvsim.economics.psa_tables import psa_tree
from cmvsim.report.economics_figures import COLOURS, Units, acceptability, partial_information, perfect_information
from cmvsim.report.economics_names import amount_of, enough, euros, inline, input_name, strategy_name
from cmvsim.report.economics_psa_text import increments
from cmvsim.report.economics_run_figures import PAID, PARTS
from cmvsim.report.economics_terms_text import TERMS, terms_section
from cmvsim.report.economics_tornado_figure import HIGH, LOW
from cmvsim.scenarios import resolve
from cmvsim.scenarios.parameters import UncertainInput

THRESHOLDS = (0.0, 100_000.0)
PATIENTS, DAYS, TODAY = 1_000, 10.0, 300.0


@cache
def inputs() -> tuple[UncertainInput, ...]:
    return drawn_inputs(resolve("letermovir-breakeven"))


def draws(
    parameters: FloatArray, averted: FloatArray, gain: FloatArray, within: FloatArray, met: BoolArray | None = None
) -> PsaDraws:
    """Two strategies: the second has ten days of the drug a patient, averts other costs and gains QALYs."""
    count = parameters.shape[0]
    nothing = np.zeros(count)
    both = np.zeros((count, 2, 2, 2))
    both[:, 1] = within
    return PsaDraws(
        ("none", "drug"),
        inputs()[: parameters.shape[1]],
        PATIENTS,
        np.arange(count),
        parameters,
        np.column_stack([nothing, TODAY * DAYS - averted]),
        np.column_stack([nothing, gain]),
        np.column_stack([nothing, np.full(count, DAYS)]),
        np.column_stack([np.full(count, 0.1), np.full(count, 0.05)]),
        both,
        np.ones(count, dtype=bool) if met is None else met,
        (),
    )


def tree(psa: PsaDraws) -> dict[str, object]:
    rows = [{"cost": {"value": 0.0}, "qaly": {"value": 0.0}} for _ in psa.strategies]
    return psa_tree(psa, THRESHOLDS, 1, np.full(2, TODAY), rows)


def test_an_interval_of_draws_that_are_noise_alone_is_not_of_width_0() -> None:
    """The noise subtracted is larger than the spread seen: the interval then holds the noise, and the text says so."""
    rng = np.random.default_rng(1)
    spread, noise = np.array([100.0, 1e-5]), np.diag([200.0**2, (2e-5) ** 2])
    found = rng.normal(0, 1, (60, 2)) * spread
    psa = draws(rng.normal(size=(60, 3)), 600 + found[:, 0], 2e-4 + found[:, 1], noise)
    told = tree(psa)
    row = told["increments"][0]  # type: ignore[index]
    assert row["resolved"] is False
    assert row["cost"]["sd"] == 0
    assert not row["icer_refused"]
    assert row["icer_low"] < 0.95 * row["icer"] < 1.05 * row["icer"] < row["icer_high"]
    low, high = row["break_even_price_95"][1]
    assert low < row["break_even_price"][1] < high
    shown = increments(told, 1, {"none": "None", "drug": "Drug"})[1]  # type: ignore[arg-type]
    assert "not resolved" in shown[1]
    assert "not resolved" in shown[3]


@pytest.mark.parametrize(("count", "smoothed"), [(60, False), (400, True)])
def test_statistical_range_of_the_price_covers_the_inputs_spread_with_few_draws(count: int, smoothed: bool) -> None:
    """Forty inputs of equal weight: a regression that can keep a few of them would show a fraction of the spread."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(count, 40))
    sd = 30.0
    averted = DAYS * (60 + sd * values.sum(axis=1) / 40**0.5)
    row = tree(draws(values, averted, np.full(count, 1e-6), np.zeros((2, 2))))["increments"][0]  # type: ignore[index]
    assert row["smoothed_range"] is smoothed
    low, high = row["break_even_price_95"][0]
    width = 2 * 1.96 * sd
    error = width / (2 * count) ** 0.5 * 1.6  # about the standard error of a range between two quantiles
    assert high - low == pytest.approx(width, abs=4 * error)
    assert high - low > 0.5 * width


def test_the_answer_among_the_draws_that_are_met_is_that_of_these_draws_alone() -> None:
    rng = np.random.default_rng(3)
    values, met = rng.normal(size=(80, 4)), np.arange(80) % 3 > 0
    averted, gain = 600 + 50 * values[:, 0] + 100 * met, 2e-4 + 1e-5 * values[:, 1]
    whole = tree(draws(values, averted, gain, np.zeros((2, 2)), met))
    alone = tree(draws(values[met], averted[met], gain[met], np.zeros((2, 2))))
    row, expected = whole["reached"]["increments"][0], alone["increments"][0]  # type: ignore[index]
    assert whole["reached"]["draws"] == met.sum()  # type: ignore[index]
    assert whole["unreached"] == 80 - met.sum()
    assert row["break_even_price"] == expected["break_even_price"]
    assert row["break_even_price_95"] == expected["break_even_price_95"]
    assert row["break_even_price"][1] > whole["increments"][0]["break_even_price"][1]  # type: ignore[index]
    assert alone["reached"]["increments"] == []  # type: ignore[index]


def words_in(figure: Figure) -> str:
    return " ".join(text.get_text() for axes in figure.axes for text in axes.texts)


def test_figures_say_what_they_cannot_draw() -> None:
    cost, effect = np.tile([0.0, 1000.0], (30, 1)), np.zeros((30, 2))
    curves = decision_curves(cost, effect, (0.0, 50_000.0))
    assert "best in every draw" in words_in(acceptability(["none", "drug"], curves, Units()))
    figure = perfect_information(curves, None, Units())
    assert "0 at every threshold" in words_in(figure)
    assert figure.axes[0].get_ylim() == (0, 1)
    nothing = {name: np.zeros(2) for name in ("a", "b")}
    assert "0 for each of 2 inputs" in words_in(partial_information(nothing, nothing, (1.0, 2.0), Units()))
    some = {"a": np.array([0.0, 3.0])}
    assert words_in(partial_information(some, {"a": np.ones(2)}, (1.0, 2.0), Units())) == ""


def test_colours_of_strategies_are_of_nothing_else() -> None:
    assert len(set(COLOURS)) == len(COLOURS)
    assert not {LOW, HIGH, PAID, *PARTS} & set(COLOURS)


def test_names_and_numbers_are_for_people() -> None:
    assert strategy_name("Letermovir for all, 90 days") == "For all, 90 days"
    assert strategy_name("Letermovir") == "Letermovir"
    assert inline("For all") == "for all"
    assert inline("TTV-guided") == "TTV-guided"
    assert euros(-0.3) == "0"
    assert amount_of(0.4896, "steroid_use_axi") == "49%"
    assert amount_of(28.71, "cmv_detection_median") == "29 days"
    assert amount_of(0.5512, "hr_letermovir_cscmvi") == "0.55"
    for item in inputs():
        assert "_" not in input_name(item.id), item.id


def test_terms_are_those_that_the_text_uses() -> None:
    assert terms_section("nothing of it") == []
    told = "\n".join(terms_section("| sensitivity | EVPI is 0 at any threshold"))
    assert all(f"**{term}**" in told for term in ("sensitivity", "EVPI", "threshold"))
    assert "**ENBS**" not in told
    assert all(meaning.strip() == meaning and not meaning.endswith(".") for _, meaning in TERMS.values())


@pytest.mark.parametrize("patients", [221, 222, 1557])
def test_a_price_of_their_own_is_shown_before_and_after_results_are_written(patients: int) -> None:
    """Five infections averted are five also with the twelve digits of results.json."""
    for share in (5 / patients, float(f"{5 / patients:.12g}")):
        assert enough({"infections_averted": {"value": share}}, patients)
    assert not enough({"infections_averted": {"value": 4 / patients}}, patients)
