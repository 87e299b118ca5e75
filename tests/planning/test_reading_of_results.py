"""What a person reads of planning: tables that fit, parts that add up, analyses grouped for figures, French paragraphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cmvsim.endpoints import ENDPOINTS
from cmvsim.planning.experiment import RowKey
from cmvsim.planning.validation import ZipData
from cmvsim.report import protocol_text, sensitivity_figures, sensitivity_text, validation_figures, validation_verdicts
from cmvsim.report.columns import WIDTH, aligned
from cmvsim.report.power_text import plain_table
from cmvsim.report.style import png
from cmvsim.report.trial_text import parts_of
from cmvsim.report.validation_lines import COMPARISON, lines_of, spread
from cmvsim.scenarios import resolve

SIZES = (60, 120)


@pytest.mark.parametrize(
    ("values", "total", "form", "told"),
    [
        ([30.2, 12.0], 42.0, ".0f", ["30", "12"]),
        ([30.5, 12.5], 43.0, ".0f", ["31", "12"]),
        ([18.24, 7.26], 25.5, ".1f", ["18.2", "7.3"]),
        ([345.4, 345.4], 691.0, ".0f", ["346", "345"]),
        ([10.0, 20.0], 50.0, ".0f", ["10", "20"]),  # no parts of this whole
    ],
)
def test_rounded_parts_add_up(values: list[float], total: float, form: str, told: list[str]) -> None:
    assert parts_of(values, total, form) == told


def test_a_table_fits_the_terminal_and_breaks_no_number_and_no_id() -> None:
    head = ["N", "endpoint", "a rather long header of a column", "why it is so"]
    body = ["1,234", "cmv_polymerase_mutation", "0.1234", "a text that goes on and on " * 8]
    lines = aligned([head, body])
    assert max(len(line) for line in lines) <= WIDTH
    whole = "\n".join(lines)
    assert "1,234" in whole
    assert "cmv_polymerase_mutation" in whole
    assert " ".join(whole.split()).count("goes") == 8
    narrow = [["a", "b"], ["x", "1"], ["longer", "22"]]
    assert aligned(narrow) == ["a        b", "x        1", "longer  22"]


def test_a_long_table_says_where_the_rest_is() -> None:
    table = [["n"], *([str(k)] for k in range(100))]
    assert plain_table(table, most=10).splitlines()[-1] == "... and 90 more lines, in rows.csv of the run folder"
    assert plain_table(table).count("\n") == 100


def validated(coverage: dict[str, float], scales: dict[str, str]) -> dict[str, Any]:
    rows = [
        {
            "scenario": scenario,
            "n": n,
            "endpoint": "e",
            "estimator": name,
            "term": "",
            "measure": measure,
            "value": value if measure == "coverage" else 0.1,
            "mcse": 0.01,
        }
        for scenario in ("one", "two")
        for n in SIZES
        for name, value in coverage.items()
        for measure in ("coverage", "standardised_bias")
    ]
    bounds = {"coverage": (0.925, 1.0), "standardised_bias": (-0.25, 0.25)}
    return {
        "scenarios": [{"id": "one"}, {"id": "two"}],
        "sizes": list(SIZES),
        "labels": {"e": "An endpoint"},
        "level": 0.95,
        "replicates": 400,
        "rows": rows,
        "estimators": [
            {"endpoint": "e", "estimator": name, "label": f"The {name}", "scale": scales[name]} for name in coverage
        ],
        "tolerances": [{"measure": name, "low": low, "high": high} for name, (low, high) in bounds.items()],
        "verdicts": [
            {
                "scenario": "one",
                "endpoint": "e",
                "estimator": name,
                "term": "",
                "verdict": "fails" if name == "naive" else "unclear",
                "declared": name == "naive",
            }
            for name in coverage
        ],
        "judged": [
            {**row, "verdict": "fails" if row["estimator"] == "naive" else "unclear"}
            for row in rows
            if row["measure"] == "coverage"
        ],
    }


def test_figures_group_analyses_draw_equal_ones_once_and_clip_what_is_far_off() -> None:
    coverage = {"first": 0.94, "same": 0.94, "ratio": 0.95, "naive": 0.3, **{f"more{k}": 0.9 + 0.01 * k for k in range(6)}}
    scales = {name: "hazard_ratio" if name == "ratio" else "probability" for name in coverage}
    tree = validated(coverage, scales)
    lines = lines_of(tree, "e")
    assert len(lines) == len(coverage) - 1
    assert lines[0].label == "The first\n= same"
    assert [line.group for line in lines][-1] == COMPARISON
    made = validation_figures.of_endpoint(tree, "e")
    assert set(made) == {"coverage", "nested-loop"}
    low, _ = made["coverage"].axes[0].get_xlim()
    assert 0.75 < low < 0.8  # the naive one is an arrow at the edge
    panels = [axes for axes in made["nested-loop"].axes if axes.get_legend() is not None]
    assert all(len(axes.get_legend().get_texts()) <= 4 for axes in panels)  # type: ignore[union-attr]
    assert len(panels) == 4  # two of rates, one of ratios, one of what is shown for comparison
    assert all(png(figure)[:4] == b"\x89PNG" for figure in made.values())


def test_a_zip_plot_has_its_scale_on_the_axis() -> None:
    key = RowKey("e", estimator="cox", term="age")
    low, high = np.linspace(0.4, 1.1, 50), np.linspace(0.9, 2.0, 50)
    panels = [ZipData(key, "log", n, low, high, np.sqrt(low * high), 1.0) for n in SIZES]
    figure = validation_figures.zip_plot(panels, title="E", level=0.95, what="Cox", scale="hazard_ratio")
    assert figure.axes[0].get_xlabel() == "cause-specific hazard ratio (log scale)"
    assert "Monte Carlo SE" in figure.axes[1].get_title(loc="left")


def test_spread_keeps_both_ends() -> None:
    assert spread(list(range(10)), 4) == [0, 3, 6, 9]
    assert spread([1, 2], 4) == [1, 2]


def test_verdicts_are_told_with_their_monte_carlo_interval() -> None:
    tree = validated({"first": 0.94, "naive": 0.3}, {"first": "probability", "naive": "probability"})
    told = validation_verdicts.sentence(tree)
    assert "coverage 94.0% ± 2.0% at N = 60" in told
    assert "1 shown for comparison fail" in told
    assert [line[1] for line in validation_verdicts.brief_table(tree)[1:]] == ["unclear", "fails (as declared)"]


def of_grid(values: list[float]) -> dict[str, Any]:
    inputs = [
        {"key": key, "label": key, "unit": "proportion", "base": 0.5, "values": given}
        for key, given in (("a", [0.2, 0.2]), ("b", [0.3, 0.6]))
    ]
    settings: list[dict[str, float]] = [{}, {"a": 0.2, "b": 0.3}, {"a": 0.2, "b": 0.6}]
    rows = [
        {"setting": setting, "measure": "half_width", "value": value, "mcse": 0.001}
        for setting, value in zip(settings, values, strict=True)
    ]
    return {
        "shape": "grid",
        "inputs": inputs,
        "rows": rows,
        "influence": [],
        "measures": {"half_width": "mean half-width"},
        "scale": "probability",
        "label": "E",
        "n": 100,
    }


def test_a_grid_of_one_value_or_without_effect_is_no_empty_figure() -> None:
    still = sensitivity_figures.figures(of_grid([0.05, 0.05, 0.05]))["grid"]
    assert "the same in all settings" in still.axes[0].get_title(loc="left")
    assert len(still.axes) == 1  # no colour scale of nothing
    moved = sensitivity_figures.figures(of_grid([0.05, 0.05, 0.06]))["grid"]
    assert [text.get_text() for text in moved.axes[0].texts] == ["5.00\n± 0.20", "6.00\n± 0.20"]
    assert "does not change" in sensitivity_text.sentence(of_grid([0.05, 0.05, 0.05]))
    assert sensitivity_text.table(of_grid([0.05, 0.05, 0.06]))[0][2] == "mean half-width (points)"


def test_ends_of_ranges_have_three_digits() -> None:
    assert [sensitivity_text.short(value, "ratio") for value in (0.99981234, 3.2411, 12345.6)] == ["1.00", "3.24", "12,346"]
    assert sensitivity_text.short(0.20812345, "proportion") == "20.8%"
    assert sensitivity_text.short(True, "") == "True"


def test_endpoints_and_the_arms_of_the_catalogue_have_french_names(tmp_path: Any) -> None:
    assert all(entry.label_fr for entry in ENDPOINTS.values())
    arms = resolve("letermovir-trial").spec.strategies
    assert all(arm.label_fr for arm in arms.values())
    own = tmp_path / "own.toml"
    own.write_text('extends = "letermovir-trial"\n[strategies.letermovir]\nlabel = "Another drug"\n', encoding="utf-8")
    changed = resolve(str(own)).spec.strategies
    assert changed["letermovir"].label_fr == ""  # the French name of another drug would be wrong
    assert changed["preemptive"].label_fr == arms["preemptive"].label_fr
    assert resolve(str(own)).digest == resolve("letermovir-trial").digest  # names are no part of what is simulated


@pytest.mark.parametrize(
    ("name", "told", "dit"),
    [
        ("cmv_disease", "CMV disease", "de maladie à CMV"),
        ("pegivirus", "pegivirus infection", "d'infection à pégivirus"),
        ("cmv_lymphoma", "any CMV DNA detected in plasma", "de la détection d'ADN du CMV (plasma)"),
    ],
)
def test_the_paragraph_names_the_event_of_its_endpoint(name: str, told: str, dit: str) -> None:
    tree = {"endpoints": [name], "analysis": {"definition": "detected"}, "study": {"matrix": "plasma", "lloq": 35.0}}
    assert protocol_text.event_of(name, tree, protocol_text.EN, protocol_text.english) == told
    assert protocol_text.event_of(name, tree, protocol_text.FR, protocol_text.french) == dit
