"""The verb by its examples, and one mistake at a time: each must be named, with what is allowed."""

from __future__ import annotations

import json
import math

import pytest

from cmvsim.core.errors import InputError
from cmvsim.designs import closed_forms as cf
from cmvsim.verbs.formula import FormulaResult, describe, formula, formulas, listing, read_pairs

NAMES = {
    "one-sample-binomial",
    "simon",
    "group-sequential",
    "group-sequential-binomial",
    "precision",
    "binomial-interval",
    "binomial-coverage",
    "incidence-interval",
    "poisson-interval",
    "one-sample-t",
    "replicates",
    "visit-detection",
    "risk-difference",
    "two-proportions",
    "two-proportions-exact",
    "schoenfeld",
    "freedman",
    "lachin-foulkes",
    "competing-risks",
    "competing-risks-incidence",
    "negative-binomial",
    "assurance",
    "accrual-poisson",
    "accrual-poisson-gamma",
}


def _typed(text: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in text.split())


def _value(result: FormulaResult, measure: str, at: str = "") -> float:
    (found,) = [row.value for row in result.rows if row.measure == measure and row.at == at]
    return float(found)


def test_names_are_the_published_ones() -> None:
    assert {item.name for item in formulas()} == NAMES
    assert len(formulas()) == len(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_example_gives_an_answer_that_is_json(name: str) -> None:
    (chosen,) = [item for item in formulas() if item.name == name]
    result = formula(name, _typed(chosen.example))
    assert json.loads(json.dumps(result.as_dict(), allow_nan=False))["name"] == name
    assert set(result.inputs) == {parameter.name for parameter in chosen.parameters}
    assert result.rows
    assert result.sentence.endswith(".")
    places = [(row.measure, row.at) for row in result.rows]
    assert len(set(places)) == len(places)
    text = describe(name)
    assert chosen.source in text
    assert all(f"  {parameter.name}" in text and parameter.help in text for parameter in chosen.parameters)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_required_parameter_is_asked_for_and_each_range_is_kept(name: str) -> None:
    (chosen,) = [item for item in formulas() if item.name == name]
    example = _typed(chosen.example)
    for parameter in chosen.parameters:
        if parameter.required:
            with pytest.raises(InputError, match=f"{parameter.name}: missing"):
                formula(name, {key: text for key, text in example.items() if key != parameter.name})
        with pytest.raises(InputError, match=parameter.name):
            formula(name, {**example, parameter.name: "many"})
        if parameter.low > -1e300:
            with pytest.raises(InputError, match=f"{parameter.name}: .*out of range"):
                formula(name, {**example, parameter.name: str(parameter.low - 1)})


@pytest.mark.parametrize(
    ("name", "typed", "message"),
    [
        ("simmon", "p0=0.1 p1=0.3", "unknown formula 'simmon' (did you mean 'simon'?)"),
        ("simon", "p0=0.1 pwer=0.9 p1=0.3", "formula simon: pwer: unknown parameter (did you mean 'power'?)"),
        ("simon", "p0=0.3 p1=0.1", "formula simon: p1 = 0.1 must be greater than p0 = 0.3"),
        ("simon", "p0=1.1 p1=0.1", "formula simon: p0: 1.1 is out of range (a number, 0 < p0 < 1)"),
        ("simon", "p0=nan p1=0.1", "formula simon: p0: nan is not a finite number"),
        ("one-sample-binomial", "p0=0.1 p1=0.3 n=20.5", "n: 20.5 is not a whole number (a whole number, 1 <= n"),
        ("one-sample-binomial", "p0=0.1 p1=0.3 n=20 power=0.9", "power: give power or n, not both"),
        ("one-sample-binomial", "p0=0.3 p1=0.3", "must differ from p0"),
        (
            "precision",
            "p=0.3 half_width=0.1 method=wald",
            "unknown value 'wald' (one of wilson, clopper-pearson, agresti-coull)",
        ),
        ("binomial-interval", "x=5 n=4", "every x must be between 0 and its n"),
        ("visit-detection", "hazard=0.1 visits=7,,14", "visits: '' is not a number (numbers separated by commas"),
        ("visit-detection", "hazard=ln2/0 visits=7", "hazard: 'ln2/0' is not a number"),
        ("schoenfeld", "hr=0.6 hazard=0.1", "patients need hazard, accrual and followup together"),
        ("schoenfeld", "hr=0.6 lost=0.1", "patients need hazard, accrual and followup together"),
        ("schoenfeld", "hr=0.6 events=90 hazard=0.1", "not both"),
        ("schoenfeld", "hr=0.6 events=90 power=0.9", "power: give power or events, not both"),
        ("schoenfeld", "hr=1", "the hazard ratio must differ from 1"),
        ("two-proportions", "control=0.1 experimental=0.3 margin=0.1", "worse than the control arm by the margin or more"),
        ("two-proportions", "control=0.1 experimental=0.1", "must differ from the difference under the null hypothesis, 0"),
    ],
)
def test_one_mistake_is_named(name: str, typed: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        formula(name, _typed(typed))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["p0"], "'p0' is not KEY=VALUE"),
        (["=3"], "'=3' is not KEY=VALUE"),
        (["p0="], "'p0=' is not KEY=VALUE"),
        (["p0=0.1", "p0=0.2"], "p0: given twice"),
    ],
)
def test_words_that_are_no_pairs(words: list[str], message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_pairs(words)
    assert message in str(caught.value)


def test_texts_for_the_terminal() -> None:
    assert [line.split()[0] for line in listing().splitlines()] == [item.name for item in formulas()]
    lines = formula("simon", read_pairs(["p0=0.1", "p1 = 0.3"])).text().splitlines()
    assert lines[0].startswith("Simon's designs, optimal: stop with at most 1 of 10, claim with more than 5 of 29")
    assert ["optimal", "expected_n", "15.01412"] in [line.split() for line in lines]
    assert lines[-1].startswith("Source: Simon, Controlled Clinical Trials")


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        formula("simon", {"p0": "2", "alfa": 0.05, "power": "high"})
    assert len(caught.value.problems) == 4  # alfa, p0, the missing p1, power
    assert "did you mean 'alpha'?" in str(caught.value)


def test_numbers_may_be_typed_or_given() -> None:
    typed = formula("precision", {"p": "30%", "half_width": "10%"})
    assert typed == formula("precision", {"p": 0.3, "half_width": 0.1})
    assert _value(typed, "n", "assured") == 83
    visits = formula("visit-detection", {"hazard": "ln2/30", "visits": "7,14"})
    assert visits == formula("visit-detection", {"hazard": math.log(2) / 30, "visits": [7, 14]})


def test_verb_gives_the_numbers_of_the_library() -> None:
    pieces = formula("schoenfeld", _typed("hr=0.7 hazard=0.025,0.04,0.015 times=0,6,12 accrual=12 followup=18"))
    assert _value(pieces, "n_unrounded", "total") == pytest.approx(647.500533, abs=1e-4)
    assert _value(pieces, "n", "total") == 648
    margin = formula("two-proportions", _typed("control=0.2 experimental=0.2 margin=0.1"))
    assert _value(margin, "n_unrounded", "total") == pytest.approx(508.435409, abs=1e-4)
    wanted = formula("two-proportions", _typed("control=0.8 experimental=0.8 margin=0.1 event=benefit"))
    assert _value(wanted, "n", "total") == _value(margin, "n", "total") == 510  # 255 per arm
    power = formula("lachin-foulkes", _typed("control=0.2 experimental=0.1 lost=0.1 accrual=0.5 followup=1.5 n=430"))
    assert _value(power, "power") == pytest.approx(0.9003, abs=1e-4)
    test = formula("one-sample-binomial", _typed("p0=0.05 p1=0.2 n=25"))
    assert _value(test, "power", "n=25") == cf.binomial_test(25, 0.05, 0.2).power


def test_verb_hands_every_input_on() -> None:
    prior = formula("assurance", _typed("events=100 hr=0.6 sd=0.2"))
    assert _value(prior, "assurance") == pytest.approx(0.662807, abs=1e-6)
    means = formula("one-sample-t", _typed("mean0=70 mean1=75 sd=15 n=50"))
    assert _value(means, "power") == pytest.approx(0.6371, abs=5e-5)
    arms = formula("two-proportions", _typed("control=0.3 experimental=0.1 ratio=2 n=150"))
    assert _value(arms, "power") == cf.two_proportions_power(50, 0.3, 0.1, ratio=2)


def test_allocation_is_reported_by_arm() -> None:
    result = formula("schoenfeld", _typed("hr=0.6 ratio=2 power=0.9 hazard=ln2/6 accrual=24 followup=12"))
    assert _value(result, "n_unrounded", "total") == pytest.approx(218.201286, abs=1e-5)
    assert _value(result, "n_unrounded", "experimental") == pytest.approx(2 * _value(result, "n_unrounded", "control"))
    assert _value(result, "n", "total") == 73 + 146
