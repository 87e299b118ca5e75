"""First onset at the level of the whole engine: piecewise exponential under windows, and with death competing."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate
from simulation_build import NO_DISEASE, binomial_se, lone, single

from cmvsim.core.streams import Role
from cmvsim.models.history import History
from cmvsim.models.strategies import LetermovirEffect, StrategySpec
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws

PATIENTS = 1500
N = PATIENTS * 64
RATE, FLAT = 0.012, 1e7  # a Weibull law of median 1e7 days has a hazard constant to 3e-6 over three months
CONSTANT = (
    "study.inclusion=0",
    "cmv.onset.shape=1",
    "cmv.onset.prevalent=0",
    "cmv.onset.episodes=1",
    "preemptive_therapy.accepted=0",
    *NO_DISEASE,
)
DRUG = (
    "letermovir.adherence=1",
    "letermovir.discontinued_by_90=0",
    "letermovir.rebound={ ratio = 3, days = 28, step = 7 }",
)
START, STOP, RATIO, MU = 10, 40, 0.3, 0.005


def _first(*overrides: str, death: float = 0.0, strategy: str | None = None) -> tuple[np.ndarray, History]:
    of = single(*CONSTANT, *overrides, baseline=lone(death, amplitude=RATE * FLAT / math.log(2), median=FLAT))
    plan = {"label": "x", "prophylaxis": "letermovir", "who": "all", "dose": 480}
    of = replace(
        of,
        strategies={"drug": StrategySpec.parse(plan | {"start": {"day": START}, "duration": STOP - START})},
        baseline=replace(of.baseline, letermovir=LetermovirEffect(RATIO, 0.0)),
    )
    h = simulate(of, ChunkDraws(6, Role.STUDY, 0, PATIENTS), path=True, strategy=strategy)
    assert h.episodes is not None
    return np.where(np.isnan(h.episodes.onset[..., 0]), np.inf, h.episodes.onset[..., 0]), h


def _ratio(t: float) -> float:
    """Of letermovir on [10, 40), then a rebound of 3 that fades in four weekly steps on the log scale."""
    if t < START:
        return 1.0
    if t < STOP:
        return RATIO
    step = int((t - STOP) // 7)
    return 3.0 ** (1 - 7 * step / 28) if t < STOP + 28 else 1.0


EDGES = [0, START, STOP, *(STOP + 7 * j for j in range(1, 5))]


def _spent(t: float, ratio: Callable[[float], float] = _ratio) -> float:
    pieces = zip(EDGES, [*EDGES[1:], math.inf], strict=True)
    return sum(RATE * ratio(a) * max(min(t, b) - a, 0.0) for a, b in pieces)


def _near(share: float, expected: float, wrong: float) -> None:
    se = binomial_se(expected, N)
    assert abs(share - expected) < 4 * se, (share, expected)
    assert abs(share - wrong) > 8 * se, (share, wrong)


@pytest.mark.parametrize("day", [5, 25, 40, 47, 60, 90])
def test_first_onset_is_piecewise_exponential(day: int) -> None:
    onset, _ = _first(*DRUG, strategy="drug")
    expected = -math.expm1(-_spent(day))
    share = float((onset <= day).mean())
    if day <= START:
        assert abs(share - expected) < 4 * binomial_se(expected, N)
    elif day <= STOP:
        _near(share, expected, -math.expm1(-RATE * day))
    else:  # a rebound of nothing is rejected
        _near(share, expected, -math.expm1(-_spent(day, lambda t: _ratio(t) if t < STOP else 1.0)))


def test_onset_before_death_is_the_competing_risks_integral() -> None:
    onset, h = _first(*DRUG, death=MU, strategy="drug")

    def density(t: float) -> float:
        return RATE * _ratio(t) * math.exp(-_spent(t) - MU * t)

    expected = integrate.quad(density, 0, 90, points=EDGES[1:], limit=200)[0]
    share = float(((onset <= 90) & (onset <= h.death)).mean())
    _near(share, expected, -math.expm1(-_spent(90)))
    died_without = integrate.quad(lambda t: MU * math.exp(-_spent(t) - MU * t), 0, 90, points=EDGES[1:], limit=200)[0]
    first_dead = float(((h.death <= 90) & (h.death < onset)).mean())
    _near(first_dead, died_without, -math.expm1(-MU * 90))
    assert expected + died_without + math.exp(-_spent(90) - 90 * MU) == pytest.approx(1, abs=1e-9)


def test_windows_of_different_patients_act_on_each_alone() -> None:
    """Steroids with a ratio of 4 and a wash-out of 21 days: events less the cumulative hazard are a martingale of mean 0.

    Each patient has windows of their own; ignoring the windows, or the wash-out, is rejected.
    """
    onset, h = _first("cmv.onset.ratios.corticosteroids=4", "toxicity.corticosteroids.washout=21")
    course = h.toxicity.courses["corticosteroids"]
    start, stop = (np.asarray(h.view(x)) for x in (course.start, course.stop))
    end = np.minimum(onset, 90.0)

    def spent(wash_out: bool, ratio: float = 4.0) -> np.ndarray:
        total = RATE * end
        pieces = [(start, stop, math.log(ratio))]
        if wash_out:
            pieces += [(stop + 7 * j, stop + 7 * (j + 1), math.log(ratio) * (1 - 7 * j / 21)) for j in range(3)]
        for a, b, log_ratio in pieces:
            inside = np.where(np.isfinite(a), np.minimum(b, end) - np.minimum(a, end), 0.0)
            total = total + RATE * math.expm1(log_ratio) * np.maximum(np.nan_to_num(inside), 0.0)
        return total

    events = (onset <= 90).astype(float)
    martingale = events - spent(True)
    se = martingale.std() / math.sqrt(N)
    assert abs(martingale.mean()) < 4 * se
    for wrong in (spent(False), spent(True, 1.0)):
        assert abs((events - wrong).mean()) > 8 * se
    treated = np.isfinite(start)
    assert abs(martingale[treated].mean()) < 4 * martingale[treated].std() / math.sqrt(treated.sum())
