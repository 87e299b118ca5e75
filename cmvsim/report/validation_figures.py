"""Figures of a validation: zip plot, coverage by sample size, nested-loop plot.

Zip plot: Morris, White and Crowther (2019), figure 5. Nested-loop plot: Rücker G, Schwarzer G (2014), BMC Med Res Methodol
14:129.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from cmvsim.core.records import FloatArray
from cmvsim.planning.validation import ZipData
from cmvsim.report.style import BLUE, GREEN, GREY, ORANGE

Z95 = 1.959963984540054
LIGHT = "#E5E5E5"
COLOURS = (BLUE, ORANGE, GREEN, "#CC79A7", "#56B4E9", "#E69F00", "#000000", GREY)  # Okabe and Ito (2008), without yellow
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MOST_INTERVALS = 1500
"""Drawn in one panel of a zip plot: evenly spaced ones of all, or the lines merge."""
SHOWN_BEYOND = 1.5
"""Half-widths of the middle 99% of the intervals that the axis reaches to."""

Lines = dict[str, list[Mapping[str, Any]]]


def zip_plot(panels: Sequence[ZipData], *, title: str, level: float) -> Figure:
    """Each replicate's confidence interval, those farthest from the truth on top; a panel for each sample size.

    A valid interval changes colour at the nominal level, as many on the left as on the right.
    """
    shown = panels[:4]
    figure = Figure(figsize=(2.6 + 2.3 * len(shown), 4.4))
    row: Sequence[Axes] = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    limits = _limits(shown)
    for axes, panel in zip(row, shown, strict=True):
        _zip_panel(axes, panel, level, limits)
    row[0].set_ylabel("centile of the distance from the truth")
    key = panels[0].key
    what = f"{key.estimator}{', ' + key.term if key.term else ''}"
    figure.suptitle(f"{title}\n95% confidence intervals: {what}".replace("95%", f"{level:.0%}"), x=0.02, ha="left", fontsize=11)
    figure.supxlabel("blue: holds the truth (black line); orange: misses it. Dashed: nominal level.", fontsize=8.5, color=GREY)
    figure.tight_layout()
    return figure


def _limits(panels: Sequence[ZipData]) -> tuple[float, float]:
    """One horizontal axis for all panels, that the widest half percent of the intervals may leave."""
    lows, highs = [], []
    for panel in panels:
        left, right = _drawn(panel.low, panel.link), _drawn(panel.high, panel.link)
        lows += list(np.quantile(left[np.isfinite(left)], [0.02])) if np.isfinite(left).any() else []
        highs += list(np.quantile(right[np.isfinite(right)], [0.98])) if np.isfinite(right).any() else []
    truth = float(_drawn(np.array(panels[0].truth), panels[0].link))
    low, high = min([*lows, truth]), max([*highs, truth])
    if not high > low:  # nothing to draw, or intervals of no width
        return low - 1.0, high + 1.0
    return low - 0.03 * (high - low), high + 0.03 * (high - low)


def _drawn(values: FloatArray, link: str) -> FloatArray:
    if link != "log":
        return values
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(values))


def _zip_panel(axes: Axes, panel: ZipData, level: float, limits: tuple[float, float]) -> None:
    low, high, middle = (_drawn(column, panel.link) for column in (panel.low, panel.high, panel.estimate))
    truth = float(_drawn(np.array(panel.truth), panel.link))
    covered = (low <= truth) & (truth <= high)
    # In units of the arm of the interval that points to the truth: above 1 it is missed, whatever the asymmetry.
    arm = np.where(middle > truth, middle - low, high - middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(arm > 0, np.abs(middle - truth) / arm, np.inf)
    order = np.argsort(distance, kind="stable")
    centile = 100 * (np.arange(order.size) + 0.5) / max(order.size, 1)
    step = max(1, order.size // MOST_INTERVALS)
    picked, at = order[::step], centile[::step]
    ends = np.clip(np.stack([low[picked], high[picked]], axis=1), limits[0] - 1, limits[1] + 1)
    segments = np.stack([ends, np.repeat(at[:, np.newaxis], 2, axis=1)], axis=2)
    colours = np.where(covered[picked], BLUE, ORANGE)
    axes.add_collection(LineCollection(list(segments), colors=list(colours), linewidths=0.7))
    axes.axvline(truth, color="black", lw=1.0)
    axes.axhline(100 * level, color=GREY, lw=1.0, ls="--")
    axes.set(xlim=limits, ylim=(0, 100))
    told = f"{covered.mean():.1%} covered" if covered.size else "no interval"
    axes.set_title(f"N = {panel.n}: {told}", fontsize=9.5)
    if panel.link == "log":
        _log_ticks(axes, limits)
    elif 0 <= panel.truth <= 1 and limits[0] > -0.1 and limits[1] < 1.1:
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _log_ticks(axes: Axes, limits: tuple[float, float]) -> None:
    """Ratios at their logs; at most six of them."""
    ladder = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    inside = [ratio for ratio in ladder if limits[0] <= np.log(ratio) <= limits[1]]
    while len(inside) > 6:
        inside = [ratio for ratio in inside if ratio == 1 or inside.index(ratio) % 2 == inside.index(1) % 2]
        if len(inside) <= 6 or 1 not in inside:
            break
        ladder = inside
    axes.xaxis.set_major_locator(FixedLocator([float(np.log(ratio)) for ratio in inside]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{np.exp(value):g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def of_endpoint(results: Mapping[str, Any], name: str) -> dict[str, Figure]:
    """Coverage by N, and the nested loop over scenarios and N, of one endpoint; none where nothing has a truth."""
    covered, bias = _lines(results, name, "coverage"), _lines(results, name, "standardised_bias")
    made = {}
    if covered:
        made["coverage"] = coverage_by_n(results, covered, title=f"{results['labels'][name]}: coverage by sample size")
    if covered and len(results["sizes"]) * len(results["scenarios"]) > 1:
        made["nested-loop"] = nested_loop(results, {"standardised bias": bias, "coverage": covered}, results["labels"][name])
    return made


def _lines(results: Mapping[str, Any], name: str, measure: str) -> Lines:
    """Rows of each estimator: its first term that has the measure."""
    terms: dict[str, str] = {}
    found: Lines = {}
    for row in results["rows"]:
        wanted = row["endpoint"] == name and row["measure"] == measure and row["value"] is not None
        if wanted and terms.setdefault(row["estimator"], row["term"]) == row["term"]:
            label = row["estimator"] + (f": {row['term']}" if row["term"] else "")
            found.setdefault(label, []).append(row)
    return found


def coverage_by_n(results: Mapping[str, Any], lines: Lines, *, title: str) -> Figure:
    """Coverage with its 95% Monte Carlo interval, a panel for each scenario; the band is what the verdict tolerates."""
    scenarios = [item["id"] for item in results["scenarios"]]
    figure = Figure(figsize=(3.0 + 3.4 * len(scenarios), 4.2))
    row: Sequence[Axes] = figure.subplots(1, len(scenarios), sharey=True, squeeze=False)[0]
    low = next(item["low"] for item in results["tolerances"] if item["measure"] == "coverage")
    sizes = results["sizes"]
    gap = min(np.diff(sizes), default=max(sizes[0] // 10, 1)) * 0.5
    for axes, scenario in zip(row, scenarios, strict=True):
        for place, (label, rows) in enumerate(lines.items()):
            mine = [item for item in rows if item["scenario"] == scenario]
            x = np.array([item["n"] for item in mine]) + gap * ((place + 0.5) / len(lines) - 0.5)
            axes.errorbar(
                x,
                [item["value"] for item in mine],
                [Z95 * (item["mcse"] or 0) for item in mine],
                color=COLOURS[place % len(COLOURS)],
                marker=MARKERS[place % len(MARKERS)],
                ls="-" if place < len(COLOURS) else ":",
                ms=4,
                lw=1.0,
                label=label,
            )
        axes.axhspan(low, 1.0, color=LIGHT, alpha=0.6, lw=0)
        axes.axhline(results["level"], color=GREY, lw=1, ls="--")
        axes.set_title(scenario if len(scenarios) > 1 else title)
        axes.set_xlabel("patients enrolled")
        axes.set_xticks(sizes if len(sizes) <= 6 else sizes[:: -(-len(sizes) // 6)])
    bottom = min([low, *(item["value"] - Z95 * (item["mcse"] or 0) for rows in lines.values() for item in rows)])
    row[0].set_ylim(max(bottom - 0.01, -0.02), 1.005)
    row[0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
    row[0].set_ylabel("coverage (grey: tolerated)")
    if len(scenarios) > 1:
        figure.suptitle(title, x=0.02, ha="left", fontsize=11)
    row[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8.5)
    figure.tight_layout()
    return figure


def nested_loop(results: Mapping[str, Any], measures: Mapping[str, Lines], label: str) -> Figure:
    """Measures as steps over all scenarios (outer loop) and sample sizes (inner loop), which are drawn below."""
    scenarios, sizes = [item["id"] for item in results["scenarios"]], results["sizes"]
    points = [(scenario, n) for scenario in scenarios for n in sizes]
    figure = Figure(figsize=(max(6.4, 2.5 + 0.55 * len(points)) + 1.8, 2.2 * len(measures) + 1.6))
    rows: Sequence[Axes] = figure.subplots(
        len(measures) + 1, 1, sharex=True, gridspec_kw={"height_ratios": [*[3] * len(measures), 1.1]}
    )
    for axes, (name, lines) in zip(rows[:-1], measures.items(), strict=True):
        for place, (estimator, items) in enumerate(lines.items()):
            values = {(item["scenario"], item["n"]): item["value"] for item in items}
            y = [values.get(point, np.nan) for point in points]
            style = "-" if place < len(COLOURS) else ":"
            axes.step(
                range(len(points) + 1),
                [*y, y[-1]],
                where="post",
                color=COLOURS[place % len(COLOURS)],
                ls=style,
                label=estimator,
            )
        axes.axhline(results["level"] if name == "coverage" else 0.0, color=GREY, lw=1, ls="--")
        for edge in range(len(sizes), len(points), len(sizes)):
            axes.axvline(edge, color=LIGHT, lw=1)
        axes.set_ylabel(name)
    rows[0].set_title(f"{label}: nested loop over scenarios and sample sizes")
    rows[0].legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), fontsize=8.5)
    _loops(rows[-1], scenarios, sizes)
    figure.align_ylabels(list(rows))
    figure.tight_layout()
    return figure


def _loops(axes: Axes, scenarios: Sequence[str], sizes: Sequence[int]) -> None:
    """The levels of the two factors, named in their steps."""
    for place, scenario in enumerate(scenarios):
        axes.text((place + 0.5) * len(sizes), 1.5, scenario, ha="center", va="center", fontsize=9)
        if place:
            axes.axvline(place * len(sizes), color=LIGHT, lw=1)
    for place in range(len(scenarios) * len(sizes)):
        axes.text(place + 0.5, 0.5, str(sizes[place % len(sizes)]), ha="center", va="center", fontsize=8.5)
    axes.axhline(1.0, color=LIGHT, lw=1)
    axes.set(ylim=(0, 2), xlim=(0, len(scenarios) * len(sizes)))
    axes.set_yticks([0.5, 1.5], ["N", "scenario"])
    axes.xaxis.set_major_locator(NullLocator())
    axes.xaxis.set_major_formatter(NullFormatter())
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
