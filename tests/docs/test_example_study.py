"""The example study of the documentation: its tables are what `simulate` writes, its results what `estimate` gives."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from example_study import COMMAND, EXAMPLE, PATIENTS, SCENARIO, SEED, TABLES, expected_of

from cmvsim.core.errors import InputError
from cmvsim.data import read_study
from cmvsim.endpoints import ENDPOINTS, AnalysisSpec, read_analysis
from cmvsim.endpoints.analyse import analyse, check_plan
from cmvsim.verbs.estimate import EstimateOptions, estimate
from cmvsim.verbs.place import Place, read_results
from cmvsim.verbs.simulate import SimulateOptions, simulate
from cmvsim.verbs.ui import Silent

LARGEST = 600_000
EXACT = ["endpoint", "estimator", "term", "n", "events", "status"]
NUMBERS = ["estimate", "se", "ci_low", "ci_high"]


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("example")
    study = folder / "study"
    study.mkdir()
    for name in (*(f"{table}.csv" for table in TABLES), "analysis.toml"):
        shutil.copyfile(EXAMPLE / name, study / name)
    return estimate(EstimateOptions(study), Place(folder / "results")).folder


def test_estimate_gives_the_expected_results(analysed: Path) -> None:
    mine = expected_of(read_results(analysed)["rows"])
    kept = pd.read_csv(EXAMPLE / "expected.csv", keep_default_na=False, na_values={name: [""] for name in NUMBERS})
    assert mine[EXACT].to_dict("records") == kept[EXACT].to_dict("records")
    for name in NUMBERS:
        np.testing.assert_allclose(mine[name].astype(float), kept[name].astype(float), rtol=1e-9, atol=1e-12, err_msg=name)


def test_simulate_writes_the_tables_byte_for_byte(tmp_path: Path) -> None:
    simulate(SimulateOptions(SCENARIO, patients=PATIENTS, seed=SEED), Place(tmp_path / "example"), Silent())
    written = {path.stem for path in (tmp_path / "example").glob("*.csv")}
    assert written == set(TABLES)
    for name in (*(f"{table}.csv" for table in TABLES), "analysis.toml"):
        assert (tmp_path / "example" / name).read_bytes() == (EXAMPLE / name).read_bytes(), name


def test_the_page_has_the_command_every_table_and_every_endpoint() -> None:
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    assert COMMAND in page
    kept = pd.read_csv(EXAMPLE / "expected.csv")
    for name in (*TABLES, *kept["endpoint"].unique()):
        assert f"`{name}`" in page, name
    for path in re.findall(r"\]\((?!http)([^)#]+)", page):
        assert (EXAMPLE / path).exists(), path
    assert sum(path.stat().st_size for path in EXAMPLE.rglob("*") if path.is_file()) < LARGEST


def test_numbers_on_the_page_are_those_of_the_results() -> None:
    """Every primary rate that the page states, as printed."""
    page = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    kept = pd.read_csv(EXAMPLE / "expected.csv")
    for name in ("cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma", "anellovirus", "pegivirus"):
        row = kept[(kept["endpoint"] == name) & (kept["estimator"] == "aalen_johansen")].iloc[0]
        text = f"{row['estimate']:.1%} ({row['ci_low']:.1%} to {row['ci_high']:.1%})"
        assert text in " ".join(page.split()), name
    index = kept[(kept["endpoint"] == "hrql") & (kept["term"] == "EQ-5D-5L index")].iloc[0]
    assert f"{index['estimate']:.3f} ({index['ci_low']:.3f} to {index['ci_high']:.3f})" in page
    cost = kept[(kept["endpoint"] == "cost_of_illness") & (kept["term"] == "total")].iloc[0]
    assert f"{cost['estimate']:,.0f} EUR ({cost['ci_low']:,.0f} to {cost['ci_high']:,.0f})" in page


def test_notes_stand_below_the_tables(analysed: Path) -> None:
    text = (analysed / "summary.md").read_text(encoding="utf-8")
    section = text.split("(`cost_of_illness`)")[1]
    assert section.count("immortal time") == 2  # two wordings, each once, however many rows they concern
    assert "**Attributable cost of clinically significant infection**" in section
    assert "](figures/cost_of_illness.png)" in section
    for path in re.findall(r"\]\((figures/[^)]+)\)", text):
        assert (analysed / path).is_file(), path
    drawn = {path.stem for path in (analysed / "figures").iterdir()}
    assert {"risk_factors_cox", "risk_factors_landmark_fine_gray", "hrql"} <= drawn
    assert not drawn & {"risk_factors_logistic", "cmv_disease"}  # in the tables only; nothing happened


def test_the_analysis_page_shows_every_key_with_its_default_and_every_endpoint() -> None:
    page = (EXAMPLE.parent / "analysis.md").read_text(encoding="utf-8")
    block = tomllib.loads(page.split("```toml\n")[1].split("```")[0])["analysis"]
    shown = AnalysisSpec.parse(block, where="docs/analysis.md")
    assert set(block) == set(AnalysisSpec.model_fields)
    assert shown == AnalysisSpec(endpoints=shown.endpoints)
    assert [name for name in ENDPOINTS if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("key", "value", "at"),
    [
        ("value_set", "frnce_5l", "value_set"),
        ("price_list", "france_2024", "price_list"),
        ("risk_factors", ["ICU"], "risk_factors"),
    ],
)
def test_a_misspelt_name_is_a_mistake_not_a_missing_table(key: str, value: object, at: str) -> None:
    study = read_study(EXAMPLE)
    tree = read_analysis(EXAMPLE / "analysis.toml").human()
    plan = AnalysisSpec.parse(tree | {key: value}, where="analysis")
    with pytest.raises(InputError) as caught:
        check_plan(study, plan)
    assert [problem.at for problem in caught.value.problems] == [at]
    check_plan(study, plan, ("cmv_reactivation",))  # an endpoint that does not look the name up is not concerned


def test_progress_is_told_from_nothing_to_all() -> None:
    plan = read_analysis(EXAMPLE / "analysis.toml")
    told: list[tuple[int, int]] = []
    analyse(read_study(EXAMPLE), plan, ("pegivirus", "hrql"), lambda done, total: told.append((done, total)))
    assert told[0][0] == 0
    assert told[-1] == (told[0][1], told[0][1])
    assert [done for done, _ in told] == sorted({done for done, _ in told})
