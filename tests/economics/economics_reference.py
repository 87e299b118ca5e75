"""Reading the economic reference cases of the shared folder; tests that need them skip where it is absent."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

SHARED = Path(__file__).parents[2].parent / "shared" / "reference" / "economics"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no shared reference cases at {SHARED}")


@lru_cache
def expected(case: str) -> dict[str, Any]:
    return json.loads((SHARED / case / "expected.json").read_text(encoding="utf-8"))["expected"]


@lru_cache
def table(case: str, name: str) -> pd.DataFrame:
    return pd.read_csv(SHARED / case / f"{name}.csv")


def arrays(case: str, *names: str) -> tuple[np.ndarray, ...]:
    return tuple(table(case, name).to_numpy() for name in names)
