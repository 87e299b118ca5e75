"""The cohort on which letermovir's two effects are solved: everybody takes it, or nobody, the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from cmvsim.calibration.cohort import as_measured
from cmvsim.calibration.prophylaxis import LetermovirSolution, Measure, marginal_hazard_ratio, solve_letermovir
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.value import Between, Stated, Value
from cmvsim.data.study import Result
from cmvsim.models.baseline import Baseline
from cmvsim.models.cmv import TargetSpec
from cmvsim.models.follow_up import DeathRatios
from cmvsim.models.history import History
from cmvsim.models.strategies import LetermovirEffect, LetermovirSpec, StartSpec, StrategySpec, WhoSpec
from cmvsim.scenarios.scenario import Scenario
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

DAYS_ON_DRUG = 90.0
UNIVERSAL = "universal"


def needs_letermovir(scenario: Scenario) -> bool:
    """Whether a strategy gives letermovir and its effect is neither stated nor none."""
    gives = any(strategy.prophylaxis != "none" for strategy in scenario.strategies.values())
    return gives and scenario.letermovir.known_effect is None


def solve_effect(
    basis: Scenario, letermovir: LetermovirSpec, baseline: Baseline, draws: Sequence[ChunkDraws]
) -> LetermovirSolution:
    """Solve the onset ratio and the set-point shift (model.md 15).

    Parameters
    ----------
    basis
        Scenario whose population, law and measurement the ratios are read under.
    letermovir
        With the targets.
    baseline
        Solved hazards of the basis.
    draws
        A fixed cohort.
    """
    return solve_letermovir(effect_measure(basis, letermovir, baseline, draws), letermovir.targets)


def effect_measure(basis: Scenario, letermovir: LetermovirSpec, baseline: Baseline, draws: Sequence[ChunkDraws]) -> Measure:
    """The marginal ratios (any DNAemia, clinically significant) at an onset ratio and a shift, on a fixed cohort.

    Parameters
    ----------
    basis, letermovir, baseline, draws
        As :func:`solve_effect`.
    """
    target = basis.cmv.incidence
    model = _universal(as_measured(Model.of(basis, baseline), target), letermovir)
    without = [_Outcome.of(simulate(model, chunk, path=True, never_lost=True), target) for chunk in draws]

    def measure(onset_ratio: float, shift: float) -> tuple[float, float]:
        moved = replace(model, baseline=replace(baseline, letermovir=LetermovirEffect(onset_ratio, shift)))
        taking = [
            _Outcome.of(simulate(moved, chunk, path=True, never_lost=True, strategy=UNIVERSAL), target) for chunk in draws
        ]
        return _ratio(taking, without, "detected"), _ratio(taking, without, "significant")

    return measure


def _ratio(taking: Sequence[_Outcome], without: Sequence[_Outcome], event: Literal["detected", "significant"]) -> float:
    """Marginal hazard ratio of an event among those at risk, who are the same in both groups."""
    at_risk = np.concatenate([chunk.at_risk for chunk in without])

    def pooled(group: Sequence[_Outcome], name: str) -> FloatArray:
        values: FloatArray = np.concatenate([getattr(chunk, name) for chunk in group])[at_risk]
        return values

    return marginal_hazard_ratio(
        pooled(taking, event), pooled(taking, "end"), pooled(without, event), pooled(without, "end"), DAYS_ON_DRUG
    )


def _universal(model: Model, letermovir: LetermovirSpec) -> Model:
    """The model in which everybody would take all doses from day 0 to day 90, and nothing but relapse and time kills."""
    full = letermovir.model_copy(
        update={
            "adherence": Between(law="normal", centre=1.0, spread=0.0),
            "discontinued_by_90": Value(value=0.0),
            "stopped_by": Stated(value=()),
        }
    )
    plan = StrategySpec(
        label=UNIVERSAL,
        prophylaxis="letermovir",
        who=WhoSpec(),
        start=StartSpec(),
        duration=Value(value=DAYS_ON_DRUG),
        dose=Value(value=1.0),  # has a price and no effect of its own
    )
    follow_up = model.follow_up.model_copy(update={"death_ratios": DeathRatios.none()})
    return replace(model, letermovir=full, strategies={UNIVERSAL: plan}, follow_up=follow_up)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Flat: times of first detection and of clinically significant infection, end of risk, and who is at risk."""

    detected: FloatArray
    significant: FloatArray
    end: FloatArray
    at_risk: BoolArray

    @classmethod
    def of(cls, history: History, target: TargetSpec) -> _Outcome:
        """What the target's monitoring sees of a chunk."""
        samples, episodes = history.samples, history.episodes
        assert samples is not None
        assert episodes is not None
        positive = samples.result >= Result.BELOW_LLOQ
        seen_at_infusion = (positive & (samples.time <= 0)).any(axis=-1)
        detected = np.where(positive & (samples.time > 0), samples.time, np.inf).min(axis=-1)
        detected = np.where(detected <= float(target.day), detected, np.inf)
        with np.errstate(invalid="ignore"):
            running = ((episodes.onset <= 0) & (episodes.clear > 0)).any(axis=-1)
        end = np.minimum(history.death, history.observation.hct)
        return cls(detected.ravel(), history.clinically_significant.ravel(), end.ravel(), ~(seen_at_infusion | running).ravel())
