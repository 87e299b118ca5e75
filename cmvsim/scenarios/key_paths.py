"""Key paths into a scenario: reading them, finding what they name, and the range that a type allows there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, get_args

from pydantic import BaseModel, WithJsonSchema

from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.marginal import EDGE
from cmvsim.core.spec import key_path
from cmvsim.core.value import Between, Value
from cmvsim.models.cmv import TargetSpec

Path = tuple[str | int, ...]
Range = tuple[float, float]


@lru_cache(maxsize=8192)
def parts_of(key: str) -> Path:
    """Read ``cmv.targets[0].value`` as its parts."""
    plain = re.sub(r"\[(\d+)\]", r".\1", key)
    return tuple(int(part) if part.isdigit() else part for part in plain.split("."))


def numbers_in(node: Any, path: Path = ()) -> Iterator[tuple[str, float]]:
    """Every number of a specification with its key path; a value with provenance counts as one number."""
    if isinstance(node, Value | Between):
        yield key_path(path), float(node) if isinstance(node, Value) else node.centre
    elif isinstance(node, BaseModel):
        for name in type(node).model_fields:
            yield from numbers_in(getattr(node, name), (*path, name))
    elif isinstance(node, Mapping):
        for name, item in node.items():
            yield from numbers_in(item, (*path, name))
    elif isinstance(node, tuple):
        for index, item in enumerate(node):
            yield from numbers_in(item, (*path, index))
    elif isinstance(node, int | float) and not isinstance(node, bool):
        yield key_path(path), float(node)


def at(spec: BaseModel, key: str) -> Any:
    """What stands at a key path.

    Raises
    ------
    InputError
        If nothing does.
    """
    node: Any = spec
    for part in parts_of(key):
        try:
            node = _inside(node, part)
        except (KeyError, IndexError, TypeError, AttributeError):
            known = [name for name, _ in numbers_in(spec)]
            raise InputError(Problem(f"there is no key '{key}'", allowed=did_you_mean(key, known))) from None
    return node


def _inside(node: Any, part: str | int) -> Any:
    return node[part] if isinstance(node, Mapping | tuple) else getattr(node, str(part))  # type: ignore[index]


def range_of(spec: BaseModel, key: str) -> tuple[float, float, bool]:
    """Lowest and highest number that the type at a key path allows, and whether it must be whole.

    A bound that may not be reached is given a little inside; a proportion that is neither 0 nor 1 stays so.
    """
    node: Any = spec
    annotation: list[Any] = []
    for part in parts_of(key):
        if isinstance(node, BaseModel):
            field = type(node).model_fields[str(part)]
            annotation = [*field.metadata, field.annotation]
            if isinstance(node, TargetSpec) and part == "value" and node.measure != "median_detection":
                return EDGE, 1 - EDGE, False
        node = _inside(node, part)
    if isinstance(node, Between):
        low, high = _centre_range(node, annotation)
        return low, high, False
    limits = next(_number_schemas(annotation), {})
    low, high = float(limits.get("minimum", -math.inf)), float(limits.get("maximum", math.inf))
    if "exclusiveMinimum" in limits:
        low = max(low, math.nextafter(float(limits["exclusiveMinimum"]), math.inf))
    if high == 1 and isinstance(node, Value):
        low = low + EDGE if low < node.value else low
        high = 1 - EDGE if node.value < 1 else high
    whole = limits.get("type") == "integer" or "whole number" in str(limits.get("description", ""))
    return low, high, whole


def _centre_range(law: Between, annotation: Iterable[Any]) -> Range:
    """Range of a centre: inside the truncation; above 0 where the type or the law wants it."""
    unsigned = law.law == "lognormal" or not any("log10" in text for text in _descriptions(annotation))
    low = law.low if law.low is not None else (0.0 if unsigned else -math.inf)
    high = law.high if law.high is not None else math.inf
    return (math.nextafter(low, math.inf) if unsigned and low == 0 else low), high


def _schemas(annotation: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for item in annotation:
        if isinstance(item, WithJsonSchema):
            yield item.json_schema or {}
        else:
            yield from _schemas((*getattr(item, "__metadata__", ()), *get_args(item)))


def _number_schemas(annotation: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for schema in _schemas(annotation):
        yield {**schema.get("anyOf", [{}])[0], "description": schema.get("description", "")}


def _descriptions(annotation: Iterable[Any]) -> Iterator[str]:
    for schema in _schemas(annotation):
        yield str(schema.get("description", ""))
