"""Value of information in words: what more knowledge is worth, of what, and what this study would tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.report.economics_names import euros, inline, input_meaning, input_name, names_of
from cmvsim.report.economics_psa_text import regression, unreached
from cmvsim.report.economics_run_tables import interval
from cmvsim.report.economics_terms_text import terms_section
from cmvsim.report.power_text import markdown_table

MOST = 12


def answer(results: Mapping[str, Any]) -> list[str]:
    """One paragraph for each question."""
    return [line for part in (_today(results), _at_price(results), _study(results)) for line in (part, "")]


def _today(results: Mapping[str, Any]) -> str:
    now, named = results["today_evpi"], inline(names_of(results)[results["break_even"]["strategy"]])
    threshold, today = euros(results["threshold"]), euros(results["today"])
    price = results["break_even"]["price"]
    if now["smoothed"] == 0:
        text = (
            f"**At today's price ({today} EUR a day) more information is worth nothing at {threshold} EUR per QALY:** in none of "
            f"{results['draws']:,} draws would knowing change the decision, which is not to give letermovir. That stops at a price "
            f"below about {euros(results['evpi_stops_being_0'])} EUR a day; at {euros(price)} EUR giving it {named} is as good as "
            "not giving it."
        )
    else:
        text = (
            f"**At today's price ({today} EUR a day) perfect information is worth {euros(now['smoothed'], 2)} EUR per patient at "
            f"{threshold} EUR per QALY** (standard error {euros(now['smoothed_se'], 2)}). Given {named} it breaks even at "
            f"{euros(price)} EUR a day."
        )
    return f"{text} {_incidence(results)}"


def _incidence(results: Mapping[str, Any]) -> str:
    found = results["worth_from_incidence"]
    some = [
        f"{names_of(results)[r['strategy']]} {100 * r['incidence'][0]:.0f}%" for r in found if r["incidence"][0] is not None
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
        f"**At {euros(results['price'], 2)} EUR a day**, where the choice is open, perfect information on everything is worth {euros(e['smoothed'], 2)} EUR per "
        f"patient (standard error {euros(e['se'], 2)}; raw {euros(e['raw'], 2)}; {_told(e)})"
    )
    few = " **Too few draws for so many inputs: these values are biased up.**" if results["regression"]["too_few_draws"] else ""
    above = [row for row in groups if row["value"] > row["floor"]]
    told = [f"{row['group']} {euros(row['value'], 2)} ({_told(row)})" for row in above[:3]]
    return (
        text
        + (
            f"; most of it on: {'; '.join(told)} EUR."
            if told
            else "; no group of inputs is above what inputs that tell nothing would show."
        )
        + few
    )


def _told(row: Mapping[str, Any]) -> str:
    """What the same regression would show of inputs that tell nothing."""
    return f"noise alone up to {euros(row['floor'], 2)}"


def _study(results: Mapping[str, Any]) -> str:
    informed, rows, net = results["informed"], results["evsi"], results["enbs"]
    worth = "; ".join(f"N = {row['patients']}: {euros(row['rising'], 2)} ({_told(row)})" for row in rows)
    text = (
        f"**This study** is a single-arm cohort: it informs the course of CMV ({len(informed['inputs'])} inputs, worth "
        f"{euros(informed['value'], 2)} EUR per patient if known exactly; {_told(informed)}), not what letermovir does. Its value per patient, EUR: "
        f"{worth}. "
    )
    if all(row["rising"] <= row["floor"] for row in rows):
        text += "None is above what a study that tells nothing would show. "
    if results["best_size"] == 0:
        return f"{text}No size is worth what the study costs, for this decision alone."
    best = next(row for row in net if row["patients"] == results["best_size"])
    people = f"{best['people']:,.0f} (discounted) patients after its report in {best['reports']:.1f} years"
    return (
        f"{text}For the {people} it is worth most, net of its cost, with {results['best_size']} patients: {euros(best['value'])} EUR "
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
        markdown_table(
            [
                ["group", "inputs", "value (95%)", "noise alone"],
                *[[*_line(r, "group", str(r["inputs"])), euros(r["floor"], 2)] for r in results["groups"]],
            ]
        ),
        "",
        _group_floor(results),
        "",
        "## On single inputs",
        "",
        markdown_table([["input", "what it is", "value (95%)"], *[_single(r) for r in results["singles"][:MOST]]]),
        "",
        _floor(results),
        "",
        "## The study by its size",
        "",
        markdown_table(study_table(results)),
        "",
        _identities(results),
        "",
        regression(results["regression"]),
        "",
        *_pictures(results),
    ]
    lines += terms_section("\n".join(lines))
    return "\n".join(lines) + "\n"


def _pictures(results: Mapping[str, Any]) -> list[str]:
    """Figures with what they show, for those who do not see them."""
    top = max(results["by_price"], key=lambda row: row["smoothed"])
    sizes = "; ".join(f"{row['patients']}: {euros(row['rising'], 2)} EUR" for row in results["evsi"])
    return [
        f"![Value of perfect information by the price of a day, highest at {euros(top['price'])} EUR](figures/evpi_by_price.png)",
        "",
        f"![Value of the study per patient by its size: {sizes}](figures/evsi.png)",
        "",
        "![Value of perfect information on groups of inputs and on single inputs, with what noise alone shows](figures/evppi.png)",
        "",
    ]


def _single(row: Mapping[str, Any]) -> list[str]:
    meaning = input_meaning(row["input"]) or f"`{row['key']}` of the scenario"
    shown = interval(row, lambda x: euros(max(x, 0.0), 2))
    return [f"{input_name(row['input'])} (`{row['input']}`)", meaning, shown]


def _basis(results: Mapping[str, Any]) -> str:
    return (
        f"{results['draws']:,} draws, {results['patients']:,} patients each ({results['failed']} failed); price of a day "
        f"{euros(results['price'], 2)} EUR, {euros(results['threshold'])} EUR per QALY. {len(results['assumptions'])} inputs have "
        f"no paper behind them (`results.json`); {results['drawn']['inputs']} inputs have a stated uncertainty and are drawn, "
        f"{results['drawn']['assumed_fixed']} assumed ones have none and stay fixed. The study's patients have "
        f"streams of their own, apart from those of the decision. {unreached(results)}"
    ).rstrip()


def _floor(results: Mapping[str, Any]) -> str:
    return (
        f"An input that tells nothing shows about {euros(results['noise_floor'], 2)} EUR here on average: where strategies are about "
        f"equally good the estimate is biased up by that much. These are the largest of {len(results['singles'])}, and the largest of "
        "so many is larger than that by chance alone: single inputs name candidates, and groups, each with a floor of its own, decide. "
        "More draws lower all floors."
    )


def _group_floor(results: Mapping[str, Any]) -> str:
    return (
        f"`noise alone`: the largest value in {results['floor_permutations']} regressions on the same inputs of other draws, which "
        "tell nothing; a group (or a study) that is not above it shows no value here."
    )


def _line(row: Mapping[str, Any], name: str, beside: str) -> list[str]:
    return [row[name], beside, interval(row, lambda x: euros(max(x, 0.0), 2))]


def study_table(results: Mapping[str, Any]) -> list[list[str]]:
    """EVSI and ENBS by size."""
    head = ["patients", "EVSI, EUR per patient (95%)", "noise alone", "reports, years", "patients who gain"]
    head += ["for all of them, EUR", "cost, EUR", "net, EUR"]
    table = [head]
    for one, net in zip(results["evsi"], results["enbs"], strict=True):
        value = {"value": one["rising"], "se": one["se"]}
        shown = interval(value, lambda x: euros(max(x, 0.0), 2))
        first = [str(one["patients"]), shown, euros(one["floor"], 2), f"{net['reports']:.1f}", euros(net["people"])]
        table.append([*first, euros(net["population"]), euros(net["cost"]), euros(net["value"])])
    return table


def _identities(results: Mapping[str, Any]) -> str:
    note = " These orders say nothing of a bias that all values share." if results["regression"]["too_few_draws"] else ""
    broken = {name.replace("_", " "): found for name, found in results["identities"].items() if found}
    if not broken:
        return (
            "Holds: no single input or group is worth more than all together, larger studies are worth no less, and no study more "
            f"than the inputs that it informs (each within 3 standard errors).{note}"
        )
    return "Does not hold, take the estimates with care: " + "; ".join(f"{name}: {found}" for name, found in broken.items())
