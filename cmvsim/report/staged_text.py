"""Answers of designs with one tested arm, Simon's stages or interim looks, in words and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.power_text import markdown_table, percent, plain_table
from cmvsim.report.protocol_text import in_sentence
from cmvsim.report.rests_on_text import rests_on_lines
from cmvsim.report.staged_protocol_text import protocol_paragraph
from cmvsim.report.staged_rows_read import row_of

__all__ = ["markdown_table", "plain_table", "sentence", "table", "tells", "truth_lines"]

MOST_SIZES = 12
"""Sample sizes in the table of a summary; rows.csv has all."""
LEGEND = (
    "Power, type I error, stopping and incidences are proportions (0.05: 5 points); days count from the first enrolment. At: the "
    "look, the stage or the incidence. Evaluable: patients whose outcome the rule of the design knows. Exact calculations have no "
    "Monte Carlo standard error (MCSE)."
)
CAPTIONS = {
    "figures/power.png": "Power by number of patients enrolled, with its Monte Carlo band, beside the exact calculation",
    "figures/detectable.png": "Power by incidence among evaluable patients, with the smallest difference detected",
    "figures/enrolled.png": "Patients enrolled until the outcomes of the two stages are known, over the simulated studies",
    "figures/looks.png": "Stopping by look: shares of simulated trials, with the boundaries",
}
KINDS = ("single_arm_test", "simon_two_stage", "group_sequential")
MEASURES = {
    "power": "power",
    "type1": "type I error",
    "p_stop_efficacy": "P(stop, benefit shown)",
    "p_stop_futility": "P(stop, futility)",
    "p_stop_harm": "P(stop, harm shown)",
    "expected_n": "patients enrolled",
    "expected_evaluable": "evaluable patients",
    "expected_overrun": "overrun, patients",
    "expected_duration": "days from the start",
    "expected_events": "events",
    "look_day": "day of the look",
    "look_events": "events at the look",
    "boundary": "efficacy boundary, Z",
    "boundary_futility": "futility boundary, Z",
    "mean_estimate": "incidence",
    "critical_events": "critical number of events",
}
COUNTS = ("critical_events",)
SHARES = ("power", "type1", "p_stop_efficacy", "p_stop_futility", "p_stop_harm", "mean_estimate")
ESTIMATORS = {
    "evaluable_proportion": "exact test, simulated",
    "aalen_johansen": "z test, simulated",
    "enumeration": "exact calculation",
    "integration": "independent increments",
}


def tells(results: Mapping[str, Any]) -> bool:
    """Whether these are results of such a design."""
    return results.get("kind") in KINDS


def shown(row: Mapping[str, Any]) -> str:
    """A share with its Monte Carlo error."""
    return "unknown" if row["value"] is None else f"{percent(row['value'])} (MCSE {100 * row['mcse']:.2f} points)"


def sentence(results: Mapping[str, Any]) -> str:
    """The answer in plain words."""
    tell = {"single_arm_test": _tested, "simon_two_stage": _two_stages, "group_sequential": _sequential}[results["kind"]]
    told = tell(results) if "detectable" not in results["facts"] else detectable_sentences(results)
    parts = [*told, f"Exact calculations do not know: {'; '.join(results['why_different'])}."]
    parts += [warning[0].upper() + warning[1:].removesuffix(".") + "." for warning in results["warnings"]]
    return " ".join(parts)


def detectable_sentences(results: Mapping[str, Any]) -> list[str]:
    """The smallest detectable effect of one arm."""
    found, own = results["facts"]["detectable"], row_of(results, "power", results["rows"][0]["estimator"])
    patients = (
        f"{found['n']} {'evaluable patients at most, in two stages,' if results['kind'] == 'simon_two_stage' else 'patients'}"
    )
    goal, wanted = f"{in_sentence(results['label'])} by day {results['analysis']['window']}", f"{found['wanted']:.0%}"
    side = f"{found['direction']} {100 * found['null']:g}%"
    beside = f"With the scenario's own incidence ({percent(_own(results))} of evaluable patients) the power is {shown(own)}."
    if found["incidence"] is None:
        far = max(found["curve"], key=lambda point: abs(point["incidence"] - found["null"]))
        far_off = (
            f"{patients} show no {goal} {side} with power {wanted}: even {percent(far['incidence'])} of evaluable patients, the "
            f"farthest from it that the model reaches, has {percent(far['power'])}."
        )
        return [far_off, beside]
    point = found["confirmation"]
    closed = f" The exact calculation says {percent(found['closed_form'])}." if found["closed_form"] is not None else ""
    answer = (
        f"The incidence nearest to {100 * found['null']:g}% that {patients} show to be {side} with power {wanted} is "
        f"{percent(found['incidence'])} ({goal}, every visit made; {100 * found['difference']:+.1f} points), "
        f"{percent(point['incidence'])} among evaluable patients: in {results['replicates']:,} new simulated studies "
        f"{percent(point['power'])} showed it (MCSE {100 * point['mcse']:.2f} points).{closed}"
    )
    parts = [answer]
    if found["status"] == "beyond reach":
        parts.append(
            "It is the nearest that the model reaches with its other inputs as they are: what is detectable is nearer still."
        )
    target, was = percent(found["target"]), percent(results["study"]["incidence_target"])
    parts.append(f"That is the scenario with its incidence target at {target} instead of {was}, hazards solved again. {beside}")
    return parts


def _own(results: Mapping[str, Any]) -> float:
    term = "stage 1" if results["kind"] == "simon_two_stage" else ""
    return float(row_of(results, "mean_estimate", "evaluable_proportion", term)["value"])


def _tested(results: Mapping[str, Any]) -> list[str]:
    facts, label = results["facts"], in_sentence(results["label"])
    goal = f"{label} by day {results['analysis']['window']} {facts['direction']} {100 * facts['null_incidence']:g}%"
    first = results["rows"][0]["estimator"]
    parts = []
    if "wanted" in facts:
        if facts["n"] is None:
            parts.append(f"No size on the grid shows {goal} with power {facts['wanted']:.0%} for good.")
            return parts
        point = next(item for item in facts["confirmation"] if item["n"] == facts["n"])
        moved = (
            "" if facts["n"] == facts["stable"] else f"; the confirmation could not exclude a shortfall at {facts['stable']}"
        )
        parts.append(
            f"{facts['n']} patients enrolled show {goal} with power {facts['wanted']:.0%}: in {results['replicates']:,} new "
            f"simulated studies {percent(point['value'])} (MCSE {100 * point['mcse']:.2f} points){moved}. {facts['first']} is the "
            f"first number to reach it, from {facts['stable']} on none tried falls short: the power of an exact test is a sawtooth."
        )
        return parts
    sizes = sorted({row["n"] for row in results["rows"]})
    for n in sizes if len(sizes) <= 2 else (sizes[0], sizes[-1]):
        known = row_of(results, "expected_evaluable", "evaluable_proportion", n=n)["value"]
        exact = row_of(results, "power", "enumeration", n=n)["value"]
        beside = f"; the exact calculation for {known:.0f} says {percent(exact)}" if exact is not None else ""
        power = shown(row_of(results, "power", first, n=n))
        parts.append(f"With {n} patients ({known:.0f} evaluable on average) the study shows {goal} with power {power}{beside}.")
    return parts


def _two_stages(results: Mapping[str, Any]) -> list[str]:
    design, own = results["facts"]["design"], "evaluable_proportion"
    what = "patients with the event" if design["success"] == "event" else "patients without the event"
    n, enrolled = results["rows"][0]["n"], row_of(results, "expected_n", own)["value"]
    parts = [
        (
            f"Simon's {design['criterion']} design: stop with at most {design['r1']} {what} among the first {design['n1']} "
            f"evaluable patients, claim with more than {design['r']} among {design['n']}."
        ),
        (
            f"In this scenario {percent(row_of(results, 'mean_estimate', own, 'stage 1')['value'])} of evaluable patients have "
            f"{in_sentence(results['label'])}: the design claims in {shown(row_of(results, 'power', own))} and stops after the first stage in "
            f"{shown(row_of(results, 'p_stop_futility', own, 'stage 1'))}."
        ),
    ]
    if enrolled is not None:
        overrun, day = row_of(results, "expected_overrun", own)["value"], row_of(results, "expected_duration", own)["value"]
        evaluable = row_of(results, "expected_evaluable", own)["value"]
        parts.append(
            f"On average {evaluable:.1f} patients are evaluated, for which {enrolled:.1f} are enrolled; the last outcome is known "
            f"on day {day:.0f}. Were enrolment not paused for the first stage's outcomes, {overrun:.1f} more would be enrolled by "
            "then."
        )
    wrong, power = row_of(results, "type1", "enumeration", "p0", n), row_of(results, "power", "enumeration", "p1", n)
    parts.append(
        f"By enumeration it claims in {percent(wrong['value'])} at {100 * design['p0']:g}% and in {percent(power['value'])} at "
        f"{100 * design['p1']:g}%."
    )
    return parts


def _sequential(results: Mapping[str, Any]) -> list[str]:
    parts, facts = [], results["facts"]
    if "wanted" in facts:
        point = facts["confirmation"][-1]
        told = f"{percent(point['value'])} (MCSE {100 * point['mcse']:.2f} points)"
        parts.append(
            f"{facts['n']} patients give power {facts['wanted']:.0%}: in {results['replicates']:,} new simulated trials {told}."
        )
    for look in results["facts"]["looks"]:
        n, own = look["n"], look["deciding"]
        power, single = row_of(results, "power", own, n=n), row_of(results, "power", own, "one look", n)
        ends = [
            f"{percent(row['value'])} at {row['term']}"
            for row in results["rows"]
            if (row["measure"], row["estimator"], row["n"]) == ("p_stop_efficacy", own, n)
        ]
        numbers = {
            name: row_of(results, name, own, n=n)["value"]
            for name in ("expected_n", "expected_duration", "expected_events", "expected_overrun")
        }
        parts.append(
            f"With at most {n} patients and {look['planned_events']} events planned the trial shows the benefit in "
            f"{shown(power)} ({', '.join(ends)}); with one look at the end in {percent(single['value'])}."
        )
        parts.append(
            f"It ends on day {numbers['expected_duration']:.0f} on average with {numbers['expected_events']:.1f} events and "
            f"{numbers['expected_n']:.0f} patients enrolled, of whom {numbers['expected_overrun']:.0f} have not been followed to "
            "the end (overrun)."
        )
        level = row_of(results, "type1", own, n=n)
        if level["value"] is not None:
            overruled = row_of(results, "type1", own, "futility overruled", n)
            beside = "" if overruled["value"] is None else f", {shown(overruled)} where stops for futility are overruled"
            parts.append(f"Simulated type I error {shown(level)}{beside}; at most {100 * look['alpha']:g}% wanted.")
        theory = row_of(results, "power", "integration", n=n)["value"]
        parts.append(f"With independent increments and the mean Z of the end the power would be {percent(theory)}.")
    return parts


def truth_lines(results: Mapping[str, Any]) -> list[str]:  # noqa: ARG001 -- as of other designs
    """Nothing: these designs are judged by their decisions."""
    return []


def table(results: Mapping[str, Any], *, brief: bool = False) -> list[list[str]]:
    """All figures, header first.

    Parameters
    ----------
    brief
        Only the deciding analysis and exact calculations.
    """
    first = results["rows"][0]["estimator"]
    kept = (first, "enumeration", "integration")
    rows = [row for row in results["rows"] if not brief or row["estimator"] in kept]
    shown = _sizes_shown(results, 4 if brief else MOST_SIZES, one=brief)
    rows = [row for row in rows if row["n"] in shown]
    lines = [["N", "by", "at", "figure", "value", "MCSE"]]
    for row in rows:
        share = row["measure"] in SHARES
        value = f"{row['value']:.0f}" if row["measure"] in COUNTS and row["value"] is not None else _number(row["value"], share)
        lines.append(
            [
                str(row["n"]),
                ESTIMATORS.get(row["estimator"], row["estimator"]),
                row["term"] or "-",
                MEASURES.get(row["measure"], row["measure"]),
                value,
                "-" if row["estimator"] in ("enumeration", "integration") else _number(row["mcse"], share),
            ]
        )
    return lines


def _sizes_shown(results: Mapping[str, Any], most: int, *, one: bool) -> set[int]:
    """Sizes of a table: all, or of many the answer and, unless only one is wanted, some spread over the rest."""
    sizes = sorted({row["n"] for row in results["rows"]})
    if len(sizes) <= most:
        return set(sizes)
    wanted = results["facts"].get("n") or results["facts"].get("stable") or sizes[-1]
    answer = min(sizes, key=lambda n: abs(n - wanted))
    return {answer} if one else {answer, *sizes[:: -(-len(sizes) // most)]}


def _number(number: float | None, share: bool) -> str:
    if number is None:
        return "-"
    return f"{number:.4f}" if share else f"{number:.2f}"


def summary(results: Mapping[str, Any], figures: Sequence[str], french: Mapping[str, str]) -> str:
    """``summary.md``.

    Parameters
    ----------
    figures
        Files of the figures.
    french
        Labels of the strategies in French, "" where the scenario has none.
    """
    lines = [f"# {results['scenario']}: {results['design']}", "", sentence(results), ""]
    lines += [f"![{CAPTIONS.get(name, '')}]({name})" for name in figures]
    lines += [
        "",
        markdown_table(table(results)),
        "",
        LEGEND,
        "",
        results["design_sentence"][0].upper() + results["design_sentence"][1:] + ".",
    ]
    lines += [
        "",
        "## For the protocol",
        "",
        protocol_paragraph(results, "en"),
        "",
        protocol_paragraph(results, "fr", french),
        "",
    ]
    return "\n".join([*lines, *rests_on_lines(results)]) + "\n"
