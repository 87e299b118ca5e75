"""The probabilistic analysis in words: means beside the deterministic ones, acceptability, perfect information, advice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.report.economics_names import Z95, euros, names_of, ratio, signed, span
from cmvsim.report.economics_run_alt import Show
from cmvsim.report.power_text import markdown_table

DRAWS_PER_INPUT = 5


def psa_sections(results: Mapping[str, Any], show: Show) -> list[str]:
    """Lines of the section."""
    psa, threshold = results["psa"], results["shown_threshold"]
    place, names = results["thresholds"].index(threshold), names_of(results)
    lines = [
        "## What is not known: probabilistic analysis",
        "",
        (
            f"{psa['draws']:,} draws of {psa['inputs']} inputs (parameters of the model, targets, prices), {psa['patients']:,} "
            f"new patients in each, shared by all strategies; {results['drawn']['assumed_fixed']} assumed inputs have no "
            "stated "
            "uncertainty and stay fixed. The probabilistic means are the base case; the deterministic ones stand beside "
            "them with "
            f"the gap, which is that of the answer's curvature and of the simulation ({results['patients']:,} patients there)."
        ),
        "",
        markdown_table(means(psa, names)),
        "",
        f"Increments against {names[results['settings']['comparator']]}, at {euros(threshold)} EUR per QALY:",
        "",
        markdown_table(increments(psa, place, names)),
        "",
        _of_increments(psa),
        "",
    ]
    if psa["failed"]:
        lines += [f"{psa['failed']} draws could not be computed and are left out; the first are in `results.json`.", ""]
    lines += _unreached(results, place, names)
    lines += [*show("plane"), advice(psa, threshold, names), "", *show("acceptability")]
    return [*lines, *perfect(results, place, names), "", *show("evpi"), *show("expected_loss")]


def _of_increments(psa: Mapping[str, Any]) -> str:
    """What the columns hold, and what the draws do not resolve."""
    text = (
        "SD: standard deviation of the inputs alone; the noise of the few patients in a draw is subtracted. EUR per QALY: "
        "Fieller's "
        "interval over the inputs. `worth it`: probability of being worth today's price, smoothed, and raw."
    )
    poor = [row for row in psa["increments"] if not row["resolved"] and (row["cost"]["se"] or row["qaly"]["se"])]
    if poor:
        text += (
            f" **Not resolved**: {psa['draws']:,} draws of {psa['patients']:,} patients are too few to tell what the inputs "
            "add from "
            "the noise of the patients; an SD is not given there, and the interval of the ratio holds both, so that it is "
            "too wide."
        )
    if not all(row["smoothed_range"] for row in psa["increments"]):
        text += (
            " The range of the break-even price holds the noise of the patients of a draw too: there are too few draws to "
            "smooth it "
            "away."
        )
    return text


def _unreached(results: Mapping[str, Any], place: int, names: Mapping[str, str]) -> list[str]:
    """The draws that no hazards meet, and the answer of the others alone."""
    psa = results["psa"]
    text = unreached(psa)
    if not text:
        return []
    rows = psa["reached"]["increments"]
    if not rows:
        return [text, ""]
    every = {row["strategy"]: row for row in psa["increments"]}
    alone = f"the {psa['reached']['draws']:,} met"
    head = ["strategy", f"break-even price, all {psa['draws']:,} draws (95%)", f"{alone} (95%)"]
    head += [f"more cost: all, {alone}", "more QALY: all, met", "infections averted per 1,000: all, met"]
    table = [head]
    for row in rows:
        whole = every[row["strategy"]]
        table.append(
            [
                names[row["strategy"]],
                _price(whole, place),
                _price(row, place),
                f"{signed(whole['cost']['value'])}, {signed(row['cost']['value'])}",
                f"{whole['qaly']['value']:.5f}, {row['qaly']['value']:.5f}",
                f"{1000 * row['infections_averted_all']['value']:.1f}, {1000 * row['infections_averted']['value']:.1f}",
            ]
        )
    return [f"{text} The answer among the others alone stands beside that of all:", "", markdown_table(table), ""]


def _price(row: Mapping[str, Any], place: int) -> str:
    low, high = row["break_even_price_95"][place]
    return f"{euros(row['break_even_price'][place])} ({span(low, high)})"


def unreached(told: Mapping[str, Any]) -> str:
    """What is to be known of draws whose targets the model does not meet; "" if there are none."""
    if not told["unreached"]:
        return ""
    share = f"{100 * told['unreached'] / told['draws']:.0f}%"
    return (
        f"**In {told['unreached']:,} of {told['draws']:,} draws ({share}) the model cannot show all that was drawn**, "
        "mostly of "
        "letermovir: how many it leaves with any DNAemia and how many with a clinically significant infection are drawn "
        "independently, and a drug that prevents so many of these infections cannot leave so much DNAemia. Such a draw has "
        "the nearest "
        "that the model shows. So the drug's effect is less uncertain here than the two numbers say, and a little other on "
        "average."
    )


def means(psa: Mapping[str, Any], names: Mapping[str, str]) -> list[list[str]]:
    """Probabilistic and deterministic means by strategy."""
    head = ["strategy", "cost, EUR: base case (95%)", "deterministic", "gap", "QALY: base case (95%)", "deterministic", "gap"]
    table = [head]
    for row in psa["strategies"]:
        cost, qaly = row["cost"], row["qaly"]
        table.append(
            [
                names[row["strategy"]],
                f"{euros(cost['value'])} (±{euros(Z95 * cost['se'])})",
                euros(row["cost_deterministic"]),
                signed(row["cost_gap"]),
                f"{qaly['value']:.4f} (±{Z95 * qaly['se']:.4f})",
                f"{row['qaly_deterministic']:.4f}",
                f"{row['qaly_gap']:+.4f}",
            ]
        )
    return table


def increments(psa: Mapping[str, Any], place: int, names: Mapping[str, str]) -> list[list[str]]:
    """Increments with the uncertainty of the inputs."""
    head = ["strategy", "more cost (SD)", "more QALY (SD)", "EUR per QALY (95%)", "break-even price (95%)", "worth it (raw)"]
    table = [head]
    for row in psa["increments"]:
        poor = not row["resolved"] and bool(row["cost"]["se"] or row["qaly"]["se"])
        if row["icer_refused"]:
            limits = " (unbounded: the gain may be 0)" if row["cost"]["se"] else ""
        else:
            limits = f" ({ratio(row['icer_low'])} to {ratio(row['icer_high'])}{', not resolved' if poor else ''})"
        table.append(
            [
                names[row["strategy"]],
                f"{signed(row['cost']['value'])} ({_sd(row['cost']['sd'], 0)})",
                f"{row['qaly']['value']:.5f} ({_sd(row['qaly']['sd'], 5)})",
                (ratio(row["icer"]) if row["qaly"]["value"] > 0 else "none: no gain") + limits,
                _price(row, place),
                f"{100 * row['acceptable'][place]:.1f}% ({100 * row['acceptable_raw'][place]:.1f}%)",
            ]
        )
    return table


def _sd(value: float, digits: int) -> str:
    return euros(value, digits) if value else "not resolved"


def advice(psa: Mapping[str, Any], threshold: float, names: Mapping[str, str]) -> str:
    """How many patients a draw needs."""
    said = []
    for row in psa["increments"]:
        a = row["advice"]
        enough = f"{a['for_share']:,} for 5%" if a["for_share"] else "no number for 5%: not resolved, draw more"
        said.append(f"{names[row['strategy']]}: {100 * a['noise_share']:.0f}% ({enough})")
    return (
        f"Share of the variance of a draw's net benefit at {euros(threshold)} that is the noise of its {psa['patients']:,} "
        "patients, and "
        f"patients per draw that would bring it to 5%: {'; '.join(said)}."
    )


def perfect(results: Mapping[str, Any], place: int, names: Mapping[str, str]) -> list[str]:
    """Value of perfect information, raw and smoothed."""
    psa = results["psa"]
    raw, smooth = psa["curves"]["raw"], psa["curves"]["smoothed"]
    at = results["thresholds"]
    top = max(range(len(at)), key=lambda k: smooth["evpi"][k])
    if smooth["evpi"][top] == 0 and max(raw["evpi"]) == 0:
        text = (
            f"Value of perfect information: 0 EUR per patient at every threshold up to {euros(at[-1])} EUR per QALY, as no "
            "draw makes "
            f"another choice than {names[smooth['chosen'][place]]} better at today's price. `cmvsim economics voi` says "
            "below which "
            "price of a day that ends."
        )
        return [text, "", regression(psa["regression"])]
    text = (
        f"Value of perfect information per patient at {euros(at[place])} EUR per QALY: {euros(smooth['evpi'][place], 2)} EUR "
        f"(raw {euros(raw['evpi'][place], 2)}), choosing {names[smooth['chosen'][place]]}; at most "
        f"{euros(smooth['evpi'][top], 2)} EUR, "
        f"at {euros(at[top])}."
    )
    return [text, "", regression(psa["regression"])]


def regression(size: Mapping[str, Any]) -> str:
    """How large the regression on all inputs is for its draws, with a warning where it is too large for them."""
    text = (
        f"Smoothed by regression on {size['kept']} of {size['inputs']} inputs: {size['degrees']:.0f} degrees of freedom for "
        f"{size['draws']:,} draws."
    )
    if size["too_few_draws"]:
        least = DRAWS_PER_INPUT * size["inputs"]
        return (
            f"**Too few draws.** {text} The inputs most correlated with the increments were kept, as there are fewer than "
            f"{DRAWS_PER_INPUT} draws for each: what is smoothed still holds noise, and the value of information is biased up; "
            f"{least:,} draws and more are needed."
        )
    if size["large"]:
        return (
            f"{text} About {100 * size['degrees'] / size['draws']:.0f}% of the draws' noise is left in the smoothed values: "
            "values "
            "of information are biased up a little; more draws lower it."
        )
    return text
