"""What a sensitivity run says in words and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.power_text import markdown_table
from cmvsim.report.rests_on_text import rests_on_lines
from cmvsim.scenarios.words import quantity

SHARES = frozenset({"power", "p_half_width_le", "p_not_estimable"})
POINTS = frozenset({"half_width", "mean_estimate"})
PERCENT = frozenset({"probability", "risk_difference"})
"""Scales of estimates that are written in points."""
RANGE_NOTE = (
    "Low / high: the ends of the range that holds the input with 95% probability, and what the measures are at each; a ratio is a "
    "hazard or odds ratio unless its name says otherwise."
)
MOST = 15
"""Inputs in the table for people; all are in the files."""


def in_points(results: Mapping[str, Any], measure: str) -> bool:
    """Whether a measure is written as a percentage."""
    return measure in SHARES or (measure in POINTS and results["scale"] in PERCENT)


def figure(results: Mapping[str, Any], measure: str, value: float | None) -> str:
    """Write a figure of a measure: points, per cent, or a number."""
    if value is None or value != value:
        return "not estimable"
    if not in_points(results, measure):
        return f"{value:.3g}"
    return f"{100 * value:.2f}" + (" points" if measure == "half_width" else "%")


def shown(value: Any, unit: str) -> str:
    """Write the value of an input."""
    return quantity(float(value), unit) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def unit_of(results: Mapping[str, Any], measure: str) -> str:
    """Unit of a measure for a header or an axis, in brackets with a leading space; "" for a plain number."""
    if not in_points(results, measure):
        return ""
    return " (points)" if measure == "half_width" else " (%)"


def bare(results: Mapping[str, Any], measure: str, value: float | None) -> str:
    """A figure of a measure below a header that has its unit."""
    return figure(results, measure, value).removesuffix(" points").removesuffix("%")


def short(value: Any, unit: str) -> str:
    """The end of a range, below a header that has the unit: three digits, as nobody knows it better."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if unit == "proportion":
        return f"{100 * value:.3g}%"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def named(item: Mapping[str, Any]) -> str:
    """An input with its unit."""
    return (
        f"{item['label']} [{item['unit']}]" if item["unit"] not in ("", "proportion", "ratio", "correlation") else item["label"]
    )


def base_value(results: Mapping[str, Any], measure: str) -> float:
    """The figure of the scenario as it is."""
    return float(next(row["value"] for row in results["rows"] if not row["setting"] and row["measure"] == measure))


def inputs(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """What was varied, by key."""
    return {item["key"]: item for item in results["inputs"]}


def sentence(results: Mapping[str, Any]) -> str:
    """The answer."""
    measure, what = next(iter(results["measures"].items()))
    base, n = base_value(results, measure), results["n"]
    begin = f"{results['label']}, N = {n}: the {what} is {figure(results, measure, base)} in the scenario as it is."
    ranked = [row for row in results["influence"] if row["measure"] == measure]
    if not ranked:
        found = [row["value"] for row in results["rows"] if row["measure"] == measure and row["value"] is not None]
        return f"{begin} {_range(results, measure, found, 'Over the grid')}"
    if results["shape"] == "curve":
        return (
            f"{begin} {_range(results, measure, ranked[0]['results'], 'Over the values of ' + results['inputs'][0]['label'])}"
        )
    moved = [row for row in ranked if row["range"] > 0]
    if not moved:
        return f"{begin} None of the {len(ranked)} inputs varied changes it."
    top, known = [], inputs(results)
    for row in moved[:3]:
        ends = [figure(results, measure, value) for value in (min(row["results"]), max(row["results"]))]
        top.append(f"{known[row['input']]['label']} ({ends[0]} to {ends[1]})")
    over = "its 95% range" if results["shape"] == "tornado" else "the values given"
    idle = len(ranked) - len(moved)
    rest = f" {idle} of the {len(ranked)} inputs have no effect on it." if idle else ""
    return f"{begin} Each over {over}, it depends most on {', '.join(top)}.{rest}"


def _range(results: Mapping[str, Any], measure: str, values: Sequence[float], over: str) -> str:
    """From where to where a measure goes, or that it does not."""
    if not values:
        return f"{over} it cannot be estimated."
    low, high = min(values), max(values)
    if low == high:
        return f"{over} it does not change."
    return f"{over} it goes from {figure(results, measure, low)} to {figure(results, measure, high)}."


def table(results: Mapping[str, Any], most: int | None = MOST) -> list[list[str]]:
    """Inputs by influence, or the settings of a curve or grid."""
    if results["shape"] in ("curve", "grid"):
        return _settings(results)
    measures = list(results["measures"])
    known = inputs(results)
    by_measure = {m: {row["input"]: row for row in results["influence"] if row["measure"] == m} for m in measures}
    lines = [["input", "now", "low / high", *(results["measures"][m] + unit_of(results, m) for m in measures)]]
    if results["shape"] != "tornado":
        lines[0][2] = "values"
    for row in list(by_measure[measures[0]].values())[:most]:
        item = known[row["input"]]
        unit = item["unit"]
        cells = []
        for m in measures:
            results_of = by_measure[m][row["input"]]["results"]
            cells.append(" / ".join(bare(results, m, value) for value in results_of))
        values = " / ".join(short(value, unit) for value in row["values"])
        lines.append([named(item), short(item["base"], unit), values, *cells])
    return lines


def _settings(results: Mapping[str, Any]) -> list[list[str]]:
    measures, known = list(results["measures"]), inputs(results)
    lines = [[*(item["label"] for item in known.values()), *(results["measures"][m] + unit_of(results, m) for m in measures)]]
    by_setting: dict[str, dict[str, Any]] = {}
    for row in results["rows"]:
        by_setting.setdefault(str(row["setting"]), {"setting": row["setting"]})[row["measure"]] = row["value"]
    for found in by_setting.values():
        setting = found["setting"]
        first = [
            shown(setting[key], item["unit"]) if setting else f"{shown(item['base'], item['unit'])} (now)"
            for key, item in known.items()
        ]
        lines.append([*first, *(bare(results, m, found[m]) for m in measures)])
    return lines


def summary(results: Mapping[str, Any]) -> str:
    """``summary.md``."""
    from cmvsim.report.sensitivity_names import figure_names

    lines = [f"# {results['scenario']}: sensitivity", "", sentence(results), "", markdown_table(table(results)), ""]
    total = len([row for row in results["influence"] if row["measure"] == next(iter(results["measures"]))])
    if results["shape"] not in ("curve", "grid") and total > MOST:
        lines += [f"The {MOST} most influential of {total} inputs; all are in `rows.csv`.", ""]
    lines += [RANGE_NOTE, ""] if results["shape"] == "tornado" else []
    method = (
        f"Each setting was simulated in {results['replicates']:,} studies of {results['n']} patients with the same random numbers; "
        "differences from the scenario as it is are between the same patients, and `results.json` has their Monte Carlo standard "
        "errors. A setting that changes nothing in the first 64 studies is not simulated further. Hazards of CMV, infections and "
        "death are held fixed; they are solved again only where a target is varied."
    )
    lines += [method, ""]
    lines += [line for name, what in figure_names(results) for line in (f"![{_alt(results, what)}](figures/{name}.png)", "")]
    if results["warnings"]:
        lines += ["## Warnings", "", *(f"- {text}" for text in results["warnings"]), ""]
    return "\n".join([*lines, *rests_on_lines(results)]) + "\n"


def _alt(results: Mapping[str, Any], what: str) -> str:
    """What a figure shows, for who does not see it."""
    names = " and ".join(item["label"] for item in results["inputs"][:2])
    told = {"curve": f"over the values of {names}", "grid": f"in cells over {names}"}
    return f"{what} {told.get(results['shape'], 'at both ends of each input, the most influential on top')}"


def brief(results: Mapping[str, Any]) -> Sequence[Sequence[str]]:
    """The table for the terminal."""
    return table(results, 10)
