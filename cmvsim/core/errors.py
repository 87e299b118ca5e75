"""Errors written for the person who made the mistake.

A :class:`Problem` says where something is wrong (file, key path or table row), what is wrong, and what is allowed.
An :class:`InputError` carries every problem found, so that a user mends a file once. ``app`` turns errors into one
clear message and an exit code; nothing below it prints.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """Exit codes of the command line."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    VERDICT_NO = 3
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the input.

    Parameters
    ----------
    message
        What is wrong, with the offending value.
    where
        File or table (empty when the message says all).
    at
        Key path (``cmv.targets[0].value``) or row and column.
    allowed
        What would be accepted, including a did-you-mean.
    """

    message: str
    where: str = ""
    at: str = ""
    allowed: str = ""

    def __str__(self) -> str:
        place = ": ".join(part for part in (self.where, self.at) if part)
        text = f"{place}: {self.message}" if place else self.message
        return f"{text} ({self.allowed})" if self.allowed else text


class CmvsimError(Exception):
    """Base of all errors this package raises on purpose."""

    exit_code: ExitCode = ExitCode.INTERNAL


class InputError(CmvsimError):
    """The user's input cannot be used; nothing was written.

    Parameters
    ----------
    problems
        All problems found, or one message.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, problems: str | Problem | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class CalibrationError(CmvsimError):
    """A scenario's targets cannot be reached by the model."""

    exit_code = ExitCode.USAGE


def nearest(word: str, options: Iterable[str]) -> list[str]:
    """Find the name that was probably meant: a list of one, or of none.

    Parameters
    ----------
    word
        What the user wrote.
    options
        The names that exist.
    """
    return difflib.get_close_matches(word, sorted(set(options)), n=1, cutoff=0.6)


MOST_NAMES = 40
"""Names that a message lists."""


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Say what exists, with the nearest name first.

    Parameters
    ----------
    word
        What the user wrote.
    options
        The names that exist.

    Returns
    -------
    str
        ``did you mean 'x'?`` when a name is near, else the list of names.
    """
    known = sorted(set(options))
    near = nearest(word, known)
    if near:
        return f"did you mean '{near[0]}'?"
    more = f", ... ({len(known)} in all)" if len(known) > MOST_NAMES else ""
    return f"known: {', '.join(known[:MOST_NAMES])}{more}" if known else "none exist"


def shown(given: Any, longest: int = 60) -> str:
    """Write a value as its author did (TOML), shortened where it is long.

    Parameters
    ----------
    given
        Anything read from a file.
    longest
        Characters kept.
    """
    text = _toml_like(given)
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _toml_like(given: Any) -> str:
    if given is None:
        return "null"
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml_like(item)}" for key, item in given.items()) + " }" if given else "{}"
    if isinstance(given, list | tuple):
        return "[" + ", ".join(_toml_like(item) for item in given) + "]"
    return given.isoformat() if hasattr(given, "isoformat") else repr(given)
