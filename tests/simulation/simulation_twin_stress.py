"""Parameter sets under which every branch of the CMV course is common; nobody's idea of a patient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from simulation_build import model

from cmvsim.models.baseline import Baseline
from cmvsim.simulation.model import Model

BASE = (
    "cmv.onset.ratios={ corticosteroids = 3, tocilizumab = 0.5, anakinra = 2, severe_crs = 2, severe_icans = 1.5 }",
    "cmv.onset.ratios={ high_anellovirus = 1.6, incident_virus = 2, expansion = 1.3, prior_allogeneic_hct = 2 }",
    "cmv.onset.ratios={ leukaemia = 1.4, child = 0.7, lymphopenia = 1.5, score = 1.7, antiviral = 0.2 }",
    "cmv.onset.severe_toxicity_washout=23.3",
    "cmv.onset.re_episode=2",
    "cmv.onset.prevalent=0.15",
    "cmv.load.doubling_time={ median = 1.2, varies = { sdlog = 0.6 } }",
    "cmv.load.set_point={ mean = 2.6, varies = { sd = 0.9 } }",
    "cmv.load.set_point_shift={ corticosteroids = 0.8, score = 0.3 }",
    "cmv.load.plateau={ median = 5, varies = { sdlog = 0.8 } }",
    "cmv.load.decay_half_life={ median = 2, varies = { sdlog = 0.6 } }",
    "cmv.load.self_limited={ share = 0.4, slope = -1 }",
    "cmv.load.treated={ lag = 2, half_life = { median = 1.5, varies = { sdlog = 0.5 } }, regrowth = 0.5, refractory = 0.3 }",
    "cmv.disease.hazard=0.01",
    "monitoring.schedule=[{ every = 4, to = 100 }, { at = 103 }]",
    "monitoring.baseline=[-2, 0]",
    "monitoring.attendance=0.8",
    "preemptive_therapy.start_at=40",
    "preemptive_therapy.accepted=0.7",
    "preemptive_therapy.stop_after={ negatives = 1, minimum_days = 3, maximum_days = 12 }",
    "preemptive_therapy.refractory_after=3",
    "preemptive_therapy.toxicity.neutropenia.probability=0.7",
    "preemptive_therapy.toxicity.kidney_injury.probability=0.8",
    "preemptive_therapy.first_line={ valganciclovir = 0.4, ganciclovir = 0.3, foscarnet = 0.3 }",
    "population.sites=3",
    "population.seropositive_enrolled=0.95",
)
BASELINE = Baseline(4.0, 20.0, (1e-3,) * 3, (8e-3,) * 3, (0.0036, 0.0011), (0.0003, 0.00018))

_REASONS = "inpatient = 2, corticosteroids = 1.5, crs = 2, neutropenia = 0.7, score = 1.4"
_PHASES = "phases = [{ start = -10, odds = 0.05 }, { start = 20, odds = 0.15 }]"
CLINICAL = (
    "population.retrospective_share=0.5",
    f"monitoring.clinical={{ {_PHASES}, {_REASONS}, follow_up_every = 2.5, between_visits = false }}",
)
BETWEEN_VISITS = "monitoring.clinical.between_visits=true"

EARLY, LATE, STEROIDS = "early", "late", "steroids"


def _strategy(name: str, start: str, duration: float) -> str:
    course = f"who = 'all', start = {start}, duration = {duration}, dose = 480"
    return f"strategies.{name}={{ label = '{name}', prophylaxis = 'letermovir', {course} }}"


LETERMOVIR = (
    _strategy(EARLY, "{ day = 1.5 }", 30),
    _strategy(LATE, "{ day = 35 }", 40),
    _strategy(STEROIDS, "{ trigger = 'corticosteroids', delay = 1 }", 28),
    'letermovir.effect="given"',
    "letermovir.given={ onset_ratio = 0.4, set_point_shift = -0.5 }",
    "letermovir.disease_ratio=0.3",
    "letermovir.rebound={ ratio = 3, days = 33.3, step = 5.1 }",
    "letermovir.discontinued_by_90=0.3",
)


@dataclass(frozen=True)
class Stress:
    """A model under stress and how it is run."""

    model: Model
    strategies: tuple[str, ...] = ()
    never_lost: bool = False


OWN_LIMITS = ("monitoring.lod=20", "monitoring.lloq=35", "preemptive_therapy.start_at=250", "preemptive_therapy.accepted=1")


def stress(
    *overrides: str, strategies: tuple[str, ...] = (), never_lost: bool = False, baseline: Baseline = BASELINE
) -> Stress:
    """The base set with overrides; limits and acceptance are the set's own, so that either matrix may be sampled."""
    return Stress(
        model(*OWN_LIMITS, *BASE, *(LETERMOVIR if strategies else ()), *overrides, baseline=baseline), strategies, never_lost
    )


LETERMOVIR_FOR_ALL = ("cmv.onset.prevalent=0.05", "letermovir.adherence=1")

VARIANTS: dict[str, Callable[[], Stress]] = {
    "drug slows the next episode": partial(stress),
    "drug hastens the next episode": partial(stress, "cmv.onset.ratios.antiviral=5", "cmv.onset.episodes=5"),
    "at once": partial(
        stress,
        "monitoring.turnaround=0",
        "monitoring.jitter=0",
        "monitoring.schedule=[{ every = 4, to = 104 }]",
        "preemptive_therapy.delay=0",
        "cmv.load.treated.lag=0",
    ),
    "slow laboratory": partial(
        stress,
        "monitoring.turnaround=4",
        "preemptive_therapy.delay=3",
        "preemptive_therapy.stop_after.negatives=2",
        "preemptive_therapy.stop_after.maximum_days=40",
        "follow_up.withdrawn_by_90=0.6",
    ),
    "late drug, refractory virus": partial(
        stress,
        "cmv.load.treated.lag=5",
        "cmv.load.treated.refractory=0.7",
        "cmv.load.self_limited.share=0.1",
        "preemptive_therapy.accepted=1",
        "preemptive_therapy.toxicity.neutropenia.probability=0.1",
        "preemptive_therapy.toxicity.kidney_injury.probability=0.1",
        "preemptive_therapy.stop_after.maximum_days=60",
    ),
    "whole blood, confirmed, between sites": partial(
        stress,
        'monitoring.matrix="whole_blood"',
        "monitoring.turnaround=0.5",
        "monitoring.assay_sd_between_sites=0.4",
        "monitoring.jitter=1",
        "monitoring.assay_sd_log10=0.5",
        "preemptive_therapy.start_at=200",
        "preemptive_therapy.confirmations=1",
    ),
    "dense windows": partial(stress, "toxicity.washout_step=1.25", "cmv.onset.shape=0.8", "cmv.onset.prevalent=0.3"),
    "disease": partial(stress, "cmv.disease.hazard=0.2", "cmv.disease.slope=1.2", "preemptive_therapy.accepted=0.2"),
    "clinicians' tests": partial(stress, *CLINICAL, "follow_up.withdrawn_by_90=0.4"),
    "tests between visits": partial(
        stress, *CLINICAL, BETWEEN_VISITS, "monitoring.schedule=[{ every = 9, to = 99 }]", "monitoring.jitter=2"
    ),
    "letermovir or not": partial(stress, strategies=("preemptive", EARLY), never_lost=True),
    "letermovir for all": partial(stress, *LETERMOVIR_FOR_ALL, "cmv.disease.hazard=0.1", strategies=(EARLY,)),
    "letermovir late or with steroids": partial(stress, strategies=(LATE, STEROIDS)),
    "slow laboratory on letermovir": partial(
        stress,
        *LETERMOVIR_FOR_ALL,
        "letermovir.discontinued_by_90=0",
        "strategies.early.duration=80",
        "letermovir.given={ onset_ratio = 1.5, set_point_shift = 0.2 }",
        "cmv.onset.episodes=5",
        "cmv.load.self_limited={ share = 0.99, slope = -1 }",
        "cmv.load.plateau=0",
        "cmv.load.decay_half_life=0.6",
        "preemptive_therapy.delay=5",
        strategies=(EARLY,),
    ),
    "lengths off the grid": partial(
        stress,
        "study.inclusion=-7",
        "monitoring.turnaround=0.3",
        "preemptive_therapy.delay=0.7",
        "preemptive_therapy.refractory_after=3.3",
        "preemptive_therapy.stop_after={ negatives = 1, minimum_days = 3.3, maximum_days = 12.7 }",
        "cmv.load.treated.lag=1.3",
        "toxicity.washout_step=2.3",
        "toxicity.corticosteroids.washout=30.1",
    ),
    "letermovir goes on": partial(stress, 'letermovir.stopped_by=["hct"]', "cmv.disease.hazard=0.1", strategies=(LATE, EARLY)),
}
"""Sets made by hand."""


def random_stress(seed: int) -> Stress:
    """A set drawn at random."""
    rng = np.random.default_rng(seed)
    overrides: list[str] = []

    def choose(key: str, *values: object) -> None:
        overrides.append(f"{key}={values[rng.integers(len(values))]}")

    choose("monitoring.turnaround", 0, 0.25, 1, 3)
    choose("monitoring.jitter", 0, 1)
    choose("monitoring.assay_sd_log10", 0, 0.2, 0.6)
    choose("monitoring.assay_sd_between_sites", 0, 0.3)
    choose("monitoring.matrix", '"plasma"', '"whole_blood"')
    choose(
        "monitoring.schedule", "[{ every = 3, to = 102 }]", "[{ every = 4, to = 40 }, { every = 13, to = 92 }, { at = 103 }]"
    )
    choose("preemptive_therapy.delay", 0, 1, 2.5)
    choose("preemptive_therapy.confirmations", 0, 0, 1, 2)
    choose("preemptive_therapy.accepted", 0.3, 1)
    choose("preemptive_therapy.start_at", 40, 200)
    choose("preemptive_therapy.stop_after.negatives", 1, 2, 3)
    choose("preemptive_therapy.stop_after.maximum_days", 6.5, 20, 60)
    choose("preemptive_therapy.refractory_after", 1, 5, 14)
    choose("preemptive_therapy.toxicity.neutropenia.probability", 0, 0.3, 0.9)
    choose("preemptive_therapy.toxicity.kidney_injury.probability", 0, 0.3, 0.9)
    choose("cmv.load.treated.lag", 0, 1.5, 4)
    choose("cmv.load.treated.regrowth", 0, 0.5, 1)
    choose("cmv.load.treated.refractory", 0, 0.2, 0.5, 1)
    choose("cmv.load.self_limited", "{ share = 0.1, slope = -1 }", "{ share = 0.6, slope = -2 }", "{ share = 0.9, slope = 0 }")
    choose("cmv.load.plateau", 0, "{ median = 8, varies = { sdlog = 1 } }")
    choose("cmv.load.start_log10", 0, 1)
    choose("cmv.onset.ratios.antiviral", 0.05, 1, 5)
    choose("cmv.onset.re_episode", 0.5, 2, 5)
    choose("cmv.onset.episodes", 1, 2, 3, 5)
    choose("cmv.onset.shape", 0.7, 1.27, 2.5)
    choose("cmv.onset.prevalent", 0, 0.3)
    choose("cmv.onset.severe_toxicity_washout", 0, 10)
    choose("cmv.disease.hazard", 0.001, 0.03, 0.3)
    choose("cmv.disease.slope", 0, 0.5, 1.5)
    choose("toxicity.washout_step", 1, 2.7, 7)
    choose("follow_up.withdrawn_by_90", 0.05, 0.5)
    choose("letermovir.rebound", "{ ratio = 0.5, days = 0, step = 7 }", "{ ratio = 4, days = 40, step = 7 }")
    choose("letermovir.stopped_by", '["preemptive_therapy"]', '["new_therapy", "hct"]', '["preemptive_therapy", "hct"]')
    choose("letermovir.effect", '"given"', '"given"', '"none"')
    if rng.random() < 0.4:
        overrides += CLINICAL
        choose("monitoring.clinical.between_visits", "true", "false")
        choose("monitoring.clinical.follow_up_every", 1, 3, 6.5)
    arms = ((), (EARLY,), (LATE,), ("preemptive", EARLY), (STEROIDS, LATE), ("preemptive", EARLY, LATE, STEROIDS))
    strategies = arms[rng.integers(len(arms))]
    order = [text for text in overrides if strategies or not text.startswith("letermovir.")]
    baseline = Baseline(
        float(rng.choice([0.5, 3, 8])),
        float(rng.choice([10, 25])),
        *(BASELINE.non_relapse_hazard,) * 2,
        (1e-3, 1e-3),
        (1e-4, 1e-4),
    )
    return stress(*order, strategies=strategies, never_lost=bool(rng.random() < 0.2), baseline=baseline)
