"""Benchmark rows of recurrent events, repeated measurements and costs, beside a public peer where there is one."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np

from benchmarks.estimators import Row, _best, _row
from cmvsim.estimators import attributable_cost, cost_difference, gee, mean_cost, mean_cumulative

PATIENTS = 150
VISITS = 6
HORIZON = 90
COMPONENTS = 6
REPLICATES = 1_000
COST_REPLICATES = 100  # daily costs of all components are 0.65 MB per trial
SAMPLES = 1_000
PEER_REPLICATES = 10


def rows() -> list[Row]:
    """Time every estimator, best of several repetitions after a first call that compiles."""
    rng = np.random.Generator(np.random.PCG64(5))
    shape = (REPLICATES, PATIENTS)
    leaves = np.minimum(np.ceil(rng.exponential(200.0, shape)), HORIZON)
    died = (leaves < HORIZON) & (rng.random(shape) < 0.4)
    events = np.ceil(rng.exponential(90.0, (*shape, 4)))
    y, x = _visits(rng)
    intervals = rng.exponential(100.0, (*shape, 13))
    edges = np.r_[np.arange(13) * 7.0, HORIZON]
    complete = died | (leaves >= HORIZON)
    exposed, covariates = rng.random(shape) < 0.3, rng.normal(size=(*shape, 2))
    listed: list[tuple[str, Callable[[], object], int, tuple[str, float] | None]] = [
        ("mean cumulative function, robust", lambda: mean_cumulative(events, leaves, HORIZON), REPLICATES, None),
        ("the same with deaths (Ghosh-Lin)", lambda: mean_cumulative(events, leaves, HORIZON, died=died), REPLICATES, None),
        (
            f"GEE, {VISITS} visits, visit effects, 2 covariates",
            lambda: gee(y, x),
            REPLICATES,
            ("statsmodels GEE", _gee_peer(y, x)),
        ),
        ("GEE, Mancl-DeRouen", lambda: gee(y, x, correction="mancl-derouen"), REPLICATES, None),
        ("mean cost, simple weights", lambda: mean_cost(intervals, leaves, complete, method="simple"), REPLICATES, None),
        ("mean cost, 13 partitions", lambda: mean_cost(intervals, leaves, complete, boundaries=edges), REPLICATES, None),
        (
            "cost, Poisson, recycled predictions",
            lambda: cost_difference(intervals[:, :, 0], exposed, covariates),
            REPLICATES,
            None,
        ),
        *_attributable(rng),
    ]
    return [_row(f"{name}, n = {PATIENTS}", ours, trials, peer) for name, ours, trials, peer in listed]


def _visits(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Quality of life with a fifth of the visits missed; baseline and CMV so far."""
    shape = (REPLICATES, PATIENTS, VISITS)
    y = rng.normal(size=shape)
    y[rng.random(shape) < 0.2] = np.nan
    baseline = np.broadcast_to(rng.normal(size=(REPLICATES, PATIENTS, 1)), shape)
    cmv = rng.exponential(10.0, (REPLICATES, PATIENTS, 1)) <= np.arange(VISITS)
    return y, np.stack([baseline, cmv], axis=-1).astype(np.float64)


def _attributable(rng: np.random.Generator) -> list[tuple[str, Callable[[], object], int, None]]:
    shape = (COST_REPLICATES, PATIENTS)
    cost = rng.exponential(100.0, (*shape, HORIZON + 1, COMPONENTS))
    index = np.floor(rng.exponential(200.0, shape))
    index[index > HORIZON] = np.nan
    leaves = np.minimum(np.floor(rng.exponential(300.0, shape)), 120.0)
    dies = np.where(rng.random(shape) < 0.15, np.floor(rng.random(shape) * HORIZON), np.nan)
    keys = np.repeat(rng.integers(0, 4, (*shape, 1)), HORIZON + 1, axis=2)
    counts = rng.multinomial(PATIENTS, np.full(PATIENTS, 1.0 / PATIENTS), SAMPLES)
    few = tuple(a[:5] for a in (cost, index, leaves, dies, keys))
    name = f"attributable cost, {COMPONENTS} components"
    return [
        (f"{name}, influence variance", lambda: attributable_cost(cost, index, leaves, dies, keys), COST_REPLICATES, None),
        (
            f"{name}, {SAMPLES} bootstrap samples",
            lambda: attributable_cost(*few, counts=counts, interval="percentile"),
            5,
            None,
        ),
    ]


def _gee_peer(y: np.ndarray, x: np.ndarray) -> float:
    """Seconds per data set of statsmodels' independence GEE."""
    from statsmodels.genmod.generalized_estimating_equations import GEE

    patient = np.repeat(np.arange(PATIENTS), VISITS)
    visit = np.tile(np.eye(VISITS), (PATIENTS, 1))

    def fit() -> None:
        for r in range(PEER_REPLICATES):
            seen = np.isfinite(y[r]).ravel()
            GEE(y[r].ravel()[seen], np.c_[visit, x[r].reshape(-1, 2)][seen], groups=patient[seen]).fit()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _best(fit, 2) / PEER_REPLICATES


if __name__ == "__main__":
    for row in rows():
        versus = "" if row.peer is None else f"  {row.peer} {row.peer_us:.1f} us, {row.ratio:.0f} x"
        print(f"{row.name:<62} {row.per_trial_us:12.4f} us{versus}")
