"""Canonical JSON and digests: the bytes that identify a request and that two runs are compared by."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

SIGNIFICANT_DIGITS = 12
"""Digits of every number in a result file: more than a study needs, fewer than the last bits that libraries dispute."""


def rounded(value: Any) -> Any:
    """Copy a JSON-like tree with floats at 12 significant digits; NaN and infinities become ``None``.

    Integral floats stay floats, so that ``0.0`` and ``0`` do not change type between runs.
    """
    if isinstance(value, bool) or value is None or isinstance(value, int | str):
        return value
    if isinstance(value, float):
        return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    if hasattr(value, "item"):
        return rounded(value.item())
    raise TypeError(f"not JSON: {type(value).__name__}")


def canonical_json(value: Any) -> str:
    """Sorted keys, no spaces, 12 significant digits: equal meaning gives equal text."""
    return json.dumps(rounded(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def pretty_json(value: Any) -> str:
    """The same numbers for people: indented, keys in the order written."""
    return json.dumps(rounded(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()
