"""`cmvsim accrual` as its user runs it: the answer, the same when asked again and replayed, and one mistake at a time."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from cli_runner import cmvsim_here, files, results

from cmvsim.report.accrual_text import protocol_paragraph
from cmvsim.scenarios import resolve
from cmvsim.scenarios.cite import cite
from cmvsim.scenarios.relevance import bears_on_patients, bears_on_recruitment
from cmvsim.scenarios.scenario import BASIS

BRIEF = ("--replicates", 100, "--programmes", 0, "--quiet")
SMALL = ("--replicates", 400, "--programmes", 0, "--quiet")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that looked for the number of sites."""
    folder = tmp_path_factory.mktemp("accrual")
    done = cmvsim_here(
        "accrual", "cmv-cart", "-n", "60,120", "--by", "2025-04-17", "--probability", 0.8, *SMALL, "-o", "run", cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("120 patients are enrolled in ")
    assert "sites are needed to enrol all by day 365 with probability 80%" in done.stdout
    return folder / "run"


def at(tree: dict, measure: str, n: int = 120, level: float = 0.0, estimator: str = "simulation", group: str = "") -> dict:
    keys = ("measure", "n", "at", "estimator", "stratum")
    (found,) = [row for row in tree["rows"] if tuple(row[k] for k in keys) == (measure, n, level, estimator, group)]
    return found


def test_the_folder_is_whole(asked: Path) -> None:
    assert files(asked) == {
        *("scenario.resolved.json", "results.json", "rows.csv", "curve.csv", "enrolment.csv", "summary.md", "run.json"),
        *("figures", "figures/enrolment.png", "figures/duration.png"),
    }
    tree = results(asked)
    assert tree["verb"] == "accrual"
    assert tree["request"]["question"]["by"] == 365.0
    low, median, high = (at(tree, "duration_quantile", level=x)["value"] for x in (0.025, 0.5, 0.975))
    assert at(tree, "duration_quantile", level=0.5, estimator="poisson")["value"] < low < median < high
    assert at(tree, "duration_quantile", n=60, level=0.5)["value"] < median
    shares = [at(tree, "share_enrolled", group=group)["value"] for group in ("adult", "paediatric")]
    assert sum(shares) == pytest.approx(1)
    (answer,) = tree["answers"]
    assert answer["sites"] == sum(answer["by_group"].values())
    assert tree["curve"][0] | {"date": ""} == dict.fromkeys(tree["curve"][0], 0) | {"date": ""}
    assert "2025-04-17" in {point["date"] for point in tree["curve"]}


def test_the_table_of_patients_is_one_study(asked: Path) -> None:
    with (asked / "enrolment.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 120
    days = [float(row["enrolment_day"]) for row in rows]
    assert days == sorted(days)
    assert all(float(row["infusion_day"]) == pytest.approx(float(row["enrolment_day"]) + 5) for row in rows)
    assert all(float(row["site_opens"]) <= float(row["enrolment_day"]) for row in rows)
    assert {(row["group"], row["stratum"]) for row in rows} <= {
        ("adult", "dlbcl"),
        ("adult", "ball_adult"),
        ("paediatric", "ball_child"),
    }


def test_asked_again_it_is_found_and_replayed_it_is_identical(asked: Path) -> None:
    before = (asked / "results.json").read_bytes()
    again = cmvsim_here(
        "accrual", "cmv-cart", "-n", "60,120", "--by", "365", "--probability", 0.8, *SMALL, "--json", "-o", "run",
        cwd=asked.parent,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == json.loads(before)
    replayed = cmvsim_here("replay", "run", "--check", "--quiet", cwd=asked.parent)
    assert (replayed.returncode, replayed.stdout.strip()) == (0, "run: identical")


def test_the_paragraphs_hold_the_numbers_of_the_results(asked: Path) -> None:
    tree = results(asked)
    english, french = (protocol_paragraph(tree, language) for language in ("en", "fr"))
    months = f"{at(tree, 'duration_quantile', level=0.5)['value'] / 30.4375:.1f}"
    assert f"is expected to take {months} months" in english
    assert f"devrait durer {months.replace('.', ',')} mois" in french
    assert "20 adult sites (0.8 patients per month each) and 6 paediatric sites (0.3" in english
    assert "20 centres adultes (0,8 patients par mois chacun) et 6 centres pédiatriques" in french
    assert "from 17 April 2024 to" in english
    assert "du 17 avril 2024 au" in french
    assert f"{tree['answers'][0]['sites']} centres sont nécessaires" in french
    assert "before 17 April 2025" in english
    assert "nan" not in (english + french).replace("nanc", "")


def test_what_patients_share_is_told_and_replayed(tmp_path: Path) -> None:
    done = cmvsim_here("accrual", "cmv-cart", "-n", 25, "--replicates", 100, "--programmes", 1, "-o", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "A result takes 1.5 days (median" in done.stdout
    assert "haematology ward" in done.stdout
    assert {"months.csv", "figures/turnaround.png", "figures/occupancy.png"} <= files(tmp_path / "run")
    tree = results(tmp_path / "run")
    told = tree["turnaround_and_occupancy"]
    assert (told["studies"], told["first_weekday"]) == (1, 2)  # 17 April 2024 was a Wednesday
    assert told["limited"] == ["infusions", "laboratory", "ward", "icu"]
    assert "capacity.laboratory.batch" in {item["input"] for item in tree["assumptions"]}
    assert "## Turnaround and occupancy" in (tmp_path / "run" / "summary.md").read_text(encoding="utf-8")
    replayed = cmvsim_here("replay", "run", "--check", "--quiet", cwd=tmp_path)
    assert (replayed.returncode, replayed.stdout.strip()) == (0, "run: identical")


def test_recruitment_that_closes_early_is_told(tmp_path: Path) -> None:
    done = cmvsim_here("accrual", "cmv-cart", "--set", "accrual.closes=2024-12-01", *BRIEF, "-o", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Fewer than half of the simulated studies enrol 250 patients." in done.stdout
    tree = results(tmp_path / "run")
    assert at(tree, "duration_quantile", n=250, level=0.5)["value"] is None
    assert at(tree, "mean_duration", n=250) | {"value": None} == at(tree, "mean_duration", n=250)
    assert at(tree, "p_enrolled_by", n=250, level=228.0)["value"] == 0
    assert at(tree, "expected_enrolled", n=250, level=228.0)["value"] > 10
    text = (tmp_path / "run" / "summary.md").read_text(encoding="utf-8")
    assert "Recruitment ends on 1 December 2024" in text
    assert "s'arrêtent le 1er décembre 2024" in text
    assert "not reached" in text


def test_a_mix_unlike_the_population_is_told(tmp_path: Path) -> None:
    done = cmvsim_here(
        "accrual", "cmv-cart", "--set", "accrual.sites.paediatric.count=20", "-n", 20, *BRIEF,
        cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Paediatric sites enrol 27% of the patients, whereas their strata are 10% of the population" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cmv-cart", "--by", "soon"), "--by: 'soon' is neither a number nor a date"),
        (("cmv-cart", "--by", "0"), "--by: 0 is not allowed"),
        (("cmv-cart", "--by", "nan"), "--by: nan is not allowed"),
        (("cmv-cart", "--by", "2025-02-30"), "--by: '2025-02-30' is no date of the calendar"),
        (("cmv-cart", "--by", "2024-04-17"), "--by: 2024-04-17 is not after the start of the study (2024-04-17)"),
        (("lbcl-adult", "--by", "2026-01-01"), "the scenario does not say when the study starts"),
        (("cmv-cart", "--probability", "0.8"), "--probability: a probability alone asks nothing (give --by too)"),
        (("cmv-cart", "--by", "600", "--probability", "1"), "--probability: 1 is no probability to plan for"),
        (("cmv-cart", "-n", "0"), "-n: '0' is no range of sample sizes"),
        (("cmv-cart", "--replicates", "0"), "--replicates: 0 replicates (from 1 to 1,000,000)"),
        (("cmv-cart", "--programmes", "-1"), "--programmes: -1 programmes (from 0 (recruitment alone) to 10,000)"),
        (("cmv-cart", "--set", "capacity.laboratory.other_samples=93"), "fill the laboratory, which can do 93"),
        (("cmv-cart", "--seed", "-1"), "seed -1 is out of range"),
        (("lin-2024",), "all patients are followed retrospectively, so there is nothing to forecast"),
        (("kampouri-2024",), "no site recruits patients, so there is nothing to forecast"),
        (("cmv-kart",), "there is no scenario 'cmv-kart'"),
        (("cmv-cart", "--set", "accrual.sites.adult.coumt=3"), "unknown key 'coumt' (did you mean 'count'?)"),
    ],
)
def test_one_mistake_is_named_and_nothing_is_written(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = cmvsim_here("accrual", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == set()


def test_recruitment_is_no_input_of_clinical_results() -> None:
    """It is neither counted nor cited there, and what targets are solved on does not hold it."""
    scenario = resolve("cmv-cart")
    clinical, recruiting = cite(scenario, bears_on_patients), cite(scenario, bears_on_recruitment)
    assert not any(item.input.startswith(("accrual.", "capacity.")) for item in clinical.assumptions)
    assert {item.input for item in cite(scenario).assumptions} - {item.input for item in clinical.assumptions} == {
        item.input for item in recruiting.assumptions if item.input.startswith(("accrual.", "capacity."))
    }
    assert any(item.input == "accrual.sites.adult.per_month" for item in recruiting.assumptions)
    assert any(item.input.endswith("seropositive_share") for item in recruiting.assumptions)
    assert not any(item.input.startswith(("cmv.", "toxicity.", "letermovir.")) for item in recruiting.assumptions)
    assert not {"accrual", "capacity"} & set(scenario.as_dict()[BASIS])


@pytest.mark.parametrize("name", ["lin-2024", "cart-sie", "kampouri-2024", "marquez-algaba-2022"])
def test_published_cohorts_recruit_nobody(name: str) -> None:
    assert not any(item.input.startswith("accrual.") for item in cite(resolve(name)).assumptions)
