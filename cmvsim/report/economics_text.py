"""Words and tables of an economic evaluation from PSA samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.economics_terms_text import terms_section
from cmvsim.report.power_text import markdown_table, plain_table

Results = Mapping[str, Any]

STATUS = {"ND": "frontier", "ED": "extendedly dominated", "D": "dominated"}
DRAWS_PER_INPUT = 5
ALT = {
    "plane": "Cost-effectiveness plane: increments of cost and effect of every draw, and their means, by strategy",
    "acceptability": "Acceptability: probability of each strategy of being best by threshold, from the draws as they are",
    "acceptability-smoothed": "Acceptability: probability of each strategy of being best by threshold, smoothed by regression",
    "net-benefit": "Expected net benefit of each strategy above the comparator's by threshold",
    "expected-loss": "Expected loss of each strategy by threshold; the lowest is the value of perfect information",
    "evpi": "Value of perfect information by threshold, raw and smoothed",
    "evppi": "Value of learning each input exactly, at the thresholds of interest",
}
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
    if not any(row["value"] > 0 for row in results["evppi"]):
        return []
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
    if partial := partial_table(results, most=8):
        parts += ["", plain_table(partial)]
    return "\n".join([*parts, *(f"\nNote: {note}" for note in results["warnings"])])


def summary(results: Results, pictures: Sequence[str]) -> str:
    """``summary.md``."""
    count, strategies = results["draws"], len(results["strategies"])
    lines = [
        "# Decision table and value of information",
        "",
        sentence(results),
        "",
        (
            f"From {count:,} draws of {strategies} strategies ({results['source']}); comparator: "
            f"{results['comparator']}.{_units(results)}"
        ),
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
            "The acceptability frontier is that of the strategy with the highest expected net benefit. EVPI from the draws "
            "as they are "
            "is too high where each draw is a mean over few simulated patients; smoothed, it keeps what the inputs explain."
        ),
    ]
    if results["evppi"]:
        lines += ["", "## Which input to learn", "", *_partial(results)]
    if results["warnings"]:
        lines += ["", "## Notes", "", *(f"- {note}" for note in results["warnings"])]
    lines += [
        "",
        "## Figures",
        "",
        *_few(results),
        *(line for name in pictures for line in (f"![{alt_text(name, results)}]({name})", "")),
    ]
    lines += terms_section("\n".join(lines))
    return "\n".join(lines) + "\n"


def _partial(results: Results) -> list[str]:
    """Value of learning single inputs and groups, with what to think of few draws."""
    table = partial_table(results)
    count = len({row["parameter"] for row in results["evppi"]})
    if not table:
        return [
            f"Nothing: EVPPI is 0 for each of {count} inputs and groups at every threshold, as no draw makes another choice better."
        ]
    text = "By regression of net benefit on each input; all numbers in `evppi.csv`."
    few = results["draws"] < DRAWS_PER_INPUT * count
    if few:
        text += (
            f" {results['draws']:,} draws are few for {count} inputs: the largest of so many values is large by chance too, most where "
            "strategies are about equally good. More draws lower what chance shows."
        )
    return [markdown_table(table), "", text]


def _few(results: Results) -> list[str]:
    """What to think of a tornado from few draws."""
    if not results["tornado"] or results["draws"] >= DRAWS_PER_INPUT * len(results["inputs"]):
        return []
    return [
        (
            f"Bars of the tornado are what a regression on each input alone finds: with {results['draws']:,} draws for "
            f"{len(results['inputs'])} inputs the longest are long by chance too."
        ),
        "",
    ]


def alt_text(name: str, results: Results) -> str:
    """What a figure shows, for those who do not see it."""
    stem = name.removeprefix("figures/").removesuffix(".png")
    if stem.startswith("tornado-"):
        at = money(float(stem.removeprefix("tornado-")))
        return f"Tornado at a threshold of {at}: expected net benefit at the ends of each input, the longest bar first"
    best = list(dict.fromkeys(row["chosen"] for row in results["choices"]))
    said = f"; highest expected net benefit at the thresholds of interest: {', then '.join(best)}" if best else ""
    return ALT[stem] + (said if stem.startswith("acceptability") else "")


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
