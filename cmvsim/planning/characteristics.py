"""Operating characteristics: what replicates of a study say of its estimators, each figure with its MCSE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from cmvsim.core.records import FloatArray, Measure, Status
from cmvsim.estimators.proportions import proportion_limits
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.estimand_values import EstimandValue
from cmvsim.montecarlo.experiment import RowKey
from cmvsim.montecarlo.mcse import Summary
from cmvsim.montecarlo.run import MonteCarloResult

ASSURANCE_LEVEL = 0.80
"""Level of ``half_width_q80``."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of ``results.json``.

    `low` and `high` are its bounds over all replicates, failed ones at their worst and best plausible value; see
    :class:`~cmvsim.montecarlo.mcse.Summary`.
    """

    n: int
    endpoint: str
    stratum: str
    strategy: str
    estimator: str
    term: str
    measure: str
    at: float
    value: float
    mcse: float
    n_ok: int
    n_failed: int
    low: float | None = None
    high: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)


def half_widths(result: MonteCarloResult, size: int, key: RowKey) -> FloatArray:
    """Half the width of the confidence interval in each replicate; NaN where there is none."""
    return (result.column(size, key, "ci_high") - result.column(size, key, "ci_low")) / 2


def characteristics(
    result: MonteCarloResult,
    sizes: Sequence[int],
    estimands: Sequence[EstimandValue],
    *,
    half_width: float | None,
    level: float,
    handling: Mapping[RowKey, str] | None = None,
    scales: Mapping[RowKey, str] | None = None,
) -> list[Row]:
    """All measures of all analyses at the given sizes.

    Parameters
    ----------
    sizes
        Sizes to report, among the experiment's.
    estimands
        Truth; its own Monte Carlo SE is added to that of bias.
    half_width
        Target half-width w of ``p_half_width_le``; None leaves the measure out.
    level
        Confidence level of the bound when no event is seen.
    handling
        How each analysis handles relapse, which says the truth it is judged against; without it, that of the first value
        of its endpoint.
    scales
        What each estimate is (:data:`cmvsim.endpoints.base.SCALES`), which says what a failed replicate may have given.
    """
    truth = {(value.endpoint, value.relapse, value.kind, value.term): value for value in estimands}
    own = {value.endpoint: value.relapse for value in reversed(estimands)}
    rows = []
    for size in sizes:
        for key in result.experiment.rows:
            relapse = handling[key] if handling is not None else own.get(key.endpoint, "")
            latent, protocol = (truth.get((key.endpoint, relapse, kind, key.term)) for kind in ("latent", "protocol"))
            scale = scales[key] if scales is not None else ""
            found = _analysis(result, size, key, latent, protocol, half_width, level, scale)
            rows += [row_of(size, key, measure, summary) for measure, summary in found]
        samples = result.extra_column(size, "samples")
        summary = mcse.mean(samples, np.where(np.isnan(samples), float(Status.RAISED), float(Status.OK)))
        rows.append(row_of(size, RowKey(""), Measure.EXPECTED_SAMPLES, summary))
    return rows


def row_of(size: int, key: RowKey, measure: Measure, summary: Summary) -> Row:
    """A figure of the results."""
    names = (key.endpoint, key.stratum, key.strategy, key.estimator, key.term, measure.value)
    told = (summary.value, summary.mcse, summary.n_ok, summary.n_failed, summary.low, summary.high)
    return Row(size, *names, key.at, *told)


RANGES: dict[str, tuple[float, float]] = {
    "probability": (0.0, 1.0),
    "p_value": (0.0, 1.0),
    "risk_difference": (-1.0, 1.0),
    "correlation": (-1.0, 1.0),
}
"""Scales with bounds of their own: a failed replicate may have given any of it."""


def plausible(estimate: FloatArray, status: FloatArray, scale: str) -> tuple[float, float]:
    """Values that a failed replicate may have given: all of its scale; of a ratio, as far from the median as any, in logs."""
    if scale in RANGES:
        return RANGES[scale]
    if scale.endswith("ratio"):
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(estimate)
        low, high = mcse.plausible_range(np.where(np.isfinite(logs), logs, np.nan), status)
        return float(np.exp(low)), float(np.exp(high))
    return mcse.plausible_range(estimate, status)


def _analysis(
    result: MonteCarloResult,
    size: int,
    key: RowKey,
    latent: EstimandValue | None,
    protocol: EstimandValue | None,
    target: float | None,
    level: float,
    scale: str,
) -> Iterator[tuple[Measure, Summary]]:
    """Measures of one analysis at one size, one column in memory at a time."""
    status = result.column(size, key, "status")
    width = half_widths(result, size, key)
    yield Measure.HALF_WIDTH, mcse.mean(width, status)
    yield Measure.HALF_WIDTH_Q80, mcse.quantile(width, status, ASSURANCE_LEVEL)
    if target is not None:
        yield Measure.P_HALF_WIDTH_LE, mcse.proportion(width <= target, status)
    estimate = result.column(size, key, "estimate")
    ends = plausible(estimate, status, scale)
    yield Measure.MEAN_ESTIMATE, mcse.mean(estimate, status, plausible=ends)
    yield Measure.EMPIRICAL_SE, mcse.standard_deviation(estimate, status)
    yield Measure.MODEL_SE, mcse.root_mean_square(result.column(size, key, "se"), status)
    low, high = result.column(size, key, "ci_low"), result.column(size, key, "ci_high")
    for value, bias, coverage in (
        (protocol, Measure.BIAS, Measure.COVERAGE),
        (latent, Measure.BIAS_LATENT, Measure.COVERAGE_LATENT),
    ):
        if value is not None and np.isfinite(value.value):
            error = mcse.mean(estimate - value.value, status, plausible=(ends[0] - value.value, ends[1] - value.value))
            yield bias, replace(error, mcse=float(np.hypot(error.mcse, value.mcse)))
            yield coverage, mcse.proportion((low <= value.value) & (value.value <= high), status, among="usable")
    yield from feasibility(result, size, key, status, level)


def feasibility(
    result: MonteCarloResult, size: int, key: RowKey, status: FloatArray, level: float
) -> Iterator[tuple[Measure, Summary]]:
    """Whether this many patients can serve the endpoint at all; over all replicates that ran."""
    events, entered = result.column(size, key, "events"), result.column(size, key, "n")
    ran = np.where(status == Status.RAISED, float(Status.RAISED), float(Status.OK))
    yield Measure.EXPECTED_EVENTS, mcse.mean(events, ran)
    yield Measure.P_NO_EVENT, mcse.proportion(events == 0, ran, among="usable")
    inestimable = ~mcse.usable(status)
    yield (
        Measure.P_NOT_ESTIMABLE,
        Summary(
            float(inestimable.mean()),
            mcse.wilson_se(float(inestimable.mean()), status.size),
            int((~inestimable).sum()),
            int(inestimable.sum()),
        ),
    )
    evaluable = mcse.mean(entered, ran)
    yield Measure.EXPECTED_EVALUABLE, evaluable
    if np.isfinite(evaluable.value) and evaluable.value >= 1:
        bound = proportion_limits(0, round(evaluable.value), method="clopper-pearson", level=level)[1]
        yield Measure.UPPER_BOUND_NO_EVENT, Summary(float(bound), 0.0, evaluable.n_ok, evaluable.n_failed)
