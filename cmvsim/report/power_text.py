"""The answer of a power run in words: one sentence, a table, and a paragraph for a protocol in English and French."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

FEW_EVENTS = 10
LIKELY = 0.05


def percent(value: float, digits: int = 1) -> str:
    """A proportion as a percentage."""
    return f"{100 * value:.{digits}f}%"


def _value(rows: Sequence[Mapping[str, Any]], n: int, endpoint: str, measure: str, estimator: str | None = None) -> float:
    for row in rows:
        same = row["n"] == n and row["endpoint"] == endpoint and row["measure"] == measure
        if same and (estimator is None or row["estimator"] == estimator) and row["value"] is not None:
            return float(row["value"])
    return float("nan")


def sentence(results: Mapping[str, Any]) -> str:
    """The answer in plain words."""
    parts = [_search_sentence(results)] if results["answers"] else [_precision_sentence(results)]
    n = _main_size(results)
    weak = unserved(results, n)
    if weak:
        parts.append(f"{n} patients cannot serve: {'; '.join(weak)}.")
    parts += [warning if warning.endswith(".") else warning + "." for warning in results["warnings"]]
    return " ".join(parts)


def _main_size(results: Mapping[str, Any]) -> int:
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
        return f"No sample size on the grid reaches {goal}: the largest tried was {_main_size(results)} patients."
    point = next(item for item in answer["confirmation"] if item["n"] == n)
    low, high = math.floor(answer["ci_low"]), math.ceil(answer["ci_high"])
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
        parts.append(f"About {answer['screened']} patients are screened to find {n} seropositive ones.")
    return " ".join(parts)


def _precision_sentence(results: Mapping[str, Any]) -> str:
    rows, endpoint = results["rows"], results["endpoints"][0]
    texts = []
    for n in sorted({row["n"] for row in rows}):
        half, q80 = _value(rows, n, endpoint, "half_width"), _value(rows, n, endpoint, "half_width_q80")
        estimate = _value(rows, n, endpoint, "mean_estimate")
        text = (
            f"With {n} patients, {_label(results, endpoint)} by day {results['analysis']['window']} is expected at "
            f"{percent(estimate)} with a {percent(results['analysis']['level'], 0)} confidence interval of "
            f"±{100 * half:.1f} points on average (at most ±{100 * q80:.1f} in 80% of studies)"
        )
        target = results["target"]
        if target:
            p = _value(rows, n, endpoint, "p_half_width_le")
            text += f"; ±{100 * target['half_width']:g} points or better in {percent(p, 0)}"
        texts.append(text + ".")
    return " ".join(texts if len(texts) <= 2 else [texts[0], texts[-1]])


def unserved(results: Mapping[str, Any], n: int) -> list[str]:
    """Endpoints that `n` patients cannot serve, with the reason."""
    rows, weak = results["rows"], []
    for endpoint in results["endpoints"]:
        events, none = _value(rows, n, endpoint, "expected_events"), _value(rows, n, endpoint, "p_no_event")
        if none > LIKELY:
            weak.append(f"{_label(results, endpoint)} ({percent(none, 0)} of studies would see no event)")
        elif events < FEW_EVENTS:
            weak.append(f"{_label(results, endpoint)} (only {events:.1f} events expected)")
    return weak


def _label(results: Mapping[str, Any], endpoint: str) -> str:
    return str(results["labels"].get(endpoint, endpoint))


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
        keys = [key for key in keys if key[0] == _main_size(results)]
    lines = [["N", "endpoint", "estimator", *(label for _, label, _ in measures)]]
    for n, endpoint, estimator in keys:
        line = [str(n), endpoint, estimator]
        for name, _, form in measures:
            row = cells.get((n, endpoint, estimator, name))
            line.append("-" if row is None or row["value"] is None else f"{row['value']:{form}}")
        lines.append(line)
    return lines


def markdown_table(lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    head, *body = lines
    rule = ["---"] * len(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *body))


def protocol_paragraph(results: Mapping[str, Any], language: str) -> str:
    """A paragraph to paste into a protocol: "en" or "fr"."""
    n, rows, endpoint = _main_size(results), results["rows"], results["endpoints"][0]
    values = {
        "n": n,
        "level": percent(results["analysis"]["level"], 0),
        "day": results["analysis"]["window"],
        "incidence": percent(_value(rows, n, endpoint, "mean_estimate")),
        "half": f"{100 * _value(rows, n, endpoint, 'half_width'):.1f}",
        "q80": f"{100 * _value(rows, n, endpoint, 'half_width_q80'):.1f}",
        "evaluable": f"{_value(rows, n, endpoint, 'expected_evaluable'):.0f}",
        "events": f"{_value(rows, n, endpoint, 'expected_events'):.0f}",
        "replicates": f"{results['replicates']:,}",
        "version": results["software_version"],
        "seed": results["seed"],
        "scenario": results["scenario"],
        "digest": results["digest"][:8],
    }
    values_fr = {
        **values,
        **{key: str(values[key]).replace(".", ",") for key in ("incidence", "half", "q80")},
        "replicates": f"{results['replicates']:,}".replace(",", " "),
        "incidence": str(values["incidence"]).replace(".", ",").replace("%", " %"),
        "level": str(values["level"]).replace("%", " %"),
    }
    if language == "fr":
        return _FRENCH.format(**values_fr)
    return _ENGLISH.format(**values)


_ENGLISH = (
    "Sample size. The primary endpoint is the cumulative incidence of CMV reactivation by day {day} after CAR-T cell infusion, "
    "estimated by the Aalen-Johansen method with death and allogeneic transplantation as competing events. The precision was "
    "determined by simulating {replicates} studies that follow the monitoring schedule, missed visits, competing events and "
    "end of monitoring expected in this population (cmvsim {version}, scenario {scenario}, digest {digest}, seed {seed}). "
    "With {n} patients enrolled, about {evaluable} are evaluable and {events} reactivations are expected (incidence "
    "{incidence}); the half-width of the {level} confidence interval is {half} percentage points on average and at most {q80} "
    "points with 80% probability."
)
_FRENCH = (
    "Nombre de sujets. Le critère principal est l'incidence cumulée de réactivation du CMV à J{day} de la perfusion de "
    "cellules CAR-T, estimée par la méthode d'Aalen-Johansen, le décès et l'allogreffe étant des événements concurrents. "
    "La précision a été déterminée par la simulation de {replicates} études tenant compte du calendrier de surveillance, des "
    "visites manquées, des événements concurrents et des arrêts de surveillance attendus dans cette population "
    "(cmvsim {version}, scénario {scenario}, empreinte {digest}, graine {seed}). Avec {n} patients inclus, environ "
    "{evaluable} sont évaluables et {events} réactivations sont attendues (incidence {incidence}) ; la demi-largeur de "
    "l'intervalle de confiance à {level} est de {half} points en moyenne et d'au plus {q80} points avec une probabilité "
    "de 80 %."
)


def plain_table(lines: Sequence[Sequence[str]]) -> str:
    """A table in aligned columns for a terminal: text to the left, numbers to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    numeric = [all(line[column][:1] in "-+0123456789" for line in lines[1:]) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )
