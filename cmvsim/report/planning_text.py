"""What ``power`` prints of its results, whatever the design."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from cmvsim.report import assurance_text, power_text, staged_text, trial_text

COLUMNS_NOTE = "What the columns mean is in summary.md; Monte Carlo standard errors of all figures are in rows.csv."
MOST_LINES = 40
"""Of a table in the terminal; all are in the run folder."""


def sentence(results: dict[str, Any]) -> str:
    """The answer."""
    told: str = _told(results).sentence(results)
    return told


def terminal_lines(results: dict[str, Any]) -> list[str]:
    """Tables and remarks for the terminal."""
    told = _told(results)
    lines = [_plain(told.table(results, brief=True)), ""]
    if told is trial_text:
        lines += [_plain(trial_text.arm_table(results, brief=True)), ""]
    return [*lines, *told.truth_lines(results), "", COLUMNS_NOTE]


def _plain(table: list[list[str]]) -> str:
    """A table for the terminal; one estimator throughout, which the answer names, needs no column."""
    lines = table
    for column, name in enumerate(table[0]):
        if name in ("estimator", "comparison") and len({line[column] for line in table[1:]}) == 1:
            lines = [[*line[:column], *line[column + 1 :]] for line in table]
    return power_text.plain_table(lines, most=MOST_LINES)


def _told(results: dict[str, Any]) -> ModuleType:
    if results.get("kind") == "assurance":
        return assurance_text
    if staged_text.tells(results):
        return staged_text
    return trial_text if "trial" in results else power_text
