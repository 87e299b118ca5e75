"""A foreign file of one row per patient, read by a map: which column is the time, the event, a covariate.

Such a file has times to events and not the samples behind them, so that it is no :class:`~cmvsim.data.study.Study`.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from cmvsim.core.errors import InputError, Problem, shown
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.core.spec import Spec
from cmvsim.data.cells import number_of
from cmvsim.data.formats import FORMATS
from cmvsim.data.formats.base import ObjectArray, Raw, UnreadableError
from cmvsim.data.parsing import NOT_AVAILABLE
from cmvsim.data.schema import Table

FORMAT = 1
ENDPOINTS = ("cmv_reactivation", "risk_factors")
SAID = ("is", "at_least", "at_most", "above", "below")

MISSING = NOT_AVAILABLE - {"none"}
"""What stands for an empty cell; "none" may well be what the file says of the event."""

Number = int | float
Name = Annotated[str, Field(min_length=1)]


class Condition(Spec):
    """A column, and what of it counts; without a condition the number itself.

    Attributes
    ----------
    column
        Name in the file.
    equals
        Counts where the cell is this (`is` in the file).
    at_least, at_most, above, below
        Counts where the number is.
    """

    column: Name
    equals: Annotated[Number | str | None, Field(alias="is")] = None
    at_least: Number | None = None
    at_most: Number | None = None
    above: Number | None = None
    below: Number | None = None

    @model_validator(mode="after")
    def _check(self) -> Condition:
        if len(self.conditions) > 1:
            raise ValueError(f"one condition at most, not {' and '.join(self.conditions)}")
        return self

    @property
    def conditions(self) -> dict[str, Number | str]:
        """What is asked, by its name in the file."""
        given = (self.equals, self.at_least, self.at_most, self.above, self.below)
        return {name: value for name, value in zip(SAID, given, strict=True) if value is not None}


class EventMap(Spec):
    """Where the time, the event and perhaps the competing event of an endpoint stand."""

    time: Name
    event: Condition
    competing: Condition | None = None

    @model_validator(mode="after")
    def _check(self) -> EventMap:
        for name in ("event", "competing"):
            condition: Condition | None = getattr(self, name)
            if condition is not None and not condition.conditions:
                raise ValueError(f"{name} says no value: add is = 1, or another of {', '.join(SAID)}")
        return self


class MapAnalysis(Spec):
    """What to estimate.

    Attributes
    ----------
    endpoints
        "cmv_reactivation" (cumulative incidence, proportion) and "risk_factors" (Cox regression).
    window
        Time of the main result, in the file's unit.
    at
        Further times.
    level, interval, ties
        Confidence level, scale of the limits of the incidence, ties of the Cox regression.
    """

    endpoints: Annotated[tuple[Literal["cmv_reactivation", "risk_factors"], ...], Field(strict=False, min_length=1)] = (
        "cmv_reactivation",
    )
    window: Annotated[float, Field(gt=0)]
    at: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(strict=False)] = ()
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    interval: Literal["cloglog", "log", "plain"] = "cloglog"
    ties: Literal["efron", "breslow"] = "efron"

    @property
    def times(self) -> tuple[float, ...]:
        """The window, then the further times in order."""
        return (float(self.window), *sorted({float(at) for at in self.at} - {float(self.window)}))


class MapSpec(Spec):
    """The map of a file.

    Attributes
    ----------
    patient
        Column of the identifiers.
    time_unit
        Of all times in file and map.
    cmv_reactivation
        Where it stands.
    covariates
        By name.
    analysis
        What to estimate.
    """

    format: int
    patient: Name
    time_unit: Literal["days", "weeks", "months", "years"]
    cmv_reactivation: EventMap
    covariates: dict[str, Condition] = Field(default_factory=dict)
    analysis: MapAnalysis

    @model_validator(mode="after")
    def _check(self) -> MapSpec:
        if "risk_factors" in self.analysis.endpoints and not self.covariates:
            raise ValueError('the endpoint "risk_factors" needs covariates: add a section [covariates]')
        return self


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a map finds in a file of N patients.

    Attributes
    ----------
    patients
        Their identifiers.
    time
        (N,) in `unit`, NaN where not recorded.
    event, competing
        (N,) which event happened at that time; `competing` None where the file does not record any.
    known
        (N,) time and event recorded.
    covariates
        (N,) by name, NaN where not recorded; a condition as 0 or 1.
    unit
        Of time.
    """

    patients: tuple[str, ...]
    time: FloatArray
    event: BoolArray
    competing: BoolArray | None
    known: BoolArray
    covariates: Mapping[str, FloatArray]
    unit: str


def read_map(path: Path) -> MapSpec:
    """Read a map.

    Raises
    ------
    InputError
        If the file is missing, no TOML, or holds a mistake.
    """
    try:
        tree = tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", str(path))) from None
    except UnicodeDecodeError:
        raise InputError(Problem("is not a text file", str(path))) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(Problem(f"is not valid TOML: {error}", str(path))) from None
    if type(tree.get("format")) is not int or tree["format"] != FORMAT:
        said = shown(tree["format"]) if "format" in tree else "missing"
        raise InputError(Problem(f"{said}: this version reads format = {FORMAT}", str(path), "format"))
    return MapSpec.parse(tree, where=str(path))


def read_mapped(path: Path, spec: MapSpec, where: str) -> Mapped:
    """Read a file by its map.

    Parameters
    ----------
    path
        CSV, Parquet, SAS transport or Dataset-JSON file of one row per patient.
    spec
        The map.
    where
        Its name, for messages.

    Raises
    ------
    InputError
        With every column that is not there, or every cell that cannot be read.
    """
    cells = _File.read(path)
    problems = list(_missing_columns(cells, spec, where, path.name))
    if problems:
        raise InputError(problems)
    problems = []
    patients = cells.columns[spec.patient]
    problems += _identifiers(cells, spec.patient)
    time = _numbers(cells, spec.cmv_reactivation.time, problems)
    for index in np.flatnonzero(time < 0):
        place = f"row {cells.rows[index]}, column {spec.cmv_reactivation.time}"
        problems.append(Problem(f"the time {time[index]:g} is negative", path.name, place, "0 or above"))
    event = _condition(cells, spec.cmv_reactivation.event, problems)
    other = spec.cmv_reactivation.competing
    competing = _condition(cells, other, problems) if other is not None else None
    covariates = {name: _condition(cells, covariate, problems) for name, covariate in spec.covariates.items()}
    if competing is not None:
        for index in np.flatnonzero((event == 1) & (competing == 1)):
            message = f"patient '{patients[index]}' has both the event and the competing event"
            problems.append(Problem(message, path.name, f"row {cells.rows[index]}", "the one that came first"))
    if problems:
        raise InputError(sorted(set(problems), key=lambda problem: _row_of(problem.at)))
    known = ~np.isnan(time) & ~np.isnan(event)
    if competing is not None:
        known &= ~np.isnan(competing)
    return Mapped(
        patients=tuple(patients),
        time=time,
        event=event == 1,
        competing=None if competing is None else competing == 1,
        known=known,
        covariates=covariates,
        unit=spec.time_unit,
    )


def _row_of(place: str) -> int:
    digits = place.removeprefix("row ").split(",", 1)[0]
    return int(digits) if digits.isdigit() else 0


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    columns: dict[str, ObjectArray]
    rows: list[int]

    @classmethod
    def read(cls, path: Path) -> _File:
        form = next((form for form in FORMATS.values() if path.name.lower().endswith(form.suffix)), FORMATS["csv"])
        try:
            raw = form.read(path.read_bytes(), Table(path.stem, "", ()))
        except OSError as error:
            raise InputError(Problem(f"cannot be read: {error.strerror}", str(path))) from None
        except UnreadableError as error:
            raise InputError(
                Problem(error.message, path.name, f"row {error.row}" if error.row else "", error.allowed)
            ) from None
        return cls._of(raw, path.name)

    @classmethod
    def _of(cls, raw: Raw, name: str) -> _File:
        width = len(raw.header)
        twice = [column for column in dict.fromkeys(raw.header) if raw.header.count(column) > 1]
        problems = [Problem(f"column '{c}' is there {raw.header.count(c)} times", name, "", "each column once") for c in twice]
        for record, row in zip(raw.records, raw.rows, strict=True):
            if len(record) != width:
                message = f"{len(record)} cells where the header has {width}"
                problems.append(Problem(message, name, f"row {row}", "one cell per column"))
        if not raw.records:
            problems.append(Problem("the table has no rows", name, "", "one row per patient"))
        if problems:
            raise InputError(problems)
        columns = {}
        for index, column in enumerate(raw.header):
            texts = np.empty(len(raw.records), dtype=np.object_)
            texts[:] = ["" if record[index].lower() in MISSING else record[index] for record in raw.records]
            columns[column] = texts
        return cls(name, columns, raw.rows)


def _asked(spec: MapSpec) -> dict[str, str]:
    """Columns that the map names, by key path."""
    asked = {"patient": spec.patient, "cmv_reactivation.time": spec.cmv_reactivation.time}
    asked["cmv_reactivation.event.column"] = spec.cmv_reactivation.event.column
    if spec.cmv_reactivation.competing is not None:
        asked["cmv_reactivation.competing.column"] = spec.cmv_reactivation.competing.column
    return asked | {f"covariates.{name}.column": covariate.column for name, covariate in spec.covariates.items()}


def _missing_columns(cells: _File, spec: MapSpec, where: str, file: str) -> list[Problem]:
    problems = []
    for at, column in _asked(spec).items():
        if column not in cells.columns:
            near = difflib.get_close_matches(column, list(cells.columns), 1, 0.5)
            hint = f"did you mean '{near[0]}'?" if near else f"columns: {', '.join(cells.columns)}"
            problems.append(Problem(f"{file} has no column '{column}'", where, at, hint))
    return problems


def _identifiers(cells: _File, column: str) -> list[Problem]:
    problems, seen = [], dict[str, int]()
    for text, row in zip(cells.columns[column], cells.rows, strict=True):
        if not text:
            problems.append(Problem("the cell is empty", cells.name, f"row {row}, column {column}", "an identifier"))
        elif text in seen:
            message = f"patient '{text}' has a row already (row {seen[text]})"
            problems.append(Problem(message, cells.name, f"row {row}, column {column}", "one row per patient"))
        seen.setdefault(text, row)
    return problems


def _numbers(cells: _File, column: str, problems: list[Problem]) -> FloatArray:
    values = np.full(len(cells.rows), np.nan)
    for index, text in enumerate(cells.columns[column]):
        if not text:
            continue
        value = number_of(text)
        if value is None:
            hint = 'a number; of texts, say which counts: { column = "...", is = "..." }'
            problems.append(Problem(f"'{text}' is not a number", cells.name, f"row {cells.rows[index]}, column {column}", hint))
        else:
            values[index] = value
    return values


def _condition(cells: _File, asked: Condition, problems: list[Problem]) -> FloatArray:
    """1 where the condition holds, 0 where not, NaN where nothing was recorded; without a condition the number."""
    conditions = asked.conditions
    if isinstance(conditions.get("is"), str):
        texts = cells.columns[asked.column]
        held: FloatArray = np.where(texts == "", np.nan, (texts == conditions["is"]).astype(np.float64))
        if not (held == 1).any():
            known = ", ".join(sorted({str(text) for text in texts if text})[:10])
            at = f"column {asked.column}"
            problems.append(Problem(f"no cell is '{conditions['is']}'", cells.name, at, f"found: {known}"))
        return held
    values = _numbers(cells, asked.column, problems)
    if not conditions:
        return values
    tests: dict[str, Any] = {
        "is": np.equal,
        "at_least": np.greater_equal,
        "at_most": np.less_equal,
        "above": np.greater,
        "below": np.less,
    }
    ((name, bound),) = conditions.items()
    return np.where(np.isnan(values), np.nan, tests[name](values, bound).astype(np.float64))
