"""Random parameter sets that reach what the catalogue's rarely do: restarts, breakthrough, refractory episodes, toxicity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cmvsim.calibration.quality_of_life import convert
from cmvsim.models.baseline import Baseline
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.scenarios import resolve
from cmvsim.simulation.model import Model

RATIOS = (
    "corticosteroids",
    "tocilizumab",
    "anakinra",
    "severe_crs",
    "severe_icans",
    "high_anellovirus",
    "incident_virus",
    "expansion",
    "prior_allogeneic_hct",
    "leukaemia",
    "child",
    "lymphopenia",
)
DRUGS = ("valganciclovir", "ganciclovir", "foscarnet", "maribavir")
STRATA = ("ball_child", "ball_adult", "dlbcl")


@dataclass(frozen=True)
class StressSet:
    """A model far from the catalogue's, and the strategy under which it is run."""

    model: Model
    strategy: str
    overrides: tuple[str, ...]


class Chooser:
    """Values for overrides from a generator of its own."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def between(self, low: float, high: float) -> float:
        return round(float(self.rng.uniform(low, high)), 4)

    def ratio(self, largest: float) -> float:
        return round(float(np.exp(self.rng.uniform(-np.log(largest), np.log(largest)))), 4)

    def one_of(self, *values: object) -> object:
        return values[int(self.rng.integers(len(values)))]

    def maybe(self, share: float = 0.5) -> str:
        return "true" if self.rng.random() < share else "false"

    def table(self, names: tuple[str, ...], value: object) -> str:
        return "{ " + ", ".join(f"{name} = {value() if callable(value) else value}" for name in names) + " }"


def cmv(c: Chooser) -> list[str]:
    """Onset, load and disease."""
    ratios = c.table(RATIOS, lambda: c.one_of(1, c.ratio(4), c.ratio(4)))[:-2]
    antiviral = c.one_of(1, 0.1, 0.5, 2)
    return [
        f"cmv.onset.ratios={ratios}, score = {c.ratio(2)}, antiviral = {antiviral} }}",
        f"cmv.onset.prevalent={c.between(0, 0.4)}",
        f"cmv.onset.prevalent_age={c.one_of(0, 8, 40)}",
        f"cmv.onset.episodes={c.one_of(1, 2, 3, 5)}",
        f"cmv.onset.re_episode={c.between(0.5, 6)}",
        f"cmv.onset.shape={c.between(0.8, 3)}",
        f"cmv.onset.severe_toxicity_washout={c.one_of(0, 10, 30.5)}",
        f"toxicity.washout_step={c.one_of(1, 2.5, 7, 50)}",
        f"cmv.load.start_log10={c.between(0, 1.5)}",
        f"cmv.load.doubling_time={{ median = {c.between(0.5, 3)}, varies = {{ sdlog = 0.6 }} }}",
        f"cmv.load.set_point={{ mean = {c.between(1.5, 4)}, varies = {{ sd = {c.between(0, 1.2)} }} }}",
        f"cmv.load.set_point_shift={{ corticosteroids = {c.between(-0.5, 1)}, score = {c.between(-0.5, 0.5)} }}",
        f"cmv.load.plateau={{ median = {c.between(1, 15)}, varies = {{ sdlog = 0.8 }} }}",
        f"cmv.load.decay_half_life={{ median = {c.between(0.5, 4)}, varies = {{ sdlog = 0.6 }} }}",
        f"cmv.load.self_limited={{ share = {c.between(0.1, 0.9)}, slope = {c.between(-2, 1)} }}",
        (
            f"cmv.load.treated={{ lag = {c.one_of(0, 1, 2.3, 6)}, half_life = {{ median = {c.between(0.5, 4)}, "
            f"varies = {{ sdlog = 0.5 }} }}, regrowth = {c.between(0, 1)}, refractory = {c.between(0, 0.8)} }}"
        ),
        f"cmv.disease.hazard={c.one_of(0.003, 0.03, 0.1)}",
        f"cmv.disease.slope={c.one_of(0, 0.3, 0.9)}",
    ]


def care(c: Chooser) -> list[str]:
    """Monitoring and treatment."""
    schedules = (
        "[{ every = 3, to = 60 }, { every = 5, to = 120 }]",
        "[{ every = 4, to = 100 }]",
        "[{ every = 7, to = 42 }, { at = 50 }, { every = 10, to = 119 }]",
    )
    clinical = (
        f"{{ phases = [{{ start = -60, odds = {c.between(0.02, 0.2)} }}, {{ start = 0, odds = {c.between(0.05, 0.6)} }}, "
        f"{{ start = 30, odds = {c.between(0.02, 0.3)} }}], inpatient = {c.ratio(4)}, corticosteroids = {c.ratio(3)}, "
        f"crs = {c.ratio(3)}, neutropenia = {c.ratio(3)}, score = {c.ratio(1.5)}, "
        f"follow_up_every = {c.one_of(1, 2, 3.5, 7)}, between_visits = {c.maybe()} }}"
    )
    low = float(c.one_of(10, 35, 150))  # type: ignore[arg-type]
    tests = [f"monitoring.clinical={clinical}"] if c.rng.random() < 0.7 else []
    return [
        *tests,
        f"population.retrospective_share={c.one_of(0, 0.3, 0.7) if tests else 0}",
        f"monitoring.schedule={c.one_of(*schedules)}",
        f"monitoring.baseline={c.one_of('[0]', '[-2, 0]', '[-4]', '[]')}",
        f"monitoring.jitter={c.one_of(0, 1)}",
        f"monitoring.attendance={c.one_of(1, 0.8, 0.5)}",
        f"monitoring.lod={low / 2}",
        f"monitoring.lloq={low}",
        f"monitoring.assay_sd_log10={c.one_of(0, 0.1, 0.3)}",
        f"monitoring.assay_sd_between_sites={c.one_of(0, 0.3)}",
        f"monitoring.turnaround={c.one_of(0, 0.4, 1, 3, 9)}",
        f"preemptive_therapy.start_at={low * float(c.one_of(0.5, 1, 4))}",  # type: ignore[arg-type]
        f"preemptive_therapy.accepted={c.one_of(1, 0.7, 0.4)}",
        f"preemptive_therapy.confirmations={c.one_of(0, 0, 1, 2)}",
        f"preemptive_therapy.delay={c.one_of(0, 0.5, 1, 4)}",
        f"preemptive_therapy.first_line={c.one_of(*FIRST_LINES)}",
        f"preemptive_therapy.refractory_after={c.one_of(1, 4, 10, 14)}",
        (
            f"preemptive_therapy.stop_after={{ negatives = {c.one_of(0, 1, 1, 2)}, minimum_days = {c.one_of(1, 5, 14)}, "
            f"maximum_days = {c.one_of(14, 20, 60)} }}"
        ),
        (
            f"preemptive_therapy.toxicity.neutropenia={{ probability = {c.between(0.05, 0.9)}, days = 14, "
            f"duration = {{ median = 7, varies = {{ sdlog = 0.6 }} }} }}"
        ),
        f"preemptive_therapy.toxicity.kidney_injury={{ probability = {c.between(0.05, 0.9)}, days = 14 }}",
    ]


FIRST_LINES = (
    "{ valganciclovir = 0.4, ganciclovir = 0.3, foscarnet = 0.3 }",
    "{ valganciclovir = 0.1, ganciclovir = 0.1, foscarnet = 0.8 }",
    "{ valganciclovir = 0.9, ganciclovir = 0.1, foscarnet = 0 }",
)


def aftermath(c: Chooser) -> list[str]:
    """Infections, competing events, resources, resistance."""
    infection = ("score", "leukaemia", "cmv", "neutropenia", "corticosteroids")
    return [
        f"infections.early_until={c.one_of(10, 28)}",
        f"infections.bacterial.episodes={c.one_of(1, 3, 6)}",
        f"infections.bacterial.duration={{ median = {c.between(1, 15)}, varies = {{ sdlog = 0.8 }} }}",
        f"infections.bacterial.severe={c.between(0, 0.8)}",
        f"infections.bacterial.ratios={c.table(infection, lambda: c.ratio(4))}",
        f"infections.fungal.severe={c.between(0, 1)}",
        f"infections.fungal.ratios={c.table(infection, lambda: c.one_of(1, c.ratio(4)))}",
        f"follow_up.relapse_by_90={c.table(STRATA, lambda: c.between(0.05, 0.6))}",
        f"follow_up.relapse_ratios={{ score = {c.one_of(1, 1.6)} }}",
        f"follow_up.monitoring_stop={c.table(STRATA, lambda: c.between(0, 1))}",
        f"follow_up.hct_by_90={c.table(STRATA, lambda: c.between(0, 0.3))}",
        f"follow_up.lost_by_90={c.between(0, 0.6)}",
        (
            f"follow_up.death_ratios={{ clinically_significant = {c.ratio(3)}, disease = {c.ratio(8)}, "
            f"severe_infection = {c.ratio(30)}, severe_toxicity = {c.ratio(10)}, score = {c.ratio(2)} }}"
        ),
        f"resources.initial_stay.severe_toxicity_days={c.one_of(0, 4.3, 10)}",
        f"resources.cmv.prolongation_days={{ median = {c.between(1, 20)}, varies = {{ sdlog = 0.8 }} }}",
        f"resources.cmv.admission={c.table(DRUGS, lambda: c.between(0, 1))}",
        f"resources.cmv.admission_days={{ median = {c.between(1, 20)}, varies = {{ sdlog = 0.8 }} }}",
        f"resources.cmv.disease_icu_share={c.one_of(0, 0.3, 1)}",
        f"resources.cmv.kidney_injury_days={c.one_of(0, 3.7)}",
        f"resources.infections.admission={c.between(0, 1)}",
        f"resources.infections.severe_icu={c.one_of(0.3, 0.7, 1)}",
        f"resources.infections.severe_icu_share={c.one_of(0, 0.4, 1)}",
        f"resources.outpatient.day_hospital_every={c.one_of(0.5, 1, 2.3)}",
        f"resources.outpatient.consultation_every={c.one_of(0.7, 7)}",
        f"quality_of_life.visits={c.one_of('[-4, 28, 90]', '[-6, 7, 20, 33, 60, 90]')}",
        f"quality_of_life.cmv_disease_days={c.one_of(20, 60)}",
        f"quality_of_life.correlation={c.between(0, 0.8)}",
        f"resistance.aciclovir={{ change = {c.between(0, 0.6)}, ul54 = 0 }}",
        f"resistance.ganciclovir={{ change = {c.between(0, 0.9)}, exposure = {c.one_of(7, 21)} }}",
        f"resistance.letermovir={c.between(0, 1)}",
        f"resistance.sequencing.send_at={c.one_of(40, 500)}",
        f"resistance.sequencing.per_episode={c.one_of(1, 2)}",
    ]


STOPPED_BY = ("[]", '["preemptive_therapy"]', '["preemptive_therapy", "hct", "new_therapy"]')


def letermovir(c: Chooser) -> list[str]:
    """What letermovir does, and a strategy that gives it."""
    who = c.one_of(
        '"all"',
        "{ baseline = { lymphocytes_below = 0.5, prior_allogeneic_hct = true } }",
        "{ ttv = { log10_at_least = 2.5, day = 14, turnaround = 2 } }",
    )
    start = c.one_of("{ day = 0 }", "{ day = -3 }", '{ trigger = "corticosteroids", delay = 1 }', "{ day = 20 }")
    effect = c.one_of(
        'letermovir.effect="none"',
        *['letermovir.effect="given"'] * 4,
    )
    return [
        str(effect),
        f"letermovir.given={{ onset_ratio = {c.one_of(0.2, 0.6, 1)}, set_point_shift = {c.one_of(0, -0.8)} }}",
        f"letermovir.disease_ratio={c.one_of(1, 0.3)}",
        f"letermovir.rebound={{ ratio = {c.one_of(1, 2, 5)}, days = {c.one_of(0, 20, 60)}, step = {c.one_of(1, 3.5, 7, 90)} }}",
        "letermovir.adherence={ mean = 0.8, varies = { sd = 0.2, low = 0, high = 1 } }",
        f"letermovir.discontinued_by_90={c.between(0, 0.7)}",
        f"letermovir.stopped_by={c.one_of(*STOPPED_BY)}",
        (
            f'strategies.drug={{ label = "Letermovir", prophylaxis = "letermovir", who = {who}, start = {start}, '
            f"duration = {c.one_of(10, 30, 90)}, dose = 480 }}"
        ),
    ]


REFRACTORY = (
    "cmv.load.treated.refractory=0.9",
    "cmv.load.treated.regrowth=0.1",
    "cmv.load.treated.half_life.median=5",
    "preemptive_therapy.refractory_after=1",
    "preemptive_therapy.stop_after.maximum_days=14",
)
"""Treatments are soon switched and soon over, and the load goes on falling: the next one meets it."""


def stress_set(seed: int) -> StressSet:
    """The random set of a number."""
    c = Chooser(seed)
    scenario = str(c.one_of("cmv-cart", "cmv-cart", "cmv-cart-whole-blood"))
    overrides = ("study.horizon=125", *cmv(c), *care(c), *aftermath(c), *letermovir(c), *(REFRACTORY if seed % 8 == 1 else ()))
    death, relapsed = c.between(1e-4, 4e-3), c.between(1e-3, 2e-2)
    baseline = Baseline(
        onset_amplitude=c.between(1.5, 8),
        onset_median=c.between(8, 40),
        non_relapse_hazard=(death, death / 2, death * 2),
        after_relapse_hazard=(relapsed, relapsed * 2, 0.0),
        bacterial_hazard=(c.between(0.002, 0.03), c.between(0.001, 0.03)),
        fungal_hazard=(c.between(0.0002, 0.004), c.between(0.0002, 0.004)),
        letermovir=LetermovirEffect(0.5, -0.5),
    )
    strategy = str(c.one_of("preemptive", "drug", "drug"))
    spec = resolve(scenario, overrides).spec
    health = convert(spec.quality_of_life) if seed % 3 == 0 else None
    return StressSet(Model.of(spec, baseline, health), strategy, overrides)
