"""One patient's CMV course in time order: onset, load, samples, results, treatment and its effect (model.md 5 to 9).

Events at the same time are taken in the order result, stop, toxicity, start, drug acts, clearance, disease, onset, sample.
Samples and results form one merged queue, because a result acts on care only when it has arrived.

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
from cmvsim.simulation.kernels.course_events import pause_disease, read_result, see_disease, take_event
from cmvsim.simulation.kernels.hazard import INF
from cmvsim.simulation.kernels.load import realised, reported

Vector = NDArray[np.float64]
Rows = NDArray[np.int64]
Table = NDArray[np.float64]
Cube = NDArray[np.float64]
Codes = NDArray[np.int8]
Flags = NDArray[np.bool_]

BLOCK = 64  # patients whose inputs are fetched together


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
def fetch(rows: Rows, first: int, size: int, source: Table, to: Table) -> None:
    """Copy columns ``rows[first:first + size]`` of `source` to rows of `to`.

    The tables are larger than the near caches, and a patient touches a line in each of their many rows: fetched in
    bursts, apart from the branches of the course, those accesses overlap.
    """
    for j in range(source.shape[0]):
        for b in range(size):
            to[b, j] = source[j, rows[first + b]]


@njit(cache=True, error_model="numpy")
def begin_patient(s: Vector, x: Vector) -> None:
    """The state of a patient before anything has happened."""
    s[:] = 0.0
    s[at.EPISODE] = -1.0
    s[at.KNOT_TIME] = s[at.T_START] = s[at.T_STOP] = s[at.T_TOXICITY] = s[at.T_ACT] = s[at.T_CLEAR] = s[at.T_DISEASE] = INF
    s[at.NEUTROPENIA_AT] = s[at.KIDNEY_AT] = s[at.DISEASE_AT] = INF
    s[at.LAST_SAMPLE] = -INF
    s[at.T_ONSET] = x[at.FIRST_ONSET]
    s[at.NEUTROPENIA_LEFT], s[at.KIDNEY_LEFT] = x[at.NEUTROPENIA_CLOCK], x[at.KIDNEY_CLOCK]
    s[at.DISEASE_LEFT] = x[at.DISEASE_CLOCK]


@njit(cache=True, nogil=True, error_model="numpy")
def run_patients(
    rows: Rows,
    traits: Table,
    p: Vector,
    factors: Table,
    clinical: Rows,
    due: Flags,
    time: Table,
    noise: Table,
    code: Codes,
    load: Table,
    courses: Cube,
    spells: Cube,
    events: Table,
    used: Rows,
    episodes: Cube,
    knots: Cube,
) -> None:
    """Run all patients who ever have an episode.

    Without `episodes` these are the patients with an episode by their last visit, or whom disease may befall: others
    leave no trace.
    `rows` (A,) says which of all P patients they are. Theirs alone, in their order: `traits` (T, A) and the outputs
    `courses` (A, C, 2) start and stop of treatments, `spells` (A, S, 3) drug, start, stop, `events` (A, 3) disease,
    neutropenia on ganciclovir, kidney injury on foscarnet, `episodes` (A, K, 5) and `knots` (A, J, 4), each of these two
    empty unless wanted. They come filled with NaN. `used` (2,) becomes the most treatments and spells of anybody.
    Of all patients: `noise` (V + D, P), and `time`, `code`, `load` (V + D, P), samples of the V planned visits and of
    the D days `clinical` on which a clinician may ask for one; they hold what is known without CMV, NaN where no sample
    is taken. `due` (D, P) are the tests that are made whatever was found.
    """
    days, rows_of_samples = clinical.size, time.shape[0]
    visits = rows_of_samples - days
    latent, last_row = episodes.shape[1] > 0, rows_of_samples
    q_time, q_value = np.empty(rows_of_samples), np.empty(rows_of_samples)
    q_code, q_episode = np.empty(rows_of_samples, np.int64), np.empty(rows_of_samples, np.int64)
    s, x = np.empty(at.STATE), np.empty(traits.shape[0])
    times, noises = np.empty((BLOCK, rows_of_samples)), np.empty((BLOCK, rows_of_samples))
    fetched = np.empty((BLOCK, x.size))
    order = np.arange(rows.size)
    reads_all = days > 0 or p[at.CONFIRMATIONS] > 0.0
    for a in range(rows.size):
        i, b = rows[a], a % BLOCK
        if b == 0:
            size = min(BLOCK, rows.size - a)
            fetch(rows, a, size, time, times)
            fetch(rows, a, size, noise, noises)
            fetch(order, a, size, traits, fetched)
        for j in range(x.size):
            x[j] = fetched[b, j]
        begin_patient(s, x)
        head, tail, last = 0, 0, -INF
        first = x[at.FIRST_ONSET]
        t_result, t_event = INF, first
        v, d = 0, 0
        while True:  # through planned visits and possible days of clinical tests in time order, then on to the horizon
            while v < visits and math.isnan(times[b, v]):
                v += 1
            until, row = p[at.HORIZON], last_row
            if v < visits:
                until, row = times[b, v], v
            if d < days and clinical[d] < until:
                until, row = clinical[d], visits + d
            if row == last_row:
                if v >= visits and d >= days and not latent and s[at.DISEASE_LEFT] == INF:
                    # nobody sees the load any more: only the drug's own events are left
                    s[at.T_ACT] = s[at.T_CLEAR] = s[at.T_ONSET] = INF
                    t_event = min(s[at.T_STOP], s[at.T_TOXICITY], s[at.T_START])
            elif row < visits:
                v += 1
                if d < days and clinical[d] == until:
                    d += 1
            else:
                d += 1
            if until < first:  # nothing is found
                if row < visits or due[row - visits, i]:
                    last = max(until + p[at.TURNAROUND], last)
                    s[at.LAST_SAMPLE] = until
                    if last >= first:  # it may arrive during a treatment of early disease
                        q_time[tail], q_code[tail], q_value[tail], q_episode[tail] = last, at.NOT_DETECTED, math.nan, -1
                        if head == tail:
                            t_result = last
                        tail += 1
                if row == last_row:
                    break
                continue
            while min(t_result, t_event) <= until:
                course, spell, knot, episode = int(s[at.COURSE]), int(s[at.SPELL]), int(s[at.KNOTS]), int(s[at.EPISODE])
                active, on = s[at.ACTIVE], s[at.DRUG]
                if t_result <= t_event:
                    t, c = t_result, q_code[head]
                    value, of = q_value[head], q_episode[head]
                    head += 1
                    t_result = q_time[head] if head < tail else INF
                    if on == 0.0 and c < at.QUANTIFIED and not reads_all:
                        continue
                    if on > 0.0:
                        pause_disease(s, x, p, t)
                    read_result(s, x, p, factors, t, c, value, of)
                    if on > 0.0:
                        see_disease(s, x, p, t)
                else:
                    t = t_event
                    take_event(s, x, p, factors, t)
                t_event = min(
                    s[at.T_STOP], s[at.T_TOXICITY], s[at.T_START], s[at.T_ACT], s[at.T_CLEAR], s[at.T_DISEASE], s[at.T_ONSET]
                )
                now, given = s[at.DRUG], int(s[at.SPELL])
                if on > 0.0 and (now == 0.0 or given > spell) and spell <= spells.shape[1]:
                    spells[a, spell - 1, 2] = t
                if given > spell and given <= spells.shape[1]:
                    spells[a, spell, 0], spells[a, spell, 1] = now, t
                if on == 0.0 and now > 0.0:
                    courses[a, course, 0] = t
                elif on > 0.0 and now == 0.0:
                    courses[a, course, 1] = t
                if latent:
                    if s[at.ACTIVE] < active:
                        episodes[a, episode, 4] = t
                    elif s[at.ACTIVE] > active:
                        k = episode + 1
                        episodes[a, k, 0], episodes[a, k, 1] = t, s[at.PEAK]
                        episodes[a, k, 2], episodes[a, k, 3] = s[at.PLATEAU_END], s[at.DECAY]
                    if s[at.KNOTS] > knot and knot < knots.shape[1]:
                        knots[a, knot, 0], knots[a, knot, 1] = t, s[at.KNOT_VALUE]
                        knots[a, knot, 2], knots[a, knot, 3] = s[at.KNOT_SLOPE], s[at.EPISODE]
            if row == last_row:
                break
            if row >= visits and not due[row - visits, i]:
                follows = s[at.FOLLOW_UP] > 0.0 and until - s[at.LAST_SAMPLE] >= x[at.FOLLOW_UP_EVERY]
                if not follows or until > x[at.MONITORED_UNTIL]:
                    continue
                time[row, i], code[row, i] = until, at.NOT_DETECTED
            c, value = at.NOT_DETECTED, math.nan
            if s[at.ACTIVE] > 0.0:
                c, value = report(s, x, p, until, noises[b, row])
                code[row, i], load[row, i] = c, value
            s[at.LAST_SAMPLE] = until
            last = max(until + p[at.TURNAROUND], last)
            q_time[tail], q_code[tail], q_value[tail], q_episode[tail] = last, c, value, int(s[at.EPISODE])
            if head == tail:
                t_result = last
            tail += 1
        events[a, 0], events[a, 1], events[a, 2] = s[at.DISEASE_AT], s[at.NEUTROPENIA_AT], s[at.KIDNEY_AT]
        begun = int(s[at.COURSE]) + (1 if s[at.DRUG] > 0.0 else 0)
        used[0], used[1] = max(used[0], begun), max(used[1], int(s[at.SPELL]))
