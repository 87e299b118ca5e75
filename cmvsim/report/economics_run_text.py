"""An economic evaluation in words: assumptions first, then the answer in a few sentences, then the tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cmvsim.report.economics_answer import answer, euros, ratio
from cmvsim.report.economics_cheers import cheers
from cmvsim.report.economics_run_tables import (
    budget,
    by_stratum,
    components,
    events,
    grid,
    illness,
    incidence_note,
    incidences,
    interval,
    one_way,
    one_way_note,
    pairing,
    prices,
    rules,
    structural,
)
from cmvsim.report.power_text import markdown_table

__all__ = ["answer", "cells", "cheers", "decision_table", "long_table", "summary"]

FIRST = (
    *(
        "letermovir.targets",
        "letermovir.disease_ratio",
        "letermovir.adherence",
        "letermovir.rebound.ratio",
        "letermovir.stopped",
    ),
    *("quality_of_life.changes.cmv", "quality_of_life.changes.antiviral", "preemptive_therapy.start_at", "resources.cmv."),
    *("study.horizon", "economics.counted", "economics.budget.eligible"),
)
"""What an evaluation rests on most: these assumptions are written out; the others are counted and stand in the results."""


def cells(table: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Rows of named cells as a head and lines; a cell that a row does not name is empty."""
    head = list(dict.fromkeys(key for row in table for key in row))
    return [head, *([str(row.get(key, "")) for key in head] for row in table)]


def decision_table(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Strategies in order of cost, with ratios along the frontier."""
    rows = {row["strategy"]: row for row in results["strategies"]}
    against = {row["strategy"]: row for row in results["increments"]}
    words = {"D": "dominated", "ED": "extendedly dominated", "ND": ""}
    table = []
    for entry in results["frontier"]:
        row, more = rows[entry["strategy"]], against.get(entry["strategy"])
        table.append(
            {
                "strategy": entry["strategy"],
                "cost, EUR": euros(row["cost"]["value"]),
                "QALY": f"{row['qaly']['value']:.5f}",
                "more cost than comparator (95%)": interval(more["cost"], euros) if more else "",
                "more QALY (95%)": interval(more["qaly"], lambda x: f"{x:.5f}") if more else "",
                "ICER along the frontier, EUR per QALY": words[entry["status"]] or ratio(entry["icer"]),
            }
        )
    return table


def summary(results: Mapping[str, Any]) -> str:
    """``summary.md``."""
    lines = [f"# {results['scenario']}: economic evaluation", "", *_assumptions(results), "", "## The answer", ""]
    lines += [*answer(results), ""]
    lines += ["## Decision table", "", markdown_table(cells(decision_table(results))), "", *_settings_lines(results), ""]
    if "psa" in results:
        from cmvsim.report.economics_psa_text import psa_sections

        lines += psa_sections(results)
    for title, table, note in _tables(results):
        if table:
            lines += [f"## {title}", "", markdown_table(cells(table)), ""] + ([note, ""] if note else [])
    lines += ["## CHEERS 2022", "", markdown_table(cells(results["cheers"])), ""]
    lines += ["## Sources", "", *(f"- {item['citation']} ({', '.join(item['entries'])})" for item in results["sources"])]
    return "\n".join(lines) + "\n"


def _assumptions(results: Mapping[str, Any]) -> list[str]:
    """Structural assumptions, prices nobody published, and the inputs that matter most."""
    s = results["settings"]
    tail = "life after the horizon is added" if s["tail"] else "nothing after the horizon counts"
    lines = ["## What this rests on, first of all", ""]
    youth = s["value_set_youth"] or s["value_set"]
    paid = ", ".join(sorted({euros(p, 2) for p in s["letermovir_prices"].values()}))
    index = "" if s["index"] else " No price is carried to its year by an index."
    lines.append(
        f"- **The model is one of assumptions and of papers**: {len(results['assumptions'])} inputs have no paper behind them."
    )
    lines.append(
        "- **Letermovir is not licensed after CAR-T cells**; its effect is borrowed from allogeneic transplantation. It changes "
        "who dies only through CMV disease and severe infections: an effect on death is not established."
    )
    lines.append(f"- **Horizon {s['horizon']:g} days** from infusion, {tail}; nothing within a year is discounted.")
    lines.append(
        f"- **Perspective**: {s['perspective']} ({s['price_list']}, {s['currency']} {s['price_year']}); the list holds "
        f"{s['holds']}.{index}"
    )
    lines.append(
        f"- **QALYs** integrate the expected EQ-5D index between events (value set {s['value_set']}; under 16 years {youth}, as no "
        "French youth set exists); the path of children under 4, who have no questionnaire, is that of their stratum; death is 0."
    )
    lines.append(
        f"- **A day of letermovir** costs {paid} {s['currency']}; {s['counted']} are counted. France has no threshold: a range "
        "is shown."
    )
    guessed = [f"{item} {euros(c['price'], 0)}" for item, c in s["unit_costs"].items() if c["grade"] == "assumed"]
    if guessed:
        lines.append(f"- **Prices with no paper behind them**: {'; '.join(guessed)}.")
    listed = [item for item in results["assumptions"] if item["input"].startswith(FIRST)]
    lines += [f"- `{item['input']}` = {item['value']}: {item['why']}" for item in listed]
    rest = len(results["assumptions"]) - len(listed)
    return [*lines, f"- ... and {rest} more assumptions, about the disease and its care, in `results.json`."]


def _settings_lines(results: Mapping[str, Any]) -> list[str]:
    refused = [f"{row['strategy']}: {row['icer_refused']}" for row in results["increments"] if row["icer_refused"]]
    given = [
        f"{row['strategy']} {ratio(row['icer'])} ({ratio(row['icer_low'])} to {ratio(row['icer_high'])})"
        for row in results["increments"]
        if not row["icer_refused"]
    ]
    lines = [
        (
            f"{results['patients']:,} patients, the same under every strategy. Intervals are of patient sampling (paired): how "
            "well these inputs are worked out, not how well they are known."
        )
    ]
    if given:
        lines.append(f"ICER against {results['settings']['comparator']} with Fieller's interval: {'; '.join(given)}.")
    if refused:
        lines.append(f"No interval of the ratio: {'; '.join(refused)}.")
    return lines


def _tables(results: Mapping[str, Any]) -> Iterator[tuple[str, list[dict[str, Any]], str]]:
    yield "Cost by component, EUR per patient", components(results), ""
    yield "What happens, per 1,000 patients", events(results), ""
    yield (
        "At what price: break-even price of a day of letermovir, EUR",
        prices(results),
        "Exact: cost is linear in the price. At a threshold of 0 the strategy is cost neutral.",
    )
    yield "At what incidence", incidences(results), incidence_note(results)
    yield (
        "For which patients: strategies as rules",
        rules(results),
        (
            "Sensitivity and specificity of getting the drug, for clinically significant infection under the comparator. "
            "`best possible`: the drug given only to those who would have one and whom the strategy reaches: no rule within it "
            "can find them better."
        ),
    )
    yield "By stratum", by_stratum(results), ""
    if results.get("structural"):
        yield "Structural choices, one at a time", structural(results), "On fewer patients than the base case."
    yield "Net benefit by price and threshold, EUR per patient", grid(results), ""
    yield "Each input alone", one_way(results), one_way_note(results)
    yield "Budget impact, EUR million, undiscounted", budget(results), ""
    yield (
        "Cost of illness: what the study would estimate, beside the truth, EUR",
        illness(results),
        "Truth: the same patients with CMV switched off. Estimate: risk-set matching on recorded studies.",
    )
    yield "Pairing audit", pairing(results), "How many times more patients independent strategies would need."


def long_table(results: Mapping[str, Any]) -> str:
    """``tables.csv``: population, strategy, measure, name, value, standard error."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["population", "strategy", "measure", "name", "value", "se"])
    whole = [("all", results["strategies"], results["increments"])]
    parts = whole + [(part["stratum"], part["strategies"], part["increments"]) for part in results["strata"]]
    for population, strategies, increments in parts:
        for row in strategies:
            for name in ("cost", "qaly", "life_years"):
                writer.writerow([population, row["strategy"], name, "", *_pair(row[name])])
            for measure in ("components", "quantities", "events"):
                for name, value in row[measure].items():
                    writer.writerow([population, row["strategy"], measure, name, _number(value), ""])
        for row in increments:
            for name in ("cost", "qaly", "life_years"):
                writer.writerow([population, row["strategy"], f"increment of {name}", "", *_pair(row[name])])
            for threshold, value in zip(results["thresholds"], row["break_even_price"], strict=True):
                writer.writerow([population, row["strategy"], "break_even_price", f"{threshold:g}", *_pair(value)])
            for threshold, value in zip(results["thresholds"], row["net_benefit"], strict=True):
                writer.writerow([population, row["strategy"], "increment of net_benefit", f"{threshold:g}", *_pair(value)])
    return out.getvalue()


def _pair(mean: Mapping[str, Any]) -> Sequence[str]:
    return [_number(mean["value"]), _number(mean["se"])]


def _number(value: float | None) -> str:
    return "" if value is None or value != value else f"{value:.10g}"
