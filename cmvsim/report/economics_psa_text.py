"""The probabilistic analysis in words: means beside the deterministic ones, acceptability, perfect information, advice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.report.economics_answer import euros, ratio, signed
from cmvsim.report.power_text import markdown_table

Z95 = 1.959963984540054
DRAWS_PER_INPUT = 5


def psa_sections(results: Mapping[str, Any]) -> list[str]:
    """Lines of the section."""
    psa, threshold = results["psa"], results["shown_threshold"]
    place = results["thresholds"].index(threshold)
    lines = [
        "## What is not known: probabilistic analysis",
        "",
        (
            f"{psa['draws']:,} draws of {psa['inputs']} inputs (parameters of the model, targets, prices), {psa['patients']:,} "
            f"new patients in each, shared by all strategies; {results['drawn']['assumed_fixed']} assumed inputs have no stated "
            "uncertainty and stay fixed. The probabilistic means are the base case; the deterministic ones stand beside them with "
            "the gap."
        ),
        "",
        markdown_table(means(psa)),
        "",
        "Standard deviations are those of the inputs alone: the noise of few patients in a draw is subtracted.",
        "",
        markdown_table(increments(psa, place)),
        "",
    ]
    if psa["failed"]:
        lines += [f"{psa['failed']} draws could not be computed and are left out; the first are in `results.json`.", ""]
    lines += [line for line in (unreached(psa),) if line] + [""]
    return [*lines, *advice(psa, threshold), "", *perfect(results, place), "", *_pictures()]


def unreached(told: Mapping[str, Any]) -> str:
    """What is to be known of draws whose targets the model does not meet; "" if there are none."""
    if not told["unreached"]:
        return ""
    return (
        f"In {told['unreached']:,} of {told['draws']:,} draws no hazards meet all targets drawn together (mostly the two ratios of "
        "letermovir, drawn independently: a drug that lowers loads so much cannot leave so much DNAemia); these have the "
        "nearest, so that the drug's effect is less uncertain here than its two ratios say."
    )


def means(psa: Mapping[str, Any]) -> list[list[str]]:
    """Probabilistic and deterministic means by strategy."""
    head = ["strategy", "cost, EUR (95%)", "deterministic", "gap", "QALY (95%)", "deterministic", "gap"]
    table = [head]
    for row in psa["strategies"]:
        cost, qaly = row["cost"], row["qaly"]
        table.append(
            [
                row["strategy"],
                f"{euros(cost['value'])} (±{euros(Z95 * cost['se'])})",
                euros(row["cost_deterministic"]),
                signed(row["cost_gap"]),
                f"{qaly['value']:.4f} (±{Z95 * qaly['se']:.4f})",
                f"{row['qaly_deterministic']:.4f}",
                f"{row['qaly_gap']:+.4f}",
            ]
        )
    return table


def increments(psa: Mapping[str, Any], place: int) -> list[list[str]]:
    """Increments with the uncertainty of the inputs."""
    head = ["strategy", "more cost (SD)", "more QALY (SD)", "EUR per QALY (95%)", "break-even price (95%)", "worth it (raw)"]
    table = [head]
    for row in psa["increments"]:
        low, high = row["break_even_price_95"][place]
        limits = f" ({ratio(row['icer_low'])} to {ratio(row['icer_high'])})" if not row["icer_refused"] else " (unbounded)"
        table.append(
            [
                row["strategy"],
                f"{signed(row['cost']['value'])} ({euros(row['cost']['sd'])})",
                f"{row['qaly']['value']:.5f} ({row['qaly']['sd']:.5f})",
                ratio(row["icer"]) + limits,
                f"{euros(row['break_even_price'][place], 1)} ({euros(low, 1)} to {euros(high, 1)})",
                f"{100 * row['acceptable'][place]:.1f}% ({100 * row['acceptable_raw'][place]:.1f}%)",
            ]
        )
    return table


def advice(psa: Mapping[str, Any], threshold: float) -> list[str]:
    """How many patients a draw needs."""
    said = []
    for row in psa["increments"]:
        a = row["advice"]
        enough = f"{a['for_share']:,} for 5%" if a["for_share"] else "no number for 5%: the inputs explain nothing"
        said.append(f"{row['strategy']} {100 * a['noise_share']:.0f}% ({enough})")
    told = f"Share of the variance of a draw's net benefit at {euros(threshold)} that is patient sampling"
    return [f"{told}, and patients per draw needed: {'; '.join(said)}."]


def perfect(results: Mapping[str, Any], place: int) -> list[str]:
    """Value of perfect information, raw and smoothed."""
    psa = results["psa"]
    raw, smooth = psa["curves"]["raw"], psa["curves"]["smoothed"]
    at = results["thresholds"]
    top = max(range(len(at)), key=lambda k: smooth["evpi"][k])
    text = (
        f"Value of perfect information per patient at {euros(at[place])} EUR per QALY: {euros(smooth['evpi'][place], 2)} EUR "
        f"(raw {euros(raw['evpi'][place], 2)}), choosing {smooth['chosen'][place]}; at most {euros(smooth['evpi'][top], 2)} EUR, at "
        f"{euros(at[top])}."
    )
    if smooth["evpi"][top] == 0:
        text += (
            " It is 0 throughout: no draw makes another choice better at today's price. `cmvsim economics voi` says at what price "
            "and incidence it stops being 0."
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
            f"{text} About {100 * size['degrees'] / size['draws']:.0f}% of the draws' noise is left in the smoothed values: values "
            "of information are biased up a little; more draws lower it."
        )
    return text


def _pictures() -> list[str]:
    names = {"plane": "Cost-effectiveness plane", "acceptability": "Acceptability", "evpi": "Value of perfect information"}
    return [line for name, label in names.items() for line in (f"![{label}](figures/{name}.png)", "")]
