"""The answer of an economic evaluation in sentences: at what price, at what incidence, for which patients, how surely."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.economics_names import (
    FEW_DAYS_OF_HEALTH,
    TOO_FEW,
    Z95,
    Price,
    enough,
    euros,
    inline,
    names_of,
    price_rows,
    ratio,
    signed,
    span,
)

__all__ = ["answer", "euros", "price_note", "price_table", "ratio", "signed"]

FLAT = 0.2
"""A price that changes by less than this share over all thresholds hangs on costs, not on QALYs."""


def answer(results: Mapping[str, Any]) -> list[str]:
    """One paragraph for each question."""
    rows = price_rows(results)
    if not rows:
        return ["No strategy gives letermovir to anybody: nothing is bought, and nothing changes."]
    parts = (
        _overall(results, rows),
        _price(results, rows),
        _incidence(results, rows),
        _patients(results, rows),
        _sure(results),
    )
    return [line for part in parts for line in (part, "") if part]


def _place(results: Mapping[str, Any]) -> int:
    return int(results["thresholds"].index(results["shown_threshold"]))


def _inline(results: Mapping[str, Any]) -> dict[str, str]:
    return {key: inline(name) for key, name in names_of(results).items()}


def _base(results: Mapping[str, Any], strategy: str) -> Mapping[str, Any]:
    """Increments of the base case: the means of the draws where there are draws."""
    drawn = {row["strategy"]: row for row in results.get("psa", {}).get("increments", ())}
    fixed = next(row for row in results["increments"] if row["strategy"] == strategy)
    own: Mapping[str, Any] = drawn.get(strategy, fixed)
    return own


def _benefit(row: Mapping[str, Any], place: int) -> float:
    value = row["net_benefit"][place]
    return float(value["value"] if isinstance(value, Mapping) else value)


def _gained(row: Mapping[str, Any], place: int) -> str:
    """Net benefit, with the error of simulation where that is all there is."""
    text, mean = f"{signed(_benefit(row, place))} EUR per patient", row["net_benefit"][place]
    if not isinstance(mean, Mapping):
        return text
    ends = (mean["value"] - Z95 * mean["se"], mean["value"] + Z95 * mean["se"])
    return f"{text}, 95% of simulation {signed(ends[0])} to {signed(ends[1])}"


def _overall(results: Mapping[str, Any], rows: Sequence[Price]) -> str:
    place, names = _place(results), _inline(results)
    worth = [row.strategy for row in rows if _benefit(_base(results, row.strategy), place) > 0]
    if worth:
        told = "; ".join(f"{names[k]} ({_gained(_base(results, k), place)})" for k in worth)
        return f"**At today's price and {euros(results['shown_threshold'])} EUR per QALY these uses are worth it:** {told}."
    ever = any(_benefit(_base(results, row.strategy), len(results["thresholds"]) - 1) > 0 for row in rows)
    upto = f"At {euros(results['shown_threshold'])} EUR per QALY" if ever else "At today's price"
    most = "" if ever else f", up to {euros(results['thresholds'][-1])} EUR per QALY"
    return f"**{upto} no use of letermovir compared here is worth {'today’s price' if ever else 'it'}{most}.** " + _nearest(
        results, rows[0]
    )


def _nearest(results: Mapping[str, Any], row: Price) -> str:
    """What the strategy nearest to being worth it costs and gains."""
    base, fixed = _base(results, row.strategy), next(r for r in results["increments"] if r["strategy"] == row.strategy)
    cost, gain = base["cost"]["value"], base["qaly"]["value"]
    per = f", {ratio(cost / gain)} EUR per QALY" if gain > 0 and cost > 0 else ""
    drug = fixed["drug_cost"]
    return (
        f"Nearest to it, letermovir {_inline(results)[row.strategy]}: {euros(cost)} EUR more per patient (about "
        f"{euros(drug)} EUR of "
        "the drug, "
        f"less {euros(fixed['averted']['value'])} EUR of care averted) for {gain:.5f} QALY more, that is "
        f"{FEW_DAYS_OF_HEALTH * gain:.2f} days in full health{per}."
    )


def _price(results: Mapping[str, Any], rows: Sequence[Price]) -> str:
    place, names, top = _place(results), _inline(results), results["thresholds"][-1]
    prices = results["settings"]["letermovir_prices"]
    today = sorted({prices[row.strategy] for row in rows})
    free = "" if any(today) else "This payer pays nothing for it today. "
    told = "; ".join(f"{names[row.strategy]}: {euros(row.value[place])} EUR{_ends(row, place)}" for row in rows)
    text = (
        f"**At what price.** {free}To be worth it at "
        f"{euros(results['shown_threshold'])} EUR per QALY a day of letermovir, "
        f"{' or '.join(euros(price) for price in today)} EUR today, may cost at most: {told}."
    )
    first = rows[0]
    low, high = first.value[0], first.value[-1]
    if low > 0 and high - low < FLAT * high:
        goes = f"stays at {euros(low)} EUR" if euros(low) == euros(high) else f"goes from {euros(low)} to {euros(high)} EUR"
        text += (
            f" What a QALY is worth matters little: from 0 to {euros(top)} EUR per QALY the first of these {goes}, as "
            "almost all that "
            "the drug brings is care averted."
        )
    return text


def _ends(row: Price, place: int) -> str:
    low, high = row.low[place], row.high[place]
    return f" (95% {span(low, high)})" if math.isfinite(low) and math.isfinite(high) else ""


def _incidence(results: Mapping[str, Any], rows: Sequence[Price]) -> str:
    found = results.get("worth_from_incidence")
    if not found or found[0]["highest_tried"] is None:
        return ""
    place, names = _place(results), _inline(results)
    highest = f"{100 * found[0]['highest_tried']:.0f}%"
    some = [
        f"{names[row['strategy']]} from {100 * row['incidence'][place]:.0f}%"
        for row in found
        if row["incidence"][place] is not None
    ]
    threshold = euros(results["shown_threshold"])
    if some:
        told = f"Today's price is worth it, at {threshold} EUR per QALY, for {'; '.join(some)} with any CMV DNAemia"
        told += "; the others at none that the model reaches." if len(some) < len(found) else "."
    else:
        told = (
            f"Today's price is worth it at no incidence of any CMV DNAemia up to {highest}, the highest that the model reaches."
        )
    name = rows[0].strategy
    low, high = (_at_incidence(row, name, place) for row in (results["incidences"][0], results["incidences"][-1]))
    return f"**At what incidence.** {told} Nearest, {names[name]}: at most {low}, {high} (inputs as they stand)."


def _at_incidence(row: Mapping[str, Any], name: str, place: int) -> str:
    price = next(more for more in row["increments"] if more["strategy"] == name)["break_even_price"][place]
    value, error = price["value"], Z95 * (price["se"] or 0.0)
    told = "none" if value is None else f"{euros(value)} EUR (95% of simulation {span(value - error, value + error)})"
    return f"{told} at {100 * row['incidence']:.0f}%"


def _patients(results: Mapping[str, Any], rows: Sequence[Price]) -> str:
    place, name = _place(results), rows[0].strategy
    rule = next((row for row in results["rules"] if row["strategy"] == name), None)
    label = names_of(results)[name]
    needed = rule["needed_to_treat"] if rule else None
    if not rule or not needed or not math.isfinite(needed):
        return f"**For which patients.** {label}: it averts no infection."
    text = (
        f"**For which patients** (inputs as they stand). {label}: {100 * rule['treated']:.0f}% of patients are treated, "
        f"{100 * rule['sensitivity']:.0f}% of "
        f"those who would have a clinically significant infection are among them, and {needed:.0f} are treated for each "
        "averted." + _risk(rule, place, float(results["settings"]["letermovir_prices"][name]))
    )
    groups = _groups(results, name, place)
    if groups:
        text += f" Worth at most, by disease (95% of simulation): {groups}."
    oracle = next((row for row in results["oracle"] if row["strategy"] == name), None)
    if oracle is None:
        return text
    price = oracle["break_even_price"][place]["value"]
    against = _against_today(price, results, name)
    return text + (
        f" Given only to those of them who would have such an infection ({100 * oracle['reached']:.0f}% of all who would), "
        "whom no "
        f"rule can know beforehand, it would be worth {euros(price)} EUR a day{against}."
    )


def _against_today(price: float | None, results: Mapping[str, Any], name: str) -> str:
    """What the best possible rule says of today's price."""
    today = float(results["settings"]["letermovir_prices"][name])
    base = next(row for row in price_rows(results) if row.strategy == name)
    if base.value[_place(results)] >= today:
        return ""
    if price is None or price < today:
        return ", less than today's price: no rule within this strategy, however good, makes it worth that"
    return ", more than today's price: what is missing is a way to find them"


def _groups(results: Mapping[str, Any], name: str, place: int) -> str:
    told = []
    for part in results["strata"]:
        row = next(more for more in part["increments"] if more["strategy"] == name)
        price = row["break_even_price"][place]
        if price["value"] is None or price["se"] is None or not row["drug_days"] > 0:
            continue
        error = Z95 * price["se"]
        ends = span(price["value"] - error, price["value"] + error)
        shown = f"{euros(price['value'])} EUR ({ends})" if enough(row, part["patients"]) else TOO_FEW
        told.append(f"{part['label']} {shown}")
    return "; ".join(told)


def _risk(rule: Mapping[str, Any], place: int, today: float) -> str:
    """What the risk of those treated would have to be, benefits being in proportion to it."""
    price, risk = rule["break_even_price"][place]["value"], rule["risk_treated"]
    if not price or not risk or price <= 0 or price >= today:
        return ""
    share = risk * today / price
    begin = (
        f" {100 * risk:.0f}% of those treated would have such an infection without it; with benefits in proportion to that risk"
    )
    if share > 1:
        return f"{begin} today's price would not be worth it even if all of them had."
    return f"{begin} it would have to be about {100 * share:.0f}% for today's price."


def _sure(results: Mapping[str, Any]) -> str:
    psa, drawn = results.get("psa"), results["drawn"]
    fixed = f"{drawn['assumed_fixed']} assumed inputs have no stated uncertainty and stay fixed"
    if not psa:
        return (
            "**How surely.** Not known: these are the inputs as they stand, and the intervals are of the simulation only. "
            f"`--psa 1000` draws the {drawn['inputs']} inputs whose uncertainty is stated ({fixed}), and makes their mean "
            "the base case."
        )
    place, count = _place(results), psa["draws"]
    text = (
        f"**How surely.** Prices are means over {count:,} draws of the {drawn['inputs']} inputs whose uncertainty is "
        "stated, with the "
        f"range of 95% of the draws; {fixed}, so that what is not known is more than this."
    )
    if not all(row["smoothed_range"] for row in psa["increments"]):
        text += (
            f" {count:,} draws are too few to tell the inputs' part from the noise of {psa['patients']:,} patients a draw: "
            "the ranges "
            "hold both, and are too wide."
        )
    return f"{text} {_worth(results, psa, place)}{_reached(results, psa, place)}"


def _worth(results: Mapping[str, Any], psa: Mapping[str, Any], place: int) -> str:
    names, count = _inline(results), psa["draws"]
    threshold = euros(results["shown_threshold"])
    shares = {row["strategy"]: row["acceptable_raw"][place] for row in psa["increments"]}
    some = [f"{names[key]} {100 * share:.0f}%" for key, share in shares.items() if share > 0]
    if not some:
        most = 100 * (1 - 0.05 ** (1 / count))
        return (
            f"At today's price and {threshold} EUR per QALY no strategy is worth it in any draw (so probability 0, and with "
            f"{count:,} "
            f"draws at most {most:.2g}%, by a 95% limit)."
        )
    return f"Probability of being worth today's price at {threshold} EUR per QALY: {'; '.join(some)}; the others 0."


def _reached(results: Mapping[str, Any], psa: Mapping[str, Any], place: int) -> str:
    """What draws whose targets no hazards meet do to the answer."""
    if not psa["unreached"]:
        return ""
    share = f"{100 * psa['unreached'] / psa['draws']:.0f}%"
    text = (
        f" In {psa['unreached']:,} draws ({share}) the effect of letermovir that was drawn is one the model cannot show, "
        "and the "
        "nearest it can stands in its place."
    )
    alone = psa["reached"]["increments"]
    if not alone:
        return f"{text} The other {psa['reached']['draws']:,} are too few for an answer of their own."
    all_of = {row["strategy"]: row["break_even_price"][place] for row in psa["increments"]}
    best = max((row for row in alone if row["break_even_price"][place] is not None), key=lambda r: r["break_even_price"][place])
    low, high = best["break_even_price_95"][place]
    name = _inline(results)[best["strategy"]]
    return (
        f"{text} Among the other {psa['reached']['draws']:,} draws alone {name} is worth at most "
        f"{euros(best['break_even_price'][place])} EUR a day (95% {span(low, high)}), against "
        f"{euros(all_of[best['strategy']])} over all."
    )


def price_table(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a day may cost under each strategy: the base case, and beside it the inputs as they stand."""
    place, names = _place(results), names_of(results)
    psa = "psa" in results
    worth = {row["strategy"]: row["incidence"][place] for row in results.get("worth_from_incidence", ())}
    treated = {row["strategy"]: row["treated"] for row in results["rules"]}
    table = []
    for row in price_rows(results):
        entry = {"strategy": names[row.strategy], "patients treated": f"{100 * treated.get(row.strategy, 0):.0f}%"}
        if psa:
            entry["price: base case (95%)"] = f"{euros(row.value[place])} ({span(row.low[place], row.high[place])})"
        fixed = f"{euros(row.fixed[place])} ({span(row.fixed_low[place], row.fixed_high[place])})"
        entry["price: inputs as they stand (95%)"] = fixed
        entry[f"from 0 to {euros(results['thresholds'][-1])} per QALY"] = span(row.value[0], row.value[-1])
        entry["today"] = euros(results["settings"]["letermovir_prices"][row.strategy])
        if worth:
            found = worth[row.strategy]
            entry["worth today's from an incidence of"] = "none" if found is None else f"{100 * found:.0f}%"
        table.append(entry)
    return table


def price_note(results: Mapping[str, Any]) -> str:
    """Which of two prices is the base case, and why they differ."""
    threshold, top = euros(results["shown_threshold"]), euros(results["thresholds"][-1])
    text = (
        f"`price`: EUR for a day of letermovir, the highest at which the strategy is worth it at {threshold} EUR per QALY; "
        "`from 0 to "
        f"{top}`: the same at these thresholds, 0 being cost neutral. "
    )
    if "psa" not in results:
        return text + (
            "There were no draws, so this is the deterministic answer: each input at its own best guess. Its 95% is of the "
            f"simulation alone ({results['patients']:,} patients), not of what is not known."
        )
    patients = results["psa"]["draws"] * results["psa"]["patients"]
    return text + (
        "**Base case**: the mean over the draws (probabilistic) and the range of 95% of them, as costs and QALYs are not in "
        "proportion to the inputs, and a mean of results is not the result at the mean inputs. **Inputs as they stand** "
        "(deterministic) puts each input at its own best guess, with the 95% of the simulation; it is shown to compare, and "
        "the "
        "tables further down (components, patients, incidence, structural choices) are made with it. The two differ by "
        "that, and by "
        f"the noise of simulation: {results['patients']:,} patients there, {patients:,} in all draws together."
    )
