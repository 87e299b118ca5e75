"""The timeline of one patient: the true CMV load with the samples, and what else went on below it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from cmvsim.report.style import BLUE, GREEN, GREY, ORANGE
from cmvsim.report.trace_words import MATRIX, Tree

SKY, PINK, GOLD, LIGHT, PALE, DARK = (
    "#56B4E9",
    "#CC79A7",
    "#E69F00",
    "#D9D9D9",
    "#F3F1EA",
    "#222222",
)  # Okabe and Ito, and greys
DRUG_COLOURS = {"valganciclovir": BLUE, "ganciclovir": BLUE, "foscarnet": ORANGE, "maribavir": PINK, "letermovir": GREEN}
LANE_INCHES, LOAD_INCHES, WIDTH = 0.25, 3.1, 10.0
FOOT = 0.2
"""Share of the limit of detection at which samples without virus are drawn."""


class Bar(NamedTuple):
    """A window in a lane."""

    start: float
    stop: float
    colour: str
    label: str = ""
    thin: bool = False


class Mark(NamedTuple):
    """Something that happened at once."""

    day: float
    label: str
    colour: str


def timeline(results: Tree) -> Figure:
    """Figure of one story: load and samples above, windows in lanes below, single events across both."""
    story = results["story"]
    lanes = list(_lanes(story))
    height = LANE_INCHES * (len(lanes) + 0.6)
    figure = Figure(figsize=(WIDTH, LOAD_INCHES + height + 1.0))
    load, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [LOAD_INCHES, height], "hspace": 0.05})
    first = min(
        story["inclusion"],
        *(s["day"] for s in story["samples"][:1]),
        *(stay["start"] for stay in story["stays"]["hospital"][:1]),
    )
    load.set_xlim(first - 1, story["horizon"] + 1)
    _load(load, story, results["tables"]["missed"])
    _draw_lanes(below, lanes)
    for axes in (load, below):
        _ends(axes, story, results["tables"]["end_day"])
    levels = _marks(load, below, list(_single(story, results["tables"])))
    below.set_xlabel("days from infusion")
    below.xaxis.set_major_locator(MaxNLocator(nbins=14, integer=True, steps=[1, 2, 5, 7, 10]))
    _legend(below, story, results["tables"])
    plan = f": {results['strategy_label']}" if story["letermovir"] else ""
    title = f"{results['patient']}, simulated ({results['scenario']}, seed {results['seed']}){plan}"
    load.set_title(title, pad=8 + 12.5 * levels)
    return figure


# --- the load ---------------------------------------------------------------------------------------------------------


def _load(axes: Axes, story: Tree, missed: Sequence[int]) -> None:
    axes.set_yscale("log")
    for path in story["load_log10"]:
        axes.plot([t for t, _ in path], [10**y for _, y in path], color=BLUE, lw=1.8, zorder=3, solid_capstyle="butt")
    assay, samples = story["assay"], story["samples"]
    true = [10**y for path in story["load_log10"] for _, y in path]
    highest = max([*true, *(s["load"] or 0.0 for s in samples), 10 * assay["lloq"], story["treatment_threshold"]])
    foot = FOOT * assay["lod"]
    axes.set_ylim(0.65 * foot, 4.2 * highest)
    levels = [
        (assay["lod"], f"LOD {assay['lod']:,g}", ":"),
        (assay["lloq"], f"LLOQ {assay['lloq']:,g}", "--"),
        (story["treatment_threshold"], f"treat at {story['treatment_threshold']:,g}", "-."),
    ]
    _levels_drawn(axes, levels)
    for result, marker in (("quantified", "o"), ("below_lloq", "v"), ("not_detected", "x")):
        mine = [s for s in samples if s["result"] == result]
        at = {"below_lloq": (assay["lod"] * assay["lloq"]) ** 0.5, "not_detected": foot}
        y = [s["load"] if result == "quantified" else at[result] for s in mine]
        face = {"quantified": ORANGE, "below_lloq": "white"}.get(result, GREY)
        edge = None if face == GREY else ORANGE
        axes.scatter([s["day"] for s in mine], y, marker=marker, s=34, c=face, zorder=5, linewidths=1.3, edgecolors=edge)
    axes.scatter(missed, [foot] * len(missed), marker="|", s=40, c=GREY, zorder=4)
    axes.set_ylabel(f"CMV DNA in {MATRIX[assay['matrix']]}, IU/mL")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.0f}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.grid(axis="y", color="#EEEEEE", lw=0.6)
    axes.tick_params(axis="x", length=0, labelbottom=False)


def _levels_drawn(axes: Axes, levels: Sequence[tuple[float, str, str]]) -> None:
    """Horizontal lines with their names at the right; names that would touch are moved apart."""
    low, high = (math.log10(y) for y in axes.get_ylim())
    apart, last = 0.062 * (high - low), -math.inf
    for value, label, style in sorted(levels):
        axes.axhline(value, color=GREY, lw=0.9, ls=style, zorder=1)
        last = max(math.log10(value), last + apart)
        axes.annotate(
            label,
            (1.005, 10**last),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            va="center",
            color=GREY,
            annotation_clip=False,
        )


def _legend(axes: Axes, story: Tree, tables: Tree) -> None:
    """Below the lanes, where it covers nothing: all kinds of results, and of the rest what there is."""

    def marker(shape: str, face: str, edge: str, label: str) -> Line2D:
        return Line2D([], [], ls="", marker=shape, mfc=face, mec=edge, ms=6, mew=1.3, label=label)

    handles: list[Artist] = [
        Line2D([], [], color=BLUE, lw=1.8, label="true load"),
        marker("o", ORANGE, ORANGE, "quantified"),
        marker("v", "white", ORANGE, "below LLOQ"),
        marker("x", GREY, GREY, "not detected"),
    ]
    if tables["missed"]:
        handles.append(marker("|", GREY, GREY, "missed visit"))
    handles.append(Line2D([], [], color=DARK, lw=1.2, label="stay without CMV and infections"))
    if story["death"] is None or tables["end_day"] < story["death"]:
        handles.append(Patch(facecolor=PALE, label="not monitored"))
    if story["death"] is not None:
        handles.append(Patch(facecolor=LIGHT, label="dead"))
    under = 0.42 / (LANE_INCHES * len(axes.get_yticks()) + 0.1)
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -under),
        fontsize=8,
        ncols=len(handles),
        handlelength=1.3,
        columnspacing=1.1,
        handletextpad=0.5,
    )


# --- lanes ------------------------------------------------------------------------------------------------------------


def _lanes(story: Tree) -> Iterator[tuple[str, list[Bar]]]:
    """Names with their windows; what did not happen has no lane."""
    t = story["toxicity"]
    yield "hospital", list(_hospital(story))
    for key, name in (("crs", "CRS"), ("icans", "ICANS")):
        if t[key]:
            yield name, [Bar(t[key]["start"], t[key]["stop"], GOLD, f"grade {t[key]['grade']}")]
    low = [(t["neutropenia"], ""), (story["treatment_toxicity"]["neutropenia"], "on treatment")]
    bars = [Bar(w["start"], w["stop"], SKY if not words else ORANGE, words) for w, words in low if w]
    if bars:
        yield "neutropenia", bars
    for course in t["drugs"]:
        yield course["drug"], [Bar(course["start"], course["stop"], GREY)]
    course = story["letermovir"]
    if course and course["start"] is not None:
        yield "letermovir", [Bar(course["start"], course["stop"], GREEN)]
    spells = [spell for treatment in story["treatments"] for spell in treatment["spells"]]
    for drug in dict.fromkeys(spell["drug"] for spell in spells):
        yield drug, [Bar(s["start"], s["stop"], DRUG_COLOURS[drug]) for s in spells if s["drug"] == drug]
    for kind in ("bacterial", "fungal"):
        mine = [i for i in story["infections"] if i["kind"] == kind]
        if mine:
            yield f"{kind} infection", [Bar(i["start"], i["stop"], PINK, "severe" * i["severe"]) for i in mine]


def _hospital(story: Tree) -> Iterator[Bar]:
    """Stays; what was planned without CMV and infections as an outline below, intensive care in black."""
    stays = story["stays"]
    for stay in stays["hospital"]:
        yield Bar(stay["start"], stay["stop"], "#A6A6A6")
    for icu in stays["icu"]:
        yield Bar(icu["start"], icu["stop"], DARK, "ICU")
    planned = stays["planned"]
    yield Bar(planned["start"], min(planned["stop"], story["end"]), DARK, thin=True)


def _draw_lanes(axes: Axes, lanes: Sequence[tuple[str, list[Bar]]]) -> None:
    for row, (_, bars) in enumerate(lanes):
        axes.axhline(row, color="#F0F0F0", lw=0.8, zorder=0)
        for bar in bars:
            width = max(bar.stop - bar.start, 0.4)
            if bar.thin:
                axes.plot([bar.start, bar.start + width], [row + 0.42, row + 0.42], color=bar.colour, lw=1.2, zorder=3)
                continue
            axes.barh(row, width, left=bar.start, height=0.62, color=bar.colour, zorder=2)
            if bar.label:
                axes.annotate(
                    bar.label, (bar.start + width, row), xytext=(3, 0), textcoords="offset points", fontsize=7.5, va="center",
                    zorder=6, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
                )  # fmt: skip
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.set_yticks(range(len(lanes)), [name for name, _ in lanes])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


# --- what happens at once ---------------------------------------------------------------------------------------------


def _ends(axes: Axes, story: Tree, monitored: float) -> None:
    """Shades: not monitored any more, and dead."""
    last = axes.get_xlim()[1]
    stop = story["death"] if story["death"] is not None else last
    if monitored < stop:
        axes.axvspan(monitored, stop, color=PALE, lw=0, zorder=-2)
    if story["death"] is not None:
        axes.axvspan(story["death"], last, color=LIGHT, lw=0, zorder=-2)


def _single(story: Tree, tables: Tree) -> Iterator[Mark]:
    f = story["follow_up"]
    yield Mark(0, "infusion", DARK)
    for name, label in (("relapse", "relapse"), ("new_therapy", "new therapy"), ("hct", "transplantation")):
        if f[name] is not None:
            yield Mark(f[name], label, PINK)
    if story["disease"] is not None:
        yield Mark(story["disease"]["day"], "CMV disease", ORANGE)
    if story["treatment_toxicity"]["kidney_injury"] is not None:
        yield Mark(story["treatment_toxicity"]["kidney_injury"], "kidney injury", ORANGE)
    if tables["end_reason"] != "death":
        yield Mark(tables["end_day"], "end of monitoring", GREY)
    if story["death"] is not None:
        yield Mark(story["death"], "death", DARK)


def _marks(load: Axes, below: Axes, marks: Sequence[Mark]) -> int:
    """Vertical lines with their names above the load, on as many levels as they need; how many those are."""
    first, last = load.get_xlim()
    per_day = 1 / (last - first)
    right: list[float] = []
    for mark in sorted(marks):
        width = 0.0085 * len(mark.label) + 0.02
        x = (mark.day - first) * per_day
        start = min(max(x - width / 2, 0.0), 1.0 - width)
        level = next((k for k, edge in enumerate(right) if edge <= start), len(right))
        right[level : level + 1] = [start + width]
        for axes in (load, below):
            axes.axvline(mark.day, color=mark.colour, lw=1.0, zorder=1.5)
        load.text(
            start + width / 2, 1.015 + 0.055 * level, mark.label, transform=load.transAxes, fontsize=8.5, ha="center",
            va="bottom", color=mark.colour,
        )  # fmt: skip
    return len(right)
