"""Failures stay in the denominator: an analysis that fails whenever its estimate is large must not look biased, nor certain."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest
from scipy import stats

from cmvsim.core.records import FloatArray, Request, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role, generator
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.estimand_values import EstimandValue
from cmvsim.montecarlo.experiment import Failure, Replicates, RowKey
from cmvsim.montecarlo.run import open_store, run
from cmvsim.planning.characteristics import Row, characteristics

N, LIMIT, R = 50, 0.1, 2048
KEY = RowKey("mean", estimator="sample")
TRUTH = EstimandValue("mean", "", "protocol", 0.0, 0.0, 1)


def too_large(mean: float) -> None:
    raise ArithmeticError(f"the mean {mean:.3f} is too large")


@dataclass(frozen=True)
class FailsWhenLarge:
    """Mean of 50 values from N(0, 1); the analysis raises whenever it exceeds 0.1."""

    sizes: tuple[int, ...] = (N,)
    rows: tuple[RowKey, ...] = (KEY,)
    extras: tuple[str, ...] = ("samples",)

    @cached_property
    def request(self) -> Request:
        return Request("toy", "fails-when-large", "0" * 64, {}, 11)

    def means(self, index: int) -> FloatArray:
        values = generator(11, Role.STUDY, index, "population.score").standard_normal(N * CHUNK_REPLICATES)
        return np.asarray(values.reshape(-1, CHUNK_REPLICATES).mean(axis=0))

    def chunk(self, index: int) -> Replicates:
        result = Replicates.empty(1, 1, 1)
        failures = []
        for place, mean in enumerate(self.means(index)):
            if mean > LIMIT:
                try:
                    too_large(mean)
                except ArithmeticError as error:
                    failures.append(Failure.of(index * CHUNK_REPLICATES + place, error, 11))
                continue
            half = 1.96 / np.sqrt(N)
            result.values[place, 0, 0] = (mean, 1 / np.sqrt(N), mean - half, mean + half, N, 0, Status.OK)
        return Replicates(result.values, result.extras, tuple(failures))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Row], list[Failure]]:
    experiment = FailsWhenLarge()
    folder = tmp_path_factory.mktemp("fails")
    result = run(experiment, replicates=R, store=open_store(folder, experiment), jobs=1)
    rows = characteristics(result, (N,), (TRUTH,), half_width=0.5, level=0.95)
    return {row.measure: row for row in rows}, list(result.failures())


def test_closed_form_share_that_fails(made: tuple[dict[str, Row], list[Failure]]) -> None:
    rows, failures = made
    expected = float(stats.norm.sf(LIMIT * np.sqrt(N)))  # 0.24
    missing = rows["p_not_estimable"]
    assert missing.value == pytest.approx(expected, abs=4 * missing.mcse)
    assert len(failures) == missing.n_failed


def test_closed_form_complete_cases_mislead_and_the_bounds_do_not(made: tuple[dict[str, Row], list[Failure]]) -> None:
    rows, _ = made
    mean, bias = rows["mean_estimate"], rows["bias"]
    a = LIMIT * np.sqrt(N)
    truncated = -stats.norm.pdf(a) / stats.norm.cdf(a) / np.sqrt(N)  # mean of a normal below the limit: -0.058
    assert mean.value == pytest.approx(truncated, abs=4 * mean.mcse)
    assert mean.value + 4 * mean.mcse < 0  # the truth is outside what the complete cases say
    assert mean.low is not None
    assert mean.high is not None
    assert mean.low < 0.0 < mean.high  # and inside the bounds
    assert (bias.low, bias.high) == (pytest.approx(mean.low), pytest.approx(mean.high))
    # the bounds are the complete cases' share of the mean and the failed ones at either end
    assert mean.high - mean.low < 1.0


def test_the_range_of_those_that_succeeded_would_not_do() -> None:
    """Why a failed replicate may be as far from the median as any: nothing above the limit was ever seen."""
    means = np.concatenate([FailsWhenLarge().means(index) for index in range(R // CHUNK_REPLICATES)])
    ok = means <= LIMIT
    seen = (means[ok].sum() + (~ok).sum() * means[ok].max()) / R
    assert seen < 0
    status = np.where(ok, float(Status.OK), float(Status.RAISED))
    low, high = mcse.plausible_range(np.where(ok, means, np.nan), status)
    assert high > LIMIT
    assert low == means[ok].min()
    assert means.mean() < mcse.mean(means, status, plausible=(low, high)).high  # type: ignore[operator]


def test_shares_count_the_failed_as_not_met(made: tuple[dict[str, Row], list[Failure]]) -> None:
    rows, _ = made
    narrow, covered = rows["p_half_width_le"], rows["coverage"]
    failed = narrow.n_failed / R
    assert (narrow.value, narrow.low, narrow.high) == (pytest.approx(1 - failed), narrow.value, 1.0)
    met = covered.value * covered.n_ok / R
    assert (covered.low, covered.high) == (pytest.approx(met), pytest.approx(met + failed))


def test_the_first_failures_are_kept_in_full(made: tuple[dict[str, Row], list[Failure]]) -> None:
    _, failures = made
    assert [bool(failure.traceback) for failure in failures[:6]] == [True] * 5 + [False]
    assert all(failure.seed == 11 and "too large" in failure.message for failure in failures)
    first = failures[0]
    again = FailsWhenLarge().means(first.replicate // CHUNK_REPLICATES)[first.replicate % CHUNK_REPLICATES]
    assert f"{again:.3f}" in first.message


def test_without_failures_the_bounds_are_the_value() -> None:
    status = np.zeros(4)
    column = np.array([1.0, 2.0, 3.0, 6.0])
    found = mcse.mean(column, status, plausible=(0.0, 10.0))
    assert (found.low, found.high) == (3.0, 3.0)
    share = mcse.proportion(column > 2, status)
    assert (share.low, share.high) == (0.5, 0.5)


def test_where_nothing_succeeds_nothing_is_known() -> None:
    status = np.full(4, float(Status.RAISED))
    column = np.full(4, np.nan)
    low, high = mcse.plausible_range(column, status)
    assert (low, high) == (-np.inf, np.inf)
    found = mcse.mean(column, status, plausible=(0.0, 1.0))
    assert np.isnan(found.value)
    assert (found.low, found.high) == (0.0, 1.0)
    share = mcse.proportion(column > 0, status, among="usable")
    assert (share.low, share.high) == (0.0, 1.0)
