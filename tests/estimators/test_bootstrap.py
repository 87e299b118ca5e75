"""Bootstrap: the numbers of R and of its package boot, closed forms, named streams, edges."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from estimators_reference import SHARED, Check
from regression_reference import checks, close

from cmvsim.core.records import Status
from cmvsim.core.streams import STREAMS, Role, draw, generator
from cmvsim.estimators import aalen_johansen, bootstrap, resampling_counts, resampling_indices
from cmvsim.estimators.bootstrap import jackknife_acceleration, ordered_quantiles

KINDS = ("bootstrap", "bca", "percentile_ci")


def _mean(x: np.ndarray):
    return lambda w: w @ x / w.sum(axis=1)


def _median(x: np.ndarray):
    order = np.argsort(x)

    def of(w: np.ndarray) -> np.ndarray:
        return np.array([np.median(np.repeat(x[order], row[order].astype(int))) for row in w])

    return of


def _indices(check: Check) -> np.ndarray:
    with (SHARED / check.case / "indices.csv").open(newline="") as file:
        return np.array(list(csv.reader(file))[1:], dtype=int) - 1


@pytest.mark.skipif(not SHARED.is_dir(), reason="the resamples are in the shared reference folder")
@pytest.mark.parametrize("check", checks(KINDS), ids=str)
def test_agrees_with_r(check: Check) -> None:
    x, expected = check.rows["x"], check.expected
    counts = resampling_counts(_indices(check), x.size)
    if check.id == "replicates":
        values = _mean(x)(counts)
        got = bootstrap(_mean(x), counts)
        close(check, values[:5], expected["first5"])
        close(check, [got.estimate, values.mean(), got.se], [expected["t0"], expected["mean"], expected["sd"]])
    elif check.id == "median_replicates":
        got = bootstrap(_median(x), counts, interval="percentile")
        close(check, [got.estimate, got.se, got.ci_low, got.ci_high], [expected["t0"], expected["sd"], *expected["pct"]])
    elif check.id == "bca_parts":
        got = bootstrap(_mean(x), counts)
        close(check, [got.acceleration, got.bias_correction], [expected["a"], expected["z0"]])
        limits = ordered_quantiles(np.sort(_mean(x)(counts)), expected["adj_alpha"], "type-7")
        close(check, [got.ci_low, got.ci_high], limits.tolist())
    elif check.id == "bca_boot_pkg":
        for interval, key in (("normal", "normal"), ("basic", "basic"), ("percentile", "percent"), ("bca", "bca")):
            got = bootstrap(_mean(x), counts, interval=interval, quantile="normal-scale")
            close(check, [got.ci_low, got.ci_high], expected[key])
    else:
        got = bootstrap(_mean(x), counts, interval="bca" if check.estimator == "bca" else "percentile")
        close(check, [got.ci_low, got.ci_high], expected)


@pytest.mark.parametrize("check", [c for c in checks(("bca",)) if c.id == "bca_parts"], ids=str)
def test_acceleration_agrees_with_r(check: Check) -> None:
    x = check.rows["x"]
    left_out = (x.sum() - x) / (x.size - 1)
    close(check, jackknife_acceleration(left_out), check.expected["a"])


def _counts(n: int, resamples: int = 2000, seed: int = 11) -> np.ndarray:
    stream = generator(seed, Role.ANALYSIS, 0, "analysis.bootstrap")
    uniform = draw(stream, STREAMS["analysis.bootstrap"], n * resamples).reshape(resamples, n)
    return resampling_counts(resampling_indices(uniform, n), n)


def test_resamples_come_from_the_named_stream() -> None:
    counts = _counts(30)
    np.testing.assert_array_equal(counts, _counts(30))
    assert (counts.sum(axis=1) == 30).all()
    # each patient is drawn 2000 times on average, give or take 44
    assert np.abs(counts.sum(axis=0) - 2000).max() < 5 * np.sqrt(2000)


def test_closed_form_acceleration_and_se_of_a_mean() -> None:
    x = np.random.default_rng(1).exponential(size=40)
    got = bootstrap(_mean(x), _counts(40))
    skewness = ((x - x.mean()) ** 3).mean() / x.std() ** 3
    np.testing.assert_allclose(got.acceleration, skewness / (6 * np.sqrt(40)), rtol=1e-10)
    # 2,000 resamples know a standard deviation to 2%
    np.testing.assert_allclose(got.se, x.std() / np.sqrt(40), rtol=0.08)
    assert got.ci_low < got.estimate < got.ci_high


def test_a_weighted_estimator_is_a_statistic_as_it_is() -> None:
    rng = np.random.default_rng(2)
    time, cause = rng.integers(1, 60, 80).astype(float), rng.integers(0, 3, 80)

    def incidence(w: np.ndarray) -> np.ndarray:
        tiled = np.tile(time, (w.shape[0], 1))
        return aalen_johansen(tiled, np.tile(cause, (w.shape[0], 1)), 30.0, variance="ij", weights=w).estimate

    got, plain = bootstrap(incidence, _counts(80)), aalen_johansen(time[None], cause[None], 30.0, variance="ij")
    np.testing.assert_allclose(got.estimate, plain.estimate[0], rtol=1e-12)
    np.testing.assert_allclose(got.se, plain.se[0], rtol=0.08)
    np.testing.assert_allclose([got.ci_low, got.ci_high], [plain.ci_low[0], plain.ci_high[0]], atol=0.03)


def test_bca_respects_transformations_and_takes_several_statistics() -> None:
    x = np.random.default_rng(3).exponential(size=30)
    counts = _counts(30, 999)

    def both(w: np.ndarray) -> np.ndarray:
        mean = _mean(x)(w)
        return np.stack([mean, np.log(mean)], axis=1)

    pair, single = bootstrap(both, counts, quantile="normal-scale"), bootstrap(_mean(x), counts)
    assert pair.ci_low.shape == (2,)
    one = bootstrap(_mean(x), counts, interval="percentile")
    np.testing.assert_allclose(bootstrap(both, counts, interval="percentile").estimate[0], one.estimate)
    np.testing.assert_allclose(np.exp(pair.bias_correction[1]), np.exp(single.bias_correction))


def test_degenerate_bootstraps_have_a_status() -> None:
    counts = _counts(10, 200)
    constant = bootstrap(_mean(np.full(10, 0.1)), counts)
    assert constant.status == Status.NOT_ESTIMABLE
    assert np.isnan(constant.ci_low)
    missing = bootstrap(lambda w: np.full(w.shape[0], np.nan), counts)
    assert (missing.status, missing.n_failed) == (Status.NOT_ESTIMABLE, 200)
    x = np.arange(10.0)

    def sometimes(w: np.ndarray) -> np.ndarray:
        return np.where(w[:, 0] > 0, _mean(x)(w), np.nan)

    some = bootstrap(sometimes, counts, interval="percentile")
    assert some.status == Status.OK
    assert some.n_failed == (counts[:, 0] == 0).sum() > 0
    # with BCa the jackknife lacks a value: nothing is claimed
    assert bootstrap(sometimes, counts).status == Status.NOT_ESTIMABLE
    # no resample has a smaller minimum than the data: z0 is minus infinity
    lowest = bootstrap(lambda w: np.where(w > 0, x, np.inf).min(axis=1), counts)
    assert lowest.status == Status.NOT_ESTIMABLE
    few = bootstrap(_mean(x), counts[:20], quantile="normal-scale")
    assert few.status == Status.NOT_ESTIMABLE  # 20 resamples have no 2.5th percentile on that rule


def test_mistakes_of_the_caller_raise() -> None:
    with pytest.raises(ValueError, match="indices"):
        resampling_counts([[0, 5]], 5)
    with pytest.raises(ValueError, match="unknown name"):
        bootstrap(_mean(np.arange(3.0)), np.ones((4, 3)), interval="studentised")
    with pytest.raises(ValueError, match="uniform"):
        resampling_indices([[0.1, 0.2]], 3)
