"""Section 2, CAR-T cellular kinetics: expansion to a peak, then bi-exponential contraction (Stein et al. 2019).

C(t) rises exponentially from Cmax / fold at infusion to Cmax at Tmax, and is then

    Cmax [ (1 - F) exp(-alpha (t - Tmax)) + F exp(-beta (t - Tmax)) ]

(Stein et al., CPT Pharmacometrics Syst Pharmacol 2019;8:285). Each product is read on its own assay: copies and cells
are not interchangeable, so *expansion* is the log of Cmax over the product's median.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from pydantic import Field, model_validator
from scipy import special

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.quantities import (
    Concentration,
    LogSd,
    VaryingConcentration,
    VaryingFold,
    VaryingPositiveDays,
    VaryingRate,
    VaryingShare,
)
from cmvsim.core.records import FloatArray
from cmvsim.core.spec import Spec
from cmvsim.core.streams import Draws, day_index
from cmvsim.core.value import Between, Stated
from cmvsim.models.monitoring import WholeDay
from cmvsim.models.population import Disease, Population, PopulationSpec


class KineticsAssay(Spec):
    """How CAR-T cells are counted.

    Attributes
    ----------
    unit
        Unit of all concentrations read with it, as reports write it.
    residual_sd
        Standard deviation of the natural log of an observed concentration around the true one.
    lloq
        Lower limit of quantification.
    """

    unit: str
    residual_sd: LogSd
    lloq: Concentration


class ProductKinetics(Spec):
    """Kinetics of one product in one disease, each quantity differing between patients.

    Attributes
    ----------
    assay
        Key of the assay that its concentrations are in.
    cmax, tmax
        Peak and its day.
    fold
        Peak over the concentration at infusion.
    contraction, persistence
        Rates of rapid and of slow decline (alpha, beta).
    persistent_share
        Share of the peak that declines slowly (F), below 1.
    """

    assay: str
    cmax: VaryingConcentration
    tmax: VaryingPositiveDays
    fold: VaryingFold
    contraction: VaryingRate
    persistent_share: VaryingShare
    persistence: VaryingRate

    @model_validator(mode="after")
    def _check(self) -> ProductKinetics:
        share = self.persistent_share
        highest = share.high if share.high is not None else np.inf
        if (share.centre >= 1) if share.spread == 0 else (highest > 1):
            raise ValueError("persistent_share may exceed 1: add high = 1 to 'varies'")
        return self


class KineticsSpec(Spec):
    """Kinetics by disease and product, the assays, and when they are sampled.

    Attributes
    ----------
    visits
        Nominal days of the blood samples in which CAR-T cells are counted, ascending.
    """

    visits: Stated[Annotated[tuple[WholeDay, ...], Field(strict=False)]]
    assays: dict[str, KineticsAssay]
    leukaemia: dict[str, ProductKinetics] = Field(default_factory=dict)
    lymphoma: dict[str, ProductKinetics] = Field(default_factory=dict)

    @property
    def table(self) -> Mapping[Disease, Mapping[str, ProductKinetics]]:
        """Kinetics by disease, then product."""
        return {"leukaemia": self.leukaemia, "lymphoma": self.lymphoma}

    def assay(self, disease: Disease, product: str) -> KineticsAssay:
        """The assay of a product."""
        return self.assays[self.table[disease][product].assay]

    def check(self, population: PopulationSpec, where: str) -> list[Problem]:
        """Problems of products that are named here and in no stratum, or the other way round, and of unknown assays."""
        return population.check_cells(self.table, "kinetics", where, "kinetics") + [
            Problem(
                f"there is no assay '{law.assay}'",
                where,
                f"kinetics.{disease}.{product}.assay",
                did_you_mean(law.assay, self.assays),
            )
            for disease, row in self.table.items()
            for product, law in row.items()
            if law.assay not in self.assays
        ]


@dataclass(frozen=True)
class Kinetics:
    """CAR-T kinetics of a chunk, each trait drawn when first asked for; flat arrays, patient-major.

    Concentrations are in the unit of the patient's product (:meth:`KineticsSpec.assay`).
    """

    spec: KineticsSpec
    population: Population
    draws: Draws

    @cached_property
    def z_expansion(self) -> FloatArray:
        """Log Cmax as a standard normal: where the patient lies among those given the product."""
        return self.draws("kinetics.cmax")

    @cached_property
    def expansion(self) -> FloatArray:
        """Log of Cmax over the median of the product."""
        medians = np.array([float(law.of_normal(np.zeros(1))[0]) for law in self._laws("cmax")])
        log_ratio: FloatArray = np.log(self.cmax / medians[self.population.cell])
        return log_ratio

    @cached_property
    def cmax(self) -> FloatArray:
        """Peak concentration."""
        return self._by_cell(self._laws("cmax"), self.z_expansion)

    @cached_property
    def tmax(self) -> FloatArray:
        """Day of the peak."""
        return self._drawn("tmax")

    @cached_property
    def fold(self) -> FloatArray:
        """Peak over the concentration at infusion."""
        return self._drawn("fold")

    @cached_property
    def contraction(self) -> FloatArray:
        """Rate of rapid decline (alpha), per day."""
        return self._drawn("contraction")

    @cached_property
    def persistent_share(self) -> FloatArray:
        """Share of the peak that declines slowly (F)."""
        return self._drawn("persistent_share")

    @cached_property
    def persistence(self) -> FloatArray:
        """Rate of slow decline (beta), per day."""
        return self._drawn("persistence")

    def concentration(self, t: FloatArray | float) -> FloatArray:
        """True concentration at `t` days from infusion: (P,), or (K, P) for `t` of that shape; 0 before infusion."""
        t = np.asarray(t, dtype=np.float64)
        late = np.maximum(t - self.tmax, 0.0)
        rise = np.exp(np.log(self.fold) * (np.minimum(t, self.tmax) / self.tmax - 1))
        fast, slow = np.exp(-self.contraction * late), np.exp(-self.persistence * late)
        share = self.persistent_share
        level: FloatArray = np.where(t < 0, 0.0, self.cmax * rise * ((1 - share) * fast + share * slow))
        return level

    def auc(self, first: FloatArray | float, last: FloatArray | float) -> FloatArray:
        """Area under the true concentration from day `first` to day `last`, in closed form; shapes as `t` above."""
        first = np.maximum(np.asarray(first, dtype=np.float64), 0.0)
        last = np.maximum(np.asarray(last, dtype=np.float64), first)
        rate, tmax, share = np.log(self.fold) / self.tmax, self.tmax, self.persistent_share
        a, b = np.minimum(first, tmax), np.minimum(last, tmax)
        rising = np.exp(rate * (a - tmax)) * (b - a) * special.exprel(rate * (b - a))
        u, v = np.maximum(first - tmax, 0.0), np.maximum(last - tmax, 0.0)

        def falling(rate: FloatArray) -> FloatArray:
            area: FloatArray = np.exp(-rate * u) * (v - u) * special.exprel(-rate * (v - u))
            return area

        area: FloatArray = self.cmax * (rising + (1 - share) * falling(self.contraction) + share * falling(self.persistence))
        return area

    def observed(self, day: int, time: FloatArray | float | None = None) -> FloatArray:
        """Concentration that the assay reports for the sample of a planned day.

        Parameters
        ----------
        day
            Planned study day; the residual error belongs to it.
        time
            When the sample was taken, if not on that day.

        Returns
        -------
        ndarray
            (P,); NaN below the limit of quantification.
        """
        spec, cell = self.spec, self.population.cell
        assays = [spec.assay(*pair) for pair in self.population.spec.cells]
        sd = np.array([float(assay.residual_sd) for assay in assays])[cell]
        lloq = np.array([float(assay.lloq) for assay in assays])[cell]
        noise = np.exp(sd * self.draws("kinetics.noise", day_index(day)))
        seen = self.concentration(float(day) if time is None else time) * noise
        return np.where(seen >= lloq, seen, np.nan)

    def _laws(self, name: str) -> list[Between]:
        """The laws of a quantity by cell of the population."""
        return [getattr(self.spec.table[disease][product], name) for disease, product in self.population.spec.cells]

    def _drawn(self, name: str) -> FloatArray:
        return self._by_cell(self._laws(name), self.draws(f"kinetics.{name}"))

    def _by_cell(self, laws: Sequence[Between], z: FloatArray) -> FloatArray:
        """The law of each patient's cell at its standard normal."""
        values = np.empty(z.shape)
        for index, law in enumerate(laws):
            rows = np.flatnonzero(self.population.cell == index)
            values[rows] = law.of_normal(z[rows])
        return values
