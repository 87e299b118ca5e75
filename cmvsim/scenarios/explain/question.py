"""How patients feel, what is asked of the tables, with what design, and how patients are recruited."""

from __future__ import annotations

from cmvsim.models.accrual import DAYS_PER_MONTH, expected_mix, population_mix
from cmvsim.models.quality_of_life import ADULT_FROM, YOUTH_FROM
from cmvsim.scenarios.explain.sentences import Section, joined, spread
from cmvsim.scenarios.scenario import Scenario
from cmvsim.scenarios.words import between, number, percent, quantity, visits

COUNTS = {
    "detected": "first detectable sample",
    "quantifiable": "first quantifiable sample",
    "at_least": "first sample of",
    "clinically_significant": "first treatment for CMV, or CMV disease,",
}

STATE_WORDS = {
    "icu": "intensive care",
    "severe_crs": "severe CRS",
    "severe_icans": "severe ICANS",
    "cmv_treatment": "treatment for CMV",
    "cmv_disease": "CMV disease",
    "antiviral_toxicity": "toxicity of an antiviral",
}


def quality_of_life(spec: Scenario) -> Section:
    """Questionnaires, the mean index and what changes it."""
    law = spec.quality_of_life
    strata = [name for name, s in spec.population.strata.items() if float(s.share) > 0]
    means = [
        f"{spread([float(law.mean_index[name][index]) for name in strata], '.2g')} on day {day}"
        for index, day in enumerate(law.days.value)
    ]
    changes = [(STATE_WORDS.get(name, name.replace("_", " ")), float(value)) for name, value in law.changes]
    felt = joined([f"{name} {value:+.2g}" for name, value in changes if value])
    none = joined([name for name, value in changes if not value])
    missing = joined([percent(float(share)) for share in law.missing.share])
    odds = law.missing.odds_ratios
    brief = [
        (
            f"EQ-5D questionnaires on {visits(law.visits.value)} (5L from {ADULT_FROM:g} years, the youth version from "
            f"{YOUTH_FROM:g}); mean index {joined(means)} in patients to whom nothing happens."
        ),
        f"Changes while they last: {felt}." if felt else "",
        "It acts on nothing.",
    ]
    more = [
        f"No change: {none}." if none else "",
        (
            f"Index of the value set {law.value_set.value}; standard deviation between patients {float(law.spread.sd):.2g}; "
            f"CMV disease is felt for {quantity(float(law.cmv_disease_days), 'days')}."
        ),
        (
            f"Not filled in: {missing}; odds {float(odds.hospital):.2g} times higher in hospital and {float(odds.relapse):.2g} times "
            "after relapse."
        ),
    ]
    return Section("EQ-5D", brief, more)


def asked(spec: Scenario) -> Section:
    """The endpoints and how they are read off the tables."""
    plan = spec.analysis
    event = COUNTS[plan.definition.name] + (f" {plan.definition}" if plan.definition.level is not None else "")
    competing = [
        "death",
        *(["transplantation"] if plan.hct == "competing" else []),
        *(["relapse"] if plan.relapse == "competing" else []),
    ]
    censored = [*(["transplantation"] if plan.hct == "censor" else []), *(["relapse"] if plan.relapse == "censor" else [])]
    handling = [
        f"{joined(competing)} competing",
        f"censored at {joined(censored)}" if censored else "",
        "relapse followed through" if plan.relapse == "treatment_policy" else "",
        "DNAemia at infusion left out" if plan.prevalent == "exclude" else "DNAemia at infusion counted at day 0",
        f"{percent(plan.level)} CI ({plan.interval})",
    ]
    rest = f" Beside it: {', '.join(plan.endpoints[1:])}." if len(plan.endpoints) > 1 else ""
    text = f"{plan.primary}: {event} on days 1-{plan.window}, {', '.join(part for part in handling if part)}.{rest}"
    return Section(
        "ASKED", [text], [f"A visit planned for day {number(plan.window)} counts up to {plan.closing_window} days late."]
    )


def plan_(spec: Scenario) -> Section:
    """The designs."""
    found = []
    for name, design in spec.designs.items():
        title = design.kind if name in design.kind else f"{name} ({design.kind})"
        found.append(f"{title}: {design.sentence(spec.surroundings)}.")
    return Section("PLAN", found)


def recruitment(spec: Scenario) -> Section | None:
    """Sites, their rates and openings; nothing where nobody is recruited."""
    law, population = spec.accrual, spec.population
    if not law.recruits(population):
        return None
    counts, late = law.counts(population), float(population.retrospective_share)
    months = {name: law.rate(name) * DAYS_PER_MONTH for name in counts}
    groups = [(counts[name], law.sites[name], months[name]) for name in counts]
    told = joined([f"{count} {sites.label} ({rate:.2g} a month each)" for count, sites, rate in groups])
    total = sum(counts[name] * months[name] for name in counts)
    mix, wanted = expected_mix(law, population), population_mix(law, population)
    shares = joined([f"{percent(mix[name])} at {law.sites[name].label}" for name in counts])
    day0 = f"From {law.start} (day 0)" if law.start else "From day 0"
    brief = [
        f"{day0}: {told}, {total:.3g} patients a month once all are open.",
        f"Recruitment ends on {law.closes}, whatever was reached." if law.closes else "",
        f"Only the {percent(1 - late)} followed prospectively are recruited." if late else "",
        "It bears on dates alone, on nothing that happens to a patient.",
    ]
    more = [
        *(
            f"{sites.label.capitalize()} open {between(sites.activation, 'days', 'sites')} after the start and enrol "
            f"{joined([population.strata[s].label for s in sites.strata if float(population.strata[s].share) > 0])}; coefficient of variation of their rate "
            f"{float(sites.between_sites_cv):.2g}."
            for _, sites, _ in groups
        ),
        (
            f"So enrolled: {shares} (in the population: {joined([percent(wanted[name]) for name in counts])})."
            if len(counts) > 1
            else ""
        ),
        f"{percent(float(law.participation))} of eligible patients take part.",
    ]
    return Section("RECRUITMENT", brief, more)
