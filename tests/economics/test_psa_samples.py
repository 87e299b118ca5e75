"""PSA samples: both layouts, exact round trip, every mistake named with its place; and `economics table` from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from cmvsim.cli import cli
from cmvsim.core.errors import InputError
from cmvsim.economics.psa import analyse_psa, tornado
from cmvsim.economics.samples import PsaSamples, parse_thresholds, psa_csv, read_psa
from cmvsim.runs.folder import read_run

LONG = "strategy,draw,cost,effect,x\nnone,1,10,1,0.5\ndrug,1,30,1.25,0.5\nnone,2,12,1,0.7\ndrug,2,31,1.5,0.7\n"
WIDE = "draw,cost_none,cost_drug,effect_none,effect_drug,x\n1,10,30,1,1.25,0.5\n2,12,31,1,1.5,0.7\n"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "psa.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def world(draws: int = 400, seed: int = 1) -> PsaSamples:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((draws, 3))
    cost = np.column_stack([np.full(draws, 1000.0), 4000 + 900 * x[:, 0], 6000 + 300 * x[:, 1]])
    effect = np.column_stack([np.ones(draws), 1.1 + 0.05 * x[:, 2], 1.15 + 0.05 * x[:, 2]])
    inputs = {"price": x[:, 0], "stay": x[:, 1], "efficacy": x[:, 2], "fixed": np.ones(draws)}
    return PsaSamples(("none", "targeted", "universal"), tuple(map(str, range(draws))), cost, effect, inputs)


@pytest.mark.parametrize("text", [LONG, WIDE, LONG.replace("\n", "\r\n"), "\ufeff" + WIDE, LONG.replace(",", " , ")])
def test_both_layouts_say_the_same(tmp_path: Path, text: str) -> None:
    got = read_psa(written(tmp_path, text))
    assert got.strategies == ("none", "drug")
    assert got.draws == ("1", "2")
    np.testing.assert_array_equal(got.cost, [[10, 30], [12, 31]])
    np.testing.assert_array_equal(got.effect, [[1, 1.25], [1, 1.5]])
    np.testing.assert_array_equal(got.inputs["x"], [0.5, 0.7])


def test_rows_in_any_order_and_what_is_written_is_read_again_exactly(tmp_path: Path) -> None:
    samples = world()
    got = read_psa(written(tmp_path, psa_csv(samples)))
    assert got.strategies == samples.strategies
    for ours, theirs in ((got.cost, samples.cost), (got.effect, samples.effect)):
        np.testing.assert_array_equal(ours, theirs)
    for name, values in samples.inputs.items():
        np.testing.assert_array_equal(got.inputs[name], values)
    assert list(got.varied) == ["price", "stay", "efficacy"]
    frame = pd.read_csv(tmp_path / "psa.csv", dtype=str).sample(frac=1, random_state=1)
    mixed = read_psa(written(tmp_path, frame.to_csv(index=False)))
    place = [samples.draws.index(draw) for draw in mixed.draws]
    order = [samples.strategies.index(name) for name in mixed.strategies]
    np.testing.assert_array_equal(mixed.cost, samples.cost[np.ix_(place, order)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("strategy,draw,cost,effect\n", "has no rows"),
        ("strategy,draw,cost\na,1,2\n", r"has no column 'effect'; it has: strategy, draw, cost \(either the columns"),
        (LONG.replace("30", "thirty"), "row 3, column 'cost': 'thirty' is no finite number"),
        (LONG.replace("1.25", '"1,25"'), "'1,25' is no finite number .a decimal point, not a comma"),
        (LONG.replace("31", ""), "row 5, column 'cost': the cell is empty"),
        (LONG.replace("31", "inf"), "'inf' is no finite number"),
        (LONG.replace("drug,2", "drug,1"), "row 5: strategy 'drug' has draw 1 twice, also in row 3"),
        (LONG.replace("drug,2", "drug,1"), "strategy 'drug' has no draw 2"),
        (LONG.replace("drug,2,31,1.5,0.7", "drug,2,31,1.5,0.8"), "column 'x': differs between the strategies of draw 2"),
        (LONG.replace("drug,1,30", ",1,30"), "row 3, column 'strategy': the cell is empty"),
        ("strategy,draw,cost,effect\na,1,2,3\na,2,2,3\n", "holds one strategy .'a'."),
        ("strategy,draw,cost,effect\na,1,2,3\nb,1,2,3\n", "holds one draw"),
        (LONG.replace(",", ";"), "not separated by commas"),
        (LONG.replace("x\n", "cost\n"), "has two columns 'cost'"),
        (LONG + "none,3,1,2,3,4,5\n", "is no table"),
        (LONG.replace("drug,2,31,1.5,0.7", "drug,2,31"), "row 5, column 'effect': the cell is empty"),
        (WIDE.replace("effect_drug", "effect_other"), "has no column 'effect_drug' beside 'cost_drug'"),
        (WIDE.replace("effect_drug", "effect_other"), "no column 'effect_drug'"),
        (WIDE.replace("\n2,", "\n1,"), "row 3: draw 1 comes twice"),
        (b"strategy,draw,cost,effect\n\xff,1,2,3\n", "is not UTF-8 text"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_psa(written(tmp_path, text))


def test_many_mistakes_are_not_listed_without_end(tmp_path: Path) -> None:
    rows = "".join(f"a,{k},x,1\nb,{k},1,1\n" for k in range(100))
    with pytest.raises(InputError) as caught:
        read_psa(written(tmp_path, "strategy,draw,cost,effect\n" + rows))
    assert len(caught.value.problems) == 21
    assert "more problems" in str(caught.value.problems[-1])


def test_thresholds_as_written() -> None:
    assert parse_thresholds("0:100000:50000") == (0, 50000, 100000)
    assert parse_thresholds("30000,0:20000:10000") == (0, 10000, 20000, 30000)
    assert parse_thresholds("0:1:0.1")[-1] == pytest.approx(1)
    for wrong in ("", "a", "5:1:1", "0:10", "-1", "0:10:0", "nan", "0:1e9:1"):
        with pytest.raises(InputError, match="no threshold"):
            parse_thresholds(wrong)


def test_closed_form_tornado_of_a_linear_model() -> None:
    samples = world(4000)
    bars = tornado(samples, samples.varied, 30_000.0)
    assert [bar.parameter for bar in bars] == ["efficacy", "price", "stay"] or bars[0].strategy == "universal"
    slope = {
        "targeted": {"efficacy": 1500, "price": -900, "stay": 0},
        "universal": {"efficacy": 1500, "price": 0, "stay": -300},
    }
    for bar in bars:
        want = slope[bar.strategy][bar.parameter]
        error = 3 * 1700 / np.sqrt(4000)
        for at, got in zip(bar.at, bar.net_benefit, strict=True):
            assert got == pytest.approx(bar.mean + want * at, abs=3 * error)
        assert bar.at[0] == pytest.approx(-1.96, abs=0.15)
    assert bars[0].parameter == "efficacy"
    assert bars == sorted(bars, key=lambda bar: -bar.width)


def test_groups_and_too_few_draws() -> None:
    got = analyse_psa(world(), [30_000], groups={"costs": ["price", "stay"]})
    assert set(got.partial) == {"price", "stay", "efficacy", "costs"}
    few = analyse_psa(world(15), [30_000])
    assert few.smoothed is None
    assert few.partial == {}
    for groups, message in (
        ({"g": ["pricee"]}, "did you mean 'price'"),
        ({"price": ["stay"]}, "name of its own"),
        ({"g": ["fixed"]}, "none of its inputs varies"),
    ):
        with pytest.raises(InputError, match=message):
            analyse_psa(world(), [1.0], groups=groups)


def test_economics_table_from_a_file_to_the_run_folder(tmp_path: Path) -> None:
    path = written(tmp_path, psa_csv(world()))
    asked = ["economics", "table", str(path), "--wtp", "0:60000:20000", "--comparator", "targeted", "-o", str(tmp_path / "run")]
    done = CliRunner().invoke(cli, asked)
    assert done.exit_code == 0, done.output
    assert "Highest expected net benefit by threshold: none up to" in done.stdout
    run = tmp_path / "run"
    tree = json.loads((run / "results.json").read_text())
    assert tree["strategies"][0] == tree["comparator"] == "targeted"
    assert [row["threshold"] for row in tree["choices"]] == [20000, 40000, 60000] or len(tree["choices"]) == 3
    files = set(read_run(run)["outputs"])
    assert {"table.csv", "ceac.csv", "evpi.csv", "evppi.csv", "summary.md", "results.json"} < files
    for name in ("plane", "acceptability", "acceptability-smoothed", "net-benefit", "expected-loss", "evpi", "evppi"):
        assert f"figures/{name}.png" in files
    assert any(name.startswith("figures/tornado-") for name in files)
    assert all((run / name).stat().st_size > 5000 for name in files if name.endswith(".png"))
    curves = pd.read_csv(run / "ceac.csv")
    assert curves.groupby("threshold")["probability_best"].sum().tolist() == pytest.approx([1] * 4)
    assert (curves.groupby("threshold")["on_frontier"].sum() == 1).all()
    table = pd.read_csv(run / "table.csv")
    assert table["cost"].is_monotonic_increasing
    text = (run / "summary.md").read_text()
    assert "none is official in France" in text
    assert "Inputs that are the same in all draws are left out: fixed." in text
    again = CliRunner().invoke(cli, [*asked, "--json"])
    assert json.loads(again.stdout)["digest"] == tree["digest"]
    assert "finished before" in CliRunner().invoke(cli, asked).stdout


def test_the_same_strategies_are_worth_nothing_to_tell_apart(tmp_path: Path) -> None:
    samples = world()
    same = PsaSamples(("a", "b"), samples.draws, samples.cost[:, [1, 1]], samples.effect[:, [1, 1]], samples.inputs)
    path = written(tmp_path, psa_csv(same))
    done = CliRunner().invoke(cli, ["economics", "table", str(path), "--json", "-o", str(tmp_path / "run"), "--quiet"])
    assert done.exit_code == 0, done.output
    tree = json.loads(done.stdout)
    assert {row["evpi"] for row in tree["evpi"]} == {0}
    assert {row["value"] for row in tree["evppi"]} == {0}
    assert any("EVPI is 0" in note for note in tree["warnings"])
    assert [row["status"] for row in tree["table"]] == ["ND", "D"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--comparator", "nonne"], "did you mean 'none'?"),
        (["--wtp", "many"], "no threshold or range"),
        (["--threshold", "-5"], "is no threshold"),
        (["--group", "x"], "is no group"),
        (["--group", "g=prize"], "did you mean 'price'?"),
    ],
)
def test_mistakes_on_the_command_line_write_nothing(tmp_path: Path, more: list[str], message: str) -> None:
    path = written(tmp_path, psa_csv(world(30)))
    done = CliRunner().invoke(cli, ["economics", "table", str(path), *more, "-o", str(tmp_path / "run")])
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_not_there() -> None:
    done = CliRunner().invoke(cli, ["economics", "table", "nowhere.csv"])
    assert done.exit_code == 2
    assert "nowhere.csv: cannot be read" in done.stderr
