"""The answer of a power run in words: one sentence, a table, and a paragraph for a protocol in English and French."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.columns import aligned

FEW_EVENTS = 10
LIKELY = 0.05


def percent(value: float, digits: int = 1) -> str:
    """A proportion as a percentage."""
    return f"{100 * value:.{digits}f}%"


def row_value(rows: Sequence[Mapping[str, Any]], n: int, endpoint: str, measure: str, estimator: str | None = None) -> float:
    """A figure of the results; NaN if there is none."""
    for row in rows:
        same = row["n"] == n and row["endpoint"] == endpoint and row["measure"] == measure
        if same and (estimator is None or row["estimator"] == estimator) and row["value"] is not None:
            return float(row["value"])
    return float("nan")


def sentence(results: Mapping[str, Any]) -> str:
    """The answer in plain words."""
    parts = [_search_sentence(results)] if results["answers"] else [_precision_sentence(results)]
    n = main_size(results)
    weak = unserved(results, n)
    if weak:
        parts.append(f"{n} patients are too few for {'; '.join(weak)}.")
    parts += what_if_sentence(results)
    parts += [warning[0].upper() + warning[1:].removesuffix(".") + "." for warning in results["warnings"]]
    return " ".join(parts)


def what_if_sentence(results: Mapping[str, Any]) -> list[str]:
    """What the precision would be if the incidence were another: an answer holds for one incidence."""
    ends = results["what_if"]
    if not ends:
        return []
    told = []
    for item in ends:
        held = "" if item["p_half_width_le"] is None else f", narrow enough in {percent(item['p_half_width_le'], 0)}"
        told.append(f"{100 * item['target']:g}% (±{100 * item['half_width']:.1f} points{held})")
    target = f"{100 * results['study']['incidence_target']:g}%"
    return [f"This stands on a targeted incidence of {target}; with {ends[0]['n']} patients it would be {' or '.join(told)}."]


def truth_lines(results: Mapping[str, Any]) -> list[str]:
    """The two truths of the primary endpoint and how the primary estimate stands to them."""
    n, endpoint = main_size(results), results["endpoints"][0]
    values = {item["kind"]: item for item in results["estimands"] if item["endpoint"] == endpoint}
    lines = []
    for kind, bias, coverage, meaning in (
        ("protocol", "bias", "coverage", "what the study would have seen with every visit made"),
        ("latent", "bias_latent", "coverage_latent", "the error-free load reached the level"),
    ):
        if kind in values and values[kind]["value"] is not None:
            shift = row_value(results["rows"], n, endpoint, bias)
            share = row_value(results["rows"], n, endpoint, coverage)
            value = percent(values[kind]["value"])
            lines.append(
                f"{kind} truth {value} ({meaning}): bias {100 * shift:+.1f} points, coverage {percent(share)} at N = {n}"
            )
    return lines


def main_size(results: Mapping[str, Any]) -> int:
    """The size that was found, else the largest asked for."""
    answers = results["answers"]
    if answers and answers[0]["n"] is not None:
        return int(answers[0]["n"])
    return int(max(row["n"] for row in results["rows"]))


def _search_sentence(results: Mapping[str, Any]) -> str:
    answer = results["answers"][0]
    half, wanted = answer["criterion"]["half_width"], answer["criterion"]["probability"]
    level = percent(results["analysis"]["level"], 0)
    goal = f"a {level} confidence interval no wider than ±{100 * half:g} points with {wanted:.0%} probability"
    n, label = answer["n"], _label(results, answer["endpoint"])
    if n is None:
        return f"No sample size on the grid reaches {goal} for {label}: the largest tried was {main_size(results)} patients."
    point = next(item for item in answer["confirmation"] if item["n"] == n)
    low, high = math.ceil(answer["ci_low"] - 1e-9), math.ceil(answer["ci_high"] - 1e-9)
    shown = f"{percent(point['value'])} were narrow enough (Monte Carlo SE {percent(point['mcse'])})"
    parts = [
        f"{n} patients give {goal} for {label}: in {results['replicates']:,} new simulated studies {shown}.",
        f"The search found {answer['found']} patients (95% Monte Carlo interval {low} to {high}).",
    ]
    if n != answer["found"]:
        parts.append(f"The confirmation could not exclude a shortfall there and moved the answer up to {n}.")
    if answer["status"] != "confirmed":
        parts.append("The confirmation did not hold; treat the number with care.")
    closed = answer["closed_form"]
    parts.append(f"The closed form ({closed['name']}) says {closed['n']}.")
    parts.append(f"It knows nothing of the following: {'; '.join(answer['why_different'])}.")
    if answer["screened"]:
        parts.append(f"About {answer['screened']} patients are screened to enrol these {n}.")
    return " ".join(parts)


def _precision_sentence(results: Mapping[str, Any]) -> str:
    rows, endpoint = results["rows"], results["endpoints"][0]
    texts = []
    for n in sorted({row["n"] for row in rows}):
        half, q80 = row_value(rows, n, endpoint, "half_width"), row_value(rows, n, endpoint, "half_width_q80")
        estimate = row_value(rows, n, endpoint, "mean_estimate")
        text = (
            f"With {n} patients, {_label(results, endpoint)} by day {results['analysis']['window']} is expected at "
            f"{percent(estimate)} with a {percent(results['analysis']['level'], 0)} confidence interval of "
            f"±{100 * half:.1f} points on average (at most ±{100 * q80:.1f} in 80% of studies)"
        )
        target = results["target"]
        if target:
            p = row_value(rows, n, endpoint, "p_half_width_le")
            text += f"; ±{100 * target['half_width']:g} points or better in {percent(p, 0)}"
        texts.append(text + ".")
    return " ".join(texts if len(texts) <= 2 else [texts[0], texts[-1]])


def unserved(results: Mapping[str, Any], n: int) -> list[str]:
    """Endpoints that `n` patients cannot serve, with the reason."""
    rows, weak = results["rows"], []
    for endpoint in results["endpoints"]:
        events, none = row_value(rows, n, endpoint, "expected_events"), row_value(rows, n, endpoint, "p_no_event")
        if none > LIKELY:
            weak.append(f"{_label(results, endpoint)} ({percent(none, 0)} of studies would see no event)")
        elif events < FEW_EVENTS:
            weak.append(f"{_label(results, endpoint)} ({events:.1f} events expected, fewer than {FEW_EVENTS})")
    return weak


def _label(results: Mapping[str, Any], endpoint: str) -> str:
    return str(results["labels"].get(endpoint, endpoint))


PRECISION_ALT = (
    "Precision of the primary endpoint by sample size, with its Monte Carlo interval, what is wanted and what was found"
)
INCIDENCE_ALT = "Cumulative incidence by day of the event and of what competes with it, in one simulated study"
CRITERION = "p_half_width_le"
SEARCH_NOTE = (
    "Search: in the studies that N was read off; confirmed: in new studies, which is the figure of the sentence above and the one "
    "to report."
)
TABLE_MEASURES = (
    ("expected_evaluable", "evaluable", ".0f"),
    ("expected_events", "events", ".1f"),
    ("p_no_event", "P(no event)", ".3f"),
    ("mean_estimate", "estimate", ".3f"),
    ("half_width", "half-width", ".4f"),
    ("half_width_q80", "80% quantile", ".4f"),
    ("p_half_width_le", "P(narrow)", ".3f"),
    ("coverage", "coverage", ".3f"),
    ("bias", "bias", "+.4f"),
)


def table(results: Mapping[str, Any], *, brief: bool = False) -> list[list[str]]:
    """Rows of the table N x endpoint x measure, header first.

    Parameters
    ----------
    brief
        Only the size that was found, if one was looked for.
    """
    measures = [m for m in TABLE_MEASURES if any(row["measure"] == m[0] for row in results["rows"])]
    keys = list(dict.fromkeys((row["n"], row["endpoint"], row["estimator"]) for row in results["rows"] if row["endpoint"]))
    cells = {(row["n"], row["endpoint"], row["estimator"], row["measure"]): row for row in results["rows"]}
    if brief and results["answers"]:
        keys = [key for key in keys if key[0] == main_size(results)]
    confirmed = confirmation(results)
    heads = [f"{label}, search" if confirmed and name == CRITERION else label for name, label, _ in measures]
    at = next((place for place, (name, _, _) in enumerate(measures) if name == CRITERION), 0) + 4
    lines = [["N", "endpoint", "estimator", *heads]]
    for n, endpoint, estimator in keys:
        line = [str(n), endpoint, estimator]
        for name, _, form in measures:
            row = cells.get((n, endpoint, estimator, name))
            line.append("-" if row is None or row["value"] is None else f"{row['value']:{form}}")
        lines.append(line)
    if confirmed:
        lines[0].insert(at, "confirmed")
        for line, (n, endpoint, _) in zip(lines[1:], keys, strict=True):
            line.insert(at, confirmed.get(n, "-") if endpoint == results["endpoints"][0] else "-")
    return lines


def confirmation(results: Mapping[str, Any]) -> dict[int, str]:
    """N -> share of the new studies that met the criterion; empty where no sample size was looked for.

    The share in the studies of the search chose N, and is therefore too high or too low by the luck that chose it: the one
    in new studies is the one to report, and both stand in the table under their names.
    """
    if not results["answers"]:
        return {}
    return {item["n"]: f"{item['value']:.3f}" for item in results["answers"][0]["confirmation"]}


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    head, *body = lines
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *body))


def plain_table(lines: Sequence[Sequence[str]], *, most: int | None = None, rest: str = "rows.csv") -> str:
    """A table in aligned columns for a terminal: text to the left, numbers to the right.

    Parameters
    ----------
    most
        Lines below the header that are shown; how many more there are is said, and where.
    rest
        File of the run folder that has all lines.
    """
    hidden = len(lines) - 1 - most if most is not None else 0
    told = aligned(lines if hidden <= 0 else lines[:-hidden])
    return "\n".join([*told, *([f"... and {hidden:,} more lines, in {rest} of the run folder"] if hidden > 0 else [])])
