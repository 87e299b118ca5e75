"""`cmvsim report` and `cmvsim compare` on runs of every kind: a whole page in one file; what differs, and by how much."""

from __future__ import annotations

import base64
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from cli_runner import cmvsim_here, results
from PIL import Image
from published import unmet

from cmvsim.report.run_page import MARK, MOST_ROWS, RunFiles, page
from cmvsim.verbs.compare import CompareOptions, joined_rows

VOID = {"meta", "img", "br", "hr", "input", "link"}
POWER = ("power", "null", "--replicates", 128, "--endpoint", "cmv_reactivation", "--jobs", 1, "--quiet")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    commands = {
        "simulate": ("simulate", "null", "-n", 12),
        "estimate": ("estimate", "simulate", "--endpoint", "cmv_reactivation"),
        "accrual": ("accrual", "null", "-n", 20, "--replicates", 60, "--programmes", 0),
        "trace": ("trace", "null", "--patient", 1, "-n", 12),
        "power": (*POWER, "-n", "20,30"),
        "often-missed": (*POWER, "-n", "20,30", "--set", "monitoring.attendance=0.7"),
        "other-seed": (*POWER, "-n", "20,30", "--seed", 2),
        "larger": (*POWER, "-n", 40),
    }
    for name, command in commands.items():
        done = cmvsim_here(*command, "--quiet", "-o", name, cwd=folder)
        assert done.returncode == 0, (name, done.stderr)
    return folder


class Page(HTMLParser):
    """Tags that are open, headings, images, everything that points elsewhere, and the text."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.images: list[bytes] = []
        self.outside: list[str] = []
        self.headings: list[str] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if tag == "img" and name == "src":
                kind, _, content = (value or "").partition(";base64,")
                assert kind == "data:image/png"
                self.images.append(base64.b64decode(content, validate=True))
            elif name in {"src", "href", "srcset", "action"}:
                self.outside.append(f"{tag} {name}={value}")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.open and self.open[-1] in {"h1", "h2"}:
            self.headings.append(data)


def page_of(place: Path, name: str) -> Page:
    target = place / "pages" / f"{name}.html"
    done = cmvsim_here("report", name, "-o", target, cwd=place)
    assert done.returncode == 0, done.stderr
    assert f"{name}.html (" in done.stdout
    source = target.read_text(encoding="utf-8")
    assert "{{" not in source
    assert "url(" not in source
    return Page(source)


@pytest.mark.parametrize("name", ["simulate", "estimate", "accrual", "trace", "power"])
def test_the_page_is_whole_and_needs_no_other_file(place: Path, name: str) -> None:
    made = page_of(place, name)
    assert (made.open, made.wrong, made.outside) == ([], [], [])
    pictures = {path.read_bytes() for path in (place / name).rglob("*.png")}
    assert set(made.images) == pictures
    assert len(made.images) == len(pictures)
    for image in made.images:
        Image.open(io.BytesIO(image)).verify()
    run = json.loads((place / name / "run.json").read_text(encoding="utf-8"))
    assert made.headings[-1] == "Provenance"
    for told in (run["request_digest"], f"cmvsim {run['software_version']}", *run["outputs"], *run["outputs"].values()):
        assert told in made.text
    tables = {table.relative_to(place / name).as_posix() for table in (place / name).rglob("*.csv")}
    assert all(f"{table} (" in made.text for table in tables)


def test_the_answer_comes_first_then_assumptions_then_sources(place: Path) -> None:
    made, tree = page_of(place, "power"), results(place / "power")
    answer = made.text.index("CMV reactivation by day 90 is expected at")
    assumptions = [made.text.index(item["why"]) for item in tree["assumptions"]]
    sources = [made.text.index(item["citation"]) for item in tree["sources"]]
    assert answer < min(assumptions) <= max(assumptions) < min(sources) <= max(sources) < made.text.index("Provenance")
    assert "For the protocol" in made.headings


def test_the_summary_is_on_the_page_word_by_word(place: Path) -> None:
    summary = (place / "power" / "summary.md").read_text(encoding="utf-8")
    text = "".join(page_of(place, "power").text.split())
    for line in summary.splitlines():
        if line and line[0].isalpha():
            assert "".join(line.replace("`", "").split()) in text, line


def test_a_page_goes_into_the_run_and_is_replaced_but_nothing_else_is(place: Path) -> None:
    for _ in range(2):
        assert cmvsim_here("report", "trace", cwd=place).returncode == 0
    assert MARK in (place / "trace" / "report.html").read_text(encoding="utf-8")
    assert cmvsim_here("replay", "trace", "--check", cwd=place).returncode == 0, "a report is no change of the run"
    precious = place / "precious.html"
    precious.write_text("<p>mine</p>", encoding="utf-8")
    refused = cmvsim_here("report", "trace", "-o", "precious.html", cwd=place)
    assert (refused.returncode, "no report of cmvsim" in refused.stderr) == (2, True)
    assert precious.read_text(encoding="utf-8") == "<p>mine</p>"
    assert cmvsim_here("report", "trace", "-o", "precious.html", "--force", cwd=place).returncode == 0
    for wrong in ("nowhere", "pages"):
        done = cmvsim_here("report", wrong, cwd=place)
        assert (done.returncode, "is no run folder" in done.stderr) == (2, True)


def files_of(text: str, **parts: object) -> RunFiles:
    request = {"verb": "power", "scenario": "x", "scenario_digest": "0", "seed": 1, "numbers_version": 1}
    run = {
        "request": request,
        "request_digest": "0" * 64,
        "software_version": "0",
        "seed": 1,
        "chunks_done": 0,
        "environment": {},
        "outputs": {},
    }
    return RunFiles(**{"run": run, "results": {}, "text": text, "figures": {}, "tables": {}, **parts})  # type: ignore[arg-type]


def test_text_of_a_run_is_text_on_the_page() -> None:
    evil = "<script>alert(1)</script>"
    made = Page(
        page(
            files_of(
                f"# A & B {evil}\n\nAnswer {evil}\n\n| a | b |\n|---|---|\n| {evil} | 1 |\n\n"
                f"## Part {evil}\n\n![gone](figures/x.png)\n",
                results={"warnings": [f"beware {evil}"], "failures": [{"replicate": 3, "seed": 1, "message": evil}]},
                tables={"rows.csv": f"name,value\n{evil},0.123456789\nplain,1234567\n"},
                edited=("results.json",),
            )
        )
    )
    assert (made.open, made.wrong, made.outside, made.images) == ([], [], [], [])
    assert made.text.count(evil) == 8  # the title twice
    assert "0.1235" in made.text
    assert "1234567" in made.text
    assert "Changed after the run" in made.text
    assert "gone (figures/x.png)" in made.text


def test_long_tables_are_cut_and_say_so() -> None:
    rows = "".join(f"{k}\n" for k in range(MOST_ROWS + 5))
    made = Page(page(files_of("# T\n\nAnswer\n", tables={"long.csv": f"k\n{rows}"})))
    assert f"long.csv ({MOST_ROWS + 5} rows, the first {MOST_ROWS} here)" in made.text


# --- compare ----------------------------------------------------------------------------------------------------------


def compared(place: Path, *arguments: object) -> dict:
    done = cmvsim_here("compare", *arguments, "--json", cwd=place)
    assert done.returncode == 0, done.stderr
    tree = json.loads(done.stdout)
    assert unmet(tree, "compare") == []
    return tree


def test_two_runs_of_another_attendance_differ_in_that_and_in_their_samples(place: Path) -> None:
    tree = compared(place, "power", "often-missed")
    assert tree["asked"] == [{"key": "set", "left": "none", "right": "monitoring.attendance=0.7"}]
    assert [item["key"] for item in tree["scenario"]] == ["monitoring.attendance"]
    left = {(row["n"], row["endpoint"], row["estimator"], row["measure"]): row for row in results(place / "power")["rows"]}
    right = {
        (row["n"], row["endpoint"], row["estimator"], row["measure"]): row for row in results(place / "often-missed")["rows"]
    }
    assert len(tree["rows"]) == len(left) == len(right)
    for row in tree["rows"]:
        key = tuple(row["key"].get(name, "") for name in ("n", "endpoint", "estimator", "measure"))
        assert (row["left"], row["right"]) == (left[key]["value"], right[key]["value"])
        if row["difference"] is not None:
            assert row["difference"] == pytest.approx(right[key]["value"] - left[key]["value"], abs=1e-12)
            if row["mcse"] is not None:
                assert row["mcse"] ** 2 == pytest.approx(left[key]["mcse"] ** 2 + right[key]["mcse"] ** 2)
                assert row["beyond"] == (abs(row["difference"]) > 3 * row["mcse"])
    marked = {row["key"]["measure"] for row in tree["rows"] if row["beyond"]}
    assert "expected_samples" in marked
    said = cmvsim_here("compare", "power", "often-missed", cwd=place)
    assert said.returncode == 0
    for words in ("Asked differently", "monitoring.attendance", "expected_samples", "same seed"):
        assert words in said.stdout


def test_another_seed_is_the_luck_of_the_draw(place: Path) -> None:
    tree = compared(place, "power", "other-seed", "--beyond", 5)
    assert tree["asked"] == [{"key": "seed", "left": "1", "right": "2"}]
    assert tree["scenario"] == []
    assert not tree["same_seed"]
    assert any(row["difference"] for row in tree["rows"])
    assert not any(row["beyond"] for row in tree["rows"])


def test_a_run_and_itself(place: Path) -> None:
    tree = compared(place, "power", "power")
    assert tree["asked"] == tree["scenario"] == tree["only_left"] == tree["only_right"] == []
    assert all(row["difference"] in (0, None) for row in tree["rows"])
    assert "Both asked the same." in cmvsim_here("compare", "power", "power", cwd=place).stdout


def test_sizes_are_joined_when_told_to(place: Path) -> None:
    apart = compared(place, "power", "larger")
    assert (apart["rows"], bool(apart["only_left"]), bool(apart["only_right"])) == ([], True, True)
    assert "--ignore n" in cmvsim_here("compare", "power", "larger", cwd=place).stdout
    several = cmvsim_here("compare", "power", "larger", "--ignore", "n", cwd=place)
    assert (several.returncode, "several rows are left for" in several.stderr) == (2, True)
    assert cmvsim_here(*POWER, "-n", 20, "-o", "small", cwd=place).returncode == 0
    rows = {row["key"]["measure"]: row for row in compared(place, "small", "larger", "--ignore", "n")["rows"]}
    assert rows["half_width"]["difference"] < 0


def test_results_without_rows_are_joined_number_by_number() -> None:
    left = {
        "seed": 1,
        "increments": [
            {"strategy": "a", "cost": {"value": 5.0, "se": 0.1}, "drug_days": 70.0},
            {"strategy": "b", "cost": {"value": 1.0, "se": 0.1}, "drug_days": 7.0},
        ],
        "curve": [0.5, 0.6],
        "warnings": ["none"],
    }
    right = json.loads(json.dumps(left))
    right["increments"].reverse()  # entries are told apart by their names
    right["increments"][1]["cost"] = {"value": 5.5, "se": 0.05}
    right["curve"][1] = 0.7
    options = CompareOptions(Path(), Path(), beyond=3.0)
    found = {row["key"]["number"]: row for row in joined_rows([left, right], options)["rows"]}
    assert set(found) == {
        "increments[a].cost",
        "increments[a].drug_days",
        "increments[b].cost",
        "increments[b].drug_days",
        "curve[0]",
        "curve[1]",
    }
    assert found["increments[a].cost"]["difference"] == 0.5
    assert found["increments[a].cost"]["mcse"] == pytest.approx(0.0125**0.5)
    assert found["increments[a].cost"]["beyond"] is True
    assert found["curve[1]"]["beyond"] is None
    assert {name for name, row in found.items() if row["difference"]} == {"increments[a].cost", "curve[1]"}


def test_estimates_and_runs_that_cannot_be_compared(place: Path) -> None:
    tree = compared(place, "estimate", "estimate")
    assert len(tree["rows"]) == len(results(place / "estimate")["rows"]) > 3
    assert "mcse" not in tree["rows"][0]
    for other, told in (("trace", "nothing in common"), ("nowhere", "is no run folder")):
        done = cmvsim_here("compare", "power", other, cwd=place)
        assert (done.returncode, told in done.stderr) == (2, True)
    assert cmvsim_here("compare", "trace", "trace", cwd=place).returncode == 0
    assert cmvsim_here("compare", "simulate", "simulate", cwd=place).returncode == 0
    assert cmvsim_here("compare", "accrual", "accrual", cwd=place).returncode == 0
