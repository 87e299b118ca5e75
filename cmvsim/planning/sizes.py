"""Sample sizes as written on the command line, and the grid that a search starts from."""

from __future__ import annotations

import re

from cmvsim.core.errors import InputError, Problem

LARGEST = 20_000
"""A chunk of 64 studies of this size needs about 2 GB in each worker."""
GRID_POINTS = 13


def parse_sizes(text: str) -> tuple[int, ...]:
    """Read ``250``, ``100,150`` or ``60:300:10`` (300 included); parts may be mixed by commas.

    Returns
    -------
    tuple of int
        Ascending and distinct.

    Raises
    ------
    InputError
        If it is none of these, or a size is below 1 or above 20,000.
    """
    sizes: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?::(\d+)(?::(\d+))?)?\s*", part)
        if match is None:
            raise InputError(Problem(f"'{text}' is no sample size", "-n", allowed="one number, 100,150 or 60:300:10"))
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if step < 1 or last < first or first < 1 or last > LARGEST:
            raise InputError(
                Problem(
                    f"'{part.strip()}' is no range of sample sizes",
                    "-n",
                    allowed=f"from 1 to {LARGEST:,}, ascending, step at least 1",
                )
            )
        sizes.update(range(first, last + 1, step))
    return tuple(sorted(sizes))


def grid_around(n: int) -> tuple[int, ...]:
    """Thirteen round sizes from about 0.6 to 1.6 times `n`."""
    step = max(1, n // GRID_POINTS)
    if step > 2:
        step = 5 * max(1, round(step / 5))
    first = max(step, int(0.6 * n) // step * step)
    return tuple(range(first, int(1.6 * n) + step + 1, step))


def local_grid(low: int, high: int) -> tuple[int, ...]:
    """All sizes between two, at most about 60 of them."""
    step = max(1, (high - low) // 60)
    return tuple(range(max(1, low), high + 1, step))
