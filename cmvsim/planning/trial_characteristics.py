"""Operating characteristics of a randomised comparison: power, what the comparison says, and what each arm shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from cmvsim.core.records import FloatArray, Measure, Status
from cmvsim.designs import Randomised
from cmvsim.endpoints.comparison import COMPARISONS
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.estimand_values import EstimandValue
from cmvsim.montecarlo.experiment import RowKey
from cmvsim.montecarlo.mcse import Summary
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.planning.characteristics import Row, feasibility, half_widths, plausible, row_of
from cmvsim.planning.criteria import estimates_of
from cmvsim.planning.trial import BY_ARM, PATIENTS

Found = Iterator[tuple[Measure, Summary]]
Truth = Mapping[tuple[str, str, str], EstimandValue]
"""By endpoint, strategy (or the term of a contrast) and kind."""


def trial_characteristics(
    result: MonteCarloResult, sizes: Sequence[int], design: Randomised, estimands: Sequence[EstimandValue]
) -> list[Row]:
    """All measures of all comparisons and arms at the given sizes.

    Parameters
    ----------
    estimands
        Of the strategies and of the contrasts; a comparison is judged against the contrast of its own term.
    """
    truth: dict[tuple[str, str, str], EstimandValue] = {
        (value.endpoint, value.strategy, value.kind): value for value in estimands
    }
    deciding = {key.estimator for key in result.experiment.rows[:1]}
    rows = []
    for size in sizes:
        for key in result.experiment.rows:
            if key.estimator == BY_ARM:
                found = _arm(result, size, key, truth, design.level)
            else:
                found = _comparison(result, size, key, design, truth, judged=key.estimator in deciding)
            rows += [row_of(size, key, measure, summary) for measure, summary in found]
        for name in result.experiment.extras:
            column = result.extra_column(size, name)
            summary = mcse.mean(column, np.where(np.isnan(column), float(Status.RAISED), float(Status.OK)))
            arm = name.removeprefix(f"{PATIENTS} ")
            key, measure = (
                (RowKey(""), Measure.EXPECTED_SAMPLES) if arm == name else (RowKey("", strategy=arm), Measure.EXPECTED_PATIENTS)
            )
            rows.append(row_of(size, key, measure, summary))
    return rows


def _comparison(
    result: MonteCarloResult,
    size: int,
    key: RowKey,
    design: Randomised,
    truth: Truth,
    *,
    judged: bool,
) -> Found:
    """Measures of one comparison at one size; ratios are averaged, and their errors given, on the log scale."""
    item = COMPARISONS[key.estimator]
    status = result.column(size, key, "status")
    own = design.model_copy(update={"comparison": key.estimator})
    if own.no_difference == design.no_difference or design.margin is None:
        decision = own.decide(estimates_of(result, size, key))
        assert decision.met is not None
        assert decision.against is not None
        yield Measure.POWER, mcse.proportion(decision.met, status)
        yield Measure.P_AGAINST, mcse.proportion(decision.against, status)
    ratio = item.no_difference == 1
    estimate = result.column(size, key, "estimate")
    ends = plausible(estimate, status, item.scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.where(estimate > 0, np.log(estimate), np.nan) if ratio else estimate
        limits = np.log(ends) if ratio else np.asarray(ends)
    middle = mcse.mean(scaled, status, plausible=(float(limits[0]), float(limits[1])))
    yield Measure.MEAN_ESTIMATE, _back(middle) if ratio else middle
    yield Measure.EMPIRICAL_SE, mcse.standard_deviation(scaled, status)
    yield Measure.MODEL_SE, mcse.root_mean_square(result.column(size, key, "se"), status)
    if not ratio:
        yield Measure.HALF_WIDTH, mcse.mean(half_widths(result, size, key), status)
        if middle.value < 0:
            yield Measure.NNT, Summary(-1 / middle.value, middle.mcse / middle.value**2, middle.n_ok, middle.n_failed)
    low, high = result.column(size, key, "ci_low"), result.column(size, key, "ci_high")
    for kind, bias, coverage in (
        ("protocol", Measure.BIAS, Measure.COVERAGE),
        ("latent", Measure.BIAS_LATENT, Measure.COVERAGE_LATENT),
    ):
        value = truth.get((key.endpoint, key.term, kind))
        if judged and value is not None and np.isfinite(value.value):
            true, error = (np.log(value.value), value.mcse / value.value) if ratio else (value.value, value.mcse)
            off = mcse.mean(scaled - true, status)
            yield bias, Summary(off.value, float(np.hypot(off.mcse, error)), off.n_ok, off.n_failed)
            yield coverage, mcse.proportion((low <= value.value) & (value.value <= high), status, among="usable")
    events = result.column(size, key, "events")
    yield from _counts(events, result.column(size, key, "n"), status)


def _back(summary: Summary) -> Summary:
    """A mean of logs as a ratio: the geometric mean."""
    value = float(np.exp(summary.value))
    ends = [None if end is None else float(np.exp(end)) for end in (summary.low, summary.high)]
    return Summary(value, value * summary.mcse, summary.n_ok, summary.n_failed, *ends)


def _counts(events: FloatArray, entered: FloatArray, status: FloatArray) -> Found:
    """Events and patients of both arms, and how often there is no comparison."""
    ran = np.where(status == Status.RAISED, float(Status.RAISED), float(Status.OK))
    yield Measure.EXPECTED_EVENTS, mcse.mean(events, ran)
    yield Measure.P_NO_EVENT, mcse.proportion(events == 0, ran, among="usable")
    missing = ~mcse.usable(status)
    share = float(missing.mean())
    yield (
        Measure.P_NOT_ESTIMABLE,
        Summary(share, mcse.wilson_se(share, status.size), int((~missing).sum()), int(missing.sum())),
    )
    yield Measure.EXPECTED_EVALUABLE, mcse.mean(entered, ran)


def _arm(result: MonteCarloResult, size: int, key: RowKey, truth: Truth, level: float) -> Found:
    """Measures of one arm's own incidence."""
    status = result.column(size, key, "status")
    estimate = result.column(size, key, "estimate")
    yield Measure.MEAN_ESTIMATE, mcse.mean(estimate, status, plausible=(0.0, 1.0))
    yield Measure.HALF_WIDTH, mcse.mean(half_widths(result, size, key), status)
    value = truth.get((key.endpoint, key.strategy, "protocol"))
    if value is not None and np.isfinite(value.value):
        off = mcse.mean(estimate - value.value, status)
        yield Measure.BIAS, Summary(off.value, float(np.hypot(off.mcse, value.mcse)), off.n_ok, off.n_failed)
    yield from feasibility(result, size, key, status, level)
