"""The inputs of a scenario: every value with its key path and provenance, in the order of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from cmvsim.core.spec import key_path
from cmvsim.core.value import Between, Stated, Value
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
    """

    path: str
    value: Value | Between | Stated[Any]

    @property
    def assumed(self) -> str | None:
        """Why it was assumed, if it was."""
        return self.value.assumed

    @property
    def evidence(self) -> str | None:
        """Its entry of the evidence catalogue, if it has one."""
        return self.value.evidence


def inputs(scenario: Scenario) -> tuple[Input, ...]:
    """All inputs that carry provenance."""
    return tuple(_walk(scenario, ()))


def _walk(node: Any, path: tuple[str | int, ...]) -> Iterator[Input]:
    if isinstance(node, Value | Between | Stated):
        yield Input(key_path(path), node)
    elif isinstance(node, BaseModel):
        for name in type(node).model_fields:
            yield from _walk(getattr(node, name), (*path, name))
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _walk(value, (*path, key))
    elif isinstance(node, tuple | list):
        for index, value in enumerate(node):
            yield from _walk(value, (*path, index))
