"""Multi-state paths of one data set: transition and occupation probabilities, the matrix Aalen-Johansen estimator.

P(s, t) is the product over the transition times in (s, t] of I + dA, where dA[a, b] is the number of transitions from
a to b over the number in state a just before, and the rows of dA add up to 0. States may be left and entered again.
The estimate of the occupation probabilities from it does not need the Markov property (Datta and Satten 2001); that
of a transition probability does.

At risk in a state at t: start < t <= stop. The covariance is the Greenwood-type one of Andersen, Borgan, Gill and
Keiding (1993, formula 4.4.19): the recursion over transition times with multinomial increments of each state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.records import BoolArray, FloatArray, IntArray, Status


@dataclass(frozen=True, slots=True)
class TransitionProbabilities:
    """P(s, t) at many times t; S states.

    Attributes
    ----------
    times
        As asked, (times,).
    probability, variance
        From each state (rows) to each state, (times, S, S), and the variance of each entry. NaN in the rows of states
        that never anybody was at risk in after `since`.
    occupation, occupation_variance
        Probability of each state, (times, S), from the distribution of states just after `since`, which is taken as
        given.
    initial
        That distribution, (S,).
    transitions, censored
        Number of transitions from each state (rows) to each, (S, S), and of stays that end by censoring, (S,); over
        the whole data.
    n
        Stays in the analysis.
    status
        OK or ``EMPTY``; with nobody at risk just after `since` the occupation is NaN.
    """

    times: FloatArray
    probability: FloatArray
    variance: FloatArray
    occupation: FloatArray
    occupation_variance: FloatArray
    initial: FloatArray
    transitions: IntArray
    censored: IntArray
    n: int
    status: Status


def transition_probabilities(
    start: ArrayLike,
    stop: ArrayLike,
    origin: ArrayLike,
    target: ArrayLike,
    times: ArrayLike,
    *,
    states: int,
    since: float = 0.0,
) -> TransitionProbabilities:
    """Matrix Aalen-Johansen estimator from stays.

    Parameters
    ----------
    start, stop
        Of each stay in a state, (stays,); a patient's stays abut. A stay that does not begin before it ends, or with
        a NaN, is not in the analysis.
    origin
        State of the stay, 0, 1, ..., states - 1.
    target
        State entered at `stop`; -1, or the state itself, is a censoring.
    times
        Where to evaluate, (times,), in any order; before `since` is NaN.
    states
        Number of states.
    since
        s; the product runs over transitions in (since, t].

    Returns
    -------
    TransitionProbabilities
        After the last transition the product stays as it is.

    Raises
    ------
    ValueError
        If shapes do not fit or a state is unknown.

    Notes
    -----
    Aalen and Johansen (1978). Agreement with R's etm is tested to 1e-8.
    """
    begin, end, left, right, at = _check(start, stop, origin, target, times, states)
    moves = (right >= 0) & (right != left)
    transitions = np.zeros((states, states), dtype=np.int64)
    np.add.at(transitions, (left[moves], right[moves]), 1)
    censored = np.bincount(left[~moves], minlength=states).astype(np.int64)
    shape = (at.size, states, states)
    probability, variance = np.full(shape, np.nan), np.full(shape, np.nan)
    occupation, spread = np.full(shape[:2], np.nan), np.full(shape[:2], np.nan)
    there = np.bincount(left[(begin <= since) & (end > since)], minlength=states).astype(np.float64)
    initial = there / there.sum() if there.sum() > 0 else np.full(states, np.nan)
    known = at >= since
    product, covariance = np.eye(states), np.zeros((states**2, states**2))
    moments = np.unique(end[moves & (end > since)])
    asked = np.argsort(at, kind="stable")
    asked = asked[known[asked]]
    place = 0
    for moment in [*moments.tolist(), np.inf]:
        while place < asked.size and at[asked[place]] < moment:
            k = asked[place]
            probability[k] = product
            variance[k] = np.diag(covariance).reshape(states, states, order="F")
            occupation[k] = initial @ product
            spread[k] = _occupation_variance(initial, covariance)
            place += 1
        if moment < np.inf:
            product, covariance = _step(product, covariance, begin, end, left, right, moves, moment)
    if left.size:
        never = ~np.isin(np.arange(states), left[end > since]) & ~np.isin(np.arange(states), right[moves])
        probability[:, never], variance[:, never] = np.nan, np.nan
    status = Status.OK if left.size else Status.EMPTY
    if status == Status.EMPTY:
        probability[:], variance[:] = np.nan, np.nan
    return TransitionProbabilities(
        at, probability, variance, occupation, spread, initial, transitions, censored, int(left.size), status
    )


def _step(
    product: FloatArray,
    covariance: FloatArray,
    begin: FloatArray,
    end: FloatArray,
    left: IntArray,
    right: IntArray,
    moves: BoolArray,
    moment: float,
) -> tuple[FloatArray, FloatArray]:
    """One factor of the product; the covariance is that of the entries column by column."""
    states = product.shape[0]
    at_risk = np.bincount(left[(begin < moment) & (end >= moment)], minlength=states).astype(np.float64)
    now = moves & (end == moment)
    moved = np.zeros((states, states))
    np.add.at(moved, (left[now], right[now]), 1.0)
    present = np.maximum(at_risk, 1.0)
    hazards = moved / present[:, None]
    np.fill_diagonal(hazards, -hazards.sum(axis=1))
    # multinomial increments of each state's row, independent between states
    increments = np.zeros((states**2, states**2))
    for a in np.flatnonzero(moved.any(axis=1)):
        share = np.where(np.arange(states) == a, 1.0 + hazards[a], hazards[a])
        block = (np.diag(share) - np.outer(share, share)) / present[a]
        increments[np.ix_(a + states * np.arange(states), a + states * np.arange(states))] = block
    factor = np.eye(states) + hazards
    along, across = np.kron(factor.T, np.eye(states)), np.kron(np.eye(states), product)
    return product @ factor, along @ covariance @ along.T + across @ increments @ across.T


def _occupation_variance(initial: FloatArray, covariance: FloatArray) -> FloatArray:
    """Variances of initial @ P, `initial` fixed."""
    states = initial.size
    blocks = covariance.reshape(states, states, states, states)  # (column, row, column, row)
    return np.asarray(np.einsum("bacd,a,d,bc->b", blocks, initial, initial, np.eye(states)))


def _check(
    start: ArrayLike, stop: ArrayLike, origin: ArrayLike, target: ArrayLike, times: ArrayLike, states: int
) -> tuple[FloatArray, FloatArray, IntArray, IntArray, FloatArray]:
    begin, end = np.asarray(start, dtype=np.float64), np.asarray(stop, dtype=np.float64)
    left, right = np.asarray(origin, dtype=np.int64), np.asarray(target, dtype=np.int64)
    at = np.asarray(times, dtype=np.float64)
    if begin.ndim != 1 or any(a.shape != begin.shape for a in (end, left, right)) or at.ndim != 1:
        shapes = ", ".join(str(a.shape) for a in (begin, end, left, right, at))
        raise ValueError(f"start, stop, origin and target must all be (stays,), times (times,), not {shapes}")
    if left.size and not (left.min() >= 0 and left.max() < states and right.max() < states):
        raise ValueError(f"states must be 0 to {states - 1}; -1 as target is a censoring")
    used = begin < end
    return begin[used], end[used], left[used], right[used], at
