"""What a formula is to the command line: parameters with ranges, a computation, a source."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["number", "integer", "numbers", "integers", "choice"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input of a formula.

    Attributes
    ----------
    name, help
        Name on the command line, and what it means with its unit.
    kind
        What is accepted; the plural kinds take comma-separated lists.
    default
        Value when it is not given; None means required, or left out when `optional`.
    optional
        May be left out without a default.
    low, high
        Allowed range, of each item of a list.
    strict
        Whether the ends of the range are themselves excluded.
    choices
        Allowed words of a ``choice``.
    """

    name: str
    help: str
    kind: Kind = "number"
    default: Any = None
    optional: bool = False
    low: float = -math.inf
    high: float = math.inf
    strict: bool = False
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether the user must give it."""
        return self.default is None and not self.optional

    @property
    def allowed(self) -> str:
        """What is accepted, in words."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        what = {"number": "a number", "integer": "a whole number"}.get(self.kind)
        what = what or ("whole numbers" if self.kind == "integers" else "numbers") + " separated by commas"
        sign = "<" if self.strict else "<="
        low = f"{self.low:g} {sign} " if self.low > -math.inf else ""
        high = f" {sign} {self.high:g}" if self.high < math.inf else ""
        return f"{what}, {low}{self.name}{high}" if low or high else what


@dataclass(frozen=True, slots=True)
class Row:
    """One number of an answer; `at` says for which arm, method, stage or design."""

    measure: str
    value: float | int | str
    at: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a computation returns: the numbers, and the main one in a sentence."""

    rows: tuple[Row, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Formula:
    """A closed form or exact method by name.

    Attributes
    ----------
    name, title
        Name on the command line, and what it answers.
    parameters
        Inputs in the order they are shown.
    compute
        From complete, checked inputs to the answer.
    source
        Where the formula comes from.
    example
        Inputs that give an answer, as one would type them.
    """

    name: str
    title: str
    parameters: tuple[Parameter, ...]
    compute: Callable[[Mapping[str, Any]], Answer]
    source: str
    example: str


def rows(measures: Mapping[str, float | int | str], at: str = "") -> tuple[Row, ...]:
    """Rows of several measures at one place."""
    return tuple(Row(measure, value, at) for measure, value in measures.items())


def percent(value: float, digits: int = 1) -> str:
    """A proportion as a percentage."""
    return f"{100 * value:.{digits}f}%"


def probability(name: str, text: str, default: float | None = None, *, optional: bool = False) -> Parameter:
    """A parameter strictly between 0 and 1."""
    return Parameter(name, text, default=default, optional=optional, low=0, high=1, strict=True)


def positive(name: str, text: str, default: float | None = None, *, optional: bool = False) -> Parameter:
    """A parameter above 0."""
    return Parameter(name, text, default=default, optional=optional, low=0, strict=True)


def count(name: str, text: str, *, low: int = 1, high: float = math.inf, optional: bool = False) -> Parameter:
    """A whole number."""
    return Parameter(name, text, kind="integer", low=low, high=high, optional=optional)


ALPHA = probability("alpha", "Level of the test", 0.05)
ONE_SIDED_ALPHA = probability("alpha", "One-sided level of the test", 0.025)
SIDES = Parameter("sides", "Sides that share the level: 1 or 2", kind="integer", default=2, low=1, high=2)
POWER = probability("power", "Power wanted", 0.8)
LEVEL = probability("level", "Confidence level", 0.95)
RATIO = positive("ratio", "Patients of the experimental arm per patient of the control arm", 1.0)
HALF_WIDTH = Parameter("half_width", "Half of the width wanted of the confidence interval", low=0.005, high=0.499)
