"""Names of the figures of a sensitivity run: no drawing library is needed to list them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STEMS = {"tornado": "tornado", "one_at_a_time": "tornado", "curve": "curve", "grid": "grid"}


def figure_names(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """File name without ending, and what it shows, of each measure's figure; the first measure's has the plain name."""
    stem = STEMS[results["shape"]]
    return [
        (stem if place == 0 else f"{stem}-{measure}", what[0].upper() + what[1:])
        for place, (measure, what) in enumerate(results["measures"].items())
    ]
