"""Which figures an analysis has: one by what an endpoint's table holds, forest plots of primary ratios and landmarks, flows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cmvsim.report.estimate_figures import cost_components, flow_diagram, forest, questionnaire_profile, stacked_incidence
from cmvsim.report.estimate_words import STATUS_NOTES, term_words
from cmvsim.report.style import png

RATIOS = {
    "hazard_ratio": "cause-specific hazard ratio",
    "subdistribution_hazard_ratio": "subdistribution hazard ratio",
    "odds_ratio": "odds ratio",
    "risk_ratio": "risk ratio",
}


def figure_files(
    rows: Sequence[Mapping[str, Any]],
    flow: Mapping[str, Mapping[str, int]],
    curves: Mapping[str, pd.DataFrame],
    labels: Mapping[str, str],
    estimators: Mapping[str, Mapping[str, str]],
    *,
    level: float,
    currency: str = "EUR",
) -> dict[str, bytes]:
    """PNG files by name below the run folder.

    Ratios are drawn where they are the endpoint's primary ones, with the unadjusted beside them, and from landmarks; other
    models stay in the tables. The flow is drawn for the first endpoint and where somebody was left out.

    Parameters
    ----------
    rows
        Result rows of ``estimate``.
    flow, curves
        By endpoint.
    labels, estimators
        Names of the endpoints, and of the estimators of each, in figures.
    """
    made: dict[str, Figure | None] = {}
    for place, (name, counts) in enumerate(flow.items()):
        mine = [row for row in rows if row["endpoint"] == name]
        if counts["in the analysis"] == 0:
            continue
        frame = curves.get(name)
        if frame is not None:
            made[name] = _of_table(frame, mine, labels[name], counts, level, currency)
        made |= {f"{name}_{estimator}": figure for estimator, figure in _forests(mine, labels[name], estimators[name]).items()}
        if place == 0 or counts["in the analysis"] < counts["enrolled"]:
            made[f"{name}_flow"] = flow_diagram(counts, title=labels[name])
    return {f"figures/{name}.png": png(figure) for name, figure in made.items() if figure is not None}


def _of_table(
    frame: pd.DataFrame, rows: Sequence[Mapping[str, Any]], label: str, counts: Mapping[str, int], level: float, currency: str
) -> Figure | None:
    n = counts["in the analysis"]
    if "incidence" in frame and len(frame) > 1 and frame[["incidence", "competing"]].to_numpy().max() > 0:
        return stacked_incidence(frame, title=f"{label} (n = {n})", event_label=label, level=level)
    if "exposed" in frame:
        return questionnaire_profile(
            frame,
            title=f"{label} (n = {n}): mean by visit as observed, {level:.0%} interval",
            ylabel="EQ-5D index",
            exposure="CMV",
        )
    if "component" in frame and rows:
        primary = [row for row in rows if row["estimator"] == rows[0]["estimator"]]
        title = f"{label}: attributable cost ({primary[0]['events']} with the illness, of {n})"
        return cost_components(primary, title=title, currency=currency)
    return None


def _forests(rows: Sequence[Mapping[str, Any]], label: str, names: Mapping[str, str]) -> dict[str, Figure | None]:
    """Forest plots of one endpoint by estimator."""
    by: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["scale"] in RATIOS:
            by.setdefault(row["estimator"], []).append(row)
    made: dict[str, Figure | None] = {}
    for estimator, mine in by.items():
        words = RATIOS[mine[0]["scale"]]
        if estimator == rows[0]["estimator"]:
            again = {row["term"]: row for row in by.get(f"{estimator}_unadjusted", ())}
            beside = [again.get(row["term"]) for row in mine] if again else []
            terms = [term_words(row["term"]) for row in mine]
            made[estimator] = forest(mine, terms, title=label, xlabel=words, beside=beside)
        elif estimator.startswith("landmark") and f"{estimator}_firth" not in by:  # Firth's has a number under separation, too
            lines, terms = _by_landmark(mine)
            made[estimator] = forest(lines, terms, title=f"{label}: {names[estimator]}", xlabel=words)
    return made


def _by_landmark(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any] | None], list[str]]:
    """Rows under a heading for each landmark; a model without any number is one line that says why."""
    lines: list[Mapping[str, Any] | None] = []
    labels: list[str] = []
    for landmark in dict.fromkeys(row["term"].rpartition(", ")[2] for row in rows):
        mine = [row for row in rows if row["term"].rpartition(", ")[2] == landmark]
        lines.append(None)
        if all(row["estimate"] is None or row["estimate"] != row["estimate"] for row in mine):
            why = STATUS_NOTES.get(mine[0]["status"], mine[0]["status"])
            labels.append(f"from {landmark}: {why}")
            continue
        labels.append(f"from {landmark} (n = {mine[0]['n']})")
        for row in mine:
            lines.append(row)
            labels.append(term_words(row["term"].rpartition(", ")[0]))
    return lines, labels
