"""One patient's CMV course in time order: onset, load, samples, results, treatment and its effect (model.md 5 to 8).

Events at the same time are taken in the order result, stop, start, drug acts, clearance or onset, sample. Visits and
results form one merged queue, because a result acts on care only when it has arrived.

For speed: an array given to a helper costs seven words and an atomic reference count, so that what happens at every
visit takes scalars, what happens at an event takes a patient's state, traits and the parameters only, and outputs are
written by the loop; the time of the next event is kept, so that most visits meet one comparison.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cmvsim.simulation.kernels import layout as at
from cmvsim.simulation.kernels.hazard import INF, not_yet, spend
from cmvsim.simulation.kernels.load import clearance, realised, reported

Vector = NDArray[np.float64]
Rows = NDArray[np.int64]
Table = NDArray[np.float64]
Cube = NDArray[np.float64]
Codes = NDArray[np.int8]

BLOCK = 64  # patients whose inputs are fetched together


@njit(cache=True, error_model="numpy")
def clock(s: Vector, x: Vector, p: Vector, until: float, survival_until: float) -> tuple[float, float]:
    """Spend the waiting clock from its mark until `until` under the present treatment."""
    rate = x[at.RATE]
    if s[at.EPISODE] >= 0.0:
        rate *= p[at.RE_EPISODE]
    if s[at.DRUG_ON] > 0.0:
        rate *= p[at.ANTIVIRAL]
    return spend(
        s[at.MARK],
        until,
        survival_until,
        s[at.RESIDUAL],
        rate,
        p[at.ORIGIN],
        p[at.SCALE],
        p[at.SHAPE],
        x[at.S_START],
        x[at.S_STOP],
        p[at.S_LOG],
        p[at.S_WASH],
        x[at.C_START],
        x[at.C_STOP],
        p[at.C_LOG],
        p[at.C_WASH],
        p[at.STEP],
    )


@njit(cache=True, error_model="numpy")
def switch_drug(s: Vector, x: Vector, p: Vector, t: float, on: float) -> None:
    """Turn the drug on or off; a patient between episodes spends the clock so far and waits on at the new rate."""
    waiting = s[at.WAITING] > 0.0  # also when the next onset is out of sight at the present rate
    if waiting:
        s[at.RESIDUAL] = clock(s, x, p, t, not_yet(t, p[at.ORIGIN], p[at.SCALE], p[at.SHAPE]))[1]
        s[at.MARK] = t
    s[at.DRUG_ON] = on
    if waiting:
        s[at.T_ONSET] = clock(s, x, p, p[at.HORIZON], p[at.HORIZON_SURVIVAL])[0]


@njit(cache=True, error_model="numpy")
def load_now(s: Vector, x: Vector, p: Vector, t: float) -> float:
    """Realised log10 load in plasma of the running episode."""
    return realised(
        t,
        s[at.ONSET],
        p[at.V0],
        x[at.GROWTH],
        s[at.PEAK],
        s[at.PLATEAU_END],
        s[at.DECAY],
        s[at.KNOT_TIME],
        s[at.KNOT_VALUE],
        s[at.KNOT_SLOPE],
    )


@njit(cache=True, error_model="numpy")
def set_knot(s: Vector, p: Vector, t: float, value: float, slope: float) -> None:
    """Begin a new piece of the controlled course and see when the episode clears."""
    s[at.KNOT_TIME], s[at.KNOT_VALUE], s[at.KNOT_SLOPE] = t, value, slope
    s[at.T_CLEAR] = clearance(p[at.V0], s[at.PEAK], s[at.PLATEAU_END], s[at.DECAY], t, value, slope)
    s[at.KNOTS] += 1.0


@njit(cache=True, error_model="numpy")
def begin_episode(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """Start the next episode at t: set-point (with the steroid shift), plateau, and whether it ends by itself."""
    s[at.EPISODE] += 1.0
    s[at.ACTIVE], s[at.WAITING], s[at.ONSET], s[at.T_ONSET] = 1.0, 0.0, t, INF
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


@njit(cache=True, error_model="numpy")
def end_episode(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """Clear the episode at t and wait for the next on a fresh exponential."""
    k = int(s[at.EPISODE])
    s[at.ACTIVE], s[at.T_CLEAR], s[at.T_ACT], s[at.KNOT_TIME] = 0.0, INF, INF, INF
    if k + 1 < (x.size - at.EPISODE_TRAITS) // at.TRAITS_PER_EPISODE:
        s[at.MARK] = t
        s[at.RESIDUAL] = x[at.EPISODE_TRAITS + (k + 1) * at.TRAITS_PER_EPISODE + at.E_CLOCK]
        # most clocks outlast the horizon, and an upper bound of the hazard to come tells so without walking the pieces
        left = not_yet(t, p[at.ORIGIN], p[at.SCALE], p[at.SHAPE]) - p[at.HORIZON_SURVIVAL]
        if x[at.RATE] * p[at.HIGHEST_RATIO] * left * (1.0 + 1e-9) + 1e-12 < s[at.RESIDUAL]:
            return
        s[at.WAITING] = 1.0
        s[at.T_ONSET] = clock(s, x, p, p[at.HORIZON], p[at.HORIZON_SURVIVAL])[0]


@njit(cache=True, error_model="numpy")
def start_drug(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """Start the antiviral; it acts on a running episode after the lag."""
    switch_drug(s, x, p, t, 1.0)
    s[at.DRUG_SINCE], s[at.T_START], s[at.T_STOP], s[at.NEGATIVE_RUN] = t, INF, t + p[at.MAX_DAYS], 0.0
    if s[at.ACTIVE] > 0.0:
        s[at.T_ACT] = t + p[at.LAG]


@njit(cache=True, error_model="numpy")
def stop_drug(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """Stop the antiviral; a controlled episode that still replicates regrows or goes on falling."""
    switch_drug(s, x, p, t, 0.0)
    s[at.COURSE] += 1.0
    s[at.T_STOP], s[at.T_ACT] = INF, INF
    if s[at.ACTIVE] > 0.0 and s[at.KNOT_TIME] < INF and s[at.KNOT_SLOPE] < 0.0:
        e = at.EPISODE_TRAITS + int(s[at.EPISODE]) * at.TRAITS_PER_EPISODE
        if x[e + at.E_REGROWS] > 0.0:
            set_knot(s, p, t, load_now(s, x, p, t), x[at.GROWTH])


@njit(cache=True, error_model="numpy")
def act(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """The drug begins to act on the running episode."""
    s[at.T_ACT] = INF
    e = at.EPISODE_TRAITS + int(s[at.EPISODE]) * at.TRAITS_PER_EPISODE
    set_knot(s, p, t, load_now(s, x, p, t), -x[e + at.E_TREATED_DECAY])


@njit(cache=True, error_model="numpy")
def read_result(s: Vector, x: Vector, p: Vector, t: float, code: int, value: float, episode: int) -> None:
    """Act on a result that arrives at t: start, count negatives, or stop."""
    if t > x[at.MONITORED_UNTIL]:
        return
    if s[at.DRUG_ON] > 0.0:
        s[at.NEGATIVE_RUN] = s[at.NEGATIVE_RUN] + 1.0 if code < at.QUANTIFIED else 0.0
        if s[at.NEGATIVE_RUN] >= p[at.NEGATIVES] and t - s[at.DRUG_SINCE] >= p[at.MIN_DAYS]:
            stop_drug(s, x, p, t)
    elif (
        s[at.T_START] == INF
        and code == at.QUANTIFIED
        and value >= p[at.START_AT]
        and s[at.COURSE] < p[at.COURSES]
        and x[at.EPISODE_TRAITS + episode * at.TRAITS_PER_EPISODE + at.E_ACCEPTED] > 0.0
    ):
        s[at.T_START] = t + p[at.DELAY]


@njit(cache=True, error_model="numpy", inline="always")
def report(s: Vector, x: Vector, p: Vector, t: float, noise: float) -> tuple[int, float]:
    """What the assay says of a sample taken at t."""
    if s[at.ACTIVE] == 0.0:
        return at.NOT_DETECTED, math.nan
    log10 = (
        realised(
            t,
            s[at.ONSET],
            p[at.V0],
            x[at.GROWTH],
            s[at.PEAK],
            s[at.PLATEAU_END],
            s[at.DECAY],
            s[at.KNOT_TIME],
            s[at.KNOT_VALUE],
            s[at.KNOT_SLOPE],
        )
        + x[at.OFFSET]
        + p[at.ASSAY_SD] * noise
    )
    return reported(log10, p[at.LOD], p[at.LLOQ], p[at.LOG10_LOD], p[at.LOG10_LLOQ])


@njit(cache=True, error_model="numpy")
def take_event(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """Take the first of the events at t that is no result."""
    if s[at.T_STOP] == t:
        stop_drug(s, x, p, t)
    elif s[at.T_START] == t:
        start_drug(s, x, p, t)
    elif s[at.T_ACT] == t:
        act(s, x, p, t)
    elif s[at.T_CLEAR] == t:
        end_episode(s, x, p, t)
    else:
        begin_episode(s, x, p, t)


@njit(cache=True, error_model="numpy")
def fetch(rows: Rows, first: int, size: int, source: Table, to: Table) -> None:
    """Copy columns ``rows[first:first + size]`` of `source` to rows of `to`.

    The tables are larger than the near caches, and a patient touches a line in each of their many rows: fetched in
    bursts, apart from the branches of the course, those accesses overlap.
    """
    for j in range(source.shape[0]):
        for b in range(size):
            to[b, j] = source[j, rows[first + b]]


@njit(cache=True, nogil=True, error_model="numpy")
def run_patients(
    rows: Rows,
    traits: Table,
    p: Vector,
    visit: Table,
    noise: Table,
    code: Codes,
    load: Table,
    start: Table,
    stop: Table,
    episodes: Cube,
    knots: Cube,
) -> None:
    """Run all patients who ever have an episode.

    Without the path these are the patients with an episode by their last visit: later ones leave no trace.
    `rows` (A,) says which they are and `traits` (T, A) is theirs alone; everything else is of all P patients: `visit`
    and `noise` (V, P), NaN where no sample is taken. Filled in place where something happens, so they come with what
    holds otherwise: `code`, `load` (V, P), `start`, `stop` (C, P), `episodes` (P, K, 5), `knots` (P, J, 4); the last
    two are empty unless the path is wanted.
    """
    visits, last_visit, path = visit.shape[0], visit.shape[0] - 1, episodes.shape[0] > 0
    q_time, q_value = np.empty(visits), np.empty(visits)
    q_code, q_episode = np.empty(visits, np.int64), np.empty(visits, np.int64)
    s, x = np.empty(at.STATE), np.empty(traits.shape[0])
    times, noises, fetched = np.empty((BLOCK, visits)), np.empty((BLOCK, visits)), np.empty((BLOCK, x.size))
    order = np.arange(rows.size)
    for a in range(rows.size):
        i, b = rows[a], a % BLOCK
        if b == 0:
            size = min(BLOCK, rows.size - a)
            fetch(rows, a, size, visit, times)
            fetch(rows, a, size, noise, noises)
            fetch(order, a, size, traits, fetched)
        for j in range(x.size):
            x[j] = fetched[b, j]
        for j in range(s.size):
            s[j] = 0.0
        s[at.EPISODE] = -1.0
        s[at.KNOT_TIME] = s[at.T_START] = s[at.T_STOP] = s[at.T_ACT] = s[at.T_CLEAR] = INF
        s[at.T_ONSET] = x[at.FIRST_ONSET]
        head, tail, last = 0, 0, -INF
        first = x[at.FIRST_ONSET]
        t_result, t_event = INF, first
        for v in range(visits + 1):  # past the last visit, on to the horizon
            until = times[b, v] if v <= last_visit else p[at.HORIZON]
            if math.isnan(until):
                continue
            if until < first:  # nothing is found, and the result arrives before there is a drug to stop
                last = max(until + p[at.TURNAROUND], last)
                continue
            if v > last_visit and not path:  # nobody sees the load any more: only the drug's own events are left
                s[at.T_ACT] = s[at.T_CLEAR] = s[at.T_ONSET] = INF
                t_event = min(s[at.T_STOP], s[at.T_START])
            while min(t_result, t_event) <= until:
                course, knot, episode, active = int(s[at.COURSE]), int(s[at.KNOTS]), int(s[at.EPISODE]), s[at.ACTIVE]
                on = s[at.DRUG_ON]
                if t_result <= t_event:
                    t, c = t_result, q_code[head]
                    matters = on > 0.0 or c == at.QUANTIFIED
                    if matters:
                        read_result(s, x, p, t, c, q_value[head], q_episode[head])
                    head += 1
                    t_result = q_time[head] if head < tail else INF
                    if not matters:
                        continue
                else:
                    t = t_event
                    take_event(s, x, p, t)
                t_event = min(s[at.T_STOP], s[at.T_START], s[at.T_ACT], s[at.T_CLEAR], s[at.T_ONSET])
                if s[at.DRUG_ON] > on:
                    start[course, i] = t
                elif s[at.DRUG_ON] < on:
                    stop[course, i] = t
                if path:
                    if s[at.ACTIVE] < active:
                        episodes[i, episode, 4] = t
                    elif s[at.ACTIVE] > active:
                        k = episode + 1
                        episodes[i, k, 0], episodes[i, k, 1] = t, s[at.PEAK]
                        episodes[i, k, 2], episodes[i, k, 3] = s[at.PLATEAU_END], s[at.DECAY]
                    if s[at.KNOTS] > knot and knot < knots.shape[1]:
                        knots[i, knot, 0], knots[i, knot, 1] = t, s[at.KNOT_VALUE]
                        knots[i, knot, 2], knots[i, knot, 3] = s[at.KNOT_SLOPE], s[at.EPISODE]
            if v > last_visit:
                continue
            c, value = at.NOT_DETECTED, math.nan
            if s[at.ACTIVE] > 0.0:
                c, value = report(s, x, p, until, noises[b, v])
                code[v, i], load[v, i] = c, value
            last = max(until + p[at.TURNAROUND], last)
            q_time[tail], q_code[tail], q_value[tail], q_episode[tail] = last, c, value, int(s[at.EPISODE])
            if head == tail:
                t_result = last
            tail += 1
