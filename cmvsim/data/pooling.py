"""Many simulated studies as one large one, or some of them by themselves."""

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


def replicates_of(study: Study, where: slice) -> Study:
    """Some replicates of a batch, with all their tables."""
    if where == slice(None):
        return study
    part: Study = _part(study, where, (study.replicates, study.patients))
    return part


def _part(value: Any, where: slice, shape: tuple[int, int]) -> Any:
    if isinstance(value, Resources):
        return _rows_of(value, where, shape)
    if isinstance(value, np.ndarray) and value.shape[:2] == shape:
        return value[where]
    if isinstance(value, Mapping):
        return {name: _part(entry, where, shape) for name, entry in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{entry.name: _part(getattr(value, entry.name), where, shape) for entry in fields(value)})
    return value


def _rows_of(resources: Resources, where: slice, shape: tuple[int, int]) -> Resources:
    """Rows of some replicates, counted from the first of them."""
    first, last, _ = where.indices(shape[0])
    start, stop = first * shape[1], last * shape[1]
    kept = (resources.row >= start) & (resources.row < stop)
    names = ("item", "component", "first", "last", "quantity")
    return replace(resources, row=resources.row[kept] - start, **{name: getattr(resources, name)[kept] for name in names})
