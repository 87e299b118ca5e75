"""What chance and sections 1 to 4, 12 and 15 decide for each patient before the course of CMV begins."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from simulation_twin_hazard import Factor, Law
from simulation_twin_load import DiseaseHazard

from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

INF = math.inf
LN2 = math.log10(2.0)
DAYS = 2**32


def grid(x: float) -> float:
    """To the grid of operational times."""
    return round(x * 2**20) / 2**20


@dataclass(frozen=True)
class Letermovir:
    """A course as planned."""

    start: float
    stop: float
    adherence_shift: float
    within: float
    rebound: float
    disease_ratio: float


@dataclass
class Traits:
    """Everything chance decides for one patient; `episodes` entries where it is per episode."""

    law: Law
    letermovir: Letermovir
    disease: DiseaseHazard
    first_onset: float
    growth: float
    offset: float
    steroids_from: float
    neutropenia: tuple[float, float]
    monitored_until: float
    clocks: list[float]
    set_points: list[float]
    plateaus: list[float]
    self_limited: list[float]
    decays: list[float]
    treated_decays: list[float]
    accepted: list[bool]
    regrows: list[bool]
    refractory: list[bool]
    choices: list[float]
    neutropenia_clock: float
    neutropenia_days: float
    kidney_clock: float
    disease_clock: float
    organ: float
    shift: float
    visits: list[float]
    noise: list[float]
    tests: list[tuple[int, bool, float]]  # day on which clinicians may test, whether they want to anyway, noise


class Chance:
    """The draws and the background of a chunk as plain lists, drawn once."""

    def __init__(self, model: Model, draws: ChunkDraws, background: Background) -> None:
        self.model, self.draws, self.background = model, draws, background
        self._lists: dict[tuple[str, int], list[float]] = {}
        toxicity, virome, kinetics = background.toxicity, background.virome, background.kinetics
        steroids = toxicity.courses["corticosteroids"]
        incident = np.minimum(virome.anellovirus.acquired, virome.pegivirus.acquired)
        # name: start, stop, multiple of the log ratio
        never, one = np.full(steroids.start.shape, INF), np.ones(steroids.start.shape)
        self.windows = {
            name: (w.start, w.stop, one)
            for name, w in (
                *((drug, toxicity.courses[drug]) for drug in ("corticosteroids", "tocilizumab", "anakinra")),
                ("severe_crs", toxicity.severe_crs),
                ("severe_icans", toxicity.severe_icans),
            )
        }
        self.windows["high_anellovirus"] = (virome.first_high(), never, one)
        self.windows["incident_virus"] = (incident, never, one)
        self.windows["expansion"] = (kinetics.tmax, never, np.log2(np.exp(kinetics.expansion)))
        crs2, stay = toxicity.from_grade("crs", 2), background.stay.hospital
        self.reasons = {
            "inpatient": stay,
            "corticosteroids": steroids,
            "crs": crs2,
            "neutropenia": toxicity.neutropenia,
        }

    def at(self, name: str, i: int, index: int = 0) -> float:
        """One variate."""
        key = (name, index)
        if key not in self._lists:
            self._lists[key] = self.draws(name, index % DAYS).tolist()
        return self._lists[key][i]

    def of_law(self, law: object, name: str, i: int, k: int = 0) -> float:
        """One value of a law between patients."""
        key = (f"law of {name}", k)
        if key not in self._lists:
            self._lists[key] = law.of_normal(self.draws(name, k)).tolist()  # type: ignore[attr-defined]
        return self._lists[key][i]


def _letermovir(chance: Chance, i: int) -> Letermovir:
    planned = chance.background.prophylaxis
    if planned is None or not math.isfinite(planned.start[i]):
        return Letermovir(INF, INF, 0.0, 0.0, 0.0, 1.0)
    return Letermovir(
        float(planned.start[i]),
        float(planned.stop[i]),
        float(planned.shift[i]),
        float(planned.log_ratio[i]),
        float(planned.log_rebound[i]),
        math.exp(float(planned.log_disease[i])),
    )


def letermovir_factor(model: Model, drug: Letermovir) -> Factor:
    """The effect on onset, rebound included."""
    rebound = model.letermovir.rebound
    return Factor(drug.start, drug.stop, drug.within, drug.rebound, grid(float(rebound.days)), grid(float(rebound.step)))


def _law(chance: Chance, i: int, letermovir: Letermovir) -> Law:
    model, people = chance.model, chance.background.population
    onset, ratios = model.cmv.onset, model.cmv.onset.ratios
    disease = list(model.population.strata.values())[people.stratum[i]].disease
    amplitude = model.baseline.onset_amplitude * float(ratios.score) ** float(people.score[i])
    for name, present in (
        ("prior_allogeneic_hct", people.prior_allogeneic_hct[i]),
        ("leukaemia", disease == "leukaemia"),
        ("child", people.age[i] < 18),
        ("lymphopenia", people.lymphocytes[i] < float(onset.lymphopenia_below)),
    ):
        amplitude *= float(getattr(ratios, name)) if present else 1.0
    washouts = {drug: float(getattr(model.toxicity, drug).washout) for drug in ("corticosteroids", "tocilizumab", "anakinra")}
    washouts |= {"severe_crs": float(onset.severe_toxicity_washout), "severe_icans": float(onset.severe_toxicity_washout)}
    factors = []
    for name, (start, stop, multiple) in chance.windows.items():
        log_ratio = math.log(float(getattr(ratios, name))) * float(multiple[i])
        washout = grid(washouts.get(name, 0.0))
        after = log_ratio if name in washouts else 0.0
        step = grid(float(model.toxicity.washout_step))
        factors.append(Factor(float(start[i]), float(stop[i]), log_ratio, after, washout, step))
    factors.append(letermovir_factor(model, letermovir))
    return Law(
        amplitude, model.inclusion_day, model.baseline.onset_median, float(onset.shape), model.horizon, tuple(factors)
    )


def _visits(chance: Chance, i: int, until: float, full: bool) -> list[float]:
    plan = chance.model.monitoring
    if chance.background.population.retrospective[i]:
        return [math.nan] * len(plan.days)
    times = []
    for day in plan.days:
        when = float(day)
        if day > 0:
            j = int(float(plan.jitter))
            when += math.floor(chance.at("monitoring.jitter", i, day) * (2 * j + 1)) - j
            made = full or chance.at("monitoring.attendance", i, day) < float(plan.attendance)
            when = when if made and when <= until else math.nan
        times.append(when)
    return times


def _tests(chance: Chance, i: int, until: float, visits: list[float]) -> list[tuple[int, bool, float]]:
    """Days on which a test may be asked for, whether it is without follow-up, and its noise."""
    plan, people = chance.model.monitoring, chance.background.population
    clinical = plan.clinical
    if clinical is None or not (people.retrospective[i] or clinical.between_visits):
        return []
    days = []
    for day in range(math.ceil(chance.model.inclusion_day), plan.days[-1] + 1):
        if day > until or day in visits:
            continue
        odds = [float(phase.odds) for phase in clinical.phases if phase.start <= day][-1]
        odds *= float(clinical.score) ** float(people.score[i])
        for reason, window in chance.reasons.items():
            if window.start[i] <= day < window.stop[i]:
                odds *= float(getattr(clinical, reason))
        wanted = chance.at("monitoring.clinical", i, day) < odds / (1 + odds)
        days.append((day, wanted, chance.at("monitoring.clinical_noise", i, day)))
    return days


def _shift(chance: Chance, i: int) -> float:
    """Of the site's laboratory, shared by the patients of a replicate."""
    sd = float(chance.model.monitoring.assay_sd_between_sites)
    if sd == 0:
        return 0.0
    site = int(chance.background.population.site[i])
    return sd * float(chance.draws.shared("monitoring.site", site)[i % chance.draws.replicates])


def traits(chance: Chance, i: int, *, full_attendance: bool = False) -> Traits:
    """What chance gives patient `i` (flat index)."""
    model, background = chance.model, chance.background
    onset, load, care, disease = model.cmv.onset, model.cmv.load, model.treatment, model.cmv.disease
    each = range(int(float(onset.episodes)))
    letermovir = _letermovir(chance, i)
    law = _law(chance, i, letermovir)
    first = INF
    if background.population.seropositive[i]:
        if chance.at("cmv.prevalent", i) < float(onset.prevalent):
            first = model.inclusion_day - float(onset.prevalent_age) * chance.at("cmv.prevalent_age", i)
        else:
            first = law.reach(model.inclusion_day, 1.0, chance.at("cmv.onset", i))
    until = float(background.monitored_until[i])
    visits = _visits(chance, i, until, full_attendance)
    by_score = float(load.set_point_shift.score) * float(background.population.score[i])
    neutropenia, treated = background.toxicity.neutropenia, load.treated
    return Traits(
        law=law,
        letermovir=letermovir,
        disease=DiseaseHazard(
            float(disease.hazard),
            float(disease.slope),
            float(disease.reference_log10),
            letermovir.disease_ratio,
            letermovir.start,
            letermovir.stop,
        ),
        first_onset=first,
        growth=LN2 / chance.of_law(load.doubling_time, "cmv.doubling_time", i),
        offset=chance.of_law(model.cmv.matrices[model.monitoring.matrix.value].offset, "cmv.matrix_offset", i),
        steroids_from=float(chance.windows["corticosteroids"][0][i]),
        neutropenia=(float(neutropenia.start[i]), float(neutropenia.stop[i])),
        monitored_until=until,
        clocks=[chance.at("cmv.onset", i, k) for k in each],
        set_points=[chance.of_law(load.set_point, "cmv.set_point", i, k) + by_score for k in each],
        plateaus=[chance.of_law(load.plateau, "cmv.plateau", i, k) for k in each],
        self_limited=[chance.at("cmv.self_limited", i, k) for k in each],
        decays=[LN2 / chance.of_law(load.decay_half_life, "cmv.decay", i, k) for k in each],
        treated_decays=[LN2 / chance.of_law(treated.half_life, "treatment.half_life", i, k) for k in each],
        accepted=[chance.at("treatment.accepted", i, k) < float(care.accepted) for k in each],
        regrows=[chance.at("treatment.regrowth", i, k) < float(treated.regrowth) for k in each],
        refractory=[chance.at("cmv.refractory", i, k) < float(treated.refractory) for k in each],
        choices=[chance.at("treatment.choice", i, k) for k in each],
        neutropenia_clock=chance.at("treatment.neutropenia", i),
        neutropenia_days=grid(
            chance.of_law(care.toxicity.neutropenia.duration, "treatment.neutropenia_duration", i),
        ),
        kidney_clock=chance.at("treatment.kidney_injury", i),
        disease_clock=chance.at("cmv.disease", i),
        organ=chance.at("cmv.disease_organ", i),
        shift=_shift(chance, i),
        visits=visits,
        noise=[chance.at("monitoring.noise", i, day) for day in model.monitoring.days],
        tests=_tests(chance, i, until, visits),
    )
