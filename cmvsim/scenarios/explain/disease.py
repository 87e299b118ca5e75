"""The course of CMV, the infections beside it, and death, relapse and what acts on them."""

from __future__ import annotations

import numpy as np

from cmvsim.core.value import Value
from cmvsim.models.cmv import TargetSpec
from cmvsim.models.infections import InfectionRatios
from cmvsim.scenarios.explain.patients import use
from cmvsim.scenarios.explain.sentences import Section, about, acting, joined, sentence
from cmvsim.scenarios.scenario import Scenario
from cmvsim.scenarios.words import NORMAL_95, PERIODS, between, interval, number, percent, quantity


def course(spec: Scenario) -> Section:
    """Onset with its factors, load, and CMV disease."""
    onset = spec.cmv.onset
    factors, idle = _factors(spec)
    brief = [
        _found(spec),
        _steroids(spec),
        factors,
        *_load(spec),
        _disease(spec),
    ]
    more = [
        sentence(f"no effect on the rate of onset: {joined(idle)}" if idle else ""),
        (
            f"Prevalent at inclusion: {percent(float(onset.prevalent))}, begun up to {quantity(float(onset.prevalent_age), 'days')} "
            f"before. A further episode comes at {float(onset.re_episode):.3g} times the rate, at most {float(onset.episodes):g} in "
            f"all; on an antiviral at {float(onset.ratios.antiviral):.3g} times that."
        ),
        (
            f"The load doubles in {between(spec.cmv.load.doubling_time, 'days')}, stays on the plateau for "
            f"{between(spec.cmv.load.plateau, 'days')} and halves in {between(spec.cmv.load.decay_half_life, 'days')}."
        ),
        f"Times of onset follow a Weibull law with the shape {float(onset.shape):g} and the median that was solved.",
        *(
            f"In {name.replace('_', ' ')} the same load is read as 10^({between(matrix.offset, 'log10 higher')})."
            for name, matrix in spec.cmv.matrices.items()
            if name == spec.monitoring.matrix.value and (matrix.offset.centre or matrix.offset.spread)
        ),
    ]
    return Section("COURSE", brief, more)


def _found(spec: Scenario) -> str:
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
    solved_on = "" if spec.cmv.calibrated_on in ("own", spec.id) else f", in the patients of {spec.cmv.calibrated_on}"
    return (
        f"The hazard is solved so that {percent(float(incidence.value))}{likely} have {_positive(incidence)} CMV DNA "
        f"by day {number(float(incidence.day))} under {test}, half of them by day {number(float(timing.value))}{solved_on}."
    )


def _positive(target: TargetSpec) -> str:
    names = {"detected": "detectable", "quantifiable": "quantifiable"}
    return names.get(target.definition.name, f"{target.definition} of")


def _steroids(spec: Scenario) -> str:
    """What corticosteroids do, with the window over which they do it."""
    ratio = spec.cmv.onset.ratios.corticosteroids
    shift = float(spec.cmv.load.set_point_shift.corticosteroids)
    effect = "leave the rate of onset as it is"
    if float(ratio) != 1:
        effect = (
            f"multiply the rate of onset by {float(ratio):.3g}{interval(ratio)} from the first dose to the last, fading over "
            f"{quantity(float(spec.toxicity.corticosteroids.washout), 'days')} of wash-out"
        )
    if shift:
        effect += (
            "; episodes that still rise after the first dose level off "
            f"{abs(shift):g} log10 IU/mL ({10 ** abs(shift):.2g} times) {'higher' if shift > 0 else 'lower'}"
        )
    return f"Corticosteroids (in {percent(use(spec, 'corticosteroids'))} of patients) {effect}."


def _factors(spec: Scenario) -> tuple[str, list[str]]:
    """What else multiplies the rate of onset, by when it does; and what has a ratio of 1."""
    ratios, onset = spec.cmv.onset.ratios, spec.cmv.onset
    toxic = quantity(float(onset.severe_toxicity_washout), "days")
    passing: list[tuple[str, Value, str]] = [
        ("tocilizumab", ratios.tocilizumab, quantity(float(spec.toxicity.tocilizumab.washout), "days")),
        ("anakinra", ratios.anakinra, quantity(float(spec.toxicity.anakinra.washout), "days")),
        ("severe CRS", ratios.severe_crs, toxic),
        ("severe ICANS", ratios.severe_icans, toxic),
    ]
    lasting: list[tuple[str, Value, str]] = [
        (f"a TTV load of {number(float(spec.virome.anellovirus.load.high))} log10", ratios.high_anellovirus, ""),
        ("a new TTV or pegivirus infection", ratios.incident_virus, ""),
        ("each doubling of the CAR-T peak", ratios.expansion, ""),
    ]
    own: list[tuple[str, Value, str]] = [
        ("prior allogeneic transplant", ratios.prior_allogeneic_hct, ""),
        ("leukaemia against lymphoma", ratios.leukaemia, ""),
        ("under 18 years", ratios.child, ""),
        (f"lymphocytes below {float(onset.lymphopenia_below):g} x 10^9/L", ratios.lymphopenia, ""),
        ("each standard deviation of immunosuppression", ratios.score, ""),
    ]
    parts, idle = [], []
    for when, ratios_then in (
        ("while it lasts, then fading as said in brackets", passing),
        ("from then on", lasting),
        ("all the time", own),
    ):
        acts, without = acting(ratios_then)
        idle += without
        if acts:
            parts.append(f"{when}: {joined(acts)}")
    return sentence(f"that rate is also multiplied {'; '.join(parts)}" if parts else ""), idle


def _load(spec: Scenario) -> list[str]:
    load = spec.cmv.load
    start = 10 ** float(load.start_log10)
    # an episode whose set-point is below its start stays where it starts
    levels = load.set_point.of_normal(np.array([-NORMAL_95, 0.0, NORMAL_95]))
    low, mid, high = np.maximum(levels, float(load.start_log10)).tolist()
    score = float(load.set_point_shift.score)
    shift = f", {score:+g} log10 per standard deviation of immunosuppression" if score else ""
    limited, slope = float(load.self_limited.share), float(load.self_limited.slope)
    return [
        (
            f"An episode starts at {number(start)} IU/mL of plasma, doubles in about {about(load.doubling_time, 'days')} and levels "
            f"off at {_iu(mid)} IU/mL ({_iu(low)} to {_iu(high)} between episodes{shift})."
        ),
        (
            f"Untreated, {percent(limited)} of average episodes clear by themselves"
            f"{', fewer of the high ones' if slope < 0 else ''}, after about {about(load.plateau, 'days')} at the plateau; the "
            f"load then halves in {about(load.decay_half_life, 'days')}."
        ),
    ]


def _iu(log10: float) -> str:
    return f"{float(f'{10**log10:.2g}'):,.0f}"


def _disease(spec: Scenario) -> str:
    disease = spec.cmv.disease
    at, slope = 10 ** float(disease.reference_log10), float(disease.slope)
    month = 30 * float(disease.hazard)
    organs = joined([f"{name} {percent(float(share))}" for name, share in disease.organs.items() if float(share) > 0])
    steeper = f" ({10**slope:.2g} times as many at a tenfold load)" if slope else ""
    return f"CMV disease: {100 * month:.2g} per 100 patients and month with {number(at)} IU/mL{steeper}; {organs}."


def infections(spec: Scenario) -> Section:
    """Bacterial and fungal infections."""
    bacterial, fungal = spec.infections.bacterial, spec.infections.fungal
    early, late = number(float(spec.infections.early_until)), number(float(spec.infections.late_until))
    same = [float(a) for _, a in bacterial.ratios] == [float(b) for _, b in fungal.ratios]
    brief = [
        (
            f"At least one bacterial infection in {percent(float(bacterial.early))} by day {early} and in "
            f"{percent(float(bacterial.late))} from then to day {late} ({percent(float(bacterial.severe))} of them severe), an invasive "
            f"fungal one in {percent(float(fungal.whole))} by day {late} ({percent(float(fungal.severe))} severe)."
        ),
        _infected("that rate", bacterial.ratios)
        if same
        else f"{_infected('the rate of bacterial ones', bacterial.ratios)} {_infected('that of fungal ones', fungal.ratios)}",
    ]
    more = [
        (
            f"They last {between(bacterial.duration, 'days')} and {between(fungal.duration, 'days')}; at most "
            f"{float(bacterial.episodes):g} bacterial ones. They do not act on CMV."
        )
    ]
    return Section("INFECTIONS", brief, more)


def _infected(rate: str, ratios: InfectionRatios) -> str:
    acts, _ = acting(
        [
            ("while CMV replicates", ratios.cmv, ""),
            ("while neutropenic", ratios.neutropenia, ""),
            ("on corticosteroids", ratios.corticosteroids, ""),
            ("in leukaemia", ratios.leukaemia, ""),
            ("per standard deviation of immunosuppression", ratios.score, ""),
        ]
    )
    return f"What multiplies {rate}: {joined(acts)}." if acts else f"Nothing multiplies {rate}."


def outcome(spec: Scenario) -> Section:
    """Death and relapse, and what acts on them."""
    follow = spec.follow_up
    present = {name: s for name, s in spec.population.strata.items() if float(s.share) > 0}
    figures = [
        f"{s.label}: {percent(float(follow.death_by_90[name]))}{interval(follow.death_by_90[name], 100)} die, "
        f"{percent(float(follow.non_relapse_mortality_by_90[name]))} without relapse, and "
        f"{percent(float(follow.relapse_by_90[name]))} relapse"
        for name, s in present.items()
    ]
    ratios = follow.death_ratios
    acts, _ = acting(
        [
            ("a severe infection, while it lasts,", ratios.severe_infection, ""),
            ("CRS or ICANS of grade 3 or more, while it lasts,", ratios.severe_toxicity, ""),
            ("each standard deviation of immunosuppression", ratios.score, ""),
        ]
    )
    brief = [
        f"By day 90, {'; '.join(figures)}.",
        *_cmv_on_death(spec),
        f"What {'also ' if _cmv_acts(spec) else ''}multiplies the rate of death without relapse: {joined(acts)}."
        if acts
        else "",
    ]
    score = follow.relapse_ratios.score
    more = [
        (
            f"Relapse brings a new therapy, which ends monitoring, in "
            f"{joined([f'{percent(float(follow.monitoring_stop[name]))} ({s.label})' for name, s in present.items()])}; allogeneic "
            f"transplantation by day 90, from day {number(float(follow.hct_from))} on, in "
            f"{joined([f'{percent(float(follow.hct_by_90[name]))} ({s.label})' for name, s in present.items()])}."
        ),
        "Relapse is independent of immunosuppression."
        if float(score) == 1
        else f"Each standard deviation of immunosuppression multiplies the rate of relapse by {float(score):.3g}{interval(score)}.",
    ]
    return Section("OUTCOME", brief, more)


def _cmv_acts(spec: Scenario) -> bool:
    ratios = spec.follow_up.death_ratios
    return float(ratios.clinically_significant) != 1 or float(ratios.disease) != 1


def _cmv_on_death(spec: Scenario) -> list[str]:
    """What CMV does to the risk of death, by itself and by what it brings."""
    ratios = spec.follow_up.death_ratios
    direct = []
    if float(ratios.clinically_significant) != 1:
        direct.append(
            "Clinically significant CMV multiplies the rate of death without relapse by "
            f"{float(ratios.clinically_significant):.3g}{interval(ratios.clinically_significant)} from then on."
        )
    if float(ratios.disease) != 1:
        direct.append(
            f"CMV disease multiplies the rate of death without relapse by {float(ratios.disease):.3g}{interval(ratios.disease)} "
            "from its onset on."
        )
    infected = (spec.infections.bacterial.ratios, spec.infections.fungal.ratios)
    neutropenic = float(spec.preemptive_therapy.toxicity.neutropenia.probability) > 0
    brought = [
        "it" if any(float(r.cmv) != 1 for r in infected) else "",
        "the neutropenia of its treatment" if neutropenic and any(float(r.neutropenia) != 1 for r in infected) else "",
    ]
    by = " and ".join(part for part in brought if part) if float(ratios.severe_infection) != 1 else ""
    if not direct:
        only = f"; only the infections that come with {by} do" if by else ""
        return [f"CMV itself does not change the risk of death{only}."]
    return [*direct, f"Infections that come with {by} are a further way to death." if by else ""]
