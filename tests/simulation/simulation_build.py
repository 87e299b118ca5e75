"""Models for tests: the built-in scenario with overrides, and given (not calibrated) baseline hazards."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmvsim.core.streams import Role
from cmvsim.core.value import Value
from cmvsim.models.baseline import Baseline
from cmvsim.models.follow_up import DeathRatios
from cmvsim.models.history import History
from cmvsim.models.population import StratumSpec
from cmvsim.models.reactivation import OnsetRatios
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

INFECTIONS = ((0.0036, 0.0011), (0.0003, 0.00018))
"""Hazards of bacterial and fungal infections, early and late: in the base case severe ones act on death."""
PLAIN_BASELINE = Baseline(0.6, 13.0, (2.8e-4,) * 3, (4e-3,) * 3, *INFECTIONS)

NO_RATIOS = (
    *(f"cmv.onset.ratios.{name}=1" for name in OnsetRatios.model_fields),
    *(f"follow_up.death_ratios.{name}=1" for name in DeathRatios.model_fields),
    "cmv.load.set_point_shift={ corticosteroids = 0, score = 0 }",
)
NOBODY_LEAVES = (
    "follow_up.relapse_by_90={ ball_child = 0, ball_adult = 0, dlbcl = 0 }",
    "follow_up.hct_by_90={ ball_child = 0, ball_adult = 0, dlbcl = 0 }",
    "follow_up.death_by_90={ ball_child = 0, ball_adult = 0, dlbcl = 0 }",
    "follow_up.non_relapse_mortality_by_90={ ball_child = 0, ball_adult = 0, dlbcl = 0 }",
    "follow_up.lost_by_90=0",
    "follow_up.withdrawn_by_90=0",
)
NO_DISEASE = ("cmv.disease.hazard=1e-12",)  # CMV disease is treated whatever was seen and accepted
FULL_ATTENDANCE = ("monitoring.jitter=0", "monitoring.attendance=1")

STRESS = (
    "cmv.onset.ratios={ corticosteroids = 3, tocilizumab = 2, prior_allogeneic_hct = 2, score = 1.7, antiviral = 0.2 }",
    "cmv.onset.re_episode=2",
    "cmv.onset.prevalent=0.15",
    "cmv.load.doubling_time={ median = 1.2, varies = { sdlog = 0.6 } }",
    "cmv.load.set_point={ mean = 2.4, varies = { sd = 0.9 } }",
    "cmv.load.set_point_shift={ corticosteroids = 0.8, score = 0.3 }",
    "cmv.load.plateau={ median = 5, varies = { sdlog = 0.8 } }",
    "cmv.load.decay_half_life={ median = 2, varies = { sdlog = 0.6 } }",
    "cmv.load.self_limited={ share = 0.5, slope = -1 }",
    "cmv.load.treated={ lag = 2, half_life = { median = 1.5, varies = { sdlog = 0.5 } }, regrowth = 0.5 }",
    "monitoring.schedule=[{ every = 4, to = 100 }]",
    "monitoring.baseline=[-2, 0]",
    "monitoring.attendance=0.8",
    "preemptive_therapy.start_at=40",
    "preemptive_therapy.accepted=0.5",
    "preemptive_therapy.stop_after={ negatives = 1, minimum_days = 3, maximum_days = 12 }",
)
STRESS_BASELINE = Baseline(4.0, 20.0, (1e-3,) * 3, (8e-3,) * 3, (0.02, 0.01), (0.004, 0.002))


def model(*overrides: str, baseline: Baseline = PLAIN_BASELINE, scenario: str = "cmv-cart") -> Model:
    """The model of a built-in scenario with overrides."""
    return Model.of(resolve(scenario, overrides).spec, baseline)


def history(of: Model, patients: int, *, seed: int = 1, chunk: int = 0, path: bool = True, **more: bool) -> History:
    """One chunk of 64 replicates."""
    return simulate(of, ChunkDraws(seed, Role.STUDY, chunk, patients), path=path, **more)


def lone(hazard: float = 0.0, after: float = 0.0, amplitude: float = 1.0, median: float = 20.0) -> Baseline:
    """Baseline of a scenario with one stratum."""
    return Baseline(amplitude, median, (hazard,), (after,), *INFECTIONS)


def single(*overrides: str, baseline: Baseline, **rates: float) -> Model:
    """The model with a single stratum, everybody identical unless overrides say otherwise, nobody leaving."""
    full = model(*NO_RATIOS, "resources.initial_stay.admission=0", *overrides, baseline=baseline)
    stratum = StratumSpec.parse(
        {
            "label": "only",
            "share": 1.0,
            "disease": "lymphoma",
            "age": [18, 85],
            "products": {"axicabtagene": 1.0},
            "prior_allogeneic_hct": 0.0,
            "seropositive_share": 1.0,
            "lymphocytes": 0.5,
            "hematotox_high": 0.5,
        }
    )
    tables = {
        name: {"only": Value(value=rates.get(name, 0.0))}
        for name in ("relapse_by_90", "monitoring_stop", "hct_by_90", "death_by_90", "non_relapse_mortality_by_90")
    }
    rest = {name: Value(value=rates.get(name, 0.0)) for name in ("lost_by_90", "withdrawn_by_90")}
    return replace(
        full,
        population=full.population.model_copy(update={"strata": {"only": stratum}}),
        follow_up=full.follow_up.model_copy(update={**tables, **rest}),
    )


def binomial_se(p: float, n: int) -> float:
    """Monte Carlo SE of a share."""
    return float(np.sqrt(p * (1 - p) / n))
