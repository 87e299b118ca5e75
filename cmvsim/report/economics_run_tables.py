"""Tables of an economic evaluation, each from the results alone: rows of named cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cmvsim.report.economics_answer import euros, ratio, signed

Z95 = 1.959963984540054
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
    return f"{say(value)} ({say(value - Z95 * se)} to {say(value + Z95 * se)})"


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
                entry[f"at {euros(results['thresholds'][k])} per QALY"] = interval(
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


def incidence_note(results: Mapping[str, Any]) -> str:
    """What the numbers of the table are."""
    threshold = euros(results["shown_threshold"])
    return (
        f"Break-even price of a day at {threshold} EUR per QALY, and in brackets net benefit per patient at today's price. "
        "The incidence is that of the scenario's target."
    )


def rules(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Strategies as rules, and the best possible ones."""
    middle = results["thresholds"].index(results["shown_threshold"])
    threshold = euros(results["shown_threshold"])
    table = [
        {
            "strategy": row["strategy"],
            "treated": f"{100 * row['treated']:.0f}%",
            "sensitivity": _percent(row["sensitivity"]),
            "specificity": _percent(row["specificity"]),
            "risk if treated, else": ", ".join(
                filter(None, (_percent(row["risk_treated"], 1), _percent(row["risk_others"], 1)))
            ),
            "NNT": "none" if row["needed_to_treat"] is None else f"{row['needed_to_treat']:.0f}",
            f"net benefit at {threshold}": signed(row["net_benefit"][middle]["value"]),
            "break-even price": euros(row["break_even_price"][middle]["value"], 1),
        }
        for row in results["rules"]
    ]
    best = [
        {
            "strategy": f"{row['strategy']}, best possible",
            "treated": f"{100 * row['share'] * row['reached']:.1f}%",
            "sensitivity": _percent(row["reached"]),
            "specificity": "100%",
            "risk if treated, else": "100.0%",
            "NNT": "",
            f"net benefit at {threshold}": signed(row["net_benefit"][middle]["value"] * row["share"]),
            "break-even price": euros(row["break_even_price"][middle]["value"], 1),
        }
        for row in results["oracle"]
    ]
    return table + best


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
            "more cost": interval(row["cost"], euros),
            "more QALY": interval(row["qaly"], lambda x: f"{x:.5f}"),
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
                    "EUR per QALY": _ratio(row),
                    "break-even price": euros(row["break_even_price"][middle]["value"], 1),
                }
            )
    return table


def _ratio(row: Mapping[str, Any]) -> str:
    """Cost per QALY, or that there is none."""
    cost, gain = row["cost"]["value"], row["qaly"]["value"]
    if cost > 0:
        return ratio(row["icer"]) if gain > 0 else "dominated"
    return "dominates" if gain >= 0 else f"saves {ratio(row['icer'])} per QALY lost"


def grid(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Net benefit by price and threshold of the strategy that comes nearest to being worth it."""
    table = []
    for part in results["price_by_threshold"]:
        for price, row in zip(part["prices"], part["net_benefit"], strict=True):
            entry = {"strategy": part["strategy"], "price of a day": euros(price, 2)}
            entry |= {f"at {euros(part['thresholds'][k])}": signed(row[k]) for k in shown_thresholds(results)}
            table.append(entry)
    return table


def one_way(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The inputs that matter most, each alone."""
    return [
        {
            "input": row["input"],
            "kind": row["kind"],
            "from, to": f"{row['low']:.3g}, {row['high']:.3g}",
            "net benefit at these": f"{signed(row['net_benefit_low'])}, {signed(row['net_benefit_high'])}",
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
        f"{first['strategy']}, EUR per patient at {euros(first['threshold'])} EUR per QALY and today's price; as they stand "
        f"{signed(first['base'])}. Each at its 2.5% and 97.5% quantiles, the others as they stand, the same patients; the "
        "observed incidence of DNAemia stays its target, whatever the law."
    )


def budget(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Budget impact by year."""
    table = []
    for row in results["budget"]:
        entry: dict[str, Any] = {"strategy": row["strategy"]}
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
