"""`cmvsim trace`: patient K is patient K of `simulate`, what is told is what happened, and mistakes are told kindly."""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from cli_runner import Done, cmvsim_here, files, results

from cmvsim.models.quality_of_life import DIMENSIONS
from cmvsim.report import style, trace_figure, trace_text
from cmvsim.scenarios import ResolvedScenario
from cmvsim.verbs import simulate as simulate_verb
from cmvsim.verbs import trace as trace_verb
from tests.simulation.pathway_build import given_baseline

N = 10
BUSY = (
    "cmv.disease.hazard=0.01",
    "cmv.load.set_point={ mean = 3, varies = { sd = 0.8 } }",
    "cmv.load.treated.refractory=0.4",
    "preemptive_therapy.refractory_after=5",
    "preemptive_therapy.toxicity.neutropenia.probability=0.6",
    "resistance.ganciclovir.change=0.6",
    "follow_up.lost_by_90=0.3",
    "monitoring.attendance=0.85",
)
"""Much happens to everybody."""
CLINICAL = (
    "{ phases = [{ start = -60, odds = 0.2 }], inpatient = 2, corticosteroids = 1, crs = 1, neutropenia = 1, score = 1, "
    "follow_up_every = 3, between_visits = true }"
)


def changed(*items: str) -> tuple[str, ...]:
    return tuple(itertools.chain(*(("--set", item) for item in items)))


CASES = {
    "cart": ("cmv-cart", *changed(*BUSY)),
    "drug": ("letermovir-strategies", "--strategy", "universal", *changed(*BUSY)),
    "blood": (
        "cmv-cart-whole-blood",
        *changed("population.retrospective_share=0.5", f"monitoring.clinical={CLINICAL}"),
    ),
}


real_png = style.png


@pytest.fixture(scope="module", autouse=True)
def unsolved() -> Any:
    """Hazards given, not solved: high ones, in no time; the same for both verbs."""

    def given(scenario: ResolvedScenario) -> SimpleNamespace:
        return SimpleNamespace(baseline=given_baseline(len(scenario.spec.population.strata), 5.0))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate_verb, "calibrate", given)
        patch.setattr(trace_verb, "calibrate", given)
        patch.setattr(style, "png", lambda figure: b"\x89PNG" + bytes(len(figure.axes)))  # drawn, not printed
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated studies of each case, and the traces of all patients of the second."""
    folder = tmp_path_factory.mktemp("traced")
    for name, (scenario, *options) in CASES.items():
        asked = (scenario, "-n", N, "--seed", 5, *options, "--quiet")
        done = cmvsim_here("simulate", *asked, "--replicates", 2, "--history", "-o", name, cwd=folder)
        assert done.returncode == 0, done.stderr
        for number in range(1, N + 1):
            done = cmvsim_here("trace", *asked, "--replicate", 1, "--patient", number, "-o", f"{name}-{number}", cwd=folder)
            assert done.returncode == 0, done.stderr
    return folder


def told(place: Path, name: str) -> list[dict[str, Any]]:
    return [results(place / f"{name}-{number}") for number in range(1, N + 1)]


def table(place: Path, name: str, which: str) -> pd.DataFrame:
    return pd.read_csv(place / name / "replicate-0001" / f"{which}.csv")


def of(frame: pd.DataFrame, tree: dict[str, Any]) -> list[dict[str, Any]]:
    """A patient's rows, empty cells as None."""
    mine = frame[frame["patient"] == tree["patient"]].drop(columns="patient")
    return [{key: None if value != value else value for key, value in row.items()} for row in mine.to_dict("records")]


def same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-11, abs_tol=1e-9)


def stop(window: dict[str, Any]) -> float | None:
    """As the history's tables have it: nothing for what goes on at the horizon."""
    return None if window["until"] == "horizon" else window["stop"]


@pytest.mark.parametrize("name", CASES)
def test_the_course_is_that_of_the_history(place: Path, name: str) -> None:
    tables = {key: table(place, name, f"history_{key}") for key in ("patients", "episodes", "spells", "toxicity", "infections")}
    tables |= {key: table(place, name, f"history_{key}") for key in ("disease", "stays", "questionnaires")}
    compared = 0
    for tree in told(place, name):
        story = tree["story"]
        row = {key: of(frame, tree) for key, frame in tables.items()}
        (person,), (toxic,) = row["patients"], row["toxicity"]
        assert person["product"] == story["person"]["product"]
        assert same(person["peak_cells"], story["cells"]["peak"])
        assert same(person["death"], story["death"])
        assert all(same(person[key], at) for key, at in story["follow_up"].items())
        for key in ("crs", "icans", "neutropenia"):
            window = story["toxicity"][key]
            assert same(toxic[f"{key}_start"], window and window["start"])
            assert same(toxic[f"{key}_stop"], window and window["stop"])
        assert [e["episode"] for e in row["episodes"]] == [e["number"] for e in story["episodes"]]
        for was, e in zip(row["episodes"], story["episodes"], strict=True):
            assert same(was["onset"], e["onset"])
            assert same(was["cleared"], e["cleared"])
        spells = [(t["number"], s) for t in story["treatments"] for s in t["spells"]]
        assert [(s["treatment"], s["drug"]) for s in row["spells"]] == [(number, s["drug"]) for number, s in spells]
        assert all(
            same(was["start"], s["start"]) and same(was["stop"], stop(s))
            for was, (_, s) in zip(row["spells"], spells, strict=True)
        )
        assert [(i["kind"], i["severe"]) for i in sorted(row["infections"], key=lambda i: i["start"])] == [
            (i["kind"], i["severe"]) for i in story["infections"]
        ]
        assert [d["organ"] for d in row["disease"]] == ([story["disease"]["organ"]] if story["disease"] else [])
        for kind, key in (("hospital", "hospital"), ("intensive care", "icu")):
            was = [(s["start"], s["stop"]) for s in row["stays"] if s["place"] == kind]
            assert all(same(a, s["start"]) and same(b, s["stop"]) for (a, b), s in zip(was, story["stays"][key], strict=True))
        levels = [None if q["vas"] is None else [int(q[d]) for d in DIMENSIONS] for q in row["questionnaires"]]
        assert levels == [q["levels"] for q in story["questionnaires"]]
        compared += len(spells) + len(story["episodes"]) + len(row["disease"])
    assert compared > 20


@pytest.mark.parametrize("name", CASES)
def test_what_was_seen_is_in_the_study_tables(place: Path, name: str) -> None:
    samples, ended = table(place, name, "samples"), table(place, name, "disposition")
    drugs, events, stays = (table(place, name, which) for which in ("exposures", "events", "stays"))
    virome, cells, sent = (table(place, name, which) for which in ("virome", "car_t", "sequencing"))
    asked, used = table(place, name, "questionnaires"), table(place, name, "resources")
    for tree in told(place, name):
        story, held = tree["story"], tree["tables"]
        taken = [(s["day"], s["result"], s["load_iu_ml"]) for s in of(samples, tree) if s["result"] != "missed"]
        assert taken == [(s["day"], s["result"], s["load"]) for s in story["samples"]]
        assert held["missed"] == [s["nominal_day"] for s in of(samples, tree) if s["result"] == "missed"]
        (end,) = of(ended, tree)
        assert (end["end_day"], end["reason"], end["death_day"]) == (held["end_day"], held["end_reason"], held["death_day"])
        courses = sorted((c["drug"], c["start_day"], c["stop_day"]) for c in of(drugs, tree))
        assert courses == sorted(map(tuple, held["courses"]))
        rows = [(e["event"], e["day"], e["end_day"], e["grade"]) for e in of(events, tree)]
        assert sorted(rows, key=str) == sorted(map(tuple, held["events"]), key=str)
        in_bed = [(s["start_day"], s["stop_day"], s["unit"]) for s in of(stays, tree)]
        assert in_bed == list(map(tuple, held["stays"]))
        assert held["resource_rows"] == len(of(used, tree))
        taken = {s["day"] for s in of(virome, tree) if s["day"] is not None}
        assert sorted(taken) == held["virome_days"]
        assert [s["day"] for s in of(cells, tree) if s["day"] is not None] == held["car_t_days"]
        assert sorted({s["day"] for s in of(sent, tree)}) == held["sequenced"]
        due = [(q["nominal_day"], q["day"] is not None) for q in of(asked, tree)]
        answers = held["questionnaires"]
        assert due == sorted([(d, True) for d in answers["answered"]] + [(d, False) for d in answers["missed"]])
        assert not (story["person"]["retrospective"] and (due or held["virome_days"]))


@pytest.mark.parametrize("name", CASES)
def test_what_is_said_to_be_seen_is_a_row(place: Path, name: str) -> None:
    """Every beginning with the flag is dated so in a table, and nothing in these tables lacks its flag."""
    events, stays = table(place, name, "events"), table(place, name, "stays")
    sent, asked = table(place, name, "sequencing"), table(place, name, "questionnaires")
    flags = set()
    for tree in told(place, name):
        seen = [e for e in tree["events"] if e["seen_by_study"]]
        for what, rows in (
            ("CRS begins", [e["day"] for e in of(events, tree) if e["event"] == "crs"]),
            ("ICANS begins", [e["day"] for e in of(events, tree) if e["event"] == "icans"]),
            ("neutropenia begins", [e["day"] for e in of(events, tree) if e["event"] == "neutropenia"]),
            ("CRS ends", [e["end_day"] for e in of(events, tree) if e["event"] == "crs" and e["end_day"] is not None]),
            ("bacterial infection begins", [e["day"] for e in of(events, tree) if e["event"] == "bacterial_infection"]),
            ("kidney injury", [e["day"] for e in of(events, tree) if e["event"] == "kidney_injury"]),
            ("sample sequenced", sorted({s["day"] for s in of(sent, tree)})),
            ("questionnaire", [q["nominal_day"] for q in of(asked, tree)]),
        ):
            assert [e["study_day"] for e in seen if e["what"] == what] == rows, what
            flags |= {(what, e["seen_by_study"]) for e in tree["events"] if e["what"] == what}
        begun = [math.floor(e["day"]) + 1 for e in seen if e["what"] == "hospital stay begins"]
        assert begun == [s["start_day"] for s in of(stays, tree) if s["unit"] == "ward"]
        begun = [math.floor(e["day"]) + 1 for e in seen if e["what"] == "intensive care begins"]
        assert begun == [s["start_day"] for s in of(stays, tree) if s["unit"] == "icu"]
    assert {what for what, seen in flags if seen} >= {"CRS begins", "neutropenia begins", "questionnaire"}
    assert {what for what, seen in flags if not seen}


def test_letermovir_is_told_as_taken(place: Path) -> None:
    taken = table(place, "drug", "history_prophylaxis")
    because = set()
    for tree in told(place, "drug"):
        (was,), course = of(taken, tree), tree["story"]["letermovir"]
        assert same(was["start"], course["start"])
        assert same(was["stop"], course["stop"])
        because.add(course["because"])
    assert {"", "pre-emptive therapy"} <= because


def test_the_load_passes_through_what_the_samples_were_taken_of(place: Path) -> None:
    """Noise apart: samples of a running episode have a true load, and it is within what noise allows."""
    away = []
    for tree in told(place, "cart") + told(place, "blood"):
        for s in tree["story"]["samples"]:
            assert (s["true_log10"] is None) == (s["episode"] is None)
            if s["load"] is not None:
                away.append(math.log10(s["load"]) - s["true_log10"])
    assert len(away) > 60
    assert max(map(abs, away)) < 1.0
    assert abs(sum(away) / len(away)) < 0.1


def test_the_events_stand_in_order_and_say_who_saw_them(place: Path) -> None:
    what: dict[str, set[str]] = {}
    for number in range(1, N + 1):
        with (place / f"cart-{number}" / "events.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        days = [float(row["day"]) for row in rows]
        assert days == sorted(days)
        assert all(int(row["study_day"]) == math.ceil(day) for row, day in zip(rows, days, strict=True))
        for row in rows:
            what.setdefault(row["what"], set()).add(row["seen_by_study"])
    assert what["sample"] == what["infusion"] == what["end of monitoring"] == {"yes"}
    assert what["episode onset"] == what["resistance"] == what["peak of CAR-T cells"] == {"no"}
    assert what["CRS begins"] == {"yes"}
    assert what["bacterial infection begins"] == what["questionnaire"] == {"yes"}
    assert what["hospital stay ends"] == {"yes", "no"}
    assert what["relapse"] == {"yes", "no"}
    assert what["course begins"] == {"yes", "no"}


@pytest.mark.parametrize("name", CASES)
def test_the_words_tell_everybody_apart_and_leave_nothing_unsaid(place: Path, name: str) -> None:
    pages = set()
    for number in range(1, N + 1):
        folder = place / f"{name}-{number}"
        page = (folder / "story.md").read_text(encoding="utf-8")
        pages.add(page)
        assert not {"None", "nan", "inf", "{", "}"} & set(page.replace(".", " ").replace(",", " ").split())
        assert all(f"## {heading}\n" in page for heading in trace_text.HEADINGS)
        story = results(folder)["story"]
        seen, true = page.split("## CMV as it truly was")[0], page.split("## CMV as it truly was")[1]
        assert "replication began" not in seen
        assert true.count("replication began") == len(story["episodes"])
        assert seen.count("switched to") == sum(len(t["spells"]) - 1 for t in story["treatments"])
        assert (folder / "figures" / "timeline.png").read_bytes().startswith(b"\x89PNG")
    assert len(pages) == N


def test_the_figure_is_the_same_whenever_it_is_drawn(place: Path) -> None:
    tree = results(place / "drug-1")
    one, other = (real_png(trace_figure.timeline(tree)) for _ in range(2))
    assert one == other
    assert one.startswith(b"\x89PNG")
    other = {**tree, "story": {**tree["story"], "death": 50.0}}
    assert real_png(trace_figure.timeline(other)) != one


def test_reasons_are_those_of_the_rules(place: Path) -> None:
    trees = told(place, "cart") + told(place, "drug")
    treatments = [t for tree in trees for t in tree["story"]["treatments"]]
    assert {t["because"]["what"] for t in treatments} == {"result", "disease"}
    assert {t["stopped_by"] for t in treatments} >= {"results", "longest", None}
    switched = {s["because"] for t in treatments for s in t["spells"][1:]}
    assert {"neutropenia", "load"} <= switched <= {"neutropenia", "load", "kidney_injury"}
    for t in treatments:
        if t["because"]["what"] == "result":
            assert t["because"]["load"] >= 250
            assert t["start"] > t["because"]["day"]


def test_the_patient_does_not_depend_on_the_size_of_the_study(place: Path) -> None:
    scenario, *options = CASES["cart"]
    asked = ("trace", scenario, "--seed", 5, *options, "--replicate", 1, "--patient", "P003", "--quiet")
    done = cmvsim_here(*asked, "-o", "large", cwd=place)
    assert done.returncode == 0, done.stderr
    large, small = results(place / "large"), results(place / "cart-3")
    assert large["story"] == small["story"]
    assert (large["patient"], small["patient"]) == ("P003", "P03")
    assert done.stdout == trace_text.one_line(large) + "\n"


def find(place: Path, *options: object) -> Done:
    scenario, *more = CASES["cart"]
    return cmvsim_here("trace", scenario, "-n", N, "--seed", 5, *more, "--replicate", 1, "--quiet", *options, cwd=place)


def test_find_gives_the_first_and_the_same_run_as_naming_them(place: Path) -> None:
    spells = table(place, "cart", "history_spells")
    numbers = sorted({int(name[1:]) for name in spells["patient"]})
    for begin in (numbers[0], numbers[0] + 1):
        expected = next(number for number in numbers if number >= begin)
        done = find(place, "--find", "treated", "--patient", begin, "-o", f"cart-{expected}", "--json")
        assert done.returncode == 0, done.stderr
        assert f'"patient": "P{expected:02d}"' in done.stdout
    for course in ("untreated", "disease"):
        done = find(place, "--find", course, "-o", f"found-{course}")
        assert done.returncode == 0, done.stderr
    assert results(place / "found-untreated")["story"]["treatments"] == []
    assert results(place / "found-disease")["story"]["disease"] is not None


def test_the_help_names_all_courses(tmp_path: Path) -> None:
    text = " ".join(cmvsim_here("trace", "--help", cwd=tmp_path).stdout.split())
    assert all(f"{course}," in text or f"{course}." in text for course in trace_verb.FINDABLE)


def test_without_cmv_nothing_replicates(place: Path) -> None:
    done = find(place, "--no-cmv", "--patient", 3, "-o", "off")
    assert done.returncode == 0, done.stderr
    off = results(place / "off")["story"]
    assert (off["episodes"], off["treatments"]) == ([], [])
    assert off["person"] == results(place / "cart-3")["story"]["person"]
    assert "no CMV" in done.stdout


def test_a_trace_replays_and_an_edited_story_is_told(place: Path) -> None:
    done = cmvsim_here("replay", "cart-2", "--check", "--quiet", cwd=place)
    assert (done.returncode, done.stdout) == (0, "cart-2: identical\n"), done.stderr
    path = place / "cart-4" / "story.md"
    path.write_text(path.read_text(encoding="utf-8") + "and lived happily\n", encoding="utf-8")
    done = cmvsim_here("replay", "cart-4", "--check", "--quiet", cwd=place)
    assert done.returncode == 3
    assert "story.md was changed after the run" in done.stdout


MISTAKES = {
    "nobody named": ([], ["which patient", "--patient 1 to 250", "--find"]),
    "the patient before the first": (["--patient", "0"], ["no patient '0'", "1 to 250", "P001 to P250"]),
    "a patient too many": (["--patient", "251"], ["no patient '251' in a study of 250", "-n"]),
    "a patient with a name": (["--patient", "Marie"], ["no patient 'Marie'"]),
    "half a patient": (["--patient", "1.5"], ["no patient '1.5'"]),
    "a course that is none": (["--find", "cured"], ["cured", "--find", "reactivation"]),
    "a replicate before the first": (["--patient", "1", "--replicate", "-1"], ["no replicate -1"]),
    "a strategy that is none": (["--patient", "1", "--strategy", "premptive"], ["premptive", "did you mean 'preemptive'?"]),
    "no patients": (["--patient", "1", "-n", "0"], ["0 patients", "-n"]),
    "a negative seed": (["--patient", "1", "--seed", "-1"], ["seed", "-1"]),
    "a course that nobody has": (["--find", "disease", "-n", "1"], ["nobody from patient 1 to 1", "--seed"]),
    "a misspelt key": (["--patient", "1", "--set", "monitoring.atendance=1"], ["atendance"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    arguments, expected = MISTAKES[name]
    done = cmvsim_here("trace", "cmv-cart", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    for text in expected:
        assert text in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert files(tmp_path) == set()
