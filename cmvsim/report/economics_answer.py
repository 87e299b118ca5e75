"""The answer of an economic evaluation in sentences: at what price, at what incidence, for which patients, how surely."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

MILLION = 1e6
NEGLIGIBLE = 5e-7


def euros(value: float | None, digits: int = 0) -> str:
    """An amount with thousands separated."""
    if value is None or not math.isfinite(value):
        return "none"
    return f"{value:,.{digits}f}"


def signed(value: float | None) -> str:
    """An amount with its sign."""
    return "none" if value is None or not math.isfinite(value) else f"{value:+,.0f}"


def ratio(value: float | None) -> str:
    """Cost per QALY: in millions where it is so large."""
    if value is None or not math.isfinite(value):
        return "none"
    return f"{value / MILLION:.1f} million" if abs(value) >= MILLION else euros(value)


def answer(results: Mapping[str, Any]) -> list[str]:
    """One paragraph for each question."""
    giving = [row for row in results["increments"] if row["drug_days"] > 0]
    if not giving:
        return ["No strategy gives letermovir to anybody: nothing is bought, and nothing changes."]
    return [
        line
        for part in (
            _overall(results, giving),
            _price(results, giving),
            _incidence(results),
            _patients(results, giving),
            _sure(results),
        )
        for line in (part, "")
        if part
    ]


def _place(results: Mapping[str, Any]) -> int:
    return int(results["thresholds"].index(results["shown_threshold"]))


def _overall(results: Mapping[str, Any], giving: Sequence[Mapping[str, Any]]) -> str:
    place, threshold = _place(results), euros(results["shown_threshold"])
    worth = [row for row in giving if row["net_benefit"][place]["value"] > 0]
    labels = results["settings"]["labels"]
    if not worth and any(row["net_benefit"][-1]["value"] > 0 for row in giving):
        return f"**At {threshold} EUR per QALY no use of letermovir compared here is worth today's price.**"
    if not worth:
        first = giving[0]
        per_qaly = f", {ratio(first['icer'])} EUR per QALY" if first["icer"] and first["icer"] > 0 else ""
        most = euros(results["thresholds"][-1])
        return (
            f"**At today's price no use of letermovir compared here is worth it, up to {most} EUR per QALY.** "
            f"{labels[first['strategy']]}: {euros(first['drug_cost'])} EUR of the drug per patient averts "
            f"{euros(first['averted']['value'])} EUR of other costs and gains {first['qaly']['value']:.5f} QALY{per_qaly}."
        )
    names = "; ".join(
        f"{labels[row['strategy']]} ({signed(row['net_benefit'][place]['value'])} EUR per patient)" for row in worth
    )
    return f"**At today's price and {threshold} EUR per QALY these are worth it:** {names}."


def _price(results: Mapping[str, Any], giving: Sequence[Mapping[str, Any]]) -> str:
    place, top = _place(results), len(results["thresholds"]) - 1
    drawn = {row["strategy"]: row["break_even_price"] for row in results.get("psa", {}).get("increments", ())}
    ordered = sorted(giving, key=lambda row: -(row["break_even_price"][place]["value"] or -math.inf))
    labels, today = results["settings"]["labels"], results["settings"]["letermovir_prices"]
    parts = []
    for row in ordered:
        own = drawn.get(row["strategy"]) or [mean["value"] for mean in row["break_even_price"]]
        low, high = euros(own[0]), euros(own[top])
        span = low if low == high else f"{low} to {high}"
        parts.append(f"{labels[row['strategy']]} {span} EUR (today {euros(today[row['strategy']])})")
    return (
        "**At what price.** A day of letermovir would have to cost at most, from cost neutral to "
        f"{euros(results['thresholds'][-1])} EUR per QALY{' (probabilistic means)' if drawn else ''}: {'; '.join(parts)}."
    )


def _incidence(results: Mapping[str, Any]) -> str:
    found = results.get("worth_from_incidence")
    if not found or found[0]["highest_tried"] is None:
        return ""
    place, threshold, labels = _place(results), euros(results["shown_threshold"]), results["settings"]["labels"]
    never = [labels[row["strategy"]] for row in found if row["incidence"][place] is None]
    some = [
        f"{labels[row['strategy']]} from {100 * row['incidence'][place]:.0f}%"
        for row in found
        if row["incidence"][place] is not None
    ]
    parts = []
    if some:
        parts.append(f"at {threshold} EUR per QALY worth today's price: {'; '.join(some)}")
    if never:
        highest = f"{100 * found[0]['highest_tried']:.0f}%"
        parts.append(
            f"not even at an incidence of any DNAemia of {highest}, the highest that the model reaches, worth today's price: "
            f"{'; '.join(never)}"
        )
    told = "; ".join(parts)
    return f"**At what incidence.** {told[0].upper()}{told[1:]}."


def _patients(results: Mapping[str, Any], giving: Sequence[Mapping[str, Any]]) -> str:
    place = _place(results)
    best = max(giving, key=lambda row: row["break_even_price"][place]["value"] or -math.inf)
    name = best["strategy"]
    rule = next(row for row in results["rules"] if row["strategy"] == name)
    label = results["settings"]["labels"][name]
    needed = rule["needed_to_treat"]
    if not needed or not math.isfinite(needed):
        return f"**For which patients.** {label} averts no infection."
    text = (
        f"**For which patients.** Nearest to being worth it: {label}. It treats {100 * rule['treated']:.0f}%, finds "
        f"{100 * rule['sensitivity']:.0f}% of those who would have a clinically significant infection, and takes "
        f"{needed:.0f} treated for each averted; break-even price {euros(rule['break_even_price'][place]['value'])} EUR."
        + _risk(rule, place, float(results["settings"]["letermovir_prices"][name]))
    )
    oracle = next((row for row in results["oracle"] if row["strategy"] == name), None)
    if oracle is None:
        return text
    return text + (
        f" Were it given only to those among them who would have one (it reaches {100 * oracle['reached']:.0f}% of these), "
        "which no rule within it can better, the break-even price would be "
        f"{euros(oracle['break_even_price'][place]['value'])} EUR."
    )


def _risk(rule: Mapping[str, Any], place: int, today: float) -> str:
    """What the risk of those treated would have to be, benefits being in proportion to it."""
    price, risk = rule["break_even_price"][place]["value"], rule["risk_treated"]
    if not price or not risk or price <= 0 or price >= today:
        return ""
    share = risk * today / price
    reach = f"{100 * share:.0f}%" if share <= 1 else "more than all of them"
    return (
        f" Of those it treats {100 * risk:.0f}% would have such an infection; at today's price it would have to be about "
        f"{reach} (benefit in proportion to risk)."
    )


def _sure(results: Mapping[str, Any]) -> str:
    psa = results.get("psa")
    if not psa:
        drawn = results["drawn"]
        return (
            "**How surely.** Only at the inputs as they stand: `--psa 1000` draws the "
            f"{drawn['inputs']} whose uncertainty is stated; {drawn['assumed_fixed']} assumed ones have none and stay fixed."
        )
    place = _place(results)
    parts = []
    for row in psa["increments"]:
        low, high = row["break_even_price_95"][place]
        parts.append(
            f"{results['settings']['labels'][row['strategy']]}: break-even price {euros(row['break_even_price'][place])} EUR "
            f"(95% {euros(low)} to {euros(high)}), worth today's price with probability {100 * row['acceptable'][place]:.0f}%"
        )
    return (
        f"**How surely.** Over {psa['draws']:,} draws of the {results['drawn']['inputs']} inputs whose uncertainty is stated "
        f"({results['drawn']['assumed_fixed']} assumed ones have none and stay fixed), at "
        f"{euros(results['shown_threshold'])} EUR per QALY. {'; '.join(parts)}."
    )
