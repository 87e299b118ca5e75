"""Black-box checks of an evaluation in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.report.power_text import markdown_table


def verdict(results: Mapping[str, Any]) -> str:
    """One sentence."""
    failed = sum(not row["passed"] for row in results["checks"])
    return f"{len(results['checks'])} checks of {results['scenario']}: {'all hold' if not failed else f'{failed} FAIL'}."


def table(results: Mapping[str, Any]) -> list[list[str]]:
    """The checks."""
    head = ["check", "asked by", "expected", "difference", "verdict"]
    return [
        head,
        *(
            [row["check"], row["kind"], row["expected"], row["found"], "holds" if row["passed"] else "FAILS"]
            for row in results["checks"]
        ),
    ]


def items(results: Mapping[str, Any]) -> list[list[str]]:
    """The items of AdViSHE, and where each is answered."""
    return [["item", "answered"], *([row["item"], row["answered"]] for row in results["advishe"])]


def summary(results: Mapping[str, Any]) -> str:
    """The whole page."""
    strategies = ", ".join(results["request"]["strategies"])
    return "\n".join(
        [
            f"# Checks of the evaluation: {results['title']}",
            "",
            f"**{verdict(results)}** {results['patients']:,} patients in each, seed {results['seed']}; strategies: {strategies}.",
            "",
            (
                "What must hold whatever the numbers are, after TECH-VER: each check pushes something to an extreme, takes it away or "
                "makes it equal."
            ),
            "",
            markdown_table(table(results)),
            "",
            "## AdViSHE, and where each item is answered",
            "",
            markdown_table(items(results)),
            "",
        ]
    )
