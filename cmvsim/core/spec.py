"""The strict, frozen base of every specification, and the translation of its failures into problems for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from cmvsim.core.errors import InputError, Problem, did_you_mean


class Spec(BaseModel):
    """Base of all specifications: no extra keys, no mutation, no silent conversion of strings into numbers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)

    @classmethod
    def parse(cls, tree: Mapping[str, Any], *, where: str = "") -> Self:
        """Validate a tree as read from TOML.

        Parameters
        ----------
        tree
            Nested tables.
        where
            File name for messages.

        Raises
        ------
        InputError
            With one problem for each mistake, naming the key path.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise InputError(problems_of(error, cls, where)) from None


def key_path(parts: Sequence[str | int]) -> str:
    """Write a location as people do: ``cmv.targets[0].value``."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def problems_of(error: ValidationError, spec: type[BaseModel], where: str) -> list[Problem]:
    """One :class:`Problem` per mistake in a pydantic error.

    Pydantic reports each branch of a union; the branches that do not fit the shape of the input are noise, so the
    specifications of this package avoid plain unions and validate values by one hand-written validator.
    """
    problems = []
    for item in error.errors(include_url=False):
        path = [part for part in item["loc"] if not _is_branch(part)]
        kind, given = item["type"], item.get("input")
        if kind == "extra_forbidden":
            problems.append(Problem(f"unknown key '{path[-1]}'", where, key_path(path),
                                    did_you_mean(str(path[-1]), _keys_at(spec, path[:-1]))))
        elif kind == "missing":
            problems.append(Problem(f"the key '{path[-1]}' is missing", where, key_path(path)))
        else:
            allowed = str(item.get("ctx", {}).get("allowed", ""))
            message = item["msg"].removeprefix("Value error, ")
            if kind != "value_error" and "ctx" not in item or kind in _TYPE_KINDS:
                message = f"{_brief(given)} does not fit: {message[0].lower()}{message[1:]}"
            problems.append(Problem(message, where, key_path(path), allowed))
    return problems


_TYPE_KINDS = {"literal_error", "enum", "greater_than", "greater_than_equal", "less_than", "less_than_equal"}


def _is_branch(part: str | int) -> bool:
    """Whether a location part is pydantic's own label (``function-before[...]``) and not a key of the user."""
    return isinstance(part, str) and ("[" in part or part.startswith("function-") or part in {"bool", "int", "float", "str"})


def _brief(given: Any) -> str:
    text = repr(given)
    return text if len(text) <= 60 else text[:57] + "..."


def _keys_at(spec: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that a specification knows at a key path (empty where it is a free table)."""
    kinds: list[Any] = [spec]
    for part in path:
        found: list[Any] = []
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                field = kind.model_fields.get(str(part))
                if field is not None:
                    found.append(field.annotation)
            elif get_args(kind):
                found.extend(get_args(kind))
        kinds = _models(found)
    return [name for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel) for name in kind.model_fields]


def _models(kinds: Sequence[Any]) -> list[Any]:
    """Models and containers of models inside (possibly nested) type expressions."""
    result: list[Any] = []
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            result.append(kind)
        else:
            result.extend(_models(get_args(kind)))
            if get_args(kind):
                result.append(kind)
    return result
