"""What an assurance says in words and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.power_text import markdown_table, percent
from cmvsim.report.rests_on_text import rests_on_lines

CAPTIONS = {
    "figures/assurance.png": "Assurance, and power at the scenario's numbers, by sample size, with Monte Carlo intervals",
    "figures/distribution.png": "Distribution of power over the draws of what is not known, with its mean, the assurance",
}


def success(results: Mapping[str, Any]) -> str:
    """What counts as success."""
    if results["half_width"] is not None:
        level = percent(results["level"], 0)
        return f"a {level} confidence interval no wider than ±{100 * results['half_width']:g} points"
    return "the conclusion"


def sentence(results: Mapping[str, Any]) -> str:
    """The answer."""
    over = f"over what is not known of {results['uncertain_inputs']} inputs"
    answer = results["answer"]
    if answer is not None and answer["n"] is None:
        best = max(row["assurance"] for row in results["rows"])
        return (
            f"No sample size tried has an assurance of {results['probability']:.0%} for {success(results)} on {results['label']} "
            f"{over}: the highest is {percent(best)} at N = {results['rows'][-1]['n']}."
        )
    if answer is not None:
        row = answer["confirmation"]
        return (
            f"{answer['n']} patients (95% Monte Carlo interval {answer['ci_low']:.0f} to {answer['ci_high']:.0f}) have an assurance "
            f"of {results['probability']:.0%} for {success(results)} on {results['label']} {over}: with new draws "
            f"{percent(row['assurance'])} (Monte Carlo SE {percent(row['assurance_mcse'])}). At the scenario's own numbers "
            f"{percent(row['power'])} of studies succeed."
        )
    row = results["rows"][-1]
    begin = (
        f"{results['label']}, N = {row['n']}: {percent(row['assurance'])} of studies (Monte Carlo SE "
        f"{percent(row['assurance_mcse'])}) reach {success(results)} {over}; at the scenario's own numbers "
        f"{percent(row['power'])} do."
    )
    spread = row["distribution"]
    if spread is None:
        return begin
    return (
        f"{begin} In nine of ten draws the share lies between {percent(spread['q05'])} and {percent(spread['q95'])}; it is at "
        f"least {spread['level']:.0%} in {percent(spread['share_at_least_level'])} of them."
    )


def truth_lines(results: Mapping[str, Any]) -> list[str]:
    """Remarks for the terminal."""
    return [f"Warning: {text}." for text in results["warnings"]]


def table(results: Mapping[str, Any], *, brief: bool = False) -> list[list[str]]:  # noqa: ARG001 -- as of other designs
    """Assurance and power by size."""
    spread = results["rows"][0]["distribution"] is not None
    head = ["N", "assurance", "MCSE", "power at the scenario's numbers", "MCSE"]
    lines = [[*head, *(["power in the middle 90% of draws"] if spread else [])]]
    for row in results["rows"]:
        cells = [str(row["n"])]
        cells += [percent(row[name]) for name in ("assurance", "assurance_mcse", "power", "power_mcse")]
        found = row["distribution"]
        lines.append([*cells, *([f"{percent(found['q05'])} to {percent(found['q95'])}"] if found else [])])
    return lines


def summary(results: Mapping[str, Any], pictures: Sequence[str]) -> str:
    """``summary.md``."""
    method = (
        f"Power is the share of studies that succeed when the scenario's numbers are true; assurance is its mean over what is not "
        f"known of them: {results['draws']:,} draws of {results['uncertain_inputs']} inputs, {results['studies_per_draw']} "
        f"stud{'y' if results['studies_per_draw'] == 1 else 'ies'} each. Hazards are solved again where a draw changes a target."
    )
    lines = [
        f"# {results['scenario']}: assurance of the design {results['of']}",
        "",
        sentence(results),
        "",
        f"The design: {results['of_sentence']}.",
        "",
        markdown_table(table(results)),
        "",
        method,
        "MCSE: Monte Carlo standard error of the column before it.",
        "",
    ]
    lines += [line for name in pictures for line in (f"![{CAPTIONS.get(name, name)}]({name})", "")]
    if results["warnings"]:
        lines += ["## Warnings", "", *(f"- {text}" for text in results["warnings"]), ""]
    return "\n".join([*lines, *rests_on_lines(results)]) + "\n"
