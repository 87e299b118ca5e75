"""The verdicts of a validation in words: the sentence, why an analysis does not hold, tables for page and terminal."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Z95 = 1.959963984540054
MEASURES = {
    "standardised_bias": ("bias / SE", "+.2f"),
    "relative_se_error": ("SE error", "+.1%"),
    "coverage": ("coverage", ".1%"),
    "type1": ("type I error", ".1%"),
    "p_not_estimable": ("no estimate", ".1%"),
}
"""Of judged measures: what they are called in tables, and how they are written."""
NAMED = 3
REASONS = 2
WORST_FIRST = ("fails", "unclear", "fails (as declared)", "holds")

Item = Mapping[str, Any]


def sentence(results: Item) -> str:
    """The answer in plain words."""
    counted = [item for item in results["verdicts"] if not item["declared"]]
    words = {word: [item for item in counted if item["verdict"] == word] for word in ("holds", "unclear", "fails")}
    sizes = ", ".join(str(n) for n in results["sizes"])
    scenarios = ", ".join(item["id"] for item in results["scenarios"])
    ok, of = f"{len(words['holds'])} of {len(counted)} analyses hold their tolerances", f"{results['replicates']:,}"
    parts = [f"{ok} in {of} simulated studies of N = {sizes} ({scenarios})."]
    if words["fails"]:
        parts.append(f"Beyond tolerance: {_named(results, words['fails'])}.")
    if words["unclear"]:
        are = "is" if len(words["unclear"]) == 1 else "are"
        parts.append(
            f"{len(words['unclear'])} {are} unclear, as a Monte Carlo interval reaches over a tolerance"
            f"{_enough(results, words['unclear'])}: {_named(results, words['unclear'])}."
        )
    shown = [item for item in results["verdicts"] if item["declared"] and item["verdict"] == "fails"]
    if shown:
        parts.append(f"{len(shown)} shown for comparison fail, as their notes say they do.")
    return " ".join(parts)


def _named(results: Item, items: Sequence[Item]) -> str:
    several, groups = len(results["scenarios"]) > 1, _by_estimator(items)
    told = [f"{analysis(group, several=several)} ({reasons(results, group[0], 1)})" for group in groups[:NAMED]]
    rest = sum(len(group) for group in groups[NAMED:])
    return "; ".join(told) + (f"; and {rest} more" if rest else "")


def _by_estimator(items: Sequence[Item]) -> list[list[Item]]:
    """Terms of one estimator with one verdict together: a model of eight covariates is one thing to a reader."""
    groups: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        groups.setdefault((item["scenario"], item["endpoint"], item["estimator"], _word(item)), []).append(item)
    return list(groups.values())


def analysis(group: Sequence[Item], *, several: bool) -> str:
    """What was judged: scenario (if there are several), endpoint, estimator, and the term or how many."""
    item = group[0]
    term = item["term"] if len(group) == 1 else f"({len(group)} terms)"
    return " ".join(name for name in (item["scenario"] if several else "", item["endpoint"], item["estimator"], term) if name)


def _enough(results: Item, items: Sequence[Item]) -> str:
    """How many studies would decide half of what is unclear, were the figures what they are now."""
    bounds = {item["measure"]: (item["low"], item["high"]) for item in results["tolerances"]}
    needed = []
    for item in items:
        each = []
        for row in _mine(results, item, "unclear"):
            away = min(abs(row["value"] - bound) for bound in bounds[row["measure"]])
            each.append((Z95 * row["mcse"] / away) ** 2 if away > 0 and row["mcse"] else float("inf"))
        needed.append(max(each, default=float("inf")))
    factor = statistics.median(needed)
    if not 1 < factor < 1000:
        return ""
    studies = float(f"{factor * results['replicates']:.1g}")
    return f" (about {studies:,.0f} studies would decide half of them)"


def _mine(results: Item, item: Item, word: str) -> list[Item]:
    """Judged measures of an analysis with a verdict."""
    keys = ("scenario", "endpoint", "estimator", "term")
    return [row for row in results["judged"] if row["verdict"] == word and all(row[key] == item[key] for key in keys)]


def reasons(results: Item, item: Item, most: int = REASONS) -> str:
    """The measures that give an analysis its verdict, those farthest beyond their tolerance first."""
    if item["verdict"] == "holds":
        return ""
    bounds = {of["measure"]: (of["low"], of["high"]) for of in results["tolerances"]}

    def beyond(row: Item) -> float:
        low, high = bounds[row["measure"]]
        end = Z95 * (row["mcse"] or 0.0)
        return float(max(low - row["value"] + end, row["value"] + end - high) / (high - low))

    rows = sorted(_mine(results, item, item["verdict"]), key=beyond, reverse=True)
    more = f"; {len(rows) - most} more" if len(rows) > most else ""
    return "; ".join(_figure(row) for row in rows[:most]) + more


def _figure(row: Item) -> str:
    """A judged measure with the half of its 95% Monte Carlo interval."""
    label, form = MEASURES[row["measure"]]
    half = "" if row["mcse"] is None else f" ± {Z95 * row['mcse']:{form.lstrip('+')}}"
    return f"{label} {row['value']:{form}}{half} at N = {row['n']}"


def _word(item: Item) -> str:
    return str(item["verdict"]) + (" (as declared)" if item["declared"] and item["verdict"] == "fails" else "")


def verdict_table(results: Item) -> list[list[str]]:
    """One line per analysis, header first."""
    lines = [["scenario", "endpoint", "estimator", "term", "verdict", "why (± half of the 95% Monte Carlo interval)"]]
    for item in results["verdicts"]:
        names = [item[key] for key in ("scenario", "endpoint", "estimator", "term")]
        lines.append([*names, _word(item), reasons(results, item)])
    return lines


def brief_table(results: Item) -> list[list[str]]:
    """For the terminal: what does not hold, worst first, a line for each estimator; only the header if all holds."""
    several = len(results["scenarios"]) > 1
    groups = _by_estimator([item for item in results["verdicts"] if item["verdict"] != "holds"])
    groups.sort(key=lambda group: WORST_FIRST.index(_word(group[0])))
    head = ["analysis", "verdict", "why (± half of the 95% Monte Carlo interval)"]
    return [head, *([analysis(group, several=several), _word(group[0]), reasons(results, group[0], 1)] for group in groups)]


def tolerance_line(results: Item) -> str:
    """The tolerances on one line."""
    return ", ".join(
        f"{MEASURES[item['measure']][0]} {_bound(item, 'low')} to {_bound(item, 'high')}" for item in results["tolerances"]
    )


def _bound(item: Item, end: str) -> str:
    """A bound of a tolerance as its measure is written."""
    return f"{100 * item[end]:g}%" if MEASURES[item["measure"]][1].endswith("%") else f"{item[end]:g}"
