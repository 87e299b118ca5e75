"""Targets and checks as people write them: what is read, and the one message for each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmvsim.core.errors import InputError
from cmvsim.scenarios import resolve
from cmvsim.scenarios.explain import explain
from cmvsim.scenarios.inputs import inputs

CHECK = """
[[cmv.checks]]
measure = "share_reaching"
definition = { at_least = 1000 }
day = 90
value = "@p_1000_whole_blood"
"""
TARGETS = """
[[cmv.targets]]
measure = "share_reaching"
definition = "detected"
day = 90
value = "@p_any_lin"
measured_by = "study"
[[cmv.targets]]
measure = "median_detection"
definition = "detected"
day = 90
value = "@cmv_detection_median"
measured_by = "study"
"""


def written(tmp_path: Path, text: str):
    path = tmp_path / "mine.toml"
    path.write_text('id = "mine"\nextends = "cmv-cart"\n' + text)
    return resolve(str(path))


def test_a_check_takes_its_interval_from_what_is_not_known_of_the_entry(tmp_path: Path) -> None:
    (check,) = written(tmp_path, CHECK).spec.cmv.checks
    assert check.published == pytest.approx((0.144, 0.309), abs=0.001)  # Beta(21, 74)
    assert check.label == "share reaching, at least 1000 IU/mL"


def test_an_interval_of_the_file_is_kept(tmp_path: Path) -> None:
    (check,) = written(tmp_path, CHECK + "published = [0.1, 0.5]\n").spec.cmv.checks
    assert check.published == (0.1, 0.5)


def test_checks_are_no_inputs_but_part_of_the_digest(tmp_path: Path) -> None:
    with_check, without = written(tmp_path, CHECK), resolve("cmv-cart")
    assert [item.path for item in inputs(with_check.spec)] == [item.path for item in inputs(without.spec)]
    assert with_check.digest != without.digest


def test_a_target_measured_by_the_study_is_read_back(tmp_path: Path) -> None:
    scenario = written(tmp_path, TARGETS)
    assert scenario.spec.cmv.incidence.measured_by is None
    assert scenario.spec.cmv.incidence.measure == "share_reaching"
    text = " ".join(explain(scenario).split())
    assert "so that 33% (95% interval 24 to 42) have detectable CMV DNA by day 90 under the monitoring of this study" in text


def test_a_target_at_a_level_is_read_back(tmp_path: Path) -> None:
    text = TARGETS.replace('"detected"', "{ at_least = 1000 }")
    scenario = written(tmp_path, text)
    assert scenario.spec.cmv.timing.definition.level == 1000
    assert "have at least 1000 IU/mL of CMV DNA by day 90" in " ".join(explain(scenario).split())


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ('measure = "share_reaching"', 'measure = "share_reachin"', "cmv.checks[0].measure", "is not allowed"),
        ("{ at_least = 1000 }", '"detectable"', "cmv.checks[0].definition", "there is no definition 'detectable'"),
        (
            "{ at_least = 1000 }",
            "{ at_least = 20 }",
            "cmv.checks[0]",
            "below the limit of quantification of its assay (35 IU/mL)",
        ),
        ("day = 90", "day = 120", "cmv.checks[0]", "the check is measured to day 120, after the horizon (104)"),
        ("day = 90", "day = 80.5", "cmv.checks[0]", "a study counts whole days"),
        ('"@p_1000_whole_blood"', "0.2", "cmv.checks[0].published", "the key 'published' is missing"),
        ('"@p_1000_whole_blood"', "0.2\npublished = [0.3, 0.4]", "cmv.checks[0]", "lies outside its published interval"),
        ('"@p_1000_whole_blood"', "0.2\npublished = [0.4, 0.1]", "cmv.checks[0]", "is no interval"),
        ('"@p_1000_whole_blood"', "0.2\npublished = [0.2, 0.2]", "cmv.checks[0]", "without a width"),
        ('"@p_1000_whole_blood"', "0.2\npublished = [0.1, 1.2]", "cmv.checks[0]", "lie below 1"),
        ('"share_reaching"', '"odds_ratio_steroids"\npublished = [0, 2]', "cmv.checks[0]", "begins above 0"),
        ('"share_reaching"', '"peak_quantile"\nquantile = 1', "cmv.checks[0]", "quantile = 1 lies between 0 and 1"),
        ("day = 90", "day = 90\nmeasured_by = 3", "cmv.checks[0].measured_by", "unknown key 'measured_by'"),
    ],
)
def test_mistakes_of_a_check(tmp_path: Path, old: str, new: str, at: str, says: str) -> None:
    assert old in CHECK
    with pytest.raises(InputError) as caught:
        written(tmp_path, CHECK.replace(old, new))
    (problem,) = caught.value.problems
    assert problem.at == at
    assert says in problem.message


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('measured_by = "study"', 'measured_by = "studie"', "is not a table"),
        ('definition = "detected"', 'definition = "clinically_significant"', "treatment is no sign of onset"),
        ("day = 90", "day = 120", "the target is measured to day 120"),
        ('measure = "median_detection"', 'measure = "cumulative_incidence"', "lies between 0 and 1"),
    ],
)
def test_mistakes_of_a_target(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in TARGETS
    with pytest.raises(InputError) as caught:
        written(tmp_path, TARGETS.replace(old, new))
    assert any(says in problem.message for problem in caught.value.problems)


def test_timing_is_of_the_same_definition_and_measurement(tmp_path: Path) -> None:
    head, tail = TARGETS.split('[[cmv.targets]]\nmeasure = "median_detection"')
    second = '[[cmv.targets]]\nmeasure = "median_detection"' + tail
    for text, says in (
        (head + second.replace('"detected"', '"quantifiable"'), "the timing is that of"),
        (head.replace("share_reaching", "median_detection"), "identify the baseline hazard"),
    ):
        with pytest.raises(InputError, match=says):
            written(tmp_path, text)


def test_a_crude_share_is_measured_by_the_study() -> None:
    with pytest.raises(InputError, match='a crude share depends on who leaves the study: it is measured_by = "study"'):
        resolve("cmv-cart", ['cmv.targets.0.measure="share_reaching"', 'cmv.targets.1.measured_by="same"'])
