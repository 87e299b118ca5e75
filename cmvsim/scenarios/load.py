"""Reading the human form: a catalogue id or a TOML file, ``extends``, and ``--set`` overrides."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from cmvsim.core.errors import InputError, Problem, did_you_mean, shown

CATALOGUE = "cmvsim.scenarios.catalogue"
MAX_DEPTH = 20


@cache
def catalogue_ids() -> tuple[str, ...]:
    """Ids of the built-in scenarios, sorted."""
    folder = resources.files(CATALOGUE)
    return tuple(sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")))


def catalogue_text(name: str) -> str:
    """Text of a built-in scenario."""
    return (resources.files(CATALOGUE) / f"{name}.toml").read_text(encoding="utf-8")


def load_tree(name: str, *, beside: Path | None = None, trail: tuple[str, ...] = ()) -> dict[str, Any]:
    """Read a scenario and what it extends, merged key by key.

    Parameters
    ----------
    name
        Catalogue id or path of a TOML file.
    beside
        Folder that a relative path in ``extends`` starts from.
    trail
        What led here, to find circles.

    Raises
    ------
    InputError
        If something is missing, unreadable, no TOML, or extends itself.
    """
    try:
        label, text, folder = _source(name, beside)
    except InputError as error:
        if not trail:
            raise
        raise InputError(
            Problem(f"{name}: {p.message}" if p.where else p.message, trail[-1], "extends", p.allowed) for p in error.problems
        ) from None
    if label in trail or len(trail) > MAX_DEPTH:
        raise InputError(
            Problem(
                "extends itself: " + " -> ".join((*trail, label)),
                trail[0],
                "extends",
                "a scenario that stands on its own at the end",
            )
        )
    tree = _parse(text, label)
    parent = tree.pop("extends", None)
    if parent is None:
        return tree
    if not isinstance(parent, str):
        raise InputError(
            Problem(f"{shown(parent)} is not the name of a scenario", label, "extends", "a catalogue id or a file, in quotes")
        )
    base = load_tree(parent, beside=folder, trail=(*trail, label))
    return _own_designs_first(_labels_together(merge(base, tree), tree), tree)


def _labels_together(merged: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A strategy that a file names anew does not keep the French name of the one it takes over."""
    named = own.get("strategies")
    named = named if isinstance(named, Mapping) else {}
    changed = {key for key, item in named.items() if isinstance(item, Mapping) and _one_label(item)}
    if not changed or not isinstance(merged.get("strategies"), Mapping):
        return merged
    plain = {key: _plain(item) if key in changed else item for key, item in merged["strategies"].items()}
    return {**merged, "strategies": plain}


def _one_label(item: Mapping[str, Any]) -> bool:
    return "label" in item and "label_fr" not in item


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "label_fr"}


def _own_designs_first(merged: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The first design is what `power` answers: those that a file names itself come before those it takes over."""
    mine, every = own.get("designs"), merged.get("designs")
    if not isinstance(mine, Mapping) or not isinstance(every, Mapping):
        return merged
    first = {name: every[name] for name in mine}
    return {**merged, "designs": {**first, **{name: design for name, design in every.items() if name not in first}}}


def source_text(name: str) -> str:
    """Text of a scenario as written.

    Parameters
    ----------
    name
        Catalogue id or path of a TOML file.

    Raises
    ------
    InputError
        If there is none, or it is no text.
    """
    return _source(name, None)[1]


def _source(name: str, beside: Path | None) -> tuple[str, str, Path | None]:
    """Label, text and folder of a scenario."""
    if name in catalogue_ids():
        return name, catalogue_text(name), None
    path = Path(name) if beside is None else Path(os.path.normpath(beside / name))  # one name per file finds circles
    looks_like_path = name.endswith(".toml") or "/" in name or "\\" in name or path.exists()
    if not looks_like_path:
        raise InputError(
            Problem(
                f"there is no scenario '{name}'", allowed=did_you_mean(name, catalogue_ids()) + " or the path of a TOML file"
            )
        )
    if path.is_dir():
        raise InputError(Problem("is a folder, not a scenario file", str(path)))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {(error.strerror or 'no such file').lower()}", str(path))) from None
    if not data.strip():
        raise InputError(
            Problem("is empty", str(path), allowed="`cmvsim scenarios new --from cmv-cart FILE` writes one to start from")
        )
    try:
        return str(path), data.decode("utf-8-sig"), path.parent
    except UnicodeDecodeError:
        raise InputError(Problem("is not a text file (UTF-8)", str(path))) from None


def _parse(text: str, label: str) -> dict[str, Any]:
    if "\x00" in text:
        raise InputError(Problem("is not a text file", label))
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        text = str(error).replace("Cannot overwrite a value", "a key stands there twice")
        raise InputError(Problem(f"is not valid TOML: {text}", label)) from None


_VALUE_KEYS = frozenset({"value", "median", "mean", "assumed", "evidence", "uncertain", "varies", "at_least"})


def is_value(tree: Any) -> bool:
    """Whether a table is one value (replaced whole) and not a section (replaced key by key)."""
    return isinstance(tree, Mapping) and bool(tree) and set(tree) <= _VALUE_KEYS


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on `base`, sections key by key; values, lists and texts are replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        section = isinstance(old, Mapping) and isinstance(value, Mapping) and not is_value(old) and not is_value(value)
        result[key] = merge(old, value) if section else value  # type: ignore[arg-type]
    return result


def apply_overrides(tree: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Apply ``--set KEY=VALUE``: KEY is a key path, VALUE is TOML (a bare word is taken as text).

    Raises
    ------
    InputError
        If an override has no ``=``, or its path goes through something that is no section.
    """
    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign or not key.strip():
            raise InputError(Problem(f"'{override}' is not KEY=VALUE", "--set", allowed="e.g. --set monitoring.attendance=0.9"))
        path = re.sub(r"\[(\d+)\]", r".\1", key)  # cmv.targets[0].day, as messages write it
        tree = _set(tree, [part.strip() for part in path.split(".")], _toml_value(text.strip()), override)
    return tree


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _set(tree: Mapping[str, Any], path: list[str], value: Any, override: str) -> dict[str, Any]:
    head, rest = path[0], path[1:]
    result = dict(tree)
    if not rest:
        old = result.get(head)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and not is_value(old) and not is_value(value):
            value = merge(old, value)
        result[head] = value
        return result
    inner = result.get(head, {})
    if isinstance(inner, list) and rest[0].isdigit() and int(rest[0]) < len(inner):
        items = list(inner)
        items[int(rest[0])] = _set(items[int(rest[0])], rest[1:], value, override) if len(rest) > 1 else value
        result[head] = items
        return result
    if isinstance(inner, list):
        raise InputError(
            Problem(
                f"'{head}' has no entry '{rest[0]}'",
                f"--set {override}",
                allowed=f"0 to {len(inner) - 1}" if inner else "it is empty",
            )
        )
    if not isinstance(inner, Mapping):
        raise InputError(Problem(f"'{head}' is a value ({shown(inner)}), not a section", f"--set {override}"))
    result[head] = _set(inner, rest, value, override)
    return result
