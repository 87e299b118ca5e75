"""One patient's CMV course in time order: onset, load, samples, results, treatment and its effect (model.md 5 to 8).

Events at the same time are taken in the order result, stop, start, drug acts, clearance or onset, sample. Visits and
results form one merged queue, because a result acts on care only when it has arrived.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cmvsim.simulation.kernels import layout as at
from cmvsim.simulation.kernels.hazard import INF, advance
from cmvsim.simulation.kernels.load import clearance, controlled, natural, three_digits

Vector = NDArray[np.float64]
Table = NDArray[np.float64]
Codes = NDArray[np.int8]


@njit(cache=True)
def clock(s: Vector, x: Vector, p: Vector, until: float) -> tuple[float, float]:
    """Spend the waiting clock from its mark until `until` under the present treatment."""
    rate = x[at.RATE]
    if s[at.EPISODE] >= 0.0:
        rate *= p[at.RE_EPISODE]
    if s[at.DRUG_ON] > 0.0:
        rate *= p[at.ANTIVIRAL]
    return advance(s[at.MARK], until, s[at.RESIDUAL], rate, p[at.ORIGIN], p[at.SCALE], p[at.SHAPE],
                   x[at.S_START], x[at.S_STOP], p[at.S_LOG], p[at.S_WASH],
                   x[at.C_START], x[at.C_STOP], p[at.C_LOG], p[at.C_WASH], p[at.STEP])


@njit(cache=True)
def switch_drug(s: Vector, x: Vector, p: Vector, t: float, on: float) -> None:
    """Turn the drug on or off; a patient between episodes spends the clock so far and waits on at the new rate."""
    waiting = s[at.ACTIVE] == 0.0 and s[at.T_ONSET] < INF
    if waiting:
        s[at.RESIDUAL] = clock(s, x, p, t)[1]
        s[at.MARK] = t
    s[at.DRUG_ON] = on
    if waiting:
        s[at.T_ONSET] = clock(s, x, p, p[at.HORIZON])[0]


@njit(cache=True)
def load_now(s: Vector, x: Vector, p: Vector, t: float) -> float:
    """Realised log10 load in plasma of the running episode."""
    free = natural(t, s[at.ONSET], p[at.V0], x[at.GROWTH], s[at.PEAK], s[at.PLATEAU_END], s[at.DECAY])
    return min(free, controlled(t, s[at.KNOT_TIME], s[at.KNOT_VALUE], s[at.KNOT_SLOPE]))


@njit(cache=True)
def set_knot(s: Vector, p: Vector, t: float, value: float, slope: float, knots: Table) -> None:
    """Begin a new piece of the controlled course, keep it if the path is wanted, and see when the episode clears."""
    s[at.KNOT_TIME], s[at.KNOT_VALUE], s[at.KNOT_SLOPE] = t, value, slope
    s[at.T_CLEAR] = clearance(p[at.V0], s[at.PEAK], s[at.PLATEAU_END], s[at.DECAY], t, value, slope)
    j = int(s[at.KNOTS])
    if j < knots.shape[0]:
        knots[j, 0], knots[j, 1], knots[j, 2], knots[j, 3] = t, value, slope, s[at.EPISODE]
        s[at.KNOTS] = j + 1.0


@njit(cache=True)
def begin_episode(s: Vector, x: Vector, p: Vector, t: float, out: Table) -> None:
    """Start the next episode at t: set-point (with the steroid shift), plateau, and whether it ends by itself."""
    s[at.EPISODE] += 1.0
    s[at.ACTIVE], s[at.ONSET], s[at.T_ONSET] = 1.0, t, INF
    e = at.EPISODE_TRAITS + int(s[at.EPISODE]) * at.TRAITS_PER_EPISODE
    set_point = x[e + at.E_SET_POINT]
    if x[at.S_START] < t + max(set_point - p[at.V0], 0.0) / x[at.GROWTH]:
        set_point += p[at.SHIFT]
    odds = p[at.SELF_LOGIT] + p[at.SELF_SLOPE] * (set_point - p[at.SELF_CENTRE])
    s[at.PEAK] = max(set_point, p[at.V0])
    s[at.DECAY] = x[e + at.E_DECAY]
    s[at.PLATEAU_END] = INF
    if x[e + at.E_SELF] < 1.0 / (1.0 + math.exp(-odds)):
        s[at.PLATEAU_END] = t + (s[at.PEAK] - p[at.V0]) / x[at.GROWTH] + x[e + at.E_PLATEAU]
    s[at.KNOT_TIME] = INF
    s[at.T_CLEAR] = clearance(p[at.V0], s[at.PEAK], s[at.PLATEAU_END], s[at.DECAY], INF, 0.0, 0.0)
    s[at.T_ACT] = t + p[at.LAG] if s[at.DRUG_ON] > 0.0 else INF
    k = int(s[at.EPISODE])
    out[k, 0], out[k, 1], out[k, 2], out[k, 3] = t, s[at.PEAK], s[at.PLATEAU_END], s[at.DECAY]


@njit(cache=True)
def end_episode(s: Vector, x: Vector, p: Vector, t: float, out: Table) -> None:
    """Clear the episode at t and wait for the next on a fresh exponential."""
    k = int(s[at.EPISODE])
    out[k, 4] = t
    s[at.ACTIVE], s[at.T_CLEAR], s[at.T_ACT], s[at.KNOT_TIME] = 0.0, INF, INF, INF
    if k + 1 < out.shape[0]:
        s[at.MARK] = t
        s[at.RESIDUAL] = x[at.EPISODE_TRAITS + (k + 1) * at.TRAITS_PER_EPISODE + at.E_CLOCK]
        s[at.T_ONSET] = clock(s, x, p, p[at.HORIZON])[0]


@njit(cache=True)
def start_drug(s: Vector, x: Vector, p: Vector, t: float, courses: Table) -> None:
    """Start the antiviral; it acts on a running episode after the lag."""
    switch_drug(s, x, p, t, 1.0)
    s[at.DRUG_SINCE], s[at.T_START], s[at.T_STOP], s[at.NEGATIVE_RUN] = t, INF, t + p[at.MAX_DAYS], 0.0
    courses[int(s[at.COURSE]), 0] = t
    if s[at.ACTIVE] > 0.0:
        s[at.T_ACT] = t + p[at.LAG]


@njit(cache=True)
def stop_drug(s: Vector, x: Vector, p: Vector, t: float, courses: Table, knots: Table) -> None:
    """Stop the antiviral; a controlled episode that still replicates regrows or goes on falling."""
    switch_drug(s, x, p, t, 0.0)
    courses[int(s[at.COURSE]), 1] = t
    s[at.COURSE] += 1.0
    s[at.T_STOP], s[at.T_ACT] = INF, INF
    if s[at.ACTIVE] > 0.0 and s[at.KNOT_TIME] < INF and s[at.KNOT_SLOPE] < 0.0:
        e = at.EPISODE_TRAITS + int(s[at.EPISODE]) * at.TRAITS_PER_EPISODE
        if x[e + at.E_REGROWS] > 0.0:
            set_knot(s, p, t, load_now(s, x, p, t), x[at.GROWTH], knots)


@njit(cache=True)
def act(s: Vector, x: Vector, p: Vector, t: float, knots: Table) -> None:
    """The drug begins to act on the running episode."""
    s[at.T_ACT] = INF
    e = at.EPISODE_TRAITS + int(s[at.EPISODE]) * at.TRAITS_PER_EPISODE
    set_knot(s, p, t, load_now(s, x, p, t), -x[e + at.E_TREATED_DECAY], knots)


@njit(cache=True)
def read_result(s: Vector, x: Vector, p: Vector, t: float, code: int, value: float, episode: int,
                courses: Table, knots: Table) -> None:
    """Act on a result that arrives at t: start, count negatives, or stop."""
    if t > x[at.MONITORED_UNTIL]:
        return
    if s[at.DRUG_ON] > 0.0:
        s[at.NEGATIVE_RUN] = s[at.NEGATIVE_RUN] + 1.0 if code < at.QUANTIFIED else 0.0
        if s[at.NEGATIVE_RUN] >= p[at.NEGATIVES] and t - s[at.DRUG_SINCE] >= p[at.MIN_DAYS]:
            stop_drug(s, x, p, t, courses, knots)
    elif s[at.T_START] == INF and code == at.QUANTIFIED and value >= p[at.START_AT] and s[at.COURSE] < courses.shape[0]:
        if x[at.EPISODE_TRAITS + episode * at.TRAITS_PER_EPISODE + at.E_ACCEPTED] > 0.0:
            s[at.T_START] = t + p[at.DELAY]


@njit(cache=True)
def report(s: Vector, x: Vector, p: Vector, t: float, noise: float) -> tuple[int, float]:
    """What the assay says of a sample taken at t."""
    if s[at.ACTIVE] == 0.0:
        return at.NOT_DETECTED, math.nan
    log10 = load_now(s, x, p, t) + x[at.OFFSET] + p[at.ASSAY_SD] * noise
    if log10 < p[at.LOG10_LOD] - 0.01:  # rounding to three digits moves a value by less than 0.0022 log10
        return at.NOT_DETECTED, math.nan
    value = three_digits(10.0**log10)
    if value >= p[at.LLOQ]:
        return at.QUANTIFIED, value
    return (at.BELOW_LLOQ if value >= p[at.LOD] else at.NOT_DETECTED), math.nan


@njit(cache=True)
def run_until(s: Vector, x: Vector, p: Vector, until: float, queue: Table, head: int, tail: int,
              courses: Table, episodes: Table, knots: Table) -> int:
    """Take all events up to and including `until`; returns the head of the queue of results."""
    while True:
        t_result = queue[head, 0] if head < tail else INF
        t = min(t_result, s[at.T_STOP], s[at.T_START], s[at.T_ACT], s[at.T_CLEAR], s[at.T_ONSET])
        if t > until:
            return head
        if t_result == t:
            read_result(s, x, p, t, int(queue[head, 1]), queue[head, 2], int(queue[head, 3]), courses, knots)
            head += 1
        elif s[at.T_STOP] == t:
            stop_drug(s, x, p, t, courses, knots)
        elif s[at.T_START] == t:
            start_drug(s, x, p, t, courses)
        elif s[at.T_ACT] == t:
            act(s, x, p, t, knots)
        elif s[at.T_CLEAR] == t:
            end_episode(s, x, p, t, episodes)
        else:
            begin_episode(s, x, p, t, episodes)


@njit(cache=True, nogil=True)
def run_patients(traits: Table, p: Vector, visit: Table, noise: Table, code: Codes, load: Table,
                 courses: NDArray[np.float64], episodes: NDArray[np.float64], knots: NDArray[np.float64]) -> None:
    """Run all patients who ever have an episode.

    `traits` (A, T); `visit` and `noise` (A, V), NaN where no sample is taken. Filled in place: `code`, `load` (A, V),
    `courses` (A, C, 2), `episodes` (A, K, 5), `knots` (A, J, 4).
    """
    visits = visit.shape[1]
    queue = np.empty((visits, 4))
    s = np.empty(at.STATE)
    for i in range(traits.shape[0]):
        x = traits[i]
        s[:] = 0.0
        s[at.EPISODE] = -1.0
        s[at.KNOT_TIME] = s[at.T_START] = s[at.T_STOP] = s[at.T_ACT] = s[at.T_CLEAR] = INF
        s[at.T_ONSET] = x[at.FIRST_ONSET]
        head, tail, last = 0, 0, -INF
        for v in range(visits):
            t = visit[i, v]
            if math.isnan(t):
                continue
            head = run_until(s, x, p, t, queue, head, tail, courses[i], episodes[i], knots[i])
            c, value = report(s, x, p, t, noise[i, v])
            code[i, v], load[i, v] = c, value
            last = max(t + p[at.TURNAROUND], last)
            queue[tail, 0], queue[tail, 1], queue[tail, 2], queue[tail, 3] = last, c, value, s[at.EPISODE]
            tail += 1
        run_until(s, x, p, p[at.HORIZON], queue, head, tail, courses[i], episodes[i], knots[i])
