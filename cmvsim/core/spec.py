"""The strict, frozen base of every specification, and the translation of its failures into problems for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from cmvsim.core.errors import InputError, Problem, did_you_mean, nearest, shown


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
            raise InputError(problems_of(error, cls, where, tree)) from None


def key_path(parts: Sequence[str | int]) -> str:
    """Write a location as people do: ``cmv.targets[0].value``."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def problems_of(
    error: ValidationError, spec: type[BaseModel], where: str, tree: Mapping[str, Any] | None = None
) -> list[Problem]:
    """One :class:`Problem` per mistake in a pydantic error, in the words of the file and not in pydantic's.

    Pydantic reports each branch of a union; the branches that do not fit the shape of the input are noise, so the
    specifications of this package avoid plain unions and validate values by one hand-written validator.

    Parameters
    ----------
    error
        What pydantic found.
    spec
        The specification that was validated.
    where
        File name for messages.
    tree
        What the user wrote: a mistake is reported where it stands there, and only once.
    """
    problems: list[Problem] = []
    guessed: set[str] = set()
    for item in error.errors(include_url=False):
        path: list[str | int] | None = [part for part in item["loc"] if not _is_branch(part)]
        path = path if tree is None else _as_written(tree, path or [])
        if path is None:
            continue
        kind, at = item["type"], key_path(path)
        if kind == "union_tag_invalid":  # labels of branches stand in brackets, as no key of the user does
            word, branches = (str(item["ctx"][name]) for name in ("tag", "expected_tags"))
            known = [label.strip("'[]") for label in branches.split(", ")]
            at = key_path([*path, str(item["ctx"]["discriminator"]).removesuffix("()")])
            near = nearest(word.strip("[]"), known)
            allowed = f"allowed: {', '.join(known)}" + (f"; did you mean '{near[0]}'?" if near else "")
            problems.append(Problem(f"{shown(word.strip('[]'))} is not allowed", where, at, allowed))
        elif kind == "extra_forbidden":
            labelled = any(_is_union_label(part) for part in item["loc"])
            options = _keys_at(spec, item["loc"][:-1] if labelled else path[:-1])
            guessed |= {key_path([*path[:-1], near]) for near in nearest(str(path[-1]), options)}
            problems.append(Problem(f"unknown key '{path[-1]}'", where, at, did_you_mean(str(path[-1]), options)))
        elif kind == "missing" and isinstance(path[-1], str):
            problems.append(Problem(f"the key '{path[-1]}' is missing", where, at))
        else:
            message, allowed = _in_words(kind, item["msg"], item.get("input"), item.get("ctx", {}))
            problems.append(Problem(message, where, at, allowed))
    # a misspelt key is one mistake, not an unknown key and a missing one
    return [problem for problem in problems if not (problem.at in guessed and problem.message.endswith("is missing"))]


def _as_written(tree: Any, path: Sequence[str | int]) -> list[str | int] | None:
    """Shorten a path to what the user wrote; None for a copy (``measured_by = "same"``) of what stands elsewhere."""
    for depth, part in enumerate(path):
        if isinstance(tree, Mapping):
            tree = tree.get(part)
        elif isinstance(tree, list | tuple) and isinstance(part, int):
            tree = tree[part] if part < len(tree) else None
        elif part == "value":  # a bare choice stands for { value = choice }
            return [*path[:depth], *path[depth + 1 :]]
        else:
            return None
        if tree is None:
            break
    return list(path)


_PLAIN = {
    "model_type": "a table",
    "union_tag_not_found": "a table",
    "dict_type": "a table",
    "model_attributes_type": "a table",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
}
_EXAMPLES = {
    "a table": "a table: [section] or { key = value }",
    "a list": "a list: [first, second]",
    "text": 'text, in quotes: "..."',
}
_LIMITS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("at most", "le"),
}


def _in_words(kind: str, message: str, given: Any, context: Mapping[str, Any]) -> tuple[str, str]:
    """Message and allowed of one pydantic error."""
    if kind in _PLAIN:
        return f"{shown(given)} is not {_PLAIN[kind]}", f"allowed: {_EXAMPLES.get(_PLAIN[kind], _PLAIN[kind])}"
    if kind in _LIMITS:
        word, key = _LIMITS[kind]
        return f"{shown(given)} is not allowed", f"allowed: a number {word} {context[key]:g}"
    if kind == "literal_error":
        options = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ").split(", ")
        guess = nearest(given, options) if isinstance(given, str) else []
        return f"{shown(given)} is not allowed", f"allowed: {', '.join(options)}" + (
            f"; did you mean '{guess[0]}'?" if guess else ""
        )
    if kind in {"too_long", "too_short"}:
        count = len(given) if hasattr(given, "__len__") else 0
        needed = f"at most {context['max_length']}" if kind == "too_long" else f"at least {context['min_length']}"
        return f"{shown(given)} has {count} entries", f"allowed: {needed}"
    if kind == "missing":
        return f"{shown(given)} has too few entries", ""
    if kind == "string_pattern_mismatch":
        return f"{shown(given)} is not allowed", f"allowed: text that matches {context.get('pattern')}"
    text = message.removeprefix("Value error, ")
    return text, str(context.get("allowed", ""))


def _is_branch(part: str | int) -> bool:
    """Whether a location part is pydantic's own label (``function-before[...]``) and not a key of the user."""
    return isinstance(part, str) and ("[" in part or part.startswith("function-"))


def _is_union_label(part: str | int) -> bool:
    """Whether it is the label of a union's branch, the `kind` in brackets."""
    return isinstance(part, str) and part.startswith("[") and part.endswith("]")


def _tags(kind: Any) -> tuple[str, ...]:
    """What the key `kind` of a specification may be."""
    field = kind.model_fields.get("kind") if isinstance(kind, type) and issubclass(kind, BaseModel) else None
    return get_args(field.annotation) if field is not None else ()


def _keys_at(spec: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that a specification knows at a key path (empty where it is a free table)."""
    kinds: list[Any] = [spec]
    for part in path:
        if _is_union_label(part):
            kinds = [kind for kind in kinds if str(part).strip("[]") in _tags(kind)]
            continue
        found: list[Any] = []
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                field = kind.model_fields.get(str(part))
                if field is not None:
                    found.append(field.annotation)
            elif get_args(kind):
                found.extend(get_args(kind))
        kinds = _models(found)
    models = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return [field.alias or name for kind in models for name, field in kind.model_fields.items()]


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
