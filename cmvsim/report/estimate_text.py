"""The analysis of one study in words: tables of estimates per endpoint, notes below them, and the participants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from cmvsim.report.estimate_words import SCALES, STATUS_NOTES, shown, with_unit
from cmvsim.report.power_text import markdown_table

HEADER = ["endpoint", "estimator", "term", "n", "events", "estimate", "confidence interval", "what it is", "note"]
SUMMARY = ["estimator", "term", "n", "events", "estimate", "confidence interval", "what it is", "note"]


OF_ARMS = ("by_arm", "risk_difference", "newcombe", "gray_p")
"""Estimators of a comparative study that stand in its first table."""


def primary_table(results: Mapping[str, Any]) -> list[list[str]]:
    """The lines of each endpoint's primary estimator, its notes left to the summary unless there is no estimate."""
    first = {row["endpoint"]: row["estimator"] for row in reversed(results["rows"])}
    beside = OF_ARMS if any(row["estimator"] == "by_arm" for row in results["rows"]) else ()
    rows = [row for row in results["rows"] if row["estimator"] in (first[row["endpoint"]], *beside)]
    return [HEADER, *(_line(row) if row["status"] != "ok" else [*_line(row)[:-1], ""] for row in rows)]


def _line(row: Mapping[str, Any]) -> list[str]:
    status = "" if row["status"] == "ok" else STATUS_NOTES.get(row["status"], row["status"])
    return [
        row["endpoint"],
        row["estimator"],
        row["term"],
        *_numbers(row),
        "; ".join(part for part in (status, row["note"]) if part),
    ]


def estimate_sentence(results: Mapping[str, Any]) -> str:
    """The primary result in plain words."""
    row = results["rows"][0]
    label = results["labels"][row["endpoint"]]
    if row["estimate"] is None or row["estimate"] != row["estimate"]:
        return f"{label}: nothing could be estimated ({STATUS_NOTES.get(row['status'], row['status'])})."
    interval = f"{shown(row['ci_low'], row['scale'])} to {shown(row['ci_high'], row['scale'])}"
    what = (
        ""
        if row["scale"] == "probability"
        else f", {SCALES[row['scale']]}" + (f" of {row['term']}" if row["term"] else "").replace("of total", "in total")
    )
    return (
        f"{label} by day {row['at']:g}{what}: {shown(row['estimate'], row['scale'])} ({row['level']:.0%} confidence interval "
        f"{interval}), {row['events']} events in {row['n']} patients.{_arms_sentence(results)}"
    )


def _arms_sentence(results: Mapping[str, Any]) -> str:
    """The arms of a comparative study, of the primary endpoint."""
    mine = [row for row in results["rows"] if row["endpoint"] == results["rows"][0]["endpoint"]]
    arms = [row for row in mine if row["estimator"] == "by_arm" and row["estimate"] is not None]
    compared = next((row for row in mine if row["estimator"] in ("risk_difference", "newcombe") and arms), None)
    if not arms or compared is None or compared["estimate"] is None:
        return ""
    told = ", ".join(f"{row['term']} {shown(row['estimate'], row['scale'])} (n = {row['n']})" for row in arms)
    low, high = (shown(compared[name], compared["scale"]) for name in ("ci_low", "ci_high"))
    return f" By arm: {told}; {compared['term']}: {shown(compared['estimate'], compared['scale'])} ({low} to {high})."


def estimate_summary(results: Mapping[str, Any], pictures: Sequence[str] = ()) -> str:
    """``summary.md``: the primary result, then each endpoint with its estimates, participants and figures."""
    lines = [
        "# Endpoints of the study",
        "",
        estimate_sentence(results),
        "",
        f"Primary method: {results['rows'][0]['method']}. Of each endpoint the primary estimator comes first, in bold; what stands",
        "beside it answers other questions or shows what other methods would have said. `estimates.csv` has every number in full.",
    ]
    if results["warnings"]:
        lines += ["", "## The tables disagree", "", *(f"- {warning}" for warning in results["warnings"])]
    for name, label in results["labels"].items():
        mine = [row for row in results["rows"] if row["endpoint"] == name]
        lines += ["", f"## {label} (`{name}`)", "", *_endpoint_table(mine, results["estimators"][name])]
        if name in results["flow"]:
            flow = {what: n for what, n in results["flow"][name].items() if n or not what.startswith("left out")}
            lines += ["", "Participants: " + "; ".join(f"{what} {n}" for what, n in flow.items()) + "."]
        own = [path for path in pictures if _belongs(path, name, results["labels"])]
        for path in own:
            lines += ["", f"![{label}]({path})"]
    return "\n".join(lines) + "\n"


def _endpoint_table(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str]) -> list[str]:
    """The table of one endpoint, and below it the notes that its last column numbers."""
    notes: dict[str, int] = {}
    table = [SUMMARY]
    before = ""
    for group in _together(rows):
        row = group[0]
        status = "" if row["status"] == "ok" else STATUS_NOTES.get(row["status"], row["status"])
        marks = ", ".join(f"[{notes.setdefault(note, len(notes) + 1)}]" for note in row["note"].split("; ") if note)
        label = labels[row["estimator"]]
        name = "" if row["estimator"] == before else f"**{label}**" if row["estimator"] == rows[0]["estimator"] else label
        before = row["estimator"]
        table.append([name, _terms(group), *_numbers(row), " ".join(part for part in (status, marks) if part)])
    lines = [markdown_table(table)]
    if notes:
        lines += ["", *(f"[{number}] {note}  " for note, number in notes.items())]
    return lines


def _together(rows: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Rows one by one, but those of one model without an estimate for one and the same reason as one."""

    def key(numbered: tuple[int, Mapping[str, Any]]) -> tuple[Any, ...]:
        place, row = numbered
        if row["estimate"] is not None and row["estimate"] == row["estimate"]:
            return (place,)
        return (row["estimator"], row["n"], row["events"], row["status"], row["note"], _landmark(row["term"]))

    return [[row for _, row in group] for _, group in groupby(enumerate(rows), key)]


def _terms(group: Sequence[Mapping[str, Any]]) -> str:
    if len(group) == 1:
        return with_unit(group[0]["term"], group[0]["scale"])
    landmark = _landmark(group[0]["term"])
    end = f", {landmark}" if landmark else ""
    return ", ".join(str(row["term"]).removesuffix(end).replace("_", " ") for row in group) + (
        f" ({landmark})" if landmark else ""
    )


def _landmark(term: str) -> str:
    tail = term.rpartition(", ")[2]
    return tail if tail.startswith("day ") else ""


def _numbers(row: Mapping[str, Any]) -> list[str]:
    low, high = (shown(row[name], row["scale"]) for name in ("ci_low", "ci_high"))
    return [
        str(row["n"]),
        str(row["events"]),
        shown(row["estimate"], row["scale"]),
        f"{low} to {high}" if "-" not in (low, high) else "-",
        SCALES[row["scale"]],
    ]


def _belongs(path: str, name: str, names: Mapping[str, str]) -> bool:
    """Whether a figure is of an endpoint: its file is named after the longest id it begins with."""
    stem = path.removeprefix("figures/").removesuffix(".png")
    return max((n for n in names if stem == n or stem.startswith(f"{n}_")), key=len, default="") == name
