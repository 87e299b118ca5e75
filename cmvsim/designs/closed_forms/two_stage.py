"""Single-arm designs with stages: Simon's two-stage designs and exact group-sequential boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.designs.closed_forms.basics import binomial_at_least, binomial_pmf, require, require_probability
from cmvsim.designs.closed_forms.one_sample import binomial_critical

LARGEST_SIMON = 300


@dataclass(frozen=True, slots=True)
class SimonDesign:
    """A two-stage design: stop after `n1` patients with at most `r1` responses; else claim with more than `r` of `n`.

    Attributes
    ----------
    r1, n1, r, n
        The boundaries and the cumulative numbers of patients.
    expected_n
        Expected number of patients when the proportion is p0.
    early_stop
        Probability of stopping after the first stage when the proportion is p0.
    attained, power
        Probability of the claim at p0 and at p1.
    """

    r1: int
    n1: int
    r: int
    n: int
    expected_n: float
    early_stop: float
    attained: float
    power: float


@dataclass(frozen=True, slots=True)
class SimonDesigns:
    """`optimal` has the smallest expected number of patients at p0, `minimax` the smallest n (then expected number)."""

    optimal: SimonDesign
    minimax: SimonDesign


@dataclass(frozen=True, slots=True)
class StageProbabilities:
    """Exact operating characteristics of a group-sequential design, (stages, proportions) but `expected_n`.

    Attributes
    ----------
    lower, upper
        Probability of first crossing the boundary at each stage.
    expected_n
        Expected number of patients at each proportion.
    """

    lower: FloatArray
    upper: FloatArray
    expected_n: FloatArray


def simon_two_stage(p0: float, p1: float, alpha: float = 0.05, power: float = 0.8) -> SimonDesigns:
    """Simon's optimal and minimax two-stage designs, by complete enumeration.

    Parameters
    ----------
    p0, p1
        Response proportion that is uninteresting and the one that is wanted; p1 > p0.
    alpha
        Largest probability of a claim at p0.
    power
        Smallest probability of a claim at p1.

    Raises
    ------
    InputError
        If p1 <= p0 or more than 300 patients would be needed.

    Notes
    -----
    Simon, Controlled Clinical Trials 10 (1989) 1-10. The search is finite without a cap on n: no test of n
    patients beats the randomised most powerful one (which bounds n from below), and a first stage that keeps the
    power cannot stop more often at p0 than the most powerful one would (which bounds the expected number of
    every design of n patients from below, so that the search ends when no larger n can win).
    """
    require_probability(p0=p0, p1=p1, alpha=alpha, power=power)
    require(p1 > p0, f"p1 = {p1:g} must be greater than p0 = {p0:g}")
    require(alpha < power, f"alpha = {alpha:g} must be below the power = {power:g}")
    n = 2
    while _most_powerful(n, p0, p1, alpha) < power:
        n += 1
        require(n <= LARGEST_SIMON, f"more than {LARGEST_SIMON} patients would be needed")
    goes_on = np.array([1.0] + [_most_powerful(k, p1, p0, power) for k in range(1, n)])
    optimal: SimonDesign | None = None
    minimax: SimonDesign | None = None
    while n <= 4 * LARGEST_SIMON:
        first = np.arange(1, n)
        bound = first + goes_on[1:n] * (n - first)
        if optimal is not None and float(bound.min()) > optimal.expected_n:
            break
        for n1 in first:
            if optimal is None or bound[n1 - 1] <= optimal.expected_n or minimax is None or minimax.n == n:
                found = _best_of(n, int(n1), p0, p1, alpha, power)
                if found is not None and (optimal is None or found.expected_n < optimal.expected_n):
                    optimal = found
                if found is not None and (minimax is None or (minimax.n == n and found.expected_n < minimax.expected_n)):
                    minimax = found
        goes_on = np.append(goes_on, _most_powerful(n, p1, p0, power))
        n += 1
    if optimal is None or minimax is None:
        raise AssertionError("a fixed design of this size exists, so a two-stage one does")
    return SimonDesigns(optimal, minimax)


def _most_powerful(n: int, p_size: float, p_power: float, size: float) -> float:
    """Probability at `p_power` of the upper tail that has probability `size` at `p_size`, randomised at its edge."""
    c = int(binomial_critical(n, p_size, size))
    rest = size - float(binomial_at_least(c, n, p_size))
    share = rest / float(binomial_pmf(c - 1, n, p_size)) if c >= 1 else 0.0
    return float(binomial_at_least(c, n, p_power)) + share * float(binomial_pmf(c - 1, n, p_power))


def _best_of(n: int, n1: int, p0: float, p1: float, alpha: float, power: float) -> SimonDesign | None:
    """The design of n patients, n1 of them in the first stage, with the smallest expected number at p0."""
    x, n2 = np.arange(n1 + 1), n - n1
    at0, at1 = binomial_pmf(x, n1, p0), binomial_pmf(x, n1, p1)
    below1 = np.cumsum(at1)
    r1 = x[:-1][below1[:-1] <= 1.0 - power]  # a stage that stops more often at p1 has lost the power already
    if r1.size == 0:
        return None
    tail0, tail1 = (binomial_at_least(np.arange(n2 + 2), n2, p) for p in (p0, p1))
    r = int(binomial_critical(n, p0, alpha)) - 1  # stopping early only lowers the probability of a claim
    size, gain, edge = np.ones(r1.size), np.zeros(r1.size), np.full(r1.size, -1)
    while r >= 0:
        more = np.clip(r - x + 1, 0, n2 + 1)
        claim0 = np.cumsum((at0 * tail0[more])[::-1])[::-1][1:][r1]
        fits = claim0 <= alpha
        if not fits.any():
            break
        claim1 = np.cumsum((at1 * tail1[more])[::-1])[::-1][1:][r1]
        size, gain, edge = np.where(fits, claim0, size), np.where(fits, claim1, gain), np.where(fits, r, edge)
        r -= 1
    good = np.flatnonzero((gain >= power) & (edge >= 0))
    if good.size == 0:
        return None
    best = int(good[-1])  # the expected number falls in r1
    stop = float(at0[: r1[best] + 1].sum())
    return SimonDesign(
        int(r1[best]), n1, int(edge[best]), n, n1 + (1.0 - stop) * n2, stop, float(size[best]), float(gain[best])
    )


def sequential_binomial(
    n: Sequence[int], lower: Sequence[int], upper: Sequence[int], proportions: Sequence[float]
) -> StageProbabilities:
    """Exact crossing probabilities of a group-sequential design for one proportion.

    Parameters
    ----------
    n
        Cumulative patients at each stage, increasing.
    lower
        Stop with at most this many events; -1 for no lower boundary.
    upper
        Stop with at least this many events; more than n for no upper boundary.
    proportions
        Proportions at which the design is judged.

    Notes
    -----
    Recursion over the counts that continue: Jennison and Turnbull, Group Sequential Methods (2000), ch. 12. After
    the last stage nobody continues, whatever was crossed.
    """
    require(len(n) >= 1 and len(n) == len(lower) == len(upper), "n, lower and upper must name the same number of stages")
    require(n[0] >= 1 and all(b > a for a, b in pairwise(n)), "n must increase from stage to stage")
    require(all(a < b for a, b in zip(lower, upper, strict=True)), "lower must be below upper at each stage")
    require(all(0.0 <= p <= 1.0 for p in proportions), "proportions must lie between 0 and 1")
    lows, ups = np.zeros((len(n), len(proportions))), np.zeros((len(n), len(proportions)))
    expected = np.zeros(len(proportions))
    for j, p in enumerate(proportions):
        state, before, going = np.ones(1), 0, 1.0
        for i, (size, a, b) in enumerate(zip(n, lower, upper, strict=True)):
            expected[j] += going * (size - before)
            state = np.convolve(state, binomial_pmf(np.arange(size - before + 1), size - before, p))
            lows[i, j], ups[i, j] = state[: max(a + 1, 0)].sum(), state[max(b, 0) :].sum()
            state[: max(a + 1, 0)] = 0.0
            state[max(b, 0) :] = 0.0
            before, going = size, float(state.sum())
    return StageProbabilities(lows, ups, expected)
