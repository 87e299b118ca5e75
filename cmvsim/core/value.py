"""Numbers with provenance: what a value is, where it comes from, and how little we know of it.

A scenario file writes a number in one of four ways::

    patients = 250                                                   the user's own
    lloq     = "@lloq_plasma"                                        an entry of the evidence catalogue
    value    = { value = 0.93, assumed = "why" }                     an assumption, listed first in every report
    value    = { value = 0.30, uncertain = { beta = [24, 55] } }     what we do not know (sampled by assurance and PSA)

and a quantity that differs *between patients* as ``{ median = 4.3, varies = { sdlog = 0.84 } }`` or
``{ mean = 1.2, varies = { sd = 0.6 } }``. Evidence ids are replaced by their entries before validation, so this module
needs no catalogue. One hand-written validator gives one message per mistake.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator
from scipy import special, stats

from cmvsim.core.records import FloatArray
from cmvsim.core.spec import Spec

PROVENANCE = ("evidence", "assumed", "uncertain")


class Uncertain(Spec):
    """A distribution of what we do not know, each kind with one meaning.

    ``beta`` [a, b] on proportions; ``normal`` [mean, sd]; ``lognormal`` [median, sdlog]; ``interval95`` [low, high]:
    a normal (log-normal when `log` scale quantity is positive, logit-normal for proportions is *not* assumed) whose
    central 95% is the interval; ``gamma`` [shape, scale]. Which scale an interval is read on, and how a distribution is
    kept inside the range of its quantity, is for :class:`cmvsim.core.marginal.Marginal` to say.

    Attributes
    ----------
    group, correlation
        Inputs of one group are drawn with a common correlation (of their normal scores, 0 to 1); None: independent.
    """

    kind: Literal["beta", "normal", "lognormal", "interval95", "gamma"]
    parameters: tuple[float, float]
    group: str | None = None
    correlation: float | None = None

    @model_serializer(mode="wrap")
    def _plain(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Independent inputs say nothing of groups."""
        return {key: value for key, value in handler(self).items() if value is not None}

    def human(self) -> dict[str, Any]:
        """Write the table as a scenario file does."""
        tied = {"group": self.group, "correlation": self.correlation} if self.group is not None else {}
        return {self.kind: list(self.parameters), **tied}

    def quantile(self, u: FloatArray) -> FloatArray:
        """Invert uniforms `u` in (0, 1); any shape. No sampler whose consumption depends on a parameter is used."""
        a, b = self.parameters
        if self.kind == "beta":
            return np.asarray(stats.beta.ppf(u, a, b))
        if self.kind == "normal":
            return a + b * special.ndtri(u)
        if self.kind == "lognormal":
            return a * np.exp(b * special.ndtri(u))
        if self.kind == "gamma":
            return np.asarray(stats.gamma.ppf(u, a, scale=b))
        half = (b - a) / (2 * special.ndtri(0.975))
        return (a + b) / 2 + half * special.ndtri(u)

    def interval95(self) -> tuple[float, float]:
        """Central 95% of the distribution."""
        low, high = self.quantile(np.array([0.025, 0.975]))
        return float(low), float(high)


class Value(Spec):
    """A number with its provenance.

    Attributes
    ----------
    value
        Used by ordinary runs.
    evidence
        Id in the evidence catalogue, if it comes from there.
    assumed
        Why it was assumed, if no paper stands behind it.
    uncertain
        What we do not know of it; only assurance and PSA sample it.
    """

    value: float
    evidence: str | None = None
    assumed: str | None = None
    uncertain: Uncertain | None = None

    def __float__(self) -> float:
        return self.value


class Between(Spec):
    """A quantity that differs between patients: log-normal around a median, or normal around a mean.

    Attributes
    ----------
    law
        "lognormal" (centre = median, spread = sd of the natural log) or "normal" (centre = mean, spread = sd).
    low, high
        Truncation, if any.
    """

    law: Literal["lognormal", "normal"]
    centre: float
    spread: float
    low: float | None = None
    high: float | None = None
    evidence: str | None = None
    assumed: str | None = None
    uncertain: Uncertain | None = None

    def of_normal(self, z: FloatArray) -> FloatArray:
        """Map standard normals to the law (any shape); a truncated law by inversion of the normal probability."""
        if self.low is not None or self.high is not None:
            below = special.ndtr(self._standard(self.low)) if self.low is not None else 0.0
            above = special.ndtr(self._standard(self.high)) if self.high is not None else 1.0
            z = special.ndtri(below + (above - below) * special.ndtr(z))
        if self.law == "lognormal":
            return self.centre * np.exp(self.spread * z)
        return self.centre + self.spread * z

    def _standard(self, x: float) -> float:
        """Standardise a bound of the truncation."""
        if self.spread == 0:
            return math.copysign(math.inf, x - self.centre)
        if self.law == "lognormal":
            return math.log(x / self.centre) / self.spread if x > 0 else -math.inf
        return (x - self.centre) / self.spread


T = TypeVar("T")


class Stated(Spec, Generic[T]):
    """A choice that is no number (a matrix, a schedule), with its provenance."""

    value: T
    evidence: str | None = None
    assumed: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_human(cls, raw: Any) -> Any:
        return raw if isinstance(raw, Mapping) and "value" in raw else {"value": raw}
