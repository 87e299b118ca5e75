"""The inputs of a scenario: every value with its key path and provenance, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from cmvsim.core.quantity_forms import Unit
from cmvsim.core.spec import key_path
from cmvsim.core.value import Between, Stated, Value
from cmvsim.models.cmv import CmvSpec, TargetSpec
from cmvsim.scenarios.relevance import Idle
from cmvsim.scenarios.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Input:
    """One input of the model.

    Attributes
    ----------
    path
        Key path in the scenario.
    value
        The provenance-carrying value itself.
    unit
        The unit that its type fixes; empty for a choice or a pure number.
    """

    path: str
    value: Value | Between | Stated[Any]
    unit: str = ""

    @property
    def assumed(self) -> str | None:
        """Why it was assumed, if it was."""
        return self.value.assumed

    @property
    def evidence(self) -> str | None:
        """Its entry of the evidence catalogue, if it has one."""
        return self.value.evidence


def inputs(scenario: Scenario) -> tuple[Input, ...]:
    """All inputs that carry provenance, each once.

    What a target repeats (``measured_by = "same"``) is no input, what the scenario is only held against neither, nor what
    concerns nobody and nothing in it (:mod:`cmvsim.scenarios.relevance`).
    """
    idle = Idle.of(scenario)
    return tuple(item for item in all_inputs(scenario) if item.path not in idle)


def all_inputs(scenario: Scenario) -> tuple[Input, ...]:
    """The same with what concerns nothing."""
    return tuple(_walk(scenario, (), ""))


def _walk(node: Any, path: tuple[str | int, ...], unit: str) -> Iterator[Input]:
    if isinstance(node, Value | Between | Stated):
        yield Input(key_path(path), node, unit)
    elif isinstance(node, BaseModel):
        for name, field in type(node).model_fields.items():
            inner = _unit(field.metadata) or _unit_inside(field.annotation)
            if isinstance(node, CmvSpec) and name == "checks":
                continue
            if isinstance(node, TargetSpec) and name == "value":  # one type for several measures
                inner = "day from infusion" if node.measure == "median_detection" else "proportion"
            yield from _walk(getattr(node, name), (*path, name), inner)
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _walk(value, (*path, key), unit)
    elif isinstance(node, tuple | list):
        for index, value in enumerate(node):
            repeated = isinstance(value, TargetSpec) and index and value.measured_by == node[0].measured_by
            yield from _walk(value.model_copy(update={"measured_by": None}) if repeated else value, (*path, index), unit)


def _unit(metadata: Iterable[Any]) -> str:
    return next((item.name for item in metadata if isinstance(item, Unit)), "")


def _unit_inside(annotation: Any) -> str:
    """Unit of the members of a table: ``dict[str, Days]`` gives that of ``Days``."""
    return _unit(getattr(annotation, "__metadata__", ())) or next(
        (found for part in get_args(annotation) if (found := _unit_inside(part))), ""
    )
