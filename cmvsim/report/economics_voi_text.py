"""Value of information in words: what more knowledge is worth, of what, and what this study would tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.report.economics_answer import euros
from cmvsim.report.economics_run_tables import interval
from cmvsim.report.power_text import markdown_table

MOST = 12


def answer(results: Mapping[str, Any]) -> list[str]:
    """One paragraph for each question."""
    return [line for part in (_today(results), _at_price(results), _study(results)) for line in (part, "")]


def _today(results: Mapping[str, Any]) -> str:
    now, labels = results["today_evpi"], results["labels"]
    threshold, today = euros(results["threshold"]), euros(results["today"])
    name, price = results["break_even"]["strategy"], results["break_even"]["price"]
    if now["smoothed"] == 0:
        text = (
            f"**At today's price ({today} EUR a day) more information is worth nothing at {threshold} EUR per QALY:** in none of "
            f"{results['draws']:,} draws would knowing change the decision, which is not to give letermovir. That stops at a price "
            f"below about {euros(results['evpi_stops_being_0'])} EUR a day; at {euros(price)} EUR {labels[name]} is as good as its "
            "comparator."
        )
    else:
        text = (
            f"**At today's price ({today} EUR a day) perfect information is worth {euros(now['smoothed'], 2)} EUR per patient at "
            f"{threshold} EUR per QALY** (standard error {euros(now['smoothed_se'], 2)}). {labels[name]} breaks even at "
            f"{euros(price)} EUR a day."
        )
    return f"{text} {_incidence(results)}"


def _incidence(results: Mapping[str, Any]) -> str:
    found = results["worth_from_incidence"]
    some = [
        f"{results['labels'][r['strategy']]} {100 * r['incidence'][0]:.0f}%" for r in found if r["incidence"][0] is not None
    ]
    if some:
        return f"Incidence of any DNAemia from which today's price is worth it: {'; '.join(some)}."
    highest = found[0]["highest_tried"] if found else None
    return (
        ""
        if highest is None
        else f"No incidence that the model reaches (up to {100 * highest:.0f}%) makes today's price worth it."
    )


def _at_price(results: Mapping[str, Any]) -> str:
    e, groups = results["evpi"], results["groups"]
    text = (
        f"**At {euros(results['price'], 2)} EUR a day** perfect information on everything is worth {euros(e['smoothed'], 2)} EUR per "
        f"patient (standard error {euros(e['se'], 2)}; raw {euros(e['raw'], 2)})"
    )
    told = [f"{row['group']} {euros(row['value'], 2)}" for row in groups[:3] if row["value"] > 0]
    return text + (f"; most of it on: {'; '.join(told)} EUR." if told else ".")


def _study(results: Mapping[str, Any]) -> str:
    informed, rows, net = results["informed"], results["evsi"], results["enbs"]
    worth = "; ".join(f"N = {row['patients']}: {euros(row['rising'], 2)}" for row in rows)
    text = (
        f"**This study** is a single-arm cohort: it informs the course of CMV ({len(informed['inputs'])} inputs, worth "
        f"{euros(informed['value'], 2)} EUR per patient if known exactly), not what letermovir does. Its value per patient, EUR: "
        f"{worth}. "
    )
    people = f"{results['people']:,.0f} (discounted) patients"
    if results["best_size"] == 0:
        return f"{text}For {people} no size is worth what the study costs, for this decision alone."
    best = next(row for row in net if row["patients"] == results["best_size"])
    return (
        f"{text}For {people} it is worth most, net of its cost, with {results['best_size']} patients: {euros(best['value'])} EUR "
        f"(standard error {euros(best['se'])}; as good: {', '.join(map(str, results['as_good']))})."
    )


def summary(results: Mapping[str, Any]) -> str:
    """``summary.md``."""
    lines = [
        f"# {results['scenario']}: value of information",
        "",
        _basis(results),
        "",
        "## The answer",
        "",
        *answer(results),
        "## Perfect information on groups of inputs, EUR per patient",
        "",
        markdown_table([["group", "inputs", "value (95%)"], *[_line(r, "group", str(r["inputs"])) for r in results["groups"]]]),
        "",
        "## On single inputs",
        "",
        markdown_table([["input", "kind", "value (95%)"], *[_line(r, "input", r["kind"]) for r in results["singles"][:MOST]]]),
        "",
        _floor(results),
        "",
        "## The study by its size",
        "",
        markdown_table(study_table(results)),
        "",
        _identities(results),
        "",
        "![Value of information by price](figures/evpi_by_price.png)",
        "",
        "![Value of the study by its size](figures/evsi.png)",
        "",
        "![Perfect information on groups and inputs](figures/evppi.png)",
    ]
    return "\n".join(lines) + "\n"


def _basis(results: Mapping[str, Any]) -> str:
    return (
        f"{results['draws']:,} draws, {results['patients']:,} patients each ({results['failed']} failed); price of a day "
        f"{euros(results['price'], 2)} EUR, {euros(results['threshold'])} EUR per QALY. {len(results['assumptions'])} inputs have "
        "no paper behind them (`results.json`). The study's patients have streams of their own, apart from those of the decision."
    )


def _floor(results: Mapping[str, Any]) -> str:
    return (
        f"An input that tells nothing shows about {euros(results['noise_floor'], 2)} EUR here: where strategies are about equally "
        "good the estimate is biased up by that much. More draws lower it."
    )


def _line(row: Mapping[str, Any], name: str, beside: str) -> list[str]:
    return [row[name], beside, interval(row, lambda x: euros(max(x, 0.0), 2))]


def study_table(results: Mapping[str, Any]) -> list[list[str]]:
    """EVSI and ENBS by size."""
    head = ["patients", "EVSI, EUR per patient (95%)", "for all patients, EUR", "cost, EUR", "net, EUR"]
    table = [head]
    for one, net in zip(results["evsi"], results["enbs"], strict=True):
        value = {"value": one["rising"], "se": one["se"]}
        shown = interval(value, lambda x: euros(max(x, 0.0), 2))
        table.append([str(one["patients"]), shown, euros(net["population"]), euros(net["cost"]), euros(net["value"])])
    return table


def _identities(results: Mapping[str, Any]) -> str:
    broken = {name.replace("_", " "): found for name, found in results["identities"].items() if found}
    if not broken:
        return (
            "Holds: no single input or group is worth more than all together, larger studies are worth no less, and no study more "
            "than the inputs that it informs (each within 3 standard errors)."
        )
    return "Does not hold, take the estimates with care: " + "; ".join(f"{name}: {found}" for name, found in broken.items())
