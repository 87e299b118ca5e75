"""What an entry of the evidence catalogue is: a parameter, and a source, checked strictly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from cmvsim.core.errors import did_you_mean
from cmvsim.core.quantities import (
    Correlation,
    Days,
    Log10Copies,
    Log10Load,
    LogitPerLog10,
    NonNegative,
    Number,
    Positive,
    Probability,
    Ratio,
    StudyDay,
    Utility,
    VaryingDays,
    VaryingLog10,
    VaryingLog10Copies,
    VaryingPositive,
    VasPoints,
    ViralLoad,
)
from cmvsim.core.spec import Spec
from cmvsim.core.value import Between, Uncertain, Value

_SCALAR: dict[str, TypeAdapter[Value]] = {
    "proportion": TypeAdapter(Probability),
    "ratio": TypeAdapter(Ratio),
    "days": TypeAdapter(Days),
    "day from infusion": TypeAdapter(StudyDay),
    "months": TypeAdapter(NonNegative),
    "IU/mL": TypeAdapter(ViralLoad),
    "log10 IU/mL": TypeAdapter(Log10Load),
    "log10 copies/mL": TypeAdapter(Log10Copies),
    "log10": TypeAdapter(NonNegative),
    "logit per log10": TypeAdapter(LogitPerLog10),
    "log odds per log10": TypeAdapter(Number),
    "correlation": TypeAdapter(Correlation),
    "number": TypeAdapter(Positive),
    "variance": TypeAdapter(NonNegative),
    "patients": TypeAdapter(NonNegative),
    "patients per year": TypeAdapter(NonNegative),
    "patients per week": TypeAdapter(NonNegative),
    "patients per site-month": TypeAdapter(NonNegative),
    "sites": TypeAdapter(NonNegative),
    "per day": TypeAdapter(NonNegative),
    "per 100 days": TypeAdapter(NonNegative),
    "copies/µg": TypeAdapter(Positive),
    "cells/µL": TypeAdapter(Positive),
    "fold": TypeAdapter(Positive),
    "G/L": TypeAdapter(Positive),
    "utility": TypeAdapter(Utility),
    "VAS points": TypeAdapter(VasPoints),
    "EUR": TypeAdapter(NonNegative),
    "EUR per day": TypeAdapter(NonNegative),
    "EUR per QALY": TypeAdapter(NonNegative),
}
_VARYING: dict[str, TypeAdapter[Between]] = {
    "days": TypeAdapter(VaryingDays),
    "log10 IU/mL": TypeAdapter(VaryingLog10),
    "log10 copies/mL": TypeAdapter(VaryingLog10Copies),
    "copies/µg": TypeAdapter(VaryingPositive),
    "cells/µL": TypeAdapter(VaryingPositive),
    "fold": TypeAdapter(VaryingPositive),
    "per day": TypeAdapter(VaryingPositive),
    "proportion": TypeAdapter(VaryingPositive),
    "G/L": TypeAdapter(VaryingPositive),
}
_UNCERTAIN_ONLY: TypeAdapter[Value] = TypeAdapter(Number)


def _problem(message: str, allowed: str = "") -> PydanticCustomError:
    return PydanticCustomError("evidence", "{message}", {"message": message, "allowed": allowed})


def _first_problem(error: ValidationError) -> PydanticCustomError:
    """Hand on the message of a nested validation, so that a person reads one sentence."""
    item = error.errors(include_url=False)[0]
    return _problem(item["msg"], str(item.get("ctx", {}).get("allowed", "")))


def _uncertain(raw: Any) -> Any:
    """Read a distribution with the grammar of scenario files, which belongs to the core."""
    if raw is None or isinstance(raw, Uncertain):
        return raw
    try:
        return _UNCERTAIN_ONLY.validate_python({"value": 0.0, "uncertain": raw}).uncertain
    except ValidationError as error:
        raise _first_problem(error) from None


def _tuple(raw: Any) -> Any:
    return tuple(raw) if isinstance(raw, list) else raw


Keys = Annotated[tuple[str, ...], BeforeValidator(_tuple)]
Interval = Annotated[tuple[float, float], BeforeValidator(_tuple)]


class Varies(Spec):
    """How patients differ: the spread beside a median (`sdlog`) or a mean (`sd`), and a truncation."""

    sdlog: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None

    def human(self) -> dict[str, float]:
        """Write the table as a scenario file does."""
        return {key: value for key, value in self.model_dump().items() if value is not None}


class Source(Spec):
    """A paper, registry, price list or product label, described as far as it is known.

    Attributes
    ----------
    key
        Name by which parameters cite it.
    what
        What it is: design, size, population.
    authors, title, journal, year
        Bibliographic details; absent where they are not known.
    ids
        Identifiers as published (PMID, PMC, NCT, journal volume/issue/page, address).
    background
        True when no parameter cites it; kept because it delimits what is known.
    """

    key: str
    what: str
    authors: str = ""
    title: str = ""
    journal: str = ""
    year: int | None = None
    ids: Keys = ()
    background: bool = False

    def cite(self) -> str:
        """Write the source in one line."""
        named = (self.authors, self.title) if self.authors or self.title else (self.what,)
        parts = (*named, self.journal, str(self.year or ""), "; ".join(self.ids))
        return ". ".join(part.removesuffix(".") for part in parts if part)


class Parameter(Spec):
    """A number of the literature, or an assumption in the absence of one.

    Attributes
    ----------
    id
        Name, written ``"@id"`` in scenario files.
    value, median, mean
        Exactly one: one number for all, or the centre of a quantity that differs between patients.
    varies
        The spread between patients, beside `median` or `mean`.
    unit
        One of a fixed list; says which scenario type the number must satisfy.
    uncertain
        What is not known of the number (of the centre, where patients differ).
    interval95
        Published 95% interval.
    population, measures
        Of whom, and what exactly: onset or detection, matrix, window of a ratio, ever/never.
    source, locator
        Which source states it, and where in the source.
    see
        Sources that bear on the choice without stating the number.
    inputs
        Ids of the entries a derivation starts from.
    grade, confidence
        What stands behind it; the confidence of a recollection.
    reason, derivation
        Why this number for this use; the arithmetic.
    role
        "law" (of the model), "target" (simulated measurements are held against it) or "input" (the rest).
    """

    id: str
    unit: str
    measures: str
    grade: Literal["found", "recalled", "derived", "assumed"]
    role: Literal["law", "target", "input"]
    value: float | None = None
    median: float | None = None
    mean: float | None = None
    varies: Varies | None = None
    uncertain: Annotated[Uncertain | None, BeforeValidator(_uncertain)] = None
    interval95: Interval | None = None
    population: str = ""
    source: Keys = ()
    locator: str = ""
    see: Keys = ()
    inputs: Keys = ()
    confidence: Literal["high", "medium", "low"] | None = None
    reason: str = ""
    derivation: str = ""

    @property
    def centre(self) -> float:
        """The value, or the centre of the differences between patients."""
        return next(x for x in (self.value, self.median, self.mean) if x is not None)

    def human(self) -> dict[str, Any]:
        """Write the table that replaces ``"@id"`` in a scenario file."""
        table: dict[str, Any] = {
            key: getattr(self, key) for key in ("value", "median", "mean") if getattr(self, key) is not None
        }
        if self.varies is not None:
            table["varies"] = self.varies.human()
        if self.uncertain is not None:
            table["uncertain"] = self.uncertain.human()
        table["evidence"] = self.id
        if self.grade == "assumed":
            table["assumed"] = self.reason
        return table

    @model_validator(mode="after")
    def _one_number(self) -> Self:
        if sum(x is not None for x in (self.value, self.median, self.mean)) != 1:
            raise _problem("exactly one number is needed", "'value', or 'median' or 'mean' with 'varies'")
        if (self.value is None) != (self.varies is not None):
            raise _problem("'varies' and 'value' exclude each other", "'median' or 'mean' goes with 'varies'")
        adapters: Mapping[str, TypeAdapter[Any]] = _SCALAR if self.varies is None else _VARYING
        if self.unit not in adapters:
            raise _problem(f"unknown unit '{self.unit}'", did_you_mean(self.unit, adapters))
        try:
            adapters[self.unit].validate_python(self.human())
        except ValidationError as error:
            raise _first_problem(error) from None
        return self

    @model_validator(mode="after")
    def _inside_its_intervals(self) -> Self:
        intervals = {
            "interval95": self.interval95,
            "uncertain": self.uncertain.interval95() if self.uncertain is not None else None,
        }
        for name, pair in intervals.items():
            if pair is not None and not pair[0] <= self.centre <= pair[1]:
                raise _problem(f"{self.centre:g} lies outside its {name}, {pair[0]:g} to {pair[1]:g}")
        return self

    @model_validator(mode="after")
    def _grade_is_earned(self) -> Self:
        if self.grade in ("found", "recalled") and not self.source:
            raise _problem(f"a {self.grade} number needs a 'source'")
        if self.grade == "derived" and not self.derivation:
            raise _problem("a derived number needs its 'derivation'")
        if self.grade == "derived" and not self.source and not self.inputs:
            raise _problem("a derived number starts from something", "give 'source' or 'inputs'")
        if self.grade == "assumed" and not self.reason:
            raise _problem("an assumed number needs a 'reason'")
        if self.grade == "assumed" and self.source:
            raise _problem("an assumed number has no 'source'", "papers that bear on it go under 'see'")
        if (self.grade == "recalled") != (self.confidence is not None):
            raise _problem("'confidence' belongs to recalled numbers, and every recalled number has one")
        return self
