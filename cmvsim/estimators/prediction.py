"""Cumulative incidence predicted for given covariates: from cause-specific Cox models, and from Fine-Gray. Batched.

Plain numpy, replicate by replicate, after the compiled fits. A replicate whose fit is not OK has NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import FloatArray, IntArray, Status
from cmvsim.estimators.cox import Ties, cox
from cmvsim.estimators.fine_gray import fine_gray
from cmvsim.estimators.fine_gray_extended import censoring_survivor
from cmvsim.estimators.ordering import check_batch
from cmvsim.estimators.regression import check_covariates


@dataclass(frozen=True, slots=True)
class PredictedIncidence:
    """Predicted cumulative incidences.

    Attributes
    ----------
    incidence
        (replicates, profiles, times); NaN unless the status is OK.
    times
        As asked.
    status
        (replicates,): OK, or the first status that is not among those of the fits behind it.
    method
        The model by name.
    """

    incidence: FloatArray
    times: FloatArray
    status: IntArray
    method: str


def predict_cause_specific(
    time: ArrayLike,
    cause: ArrayLike,
    covariates: ArrayLike,
    profiles: ArrayLike,
    times: ArrayLike,
    *,
    event: int = 1,
    ties: Ties = "efron",
    product_limit: bool = False,
) -> PredictedIncidence:
    """Cumulative incidence of one cause from Cox regressions of every cause (Benichou and Gail 1990).

    Parameters
    ----------
    time, cause, covariates, ties
        As for :func:`cmvsim.estimators.cox`; every cause that occurs in a replicate gets its own model with the same
        covariates.
    profiles
        (profiles, p): whom to predict for.
    times
        Ascending or not, (m,).
    event
        The cause of interest.
    product_limit
        Event-free survival as a product of 1 - hazard; False: exp(-cumulative hazard).

    Returns
    -------
    PredictedIncidence
        A cause without events in a replicate has hazard 0; if it is the cause of interest the status is
        ``NO_EVENTS``.

    Raises
    ------
    ValueError
        If shapes do not fit or a name is unknown; never because of the data.
    """
    batch = check_batch(time, cause, None, None, None)
    t, k = np.asarray(batch.time, dtype=np.float64), np.asarray(batch.cause, dtype=np.int64)
    x = check_covariates(covariates, t.shape)
    who, when = _profiles(profiles, x.shape[2]), np.asarray(times, dtype=np.float64)
    counts = (k >= 0) & np.isfinite(t) & np.isfinite(x).all(axis=2)
    causes = sorted({int(event), *np.unique(k[counts & (k > 0)]).tolist()})
    fits = [cox(t, k, x, event=c, ties=ties) for c in causes]
    incidence = np.full((t.shape[0], who.shape[0], when.size), np.nan)
    status = np.full(t.shape[0], int(Status.OK), dtype=np.int64)
    for r in range(t.shape[0]):
        codes = [int(f.status[r]) for f in fits]
        bad = [c for c, of in zip(codes, causes, strict=True) if c != Status.OK and (of == event or c != Status.NO_EVENTS)]
        if bad:
            status[r] = bad[0]
            continue
        inside = counts[r]
        at = np.unique(t[r, inside & (k[r] > 0)])
        hazards = np.zeros((len(causes), who.shape[0], at.size))
        for j, (of, fit) in enumerate(zip(causes, fits, strict=True)):
            if codes[j] == Status.OK:
                centre = x[r, inside].mean(axis=0)
                base = _cox_increments(t[r, inside], k[r, inside] == of, (x[r, inside] - centre) @ fit.coef[r], at, ties)
                hazards[j] = base * np.exp((who - centre) @ fit.coef[r])[:, None]
        whole = hazards.sum(axis=0)
        free = np.cumprod(np.maximum(1.0 - whole, 0.0), axis=1) if product_limit else np.exp(-np.cumsum(whole, axis=1))
        before = np.concatenate([np.ones((who.shape[0], 1)), free[:, :-1]], axis=1)
        incidence[r] = _at(np.cumsum(before * hazards[causes.index(event)], axis=1), at, when)
    return PredictedIncidence(incidence, when, status, f"cause-specific Cox, {ties} ties")


def predict_fine_gray(
    time: ArrayLike,
    cause: ArrayLike,
    covariates: ArrayLike,
    profiles: ArrayLike,
    times: ArrayLike,
    *,
    event: int = 1,
) -> PredictedIncidence:
    """Cumulative incidence from a Fine-Gray regression: 1 - exp(-baseline x exp(profile coef)).

    Parameters
    ----------
    time, cause, covariates, event
        As for :func:`cmvsim.estimators.fine_gray`.
    profiles, times
        As for :func:`predict_cause_specific`.

    Returns
    -------
    PredictedIncidence
        With the baseline of R's ``cmprsk::predict.crr``.

    Raises
    ------
    ValueError
        If shapes do not fit; never because of the data.
    """
    batch = check_batch(time, cause, None, None, None)
    t, k = np.asarray(batch.time, dtype=np.float64), np.asarray(batch.cause, dtype=np.int64)
    x = check_covariates(covariates, t.shape)
    who, when = _profiles(profiles, x.shape[2]), np.asarray(times, dtype=np.float64)
    counts = (k >= 0) & np.isfinite(t) & np.isfinite(x).all(axis=2)
    fit = fine_gray(t, k, x, event=event)
    incidence = np.full((t.shape[0], who.shape[0], when.size), np.nan)
    for r in np.flatnonzero(fit.status == Status.OK):
        own, kind = t[r, counts[r]], np.where(k[r, counts[r]] == event, 1, np.where(k[r, counts[r]] == 0, 0, 2))
        centre = x[r, counts[r]].mean(axis=0)
        risk = np.exp((x[r, counts[r]] - centre) @ fit.coef[r])
        at = np.unique(own[kind == 1])
        survivor = censoring_survivor(own, kind)
        staying = (kind == 2) & (own < at[:, None])
        weight = np.where(staying, survivor(at)[:, None] / survivor(own), (own >= at[:, None]).astype(np.float64))
        events = ((own == at[:, None]) & (kind == 1)).sum(axis=1)
        base = np.cumsum(events / (weight @ risk))
        grown = base * np.exp((who - centre) @ fit.coef[r])[:, None]
        incidence[r] = _at(-np.expm1(-grown), at, when)
    return PredictedIncidence(incidence, when, fit.status.copy(), "Fine-Gray")


def _profiles(profiles: ArrayLike, p: int) -> FloatArray:
    who = np.asarray(profiles, dtype=np.float64)
    if who.ndim != 2 or who.shape[1] != p:
        raise ValueError(f"profiles must be (profiles, {p}), not {who.shape}")
    return who


def _cox_increments(time: FloatArray, dead: FloatArray, eta: FloatArray, at: FloatArray, ties: str) -> FloatArray:
    """Baseline hazard at each time of `at`, with the tie rule of the fit."""
    risk = np.exp(eta)
    found = np.zeros(at.size)
    for g, u in enumerate(at):
        now = dead & (time == u)
        d, total, own = int(now.sum()), risk[time >= u].sum(), risk[now].sum()
        gone = np.arange(d) / d if ties == "efron" and d else np.zeros(d)
        found[g] = (1.0 / (total - gone * own)).sum()
    return found


def _at(curves: FloatArray, at: FloatArray, times: FloatArray) -> FloatArray:
    """Right-continuous steps, 0 before the first, at the times asked."""
    padded = np.concatenate([np.zeros((curves.shape[0], 1)), curves], axis=1)
    return padded[:, np.searchsorted(at, times, side="right")]
