"""The CHEERS 2022 checklist, filled from a run: what the run itself can say, and where a reader must."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.report.economics_answer import euros

AUTHOR = "by the authors"


def cheers(results: Mapping[str, Any]) -> list[dict[str, str]]:
    """28 items (Husereau et al. 2022) with what this run says to each."""
    s, asked = results["settings"], results["thresholds"]
    names = ", ".join(s["labels"].values())
    psa = results.get("psa")
    drawn = (
        f"{psa['draws']:,} draws of {psa['inputs']} inputs, {psa['patients']:,} patients each; patient sampling kept apart"
        if psa
        else "not asked for (--psa)"
    )
    shown = "structural choices, incidence, " if results.get("structural") else ""
    said = {
        "1 Title": f"Economic evaluation of {names}",
        "2 Abstract": "the first two sections of summary.md",
        "3 Background and objectives": AUTHOR,
        "4 Health economic analysis plan": f"request {results['digest'][:8]}, kept in run.json",
        "5 Study population": f"{results['title']}; strata: {', '.join(part['label'] for part in results['strata'])}",
        "6 Setting and location": f"{s['perspective']}; France",
        "7 Comparators": f"{names}; against {s['labels'][s['comparator']]}",
        "8 Perspective": f"{s['perspective']} ({s['price_list']})",
        "9 Time horizon": f"{s['horizon']:g} days" + (", with life after it" if s["tail"] else ""),
        "10 Discount rate": f"{100 * s['discount_costs']:g}% and {100 * s['discount_effects']:g}% a year, past one year"
        + ("" if s["tail"] else " (nothing here is later)"),
        "11 Selection of outcomes": "QALY; life-years; clinically significant infection",
        "12 Measurement of outcomes": "integral of the expected EQ-5D index; simulated events",
        "13 Valuation of outcomes": f"{s['value_set']}; under 16 years {s['value_set_youth'] or s['value_set']}",
        "14 Measurement and valuation of resources": f"dated ledger; {s['holds']}",
        "15 Currency, price date and conversion": f"{s['currency']} {s['price_year']}; "
        + (s["index"] or "no index was applied"),
        "16 Rationale and description of model": "patient-level simulation, docs/model.md; scenario.resolved.json",
        "17 Analytics and assumptions": f"{len(results['assumptions'])} assumptions, all in results.json",
        "18 Characterising heterogeneity": "by stratum; strategies read as rules",
        "19 Characterising distributional effects": "not done",
        "20 Characterising uncertainty": f"{shown}price, threshold, each input alone; probabilistic: {drawn}",
        "21 Engagement with patients and others": AUTHOR,
        "22 Study parameters": "scenario.resolved.json, with evidence and uncertainty of each",
        "23 Summary of main results": "decision table in summary.md",
        "24 Effect of uncertainty": f"tables and curves from {euros(asked[0])} to {euros(asked[-1])} per QALY",
        "25 Effect of engagement": AUTHOR,
        "26 Findings, limitations, generalisability": "the section on what this rests on",
        "27 Source of funding": AUTHOR,
        "28 Conflicts of interest": AUTHOR,
    }
    return [{"item": item, "this run": text} for item, text in said.items()]
