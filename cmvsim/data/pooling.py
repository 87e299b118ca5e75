"""Many simulated studies as one large one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from cmvsim.data.study import Resources, Study, Subjects


def pooled(study: Study) -> Study:
    """All replicates of a batch as the patients of one study, (R, N, ...) as (1, R x N, ...)."""
    shape = (study.replicates, study.patients)
    pooled_study: Study = _pooled(study, shape)
    return pooled_study


def _pooled(value: Any, shape: tuple[int, int]) -> Any:
    if isinstance(value, Resources):  # its rows say replicate x N + patient already
        return value
    if isinstance(value, np.ndarray) and value.shape[:2] == shape:
        return value.reshape(1, shape[0] * shape[1], *value.shape[2:])
    if isinstance(value, Subjects):
        value = replace(value, patients=())
    if isinstance(value, Mapping):
        return {name: _pooled(entry, shape) for name, entry in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{entry.name: _pooled(getattr(value, entry.name), shape) for entry in fields(value)})
    return value
