"""Section 1, population: strata, age, sex, product, prior transplantation, blood counts, and the immunosuppression score.

Traits are linked by a Gaussian copula with one factor: the score Z, a standard normal per patient that loads on
lymphocytes, prior transplantation and CAR-HEMATOTOX and, as the shared frailty, on the CMV hazard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator
from scipy import special

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.quantities import Correlation, Count, Probability, VaryingPositive
from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.core.streams import Draws
from cmvsim.core.value import Value

Disease = Literal["leukaemia", "lymphoma"]
AgeRange = Annotated[tuple[float, float], Field(strict=False)]
SHARES_TOLERANCE = 1e-9


class StratumSpec(Spec):
    """One stratum: disease x age class, with its product mix.

    Attributes
    ----------
    seropositive_share
        CMV-seropositive among the stratum's candidates; only tells how many are screened for those enrolled.
    lymphocytes
        Before lymphodepletion, 10^9/L.
    hematotox_high
        CAR-HEMATOTOX of 2 or more before lymphodepletion.
    """

    label: str
    share: Probability
    disease: Disease
    age: AgeRange
    products: dict[str, Probability]
    seropositive_share: Probability
    prior_allogeneic_hct: Probability
    lymphocytes: VaryingPositive
    hematotox_high: Probability

    @model_validator(mode="after")
    def _check(self) -> StratumSpec:
        if float(self.seropositive_share) <= 0:
            raise ValueError("seropositive_share must be above 0: nobody could be enrolled")
        if not 0 <= self.age[0] <= self.age[1] <= 120:
            raise ValueError(f"age {list(self.age)} must be [youngest, oldest] in years, 0 to 120")
        total = sum(float(share) for share in self.products.values())
        if abs(total - 1) > SHARES_TOLERANCE:
            raise ValueError(f"product shares add up to {total:g}; they must add up to 1")
        return self


class ScoreLoadings(Spec):
    """Correlation of traits with the immunosuppression score Z (positive: more immunosuppressed)."""

    prior_allogeneic_hct: Correlation
    lymphocytes: Correlation
    hematotox: Correlation


class PopulationSpec(Spec):
    """Who is enrolled.

    Attributes
    ----------
    seropositive_enrolled
        CMV-seropositive among those enrolled: 1 where seropositivity is a condition of enrolment.
    aciclovir_share
        On (val)aciclovir prophylaxis.
    """

    strata: dict[str, StratumSpec]
    seropositive_enrolled: Probability
    aciclovir_share: Probability
    female_share: Probability
    score_loadings: ScoreLoadings
    retrospective_share: Probability
    sites: Count

    @model_validator(mode="after")
    def _check(self) -> PopulationSpec:
        if not self.strata:
            raise ValueError("at least one stratum is needed")
        total = sum(float(stratum.share) for stratum in self.strata.values())
        if abs(total - 1) > SHARES_TOLERANCE:
            raise ValueError(f"the strata's shares add up to {total:g}; they must add up to 1")
        if float(self.sites) < 1:
            raise ValueError("sites must be at least 1")
        if float(self.seropositive_enrolled) < 1 and any(float(s.seropositive_share) == 1 for s in self.strata.values()):
            raise ValueError("seropositive_enrolled is below 1, but a stratum has no seronegative candidates")
        return self

    def screened(self, patients: int) -> int:
        """Candidates screened to enrol so many patients with the stated share of seropositive ones.

        That is each stratum's share times :meth:`screened_each`.
        """
        each = [float(s.share) * self.screened_each(s) for s in self.strata.values() if float(s.share) > 0]
        return math.ceil(patients * sum(each) - 1e-9)

    def screened_each(self, stratum: StratumSpec) -> float:
        """Candidates of a stratum screened per patient enrolled.

        With a share s of those enrolled and p of the candidates, the stratum screens until it has found both the
        seropositive and the seronegative patients it enrols: max(s / p, (1 - s) / (1 - p)) candidates for each patient.
        That is 1 / p where only seropositive patients are enrolled, and 1 where nobody is turned away (s = p).
        """
        s, p = float(self.seropositive_enrolled), float(stratum.seropositive_share)
        return max(s / p, (1 - s) / (1 - p) if s < 1 else 0.0)

    @property
    def products(self) -> tuple[str, ...]:
        """All products in the order of their first mention."""
        return tuple(dict.fromkeys(name for stratum in self.strata.values() for name in stratum.products))

    @property
    def cells(self) -> tuple[tuple[Disease, str], ...]:
        """Pairs of disease and product that a stratum names, in the order of their first mention."""
        return tuple(dict.fromkeys((s.disease, name) for s in self.strata.values() for name in s.products))

    def check_cells(self, table: Mapping[Disease, Mapping[str, Any]], what: str, where: str, at: str) -> list[Problem]:
        """Problems of a table by disease and product that does not name exactly the cells.

        Parameters
        ----------
        table
            As in the scenario.
        what
            What the table holds, in words ("probability of corticosteroids").
        where, at
            File and key path for messages.
        """
        needed = set(self.cells)
        given = {(disease, name) for disease, row in table.items() for name in row}
        return [
            Problem(f"{disease} has no {what} with '{name}'", where, f"{at}.{disease}")
            for disease, name in sorted(needed - given)
        ] + [
            Problem(
                f"no stratum gives '{name}' for {disease}",
                where,
                f"{at}.{disease}.{name}",
                did_you_mean(name, (other for d, other in needed if d == disease)),
            )
            for disease, name in sorted(given - needed)
        ]


@dataclass(frozen=True)
class Population:
    """Baseline traits of a chunk, each drawn when first asked for; flat arrays, patient-major."""

    spec: PopulationSpec
    draws: Draws

    @cached_property
    def stratum(self) -> IntArray:
        """Index of the stratum."""
        cuts = np.cumsum([float(stratum.share) for stratum in self.spec.strata.values()])[:-1]
        u = self.draws("population.stratum")
        index = np.zeros(u.shape, dtype=np.int64)
        for cut in cuts:  # few and sorted: the number of cuts at or below u
            index += u >= cut
        return index

    @cached_property
    def product(self) -> IntArray:
        """Index into :attr:`PopulationSpec.products`."""
        names = self.spec.products
        u = self.draws("population.product")
        chosen = np.zeros(u.shape, dtype=np.int64)
        cumulative = np.zeros(len(self.spec.strata))
        shares = np.array(
            [
                [float(stratum.products[name]) if name in stratum.products else 0.0 for name in names]
                for stratum in self.spec.strata.values()
            ]
        )
        for index in range(len(names) - 1):
            cumulative = cumulative + shares[:, index]
            chosen += u >= cumulative[self.stratum]
        return np.minimum(chosen, self._last_product[self.stratum])

    @cached_property
    def _last_product(self) -> IntArray:
        """Last product with a positive share per stratum: where rounding of the cumulative shares must not go beyond."""
        names = self.spec.products
        return np.array(
            [
                max(i for i, name in enumerate(names) if float(stratum.products.get(name, Value(value=0.0))) > 0)
                for stratum in self.spec.strata.values()
            ],
            dtype=np.int64,
        )

    @cached_property
    def cell(self) -> IntArray:
        """Index into :attr:`PopulationSpec.cells`."""
        cells, products = self.spec.cells, self.spec.products
        table = np.array(
            [
                [cells.index((s.disease, name)) if (s.disease, name) in cells else -1 for name in products]
                for s in self.spec.strata.values()
            ]
        )
        return table.ravel().take(self.stratum * len(products) + self.product)

    @cached_property
    def age(self) -> FloatArray:
        """Age in whole years, uniform over the stratum's range (its published distribution was not found)."""
        low, high = np.array([stratum.age for stratum in self.spec.strata.values()]).T
        span = high - low + 1
        whole: FloatArray = np.floor(low[self.stratum] + span[self.stratum] * self.draws("population.age"))
        return whole

    @cached_property
    def female(self) -> BoolArray:
        """Whether the patient is female."""
        return self.draws("population.sex") < float(self.spec.female_share)

    @cached_property
    def score(self) -> FloatArray:
        """Immunosuppression score Z, standard normal."""
        return self.draws("population.score")

    @cached_property
    def prior_allogeneic_hct(self) -> BoolArray:
        """Whether there was an allogeneic transplantation before."""
        share = np.array([float(stratum.prior_allogeneic_hct) for stratum in self.spec.strata.values()])
        latent = self._loaded("prior_allogeneic_hct", "population.prior_hct")
        return latent > special.ndtri(1 - share)[self.stratum]

    @cached_property
    def lymphocytes(self) -> FloatArray:
        """Lymphocytes before lymphodepletion, 10^9/L."""
        z = self._loaded("lymphocytes", "population.lymphocytes")
        by_stratum = [stratum.lymphocytes.of_normal(z) for stratum in self.spec.strata.values()]
        return np.choose(self.stratum, by_stratum)

    @cached_property
    def hematotox_high(self) -> BoolArray:
        """Whether CAR-HEMATOTOX is high (2 or more)."""
        share = np.array([float(stratum.hematotox_high) for stratum in self.spec.strata.values()])
        latent = self._loaded("hematotox", "population.hematotox")
        return latent > special.ndtri(1 - share)[self.stratum]

    @cached_property
    def seropositive(self) -> BoolArray:
        """Whether the patient is CMV-seropositive; nothing is drawn where all are."""
        share = float(self.spec.seropositive_enrolled)
        if share == 1:
            return np.ones(self.stratum.shape, dtype=bool)
        return self.draws("population.serostatus") < share

    @cached_property
    def aciclovir(self) -> BoolArray:
        """Whether the patient takes (val)aciclovir prophylaxis."""
        return self.draws("population.aciclovir") < float(self.spec.aciclovir_share)

    @cached_property
    def retrospective(self) -> BoolArray:
        """Whether the patient belongs to the retrospective part."""
        return self.draws("population.part") < float(self.spec.retrospective_share)

    @cached_property
    def site(self) -> IntArray:
        """Site, numbered from 1; sites enrol equally."""
        return 1 + np.floor(float(self.spec.sites) * self.draws("population.site")).astype(np.int64)

    def _loaded(self, trait: str, stream: str) -> FloatArray:
        """A standard normal that correlates with the score by the trait's loading (one-factor Gaussian copula)."""
        loading = float(getattr(self.spec.score_loadings, trait))
        own = self.draws(stream)
        return own if loading == 0 else loading * self.score + np.sqrt(1 - loading**2) * own
