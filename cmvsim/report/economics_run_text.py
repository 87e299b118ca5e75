"""An economic evaluation in words: assumptions first, then the answer in a few sentences, then the tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cmvsim.report.economics_answer import answer, price_note, price_table
from cmvsim.report.economics_cheers import cheers
from cmvsim.report.economics_names import euros, names_of, ratio
from cmvsim.report.economics_psa_text import psa_sections
from cmvsim.report.economics_run_alt import pictures
from cmvsim.report.economics_run_tables import (
    budget,
    by_stratum,
    components,
    events,
    grid,
    grid_note,
    illness,
    incidence_note,
    incidences,
    interval,
    one_way,
    one_way_note,
    pairing,
    prices,
    qalys,
    rules,
    structural,
    structural_note,
)
from cmvsim.report.economics_terms_text import terms_section
from cmvsim.report.power_text import markdown_table

__all__ = ["answer", "cells", "cheers", "decision_table", "long_table", "price_table", "summary"]

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
    """Strategies in order of cost, with ratios along the frontier: the means of the draws where there are draws."""
    psa, names = results.get("psa"), names_of(results)
    rows = {row["strategy"]: row for row in (psa or results)["strategies"]}
    against = {row["strategy"]: row for row in (psa or results)["increments"]}
    words = {"D": "dominated", "ED": "extendedly dominated", "ND": ""}
    table = []
    for entry in (psa or results)["frontier"]:
        row, more = rows[entry["strategy"]], against.get(entry["strategy"])
        table.append(
            {
                "strategy": names[entry["strategy"]],
                "cost, EUR": euros(row["cost"]["value"]),
                "QALY": qalys(row["qaly"]["value"]),
                "more cost than comparator (95%)": interval(more["cost"], euros) if more else "",
                "more QALY (95%)": interval(more["qaly"], qalys) if more else "",
                "EUR per QALY against comparator": ratio(_icer(more)) if more else "",
                "ICER along the frontier, EUR per QALY": words[entry["status"]] or ratio(entry["icer"]),
            }
        )
    return table


def _icer(row: Mapping[str, Any]) -> float | None:
    """None where there is no gain that a ratio could be of."""
    value = row["icer"]
    return float(value) if value is not None and row["qaly"]["value"] > 0 else None


def summary(results: Mapping[str, Any]) -> str:
    """``summary.md``."""
    show = pictures(results)
    lines = [f"# {results['scenario']}: economic evaluation", "", *_assumptions(results), "", "## The answer", ""]
    lines += [*answer(results), markdown_table(cells(price_table(results))), "", price_note(results), ""]
    lines += [
        *show("prices"),
        "## Decision table",
        "",
        _decision_basis(results),
        "",
        markdown_table(cells(decision_table(results))),
        "",
    ]
    lines += [*_settings_lines(results), ""]
    if "psa" in results:
        lines += psa_sections(results, show)
    for title, table, note, figure in _tables(results):
        if table:
            lines += [f"## {title}", "", markdown_table(cells(table)), "", *([note, ""] if note else []), *show(figure)]
    lines += [*_detail(results), "", "## CHEERS 2022", "", markdown_table(cells(results["cheers"])), ""]
    lines += [*terms_section("\n".join(lines)), "## Sources", ""]
    lines += [f"- {item['citation']} ({', '.join(item['entries'])})" for item in results["sources"]]
    return "\n".join(lines) + "\n"


def _assumptions(results: Mapping[str, Any]) -> list[str]:
    """What the answer rests on most, in few lines; :func:`_detail` has the rest."""
    s = results["settings"]
    tail = "life after the horizon is added" if s["tail"] else "nothing after it counts"
    paid = ", ".join(sorted({euros(p, 2) for p in s["letermovir_prices"].values()}))
    guessed = sum(cost["grade"] == "assumed" for cost in s["unit_costs"].values())
    return [
        "## What this rests on, first of all",
        "",
        (
            f"- **A model of assumptions and of papers**: {len(results['assumptions'])} inputs have no paper behind them; "
            "those "
            "that "
            "matter most here are written out below, under Assumptions in detail."
        ),
        (
            "- **Letermovir is not licensed after CAR-T cells**; its effect is borrowed from allogeneic transplantation. It "
            "changes "
            "who dies only through CMV disease and severe infections: an effect on death is not established."
        ),
        (
            f"- **Costs**: {s['perspective']} ({s['price_list']}, {s['currency']} {s['price_year']}); a day of letermovir "
            "costs "
            f"{paid} "
            f"{s['currency']}, {s['counted']} are counted; {guessed} of {len(s['unit_costs'])} prices have no paper behind "
            "them."
        ),
        (
            f"- **Horizon {s['horizon']:g} days** from infusion: {tail}; no discounting within a year. France has no "
            "threshold: "
            "a range "
            "is shown."
        ),
    ]


def _detail(results: Mapping[str, Any]) -> list[str]:
    """Prices nobody published, how QALYs are made, and the assumptions that matter most."""
    s = results["settings"]
    youth = s["value_set_youth"] or s["value_set"]
    index = "" if s["index"] else " No price is carried to its year by an index."
    lines = ["## Assumptions in detail", "", f"- **Prices**: the list holds {s['holds']}.{index}"]
    lines.append(
        f"- **QALYs** integrate the expected EQ-5D index between events (value set {s['value_set']}; under 16 years "
        f"{youth}, as no "
        "French youth set exists); the path of children under 4, who have no questionnaire, is that of their stratum; death "
        "is 0."
    )
    guessed = [
        f"{item.replace('_', ' ')} {euros(c['price'])}" for item, c in s["unit_costs"].items() if c["grade"] == "assumed"
    ]
    if guessed:
        lines.append(f"- **Prices with no paper behind them, {s['currency']}**: {'; '.join(guessed)}.")
    listed = [item for item in results["assumptions"] if item["input"].startswith(FIRST)]
    lines += [f"- `{item['input']}` = {item['value']}: {item['why']}" for item in listed]
    rest = len(results["assumptions"]) - len(listed)
    return [*lines, f"- ... and {rest} more assumptions, about the disease and its care, in `results.json`."]


def _decision_basis(results: Mapping[str, Any]) -> str:
    """What the table is made of."""
    if "psa" in results:
        psa = results["psa"]
        return (
            f"Base case: means of {psa['draws']:,} draws, {psa['patients']:,} patients each; intervals are of these means "
            "(their Monte "
            "Carlo error, draws included), not of what is not known. The deterministic means are beside them in the next "
            "section."
        )
    return (
        f"Inputs as they stand (deterministic): {results['patients']:,} patients, the same under every strategy. Intervals "
        "are of "
        "patient sampling (paired): how well these inputs are worked out, not how well they are known."
    )


def _settings_lines(results: Mapping[str, Any]) -> list[str]:
    """Ratios at the inputs as they stand, with their intervals or why there are none."""
    names = names_of(results)
    given, refused = [], []
    for row in results["increments"]:
        if not row["icer_refused"]:
            given.append(
                f"{names[row['strategy']]} {ratio(row['icer'])} ({ratio(row['icer_low'])} to {ratio(row['icer_high'])})"
            )
        elif row["cost"]["se"] or row["qaly"]["se"]:
            refused.append(f"{names[row['strategy']]} {ratio(_icer(row))}")
    lines = []
    if given:
        lines.append(
            f"EUR per QALY against {names[results['settings']['comparator']]} at the inputs as they stand, with Fieller's "
            "interval of "
            f"the simulation ({results['patients']:,} patients): {'; '.join(given)}."
        )
    if refused:
        lines.append(f"Without an interval, as the gain in QALYs may be 0 with so many patients: {'; '.join(refused)}.")
    return ["\n\n".join(lines)]


Part = tuple[str, list[dict[str, Any]], str, str]
"""Heading, table, note, figure."""


def _tables(results: Mapping[str, Any]) -> Iterator[Part]:
    yield "Cost by component, EUR per patient", components(results), "", "cost_stack"
    yield "What happens, per 1,000 patients", events(results), "", ""
    yield (
        "At what price: break-even price of a day of letermovir, EUR",
        prices(results),
        (
            "Inputs as they stand; 95% of simulation. Exact in the price: cost is linear in it. At a threshold of 0 the "
            "strategy is "
            "cost neutral. `days worth today's price`: how many days of the drug, per patient of the cohort, the same "
            "effect pays for."
        ),
        "break_even_price",
    )
    yield "At what incidence", incidences(results), incidence_note(results), "incidence"
    yield (
        "For which patients: strategies as rules",
        rules(results),
        (
            "Sensitivity and specificity of getting the drug, for clinically significant infection under the comparator. "
            "`risk if treated, else`: share with that infection, without the drug, of those whom the rule treats and of the "
            "others. "
            "`best possible`: the drug given only to those who would have one and whom the strategy reaches: no rule within it "
            "can find them better."
        ),
        "",
    )
    yield "By stratum", by_stratum(results), "Inputs as they stand; 95% of simulation.", ""
    if results.get("structural"):
        yield "Structural choices, one at a time", structural(results), structural_note(results), ""
    yield "Net benefit by price and threshold, EUR per patient", grid(results), grid_note(results), ""
    yield "Each input alone", one_way(results), one_way_note(results), "one_way"
    yield "Budget impact, EUR million, undiscounted", budget(results), "", ""
    yield (
        "Cost of illness: what the study would estimate, beside the truth, EUR",
        illness(results),
        "Truth: the same patients with CMV switched off. Estimate: risk-set matching on recorded studies.",
        "",
    )
    yield (
        "Pairing audit",
        pairing(results),
        (
            "`variance reduction`: how many times more patients would be needed if each strategy had patients of its own; "
            "`all of it`: "
            "the two strategies are the same in every patient."
        ),
        "",
    )


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
