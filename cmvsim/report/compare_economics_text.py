"""Two economic evaluations side by side, as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cmvsim.report.economics_answer import ratio
from cmvsim.report.power_text import plain_table

Row = Mapping[str, Any]
DIGITS = {"QALYs": 5, "QALYs gained": 5, "life-years": 5, "effect": 5, "infections averted": 4, "days of letermovir": 2}
"""Decimals of a measure; amounts have none, shares three."""
SHARES = ("probability of being worth it", "probability of being best")
WORDS = {"D": "dominated", "ED": "extendedly dominated"}
MARK = "*"
MOST = 6
"""Thresholds in a table, unless all are wanted."""


def economics_text(part: Mapping[str, Any], beyond: float, *, same_seed: bool, every_row: bool) -> list[str]:
    """What the command prints of two evaluations: strategies, choices, means, ratios, thresholds."""
    lines = [*_strategies(part["strategies"]), _choices(part["choices"]), _ratios(part["ratios"])]
    for section in dict.fromkeys(row["section"] for row in part["numbers"]):
        rows = [row for row in part["numbers"] if row["section"] == section]
        plain = [row for row in rows if "threshold" not in row["key"]]
        if plain:
            lines.append(f"{_capital(section)}:\n{plain_table(_table(plain))}")
        for measure in dict.fromkeys(row["measure"] for row in rows if "threshold" in row["key"]):
            wide = [row for row in rows if row["measure"] == measure and "threshold" in row["key"]]
            lines.append(f"{_capital(section)}, {measure}, left -> right:\n{plain_table(_by_threshold(wide, every_row))}")
    if any(row["beyond"] for row in part["numbers"]):
        shared = "; they have the same seed, so the error of a difference is smaller than said" if same_seed else ""
        lines.append(f"{MARK} differs by more than {beyond:g} standard errors, the runs taken as independent{shared}.")
    return [line for line in lines if line]


def _strategies(rows: Iterable[Row]) -> list[str]:
    alone = [f"{row['strategy']} ({row['label']})" for row in rows if row["in"] == "left"]
    other = [f"{row['strategy']} ({row['label']})" for row in rows if row["in"] == "right"]
    return [f"Strategies only {side}: {', '.join(names)}." for side, names in (("left", alone), ("right", other)) if names]


def _table(rows: Sequence[Row]) -> list[list[str]]:
    names = list(dict.fromkeys(name for row in rows for name in row["key"]))
    head = [*names, "measure", "left", "right", "difference", "SE", ""]
    return [
        head,
        *(
            [
                *(_name(row["key"].get(name)) for name in names),
                row["measure"],
                *(amount(row[side], row["measure"]) for side in ("left", "right")),
                amount(row["difference"], row["measure"], signed=True),
                amount(row["se"], row["measure"]),
                MARK if row["beyond"] else "",
            ]
            for row in rows
        ),
    ]


def _by_threshold(rows: Sequence[Row], every_row: bool) -> list[list[str]]:
    """A line for each strategy, a column for each threshold, or for some of them spread over the range."""
    (first, *_) = (name for name in rows[0]["key"] if name != "threshold")
    thresholds = sorted({row["key"]["threshold"] for row in rows})
    if not every_row and len(thresholds) > MOST:
        thresholds = [thresholds[round(k * (len(thresholds) - 1) / (MOST - 1))] for k in range(MOST)]
    cells = {(row["key"][first], row["key"]["threshold"]): _change(row) for row in rows}
    lines = dict.fromkeys(row["key"][first] for row in rows)
    return [
        [first, *(f"at {value:,.0f}" for value in thresholds)],
        *([str(name), *(cells.get((name, value), "-") for value in thresholds)] for name in lines),
    ]


def _change(row: Row) -> str:
    left, right = (amount(row[side], row["measure"]) for side in ("left", "right"))
    return left if left == right else f"{left} -> {right}{MARK if row['beyond'] else ''}"


def _ratios(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    told = [[row["strategy"], *(_ratio(row[side]) for side in ("left", "right"))] for row in rows]
    return f"Cost per unit of effect along the frontier:\n{plain_table([['strategy', 'left', 'right'], *told])}"


def _ratio(side: Row) -> str:
    if side["status"] in WORDS:
        return WORDS[side["status"]]
    return "reference" if side["icer"] is None else f"{ratio(side['icer'])} against {side['against']}"


def _choices(rows: Sequence[Row]) -> str:
    """The choice at each threshold; thresholds in a row with the same choices are one line."""
    if not rows:
        return ""
    runs: list[list[Row]] = []
    for row in rows:
        if runs and all(runs[-1][0][name] == row[name] for name in ("basis", "left", "right")):
            runs[-1].append(row)
        else:
            runs.append([row])
    table = [["by", "thresholds", "left", "right", ""]]
    for alike in runs:
        ends = dict.fromkeys(f"{row['threshold']:,.0f}" for row in (alike[0], alike[-1]))
        left, right = (alike[0][side]["chosen"] for side in ("left", "right"))
        table.append([alike[0]["basis"], " to ".join(ends), left, right, "" if left == right else "another choice"])
    return f"Highest expected net benefit:\n{plain_table(table)}"


def amount(value: float | None, measure: str, *, signed: bool = False) -> str:
    """A number with the decimals of its measure."""
    if value is None:
        return "-"
    digits = 3 if measure in SHARES else DIGITS.get(measure, 0 if abs(value) >= 100 or value == int(value) else 2)
    return f"{value:{'+' if signed and value else ''},.{digits}f}"


def _name(value: Any) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
