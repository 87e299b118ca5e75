"""Turnaround and occupancy of simulated programmes in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.report.power_text import markdown_table, plain_table

Tree = Mapping[str, Any]
SHARED, PLANNED = "shared laboratory", "as planned"

LINES: tuple[tuple[str, str, str], ...] = (
    ("laboratory", "turnaround", "sample to result, days"),
    ("treatment", "sample_to_start", "decisive sample to treatment, days"),
    ("infusions", "wait", "wait for an infusion that was possible, days"),
    ("infusions", "enrolment_to_infusion", "enrolment to infusion, days"),
)
"""Part, measure, words."""


def value(tree: Tree, part: str, measure: str, turnaround: str | None = None) -> float | None:
    """A figure; None where it is not defined."""
    wanted = turnaround or (SHARED if "laboratory" in tree["limited"] else PLANNED)
    for row in tree["rows"]:
        if (row["turnaround"], row["part"], row["measure"]) == (wanted, part, measure):
            return None if row["value"] is None else float(row["value"])
    return None


def programme_summary(tree: Tree) -> list[list[str]]:
    """Rows of a table, header first: what, mean, median and 90% in a study, averaged over the simulated studies."""
    lines = [["", "mean", "MC SE", "median", "90%"]]
    for part, measure, words in LINES:
        for turnaround in (SHARED, PLANNED):
            cells = [value(tree, part, f"{measure}_{name}", turnaround) for name in ("mean", "q50", "q90")]
            if cells[0] is None:
                continue
            both = part in {"laboratory", "treatment"} and "laboratory" in tree["limited"]
            label = f"{words} ({turnaround})" if both else words
            lines.append([label, _number(cells[0]), _mcse(tree, part, f"{measure}_mean", turnaround), *map(_number, cells[1:])])
    return lines


def beds_summary(tree: Tree) -> list[list[str]]:
    """Rows on beds, header first."""
    lines = [["", "beds", "occupied", "by the study", "its peak", "admissions", "waited", "mean wait", "not admitted"]]
    for unit, words in (("ward", "haematology ward"), ("icu", "intensive care")):
        beds = tree["beds"][unit]
        cells = {row["measure"]: row["value"] for row in tree["rows"] if row["part"] == unit}
        share = "" if beds is None else f" ({cells['occupancy']:.0%})"
        lines.append(
            [
                words,
                "unlimited" if beds is None else f"{beds:.0f}",
                f"{cells['occupied_mean']:.1f}{share}",
                f"{cells['of_study_mean']:.1f}",
                f"{cells['of_study_peak']:.1f}",
                f"{cells['admissions']:.0f}",
                f"{cells['waited_share']:.1%}" if unit == "ward" else "-",
                f"{_number(cells['wait_of_those_mean'])} d"
                if unit == "ward" and cells["wait_of_those_mean"] is not None
                else "-",
                f"{cells['refused_share']:.1%}",
            ]
        )
    return lines


def programme_sentence(tree: Tree) -> str:
    """The answer in plain words."""
    if not tree:
        return ""
    limited = "laboratory" in tree["limited"]
    first = (
        f"A result takes {_days(value(tree, 'laboratory', 'turnaround_q50'))} (median; 90% within "
        f"{_days(value(tree, 'laboratory', 'turnaround_q90'))}) and a treatment starts "
        f"{_days(value(tree, 'treatment', 'sample_to_start_mean'))} after the decisive sample on average"
    )
    if limited:
        planned, drawn = (value(tree, part, name, PLANNED) for part, name in (
            ("laboratory", "turnaround_q50"), ("treatment", "sample_to_start_mean")))  # fmt: skip
        first += f"; were every result there after {_days(planned)}, as planned, it would be {_days(drawn)}"
    if value(tree, "treatment", "sample_to_start_mean") is None:
        first = f"{first.split(' and a treatment')[0]}; no result started a treatment"
    parts = [f"{first} ({tree['studies']} simulated studies)."]
    if "infusions" in tree["limited"]:
        parts.append(
            f"An infusion that is possible waits {_days(value(tree, 'infusions', 'wait_mean'))} on average (90% within "
            f"{_days(value(tree, 'infusions', 'wait_q90'))})."
        )
    parts += [_ward(tree)] if "ward" in tree["limited"] else []
    parts += [_icu(tree)] if "icu" in tree["limited"] else []
    return " ".join(parts)


def _ward(tree: Tree) -> str:
    occupied, waited, refused = (value(tree, "ward", name) or 0.0 for name in ("occupancy", "waited_share", "refused_share"))
    return (
        f"Of {tree['beds']['ward']:.0f} haematology beds {occupied:.0%} are taken; {waited:.1%} of the study's admissions wait for "
        f"one and {refused:.1%} find none in time."
    )


def _icu(tree: Tree) -> str:
    occupied, refused = (value(tree, "icu", name) or 0.0 for name in ("occupancy", "refused_share"))
    return f"Of {tree['beds']['icu']:.0f} intensive-care beds {occupied:.0%} are taken; {refused:.1%} of the study's needs find none."


def programme_plain(tree: Tree) -> str:
    """Sentences and tables for a terminal; empty where nothing was simulated."""
    if not tree:
        return ""
    return "\n\n".join([programme_sentence(tree), plain_table(programme_summary(tree)), plain_table(beds_summary(tree))])


def programme_markdown(tree: Tree) -> list[str]:
    """Lines of ``summary.md``."""
    if not tree:
        return []
    return [
        "## Turnaround and occupancy",
        "",
        programme_sentence(tree),
        "",
        markdown_table(programme_summary(tree)),
        "",
        markdown_table(beds_summary(tree)),
        "",
        LEGEND,
        "",
        "![Turnaround of a result and time to treatment, with the shared laboratory and as planned](figures/turnaround.png)",
        "",
        "![Occupancy of haematology and intensive-care beds over the months](figures/occupancy.png)",
        "",
        "`months.csv` has both month by month.",
        "",
    ]


LEGEND = (
    "Means over simulated studies of the mean, median and 90% quantile in a study. The decisive sample is the one whose result "
    "starts a treatment. A shortage of beds delays or prevents an admission and changes no patient's course: who waits for a bed "
    "on the ward may leave before there is one, in intensive care nobody waits (overflow). "
    "What happens to the patients rests on the clinical inputs of the scenario too, which are not listed below."
)


def _number(x: float | None) -> str:
    return "-" if x is None else f"{x:.2f}"


def _mcse(tree: Tree, part: str, measure: str, turnaround: str) -> str:
    found = [r for r in tree["rows"] if (r["turnaround"], r["part"], r["measure"]) == (turnaround, part, measure)]
    return _number(found[0]["mcse"]) if found else "-"


def _days(x: float | None) -> str:
    if x is None:
        return "no time that is known"
    return "1 day" if f"{x:.2g}" == "1" else f"{x:.2g} days"
