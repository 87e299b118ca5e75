"""The analysis of one study in words: a table of estimates per endpoint, and the participant flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.power_text import markdown_table, percent

STATUS_NOTES = {
    "no_events": "no event: exact bound",
    "all_events": "all had the event: exact bound",
    "empty": "nobody in the analysis",
    "not_estimable": "not estimable",
    "separation": "separation: no finite maximum",
    "not_converged": "did not converge",
}

HEADER = ["endpoint", "estimator", "term", "n", "events", "estimate", "confidence interval", "what it is", "note"]

SCALES = {
    "probability": "probability",
    "risk_difference": "risk difference",
    "hazard_ratio": "cause-specific hazard ratio",
    "subdistribution_hazard_ratio": "subdistribution hazard ratio",
    "odds_ratio": "odds ratio",
    "risk_ratio": "risk ratio",
    "correlation": "correlation",
    "mean": "mean",
    "mean_difference": "mean difference",
    "cost": "cost",
    "count": "count",
    "p_value": "p-value",
}


def shown(value: float | None, scale: str) -> str:
    """A number as its scale is read: percent, points, ratio, money."""
    if value is None or value != value:
        return "-"
    if scale == "probability":
        return percent(value)
    if scale == "risk_difference":
        return f"{100 * value:+.1f} points"
    if scale.endswith("ratio"):
        return f"{value:.2f}"
    if scale == "cost":
        return f"{value:,.0f}"
    if scale == "p_value":
        return f"{value:.3f}" if value >= 0.001 else "< 0.001"
    return f"{value:.3g}" if scale == "count" else f"{value:.3f}"


def estimate_table(results: Mapping[str, Any]) -> list[list[str]]:
    """One line per endpoint, estimator and term, header first."""
    return [HEADER, *(_line(row) for row in results["rows"])]


def primary_table(results: Mapping[str, Any]) -> list[list[str]]:
    """The lines of each endpoint's primary estimator, its notes left to the summary unless there is no estimate."""
    first = {row["endpoint"]: row["estimator"] for row in reversed(results["rows"])}
    rows = [row for row in results["rows"] if row["estimator"] == first[row["endpoint"]]]
    return [HEADER, *(_line(row) if row["status"] != "ok" else [*_line(row)[:-1], ""] for row in rows)]


def _line(row: Mapping[str, Any]) -> list[str]:
    status = "" if row["status"] == "ok" else STATUS_NOTES.get(row["status"], row["status"])
    low, high = (shown(row[name], row["scale"]) for name in ("ci_low", "ci_high"))
    return [
        row["endpoint"],
        row["estimator"],
        row["term"],
        str(row["n"]),
        str(row["events"]),
        shown(row["estimate"], row["scale"]),
        f"{low} to {high}" if "-" not in (low, high) else "-",
        SCALES[row["scale"]],
        "; ".join(part for part in (status, row["note"]) if part),
    ]


def estimate_sentence(results: Mapping[str, Any]) -> str:
    """The primary result in plain words."""
    row = results["rows"][0]
    label = results["labels"][row["endpoint"]]
    if row["estimate"] is None or row["estimate"] != row["estimate"]:
        return f"{label}: nothing could be estimated ({STATUS_NOTES.get(row['status'], row['status'])})."
    interval = f"{shown(row['ci_low'], row['scale'])} to {shown(row['ci_high'], row['scale'])}"
    what = "" if row["scale"] == "probability" else f", {SCALES[row['scale']]}" + (f" of {row['term']}" if row["term"] else "")
    return (
        f"{label} by day {row['at']:g}{what}: {shown(row['estimate'], row['scale'])} ({row['level']:.0%} confidence interval "
        f"{interval}), {row['events']} events in {row['n']} patients."
    )


def estimate_summary(results: Mapping[str, Any], pictures: Sequence[str] = ()) -> str:
    """``summary.md``: the primary result, then each endpoint with its estimates, participants and figures."""
    lines = [
        "# Endpoints of the study",
        "",
        estimate_sentence(results),
        "",
        f"Primary method: {results['rows'][0]['method']}.",
    ]
    if results["warnings"]:
        lines += ["", "## The tables disagree", "", *(f"- {warning}" for warning in results["warnings"])]
    for name, label in results["labels"].items():
        mine = [row for row in results["rows"] if row["endpoint"] == name]
        lines += ["", f"## {label}", "", markdown_table([HEADER[1:], *(_line(row)[1:] for row in mine)])]
        if name in results["flow"]:
            lines += ["", "Participants: " + "; ".join(f"{what} {n}" for what, n in results["flow"][name].items()) + "."]
        own = [path for path in pictures if _belongs(path, name, results["labels"])]
        lines += ["", *(f"![{label}]({path})" for path in own)] if own else []
    return "\n".join(lines) + "\n"


def _belongs(path: str, name: str, names: Mapping[str, str]) -> bool:
    """Whether a figure is of an endpoint: its file is named after the longest id it begins with."""
    stem = path.removeprefix("figures/").removesuffix(".png")
    return max((n for n in names if stem == n or stem.startswith(f"{n}_")), key=len, default="") == name
