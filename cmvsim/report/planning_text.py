"""What ``power`` prints of its results, whatever the design."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from cmvsim.report import assurance_text, power_text, staged_text, trial_text


def sentence(results: dict[str, Any]) -> str:
    """The answer."""
    told: str = _told(results).sentence(results)
    return told


def terminal_lines(results: dict[str, Any]) -> list[str]:
    """Tables and remarks for the terminal."""
    told = _told(results)
    lines = [power_text.plain_table(told.table(results, brief=True)), ""]
    if told is trial_text:
        lines += [power_text.plain_table(trial_text.arm_table(results, brief=True)), ""]
    return [*lines, *told.truth_lines(results)]


def _told(results: dict[str, Any]) -> ModuleType:
    if results.get("kind") == "assurance":
        return assurance_text
    if staged_text.tells(results):
        return staged_text
    return trial_text if "trial" in results else power_text
