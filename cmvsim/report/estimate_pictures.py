"""Which figures an analysis has: one per endpoint by what its table holds, forest plots of its ratios, the flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from cmvsim.report.estimate_figures import cost_components, flow_diagram, forest, questionnaire_profile, stacked_incidence
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
    *,
    level: float,
    currency: str = "EUR",
) -> dict[str, bytes]:
    """PNG files by name below the run folder.

    Parameters
    ----------
    rows
        Result rows of ``estimate``.
    flow, curves
        By endpoint.
    labels
        Names of the endpoints in figures.
    """
    made: dict[str, Figure | None] = {}
    for name, counts in flow.items():
        mine = [row for row in rows if row["endpoint"] == name]
        if counts["in the analysis"] == 0:
            continue
        title = f"{labels[name]} (n = {counts['in the analysis']})"
        frame = curves.get(name)
        if frame is not None:
            made[name] = _of_table(frame, mine, title, labels[name], level, currency)
        made[f"{name}_flow"] = flow_diagram(counts, title=labels[name])
        for scale, words in RATIOS.items():
            ratios = [row for row in mine if row["scale"] == scale]
            if ratios:
                made[f"{name}_{scale}"] = forest(ratios, [_label(row) for row in ratios], title=labels[name], xlabel=words)
    return {f"figures/{name}.png": png(figure) for name, figure in made.items() if figure is not None}


def _of_table(
    frame: pd.DataFrame, rows: Sequence[Mapping[str, Any]], title: str, label: str, level: float, currency: str
) -> Figure | None:
    if "incidence" in frame and len(frame) > 1:
        return stacked_incidence(frame, title=title, event_label=label, level=level)
    if "exposed" in frame:
        return questionnaire_profile(frame, title=title, ylabel="EQ-5D index", exposure="CMV")
    if "component" in frame and rows:
        primary = [row for row in rows if row["estimator"] == rows[0]["estimator"]]
        return cost_components(primary, title=f"{title}: attributable cost", currency=currency)
    return None


def _label(row: Mapping[str, Any]) -> str:
    term = str(row["term"]).replace("_", " ")
    estimator = str(row["estimator"]).replace("_", " ")
    return f"{term} [{estimator}]" if term else estimator
