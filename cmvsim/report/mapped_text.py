"""The analysis of a file of one row per patient, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.report.estimate_words import STATUS_NOTES
from cmvsim.report.power_text import markdown_table, percent


def mapped_table(results: Mapping[str, Any]) -> list[list[str]]:
    """One line per result, header first."""
    unit = results["time_unit"]
    lines = [["endpoint", "estimator", f"by ({unit})", "n", "events", "estimate", "confidence interval", "note"]]
    for row in results["rows"]:
        notes = (STATUS_NOTES.get(row["status"], "" if row["status"] == "ok" else row["status"]), row["note"])
        lines.append(
            [
                row["term"] or row["endpoint"],
                row["estimator"],
                "all follow-up" if _absent(row["at"]) else f"{row['at']:g}",
                str(row["n"]),
                str(row["events"]),
                _number(row, "estimate"),
                "-" if _absent(row["ci_low"]) else f"{_number(row, 'ci_low')} to {_number(row, 'ci_high')}",
                "; ".join(note for note in notes if note),
            ]
        )
    return lines


def _absent(value: float | None) -> bool:
    return value is None or value != value


def _number(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if _absent(value):
        return "-"
    return percent(value) if row["scale"] == "probability" else f"HR {value:.2f}" if name == "estimate" else f"{value:.2f}"


def mapped_sentence(results: Mapping[str, Any]) -> str:
    """The main result in plain words."""
    row = results["rows"][0]
    label = results["labels"][row["endpoint"]]
    if _absent(row["estimate"]):
        return f"{label}: nothing could be estimated ({STATUS_NOTES.get(row['status'], row['status'])})."
    interval = f"{row['level']:.0%} confidence interval {_number(row, 'ci_low')} to {_number(row, 'ci_high')}"
    counts = f"{row['events']} events in {row['n']} patients"
    if row["scale"] != "probability":
        return f"{label}, {row['term']}: hazard ratio {row['estimate']:.2f} ({interval}), {counts}."
    return f"{label} by {row['at']:g} {results['time_unit']}: {percent(row['estimate'])} ({interval}), {counts}."


def mapped_summary(results: Mapping[str, Any]) -> str:
    """``summary.md``."""
    lines = ["# Endpoints of the file", "", mapped_sentence(results), "", markdown_table(mapped_table(results)), ""]
    methods = dict.fromkeys(f"{row['estimator']}: {row['method']}" for row in results["rows"] if row["method"])
    lines += [f"Methods: {'; '.join(methods)}.", "", "## Participant flow", ""]
    for name, counts in results["flow"].items():
        lines += [f"**{results['labels'][name]}**: " + "; ".join(f"{what} {number}" for what, number in counts.items()), ""]
    if results["figure"]:
        lines += [f"![{results['labels']['cmv_reactivation']}](figures/cmv_reactivation.png)", ""]
    lines += [f"- {warning}" for warning in results["warnings"]]
    return "\n".join(lines).rstrip() + "\n"
