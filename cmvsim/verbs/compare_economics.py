"""Two economic evaluations side by side: what a strategy costs and gains, at which price and threshold it is chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

Tree = Mapping[str, Any]
Cell = tuple[str, dict[str, Any], str, Any, Any]
"""Section, key, measure, value and its standard error, None where there is none."""

PER_PATIENT, AGAINST, BY_THRESHOLD = "per patient", "against the comparator", "by threshold"
PROBABILISTIC = "means of the draws"
INFORMATION, STUDY = "value of information per patient", "value of the study by size"


def economics_of(verb: str, results: Sequence[Tree], beyond: float) -> dict[str, Any] | None:
    """What differs between the answers of two runs; None for verbs without strategies.

    Parameters
    ----------
    verb
        Of both runs.
    beyond
        Standard errors of a difference from which on it is marked. The runs are taken as independent.
    """
    if verb not in _CELLS:
        return None
    cells = [{_place(cell): cell for cell in _CELLS[verb](tree)} for tree in results]
    both = [place for place in cells[0] if place in cells[1]]
    return {
        "strategies": _strategies(results),
        "numbers": [_number(cells[0][place], cells[1][place], beyond) for place in both],
        "ratios": _joined(_ratios, results, ("strategy",)),
        "choices": _joined(_choices, results, ("basis", "threshold")),
    }


def _place(cell: Cell) -> tuple[Any, ...]:
    section, key, measure, _, _ = cell
    return (section, *key.items(), measure)


def _number(left: Cell, right: Cell, beyond: float) -> dict[str, Any]:
    section, key, measure, a, a_se = left
    _, _, _, b, b_se = right
    difference = None if a is None or b is None else b - a
    se = None if a_se is None or b_se is None else math.hypot(a_se, b_se)
    return {
        "section": section,
        "key": key,
        "measure": measure,
        "left": a,
        "right": b,
        "left_se": a_se,
        "right_se": b_se,
        "difference": difference,
        "se": se,
        "beyond": None if difference is None or se is None else bool(abs(difference) > beyond * se),
    }


def _strategies(results: Sequence[Tree]) -> list[dict[str, Any]]:
    """Every strategy with its label, and the runs it is in."""
    named = [_labels(tree) for tree in results]
    return [
        {"strategy": name, "label": named[0].get(name) or named[1].get(name, name), "in": _where(name, named)}
        for name in dict.fromkeys([*named[0], *named[1]])
    ]


def _where(name: str, named: Sequence[Mapping[str, str]]) -> str:
    if all(name in labels for labels in named):
        return "both"
    return "left" if name in named[0] else "right"


def _labels(tree: Tree) -> dict[str, str]:
    labels = tree.get("labels") or tree.get("settings", {}).get("labels", {})
    names = [entry if isinstance(entry, str) else entry["strategy"] for entry in tree["strategies"]]
    return {name: labels.get(name, name) for name in names}


# --- numbers ----------------------------------------------------------------------------------------------------------


def _of_run(tree: Tree) -> Iterator[Cell]:
    for row in tree["strategies"]:
        key = {"strategy": row["strategy"]}
        yield PER_PATIENT, key, "cost", *_mean(row["cost"])
        yield PER_PATIENT, key, "QALYs", *_mean(row["qaly"])
        yield PER_PATIENT, key, "life-years", *_mean(row["life_years"])
    for row in tree["increments"]:
        key = {"strategy": row["strategy"]}
        yield AGAINST, key, "more cost", *_mean(row["cost"])
        yield AGAINST, key, "QALYs gained", *_mean(row["qaly"])
        yield AGAINST, key, "infections averted", *_mean(row["infections_averted"])
        yield AGAINST, key, "days of letermovir", row["drug_days"], None
        for threshold, benefit, price in zip(tree["thresholds"], row["net_benefit"], row["break_even_price"], strict=True):
            at = {**key, "threshold": threshold}
            yield BY_THRESHOLD, at, "net benefit", *_mean(benefit)
            yield BY_THRESHOLD, at, "break-even price", *_mean(price)
    for row in tree.get("psa", {}).get("increments", ()):
        key = {"strategy": row["strategy"]}
        yield PROBABILISTIC, key, "more cost", *_mean(row["cost"])
        yield PROBABILISTIC, key, "QALYs gained", *_mean(row["qaly"])
        for threshold, price, share in zip(tree["thresholds"], row["break_even_price"], row["acceptable"], strict=True):
            at = {**key, "threshold": threshold}
            yield PROBABILISTIC, at, "break-even price", price, None
            yield PROBABILISTIC, at, "probability of being worth it", share, None


def _of_table(tree: Tree) -> Iterator[Cell]:
    for row in tree["table"]:
        yield PER_PATIENT, {"strategy": row["strategy"]}, "cost", row["cost"], None
        yield PER_PATIENT, {"strategy": row["strategy"]}, "effect", row["effect"], None
    for row in tree["curves"]:
        at = {"strategy": row["strategy"], "threshold": row["threshold"]}
        yield BY_THRESHOLD, at, "net benefit", row["net_monetary_benefit"], row["net_monetary_benefit_mcse"]
        yield BY_THRESHOLD, at, "probability of being best", row["probability_best"], row["probability_best_mcse"]
    for row in tree["evpi"]:
        yield INFORMATION, {"of": "everything", "threshold": row["threshold"]}, "EVPI", row["evpi"], row["evpi_mcse"]


def _of_information(tree: Tree) -> Iterator[Cell]:
    today, everything, informed = tree["today_evpi"], tree["evpi"], tree["informed"]
    yield INFORMATION, {"of": "everything, at today's price"}, "EVPI", today["smoothed"], today["smoothed_se"]
    yield INFORMATION, {"of": "everything"}, "EVPI", everything["smoothed"], everything["se"]
    for row in tree["groups"]:
        yield INFORMATION, {"of": row["group"]}, "EVPPI", row["value"], row["se"]
    yield INFORMATION, {"of": "what the study informs"}, "EVPPI", informed["value"], informed["se"]
    yield INFORMATION, {"of": "the strategy"}, "break-even price", tree["break_even"]["price"], None
    yield INFORMATION, {"of": "the decision"}, "price of a day", tree["price"], None
    for row in tree["evsi"]:
        yield STUDY, {"patients": row["patients"]}, "EVSI", row["value"], row["se"]
    for row in tree["enbs"]:
        yield STUDY, {"patients": row["patients"]}, "ENBS", row["value"], row["se"]
    yield STUDY, {"patients": None}, "best size", tree["best_size"], None


def _mean(tree: Tree) -> tuple[Any, Any]:
    return tree["value"], tree["se"]


_CELLS: dict[str, Callable[[Tree], Iterable[Cell]]] = {
    "economics": _of_run,
    "economics-table": _of_table,
    "economics-voi": _of_information,
}


# --- ratios and choices -----------------------------------------------------------------------------------------------


def _ratios(tree: Tree) -> Iterator[dict[str, Any]]:
    """Cost per unit of effect along the frontier, and where the strategy stands."""
    for row in tree.get("frontier") or tree.get("table", ()):
        yield {"strategy": row["strategy"], "icer": row["icer"], "status": row["status"], "against": row["against"] or None}


def _choices(tree: Tree) -> Iterator[dict[str, Any]]:
    """The strategy with the highest expected net benefit at each threshold."""
    for row in tree.get("choices", ()):
        yield {"basis": PROBABILISTIC, "threshold": row["threshold"], "chosen": row["chosen"]}
    if "increments" in tree:
        yield from _best("base case", tree["increments"], tree["thresholds"], lambda row, k: row["net_benefit"][k]["value"])
    if "psa" in tree:
        yield from _best(PROBABILISTIC, tree["psa"]["increments"], tree["thresholds"], lambda row, k: row["net_benefit"][k])


def _best(
    basis: str, rows: Sequence[Tree], thresholds: Sequence[float], of: Callable[[Tree, int], float]
) -> Iterator[dict[str, Any]]:
    for k, threshold in enumerate(thresholds):
        best = max(rows, key=lambda row: of(row, k))
        chosen = best["strategy"] if of(best, k) > 0 else best["against"]  # increments: the comparator has 0
        yield {"basis": basis, "threshold": threshold, "chosen": chosen}


def _joined(
    of: Callable[[Tree], Iterable[dict[str, Any]]], results: Sequence[Tree], names: tuple[str, ...]
) -> list[dict[str, Any]]:
    """Entries that both runs have, each with its two sides."""
    left, right = ({tuple(row[name] for name in names): row for row in of(tree)} for tree in results)
    return [
        {
            **{name: left[key][name] for name in names},
            "left": {name: value for name, value in left[key].items() if name not in names},
            "right": {name: value for name, value in right[key].items() if name not in names},
        }
        for key in left
        if key in right
    ]
