"""Tables of an economic evaluation, each from the results alone: rows of named cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cmvsim.report.economics_names import (
    TOO_FEW,
    Z95,
    amount_of,
    enough,
    euros,
    input_meaning,
    input_name,
    names_of,
    ratio,
    signed,
)

UNDISPUTED = 1e-9
MOST_INPUTS = 12
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


def interval(mean: Mapping[str, Any], say: Callable[[float], str]) -> str:
    """A mean and its central 95%."""
    value, se = mean["value"], mean["se"] or 0.0
    if value is None or value != value:
        return "none"
    return f"{say(value)} ({say(value - Z95 * se)} to {say(value + Z95 * se)})"


def qalys(value: float) -> str:
    """QALYs of a patient; no negative zero."""
    return f"{round(value, 5) + 0.0:.5f}"


def components(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Cost by component and strategy, and the total."""
    names = names_of(results)
    table = []
    for key, label in COMPONENTS.items():
        table.append({"component": label} | {names[r["strategy"]]: euros(r["components"][key]) for r in results["strategies"]})
    return [*table, {"component": "total"} | {names[r["strategy"]]: euros(r["cost"]["value"]) for r in results["strategies"]}]


def events(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Events by strategy."""
    labels = {
        "reactivation": "quantified CMV DNAemia",
        "clinically_significant": "clinically significant infection",
        "disease": "CMV disease",
        "death": "death",
        "received_drug": "given letermovir",
    }
    names = names_of(results)
    table = [
        {"event": label} | {names[r["strategy"]]: f"{1000 * r['events'][key]:.1f}" for r in results["strategies"]}
        for key, label in labels.items()
    ]
    days = {names[r["strategy"]]: f"{r['events']['drug_days']:.1f}" for r in results["strategies"]}
    return [*table, {"event": "days of letermovir per patient"} | days]


def shown_thresholds(results: Mapping[str, Any]) -> list[int]:
    """Places of five thresholds at most, the lowest and the highest among them."""
    count = len(results["thresholds"])
    return sorted({round(k * (count - 1) / 4) for k in range(5)})


def prices(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Break-even price by threshold, and days at today's price."""
    table, names = [], names_of(results)
    for row in results["increments"]:
        if row["drug_days"] > 0:
            entry = {"strategy": names[row["strategy"]], "days a patient": f"{row['drug_days']:.1f}"}
            for k in shown_thresholds(results):
                entry[f"at {euros(results['thresholds'][k])} per QALY"] = interval(row["break_even_price"][k], euros)
            middle = results["thresholds"].index(results["shown_threshold"])
            days = row["break_even_days"][middle]
            entry["days worth today's price"] = "any" if days is None or days != days else f"{days:.2f}"
            table.append(entry)
    return table


def incidences(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Break-even price at other incidences."""
    middle, names, table = results["thresholds"].index(results["shown_threshold"]), names_of(results), []
    for row in results.get("incidences", ()):
        entry = {
            "incidence of any DNAemia": f"{100 * row['incidence']:.0f}%",
            "clinically significant": f"{100 * row['significant']:.1f}%",
        }
        for more in row["increments"]:
            price, benefit = more["break_even_price"][middle]["value"], more["net_benefit"][middle]["value"]
            if more["drug_days"] > 0:
                told = "" if price is None else f"{interval(more['break_even_price'][middle], euros)}; {signed(benefit)}"
                entry[names[more["strategy"]]] = told
        table.append(entry)
    return table


def incidence_note(results: Mapping[str, Any]) -> str:
    """What the numbers of the table are."""
    threshold = euros(results["shown_threshold"])
    return (
        f"Break-even price of a day in EUR at {threshold} EUR per QALY, with 95% of the simulation (fewer patients than the "
        "base case), "
        "then net benefit per patient at today's price. The incidence is that of the scenario's target: its hazards are "
        "solved again "
        "for each line."
    )


def rules(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Strategies as rules, and the best possible ones."""
    middle, names = results["thresholds"].index(results["shown_threshold"]), names_of(results)
    threshold = euros(results["shown_threshold"])
    table = [
        {
            "strategy": names[row["strategy"]],
            "treated": f"{100 * row['treated']:.0f}%",
            "sensitivity": _percent(row["sensitivity"]),
            "specificity": _percent(row["specificity"]),
            "risk if treated, else": ", ".join(
                filter(None, (_percent(row["risk_treated"], 1), _percent(row["risk_others"], 1)))
            ),
            "NNT": "none" if row["needed_to_treat"] is None else f"{row['needed_to_treat']:.0f}",
            f"net benefit at {threshold}": signed(row["net_benefit"][middle]["value"]),
            "break-even price (95% of simulation)": interval(row["break_even_price"][middle], euros),
        }
        for row in results["rules"]
    ]
    best = [
        {
            "strategy": f"{names[row['strategy']]}: best possible",
            "treated": f"{100 * row['share'] * row['reached']:.1f}%",
            "sensitivity": _percent(row["reached"]),
            "specificity": "100%",
            "risk if treated, else": "100.0%",
            "NNT": "",
            f"net benefit at {threshold}": signed(row["net_benefit"][middle]["value"] * row["share"]),
            "break-even price (95% of simulation)": interval(row["break_even_price"][middle], euros),
        }
        for row in results["oracle"]
    ]
    return table + best


def _percent(value: float | None, digits: int = 0) -> str:
    return "" if value is None or value != value else f"{100 * value:.{digits}f}%"


def by_stratum(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Increments in each stratum."""
    middle, names = results["thresholds"].index(results["shown_threshold"]), names_of(results)
    return [
        {
            "stratum": part["label"],
            "patients": f"{part['patients']:,}",
            "strategy": names[row["strategy"]],
            "more cost, EUR (95%)": interval(row["cost"], euros),
            "more QALY (95%)": interval(row["qaly"], qalys),
            "break-even price, EUR (95%)": interval(row["break_even_price"][middle], euros)
            if enough(row, part["patients"])
            else TOO_FEW,
        }
        for part in results["strata"]
        for row in part["increments"]
    ]


def structural(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a day may cost under each structural choice, by strategy; cost and QALYs of the one nearest to being worth it."""
    middle, names = results["thresholds"].index(results["shown_threshold"]), names_of(results)
    base = [{"id": "base case", "label": "as above", "increments": results["increments"], "problem": ""}]
    first = _nearest(results["increments"], middle)
    table = []
    for variant in [*base, *results.get("structural", ())]:
        entry = {"choice": variant["id"].replace("_", " "), "what": variant["label"]}
        if variant["problem"]:
            entry["what"] += f"; not possible: {variant['problem']}"
        paid = [row["drug_cost"] / row["drug_days"] for row in variant["increments"] if row["drug_days"] > 0]
        if paid:
            entry["paid for a day"] = euros(max(paid))
        for row in variant["increments"]:
            if row["drug_days"] > 0:
                entry[names[row["strategy"]]] = euros(row["break_even_price"][middle]["value"])
        for row in variant["increments"]:
            if first and row["strategy"] == first:
                entry |= _nearest_cells(row)
        table.append(entry)
    return table


def _nearest(increments: list[dict[str, Any]], place: int) -> str:
    """The strategy with the highest break-even price; "" if none gives the drug."""
    prices = {row["strategy"]: row["break_even_price"][place]["value"] for row in increments if row["drug_days"] > 0}
    known = {name: price for name, price in prices.items() if price is not None and price == price}
    return max(known, key=lambda name: known[name]) if known else ""


def _nearest_cells(row: Mapping[str, Any]) -> dict[str, str]:
    gain = row["qaly"]["value"]
    share = f"{100 * row['tail_qaly'] / gain:.0f}%" if row["tail_qaly"] and abs(gain) > UNDISPUTED else ""
    return {
        "nearest: more cost, EUR": signed(row["cost"]["value"]),
        "nearest: more QALY": qalys(gain),
        "nearest: of it after the horizon": share,
        "nearest: EUR per QALY": _ratio(row),
    }


def structural_note(results: Mapping[str, Any]) -> str:
    """What the columns hold."""
    middle = results["thresholds"].index(results["shown_threshold"])
    first = _nearest(results["increments"], middle)
    if not first:
        return ""
    return (
        f"Below each strategy, its break-even price of a day, EUR, at {euros(results['shown_threshold'])} EUR per QALY, "
        "inputs as they "
        f"stand; on fewer patients than the base case. `nearest` is {names_of(results)[first]}. Where nothing is paid for a "
        "day, the "
        "payer does not buy the drug. The increments of every strategy are in `results.json`."
    )


def _ratio(row: Mapping[str, Any]) -> str:
    """Cost per QALY, or that there is none."""
    cost, gain = row["cost"]["value"], row["qaly"]["value"]
    if cost > 0:
        return ratio(row["icer"]) if gain > 0 else "dominated"
    return "dominates" if gain >= 0 else f"saves {ratio(row['icer'])} per QALY lost"


def grid(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Net benefit by price and threshold of the strategy that comes nearest to being worth it; all are in the results."""
    middle, table = results["thresholds"].index(results["shown_threshold"]), []
    first = _nearest(results["increments"], middle)
    for part in results["price_by_threshold"]:
        if part["strategy"] != first:
            continue
        for price, row in zip(part["prices"], part["net_benefit"], strict=True):
            entry = {"price of a day, EUR": euros(price, 2)}
            entry |= {f"at {euros(part['thresholds'][k])} per QALY": signed(row[k]) for k in shown_thresholds(results)}
            table.append(entry)
    return table


def grid_note(results: Mapping[str, Any]) -> str:
    """Whose net benefit it is."""
    first = _nearest(results["increments"], results["thresholds"].index(results["shown_threshold"]))
    return f"{names_of(results)[first]}; the other strategies are in `results.json`." if first else ""


def one_way(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The inputs that matter most, each alone."""
    return [
        {
            "input": f"{input_name(row['input'])} (`{row['input']}`)",
            "what it is": input_meaning(row["input"]) or f"`{row['key']}` of the scenario",
            "from, to": f"{amount_of(row['low'], row['input'])}, {amount_of(row['high'], row['input'])}",
            "net benefit at these, EUR": f"{signed(row['net_benefit_low'])}, {signed(row['net_benefit_high'])}",
        }
        for row in results.get("one_way", ())[:MOST_INPUTS]
    ]


def one_way_note(results: Mapping[str, Any]) -> str:
    """Whose net benefit it is."""
    rows = results.get("one_way", ())
    if not rows:
        return ""
    first = rows[0]
    return (
        f"{names_of(results)[first['strategy']]}, EUR per patient at {euros(first['threshold'])} EUR per QALY and today's "
        "price; as "
        f"they stand {signed(first['base'])}. Each at its 2.5% and 97.5% quantiles, the others as they stand, the same "
        "patients; the "
        f"observed incidence of DNAemia stays its target, whatever the law. The {MOST_INPUTS} of {len(rows)} that matter "
        "most; all are "
        "in `results.json`."
    )


def budget(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Budget impact by year."""
    table = []
    for row in results["budget"]:
        entry: dict[str, Any] = {"strategy": names_of(results)[row["strategy"]]}
        for year, (people, net) in enumerate(zip(row["treated"], row["net"], strict=True), start=1):
            entry[f"year {year}"] = f"{net / 1e6:.2f} ({people:,.0f} patients)"
        entry["all years (95%)"] = interval({"value": row["total"] / 1e6, "se": row["total_se"] / 1e6}, lambda x: f"{x:.2f}")
        table.append(entry)
    return table


def illness(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Attributable cost by exposure."""
    return [
        {
            "exposure": row["exposure"],
            "patients with it": f"{100 * row['share']:.1f}%",
            "truth (95%)": interval({"value": row["truth"], "se": row["truth_se"]}, euros) if row["truth"] is not None else "",
            "mean estimate (95% of its simulation)": interval({"value": row["estimate"], "se": row["estimate_se"]}, euros)
            if row["estimate"] is not None
            else "not estimable",
            "studies that could": f"{100 * row['estimable']:.0f}% of {row['studies']} of {row['patients']} patients",
        }
        for row in results.get("cost_of_illness", ())
    ]


def pairing(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Correlation and variance reduction by outcome."""
    names = names_of(results)
    return [
        {
            "strategy": names[row["strategy"]],
            "outcome": row["outcome"],
            "correlation": f"{row['correlation']:.4f}",
            "variance reduction": "all of it"
            if row["variance_reduction"] is None
            else f"{row['variance_reduction']:,.1f} times",
            "MCSE of the increment": f"{row['mcse']:.3g}",
            "without pairing": f"{row['mcse_independent']:.3g}",
        }
        for row in results["pairing"]
    ]
