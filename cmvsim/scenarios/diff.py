"""Two scenarios side by side: the key paths at which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from cmvsim.core.errors import shown
from cmvsim.core.spec import key_path
from cmvsim.core.value import Between, Stated, Value
from cmvsim.scenarios.inputs import all_inputs
from cmvsim.scenarios.scenario import ResolvedScenario
from cmvsim.scenarios.words import in_words

ABSENT = "-"
LONGEST = 48
"""Characters of a value in the table for people."""
NAMES = frozenset({"id", "title"})
"""Scenarios are told apart by these; they are no difference."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One key path at which two scenarios differ; ``-`` where one has no such key.

    Attributes
    ----------
    words_only
        The number is the same; its provenance or label is not.
    """

    path: str
    left: str
    right: str
    words_only: bool = False


def diff(left: ResolvedScenario, right: ResolvedScenario) -> tuple[Difference, ...]:
    """Key paths that differ, in the order of the left scenario, then what only the right one has.

    Parameters
    ----------
    left, right
        Resolved scenarios.
    """
    a, b = _leaves(left), _leaves(right)
    found = []
    for path in (*a, *(path for path in b if path not in a)):
        one, other = a.get(path, _NOTHING), b.get(path, _NOTHING)
        if one == other:
            continue
        # the same words with another uncertainty or reason: show what differs
        texts = (one.text, other.text) if one.text != other.text else (one.full, other.full)
        found.append(Difference(path, *texts, words_only=one.physical == other.physical))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Leaf:
    text: str
    full: str
    physical: str


_NOTHING = _Leaf(ABSENT, ABSENT, "")


def _leaves(scenario: ResolvedScenario) -> dict[str, _Leaf]:
    words = {item.path: in_words(item) for item in all_inputs(scenario.spec)}
    return {
        key_path(path): _leaf(value, words.get(key_path(path)))
        for path, value in _walk(scenario.spec, ())
        if path[0] not in NAMES
    }


def _leaf(value: Any, words: str | None) -> _Leaf:
    if not isinstance(value, Value | Between | Stated):
        text = shown(value.model_dump(mode="json") if isinstance(value, BaseModel) else value)
        return _Leaf(text, text, text)
    physical = repr(value.model_dump(exclude={"evidence", "assumed"}))
    text = words if words is not None else shown(value.model_dump(mode="json"))
    uncertain = getattr(value, "uncertain", None)
    notes = [
        f"uncertain: {uncertain.kind} {list(uncertain.parameters)}" if uncertain is not None else "",
        f"@{value.evidence}" if value.evidence is not None else "",
        f"assumed: {value.assumed}" if value.assumed is not None else "",
    ]
    full = "; ".join([text, *(note for note in notes if note)])
    return _Leaf(text, full, physical)


def _walk(node: Any, path: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(node, Value | Between | Stated):
        yield path, node
    elif isinstance(node, BaseModel):
        for name in type(node).model_fields:
            yield from _walk(getattr(node, name), (*path, name))
    elif isinstance(node, Mapping):
        for key, value in node.items():
            yield from _walk(value, (*path, key))
    elif isinstance(node, tuple) and any(isinstance(item, BaseModel) for item in node):
        for index, value in enumerate(node):
            yield from _walk(value, (*path, index))
    elif path:
        yield path, node


def _brief(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def as_text(differences: tuple[Difference, ...], left: str, right: str) -> str:
    """Write the differences as a table for people."""
    if not differences:
        return f"{left} and {right} are the same.\n"
    rows = [
        ("", left, right),
        *((item.path + (" (words)" if item.words_only else ""), _brief(item.left), _brief(item.right)) for item in differences),
    ]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    return "\n".join(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}".rstrip() for row in rows) + "\n"
