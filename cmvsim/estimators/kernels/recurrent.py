"""Mean cumulative function of recurrent events over replicates: one sweep over days, then each patient's influence."""

from __future__ import annotations

import numpy as np
from numba import njit

from cmvsim.core.records import FloatArray, IntArray


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_recurrent(
    events: FloatArray,
    exit_time: FloatArray,
    entry: FloatArray,
    died: IntArray,
    horizon: float,
    robust: bool,
    estimate: FloatArray,
    variance: FloatArray,
    exposure: FloatArray,
    n_patients: IntArray,
    n_events: IntArray,
) -> None:
    """Fill the outputs, shape (replicates,); `entry` may have no columns, `exit_time` NaN is not in the analysis.

    `events` is (replicates, patients, most events of a patient), NaN where there is none; `exposure` the observed
    share of the time to the horizon, summed over patients, a death counting as observed to the horizon.
    """
    n_replicates, n_rows, n_most = events.shape
    late = entry.shape[1] > 0
    leaves = np.empty(n_rows)
    enters = np.empty(n_rows)
    moments = np.empty(n_rows * (n_most + 1))
    place = np.empty((n_rows, n_most + 1), dtype=np.int64)  # of each event, and last of the death, in the grid; else -1
    for r in range(n_replicates):
        n = 0
        found = 0
        counted = 0
        exposed = 0.0
        for i in range(n_rows):
            last = exit_time[r, i]
            first = entry[r, i] if late else -np.inf
            if not (np.isfinite(last) and first < last):
                continue
            leaves[n] = last
            enters[n] = first
            n += 1
            seen_from = min(max(first, 0.0), horizon)
            seen_to = horizon if died[r, i] > 0 else min(last, horizon)
            exposed += max(seen_to - seen_from, 0.0) / horizon
            for k in range(n_most):
                t = events[r, i, k]
                if t > first and t <= last and t <= horizon:
                    moments[found] = t
                    found += 1
                    counted += 1
            if died[r, i] > 0 and last <= horizon:
                moments[found] = last
                found += 1
        n_patients[r] = n
        n_events[r] = counted
        exposure[r] = exposed
        estimate[r] = 0.0 if n > 0 else np.nan
        variance[r] = 0.0 if n > 0 else np.nan
        if n == 0 or counted == 0:
            continue
        # distinct moments at which somebody has an event or dies
        moments[:found] = np.sort(moments[:found])
        m = 1
        for g in range(1, found):
            if moments[g] != moments[m - 1]:
                moments[m] = moments[g]
                m += 1
        grid = moments[:m]
        dN = np.zeros(m)
        dD = np.zeros(m)
        place[:] = -1
        for i in range(n_rows):
            last = exit_time[r, i]
            first = entry[r, i] if late else -np.inf
            if not (np.isfinite(last) and first < last):
                continue
            for k in range(n_most):
                t = events[r, i, k]
                if t > first and t <= last and t <= horizon:
                    place[i, k] = np.searchsorted(grid, t)
                    dN[place[i, k]] += 1.0
            if died[r, i] > 0 and last <= horizon:
                place[i, n_most] = np.searchsorted(grid, last)
                dD[place[i, n_most]] += 1.0
        by_exit = np.sort(leaves[:n])
        by_entry = np.sort(enters[:n])
        Y = np.empty(m)
        S = np.empty(m)  # survival just before
        mu = np.empty(m)  # mean cumulative function at
        gone = 0
        come = 0
        alive = 1.0
        total = 0.0
        poisson = 0.0
        for g in range(m):
            while gone < n and by_exit[gone] < grid[g]:
                gone += 1
            while come < n and by_entry[come] < grid[g]:
                come += 1
            Y[g] = come - gone
            S[g] = alive
            total += alive * dN[g] / Y[g]
            poisson += dN[g] * (alive / Y[g]) ** 2
            mu[g] = total
            alive *= 1.0 - dD[g] / Y[g]
        estimate[r] = total
        if not robust:
            variance[r] = poisson
            continue
        # cumulative compensators: of the events, and of the deaths that take away what is still to come
        event_part = np.zeros(m + 1)
        death_part = np.zeros(m + 1)
        for g in range(m):
            event_part[g + 1] = event_part[g] + S[g] * dN[g] / (Y[g] * Y[g])
            lost = (total - mu[g]) / (1.0 - dD[g] / Y[g]) if dD[g] < Y[g] else 0.0
            death_part[g + 1] = death_part[g] + lost * dD[g] / (Y[g] * Y[g])
        squares = 0.0
        for i in range(n_rows):
            last = exit_time[r, i]
            first = entry[r, i] if late else -np.inf
            if not (np.isfinite(last) and first < last):
                continue
            out = np.searchsorted(grid, last, side="right")
            into = np.searchsorted(grid, first, side="right")
            influence = death_part[out] - death_part[into] - event_part[out] + event_part[into]
            for k in range(n_most):
                if place[i, k] >= 0:
                    influence += S[place[i, k]] / Y[place[i, k]]
            g = place[i, n_most]
            if g >= 0 and dD[g] < Y[g]:
                influence -= (total - mu[g]) / (1.0 - dD[g] / Y[g]) / Y[g]
            squares += influence * influence
        variance[r] = squares
