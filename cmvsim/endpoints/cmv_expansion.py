"""Does CMV follow a strong expansion of CAR-T cells? CMV from a landmark on, by the expansion seen until then.

Units differ between products, so that only ranks within a product compare: the measurement is turned into Blom's normal
score of its rank, (rank - 3/8) / (n + 1/4) as a normal quantile (Blom 1958), among the patients of the product who are in
the analysis.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, Estimates, FloatArray, IntArray
from cmvsim.data.study import CellSamples, Result, Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimand, EstimatorChoice, at_each_size
from cmvsim.endpoints.derived import EVENT, EXCLUDED, Arrays, Excluded
from cmvsim.endpoints.group_comparison import p_value_as_estimates
from cmvsim.endpoints.population import also, anybody
from cmvsim.endpoints.reactivation import first_reactivation
from cmvsim.models.history import History, Process

MEASURES = ("cmax", "auc")
"""Highest concentration by the first landmark of the plan, and area under the curve from infusion to its last."""

AREA_SAMPLES = 2
"""Fewest samples of which an area is made."""


@dataclass(frozen=True, slots=True)
class Expansion(Arrays):
    """Expansion seen by a landmark and the time to CMV from there; one entry of the last axis per measure.

    Attributes
    ----------
    time
        (R, N, M) days from the landmark.
    cause
        (R, N, M) int8 as in :class:`~cmvsim.endpoints.derived.TimeToEvent`; -1: not in the analysis of this measure.
    measured
        (R, N, M) in the unit of the product; NaN where it was not measured.
    product
        (R, N) int64.
    measures
        Names.
    """

    time: FloatArray
    cause: NDArray[np.int8]
    measured: FloatArray
    product: IntArray
    measures: tuple[str, ...] = MEASURES
    excluded: Excluded = field(default_factory=dict)

    @property
    def entered(self) -> BoolArray:
        """Patients in the analysis of any measure."""
        return np.asarray((self.cause >= 0).any(axis=-1))

    @property
    def endings(self) -> Mapping[str, IntArray]:
        """CMV after the landmark or not."""
        events = (self.cause == EVENT).any(axis=-1).sum(axis=1)
        return {"event after the landmark": events, "no event": self.entered.sum(axis=1) - events}

    def scores(self, measure: int) -> FloatArray:
        """(R, N) Blom's normal scores within the product, of the patients in the analysis of a measure."""
        from scipy.special import ndtri

        from cmvsim.estimators.association import mean_ranks

        inside = self.cause[..., measure] >= 0
        scores = np.full(inside.shape, np.nan)
        for code in np.unique(self.product[inside]):
            mine = inside & (self.product == code)
            ranks = mean_ranks(np.where(mine, self.measured[..., measure], np.nan))
            z = ndtri((ranks - 0.375) / (mine.sum(axis=1, keepdims=True) + 0.25))
            scores = np.where(mine, z, scores)
        return scores


def expansion_before_cmv(study: Study, plan: AnalysisSpec, only: str | None = None) -> Expansion:
    """Expansion by the landmark among patients free of CMV and under follow-up then.

    Parameters
    ----------
    only
        One measure alone; None: both.

    Raises
    ------
    InputError
        If no CAR-T cells were counted, products are not known, or the plan has no landmarks.
    """
    cells, product = _cells(study, plan)
    whole = first_reactivation(study, plan)
    landmarks = (float(plan.landmarks[0]), float(plan.landmarks[-1]))
    level = concentrations(cells, product)
    measured = np.stack([highest(cells.day, level, landmarks[0]), area(cells.day, level, landmarks[1])], axis=-1)
    known = ~np.isnan(measured) & (product >= 0)[..., None]
    stays = (whole.cause >= 0)[..., None] & (whole.time[..., None] > np.array(landmarks))
    inside = known & stays
    if only is not None:
        inside &= np.array([name == only for name in MEASURES])
        landmarks = (landmarks[MEASURES.index(only)],) * 2
    out = np.asarray(~inside.any(axis=-1))
    early = whole.time <= landmarks[0]
    excluded = also(dict(whole.excluded), f"CMV or end of follow-up by day {landmarks[0]:g}", early & out, study)
    excluded = also(excluded, "product not recorded", (product < 0) & out, study)
    excluded = also(excluded, "too few CAR-T cell samples by the landmark, or gone by then", out, study)
    assert np.array_equal(anybody(excluded, study), out)
    time = np.where(inside, whole.time[..., None] - np.array([float(plan.landmarks[0]), float(plan.landmarks[-1])]), np.nan)
    cause = np.where(inside, whole.cause[..., None], np.int8(EXCLUDED)).astype(np.int8)
    return Expansion(time, cause, np.where(inside, measured, np.nan), product, excluded=excluded)


def _cells(study: Study, plan: AnalysisSpec) -> tuple[CellSamples, IntArray]:
    """Samples, and the product of each patient, -1 where it was not written down."""
    if study.car_t is None:
        raise InputError(Problem("CAR-T cells were not counted", "car_t", "level", "a table car_t.csv"))
    if not plan.landmarks:
        raise InputError(Problem("expansion is analysed from landmarks, and the plan has none", "analysis", "landmarks"))
    if "product" not in study.subjects.covariates:
        if len(study.car_t.units) > 1:
            raise InputError(Problem("products were not recorded", "subjects", "product", "a column product in subjects.csv"))
        return study.car_t, np.zeros((study.replicates, study.patients), dtype=np.int64)
    recorded = study.subjects.covariates["product"]
    return study.car_t, np.where(np.isnan(recorded), -1, recorded).astype(np.int64)


def concentrations(cells: CellSamples, product: IntArray) -> FloatArray:
    """(R, N, V) concentration of each sample, half the limit of quantification below it; NaN without a sample."""
    lloq = np.array([*cells.lloq, np.nan])[product]
    level = np.where(cells.result == Result.QUANTIFIED, cells.level, lloq[..., None] / 2)
    return np.where((cells.result == Result.NONE) | np.isnan(cells.day), np.nan, level)


def highest(day: FloatArray, level: FloatArray, until: float) -> FloatArray:
    """(R, N) highest concentration after infusion and by a day; NaN without a sample."""
    counts = (day > 0) & (day <= until)
    return np.asarray(np.fmax.reduce(np.where(counts, level, np.nan), axis=-1, initial=np.nan))


def area(day: FloatArray, level: FloatArray, until: float) -> FloatArray:
    """(R, N) area under the concentration from infusion to a day, by the trapezoidal rule.

    From none at infusion to the first sample, and from the last by then on unchanged: what comes after the landmark may not
    be looked at. NaN with fewer than :data:`AREA_SAMPLES` samples.
    """
    counts = (day > 0) & (day <= until) & ~np.isnan(level)
    order = np.argsort(np.where(counts, day, np.inf), axis=-1, kind="stable")
    counts = np.take_along_axis(counts, order, axis=-1)
    days, levels = np.take_along_axis(day, order, axis=-1), np.take_along_axis(level, order, axis=-1)
    shape = day.shape[:-1]
    at, height, total = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for v in range(day.shape[-1]):
        here = counts[..., v]
        total = np.where(here, total + (days[..., v] - at) * (levels[..., v] + height) / 2, total)
        at, height = np.where(here, days[..., v], at), np.where(here, levels[..., v], height)
    total += (until - at) * height
    return np.where(counts.sum(axis=-1) >= AREA_SAMPLES, total, np.nan)


def _cox(derived: Expansion, plan: AnalysisSpec) -> dict[str, Estimates]:
    from cmvsim.estimators.cox import cox

    found = {}
    for m, measure in enumerate(derived.measures):
        fit = cox(derived.time[..., m], derived.cause[..., m], derived.scores(m)[..., None], level=plan.level)
        found[measure] = fit.term(0, exponentiate=True)
    return found


def _correlation(which: str) -> Callable[[Expansion, AnalysisSpec], dict[str, Estimates]]:
    def estimate(derived: Expansion, plan: AnalysisSpec) -> dict[str, Estimates]:
        from cmvsim.estimators.association import pearson, spearman

        found = {}
        for m, measure in enumerate(derived.measures):
            happened = derived.cause[..., m] == EVENT
            correlate = spearman if which == "Spearman" else pearson
            result = correlate(derived.scores(m), happened.astype(np.float64), level=plan.level).estimates()
            found[f"{measure}, {which}"] = replace(result, events=happened.sum(axis=1))
        return found

    return estimate


def _rank_sum(measure: str) -> Callable[[Expansion, AnalysisSpec], dict[str, Estimates]]:
    """Probability that of two patients the one with CMV had the higher score, ties counting half."""

    def estimate(derived: Expansion, plan: AnalysisSpec) -> dict[str, Estimates]:
        from cmvsim.estimators.two_samples import rank_sum

        m = derived.measures.index(measure)
        cause = derived.cause[..., m]
        group = np.where(cause < 0, -1, cause == EVENT)
        test = rank_sum(derived.scores(m), group, level=plan.level)
        nothing, n = np.full(test.probability.shape, np.nan), test.n0 + test.n1
        result = Estimates(
            test.probability, nothing, test.ci_low, test.ci_high, n, test.n1, test.status, plan.level, test.method
        )
        return {f"{measure} higher with CMV": result}

    return estimate


def _rank_sum_p(derived: Expansion, plan: AnalysisSpec) -> dict[str, Estimates]:
    from cmvsim.estimators.two_samples import rank_sum

    found = {}
    for m, measure in enumerate(derived.measures):
        cause = derived.cause[..., m]
        test = rank_sum(derived.scores(m), np.where(cause < 0, -1, cause == EVENT), level=plan.level)
        p = p_value_as_estimates(test.p_value, test.n0 + test.n1, test.n1, test.status, plan.level, test.method)
        found[f"{measure}, Mann-Whitney"] = p
    return found


_EVER = "CMV by the end of follow-up or not, however long that was"


def _named(suffix: str) -> Callable[[AnalysisSpec], tuple[str, ...]]:
    return lambda _: tuple(f"{measure}{suffix}" for measure in MEASURES)


def _higher_with_cmv(measure: str) -> EstimatorChoice:
    return EstimatorChoice(
        f"mann_whitney_{measure}",
        f"Probability of a higher {measure} with CMV (Mann-Whitney)",
        at_each_size(_rank_sum(measure)),
        derive=partial(expansion_before_cmv, only=measure),
        terms=lambda _: (f"{measure} higher with CMV",),
        note=_EVER,
    )


ESTIMATORS = (
    EstimatorChoice(
        "landmark_cox",
        "Cause-specific hazard ratio per standard deviation, from the landmark",
        at_each_size(_cox),
        scale="hazard_ratio",
        terms=_named(""),
        note="normal scores of the ranks within a product (Blom)",
    ),
    *(
        EstimatorChoice(
            which.lower().replace("-", "_"),
            f"{which} correlation of expansion and CMV",
            at_each_size(_correlation(which)),
            scale="correlation",
            terms=_named(f", {which}"),
            note=_EVER,
        )
        for which in ("Spearman", "Point-biserial")
    ),
    *(_higher_with_cmv(measure) for measure in MEASURES),
    EstimatorChoice(
        "mann_whitney_test",
        "Expansion with against without CMV, Mann-Whitney test",
        at_each_size(_rank_sum_p),
        scale="p_value",
        terms=_named(", Mann-Whitney"),
        note=_EVER,
    ),
)


@dataclass(frozen=True, slots=True)
class CmvExpansion:
    """CMV reactivation after a landmark by the expansion of CAR-T cells until then."""

    id: str = "cmv_expansion"
    label: str = "CMV after CAR-T expansion"
    label_fr: str = "réactivation du CMV après l'expansion des cellules CAR-T"
    objective: str = "correlation of CMV reactivation with CAR-T cell expansion"

    @property
    def estimand(self) -> Estimand:
        """ICH E9(R1) attributes."""
        return Estimand(
            population="CMV-seropositive CAR-T recipients without DNAemia, free of CMV and followed at the landmark",
            variable="day of the first qualifying CMV sample after the landmark and within the window",
            intercurrent_events="while alive and followed: death and transplantation end the time at risk",
            summary="cause-specific hazard ratio per standard deviation of the normal score of expansion in the product",
        )

    @property
    def needs(self) -> frozenset[Process]:
        """The foundation and kinetics."""
        return frozenset({Process.TOXICITY, Process.KINETICS, Process.CMV, Process.FOLLOW_UP, Process.DEATH})

    @property
    def reads(self) -> frozenset[Topic]:
        """CAR-T cells, and products, which are optional columns."""
        return frozenset({Topic.CAR_T, Topic.BASELINE})

    @property
    def estimators(self) -> tuple[EstimatorChoice, ...]:
        """Cox from the landmark first."""
        return ESTIMATORS

    def derive(self, study: Study, plan: AnalysisSpec) -> Expansion:
        """Expansion and CMV; see :func:`expansion_before_cmv`."""
        return expansion_before_cmv(study, plan)

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray | None:  # noqa: ARG002 -- no mean of patients
        """None: a hazard ratio is no mean of patients."""
        return None
