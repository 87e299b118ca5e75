"""Two runs side by side, as text for the terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cmvsim.report.compare_economics_text import economics_text
from cmvsim.report.power_text import plain_table

LONGEST = 60
MOST = 40
"""Lines of one table that are printed; `--json` has all."""


def comparison_text(tree: Mapping[str, Any], *, every_row: bool = False) -> str:
    """What the command prints; rows beyond their Monte Carlo error only, unless all are wanted."""
    parts = [_opening(tree)]
    for title, items in (("Asked differently", tree["asked"]), ("Scenarios differ in", tree["scenario"])):
        if items:
            table = [
                ["key", "left", "right"],
                *([item["key"], *(_cut(item[side]) for side in ("left", "right"))] for item in items[:MOST]),
            ]
            parts.append(f"{title}:\n{plain_table(table)}{_more(len(items))}")
    if tree["answers"]:
        table = [["answer", "left", "right", "difference"]]
        for item in tree["answers"]:
            ends = [_answer(item, side) for side in ("left", "right")]
            table.append([item["endpoint"], *ends, _signed(item["difference"])])
        parts.append(f"Sample sizes:\n{plain_table(table)}")
    if tree["economics"] is None:
        return "\n\n".join([*parts, *_rows(tree, every_row)])
    parts += economics_text(tree["economics"], tree["beyond"], same_seed=tree["same_seed"], every_row=every_row)
    if every_row:
        return "\n\n".join([*parts, *_rows(tree, every_row)])
    differ = sum(bool(row["difference"]) for row in tree["rows"])
    return "\n\n".join([*parts, f"Of {len(tree['rows']):,} numbers in both runs {differ:,} differ (--all, --json)."])


def _opening(tree: Mapping[str, Any]) -> str:
    left, right = tree["runs"]
    lines = [f"left:  {left['scenario']}, {tree['of']}, {left['digest'][:8]}, cmvsim {left['software_version']}"]
    lines.append(f"right: {right['scenario']}, {tree['of']}, {right['digest'][:8]}, cmvsim {right['software_version']}")
    for side, run in (("left", left), ("right", right)):
        if run["changed"]:
            lines.append(f"Note: changed after the {side} run: {', '.join(run['changed'])}")
    if left["digest"] == right["digest"]:
        lines.append("Both asked the same.")
    return "\n".join(lines)


def _rows(tree: Mapping[str, Any], every_row: bool) -> list[str]:
    rows, only = tree["rows"], [len(tree["only_left"]), len(tree["only_right"])]
    if not rows and not any(only):
        return []
    told = [f"{len(rows)} rows in both runs" + (f"; only left {only[0]}, only right {only[1]}" if any(only) else "")]
    if not rows:
        return [told[0] + ". Rows are joined on all their keys: --ignore n joins those of different sizes."]
    measured = "mcse" in rows[0]
    marked = [row for row in rows if row.get("beyond")] if measured else [row for row in rows if row["difference"]]
    equal = sum(row["left"] == row["right"] for row in rows)
    what = f"{len(marked)} differ by more than {tree['beyond']:g} MCSE" if measured else f"{len(marked)} differ"
    unknown = sum(row["mcse"] is None and bool(row["difference"]) for row in rows) if measured else 0
    told.append(f"{equal} are equal, {what}{f', {unknown} differ without a standard error (--all)' if unknown else ''}.")
    if measured and tree["same_seed"] and marked:
        told.append(
            "Both runs have the same seed and share random numbers, so that the error of a difference is smaller than said."
        )
    shown = rows if every_row else marked
    if shown:
        keys = [key for key in dict.fromkeys(key for row in shown for key in row["key"]) if _varies(rows, key)]
        head = [*keys, "left", "right", "difference", *(["MCSE", "beyond"] if measured else [])]
        table = [head, *([*(_cell(row["key"].get(key, "")) for key in keys), *_numbers(row, measured)] for row in shown[:MOST])]
        told.append(f"\n{plain_table(table)}{_more(len(shown))}")
    return ["\n".join(told)]


def _varies(rows: list[dict[str, Any]], key: str) -> bool:
    """A key that is the same everywhere tells nothing, but for the measure."""
    return key in {"measure", "endpoint"} or len({str(row["key"].get(key)) for row in rows}) > 1


def _numbers(row: Mapping[str, Any], measured: bool) -> list[str]:
    told = [_cell(row["left"]), _cell(row["right"]), _signed(row["difference"])]
    return [*told, _cell(row["mcse"]), {True: "yes", False: "no", None: "-"}[row["beyond"]]] if measured else told


def _answer(item: Mapping[str, Any], side: str) -> str:
    if item[side] is None:
        return "not reached"
    low, high = item[f"{side}_ci_low"], item[f"{side}_ci_high"]
    return f"{item[side]:,}" + (f" ({low:g} to {high:g})" if low is not None and high is not None else "")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _signed(value: Any) -> str:
    return "-" if value is None else f"{value:+.4g}" if value else "0"


def _cut(text: str) -> str:
    """A value as short as it can be told apart by."""
    text = re.sub(r"-?\d+\.\d{7,}", lambda found: f"{float(found[0]):.6g}", text)
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _more(total: int) -> str:
    return f"\n... and {total - MOST:,} more (--json has all)" if total > MOST else ""
