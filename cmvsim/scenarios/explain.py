"""A scenario read back in plain English: what is assumed first, then who, course, seen, treated, asked, plan, sources."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable

from cmvsim.core.value import Value
from cmvsim.endpoints import ENDPOINTS
from cmvsim.models.cmv import TargetSpec
from cmvsim.models.toxicity import DRUGS, Drug
from cmvsim.scenarios.cite import cite
from cmvsim.scenarios.inputs import Input, inputs
from cmvsim.scenarios.scenario import ResolvedScenario, Scenario
from cmvsim.scenarios.words import PERIODS, in_words, interval, number, percent, quantity, visits

WIDTH = 118
INDENT = 8
HANDFUL = 9
FIRST = ("monitoring.", "preemptive_therapy.", "study.")
"""What a protocol can change: these assumptions come first."""
TOPICS = {
    "cmv.targets": "incidence and timing",
    "cmv.onset": "onset",
    "cmv.load": "viral load",
    "cmv.matrices": "matrix",
    "kinetics": "CAR-T kinetics",
    "toxicity": "toxicity and its treatment",
    "population": "patients",
    "monitoring": "assay",
    "preemptive_therapy": "treatment",
    "follow_up": "death and relapse",
}
"""What an input is about, by the beginning of its key path."""


def explain(
    scenario: ResolvedScenario, *, observed: float | None = None, mcse: float | None = None, show_all: bool = False
) -> str:
    """Read a scenario back.

    Parameters
    ----------
    scenario
        Resolved.
    observed
        Incidence that the scenario's own monitoring finds, computed by the caller; left out where it is not known.
    mcse
        Its Monte Carlo standard error.
    show_all
        All assumptions and papers, with their whole reasons.
    """
    spec = scenario.spec
    registry = f" ({spec.study.registry})" if spec.study.registry else ""
    parts = [f"{spec.id}  {spec.title}{registry}      resolved {scenario.digest[:8]}", "", *_assumed(scenario, show_all)]
    sections = (
        ("WHO", _who(spec)),
        ("COURSE", _course(spec)),
        ("SEEN", _seen(spec, observed, mcse)),
        ("TREATED", _treated(spec)),
        ("ASKED", _asked(spec)),
        ("PLAN", _plan(spec)),
        ("SOURCES", _sources(scenario, show_all)),
    )
    for name, text in sections:
        parts += _section(name, text)
    return "\n".join(parts) + "\n"


def _section(name: str, sentences: Iterable[str]) -> list[str]:
    text = " ".join(sentence for sentence in sentences if sentence)
    return textwrap.wrap(
        text, WIDTH, initial_indent=f"{name:<{INDENT}}", subsequent_indent=" " * INDENT, break_on_hyphens=False
    )


def _assumed(scenario: ResolvedScenario, show_all: bool) -> list[str]:
    everything = inputs(scenario.spec)
    rows = [item for item in everything if item.assumed is not None]
    rows.sort(key=lambda item: next((rank for rank, start in enumerate(FIRST) if item.path.startswith(start)), len(FIRST)))
    if not rows:
        return [f"ASSUMED, with no paper behind it: none of {len(everything)} inputs"]
    lines = [f"ASSUMED, with no paper behind it ({len(rows)} of {len(everything)} inputs; change them first)"]
    listed = rows if show_all else rows[:HANDFUL]
    path_width = max(len(item.path) for item in listed) + 2
    value_width = min(max(len(in_words(item)) for item in listed), 44) + 2
    for item in listed:
        lines += _row(item, path_width, value_width, show_all)
    if len(rows) > len(listed):
        lines.append(f"  ... {len(rows) - len(listed)} more: `cmvsim scenarios explain {scenario.source} --all`")
    return lines


def _row(item: Input, path_width: int, value_width: int, whole: bool) -> list[str]:
    head = f"  {item.path:<{path_width}}{in_words(item):<{value_width}}"
    reason = item.assumed or ""
    if not whole:
        return [head + textwrap.shorten(reason, max(WIDTH - len(head), 30), placeholder=" ...")]
    # where the table leaves no room for a reason, it goes on the next line
    if len(head) > WIDTH - 40:
        return [head.rstrip(), *textwrap.wrap(reason, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)]
    return textwrap.wrap(reason, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or [head]


def _who(spec: Scenario) -> list[str]:
    strata = sorted((s for s in spec.population.strata.values() if float(s.share) > 0), key=lambda s: -float(s.share))
    mix = _joined([f"{percent(float(s.share))} {s.label} ({s.age[0]:g} to {s.age[1]:g} years)" for s in strata], ";")
    screened = spec.population.screened(spec.study.patients)
    enrolled = float(spec.population.seropositive_enrolled)
    if enrolled == 1:
        positive = percent(spec.study.patients / screened)
        screening = f"With {positive} of candidates seropositive, about {number(screened)} are screened."
    else:
        screening = f"Of those enrolled, {percent(enrolled)} are CMV-seropositive; about {number(screened)} are screened."
    who = "CMV-seropositive patients" if enrolled == 1 else "patients"
    first, last = number(float(spec.study.inclusion)), number(spec.monitoring.days[-1])
    return [
        f"{spec.study.patients:,} {who}: {mix}.",
        screening,
        f"Prior allogeneic transplant in {percent(_mean(spec, 'prior_allogeneic_hct'))}.",
        f"Followed from day {first} to the visit of day {last} from infusion. Ages are drawn evenly over the ranges.",
    ]


def _course(spec: Scenario) -> list[str]:
    incidence, timing = spec.cmv.incidence, spec.cmv.timing
    by = incidence.measured_by
    test = "the monitoring of this study"
    if by is not None:
        limit = by.lod if incidence.definition.name == "detected" else incidence.definition.level or by.lloq
        test = (
            f"{PERIODS.get(by.every, f'every {by.every} days:')} {by.matrix.replace('_', ' ')} PCR to day {by.to} "
            f"({_positive(incidence)} from {quantity(float(limit), 'IU/mL')}, {percent(float(by.attendance))} of visits made)"
        )
    likely = interval(incidence.value, 100).replace("(", "(95% interval ")
    found = (
        f"The hazard is solved so that {percent(float(incidence.value))}{likely} have {_positive(incidence)} CMV DNA "
        f"by day {number(float(incidence.day))} under {test}, half of them by day {number(float(timing.value))}."
    )
    return [
        found,
        *(_drug(spec, drug) for drug in DRUGS if hasattr(spec.cmv.onset.ratios, drug)),
        _host(spec),
        *_outcomes(spec),
    ]


def _positive(target: TargetSpec) -> str:
    names = {"detected": "detectable", "quantifiable": "quantifiable"}
    return names.get(target.definition.name, f"{target.definition} of")


def _drug(spec: Scenario, drug: Drug) -> str:
    """What a toxicity treatment does, with the window over which it does it."""
    course = getattr(spec.toxicity, drug)
    ratio: Value = getattr(spec.cmv.onset.ratios, drug)
    shift = float(spec.cmv.load.set_point_shift.corticosteroids) if drug == "corticosteroids" else 0.0
    used = f"{drug.capitalize()} (in {percent(_use(spec, drug))} of patients)"
    if float(ratio) == 1:
        effect = "leave the rate of onset as it is" if drug == "corticosteroids" else "leaves the rate of onset as it is"
    else:
        verb = "multiply" if drug == "corticosteroids" else "multiplies"
        effect = (
            f"{verb} the rate of onset by {float(ratio):.3g}{interval(ratio)} from the first dose to the last, "
            f"fading over {quantity(float(course.washout), 'days')} of wash-out"
        )
    if shift:
        way = "higher" if shift > 0 else "lower"
        effect += (
            "; episodes that still rise after the first dose level off "
            f"{abs(shift):g} log10 IU/mL ({10 ** abs(shift):.2g} times) {way}"
        )
    return f"{used} {effect}."


def _host(spec: Scenario) -> str:
    ratios = spec.cmv.onset.ratios
    found = [
        f"prior allogeneic transplant multiplies the rate of onset by {float(ratios.prior_allogeneic_hct):.3g}"
        f"{interval(ratios.prior_allogeneic_hct)}"
        if float(ratios.prior_allogeneic_hct) != 1
        else "",
        f"each standard deviation of immunosuppression by {float(ratios.score):.3g}{interval(ratios.score)}"
        if float(ratios.score) != 1
        else "",
    ]
    text = ", ".join(part for part in found if part)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _outcomes(spec: Scenario) -> list[str]:
    follow = spec.follow_up
    by_stratum = [
        f"{s.label}: {percent(float(follow.death_by_90[name]))}{interval(follow.death_by_90[name], 100)} die, "
        f"{percent(float(follow.non_relapse_mortality_by_90[name]))} without relapse, and "
        f"{percent(float(follow.relapse_by_90[name]))} relapse"
        for name, s in spec.population.strata.items()
        if float(s.share) > 0
    ]
    ratio = follow.death_ratios.clinically_significant
    acts = (
        "CMV itself does not change the risk of death."
        if float(ratio) == 1
        else f"Clinically significant CMV multiplies the rate of death without relapse by {float(ratio):.3g}{interval(ratio)}."
    )
    return [f"By day 90, {'; '.join(by_stratum)}.", acts]


def _seen(spec: Scenario, observed: float | None, mcse: float | None) -> list[str]:
    plan, target = spec.monitoring, spec.cmv.incidence
    after = [day for day in plan.days if day > 0]
    jitter = float(plan.jitter)
    moved = f", each up to {quantity(jitter, 'days')} early or late" if jitter else ""
    matrix = plan.matrix.value.replace("_", " ").capitalize()
    tested = (
        f"{matrix} PCR at {len(plan.days)} visits ({visits(plan.days)}{moved}), "
        f"{percent(float(plan.attendance))} of the {len(after)} after infusion made; quantified from "
        f"{quantity(float(plan.lloq), 'IU/mL')}, detected from {number(float(plan.lod))}."
    )
    leaving = (
        f"In all, {percent(float(spec.follow_up.lost_by_90))} are lost and "
        f"{percent(float(spec.follow_up.withdrawn_by_90))} withdraw by day 90."
    )
    if observed is None or math.isnan(observed):
        return [tested, leaving]
    error = f" (Monte Carlo error {100 * mcse:.1f} points)" if mcse is not None else ""
    found = f"Under this schedule the expected estimate of the cumulative incidence is {percent(observed)}"
    if not _as_target(spec, target):
        asked = f"{spec.analysis.primary}: {spec.analysis.definition}, by day {spec.analysis.window}"
        return [tested, leaving, f"{found} ({asked}){error}."]
    same = percent(observed) == percent(float(target.value))
    return [tested, leaving, f"{found}, {'as above' if same else f'not {percent(float(target.value))}'}{error}."]


def _as_target(spec: Scenario, target: TargetSpec) -> bool:
    """Whether the analysis asks what the target says of the disease, so that only the schedule makes a difference."""
    plan = spec.analysis
    everybody = getattr(ENDPOINTS[plan.primary], "disease", None) is None
    return (
        everybody
        and plan.definition == target.definition
        and plan.window == float(target.day)
        and plan.prevalent == "exclude"
        and plan.relapse == "treatment_policy"
        and plan.hct == "competing"
    )


def _treated(spec: Scenario) -> list[str]:
    care = spec.preemptive_therapy
    stop = care.stop_after
    labels = [strategy.label for strategy in spec.strategies.values()]
    rule = (
        f"Pre-emptive therapy from {quantity(float(care.start_at), 'IU/mL')} of "
        f"{spec.monitoring.matrix.value.replace('_', ' ')}, in {percent(float(care.accepted))} of the episodes that "
        f"reach it, {quantity(float(care.delay), 'days')} after the result, which takes "
        f"{quantity(float(spec.monitoring.turnaround), 'days')}; until {float(stop.negatives):g} results below the "
        f"limit of quantification and {quantity(float(stop.minimum_days), 'days')}, at most "
        f"{quantity(float(stop.maximum_days), 'days')}."
    )
    return [rule, f"Strategies: {'; '.join(labels)}." if len(labels) > 1 else ""]


_COUNTS = {
    "detected": "first detectable sample",
    "quantifiable": "first quantifiable sample",
    "at_least": "first sample of",
    "clinically_significant": "first treatment for CMV, or CMV disease,",
}


def _asked(spec: Scenario) -> list[str]:
    plan = spec.analysis
    event = _COUNTS[plan.definition.name] + (f" {plan.definition}" if plan.definition.level is not None else "")
    competing = [
        "death",
        *(["transplantation"] if plan.hct == "competing" else []),
        *(["relapse"] if plan.relapse == "competing" else []),
    ]
    censored = [*(["transplantation"] if plan.hct == "censor" else []), *(["relapse"] if plan.relapse == "censor" else [])]
    handling = [
        f"{_joined(competing)} competing",
        f"censored at {_joined(censored)}" if censored else "",
        "relapse followed through" if plan.relapse == "treatment_policy" else "",
        "DNAemia at infusion left out" if plan.prevalent == "exclude" else "DNAemia at infusion counted at day 0",
        f"{percent(plan.level)} CI ({plan.interval})",
    ]
    rest = f" The same for {', '.join(plan.endpoints[1:])}." if len(plan.endpoints) > 1 else ""
    return [f"{plan.primary}: {event} on days 1-{plan.window}, {', '.join(part for part in handling if part)}.{rest}"]


def _plan(spec: Scenario) -> list[str]:
    found = []
    for name, design in spec.designs.items():
        goal = (
            f"half-width at most {100 * design.target.half_width:g} points with {percent(design.target.probability)} "
            f"probability"
            if design.target is not None
            else "no target"
        )
        title = design.kind if name in design.kind else f"{name} ({design.kind})"
        found.append(f"{title}: {goal}.")
    return found


def _sources(scenario: ResolvedScenario, show_all: bool) -> list[str]:
    papers = sorted(cite(scenario).papers, key=lambda paper: -sum(len(reason.inputs) for reason in paper.reasons))
    listed = papers if show_all else papers[:5]
    text = "; ".join(
        f"{paper.name} ({', '.join(_topics(path for reason in paper.reasons for path in reason.inputs))})" for paper in listed
    )
    more = f"; {len(papers) - len(listed)} more" if len(papers) > len(listed) else ""
    return [f"{text}{more}: `cmvsim scenarios cite {scenario.source}`"] if papers else ["none"]


def _topics(paths: Iterable[str]) -> list[str]:
    return list(
        dict.fromkeys(
            next((topic for start, topic in TOPICS.items() if path.startswith(start)), path.split(".")[0]) for path in paths
        )
    )


def _use(spec: Scenario, drug: Drug) -> float:
    """Share of patients with a course, over strata and products."""
    table = getattr(spec.toxicity, drug).use
    return sum(
        float(s.share) * float(share) * float(table[s.disease][product])
        for s in spec.population.strata.values()
        for product, share in s.products.items()
    )


def _mean(spec: Scenario, trait: str) -> float:
    return sum(float(s.share) * float(getattr(s, trait)) for s in spec.population.strata.values())


def _joined(parts: list[str], comma: str = ",") -> str:
    return f"{comma} ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
