"""Newton's method within brackets: roots of rising functions, also where a plain step would leave."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvsim.core.bracketed_newton import bracketed_newton
from cmvsim.core.records import FloatArray


@given(st.lists(st.floats(-0.999, 0.999), min_size=1, max_size=5), st.floats(-19.0, 19.0))
def test_roots_of_a_saturating_function_are_found_from_anywhere(levels: list[float], start: float) -> None:
    """Far out tanh is flat, so that Newton's step leaves the bracket."""
    wanted = np.array(levels)

    def excess(x: FloatArray) -> tuple[FloatArray, FloatArray]:
        return np.tanh(x) - wanted, 1 / np.cosh(x) ** 2

    ends = np.full(wanted.shape, 20.0)
    found = bracketed_newton(excess, -ends, ends, np.full(wanted.shape, start))
    assert np.tanh(found) == pytest.approx(wanted, abs=1e-12)


def test_an_unknown_whose_bracket_holds_no_root_goes_to_the_nearest_end() -> None:
    found = bracketed_newton(lambda x: (np.exp(x) + 1, np.exp(x)), np.array([-3.0]), np.array([3.0]), np.array([1.0]))
    assert found == pytest.approx([-3.0], abs=1e-6)
