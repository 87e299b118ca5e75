"""Reference cases: what is expected of this installation, by whom it was computed, and how near is near enough."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.records import BoolArray, FloatArray

TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "event_times": "Cumulative incidence, survival and proportions, against R",
        "regression": "Group tests and regressions, against R",
        "comparisons": "Two proportions and tests of one proportion, against R",
        "costs": "Mean costs under censoring, against R",
        "closed_forms": "Closed forms and exact methods of planning",
        "economics": "Economic evaluation",
        "value_sets": "EQ-5D value sets",
        "streams": "Random streams",
        "end_to_end": "A small study, simulated, written, read and analysed",
    }
)
"""Topics in the order of the report; each is a file of ``reference/``."""

_WORDS = {"NA": np.nan, "NaN": np.nan, "Inf": np.inf, "-Inf": -np.inf}


@dataclass(frozen=True, eq=False)
class Comparison:
    """One quantity of a case: numbers of any shape, or one text.

    Attributes
    ----------
    rtol, atol
        A number agrees within ``atol + rtol * abs(expected)``; NaN agrees with NaN; a text agrees when it is the same.
    """

    quantity: str
    expected: FloatArray | str
    got: FloatArray | str
    rtol: float = 0.0
    atol: float = 0.0

    @property
    def size(self) -> int:
        """How many numbers are compared."""
        return 1 if isinstance(self.expected, str) else self.expected.size

    def within(self) -> BoolArray:
        """Whether each number agrees; a single False where shapes or kinds differ."""
        if isinstance(self.expected, str) or isinstance(self.got, str):
            return np.array([self.expected == self.got])
        if self.expected.shape != self.got.shape:
            return np.array([False])
        return np.isclose(self.got, self.expected, rtol=self.rtol, atol=self.atol, equal_nan=True)

    def relative_errors(self) -> FloatArray:
        """Distance as a part of the expected number; NaN where the expected is 0 up to the absolute tolerance, or no number."""
        if isinstance(self.expected, str) or isinstance(self.got, str) or self.expected.shape != self.got.shape:
            return np.array([np.nan])
        large = np.isfinite(self.expected) & (np.abs(self.expected) > max(self.atol, 1e-15))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(large, np.abs(self.got - self.expected) / np.abs(self.expected), np.nan)


@dataclass(frozen=True, eq=False)
class Case:
    """One reference case.

    Attributes
    ----------
    topic
        A key of :data:`TOPICS`.
    id
        Unique in its topic.
    kind
        What computes the answer: a key of ``qualification.COMPUTE``.
    what
        In words.
    source
        Who computed the expected numbers, with which call.
    rtol, atol
        Tolerances of the case.
    expected, args
        As in the file.
    data
        Columns of the data set, of equal length; may be empty.
    """

    topic: str
    id: str
    kind: str
    what: str
    source: str
    rtol: float
    atol: float
    expected: Any
    args: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The last part of the identifier: what is asked of the data set."""
        return self.id.rpartition("/")[2]

    def compare(
        self, quantity: str, expected: Any, got: ArrayLike, *, rtol: float | None = None, atol: float | None = None
    ) -> Comparison:
        """Numbers against R's JSON form, with the tolerances of the case unless others are given."""
        return Comparison(
            quantity,
            numbers(expected),
            np.asarray(got, dtype=np.float64),
            self.rtol if rtol is None else rtol,
            self.atol if atol is None else atol,
        )

    def same(self, quantity: str, expected: Any, got: ArrayLike) -> Comparison:
        """Whole numbers or codes, which must be equal."""
        return self.compare(quantity, expected, got, rtol=0.0, atol=0.0)


@dataclass(frozen=True, eq=False)
class Outcome:
    """A case and how it went.

    Attributes
    ----------
    comparisons
        All quantities; empty where the computation raised.
    error
        The message of what it raised, else empty.
    """

    case: Case
    comparisons: tuple[Comparison, ...]
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether something was compared and all of it agrees."""
        return not self.error and bool(self.comparisons) and all(item.within().all() for item in self.comparisons)

    @property
    def largest_relative_error(self) -> float:
        """Over all numbers whose expected value is not 0; NaN where there is none."""
        errors = np.concatenate([item.relative_errors().ravel() for item in self.comparisons] or [np.array([np.nan])])
        return float(np.nanmax(errors)) if np.isfinite(errors).any() else float("nan")


def numbers(values: Any) -> FloatArray:
    """Array from JSON in which R's non-finite numbers are strings; NA and NaN both become NaN."""

    def plain(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        return _WORDS[value] if isinstance(value, str) else value

    return np.array(plain(values.tolist() if isinstance(values, np.ndarray) else values), dtype=np.float64)


def load_cases(topic: str | None = None) -> tuple[Case, ...]:
    """All reference cases that ship with the package, or those of one topic.

    Raises
    ------
    InputError
        If there is no such topic.
    """
    if topic is not None and topic not in TOPICS:
        raise InputError(Problem(f"there is no topic '{topic}'", "--topic", allowed=did_you_mean(topic, TOPICS)))
    return tuple(case for name in ([topic] if topic else TOPICS) for case in _read(name))


def reference_text(topic: str) -> str:
    """The file of a topic."""
    return resources.files("cmvsim.qualification").joinpath("reference", f"{topic}.json").read_text(encoding="utf-8")


def _read(topic: str) -> Iterator[Case]:
    tree = json.loads(reference_text(topic))
    yield from _closed_forms(topic, tree) if isinstance(tree, list) else _data_sets(topic, tree["cases"])


def _closed_forms(topic: str, listed: list[dict[str, Any]]) -> Iterator[Case]:
    for case in listed:
        given = ", ".join(f"{key} = {value}" for key, value in case["input"].items())
        yield Case(
            topic=topic,
            id=case["id"],
            kind=case["kind"],
            what=f"{case['kind'].replace('_', ' ')}{f': {given}' if given else ''}",
            source=case["source"],
            rtol=0.0,
            atol=case["tol"] + 1e-12,
            expected=case["expected"],
            args=case["input"],
        )


def _data_sets(topic: str, listed: list[dict[str, Any]]) -> Iterator[Case]:
    for data_set in listed:
        about, _, software = data_set["source"].partition("; R version ")
        columns = {name: np.array(values) for name, values in data_set.get("data", {}).items()}
        for check in data_set["checks"]:
            call = " ".join(str(check.get("r_call") or "").split())
            origin = f"R {software}" if software else check.get("source", data_set["source"])
            yield Case(
                topic=topic,
                id=f"{data_set['case']}/{check['id']}",
                kind=check["estimator"],
                what=check.get("what") or _words(check["estimator"], about, check["args"]),
                source=f"{origin}: {call}" if call else origin,
                rtol=check["rtol"],
                atol=check["atol"],
                expected=check["expected"],
                args=check["args"] if isinstance(check["args"], dict) else {},
                data=columns,
            )


def _words(kind: str, about: str, args: Any) -> str:
    given = ", ".join(f"{key} {value}" for key, value in args.items() if key != "times") if isinstance(args, dict) else ""
    return f"{kind.replace('_', ' ')}{f' ({given})' if given else ''}; data: {about}"
