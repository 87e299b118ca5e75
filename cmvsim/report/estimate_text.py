"""The analysis of one study in words: a table of estimates and the participant flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.report.power_text import markdown_table, percent

STATUS_NOTES = {
    "no_events": "no event: exact bound",
    "all_events": "all had the event: exact bound",
    "empty": "nobody in the analysis",
}


def estimate_table(results: Mapping[str, Any]) -> list[list[str]]:
    """One line per endpoint and estimator, header first."""
    lines = [["endpoint", "estimator", "n", "events", "estimate", "confidence interval", "note"]]
    for row in results["rows"]:
        known = row["estimate"] is not None and row["estimate"] == row["estimate"]
        note = "; ".join(
            part
            for part in (STATUS_NOTES.get(row["status"], "" if row["status"] == "ok" else row["status"]), row["note"])
            if part
        )
        lines.append(
            [
                row["endpoint"],
                row["estimator"],
                str(row["n"]),
                str(row["events"]),
                percent(row["estimate"]) if known else "-",
                f"{percent(row['ci_low'])} to {percent(row['ci_high'])}" if known else "-",
                note,
            ]
        )
    return lines


def estimate_sentence(results: Mapping[str, Any]) -> str:
    """The primary result in plain words."""
    row = results["rows"][0]
    label = results["labels"][row["endpoint"]]
    if row["estimate"] is None:
        return f"{label}: nothing could be estimated ({STATUS_NOTES.get(row['status'], row['status'])})."
    interval = f"{percent(row['ci_low'])} to {percent(row['ci_high'])}"
    return (
        f"{label} by day {row['at']:g}: {percent(row['estimate'])} ({row['level']:.0%} confidence interval {interval}), "
        f"{row['events']} events in {row['n']} patients."
    )


def estimate_summary(results: Mapping[str, Any]) -> str:
    """``summary.md``."""
    lines = [
        "# Endpoints of the study",
        "",
        estimate_sentence(results),
        "",
        markdown_table(estimate_table(results)),
        "",
        f"Primary method: {results['rows'][0]['method']}.",
        "",
        "## Participant flow",
        "",
    ]
    for name, counts in results["flow"].items():
        lines += [f"**{results['labels'][name]}**: " + "; ".join(f"{what} {number}" for what, number in counts.items()), ""]
    lines += [
        f"![{results['labels'][name]}](figures/{name}.png)"
        for name, counts in results["flow"].items()
        if counts["in the analysis"] > 0
    ]
    if results["warnings"]:
        lines += ["", "## The tables disagree", "", *(f"- {warning}" for warning in results["warnings"])]
    return "\n".join(lines) + "\n"
