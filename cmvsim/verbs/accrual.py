"""``cmvsim accrual``: how long recruitment takes, how many are screened, and how many sites are needed."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Request
from cmvsim.core.streams import check_seed
from cmvsim.models.accrual import DAYS_PER_MONTH, Enrolment, date_of, day_of, expected_mix, population_mix
from cmvsim.planning.accrual import AccrualQuestion, Forecast, closed_forms, forecast, last_visit, recruited, why_different
from cmvsim.planning.accrual_sites import SitesAnswer, smallest_sites
from cmvsim.planning.sizes import LARGEST, parse_sizes
from cmvsim.report import accrual_text
from cmvsim.runs.provenance import software_version
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.scenarios.cite import cite
from cmvsim.scenarios.relevance import bears_on_recruitment
from cmvsim.scenarios.scenario import Scenario
from cmvsim.verbs.accrual_programme import ProgrammeSection, programme_section
from cmvsim.verbs.place import Place, RunOutcome, kept_files
from cmvsim.verbs.running import FolderWork
from cmvsim.verbs.ui import Ui, note_compiling

FORMAT = 1
MIX_TOLERANCE = 0.02
"""Difference between the sites' mix of patients and the population's that a reader is told of."""
MOST_PROGRAMMES = 10_000
NARROW = 100
"""Replicates below which the ends of the 95% interval have no Monte Carlo error."""


@dataclass(frozen=True, slots=True)
class AccrualOptions:
    """What the user typed; `by` is a day from the start or a date."""

    scenario: str
    overrides: tuple[str, ...] = ()
    sizes: str | None = None
    by: str | None = None
    probability: float | None = None
    replicates: int = 10_000
    programmes: int = 10
    seed: int = 1


def accrual(options: AccrualOptions, place: Place, ui: Ui) -> RunOutcome:
    """Forecast recruitment and keep the answer in a run folder.

    Raises
    ------
    InputError
        If scenario or options hold a mistake; nothing is written then.
    """
    scenario = resolve(options.scenario, options.overrides)
    question = ask(scenario.spec, options)
    request = Request(
        "accrual", scenario.id, scenario.digest, {"question": question.as_dict(), "set": list(scenario.overrides)}, options.seed
    )
    if question.programmes:
        note_compiling(ui)
    return kept_files(request, place, lambda: compute(scenario, question, request, ui))


def ask(scenario: Scenario, options: AccrualOptions) -> AccrualQuestion:
    """The question behind the options; every mistake in them is found here."""
    if not scenario.accrual.recruits(scenario.population):
        late = float(scenario.population.retrospective_share) == 1
        reason = "all patients are followed retrospectively" if late else "no site recruits patients"
        at = "population.retrospective_share" if late else "accrual.sites"
        raise InputError(Problem(f"{scenario.id}: {reason}, so there is nothing to forecast", at=at))
    check_seed(options.seed)
    if not 1 <= options.replicates <= 1_000_000:
        raise InputError(Problem(f"{options.replicates} replicates", "--replicates", allowed="from 1 to 1,000,000"))
    if not 0 <= options.programmes <= MOST_PROGRAMMES:
        allowed = f"from 0 (recruitment alone) to {MOST_PROGRAMMES:,}"
        raise InputError(Problem(f"{options.programmes} programmes", "--programmes", allowed=allowed))
    if options.probability is not None:
        if options.by is None:
            raise InputError(Problem("a probability alone asks nothing", "--probability", allowed="give --by too"))
        if not 0 < options.probability < 1:
            allowed = "a number between 0 and 1, both excluded"
            raise InputError(
                Problem(f"{options.probability:g} is no probability to plan for", "--probability", allowed=allowed)
            )
    sizes = parse_sizes(options.sizes) if options.sizes else (scenario.study.patients,)
    if sizes[-1] > LARGEST:
        raise InputError(
            Problem(f"{sizes[-1]:,} patients", "study.patients", allowed=f"at most {LARGEST:,}; -n asks for fewer")
        )
    by = deadline(options.by, scenario.accrual.start) if options.by is not None else None
    return AccrualQuestion(sizes, by, options.probability, options.replicates, options.seed, options.programmes)


def deadline(text: str, start: str) -> float:
    """Day from the start that ``--by`` names, as a number of days or a date.

    Raises
    ------
    InputError
        If it is neither, not after the start, or a date where the scenario has no start.
    """
    allowed = "days from the start of the study, e.g. 730, or a date, e.g. 2026-06-30"
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        if not start:
            message = "a date, but the scenario does not say when the study starts"
            raise InputError(Problem(message, "--by", allowed="days from the start, or --set accrual.start=2026-01-01"))
        try:
            day = day_of(text, start)
        except ValueError:
            raise InputError(Problem(f"'{text}' is no date of the calendar", "--by", allowed=allowed)) from None
        if day <= 0:
            raise InputError(Problem(f"{text} is not after the start of the study ({start})", "--by"))
        return day
    try:
        day = float(text)
    except ValueError:
        raise InputError(Problem(f"'{text}' is neither a number nor a date", "--by", allowed=allowed)) from None
    if not (math.isfinite(day) and day > 0):
        raise InputError(Problem(f"{text} is not allowed", "--by", allowed="a day after the start: above 0"))
    return day


def question_of(request: Request) -> AccrualQuestion:
    """The question back from a stored request."""
    stored = request.content["question"]
    return AccrualQuestion(
        tuple(stored["sizes"]),
        stored["by"],
        stored["probability"],
        int(stored["replicates"]),
        request.seed,
        int(stored["programmes"]),
    )


def again(scenario: ResolvedScenario, request: Request, work: FolderWork) -> str:
    """``results.json`` of the same request, computed once more."""
    return str(compute(scenario, question_of(request), request, work)["results.json"])


def compute(
    scenario: ResolvedScenario, question: AccrualQuestion, request: Request, ui: Ui | FolderWork
) -> dict[str, str | bytes]:
    """All files of the run, by name."""
    spec = scenario.spec
    with ui.progress("simulating recruitment") as tick:
        found = forecast(spec, question, tick)
    answer = None
    if question.probability is not None:
        with ui.progress("looking for the number of sites") as tick:
            answer = smallest_sites(spec, question, tick)
    shared = programme_section(scenario, patients=question.sizes[-1], seed=question.seed, replicates=question.programmes, ui=ui)
    results = results_tree(scenario, question, request, found, answer, shared)
    return {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "results.json": pretty_json(results),
        "rows.csv": _csv(pd.DataFrame(results["rows"])),
        "curve.csv": _csv(pd.DataFrame(results["curve"])),
        "enrolment.csv": _csv(enrolment_table(spec, found.first)),
        "summary.md": accrual_text.summary(results),
        **figures(results, found),
        **shared.files,
    }


def _csv(table: pd.DataFrame) -> str:
    return table.to_csv(index=False, lineterminator="\n", float_format="%.12g")


def results_tree(
    scenario: ResolvedScenario,
    question: AccrualQuestion,
    request: Request,
    found: Forecast,
    answer: SitesAnswer | None,
    shared: ProgrammeSection,
) -> dict[str, Any]:
    """``results.json``."""
    alone = question.programmes == 0
    rests_on = cite(scenario, lambda path: bears_on_recruitment(path) and not (alone and path.startswith("capacity.")))
    answers = [{"endpoint": "", **asdict(answer)}] if answer is not None else []
    return {
        "format": FORMAT,
        "verb": "accrual",
        "scenario": scenario.id,
        "digest": request.digest,
        "request": request.as_dict(),
        "software_version": software_version(),
        "seed": question.seed,
        "replicates": question.replicates,
        "stopped": "replicates",
        "answers": answers,
        "rows": [row.as_dict() for row in found.rows],
        "curve": [{**point.as_dict(), "date": date_of(point.day, scenario.spec.accrual.start)} for point in found.curve],
        "recruitment": described(scenario.spec, question),
        "turnaround_and_occupancy": shared.tree,
        **rests_on.behind(),
        "warnings": warnings(scenario.spec, question, answer),
    }


def described(spec: Scenario, question: AccrualQuestion) -> dict[str, Any]:
    """What recruitment is, for those who read the results without the scenario."""
    law, counts = spec.accrual, spec.accrual.counts(spec.population)
    mix, wanted = expected_mix(law, spec.population), population_mix(law, spec.population)
    return {
        "start": law.start,
        "closes": law.closes,
        "by": question.by,
        "recruited": {str(n): recruited(spec, n) for n in question.sizes},
        "retrospective_share": float(spec.population.retrospective_share),
        "seropositive_enrolled": float(spec.population.seropositive_enrolled),
        "inclusion": float(spec.study.inclusion),
        "last_visit": float(spec.monitoring.days[-1]),
        "last_visit_after_enrolment": last_visit(spec),
        "sites": {
            name: {
                "label": law.sites[name].label,
                "count": count,
                "per_month": law.rate(name) * DAYS_PER_MONTH,
                "between_sites_cv": float(law.sites[name].between_sites_cv),
                "activation_median": float(law.sites[name].activation.of_normal(np.zeros(1))[0]),
                "share": mix[name],
                "share_of_population": wanted[name],
            }
            for name, count in counts.items()
        },
        "per_month": closed_forms(spec)["poisson"].rate * DAYS_PER_MONTH,
        "screened_by_population": {str(n): spec.population.screened(recruited(spec, n)) for n in question.sizes},
        "why_different": list(why_different(spec)),
    }


def warnings(spec: Scenario, question: AccrualQuestion, answer: SitesAnswer | None) -> list[str]:
    """What a reader must not overlook."""
    law, found = spec.accrual, []
    mix, wanted = expected_mix(law, spec.population), population_mix(law, spec.population)
    for name, share in mix.items():
        if share - wanted[name] > MIX_TOLERANCE:
            found.append(
                f"{law.sites[name].label} enrol {share:.0%} of the patients, whereas their strata are {wanted[name]:.0%} of "
                "the population of the scenario, which all other results stand on"
            )
    if question.by is not None and question.by > law.closing_day:
        found.append(f"recruitment closes on {law.closes}, before the day asked for")
    if answer is not None and answer.status == "not confirmed":
        found.append("the number of sites was not confirmed on new random numbers")
    if question.replicates < NARROW:
        found.append(f"{question.replicates} replicates are too few for the ends of a 95% interval")
    return found


def enrolment_table(spec: Scenario, first: Enrolment) -> pd.DataFrame:
    """The patients of replicate 0 in the order of enrolment; those never reached are left out."""
    reached = np.isfinite(first.day[0])
    day, site, stratum = (column[0][reached] for column in (first.day, first.site, first.stratum))
    groups, strata = np.array(first.groups), np.array(tuple(spec.population.strata))
    return pd.DataFrame(
        {
            "patient": np.arange(1, day.size + 1),
            "enrolment_day": day,
            "infusion_day": day - float(spec.study.inclusion),
            "enrolment_date": [date_of(float(x), spec.accrual.start) for x in day],
            "group": groups[first.sites.group[site]],
            "site": site + 1,
            "site_opens": first.sites.opens[0][site],
            "stratum": strata[stratum],
            "screened": first.screened[0][reached],
        }
    )


def figures(results: dict[str, Any], found: Forecast) -> dict[str, str | bytes]:
    """The figures, drawn from the results."""
    from cmvsim.report import accrual_figures as draw
    from cmvsim.report.style import png

    return {
        "figures/enrolment.png": png(draw.enrolment_curve(results)),
        "figures/duration.png": png(draw.duration_distribution(results, found.duration)),
    }
