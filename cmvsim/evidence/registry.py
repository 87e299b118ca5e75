"""The evidence catalogue: every literature number of the package, once, with where it comes from.

``parameters.toml`` and ``sources.toml`` are read here, checked strictly, and turned into frozen records. A
scenario file writes ``"@id"``; the resolver replaces it by :meth:`Parameter.human`.

Grades say what stands behind a number:

``found``
    read in the source, at the locator;
``recalled``
    attributed to a source that was not at hand, with a confidence;
``derived``
    computed from found, recalled or other derived numbers, the arithmetic being kept beside it;
``assumed``
    no paper gives it. A number computed from an assumption, or remembered without a document that says it, is
    an assumption too: it may name sources that bear on it (`see`), never one that vouches for it (`source`).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, TypeVar

from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.spec import Spec
from cmvsim.evidence.entries import Parameter, Source

S = TypeVar("S", bound=Spec)


def parse_sources(tree: Mapping[str, Any], where: str = "sources.toml") -> Mapping[str, Source]:
    """Check a tree of sources.

    Parameters
    ----------
    tree
        Tables by key.
    where
        File name for messages.

    Raises
    ------
    InputError
        With every problem of every entry.
    """
    return MappingProxyType(_parse(tree, Source, "key", where))


def parse_parameters(
    tree: Mapping[str, Any], known_sources: Mapping[str, Source], where: str = "parameters.toml"
) -> Mapping[str, Parameter]:
    """Check a tree of parameters against the sources that exist.

    Parameters
    ----------
    tree
        Tables by id.
    known_sources
        What `source` and `see` may name.
    where
        File name for messages.

    Raises
    ------
    InputError
        With every problem of every entry.
    """
    found = _parse(tree, Parameter, "id", where)
    problems = []
    for name, entry in found.items():
        for field, keys, known in (
            ("source", entry.source, known_sources),
            ("see", entry.see, known_sources),
            ("inputs", entry.inputs, found),
        ):
            at = f"{name}.{field}"
            problems += [
                Problem(f"'{key}' does not exist", where, at, did_you_mean(key, known)) for key in keys if key not in known
            ]
        guesses = [key for key in entry.inputs if key in found and found[key].grade == "assumed"]
        if entry.grade != "assumed" and guesses:
            problems.append(
                Problem(
                    "a number computed from an assumption is an assumption",
                    where,
                    f"{name}.grade",
                    f"assumed: {', '.join(guesses)}",
                )
            )
    if problems:
        raise InputError(problems)
    return MappingProxyType(found)


def _parse(tree: Mapping[str, Any], spec: type[S], key: str, where: str) -> dict[str, S]:
    found: dict[str, S] = {}
    problems: list[Problem] = []
    for name, table in tree.items():
        if not isinstance(table, Mapping):
            problems.append(Problem(f"{table!r} is not a table", where, name))
            continue
        if key in table:
            problems.append(Problem(f"the table's name is its {key}", where, f"{name}.{key}", "leave it out"))
            continue
        try:
            found[name] = spec.parse({**table, key: name}, where=where)
        except InputError as error:
            problems += [Problem(p.message, p.where, f"{name}.{p.at}" if p.at else name, p.allowed) for p in error.problems]
    if problems:
        raise InputError(problems)
    return found


@cache
def sources() -> Mapping[str, Source]:
    """All sources, by key."""
    return parse_sources(_read("sources.toml"))


@cache
def parameters() -> Mapping[str, Parameter]:
    """All parameters, by id."""
    return parse_parameters(_read("parameters.toml"), sources())


def parameter(name: str) -> Parameter:
    """Look a parameter up.

    Parameters
    ----------
    name
        Its id, with or without the ``@`` of scenario files.

    Raises
    ------
    InputError
        If there is none of that name, with the nearest one.
    """
    known = parameters()
    bare = name.removeprefix("@")
    if bare not in known:
        raise InputError(Problem(f"no evidence entry '@{bare}'", allowed=did_you_mean(bare, known)))
    return known[bare]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("cmvsim.evidence").joinpath(name).read_text(encoding="utf-8"))
