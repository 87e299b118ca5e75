"""What a visit schedule sees of an episode: closed forms and a numerical integral over the time of onset."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import integrate, special
from simulation_build import NO_DISEASE, binomial_se, history, lone, single

PATIENTS = 4000
N = PATIENTS * 64

JUMP = (  # replication begins at a constant hazard, is high at once and for good, and nothing is done about it
    "study.inclusion=0",
    "resources.initial_stay.admission=0",
    "cmv.onset.shape=1",
    "cmv.onset.prevalent=0",
    "cmv.onset.episodes=1",
    "cmv.load.doubling_time=0.000001",
    "cmv.load.set_point=4",
    "cmv.load.self_limited.share=0",
    "monitoring.jitter=0",
    "preemptive_therapy.accepted=0",
    *NO_DISEASE,
    "monitoring.assay_sd_log10=0",
    "analysis.window=28",
)
HAZARD, FLAT = 0.02, 1e7  # a Weibull law of median 1e7 days has a hazard constant to 3e-6 over a month


def _first_detected(*overrides: str) -> tuple[np.ndarray, np.ndarray]:
    """First day of detection and onset of every patient, +inf if none."""
    amplitude = HAZARD * FLAT / math.log(2)
    h = history(single(*JUMP, *overrides, baseline=lone(amplitude=amplitude, median=FLAT)), PATIENTS)
    assert h.samples is not None
    assert h.episodes is not None
    seen = np.where(h.samples.result > 1, h.samples.time, np.inf).min(axis=-1).ravel()
    return seen, np.where(np.isnan(h.episodes.onset[..., 0]), np.inf, h.episodes.onset[..., 0]).ravel()


def _closed_form(visits: tuple[int, ...], sensitivity: float) -> float:
    """Probability of detection by the last visit when each visit finds a persistent infection with `sensitivity`."""
    bounds = (0, *visits)
    total = 0.0
    for i in range(len(visits)):
        in_gap = math.exp(-HAZARD * bounds[i]) - math.exp(-HAZARD * bounds[i + 1])
        total += in_gap * (1 - (1 - sensitivity) ** (len(visits) - i))
    return total


@pytest.mark.parametrize(
    ("visits", "sensitivity", "expected"),
    [((7, 14, 21, 28), 0.8, 0.4065562853), ((7, 14, 21, 28), 1.0, 0.4287909362), ((14, 28), 0.6, None)],
)
def test_share_detected_by_weekly_visits(visits: tuple[int, ...], sensitivity: float, expected: float | None) -> None:
    """Within 4 SE (0.004); a visit more or less, or full attendance, is tens of SE away."""
    form = _closed_form(visits, sensitivity)
    if expected is not None:
        assert form == pytest.approx(expected, abs=1e-9)
    plan = ", ".join(f"{{ at = {day} }}" for day in visits)
    seen, onset = _first_detected(f"monitoring.schedule=[{plan}]", f"monitoring.attendance={sensitivity}")
    share = float(np.isfinite(seen).mean())
    assert abs(share - form) < 4 * binomial_se(form, N)
    assert abs(share - _closed_form(visits[:-1], sensitivity)) > 10 * binomial_se(form, N)
    infected = 1 - math.exp(-HAZARD * 28)
    assert abs((onset <= 28).mean() - infected) < 4 * binomial_se(infected, N)


def test_mean_day_of_first_detection() -> None:
    """Perfect visits at 7, 14, 21, 28: mean 16.2818 among those found, mean true onset 12.7001; SE about 0.025."""
    seen, onset = _first_detected("monitoring.schedule=[{ every = 7, to = 28 }]", "monitoring.attendance=1")
    found = np.isfinite(seen)
    assert np.array_equal(found, onset <= 28)
    for values, expected in ((seen[found], 16.28175225), (onset[found], 12.70011225)):
        assert abs(values.mean() - expected) < 4 * values.std() / math.sqrt(values.size)
    assert np.array_equal(seen[found], 7 * np.ceil(onset[found] / 7))


def test_detection_of_a_rising_and_falling_load_with_noise() -> None:
    """Every visit detects with its own probability given the load there; integrated over the time of onset."""
    sd, amplitude, median, shape = 0.3, 0.9, 20.0, 1.3
    plateau, doubling, half_life, peak = 5.0, 2.0, 3.0, 1.9
    visits, lod = (7, 14, 21, 28, 42, 56), 20.0
    of = single(
        "cmv.onset.prevalent=0",
        "cmv.onset.episodes=1",
        f"cmv.onset.shape={shape}",
        f"cmv.load.doubling_time={doubling}",
        f"cmv.load.set_point={peak}",
        "cmv.load.self_limited.share=1",
        f"cmv.load.plateau={plateau}",
        f"cmv.load.decay_half_life={half_life}",
        "preemptive_therapy.accepted=0",
        *NO_DISEASE,
        f"monitoring.assay_sd_log10={sd}",
        "monitoring.jitter=0",
        "monitoring.attendance=1",
        "analysis.window=56",
        "monitoring.schedule=[{ every = 7, to = 28 }, { at = 42 }, { at = 56 }]",
        baseline=lone(amplitude=amplitude, median=median),
    )
    h = history(of, PATIENTS)
    assert h.samples is not None
    growth, decay = math.log10(2) / doubling, math.log10(2) / half_life
    end = (peak - 1) / growth + plateau
    clear = end + (peak - 1) / decay
    cut = math.log10(lod - 0.05)  # 19.95 reads as 20.0

    def load(age: float) -> float:
        return float(np.interp(age, [0, (peak - 1) / growth, end, clear], [1, peak, peak, 1])) if 0 <= age < clear else -np.inf

    scale = median / math.log(2) ** (1 / shape)

    def density(t: float) -> float:
        x = (t + 5) / scale
        return (
            amplitude
            * shape
            / scale
            * x ** (shape - 1)
            * math.exp(-(x**shape))
            * math.exp(-amplitude * -math.expm1(-(x**shape)))
        )

    def detected(t: float, days: tuple[int, ...]) -> float:
        return 1 - math.prod(1 - special.ndtr((load(day - t) - cut) / sd) for day in days)

    for days in (visits[:1], visits[:3], visits):
        kinks = sorted(
            {k for day in days for k in (day, day - (peak - 1) / growth, day - end, day - clear) if -5 < k < days[-1]}
        )
        pieces = [-5.0, *kinks, float(days[-1])]
        expected = sum(
            integrate.quad(lambda t, d=days: density(t) * detected(t, d), a, b)[0] for a, b in itertools.pairwise(pieces)
        )
        column = [list(h.samples.nominal).index(day) for day in days]
        share = float((h.samples.result[..., column] > 1).any(axis=-1).mean())
        assert abs(share - expected) < 4 * binomial_se(expected, N), days
        noiseless = sum(
            integrate.quad(lambda t, d=days: density(t) * any(load(x - t) >= cut for x in d), a, b, limit=200)[0]
            for a, b in itertools.pairwise(pieces)
        )
        if days == visits:
            assert abs(share - noiseless) > 8 * binomial_se(noiseless, N), "noise must matter here"
