"""Benchmark rows of the estimators: ours and a public peer, timed in the same run on the same data.

``rows()`` measures; run as a script it prints its own table.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cmvsim.estimators import aalen_johansen, kaplan_meier, proportion

HORIZON = 90.0
PATIENTS = 150
REPLICATES = 20_000


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison; `ratio` says how many times longer the peer takes (None: no peer)."""

    name: str
    per_trial_us: float
    peer: str | None
    peer_us: float | None
    ratio: float | None


def rows() -> list[Row]:
    """Time every estimator, best of several repetitions after a first call that compiles."""
    time, cause = _trials(REPLICATES, PATIENTS)
    keys = np.random.Generator(np.random.PCG64(2)).integers(0, 1 << 60, time.shape)
    incidence_peer, survival_peer = _statsmodels(time, cause)
    big_time, big_cause = _trials(1, 1_000_000)
    x = np.random.Generator(np.random.PCG64(3)).binomial(PATIENTS, 0.3, 200_000)
    return [
        _row("floor: np.sort of int64 keys, n = 150", lambda: np.sort(keys, axis=1), REPLICATES),
        _row(
            "Aalen-Johansen at a horizon with variance and limits, n = 150",
            lambda: aalen_johansen(time, cause, HORIZON),
            REPLICATES,
            ("statsmodels CumIncidenceRight", incidence_peer),
        ),
        _row(
            "Aalen-Johansen, nested n = 60, 90, 120, 150",
            lambda: aalen_johansen(time, cause, HORIZON, nested=(60, 90, 120, 150)),
            REPLICATES,
        ),
        _row(
            "Aalen-Johansen, times that are no integers",
            lambda: aalen_johansen(time + 0.25, cause, HORIZON),
            REPLICATES,
        ),
        _row(
            "Aalen-Johansen, late entry, jackknife variance",
            lambda: aalen_johansen(time[:2000], cause[:2000], HORIZON, variance="ij", entry=-1.0),
            2000,
        ),
        _row(
            "Kaplan-Meier at a horizon with variance and limits, n = 150",
            lambda: kaplan_meier(time, cause, HORIZON),
            REPLICATES,
            ("statsmodels SurvfuncRight", survival_peer),
        ),
        _row(
            "Aalen-Johansen, one data set of 1e6 rows",
            lambda: aalen_johansen(big_time, big_cause, HORIZON),
            1,
        ),
        *(_proportion_row(x, method, peer) for method, peer in (("wilson", "wilson"), ("clopper-pearson", "exact"))),
    ]


def _proportion_row(x: np.ndarray, method: str, scipy_method: str) -> Row:
    from scipy.stats import binomtest

    def peer() -> None:
        for count in x[:200]:
            binomtest(int(count), PATIENTS).proportion_ci(method=scipy_method)

    return _row(
        f"proportion, {method}",
        lambda: proportion(x, PATIENTS, method=method),
        x.size,
        ("scipy binomtest.proportion_ci", _best(peer, 2) / 200),
    )


def _statsmodels(time: np.ndarray, cause: np.ndarray) -> tuple[float, float]:
    """Seconds per data set of the peers."""
    from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight

    def incidence() -> None:
        for t, k in zip(time[:200], cause[:200], strict=True):
            CumIncidenceRight(t, k)

    def survival() -> None:
        for t, k in zip(time[:200], cause[:200], strict=True):
            SurvfuncRight(t, k > 0)

    return _best(incidence, 2) / 200, _best(survival, 2) / 200


def _trials(replicates: int, patients: int) -> tuple[np.ndarray, np.ndarray]:
    """Whole days, two causes, censoring before and after the horizon."""
    rng = np.random.Generator(np.random.PCG64(1))
    shape = (replicates, patients)
    event = np.ceil(rng.exponential(200.0, shape))
    censored = np.minimum(np.ceil(rng.exponential(400.0, shape)), 120.0)
    cause = np.where(event <= censored, rng.integers(1, 3, shape), 0)
    return np.minimum(event, censored), cause


def _row(name: str, ours: Callable[[], object], trials: int, peer: tuple[str, float] | None = None) -> Row:
    ours()
    per_trial = _best(ours, 5) / trials * 1e6
    if peer is None:
        return Row(name, per_trial, None, None, None)
    return Row(name, per_trial, peer[0], peer[1] * 1e6, peer[1] * 1e6 / per_trial)


def _best(call: Callable[[], object], repetitions: int) -> float:
    seconds = []
    for _ in range(repetitions):
        start = clock.thread_time()  # of this thread: other processes on the machine do not count
        call()
        seconds.append(clock.thread_time() - start)
    return min(seconds)


if __name__ == "__main__":
    for row in rows():
        versus = "" if row.peer is None else f"  {row.peer} {row.peer_us:.1f} us, {row.ratio:.0f} x"
        print(f"{row.name:<62} {row.per_trial_us:12.4f} us{versus}")
