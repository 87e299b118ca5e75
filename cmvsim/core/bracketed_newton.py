"""Newton's method within brackets, for many unknowns at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmvsim.core.records import FloatArray

ROUNDS = 80
"""Steps at most: as many halvings reach the last bit where Newton's steps fail."""
SETTLED = 1e-9
"""Step after which the next one would be rounding: Newton's error is squared in each."""


def bracketed_newton(
    function: Callable[[FloatArray], tuple[FloatArray, FloatArray]],
    low: FloatArray,
    high: FloatArray,
    start: FloatArray,
) -> FloatArray:
    """Roots of a function that rises, elementwise.

    Parameters
    ----------
    function
        Values and derivatives (n,) at unknowns (n,).
    low, high
        (n,) ends of the brackets, of which the function is below 0 at `low` and above at `high`.
    start
        (n,) first unknowns.

    Returns
    -------
    ndarray
        (n,); where the bracket holds no root, the end that is nearest to one.

    Notes
    -----
    A step that leaves the bracket, which each value narrows, is replaced by halving it.
    """
    x = start
    for _ in range(ROUNDS):
        value, slope = function(x)
        low, high = np.where(value < 0, x, low), np.where(value > 0, x, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            new = x - value / slope
        new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
        step, x = np.abs(new - x).max(initial=0.0), new
        if step <= SETTLED:
            break
    return x
