"""An economic evaluation in words: assumptions first, then the answer in a few sentences, then the tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cmvsim.report.economics_answer import answer, euros, ratio, signed
from cmvsim.report.economics_cheers import cheers
from cmvsim.report.power_text import markdown_table

__all__ = ["answer", "cells", "cheers", "decision_table", "long_table", "summary"]

Z95 = 1.959963984540054
FIRST = ("letermovir.", "economics.", "quality_of_life.changes", "preemptive_therapy.", "resources.cmv", "study.horizon")
"""What an evaluation rests on most: these assumptions are written out; the others are counted and stand in the results."""
UNDISPUTED = 1e-9
COMPONENTS = {
    "initial_stay_planned": "initial stay, planned",
    "initial_stay_prolonged": "initial stay, prolonged",
    "additional_stays": "additional stays",
    "surveillance_planned": "surveillance, planned",
    "surveillance_extra": "surveillance, extra",
    "treatments": "treatments of CMV",
    "prophylaxis": "prophylaxis",
    "other": "drugs against toxicity",
}


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
                "more cost than comparator (95%)": _interval(more["cost"], euros) if more else "",
                "more QALY (95%)": _interval(more["qaly"], lambda x: f"{x:.5f}") if more else "",
                "ICER along the frontier, EUR per QALY": words[entry["status"]] or ratio(entry["icer"]),
            }
        )
    return table


def _interval(mean: Mapping[str, Any], say: Any) -> str:
    value, se = mean["value"], mean["se"] or 0.0
    return f"{say(value)} ({say(value - Z95 * se)} to {say(value + Z95 * se)})"


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
    lines += [
        f"- **The model is one of assumptions and of papers**: {len(results['assumptions'])} inputs have no paper behind them.",
        "- **Letermovir is not licensed after CAR-T cells**; its effect is borrowed from allogeneic transplantation. It changes"
        " who dies only through CMV disease and severe infections: an effect on death is not established.",
        f"- **Horizon {s['horizon']:g} days** from infusion, {tail}; nothing within a year is discounted.",
        f"- **Perspective**: {s['perspective']} ({s['price_list']}, {s['currency']} {s['price_year']}); the list holds {s['holds']}."
        + ("" if s["index"] else " No price is carried to its year by an index."),
        f"- **QALYs** integrate the expected EQ-5D index between events (value set {s['value_set']}; under 16 years "
        f"{s['value_set_youth'] or s['value_set']}, which no French set replaces); the path of children under 4, who have no"
        " questionnaire, is that of their stratum; death is 0.",
        f"- **A day of letermovir** costs {', '.join(sorted({euros(p, 2) for p in s['letermovir_prices'].values()}))} "
        f"{s['currency']}; {s['counted']} are counted. France has no threshold: a range is shown.",
    ]
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
        f"{results['patients']:,} patients, the same under every strategy. Intervals are of patient sampling (paired): how well "
        "these inputs are worked out, not how well they are known."
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
    yield "At what incidence", incidences(results), _incidence_note(results)
    yield (
        "For which patients: strategies as rules",
        rules(results),
        "Sensitivity and specificity of getting the drug, for clinically significant infection under the comparator. "
        "`best possible`: the drug given only to those who would have one, whom no rule can find better.",
    )
    yield "By stratum", by_stratum(results), ""
    yield "Structural choices, one at a time", structural(results), "On fewer patients than the base case."
    yield "Net benefit by price and threshold, EUR per patient", grid(results), ""
    yield "Budget impact, EUR million, undiscounted", budget(results), ""
    yield (
        "Cost of illness: what the study would estimate, beside the truth, EUR",
        illness(results),
        "Truth: the same patients with CMV switched off. Estimate: risk-set matching on recorded studies.",
    )
    yield "Pairing audit", pairing(results), "How many times more patients independent strategies would need."


def components(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cost by component and strategy, and the total."""
    table = []
    for key, label in COMPONENTS.items():
        table.append({"component": label} | {r["strategy"]: euros(r["components"][key]) for r in results["strategies"]})
    return [*table, {"component": "total"} | {r["strategy"]: euros(r["cost"]["value"]) for r in results["strategies"]}]


def events(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Events by strategy."""
    labels = {
        "reactivation": "quantified CMV DNAemia",
        "clinically_significant": "clinically significant infection",
        "disease": "CMV disease",
        "death": "death",
        "received_drug": "given letermovir",
    }
    table = [
        {"event": label} | {r["strategy"]: f"{1000 * r['events'][key]:.1f}" for r in results["strategies"]}
        for key, label in labels.items()
    ]
    days = {r["strategy"]: f"{r['events']['drug_days']:.1f}" for r in results["strategies"]}
    return [*table, {"event": "days of letermovir per patient"} | days]


def shown_thresholds(results: Mapping[str, Any]) -> list[int]:
    """Places of five thresholds at most, the lowest and the highest among them."""
    count = len(results["thresholds"])
    return sorted({round(k * (count - 1) / 4) for k in range(5)})


def prices(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Break-even price by threshold, and days at today's price."""
    table = []
    for row in results["increments"]:
        if row["drug_days"] > 0:
            entry = {"strategy": row["strategy"], "days a patient": f"{row['drug_days']:.1f}"}
            for k in shown_thresholds(results):
                entry[f"at {euros(results['thresholds'][k])} per QALY"] = _interval(
                    row["break_even_price"][k], lambda x: euros(x, 1)
                )
            middle = results["thresholds"].index(results["shown_threshold"])
            entry["days worth today's price"] = f"{row['break_even_days'][middle]:.2f}"
            table.append(entry)
    return table


def incidences(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Break-even price at other incidences."""
    middle = results["thresholds"].index(results["shown_threshold"])
    table = []
    for row in results.get("incidences", ()):
        entry = {
            "incidence of any DNAemia": f"{100 * row['incidence']:.0f}%",
            "clinically significant": f"{100 * row['significant']:.1f}%",
        }
        for more in row["increments"]:
            price, benefit = more["break_even_price"][middle]["value"], more["net_benefit"][middle]["value"]
            entry[more["strategy"]] = "" if price is None else f"{euros(price, 1)} ({signed(benefit)})"
        table.append(entry)
    return table


def _incidence_note(results: Mapping[str, Any]) -> str:
    threshold = euros(results["shown_threshold"])
    return (
        f"Break-even price of a day at {threshold} EUR per QALY, and in brackets net benefit per patient at today's price. "
        "The incidence is that of the scenario's target."
    )


def rules(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Strategies as rules, and the best possible ones."""
    middle = results["thresholds"].index(results["shown_threshold"])
    threshold = euros(results["shown_threshold"])
    table = []
    for row in results["rules"]:
        table.append(
            {
                "strategy": row["strategy"],
                "treated": f"{100 * row['treated']:.0f}%",
                "sensitivity": _percent(row["sensitivity"]),
                "specificity": _percent(row["specificity"]),
                "risk if treated, else": f"{_percent(row['risk_treated'], 1)}, {_percent(row['risk_others'], 1)}",
                "NNT": "none" if row["needed_to_treat"] is None else f"{row['needed_to_treat']:.0f}",
                f"net benefit at {threshold}": signed(row["net_benefit"][middle]["value"]),
                "break-even price": euros(row["break_even_price"][middle]["value"], 1),
            }
        )
    for row in results["oracle"]:
        table.append(
            {
                "strategy": f"{row['strategy']}, best possible",
                "treated": f"{100 * row['share']:.1f}%",
                "sensitivity": "100%",
                "specificity": "100%",
                "risk if treated, else": "100.0%, 0.0%",
                "NNT": "",
                f"net benefit at {threshold}": f"{signed(row['net_benefit'][middle]['value'] * row['share'])}",
                "break-even price": euros(row["break_even_price"][middle]["value"], 1),
            }
        )
    return table


def _percent(value: float | None, digits: int = 0) -> str:
    return "" if value is None or value != value else f"{100 * value:.{digits}f}%"


def by_stratum(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Increments in each stratum."""
    middle = results["thresholds"].index(results["shown_threshold"])
    return [
        {
            "stratum": part["label"],
            "patients": f"{part['patients']:,}",
            "strategy": row["strategy"],
            "more cost": _interval(row["cost"], euros),
            "more QALY": _interval(row["qaly"], lambda x: f"{x:.5f}"),
            "break-even price": euros(row["break_even_price"][middle]["value"], 1),
        }
        for part in results["strata"]
        for row in part["increments"]
    ]


def structural(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Increments under each structural choice."""
    middle = results["thresholds"].index(results["shown_threshold"])
    base = [{"id": "base case", "label": "as above", "increments": results["increments"], "problem": ""}]
    table = []
    for variant in [*base, *results.get("structural", ())]:
        if variant["problem"]:
            table.append({"choice": variant["id"], "what": variant["label"], "strategy": f"not possible: {variant['problem']}"})
        for row in variant["increments"]:
            gain = row["qaly"]["value"]
            share = f"{100 * row['tail_qaly'] / gain:.0f}%" if row["tail_qaly"] and abs(gain) > UNDISPUTED else ""
            table.append(
                {
                    "choice": variant["id"],
                    "what": variant["label"],
                    "strategy": row["strategy"],
                    "more cost": signed(row["cost"]["value"]),
                    "more QALY": f"{gain:.5f}",
                    "of it after the horizon": share,
                    "EUR per QALY": ratio(row["icer"]) if gain > 0 else "dominated",
                    "break-even price": euros(row["break_even_price"][middle]["value"], 1),
                }
            )
    return table


def grid(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Net benefit by price and threshold of the strategy that comes nearest to being worth it."""
    table = []
    for part in results["price_by_threshold"]:
        for price, row in zip(part["prices"], part["net_benefit"], strict=True):
            entry = {"strategy": part["strategy"], "price of a day": euros(price, 2)}
            entry |= {f"at {euros(part['thresholds'][k])}": signed(row[k]) for k in shown_thresholds(results)}
            table.append(entry)
    return table


def budget(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Budget impact by year."""
    table = []
    for row in results["budget"]:
        entry: dict[str, Any] = {"strategy": row["strategy"]}
        for year, (people, net) in enumerate(zip(row["treated"], row["net"], strict=True), start=1):
            entry[f"year {year}"] = f"{net / 1e6:.2f} ({people:,.0f} patients)"
        entry["all years (95%)"] = _interval({"value": row["total"] / 1e6, "se": row["total_se"] / 1e6}, lambda x: f"{x:.2f}")
        table.append(entry)
    return table


def illness(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributable cost by exposure."""
    return [
        {
            "exposure": row["exposure"],
            "patients with it": f"{100 * row['share']:.1f}%",
            "truth (95%)": _interval({"value": row["truth"], "se": row["truth_se"]}, euros) if row["truth"] is not None else "",
            "mean estimate (95% of its simulation)": _interval({"value": row["estimate"], "se": row["estimate_se"]}, euros)
            if row["estimate"] is not None
            else "not estimable",
            "studies that could": f"{100 * row['estimable']:.0f}% of {row['studies']} of {row['patients']} patients",
        }
        for row in results.get("cost_of_illness", ())
    ]


def pairing(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Correlation and variance reduction by outcome."""
    return [
        {
            "strategy": row["strategy"],
            "outcome": row["outcome"],
            "correlation": f"{row['correlation']:.4f}",
            "variance reduction": "all" if row["variance_reduction"] is None else f"{row['variance_reduction']:,.1f} times",
            "MCSE of the increment": f"{row['mcse']:.3g}",
            "without pairing": f"{row['mcse_independent']:.3g}",
        }
        for row in results["pairing"]
    ]


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
