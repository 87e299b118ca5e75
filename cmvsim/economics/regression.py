"""Regression of outcomes on uncertain inputs: what the conditional expectations of value of information are estimated by.

One input: a penalised cubic spline. Several: splines of each and the smoothest interactions of some pairs (those of the inputs
that matter most by themselves, and those whose interaction is beyond chance), with one penalty for all and a ratio of the
penalties of interactions to those of splines, both by generalised cross-validation, which also chooses between straight
lines as they are and shrunken, as many inputs that tell little would else hold much noise (Wood 2017 for the splines;
Strong, Oakley, Brennan, Med Decis Making 2014;34(3):311-326, for the use). A fit is linear in the outcome given its
penalty, so that strategies with the same draws have the same fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from scipy.stats import norm

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.economics.splines import SIZE, SplineBasis, spline_basis, whitening

MIN_DRAWS = 20
"""Fewer draws are refused."""

DRAWS_PER_COLUMN = 5
"""The basis has at most a fifth as many columns as there are draws; of more inputs than that the most correlated are kept."""

LARGE = 0.1
"""Degrees of freedom as a share of the draws above which a fit is said to hold much of the draws' noise."""

MOST_IN_PAIRS = 6
"""Inputs all of whose interactions are modelled: those that explain most by themselves."""

MOST_PAIRS = 30
"""Pairs at most, with those that are beyond chance."""

CHANCE = 0.01
"""Probability that any pair without an interaction is modelled for that reason (Bonferroni)."""

MOST_COLUMNS = 240
"""Of the splines of all inputs together; each has :data:`CURVED` at least, as far as the draws allow."""

CUBIC = 3
"""Columns of a cubic without inner knots."""

CURVED = 5
"""Columns of the spline of an input that has one, at least."""

RATIOS = (1e-2, 1.0, 1e2, 1e4)
"""Penalties of interactions tried, as multiples of those of the splines."""

PENALTIES: FloatArray = np.logspace(-9, 7, 161)


@dataclass(frozen=True, eq=False, slots=True)
class Fit:
    """Fitted conditional expectations of several outcomes.

    Attributes
    ----------
    fitted
        (draws, outcomes).
    explained
        (outcomes,): share of the variance over the draws that the inputs explain; 0 where there is no variance.
    degrees
        (outcomes,): effective degrees of freedom, the constant included.
    """

    fitted: FloatArray
    explained: FloatArray
    degrees: FloatArray
    design: Design
    choice: IntArray
    shrink: FloatArray
    coefficients: FloatArray
    centre: FloatArray

    def sensitivity(self, outcome: int, weights: FloatArray) -> FloatArray:
        """Derivative of ``sum(weights * fitted[:, outcome])`` in each draw's outcome, penalty and constant held: (draws,)."""
        turned = self.design.rotations[self.choice[outcome]]
        inner = self.shrink[:, outcome] * (turned.T @ (self.design.columns.T @ weights))
        sensitivity: FloatArray = self.design.columns @ (turned @ inner) / self.fitted.shape[0]
        return sensitivity

    def at(self, columns: FloatArray) -> FloatArray:
        """Fitted values for other rows of the basis (:meth:`Design.at`): (points, outcomes)."""
        values: FloatArray = self.centre + columns @ self.coefficients
        return values


@dataclass(frozen=True, eq=False, slots=True)
class Design:
    """Basis of a set of inputs and its penalties.

    Attributes
    ----------
    columns
        (draws, p) with mean 0.
    rotations, roughness
        By ratio of penalties: (p, r) to orthonormal columns, and (r,) their penalties.
    splines
        Of the inputs kept, in their order.
    inputs
        How many there were before screening.
    """

    columns: FloatArray
    rotations: tuple[FloatArray, ...]
    roughness: tuple[FloatArray, ...]
    splines: tuple[SplineBasis, ...]
    inputs: int

    def at(self, x: FloatArray) -> FloatArray:
        """The columns at other values of a single input.

        Raises
        ------
        ValueError
            If there are several inputs.
        """
        if self.inputs != 1:
            raise ValueError("only a regression on one input is evaluated elsewhere")
        return self.splines[0].at(x)

    def fit(self, outcomes: FloatArray) -> Fit:
        """Regress (draws, outcomes) on the inputs, each outcome with its own penalty, or on nothing but a constant."""
        draws = outcomes.shape[0]
        centre = outcomes.mean(axis=0)
        centred = outcomes - centre
        total = (centred**2).mean(axis=0)
        cross = self.columns.T @ centred / draws
        best = total / (1 - 1 / draws) ** 2  # the constant alone: straight lines have no penalty that could remove them
        choice = np.zeros(outcomes.shape[1], dtype=np.int64)
        rank = max((rotation.shape[1] for rotation in self.rotations), default=0)
        shrink = np.zeros((rank, outcomes.shape[1]))
        for ratio, (rotation, roughness) in enumerate(zip(self.rotations, self.roughness, strict=True)):
            score, shrunk = _cross_validated(rotation.T @ cross, roughness, total, draws)
            better = score < best
            best[better], choice[better] = score[better], ratio
            shrink[: rotation.shape[1], better] = shrunk[:, better]
        coefficients = np.zeros((self.columns.shape[1], outcomes.shape[1]))
        for outcome in range(outcomes.shape[1]):
            if rank:
                turned = self.rotations[choice[outcome]]
                coefficients[:, outcome] = turned @ (shrink[:, outcome] * (turned.T @ cross[:, outcome]))
        fitted = centre + self.columns @ coefficients
        left = ((outcomes - fitted) ** 2).mean(axis=0)
        explained = np.where(total > 0, 1 - left / np.where(total > 0, total, 1), 0.0)
        return Fit(fitted, explained, 1 + shrink.sum(axis=0), self, choice, shrink, coefficients, centre)


def _cross_validated(cross: FloatArray, roughness: FloatArray, total: FloatArray, draws: int) -> tuple[FloatArray, FloatArray]:
    """Smallest generalised cross-validation score of each outcome, and the shrinkage there: (outcomes,), (r, outcomes)."""
    shrink = 1 / (1 + PENALTIES[:, None] * roughness)
    left = total - np.einsum("lr,rk->lk", shrink * (2 - shrink), cross**2)
    score = np.maximum(left, 0) / (1 - (1 + shrink.sum(axis=1)) / draws)[:, None] ** 2
    best = score.argmin(axis=0)
    return score[best, np.arange(total.size)], shrink[best].T


def as_columns(inputs: FloatArray) -> FloatArray:
    """(draws,) or (draws, k) as (draws, k)."""
    return inputs[:, None] if inputs.ndim == 1 else inputs


def design_of(inputs: FloatArray, outcomes: FloatArray) -> Design:
    """Basis for a set of inputs.

    Parameters
    ----------
    inputs
        (draws,) or (draws, k), finite.
    outcomes
        (draws, outcomes): they say which inputs matter most, when there are too many for all pairs, or for a column each.
    """
    inputs = as_columns(inputs)
    given, draws = inputs.shape[1], inputs.shape[0]
    most = max(draws // DRAWS_PER_COLUMN, 1)
    inputs = inputs[:, screened(inputs, outcomes, most)]
    count = inputs.shape[1]
    sizes = _sizes(inputs, outcomes, most)
    splines = tuple(spline_basis(inputs[:, k], int(sizes[k])) for k in range(count))
    live = [spline for spline in splines if spline.columns.shape[1]]
    blocks = [spline.columns for spline in live]
    penalties = [_relative(spline) for spline in live]
    of_pairs = [np.zeros(spline.columns.shape[1], dtype=bool) for spline in live]
    room = most - sum(block.shape[1] for block in blocks)
    for block, penalty in _pairs(live, outcomes, room):
        blocks.append(block)
        penalties.append(penalty)
        of_pairs.append(np.ones(penalty.size, dtype=bool))
    if not blocks:
        return Design(np.empty((draws, 0)), (), (), splines, given)
    columns = np.concatenate(blocks, axis=1)
    penalty, pair = np.concatenate(penalties), np.concatenate(of_pairs)
    whiten = np.eye(columns.shape[1]) if len(blocks) == 1 else whitening(columns.T @ columns / draws)
    rotations, roughness = [], []
    ratios = RATIOS if pair.any() else RATIOS[:1]
    several = [(ratio, 1.0) for ratio in ratios] if len(blocks) > 1 else []
    for ratio, lines in [*((ratio, 0.0) for ratio in ratios), *several]:
        values, turn = eigh(whiten.T @ ((np.where(pair, ratio, 1.0) * penalty + lines)[:, None] * whiten))
        rotations.append(whiten @ turn)
        roughness.append(np.maximum(values, 0))
    return Design(columns, tuple(rotations), tuple(roughness), splines, given)


def screened(inputs: FloatArray, outcomes: FloatArray, most: int) -> IntArray:
    """Columns of the inputs that a fit has room for, ascending: those whose correlation with some outcome is largest.

    All of them where there are no more than `most`. Cross-validation does not see this choice: with so few draws a fit is
    still biased up, which is why it is said wherever inputs were left out.
    """
    count = inputs.shape[1]
    return np.arange(count) if count <= most else np.sort(_by_correlation(inputs, outcomes)[:most])


def _by_correlation(inputs: FloatArray, outcomes: FloatArray) -> IntArray:
    """Columns of the inputs, that most correlated with any outcome first, constants last."""
    spread, scale = inputs.std(axis=0), outcomes.std(axis=0)
    cross = np.abs((inputs - inputs.mean(axis=0)).T @ (outcomes - outcomes.mean(axis=0))) / inputs.shape[0]
    matters = (cross / np.maximum(scale, 1e-300)).max(axis=1, initial=0.0) / np.maximum(spread, 1e-300)
    matters[spread == 0] = -1.0
    order: IntArray = np.argsort(-matters, kind="stable")
    return order


def _sizes(inputs: FloatArray, outcomes: FloatArray, most: int) -> IntArray:
    """Columns of the spline of each input: (inputs,), `most` together.

    Where there is no room for a cubic of each, all have a straight line, and half of what is left goes to curves of the
    inputs most correlated with an outcome.
    """
    count = inputs.shape[1]
    each = most // max(count, 1)
    if each >= CUBIC:
        return np.full(count, min(each, int(np.clip(MOST_COLUMNS // count, CURVED, SIZE))), dtype=np.int64)
    sizes = np.ones(count, dtype=np.int64)
    curved = (most - count) // (2 * (CURVED - 1))
    if curved > 0:
        sizes[_by_correlation(inputs, outcomes)[:curved]] = CURVED
    return sizes


def _relative(spline: SplineBasis) -> FloatArray:
    """Roughness relative to that of the smoothest curve, so that inputs of any law share one penalty."""
    curved = spline.roughness[spline.roughness > 1e-9 * max(spline.roughness[-1], 1e-300)]
    return spline.roughness / curved[0] if curved.size else spline.roughness


def _pairs(live: list[SplineBasis], outcomes: FloatArray, room: int) -> list[tuple[FloatArray, FloatArray]]:
    """Products of the smoothest columns of each chosen pair, with their penalties."""
    if len(live) < 2:
        return []
    draws = outcomes.shape[0]
    pairs = _chosen_pairs(live, outcomes)
    each = {1: 5, 3: 4}.get(len(pairs), 3)
    while each > 1 and len(pairs) * each**2 > room:
        each -= 1
    found = []
    for a, b in pairs[: max(room, 0) // each**2]:
        one, other = live[a].columns[:, :each], live[b].columns[:, :each]
        product = (one[:, :, None] * other[:, None, :]).reshape(draws, -1)
        penalty = (_relative(live[a])[:each, None] + _relative(live[b])[:each] + 1).ravel()
        found.append((product - product.mean(axis=0), penalty))
    return found


def _chosen_pairs(live: list[SplineBasis], outcomes: FloatArray) -> list[tuple[int, int]]:
    """Pairs whose product of straight lines is correlated beyond chance, then those of the inputs that matter most."""
    draws, count = outcomes.shape[0], len(live)
    centred = outcomes - outcomes.mean(axis=0)
    scaled = centred / np.sqrt(np.maximum((centred**2).mean(axis=0), 1e-300))
    matters = [float(((spline.columns.T @ scaled / draws) ** 2).sum()) for spline in live]
    order = sorted(range(count), key=lambda k: -matters[k])[:MOST_IN_PAIRS]
    lines = np.column_stack([spline.columns[:, 0] for spline in live])
    together = np.max([np.abs(lines.T @ (column[:, None] * lines)) for column in scaled.T], axis=0) / np.sqrt(draws)
    bound = norm.isf(CHANCE / (count * (count - 1) * scaled.shape[1]))
    beyond = [(a, b) for a in range(count) for b in range(a + 1, count) if together[a, b] > bound]
    beyond.sort(key=lambda pair: -together[pair])
    pairs = beyond + [(a, b) for i, a in enumerate(order) for b in order[i + 1 :] if (min(a, b), max(a, b)) not in beyond]
    return pairs[:MOST_PAIRS]
