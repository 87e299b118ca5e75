"""How CMV is looked for, treated and prevented, and what care takes."""

from __future__ import annotations

import math

from cmvsim.endpoints import ENDPOINTS
from cmvsim.models.cmv import TargetSpec
from cmvsim.models.monitoring import ClinicalTesting
from cmvsim.models.strategies import StrategySpec
from cmvsim.scenarios.explain.sentences import Section, about, acting, cells, joined, spread
from cmvsim.scenarios.relevance import gives_letermovir
from cmvsim.scenarios.scenario import Scenario
from cmvsim.scenarios.words import between, interval, number, percent, quantity, visits


def seen(spec: Scenario, observed: float | None, mcse: float | None) -> Section:
    """Visits, tests that clinicians ask for, assay, leaving, and what is then found."""
    plan, late = spec.monitoring, float(spec.population.retrospective_share)
    after = [day for day in plan.days if day > 0]
    jitter = float(plan.jitter)
    moved = f", each up to {quantity(jitter, 'days')} early or late" if jitter else ""
    matrix = plan.matrix.value.replace("_", " ").capitalize()
    assay = f"quantified from {quantity(float(plan.lloq), 'IU/mL')}, detected from {number(float(plan.lod))}."
    planned = (
        f"{matrix} PCR at {len(plan.days)} visits ({visits(plan.days)}{moved}), "
        f"{percent(float(plan.attendance))} of the {len(after)} after infusion made; {assay}"
    )
    if late == 1:
        planned = f"{matrix} PCR without a schedule; {assay}"
    leaving = (
        f"In all, {percent(float(spec.follow_up.lost_by_90))} are lost and "
        f"{percent(float(spec.follow_up.withdrawn_by_90))} withdraw by day 90."
    )
    between_sites = float(plan.assay_sd_between_sites)
    sites = f", sites apart by {between_sites:g}" if between_sites else ", one laboratory"
    brief = [planned, _clinical(plan.clinical, late), leaving, _finding(spec, observed, mcse)]
    more = [
        (
            f"The assay errs by {float(plan.assay_sd_log10):g} log10 (standard deviation{sites}); a result takes "
            f"{quantity(float(plan.turnaround), 'days')}."
        ),
        _odds(plan.clinical),
    ]
    return Section("SEEN", brief, more)


def _clinical(testing: ClinicalTesting | None, late: float) -> str:
    if testing is None:
        return ""
    who = [
        "in the retrospective patients" if late > 0 else "",
        "between the visits of the prospective ones" if testing.between_visits and late < 1 else "",
    ]
    asked = joined([part for part in who if part])
    if not asked:
        return "Clinicians' tests are described but concern nobody."
    phases = joined(
        [
            f"{percent(float(phase.odds) / (1 + float(phase.odds)))} of days from day {phase.start} on"
            for phase in testing.phases
        ]
    )
    return (
        f"Clinicians test when they have a reason, {asked}: outpatients on {phases}; after a detected result every "
        f"{quantity(float(testing.follow_up_every), 'days')} until two in a row are negative."
    )


def _odds(testing: ClinicalTesting | None) -> str:
    if testing is None:
        return ""
    acts, _ = acting(
        [
            ("inpatients", testing.inpatient, ""),
            ("corticosteroids", testing.corticosteroids, ""),
            ("CRS of grade 2 or more", testing.crs, ""),
            ("neutropenia", testing.neutropenia, ""),
            ("each standard deviation of immunosuppression", testing.score, ""),
        ]
    )
    return f"Odds ratios of a clinician's test: {joined(acts)}." if acts else ""


def _finding(spec: Scenario, observed: float | None, mcse: float | None) -> str:
    if observed is None or math.isnan(observed):
        return ""
    target = spec.cmv.incidence
    error = f" (Monte Carlo error {100 * mcse:.1f} points)" if mcse is not None else ""
    found = f"Under this schedule the expected estimate of the cumulative incidence is {percent(observed)}"
    if not _as_target(spec, target):
        asked = f"{spec.analysis.primary}: {spec.analysis.definition}, by day {spec.analysis.window}"
        return f"{found} ({asked}){error}."
    same = percent(observed) == percent(float(target.value))
    return f"{found}, {'as above' if same else f'not {percent(float(target.value))}'}{error}."


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


def treated(spec: Scenario) -> Section:
    """Pre-emptive therapy: threshold, drugs, toxicity, switch, stop; and resistance."""
    care, load = spec.preemptive_therapy, spec.cmv.load.treated
    stop, harm = care.stop_after, care.toxicity
    again = f" and {float(care.confirmations):g} more in a row" if float(care.confirmations) else ""
    rule = (
        f"Pre-emptive therapy from {quantity(float(care.start_at), 'IU/mL')} of "
        f"{spec.monitoring.matrix.value.replace('_', ' ')}{again}, in {percent(float(care.accepted))} of the episodes that "
        f"reach it, {quantity(float(care.delay), 'days')} after the result, which takes "
        f"{quantity(float(spec.monitoring.turnaround), 'days')}, and for CMV disease; until {float(stop.negatives):g} results "
        f"below the limit of quantification and {quantity(float(stop.minimum_days), 'days')}, at most "
        f"{quantity(float(stop.maximum_days), 'days')}."
    )
    first = joined([f"{percent(float(share))} {drug}" for drug, share in care.first_line.items() if float(share) > 0])
    drugs = (
        f"First drug: {first}; foscarnet while neutropenic. On (val)ganciclovir {percent(float(harm.neutropenia.probability))} "
        f"become neutropenic within {quantity(float(harm.neutropenia.days), 'days')}, on foscarnet "
        f"{percent(float(harm.kidney_injury.probability))} have kidney injury within "
        f"{quantity(float(harm.kidney_injury.days), 'days')}: the other drug then, maribavir if neither can be given."
    )
    acts = (
        f"From {quantity(float(load.lag), 'days')} on the load halves in about {about(load.half_life, 'days')}; "
        f"{percent(float(load.refractory))} of episodes are refractory to the first drug, which is changed if the load is not "
        f"lower after {quantity(float(care.refractory_after), 'days')}. If the drug is stopped before clearance, "
        f"{percent(float(load.regrowth))} grow again."
    )
    labels = [strategy.label for strategy in spec.strategies.values()]
    return Section(
        "TREATED", [rule, drugs, acts, f"Strategies: {'; '.join(labels)}." if len(labels) > 1 else ""], [_resistance(spec)]
    )


def _resistance(spec: Scenario) -> str:
    law = spec.resistance
    letermovir = f", of {percent(float(law.letermovir))} that begin on letermovir (UL56)" if gives_letermovir(spec) else ""
    return (
        f"Known resistance: of {percent(float(law.aciclovir.change))} of episodes under (val)aciclovir, of "
        f"{percent(float(law.ganciclovir.change))} after {quantity(float(law.ganciclovir.exposure), 'days')} on "
        f"(val)ganciclovir{letermovir}; seen where a sample of {quantity(float(law.sequencing.send_at), 'IU/mL')} or more can be "
        "sequenced. It does not act on the load."
    )


def prophylaxis(spec: Scenario) -> Section | None:
    """Letermovir, where a strategy gives it."""
    if not gives_letermovir(spec):
        return None
    drug = spec.letermovir
    courses = [f"{name}: {_course(plan)}" for name, plan in spec.strategies.items() if plan.prophylaxis == "letermovir"]
    if not drug.acts:
        effect = "The drug is taken and changes nothing."
    elif drug.effect == "given":
        assert drug.given is not None
        effect = (
            f"While taken it multiplies the rate of onset by {float(drug.given.onset_ratio):.3g} and shifts the plateau of "
            f"episodes that begin on it by {float(drug.given.set_point_shift):+g} log10 IU/mL."
        )
    else:
        targets = drug.targets
        effect = (
            "What it does to onset and load is solved so that, while taken, the hazard ratio of any DNAemia is "
            f"{float(targets.any_dnaemia):.3g}{interval(targets.any_dnaemia)} and of clinically significant infection "
            f"{float(targets.clinically_significant):.3g}{interval(targets.clinically_significant)}."
        )
    rebound = (
        f"Afterwards the rate of onset is {float(drug.rebound.ratio):.3g}{interval(drug.rebound.ratio)} times as high, fading "
        f"over {quantity(float(drug.rebound.days), 'days')}."
        if drug.log_rebound
        else ""
    )
    stops = joined([name.replace("_", " ").replace("hct", "transplantation") for name in drug.stopped_by.value])
    taking = (
        f"{between(drug.adherence, 'proportion')} of doses taken; {percent(float(drug.discontinued_by_90))} stop within 90 days "
        f"for reasons of their own{f', others at {stops}' if stops else ''}."
    )
    more = [
        f"Beside what a lower load does, it multiplies the rate of CMV disease by {float(drug.disease_ratio):.3g}."
        if drug.log_disease
        else ""
    ]
    return Section("PROPHYLAXIS", [f"{'; '.join(courses)}.", effect, rebound, taking], more)


def _course(plan: StrategySpec) -> str:
    """Who gets the drug, from when and for how long."""
    assert plan.who is not None
    assert plan.start is not None
    assert plan.duration is not None
    assert plan.dose is not None
    who, start, delay = plan.who, plan.start, float(plan.start.delay)
    wait = f" and {quantity(delay, 'days')}" if delay else ""
    since = f"day {number(float(start.day))}"
    if start.trigger is not None:
        since = f"the first dose of {start.trigger}{wait}"
    elif who.ttv is not None:
        since = f"the result{wait}"
    people = "all"
    if who.baseline is not None:
        rule = who.baseline
        points = [
            f"lymphocytes below {float(rule.lymphocytes_below):g} x 10^9/L" if rule.lymphocytes_below is not None else "",
            "a prior allogeneic transplant" if rule.prior_allogeneic_hct else "",
            "a high CAR-HEMATOTOX" if rule.hematotox_high else "",
        ]
        named = [point for point in points if point]
        least = f"at least {float(rule.points):g} of " if len(named) > 1 else ""
        people = f"patients with {least}{joined(named)}"
    elif who.ttv is not None:
        people = (
            f"patients with a measured TTV load of at least {float(who.ttv.log10_at_least):g} log10 copies/mL on day "
            f"{who.ttv.day} (known after {quantity(float(who.ttv.turnaround), 'days')})"
        )
    latest = f", at the latest to day {number(float(plan.latest_stop))}" if plan.latest_stop is not None else ""
    return f"letermovir {number(float(plan.dose))} mg a day to {people}, from {since} for {number(float(plan.duration))} days{latest}"


def resources(spec: Scenario) -> Section:
    """Stays, visits, tests and drugs, in quantities."""
    stay, cmv, infected = spec.resources.initial_stay, spec.resources.cmv, spec.resources.infections
    lengths = [stay.length[disease][product].centre for disease, product in cells(spec)]
    icu = [float(share) for _, share in stay.icu]
    outside = joined([f"{percent(float(share))} ({drug})" for drug, share in cmv.admission])
    brief = [
        (
            f"In hospital from day {number(float(stay.admission))} for {spread(lengths, '.0f')} days by product, "
            f"{number(float(stay.severe_toxicity_days))} more with toxicity of grade 3 or more; in intensive care {percent(icu[0])} "
            f"(grade 0 or 1) to {percent(icu[-1])} (grade 4)."
        ),
        (
            f"A treatment for CMV begun there prolongs the stay by about {about(cmv.prolongation_days, 'days')}; begun later it means an "
            f"admission in {outside}. Counted in days, tests, visits and drugs, without prices; in hospital clinicians test more often and "
            "answers are worse, nothing else here acts on patients."
        ),
    ]
    more = [
        (
            f"CMV disease: {between(cmv.disease_days, 'days')} in hospital, {percent(float(cmv.disease_icu_share))} of them in "
            f"intensive care; kidney injury: {quantity(float(cmv.kidney_injury_days), 'days')}."
        ),
        (
            f"An infection outside of the first stay means an admission in {percent(float(infected.admission))}, if severe always, "
            f"for {between(infected.days, 'days')}."
        ),
        (
            f"Outpatients on an oral drug are seen every {quantity(float(spec.resources.outpatient.consultation_every), 'days')}; on an "
            f"intravenous one they come every {quantity(float(spec.resources.outpatient.day_hospital_every), 'days')}."
        ),
    ]
    return Section("RESOURCES", brief, more)
