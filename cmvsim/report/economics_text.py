"""Words and tables of an economic evaluation from PSA samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.power_text import markdown_table, plain_table

Results = Mapping[str, Any]

STATUS = {"ND": "frontier", "ED": "extendedly dominated", "D": "dominated"}
TIES = "Ties go to the strategy named first; a strategy exactly on the line between its neighbours stays on the frontier."


def money(value: float | None) -> str:
    """Three digits at least: 12,345 or 1.23."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def amount(value: float | None) -> str:
    """An effect, four significant digits."""
    return "-" if value is None else f"{value:.4g}"


def share(value: float) -> str:
    """A probability in percent."""
    return f"{100 * value:.1f}%"


def decision_table(results: Results) -> list[list[str]]:
    """Strategies in order of cost with their ratios."""
    lines = [["strategy", "cost", "effect", "more cost", "more effect", "ratio", "95% interval", "against", "status"]]
    for row in results["table"]:
        if row["interval"] is None:
            interval = "-"
        elif row["interval"]["refused"]:
            interval = "unbounded"
        else:
            interval = f"{money(row['interval']['low'])} to {money(row['interval']['high'])}"
        status = STATUS[row["status"]]
        if row["dominated_by"]:
            status += f" by {' and '.join(row['dominated_by'])}"
        lines.append(
            [
                row["strategy"],
                money(row["cost"]),
                amount(row["effect"]),
                money(row["increment_cost"]),
                amount(row["increment_effect"]),
                money(row["icer"]),
                interval,
                row["against"] or "-",
                status,
            ]
        )
    return lines


def choice_table(results: Results) -> list[list[str]]:
    """What is best at each threshold of interest, how surely, and what knowing more would be worth."""
    lines = [["threshold", "highest expected net benefit", "best with probability", "EVPI (MCSE)", "EVPI smoothed (SE)"]]
    for row in results["choices"]:
        smoothed = "-" if row["evpi_smoothed"] is None else f"{money(row['evpi_smoothed'])} ({money(row['evpi_smoothed_se'])})"
        lines.append(
            [
                money(row["threshold"]),
                row["chosen"],
                f"{share(row['probability'])} (MCSE {100 * row['probability_mcse']:.1f})",
                f"{money(row['evpi'])} ({money(row['evpi_mcse'])})",
                smoothed,
            ]
        )
    return lines


def partial_table(results: Results, most: int = 12) -> list[list[str]]:
    """EVPPI at the thresholds of interest, the largest first."""
    thresholds = [row["threshold"] for row in results["choices"]]
    cells: dict[str, dict[float, Any]] = {}
    for row in results["evppi"]:
        if row["threshold"] in thresholds:
            cells.setdefault(row["parameter"], {})[row["threshold"]] = row
    order = sorted(cells, key=lambda name: -max(row["value"] for row in cells[name].values()))[:most]
    lines = [["input or group", *(f"EVPPI at {money(threshold)} (SE)" for threshold in thresholds)]]
    for name in order:
        values = [cells[name][threshold] for threshold in thresholds]
        lines.append([name, *(f"{money(row['value'])} ({money(row['se'])})" for row in values)])
    return lines


def sentence(results: Results) -> str:
    """The answer in words."""
    on = [row for row in results["table"] if row["status"] == "ND"]
    first, rest = on[0], on[1:]
    if not rest:
        return f"{first['strategy']} costs least and no other strategy is more effective: the others are dominated."
    parts = [f"{first['strategy']} up to a threshold of {money(rest[0]['icer'])}"]
    for row, after in zip(rest, [*rest[1:], None], strict=True):
        upto = f" to {money(after['icer'])}" if after else ""
        parts.append(f"{row['strategy']} from {money(row['icer'])}{upto}")
    return f"Highest expected net benefit by threshold: {', '.join(parts)}."


def plain(results: Results) -> str:
    """What the terminal shows."""
    parts = [sentence(results), "", plain_table(decision_table(results)), "", plain_table(choice_table(results))]
    if results["evppi"]:
        parts += ["", plain_table(partial_table(results, most=8))]
    return "\n".join([*parts, *(f"\nNote: {note}" for note in results["warnings"])])


def summary(results: Results, pictures: Sequence[str]) -> str:
    """``summary.md``."""
    count, strategies = results["draws"], len(results["strategies"])
    lines = [
        "# Decision table and value of information",
        "",
        sentence(results),
        "",
        f"From {count:,} draws of {strategies} strategies ({results['source']}); comparator: {results['comparator']}.{_units(results)}",
        "",
        "## Decision table",
        "",
        markdown_table(decision_table(results)),
        "",
        f"{TIES} Interval: Fieller's, for the uncertainty of the inputs as the draws show it; none where it is unbounded.",
        *(f"\nNo interval for {row['strategy']}: {row['interval']['refused']}." for row in _refused(results)),
        "",
        "## What to choose, and what knowing more is worth",
        "",
        _interest(results),
        "",
        markdown_table(choice_table(results)),
        "",
        (
            "The acceptability frontier is that of the strategy with the highest expected net benefit. EVPI from the draws as they are "
            "is too high where each draw is a mean over few simulated patients; smoothed, it keeps what the inputs explain."
        ),
    ]
    if results["evppi"]:
        lines += ["", "## Which input to learn", "", markdown_table(partial_table(results))]
        lines += ["", "By regression of net benefit on each input; all numbers in `evppi.csv`."]
    if results["warnings"]:
        lines += ["", "## Notes", "", *(f"- {note}" for note in results["warnings"])]
    lines += ["", *(f"![{name}]({name})" for name in pictures)]
    return "\n".join(lines) + "\n"


def _refused(results: Results) -> list[Mapping[str, Any]]:
    return [row for row in results["table"] if row["interval"] and row["interval"]["refused"]]


def _units(results: Results) -> str:
    units = results["units"]
    words = [f"{word} in {units[key]}" for word, key in (("Cost", "currency"), ("effect", "effect")) if units[key]]
    return f" {', '.join(words)}; net benefit for each patient." if words else ""


def _interest(results: Results) -> str:
    if results["thresholds_asked"]:
        return "At the thresholds asked for:"
    return (
        "No threshold was asked for, and none is official in France: shown at a quarter, the middle and three quarters of the "
        "range; all of it is in `ceac.csv` and `evpi.csv`."
    )
