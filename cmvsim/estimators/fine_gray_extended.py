"""Fine-Gray regression beyond :func:`cmvsim.estimators.fine_gray`: effects that change with time, censoring by group.

Also the weighted start-stop rows with which any Cox program fits the model. Plain numpy, replicate by replicate, in time
proportional to events x patients: for sensitivity analyses, not for every trial of a simulation. Conventions, ties and
sandwich are those of the fast one (R's ``cmprsk::crr``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import BoolArray, FloatArray, IntArray, Status
from cmvsim.estimators.fine_gray import FineGrayFit
from cmvsim.estimators.ordering import check_batch
from cmvsim.estimators.regression import Wald, check_covariates, per_row

TimeFunctions = Callable[[FloatArray], ArrayLike]
TIGHT = 1e-18


def fine_gray_extended(
    time: ArrayLike,
    cause: ArrayLike,
    covariates: ArrayLike,
    *,
    event: int = 1,
    changing: ArrayLike | None = None,
    time_functions: TimeFunctions | None = None,
    censoring_group: ArrayLike | None = None,
    level: float = 0.95,
    max_iterations: int = 60,
) -> FineGrayFit:
    """Fine-Gray regression with covariates x functions of time, and with censoring that differs between groups.

    Parameters
    ----------
    time, cause, covariates, event, level, max_iterations
        As for :func:`cmvsim.estimators.fine_gray`.
    changing
        (replicates, patients, q), or (patients, q): covariates that are multiplied by functions of time. They may
        repeat columns of `covariates`; their coefficients come after those.
    time_functions
        From event times (m,) to (m, q): the factor of each column of `changing` at each time.
    censoring_group
        Non-negative integers, broadcast to `time`: the censoring distribution is estimated within each group.

    Returns
    -------
    FineGrayFit
        ``SEPARATION`` where the information vanishes on the way.

    Raises
    ------
    ValueError
        If shapes do not fit or only one of `changing` and `time_functions` is given; never because of the data.
    """
    if event < 1:
        raise ValueError(f"event must be a cause, 1 or above, not {event!r}")
    if (changing is None) != (time_functions is None):
        raise ValueError("changing covariates and functions of time come together")
    batch = check_batch(time, cause, None, None, None)
    shape = batch.time.shape
    x = check_covariates(covariates, shape)
    moving = np.empty((*shape, 0)) if changing is None else check_covariates(changing, shape)
    groups = per_row(0 if censoring_group is None else censoring_group, shape, np.int64)
    times, causes = np.asarray(batch.time, dtype=np.float64), np.asarray(batch.cause, dtype=np.int64)
    counts = (causes >= 0) & np.isfinite(times) & (groups >= 0)
    counts &= np.isfinite(x).all(axis=2) & np.isfinite(moving).all(axis=2)
    replicates, p = shape[0], x.shape[2] + moving.shape[2]
    fits = [
        _fit(_Sample.of(times[r, c], causes[r, c], x[r, c], moving[r, c], groups[r, c], event, time_functions), max_iterations)
        for r, c in enumerate(counts)
    ]
    coef = np.array([f.coef for f in fits]).reshape(replicates, p)
    covariance = np.array([f.covariance for f in fits]).reshape(replicates, p, p)
    naive = np.array([f.naive for f in fits]).reshape(replicates, p, p)
    at_null, at_estimate, score, ratio, wald = np.array([f.numbers for f in fits]).reshape(replicates, 5).T
    codes = np.array([f.codes for f in fits], dtype=np.int64).reshape(replicates, 2)
    table = Wald.of(coef, covariance, level)
    return FineGrayFit(
        coef,
        table.se,
        table.ci_low,
        table.ci_high,
        table.p_value,
        covariance,
        np.sqrt(np.diagonal(naive, axis1=1, axis2=2)),
        at_null,
        at_estimate,
        score,
        ratio,
        wald,
        counts.sum(axis=1),
        (counts & (causes == event)).sum(axis=1),
        codes[:, 1],
        codes[:, 0],
        level,
        "Fine-Gray sandwich variance" + ("" if censoring_group is None else ", censoring by group"),
    )


@dataclass(frozen=True, slots=True)
class CompetingRows:
    """Weighted start-stop rows of one data set (Geskus, Biometrics 67 (2011) 39-49).

    Attributes
    ----------
    patient
        Index of the patient of each row.
    start, stop
        The row is at risk at start < t <= stop.
    event
        Whether it ends with the event of interest.
    weight
        Probability of being uncensored just before `stop`, given that of just before the competing event; 1 for rows
        up to a patient's own time.
    """

    patient: IntArray
    start: FloatArray
    stop: FloatArray
    event: BoolArray
    weight: FloatArray


def expand_competing(time: ArrayLike, cause: ArrayLike, *, event: int = 1) -> CompetingRows:
    """Rows with which a weighted Cox regression (ties Breslow) gives the Fine-Gray coefficients.

    Parameters
    ----------
    time, cause
        Of one data set, one-dimensional; NaN or cause -1 is not in the analysis.
    event
        The cause of interest.

    Returns
    -------
    CompetingRows
        In the order of patients. Rows in which there is no event of interest are left out, as R's
        ``survival::finegray`` leaves them out; start is -inf in place of 0, so that events at time 0 count. Where
        censorings are tied with events the weights are cmprsk's, which :func:`cmvsim.estimators.fine_gray` uses, not
        those of ``survival::finegray``.

    Raises
    ------
    ValueError
        If shapes do not fit.
    """
    times, causes = np.asarray(time, dtype=np.float64), np.asarray(cause, dtype=np.int64)
    if times.ndim != 1 or causes.shape != times.shape:
        raise ValueError(f"time and cause must both be (patients,), not {times.shape}, {causes.shape}")
    counts = np.flatnonzero(np.isfinite(times) & (causes >= 0))
    t, k = times[counts], causes[counts]
    kind = np.where(k == 0, 0, np.where(k == event, 1, 2))
    survivor = censoring_survivor(t, kind)
    cuts, event_times = np.unique(t[kind == 0]), np.unique(t[kind == 1])
    last = t.max(initial=-np.inf)
    found: list[tuple[int, float, float, bool, float]] = []
    for i, own, what in zip(counts.tolist(), t.tolist(), kind.tolist(), strict=True):
        if what != 2:
            found.append((i, -np.inf, own, what == 1, 1.0))
            continue
        # G steps down just after each censoring time, so that weights are constant in between
        ends = np.append(cuts[(cuts >= own) & (cuts < last)], last)
        starts = np.concatenate(([-np.inf], ends[:-1]))
        own_survivor = survivor(np.array([own]))[0]
        for start, stop, left in zip(starts.tolist(), ends.tolist(), survivor(ends).tolist(), strict=True):
            inside = np.searchsorted(event_times, stop, side="right") > np.searchsorted(event_times, start, side="right")
            if inside or start == -np.inf:
                found.append((i, start, stop, False, left / own_survivor))
    columns = list(zip(*found, strict=True)) if found else [()] * 5
    kinds = (np.int64, np.float64, np.float64, np.bool_, np.float64)
    return CompetingRows(*(np.array(c, dtype=d) for c, d in zip(columns, kinds, strict=True)))


def censoring_survivor(time: FloatArray, kind: IntArray) -> Callable[[FloatArray], FloatArray]:
    """Probability of being uncensored just before each time asked, events tied with a censoring being at risk of it.

    Beyond the last time of the sample it is 0, as in crr: nothing there tells what it is. That matters in groups only.
    """
    at = np.unique(time[kind == 0])
    arranged = np.sort(time)
    at_risk = time.size - np.searchsorted(arranged, at, side="left")
    left = np.array([((time == u) & (kind == 0)).sum() for u in at])
    steps = np.concatenate(([1.0], np.cumprod(1.0 - left / np.maximum(at_risk, 1))))
    last = time.max(initial=-np.inf)
    return lambda asked: np.where(asked <= last, steps[np.searchsorted(at, asked, side="left")], 0.0)


@dataclass(frozen=True, slots=True)
class _Sample:
    """One data set: event times s, covariates x(s) of all patients (s, patient, p), and weights (s, patient)."""

    time: FloatArray
    kind: IntArray
    group: IntArray
    at: FloatArray
    x: FloatArray
    weight: FloatArray

    @classmethod
    def of(
        cls,
        time: FloatArray,
        cause: IntArray,
        x: FloatArray,
        moving: FloatArray,
        group: IntArray,
        event: int,
        functions: TimeFunctions | None,
    ) -> _Sample:
        kind = np.where(cause == 0, 0, np.where(cause == event, 1, 2))
        at = np.unique(time[kind == 1])
        factor = np.empty((at.size, 0)) if functions is None else np.asarray(functions(at), dtype=np.float64)
        if factor.shape != (at.size, moving.shape[1]):
            raise ValueError(f"functions of time must give (times, {moving.shape[1]}), not {factor.shape}")
        fixed = np.broadcast_to(x, (at.size, *x.shape))
        columns = np.concatenate([fixed, moving * factor[:, None, :]], axis=2)
        weight = (time >= at[:, None]).astype(np.float64)
        for g in np.unique(group):
            own = group == g
            survivor = censoring_survivor(time[own], kind[own])
            staying = own & (kind == 2) & (time < at[:, None])
            ratio = survivor(at)[:, None] / np.where(own, survivor(time), 1.0)
            weight = np.where(staying, ratio, weight)
        return cls(time, kind, group, at, columns, weight)


@dataclass(frozen=True, slots=True)
class _Fit:
    """`numbers`: log-likelihoods at 0 and at the estimate, score, LR, Wald; `codes`: status, iterations."""

    coef: FloatArray
    covariance: FloatArray
    naive: FloatArray
    numbers: tuple[float, float, float, float, float]
    codes: tuple[int, int]


def _likelihood(s: _Sample, beta: FloatArray) -> tuple[float, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Log-likelihood, score, information; weights x risk, means and hazards at each event time."""
    eta = s.x @ beta
    dead = (s.kind == 1) & (s.time == s.at[:, None])
    mass = s.weight * np.exp(eta)
    total, d = mass.sum(axis=1), dead.sum(axis=1)
    mean = np.einsum("si,sip->sp", mass, s.x) / total[:, None]
    second = np.einsum("si,sip,siq->spq", mass, s.x, s.x) / total[:, None, None]
    information = np.einsum("s,spq->pq", d, second - mean[:, :, None] * mean[:, None, :])
    score = np.einsum("si,sip->p", dead, s.x) - d @ mean
    return float(eta[dead].sum() - d @ np.log(total)), score, information, mass, mean, d / total


def _fit(s: _Sample, max_iterations: int) -> _Fit:
    p = s.x.shape[2]
    nothing = np.full((p, p), np.nan)
    numbers = [np.nan] * 5

    def ended(status: Status, iterations: int) -> _Fit:
        return _Fit(np.full(p, np.nan), nothing, nothing, tuple(numbers), (int(status), iterations))  # type: ignore[arg-type]

    if s.time.size == 0 or s.at.size == 0:
        return ended(Status.EMPTY if s.time.size == 0 else Status.NO_EVENTS, 0)
    beta = np.zeros(p)
    now, score, information, *rest = _likelihood(s, beta)
    numbers[0], start = now, np.sqrt(np.maximum(np.diag(information), 0.0))
    if not start.all() or np.linalg.cond(information / np.outer(start, start)) > 1e11:
        return ended(Status.NOT_ESTIMABLE, 0)
    numbers[2] = float(score @ np.linalg.solve(information, score))
    for iteration in range(1, max_iterations + 1):
        if np.linalg.eigvalsh(information / np.outer(start, start))[0] < 1e-9:
            return ended(Status.SEPARATION, iteration)
        step = np.linalg.solve(information, score)
        if score @ step <= TIGHT:
            break
        size, ahead = 1.0, -np.inf
        while size > 1e-9 and not ahead >= now - 1e-12 * (abs(now) + 1.0):
            ahead, score, information, *rest = _likelihood(s, beta + size * step)
            size /= 2.0
        beta, now = beta + 2.0 * size * step, ahead
    else:
        return ended(Status.NOT_CONVERGED, max_iterations)
    numbers[1], numbers[3] = now, 2.0 * (now - numbers[0])
    bread = np.linalg.inv(information)
    influence = _influences(s, *rest)
    covariance = bread @ influence.T @ influence @ bread
    numbers[4] = float(beta @ np.linalg.solve(covariance, beta))
    return _Fit(beta, covariance, bread, tuple(numbers), (int(Status.OK), iteration))  # type: ignore[arg-type]


def _influences(s: _Sample, mass: FloatArray, mean: FloatArray, hazard: FloatArray) -> FloatArray:
    """Each patient's η + ψ of Fine and Gray (1999), with cmprsk's rule at ties."""
    centred = s.x - mean[:, None, :]
    dead = (s.kind == 1) & (s.time == s.at[:, None])
    expected = hazard[:, None, None] * mass[:, :, None] * centred
    influence = np.where(dead[:, :, None], centred, 0.0).sum(axis=0) - expected.sum(axis=0)
    for g in np.unique(s.group):
        own = s.group == g
        for u in np.unique(s.time[own & (s.kind == 0)]):
            before = own & (s.kind == 2) & (s.time < u)
            q = expected[s.at >= u][:, before].sum(axis=(0, 1))
            at_risk, left = own & (s.time >= u), own & (s.kind == 0) & (s.time == u)
            size = at_risk.sum()
            influence += (left[:, None] / size - at_risk[:, None] * (left.sum() / size**2)) * q
    return np.asarray(influence, dtype=np.float64)
