"""A forecast of recruitment in words: a sentence, a table, a summary, and a paragraph for a protocol in English and French."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from cmvsim.models.accrual import DAYS_PER_MONTH, date_of, day_of
from cmvsim.report.power_text import markdown_table, percent
from cmvsim.report.programme_text import programme_markdown
from cmvsim.report.protocol_text import english, french
from cmvsim.report.rests_on_text import rests_on_lines

Words = Mapping[str, Any]
Results = Mapping[str, Any]

LEGEND = (
    "Months of 30.4 days from the start of the study. Interval: of simulated studies, a prediction for one study; the Monte Carlo "
    "standard errors are in `results.json`. Last visit: the last planned one of the last patient. Screened: candidates whose "
    "serology is needed, those enrolled included."
)
MONTHS = {
    "en": "January,February,March,April,May,June,July,August,September,October,November,December",
    "fr": "janvier,février,mars,avril,mai,juin,juillet,août,septembre,octobre,novembre,décembre",
}
EN: Words = {
    "model": "Recruitment was forecast by simulating {replicates} studies with {sites}, which open one after another{opening} and "
    "enrol eligible patients at Poisson rates{spread} (cmvsim {version}, scenario {scenario}, digest {digest}, seed {seed}).",
    "group": "{count} {label} ({rate} patients per month each)",
    "and": " and ",
    "labels": {},
    "opening": " (after a median of {days} days)",
    "spread": " that differ between sites by a gamma law (coefficient of variation {cv})",
    "duration": "Enrolling {n} patients is expected to take {median} months (median; 80% prediction interval {low80} to {high80} "
    "months, 95% {low95} to {high95} months){until}.",
    "until": ": from {start} to {end} (80%: {low80} to {high80})",
    "short": "Recruitment ends on {closes}; {mean} patients are expected to be enrolled by then, and all {n} with a probability "
    "of {p}.",
    "visit": "The last visit of the last patient is planned {days} days after the last enrolment.",
    "screened": "About {screened} candidates have to be screened (95% prediction interval {low} to {high}).",
    "by": "The probability that all are enrolled {day} is {p}.",
    "sites": "To enrol all patients {day} with a probability of {wanted}, {count} sites are needed ({groups}).",
    "no_sites": "No number of sites that was tried enrols all patients {day} with a probability of {wanted}.",
    "part": "{recruited} patients of the {n} are followed prospectively and have to be recruited.",
    "day": "by day {day}",
    "before": "before",
}
FR: Words = {
    "model": "Les inclusions ont été prévues par la simulation de {replicates} études avec {sites}, qui ouvrent les uns après les "
    "autres{opening} et incluent les patients éligibles selon des processus de Poisson{spread} (cmvsim {version}, scénario "
    "{scenario}, empreinte {digest}, graine {seed}).",
    "group": "{count} {label} ({rate} patients par mois chacun)",
    "and": " et ",
    "labels": {"adult sites": "centres adultes", "paediatric sites": "centres pédiatriques", "sites": "centres"},
    "opening": " (délai médian de {days} jours)",
    "spread": " dont les taux diffèrent entre centres selon une loi gamma (coefficient de variation {cv})",
    "duration": "L'inclusion de {n} patients devrait durer {median} mois (médiane ; intervalle de prédiction à {eighty} de {low80} à "
    "{high80} mois, à {ninetyfive} de {low95} à {high95} mois){until}.",
    "until": " : du {start} au {end} ({eighty} : du {low80} au {high80})",
    "short": "Les inclusions s'arrêtent le {closes} ; {mean} patients devraient alors être inclus, et les {n} patients avec une "
    "probabilité de {p}.",
    "visit": "La dernière visite du dernier patient est prévue {days} jours après la dernière inclusion.",
    "screened": "Environ {screened} candidats sont à dépister (intervalle de prédiction à {ninetyfive} de {low} à {high}).",
    "by": "La probabilité que tous soient inclus {day} est de {p}.",
    "sites": "Pour inclure tous les patients {day} avec une probabilité de {wanted}, {count} centres sont nécessaires ({groups}).",
    "no_sites": "Aucun des nombres de centres essayés ne permet d'inclure tous les patients {day} avec une probabilité de {wanted}.",
    "part": "Sur les {n} patients, {recruited} sont suivis de façon prospective et sont à recruter.",
    "day": "au plus tard à J{day}",
    "before": "avant le",
}


def value(results: Results, n: int, measure: str, at: float | None = None, estimator: str = "simulation") -> float:
    """A figure of the results; infinite where the file has none (never reached)."""
    for row in results["rows"]:
        same = row["n"] == n and row["measure"] == measure and row["estimator"] == estimator
        if same and (at is None or row["at"] == at):
            return math.inf if row["value"] is None else float(row["value"])
    return math.nan


def months(days: float) -> str:
    """Days as months."""
    return f"{days / DAYS_PER_MONTH:.1f}" if math.isfinite(days) else "not reached"


def interval(results: Results, n: int, measure: str, low: float, high: float, estimator: str = "simulation") -> str:
    """Two quantiles as months."""
    ends = [months(value(results, n, measure, at, estimator)) for at in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def largest(results: Results) -> int:
    """The largest size, which the curve and the search are of."""
    return int(max(row["n"] for row in results["rows"]))


def sentence(results: Results) -> str:
    """The answer in plain words."""
    n, told = largest(results), results["recruitment"]
    recruited = told["recruited"][str(n)]
    part = f"{recruited} of {n} patients" if recruited < n else f"{n} patients"
    median = value(results, n, "duration_quantile", 0.5)
    dates = date_of(median, told["start"]), date_of(median + told["last_visit_after_enrolment"], told["start"])
    until = f": the last about {dates[0]}, with a last visit about {dates[1]}" if dates[0] else ""
    parts = [
        f"{part} are enrolled in {months(median)} months (median of {results['replicates']:,} simulated studies; 80% interval "
        f"{interval(results, n, 'duration_quantile', 0.1, 0.9)}, 95% "
        f"{interval(results, n, 'duration_quantile', 0.025, 0.975)}){until}."
        if math.isfinite(median)
        else f"Fewer than half of the simulated studies enrol {part}.",
        _screened(results, n),
    ]
    parts += _deadlines(results, n)
    parts += [_sites(answer) for answer in results["answers"]]
    plain = months(value(results, n, "duration_quantile", 0.5, "poisson"))
    parts.append(
        f"With all sites open from the first day at the same {told['per_month']:.3g} patients a month it would be {plain} months."
    )
    if told["why_different"]:
        parts.append(f"That knows nothing of the following: {'; '.join(told['why_different'])}.")
    parts += [f"{warning[0].upper()}{warning[1:]}." for warning in results["warnings"]]
    return " ".join(parts)


def _screened(results: Results, n: int) -> str:
    low, high = (value(results, n, "screened_quantile", at) for at in (0.025, 0.975))
    return f"About {value(results, n, 'expected_screened'):.0f} candidates are screened (95% interval {low:.0f} to {high:.0f})."


def _moment(day: float, start: str) -> str:
    """A day, with its date where there is one."""
    when = date_of(day, start)
    return f"day {day:g} ({when})" if when else f"day {day:g}"


def _deadlines(results: Results, n: int) -> list[str]:
    start, found = results["recruitment"]["start"], []
    for row in results["rows"]:
        if row["n"] == n and row["measure"] == "p_enrolled_by" and row["estimator"] == "simulation":
            chance, error = percent(row["value"]), percent(row["mcse"])
            mean = value(results, n, "expected_enrolled", row["at"])
            found.append(
                f"By {_moment(row['at'], start)} all are enrolled with probability {chance} (Monte Carlo SE {error}); "
                f"{mean:.0f} on average."
            )
    return found


def _sites(answer: Mapping[str, Any]) -> str:
    goal = (
        f"to enrol all by day {answer['criterion']['by']:g} with probability {percent(answer['criterion']['probability'], 0)}"
    )
    if answer["sites"] is None:
        return f"No number of sites that was tried is enough {goal}."
    groups = ", ".join(f"{count} {name}" for name, count in answer["by_group"].items())
    point = next(item for item in answer["confirmation"] if item["n"] == answer["sites"])
    text = f"{answer['sites']} sites are needed {goal} ({groups}; {percent(point['value'])} in new simulated studies"
    ends = (answer["ci_low"], answer["ci_high"])
    span = f"; the search found {answer['found']}, 95% Monte Carlo interval {ends[0]} to {ends[1]}" if None not in ends else ""
    closed = answer["closed_form"]["sites"]
    return f"{text}{span}); the closed form says {closed}." if closed is not None else f"{text}{span})."


def table(results: Results) -> list[list[str]]:
    """Rows by size, header first."""
    days = sorted({row["at"] for row in results["rows"] if row["measure"] == "p_enrolled_by"})
    head = ["N", "months", "80% interval", "95% interval", "last visit", "screened", "constant rate"]
    lines = [[*head, *(f"P(by day {day:g})" for day in days)]]
    lines += [
        [
            str(n),
            months(value(results, n, "duration_quantile", 0.5)),
            interval(results, n, "duration_quantile", 0.1, 0.9),
            interval(results, n, "duration_quantile", 0.025, 0.975),
            months(value(results, n, "last_visit_quantile", 0.5)),
            f"{value(results, n, 'expected_screened'):.0f}",
            months(value(results, n, "duration_quantile", 0.5, "poisson")),
            *(f"{value(results, n, 'p_enrolled_by', day):.3f}" for day in days),
        ]
        for n in sorted({row["n"] for row in results["rows"]})
    ]
    return lines


def summary(results: Results) -> str:
    """``summary.md``."""
    lines = [
        f"# {results['scenario']}: recruitment",
        "",
        sentence(results),
        "",
        markdown_table(table(results)),
        "",
        LEGEND,
        "",
        "![Patients enrolled over time, with prediction limits](figures/enrolment.png)",
        "",
        "![Distribution of the time to enrol all patients over the simulated recruitments](figures/duration.png)",
        "",
        "`curve.csv` has the enrolment curve, `enrolment.csv` the patients of one simulated study.",
        "",
        *programme_markdown(results["turnaround_and_occupancy"]),
        "## For the protocol",
        "",
        protocol_paragraph(results, "en"),
        "",
        protocol_paragraph(results, "fr"),
        "",
    ]
    return "\n".join([*lines, *rests_on_lines(results)]) + "\n"


def calendar(day: float, start: str, language: str) -> str:
    """A day from the start as a date in words; empty where there is none."""
    text = date_of(day, start)
    if not text:
        return ""
    when = date.fromisoformat(text)
    first = "1er" if language == "fr" and when.day == 1 else str(when.day)
    return f"{first} {MONTHS[language].split(',')[when.month - 1]} {when.year}"


def protocol_paragraph(results: Results, language: str) -> str:
    """A paragraph to paste into a protocol.

    Parameters
    ----------
    language
        "en" or "fr".
    """
    words, say = (FR, french) if language == "fr" else (EN, english)
    n, told = largest(results), results["recruitment"]
    parts = [_model(results, words, say)]
    if told["recruited"][str(n)] < n:
        parts.append(words["part"].format(n=n, recruited=told["recruited"][str(n)]))
    if math.isfinite(value(results, n, "duration_quantile", 0.975)):
        parts.append(_duration(results, n, words, say, language))
    if told["closes"]:
        parts.append(_short(results, n, words, say, language))
    parts.append(words["visit"].format(days=say(f"{told['last_visit_after_enrolment']:g}")))
    low, high = (f"{value(results, n, 'screened_quantile', at):.0f}" for at in (0.025, 0.975))
    mean = f"{value(results, n, 'expected_screened'):.0f}"
    parts.append(words["screened"].format(screened=mean, low=low, high=high, ninetyfive=say("95%")))
    if told["by"] is not None:
        parts.append(_by(results, n, words, say, language))
    return " ".join(parts)


def _groups(counts: Mapping[str, tuple[int, str]], words: Words) -> str:
    told = [f"{count} {words['labels'].get(label, label)}" for count, label in counts.values() if count]
    return str(words["and"]).join(told)


def _model(results: Results, words: Words, say: Callable[[str], str]) -> str:
    sites = results["recruitment"]["sites"].values()
    groups = words["and"].join(
        words["group"].format(
            count=s["count"], label=words["labels"].get(s["label"], s["label"]), rate=say(f"{s['per_month']:.2g}")
        )
        for s in sites
    )
    waits, cvs = (sorted({s[key] for s in sites}) for key in ("activation_median", "between_sites_cv"))
    opening = words["opening"].format(days=" / ".join(say(f"{day:.0f}") for day in waits)) if any(waits) else ""
    spread = words["spread"].format(cv=" / ".join(say(f"{cv:.2g}") for cv in cvs)) if any(cvs) else ""
    return str(
        words["model"].format(
            replicates=say(f"{results['replicates']:,}"),
            sites=groups,
            opening=opening,
            spread=spread,
            version=results["software_version"],
            scenario=results["scenario"],
            digest=results["digest"][:8],
            seed=results["seed"],
        )
    )


def _duration(results: Results, n: int, words: Words, say: Callable[[str], str], language: str) -> str:
    levels = {"low95": 0.025, "low80": 0.1, "median": 0.5, "high80": 0.9, "high95": 0.975}
    days = {name: value(results, n, "duration_quantile", level) for name, level in levels.items()}
    start = results["recruitment"]["start"]
    dates = {name: calendar(day, start, language) for name, day in days.items()}
    until = ""
    if dates["high95"]:
        until = words["until"].format(
            start=calendar(0.0, start, language), end=dates["median"], low80=dates["low80"], high80=dates["high80"],
            eighty=say("80%"),
        )  # fmt: skip
    shown = {name: say(months(day)) for name, day in days.items()}
    return str(words["duration"].format(n=n, until=until, eighty=say("80%"), ninetyfive=say("95%"), **shown))


def _short(results: Results, n: int, words: Words, say: Callable[[str], str], language: str) -> str:
    """What the end of recruitment makes of it."""
    start = results["recruitment"]["start"]
    closes = day_of(results["recruitment"]["closes"], start)
    chance, mean = (value(results, n, measure, closes) for measure in ("p_enrolled_by", "expected_enrolled"))
    when = calendar(closes, start, language)
    return str(words["short"].format(closes=when, n=n, p=say(percent(chance)), mean=f"{mean:.0f}"))


def _by(results: Results, n: int, words: Words, say: Callable[[str], str], language: str) -> str:
    told = results["recruitment"]
    when = calendar(told["by"], told["start"], language)
    dated = f"{words['before']} {when}" if when else words["day"].format(day=f"{told['by']:g}")
    parts = [words["by"].format(day=dated, p=say(percent(value(results, n, "p_enrolled_by", told["by"]))))]
    for answer in results["answers"]:
        wanted = say(percent(answer["criterion"]["probability"], 0))
        if answer["sites"] is None:
            parts.append(words["no_sites"].format(day=dated, wanted=wanted))
            continue
        counts = {name: (count, told["sites"][name]["label"]) for name, count in answer["by_group"].items()}
        parts.append(words["sites"].format(day=dated, wanted=wanted, count=answer["sites"], groups=_groups(counts, words)))
    return " ".join(parts)
