"""The answer of a comparative power run in words: one sentence, tables of comparisons and arms, the closed forms beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cmvsim.report.estimate_words import SCALES, shown
from cmvsim.report.power_text import FEW_EVENTS, LIKELY, confirmation, main_size, percent

LEGEND = (
    "Shares, incidences, half-widths and differences are proportions (0.05: 5 points). "
    "Power: share of simulated trials that reach the design's conclusion; against: the opposite is significant. Means of ratios "
    "are geometric; their bias is that of the log. Evaluable: patients at risk at infusion, both arms; NNT: 1 / mean difference. "
    "Coverage and bias: of the comparison against the same contrast in one large cohort with every visit made. All figures "
    "carry their Monte Carlo standard error in `results.json`."
)
CAPTIONS = {
    "figures/power.png": "Power by sample size, with its Monte Carlo interval, the power wanted and the sample size found",
    "figures/strength.png": "Power by strength of the drug's effect, 1 being the scenario's own, with the smallest effect detected",
    "figures/cumulative_incidence.png": "Cumulative incidence by day in each arm of one simulated trial, with confidence intervals",
}
MEASURES = (
    ("expected_evaluable", "evaluable", ".0f"),
    ("expected_events", "events", ".1f"),
    ("power", "power", ".3f"),
    ("p_against", "against", ".3f"),
    ("mean_estimate", "mean", ".3f"),
    ("half_width", "half-width", ".4f"),
    ("nnt", "NNT", ".1f"),
    ("coverage", "coverage", ".3f"),
    ("bias", "bias", "+.4f"),
    ("p_not_estimable", "no estimate", ".4f"),
)
ARM_MEASURES = (
    ("expected_evaluable", "evaluable", ".0f"),
    ("expected_events", "events", ".1f"),
    ("mean_estimate", "incidence", ".3f"),
    ("half_width", "half-width", ".4f"),
    ("p_no_event", "P(no event)", ".3f"),
)
Results = Mapping[str, Any]


def value_of(
    results: Results, n: int, measure: str, *, endpoint: str | None = None, estimator: str = "", strategy: str = ""
) -> float:
    """A figure of the results, by default of the comparison that decides; NaN if there is none."""
    primary = results["endpoints"][0]
    estimator = estimator or ("by_arm" if strategy else results["trial"]["comparison"])
    for row in results["rows"]:
        same = row["n"] == n and row["measure"] == measure and row["estimator"] == estimator and row["strategy"] == strategy
        if same and row["endpoint"] == (primary if endpoint is None else endpoint) and row["value"] is not None:
            return float(row["value"])
    return float("nan")


def patients_of(results: Results, n: int, arm: str) -> float:
    """Mean number of patients assigned to an arm."""
    for row in results["rows"]:
        if row["n"] == n and row["measure"] == "expected_patients" and row["strategy"] == arm:
            return float(row["value"])
    return float("nan")


def sentence(results: Results) -> str:
    """The answer in plain words."""
    n = main_size(results)
    if results["detectable"] is not None:
        parts = [_detectable_sentence(results)]
    elif results["answers"]:
        parts = [_search_sentence(results)]
    else:
        parts = [_power_sentence(results, size) for size in _few(sorted({row["n"] for row in results["rows"]}))]
    parts.append(_expectation(results, n))
    parts += _weak(results, n)
    parts += type1_sentences(results)
    parts += _what_if(results)
    parts += [warning[0].upper() + warning[1:].removesuffix(".") + "." for warning in results["warnings"]]
    return " ".join(part for part in parts if part)


def goal(results: Results) -> str:
    """What the design is after, in words."""
    trial = results["trial"]
    control, experimental = (trial["arm_labels"][arm] for arm in trial["arms"])
    sides = "two-sided" if trial["sides"] == 2 else "one-sided"
    tail = f" (margin {shown_margin(trial)})" if trial["hypothesis"] == "non_inferiority" else ""
    word = "is better than" if trial["hypothesis"] == "superiority" else "is not worse than"
    return (
        f"that {quoted(experimental)} {word} {quoted(control)}{tail}, {trial['label'].lower().replace('cox', 'Cox')}, "
        f"{sides} alpha {trial['alpha']:g}"
    )


def quoted(label: str) -> str:
    """A label in the middle of a sentence."""
    return f"'{label}'"


def shown_margin(trial: Mapping[str, Any]) -> str:
    """The margin as its scale is read."""
    return f"{100 * trial['margin']:g} points" if trial["scale"] == "risk_difference" else f"ratio {trial['margin']:g}"


def _few(sizes: Sequence[int]) -> Sequence[int]:
    return sizes if len(sizes) <= 2 else [sizes[0], sizes[-1]]


def _search_sentence(results: Results) -> str:
    answer = results["answers"][0]
    n, wanted = answer["n"], answer["criterion"]["probability"]
    if n is None:
        return (
            f"No sample size that was tried reaches a power of {wanted:.0%} to show {goal(results)}: the largest tried was "
            f"{main_size(results)} patients."
        )
    point = next(item for item in answer["confirmation"] if item["n"] == n)
    low, high = math.ceil(answer["ci_low"] - 1e-9), math.ceil(answer["ci_high"] - 1e-9)
    arms = arms_text(results, n)
    held = f"{percent(point['value'])} did (Monte Carlo SE {percent(point['mcse'])})"
    parts = [
        f"{n} patients ({arms}) give a power of {wanted:.0%} to show {goal(results)}: in {results['replicates']:,} new simulated trials {held}.",
        f"The search found {answer['found']} patients (95% Monte Carlo interval {low} to {high}).",
    ]
    if n != answer["found"]:
        parts.append(f"The confirmation could not exclude a shortfall there and moved the answer up to {n}.")
    if answer["status"] != "confirmed":
        parts.append("The confirmation did not hold; treat the number with care.")
    closed = answer["closed_form"]
    if closed["n"] is not None:
        parts.append(
            f"The closed form ({closed['name']}) says {closed['n']} with incidences of {percent(closed['control'])} and "
            f"{percent(closed['experimental'])}."
        )
    parts.append(f"It knows nothing of the following: {'; '.join(answer['why_different'])}.")
    if answer["screened"]:
        parts.append(f"About {answer['screened']} patients are screened to enrol these {n}.")
    return " ".join(parts)


def arms_text(results: Results, n: int) -> str:
    """Patients of the arms, as the ratio has it."""
    ratio = results["trial"]["ratio"]
    control = round(n * ratio[0] / sum(ratio))
    return f"{control} and {n - control} by arm, control first"


def _power_sentence(results: Results, n: int) -> str:
    power, against = value_of(results, n, "power"), value_of(results, n, "p_against")
    text = f"With {n} patients ({arms_text(results, n)}) the power is {percent(power)} to show {goal(results)}"
    return f"{text}; the opposite would be significant in {percent(against, 2)}." if against > 0 else f"{text}."


def _detectable_sentence(results: Results) -> str:
    found, trial = results["detectable"], results["trial"]
    n, wanted = found["n"], found["wanted"]
    own = value_of(results, n, "power")
    start = f"{n} patients ({arms_text(results, n)})"
    if found["strength"] is None:
        top = found["curve"][-1]
        return (
            f"{start} do not reach a power of {wanted:.0%} even with {top['strength']:g} times the drug's effect "
            f"({percent(top['power'])}); with the scenario's own effect it is {percent(own)}."
        )
    point = found["confirmation"]
    contrast = shown(found["contrast"], trial["scale"])
    text = (
        f"The smallest effect that {start} detect with a power of {wanted:.0%} is an incidence of {percent(found['experimental'])} "
        f"against {percent(found['control'])} ({SCALES[trial['scale']]} {contrast}): {found['strength']:.2f} times the effect "
        f"assumed of the drug, with which the power is {percent(own)}. On new random numbers {percent(point['power'])} of trials "
        f"detected it (Monte Carlo SE {percent(point['mcse'])})."
    )
    if found["status"] != "confirmed":
        text += " The confirmation did not hold; treat the number with care."
    if found["closed_form_experimental"] is not None:
        text += f" The closed form (two proportions) says {percent(found['closed_form_experimental'])} against {percent(found['control'])}."
    return text


def _expectation(results: Results, n: int) -> str:
    trial = results["trial"]
    mean, events = value_of(results, n, "mean_estimate"), value_of(results, n, "expected_events")
    if not math.isfinite(mean):
        return ""
    arms = [value_of(results, n, "expected_events", strategy=arm) for arm in trial["arms"]]
    risks = [value_of(results, n, "mean_estimate", strategy=arm) for arm in trial["arms"]]
    own = "with the drug's effect as assumed, " if results["detectable"] is not None else ""
    by_arm = " and ".join(parts_of(arms, round(events), ".0f"))
    text = (
        f"Expected at N = {n}: {own}{events:.0f} events ({by_arm}), incidences of {percent(risks[0])} and "
        f"{percent(risks[1])}, {SCALES[trial['scale']]} {shown(mean, trial['scale'])}"
    )
    half, nnt = value_of(results, n, "half_width"), value_of(results, n, "nnt")
    if math.isfinite(half):
        text += f" with a {percent(trial['level'], 0)} confidence interval of ±{100 * half:.1f} points on average"
    return text + (f", number needed to treat {nnt:.0f}." if math.isfinite(nnt) else ".")


def _weak(results: Results, n: int) -> list[str]:
    """Endpoints beside the first that these patients cannot compare."""
    told = []
    for name in results["endpoints"][1:]:
        rows = {row["measure"]: row["value"] for row in results["rows"] if _compares(row, n, name)}
        events, none = rows.get("expected_events"), rows.get("p_no_event")
        if none is not None and none > LIKELY:
            told.append(f"{results['labels'][name]} ({percent(none, 0)} of trials would see no event)")
        elif events is not None and events < FEW_EVENTS:
            told.append(f"{results['labels'][name]} ({events:.1f} events expected, fewer than {FEW_EVENTS})")
    return [f"{n} patients are too few to compare {'; '.join(told)}."] if told else []


def _compares(row: Mapping[str, Any], n: int, endpoint: str) -> bool:
    return bool(row["n"] == n and row["endpoint"] == endpoint and row["estimator"] != "by_arm")


def _what_if(results: Results) -> list[str]:
    ends = results["what_if"]
    if not ends:
        return []
    target = f"{100 * results['study']['incidence_target']:g}%"
    told = " and ".join(
        f"{percent(e['power'], 0)} at {100 * e['target']:g}% ({percent(e['control'])} of controls)" for e in ends
    )
    return [f"This stands on a targeted incidence of {target}; with {ends[0]['n']} patients the power would be {told}."]


def type1_sentences(results: Results) -> list[str]:
    """How often the trial concludes what is not so, with what explains an excess."""
    found, trial = results.get("type1"), results["trial"]
    if found is None:
        return []
    rows = [row for row in found["rows"] if row["comparison"] == trial["comparison"]]
    if found["strength"] is None:
        where = "Where both arms are given the control strategy"
    else:
        contrast = f"{SCALES[trial['scale']]} {shown(found['truth'], trial['scale'])}"
        where = (
            f"Where the arms truly differ by the margin ({percent(found['control'])} and {percent(found['experimental'])} with every "
            f"visit made, {contrast}: {found['strength']:.2f} times the effect assumed of the drug)"
        )
    told = [f"{percent(row['value'], 2)} with {row['n']} patients (MCSE {100 * row['mcse']:.2f} points)" for row in rows]
    level = f"{100 * found['nominal']:g}%"
    parts = [f"{where}, the share of trials that reject is {', '.join(told)}; at most {level} is wanted."]
    over = [row for row in rows if row["value"] - 2 * row["mcse"] > found["nominal"]]
    return [*parts, *(_excess(results, row, level) for row in over[-1:])]


def _excess(results: Results, row: Mapping[str, Any], level: str) -> str:
    """Why a comparison rejects too often: its estimate, or its interval."""
    found, trial = results["type1"], results["trial"]
    start = f"That is more than {level} at N = {row['n']}"
    few = (
        "the interval does not hold its level on this side with so few events; `--sensitivity` shows other comparisons, score "
        "intervals among them"
    )
    if row["unbiased"] is None:
        return f"{start}: {few}."
    mean = f"the mean estimate there is {shown(row['mean_estimate'], trial['scale'])}"
    other = f"without its bias {percent(row['unbiased'], 2)} would reject"
    if row["unbiased"] - 2 * row["mcse"] > found["nominal"]:
        return f"{start}. Of bias this is not ({mean}; {other}): {few}."
    return f"{start}: {mean}, as missed visits, and who is lost sight of, make the arms look more alike than they are; {other}."


def closed_form_lines(results: Results) -> list[str]:
    """All closed forms beside the answer."""
    if not results["answers"]:
        return []
    closed = results["answers"][0]["closed_form"]
    every = {closed["name"]: closed["n"], **closed["others"]}
    return [f"{name}: {n} patients" if n is not None else f"{name}: does not apply" for name, n in every.items()]


def table(results: Results, *, brief: bool = False) -> list[list[str]]:
    """Comparisons by N and endpoint, header first.

    Parameters
    ----------
    brief
        Only the size that was found, if one was looked for.
    """
    lines = _table(results, MEASURES, "estimator", lambda row: row["estimator"] not in ("by_arm", ""), brief)
    confirmed = confirmation(results)
    if confirmed:
        at = lines[0].index("power")
        lines[0][at : at + 1] = ["power, search", "confirmed"]
        for line in lines[1:]:
            decides = line[1] == results["endpoints"][0] and line[2] == results["trial"]["comparison"]
            line.insert(at + 1, confirmed.get(int(line[0]), "-") if decides else "-")
    return lines


def arm_table(results: Results, *, brief: bool = False) -> list[list[str]]:
    """What each arm shows, by N and endpoint, header first."""
    lines = _table(results, ARM_MEASURES, "strategy", lambda row: row["estimator"] == "by_arm", brief)
    whole = {(line[0], line[1]): line for line in reversed(table(results, brief=brief)[1:])}
    arms = len(results["trial"]["arms"])
    for column in range(2):  # evaluable patients and events: those of the arms add up to those of the trial
        for first in range(1, len(lines), arms):
            mine = lines[first : first + arms]
            total = whole.get((mine[0][0], mine[0][1]), ["-"] * 5)[3 + column]
            names = [line[2] for line in mine]
            if total == "-" or "-" in [line[3 + column] for line in mine]:
                continue
            name, _, form = ARM_MEASURES[column]
            exact = [value_of(results, int(mine[0][0]), name, endpoint=mine[0][1], strategy=arm) for arm in names]
            for line, text in zip(mine, parts_of(exact, float(total), form), strict=True):
                line[3 + column] = text
    return lines


def parts_of(values: Sequence[float], total: float, form: str) -> list[str]:
    """Figures of parts, rounded so that they add up to their rounded total (largest remainders).

    Parameters
    ----------
    values
        Of the parts.
    total
        Of the whole, rounded as `form` does.
    form
        ``".0f"`` or with decimals.
    """
    unit = 10.0 ** -int(form[1])
    floors = [math.floor(value / unit + 1e-9) for value in values]
    missing = round(total / unit) - sum(floors)
    if not 0 <= missing <= len(values):  # the parts are not those of this whole
        return [f"{value:{form}}" for value in values]
    by_remainder = sorted(range(len(values)), key=lambda place: floors[place] - values[place] / unit)
    for place in by_remainder[:missing]:
        floors[place] += 1
    return [f"{floor * unit:{form}}" for floor in floors]


def _table(results: Results, measures: Any, by: str, keep: Any, brief: bool) -> list[list[str]]:
    rows = [row for row in results["rows"] if row["endpoint"] and keep(row)]
    measures = [m for m in measures if any(row["measure"] == m[0] for row in rows)]
    cells = {(row["n"], row["endpoint"], row[by], row["measure"]): row["value"] for row in rows}
    keys = list(dict.fromkeys((row["n"], row["endpoint"], row[by]) for row in rows))
    if brief and results["answers"]:
        keys = [key for key in keys if key[0] == main_size(results)]
    lines = [["N", "endpoint", "arm" if by == "strategy" else "comparison", *(label for _, label, _ in measures)]]
    for n, endpoint, name in keys:
        values = [cells.get((n, endpoint, name, measure)) for measure, _, _ in measures]
        shown_values = ["-" if v is None else f"{v:{form}}" for v, (_, _, form) in zip(values, measures, strict=True)]
        lines.append([str(n), endpoint, name, *shown_values])
    return lines


def truth_lines(results: Results) -> list[str]:
    """True incidences and contrast of the primary endpoint."""
    trial, primary = results["trial"], results["endpoints"][0]
    lines = []
    for kind, meaning in (
        ("protocol", "what the study would have seen with every visit made"),
        ("latent", "what the error-free load did"),
    ):
        found = {v["strategy"]: v for v in results["estimands"] if v["endpoint"] == primary and v["kind"] == kind}
        arms = [found[arm]["value"] for arm in trial["arms"] if arm in found]
        contrast = found.get(trial["term"])
        if len(arms) == 2 and None not in arms:
            tail = (
                f", {SCALES[trial['scale']]} {shown(contrast['value'], trial['scale'])}"
                if contrast is not None and contrast["value"] is not None
                else ""
            )
            lines.append(f"{kind} truth: {percent(arms[0])} and {percent(arms[1])}{tail} ({meaning})")
    return lines
