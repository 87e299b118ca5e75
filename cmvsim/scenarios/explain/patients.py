"""Who is enrolled, what the infusion does to them, and the viruses they carry beside CMV."""

from __future__ import annotations

import math

from cmvsim.core.value import Value
from cmvsim.models.toxicity import DRUGS, Drug, GradedSpec
from cmvsim.models.virome import VIRUSES, VirusName
from cmvsim.scenarios.explain.sentences import Section, about, by_stratum, cells, joined, over_cells
from cmvsim.scenarios.scenario import Scenario
from cmvsim.scenarios.words import between, number, percent, visits

VIRUS_WORDS: dict[VirusName, str] = {
    "anellovirus": "torque teno virus (TTV)",
    "pegivirus": "human pegivirus",
    "redondovirus": "redondovirus",
}


def who(spec: Scenario) -> Section:
    """Enrolment, traits before infusion, parts of the study."""
    population, positive = spec.population, float(spec.population.seropositive_enrolled)
    strata = sorted((s for s in population.strata.values() if float(s.share) > 0), key=lambda s: -float(s.share))
    mix = joined([f"{percent(float(s.share))} {s.label} ({s.age[0]:g} to {s.age[1]:g} years)" for s in strata], ";")
    screened = population.screened(spec.study.patients)
    if positive == 1:
        screening = (
            f"With {percent(spec.study.patients / screened)} of candidates seropositive, about {number(screened)} are screened."
        )
    else:
        screening = f"Of those enrolled, {percent(positive)} are CMV-seropositive; about {number(screened)} are screened."
    first, last = number(float(spec.study.inclusion)), number(spec.monitoring.days[-1])
    late = float(population.retrospective_share)
    parts = {0.0: "all prospectively", 1.0: "all retrospectively"}.get(late, f"{percent(late)} of them retrospectively")
    brief = [
        f"{spec.study.patients:,} {'CMV-seropositive ' if positive == 1 else ''}patients: {mix}.",
        screening,
        (
            f"Prior allogeneic transplant in {percent(by_stratum(spec, 'prior_allogeneic_hct'))}, high CAR-HEMATOTOX in "
            f"{percent(by_stratum(spec, 'hematotox_high'))}, (val)aciclovir in {percent(float(population.aciclovir_share))}."
        ),
        f"Followed from day {first} to the visit of day {last} from infusion, {parts}.",
    ]
    loadings = ", ".join(f"{name.replace('_', ' ')} {float(value):g}" for name, value in population.score_loadings)
    more = [
        "Ages are drawn evenly over the ranges.",
        f"{percent(float(population.female_share))} are women or girls; sites: {float(population.sites):g}.",
        *(
            f"{s.label}: {joined([f'{percent(float(share))} {name}' for name, share in s.products.items() if float(share) > 0])}"
            f"; lymphocytes before lymphodepletion {between(s.lymphocytes, 'x 10^9/L')}."
            for s in strata
        ),
        (
            "Immunosuppression is one score that nobody sees, with mean 0 and standard deviation 1; it makes risks go together. "
            f"Its correlations: {loadings}."
        ),
    ]
    return Section("WHO", brief, more)


def toxicity(spec: Scenario) -> Section:
    """CRS, ICANS, neutropenia, the drugs against them, and expansion."""
    tox, neutropenia = spec.toxicity, spec.toxicity.neutropenia
    linked = float(tox.expansion_correlation)
    follows = math.exp(float(tox.icans.per_crs_grade))
    link = [
        f"CRS graver the higher the peak of CAR-T cells (correlation {linked:g})" if linked else "",
        f"ICANS the graver the CRS (odds × {follows:.2g} per grade)" if follows != 1 else "",
    ]
    linking = joined([part for part in link if part])
    used = joined([f"{drug} in {percent(use(spec, drug))}" for drug in DRUGS])
    brief = [
        (
            f"{_graded(spec, tox.crs, 'CRS')}; {_graded(spec, tox.icans, 'ICANS')}; both by disease and product"
            f"{f', {linking}' if linking else ''}."
        ),
        (
            f"Fewer than 500 neutrophils from about {about(neutropenia.start, 'day from infusion')} for "
            f"{about(neutropenia.duration_low, 'days')}, with a high CAR-HEMATOTOX {about(neutropenia.duration_high, 'days')}."
        ),
        f"Treated by grade: {used}.",
    ]
    more = [
        *(
            f"{name} begins on {between(graded.onset, 'day from infusion')} and lasts {between(graded.duration, 'days')}."
            for name, graded in (("CRS", tox.crs), ("ICANS", tox.icans))
        ),
        (
            f"Neutropenia begins on {between(neutropenia.start, 'day from infusion')} and lasts "
            f"{between(neutropenia.duration_low, 'days')}, with a high CAR-HEMATOTOX {between(neutropenia.duration_high, 'days')}."
        ),
        *(
            f"{drug.capitalize()}: first dose {between(getattr(tox, drug).lag, 'days')} after the toxicity begins, for "
            f"{between(getattr(tox, drug).duration, 'days')}; used in "
            + joined([f"{percent(float(getattr(tox, drug).use[d][p]))} of {d} given {p}" for d, p in cells(spec)])
            + "."
            for drug in DRUGS
        ),
        *(
            f"CAR-T cells ({p}, {d}) peak at {between(law.cmax, spec.kinetics.assay(d, p).unit)} on "
            f"{between(law.tmax, 'day from infusion')}."
            for (d, p) in cells(spec)
            for law in [spec.kinetics.table[d][p]]
        ),
        f"CAR-T cells are counted on {visits(spec.kinetics.visits.value)}.",
        "Treatment of toxicity changes neither expansion nor grades.",
    ]
    return Section("TOXICITY", brief, more)


def use(spec: Scenario, drug: Drug) -> float:
    """Share of patients with a course, over strata and products."""
    return over_cells(spec, getattr(spec.toxicity, drug).use)


def _graded(spec: Scenario, graded: GradedSpec, name: str) -> str:
    whole, severe = over_cells(spec, graded.any), over_cells(spec, graded.severe)
    return (
        f"{name} in {percent(whole)} (grade 3 or more: {percent(severe)}), from about {about(graded.onset, 'day from infusion')} for "
        f"{about(graded.duration, 'days')}"
    )


def virome(spec: Scenario) -> Section:
    """Persistent viruses, and whether they tell of CMV."""
    plan = spec.virome
    carried = [
        f"{VIRUS_WORDS[name]}, {virus.sampled.value}: {percent(_at(virus.baseline, virus.sampled.value))} and "
        f"{percent(_at(virus.incident.by_90, virus.sampled.value))}"
        for name in VIRUSES
        for virus in [getattr(plan, name)]
    ]
    ratios = spec.cmv.onset.ratios
    acts = any(float(ratio) != 1 for ratio in (ratios.high_anellovirus, ratios.incident_virus))
    brief = [
        f"Carried before lymphodepletion, and acquired by day 90 by those who do not: {'; '.join(carried)}.",
        f"Sampled on {visits(plan.visits.value)}.",
        "" if acts else "None of it acts on CMV.",
    ]
    load = plan.anellovirus.load
    more = [
        (
            f"TTV load: {between(load.baseline, 'log10 copies/mL')}; down by {between(load.dip, 'log10')} to day "
            f"{number(float(load.nadir_day))}, up to {between(load.rise, 'log10')} above the first value on "
            f"{between(load.peak_day, 'day from infusion')}, then halved every {number(float(load.decline_half_life))} days; detected "
            f"from {number(float(load.lod))} log10 copies/mL, high from {number(float(load.high))}."
        ),
        (
            "More immunosuppressed patients carry it more often "
            f"(correlation {float(plan.anellovirus.score_loading):g}) and at higher loads "
            f"({float(load.baseline_loading):g}; rise {float(load.rise_loading):g})."
        ),
    ]
    return Section("VIROME", brief, more)


def _at(table: dict[str, Value], site: str) -> float:
    return float(table[site])
