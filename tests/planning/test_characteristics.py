"""Every measure of every analysis, by hand from the columns of a toy experiment with known numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cmvsim.core.records import FloatArray, Measure, Request, Status
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.montecarlo.estimand_values import EstimandValue
from cmvsim.montecarlo.experiment import FIELDS, Replicates, RowKey
from cmvsim.montecarlo.run import open_store, run
from cmvsim.planning.characteristics import Row, characteristics

KEY = RowKey("toy", strategy="none", estimator="table", at=90.0)
NAN = math.nan
R = 80
W = 0.10

OF_ANALYSES = (  # the others are said of a calendar, of an estimator on trial (test_performance), or of a design's decisions
    *(Measure.HALF_WIDTH, Measure.HALF_WIDTH_Q80, Measure.P_HALF_WIDTH_LE, Measure.MEAN_ESTIMATE, Measure.EMPIRICAL_SE),
    *(Measure.MODEL_SE, Measure.BIAS, Measure.BIAS_LATENT, Measure.COVERAGE, Measure.COVERAGE_LATENT),
    *(Measure.EXPECTED_EVENTS, Measure.EXPECTED_EVALUABLE, Measure.EXPECTED_SAMPLES, Measure.P_NO_EVENT),
    *(Measure.P_NOT_ESTIMABLE, Measure.UPPER_BOUND_NO_EVENT),
)


def table() -> FloatArray:
    """(80, 2 sizes, 1 row, fields): known numbers with 3 raised, 2 empty and 5 without events at the first size."""
    rng = np.random.default_rng(8)
    out = np.empty((2 * CHUNK_REPLICATES, 2, 1, len(FIELDS)))
    for size, n in enumerate((40, 90)):
        estimate = rng.normal(0.3, 0.05, len(out))
        half = rng.uniform(0.08, 0.13, len(out)) * (1 if size == 0 else 0.7)
        out[:, size, 0] = np.column_stack(
            [
                estimate,
                half / 1.96,
                estimate - half,
                estimate + 1.2 * half,
                np.full(len(out), n - 1.0),
                rng.integers(1, 20, len(out)),
                np.full(len(out), float(Status.OK)),
            ]
        )
    out[3:8, 0, 0] = (0.0, 0.0, 0.0, 0.09, 39.0, 0.0, float(Status.NO_EVENTS))
    out[10:12, 0, 0] = (NAN, NAN, NAN, NAN, 0.0, 0.0, float(Status.EMPTY))
    out[[20, 21, 75], 0, 0] = (NAN, NAN, NAN, NAN, NAN, NAN, float(Status.RAISED))
    return out


@dataclass(frozen=True)
class Table:
    """An experiment that reads its chunks from :func:`table`."""

    sizes: tuple[int, ...] = (40, 90)
    rows: tuple[RowKey, ...] = (KEY,)
    extras: tuple[str, ...] = ("samples",)

    @cached_property
    def request(self) -> Request:
        return Request("toy", "toy", "0" * 64, {}, 1)

    def chunk(self, index: int) -> Replicates:
        part = table()[index * CHUNK_REPLICATES : (index + 1) * CHUNK_REPLICATES]
        samples = np.where(np.isnan(part[:, :, 0, [4]]), NAN, 10.0 * np.array([40, 90])[np.newaxis, :, np.newaxis])
        return Replicates(part, samples)


PROTOCOL = EstimandValue("toy", "none", "protocol", 0.30, 0.004, 1000)
LATENT = EstimandValue("toy", "none", "latent", 0.26, 0.003, 1000)


@pytest.fixture
def rows(tmp_path: Path) -> dict[tuple[int, str], Row]:
    experiment = Table()
    result = run(experiment, replicates=R, store=open_store(tmp_path, experiment), jobs=1)
    made = characteristics(result, (40, 90), (PROTOCOL, LATENT), half_width=W, level=0.95)
    return {(row.n, row.measure): row for row in made}


def columns(size: int) -> tuple[dict[str, FloatArray], np.ndarray, np.ndarray]:
    v = table()[:R, size, 0]
    named = {name: v[:, i] for i, name in enumerate(FIELDS)}
    ok = np.isin(named["status"], [Status.OK, Status.NO_EVENTS, Status.ALL_EVENTS])
    return named, ok, (named["ci_high"] - named["ci_low"]) / 2


def wilson(x: int, n: int) -> float:
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(x, n, method="wilson")
    return float((high - low) / 2 / stats.norm.ppf(0.975))


def test_every_measure_is_there_once_per_size(rows: dict[tuple[int, str], Row]) -> None:
    assert set(rows) == {(n, measure.value) for n in (40, 90) for measure in OF_ANALYSES}
    for (n, measure), row in rows.items():
        expected = ("", "", "", 0.0) if measure == "expected_samples" else ("toy", "none", "table", 90.0)
        assert (row.endpoint, row.strategy, row.estimator, row.at) == expected
        assert row.n == n


@pytest.mark.parametrize(("size", "n"), [(0, 40), (1, 90)])
def test_means_and_spreads_go_over_the_usable(rows: dict[tuple[int, str], Row], size: int, n: int) -> None:
    c, ok, half = columns(size)
    root = math.sqrt(ok.sum())
    for measure, values in (("half_width", half), ("mean_estimate", c["estimate"])):
        row = rows[n, measure]
        assert row.value == pytest.approx(np.mean(values[ok]))
        assert row.mcse == pytest.approx(np.std(values[ok], ddof=1) / root)
        assert (row.n_ok, row.n_failed) == (ok.sum(), R - ok.sum())
    q = np.sort(half[ok])
    assert rows[n, "half_width_q80"].value == q[math.ceil(0.8 * ok.sum()) - 1]
    assert np.mean(half[ok] <= rows[n, "half_width_q80"].value) >= 0.8
    assert rows[n, "half_width_q80"].mcse > 0
    assert rows[n, "empirical_se"].value == pytest.approx(np.std(c["estimate"][ok], ddof=1))
    assert rows[n, "model_se"].value == pytest.approx(math.sqrt(np.mean(c["se"][ok] ** 2)))


@pytest.mark.parametrize(("size", "n"), [(0, 40), (1, 90)])
def test_a_failed_replicate_did_not_meet_the_criterion(rows: dict[tuple[int, str], Row], size: int, n: int) -> None:
    _, ok, half = columns(size)
    met = int((half[ok] <= W).sum())
    row = rows[n, "p_half_width_le"]
    assert row.value == pytest.approx(met / R)
    assert row.mcse == pytest.approx(wilson(met, R))
    if size == 0:
        assert ok.sum() == R - 5
        assert row.value < met / ok.sum()


@pytest.mark.parametrize(("size", "n"), [(0, 40), (1, 90)])
@pytest.mark.parametrize(("suffix", "truth"), [("", PROTOCOL), ("_latent", LATENT)])
def test_bias_and_coverage_against_each_truth(
    rows: dict[tuple[int, str], Row], size: int, n: int, suffix: str, truth: EstimandValue
) -> None:
    c, ok, _ = columns(size)
    bias = rows[n, "bias" + suffix]
    assert bias.value == pytest.approx(np.mean(c["estimate"][ok]) - truth.value)
    assert bias.mcse == pytest.approx(math.hypot(np.std(c["estimate"][ok], ddof=1) / math.sqrt(ok.sum()), truth.mcse))
    inside = int(((c["ci_low"] <= truth.value) & (truth.value <= c["ci_high"]))[ok].sum())
    coverage = rows[n, "coverage" + suffix]
    assert coverage.value == pytest.approx(inside / ok.sum())
    assert coverage.mcse == pytest.approx(wilson(inside, int(ok.sum())))


@pytest.mark.parametrize(("size", "n"), [(0, 40), (1, 90)])
def test_feasibility(rows: dict[tuple[int, str], Row], size: int, n: int) -> None:
    c, ok, _ = columns(size)
    ran = c["status"] != Status.RAISED
    assert rows[n, "expected_events"].value == pytest.approx(c["events"][ran].mean())
    assert rows[n, "expected_evaluable"].value == pytest.approx(c["n"][ran].mean())
    assert rows[n, "p_no_event"].value == pytest.approx((c["events"][ran] == 0).mean())
    missing = rows[n, "p_not_estimable"]
    assert missing.value == pytest.approx(1 - ok.mean())
    assert (missing.n_ok, missing.n_failed) == (ok.sum(), R - ok.sum())
    evaluable = round(c["n"][ran].mean())
    assert rows[n, "upper_bound_no_event"].value == pytest.approx(1 - 0.025 ** (1 / evaluable))
    assert rows[n, "expected_samples"].value == pytest.approx(10 * n)
    assert rows[n, "expected_samples"].n_failed == (~ran).sum()


def test_without_target_or_truth_their_measures_are_left_out(tmp_path: Path) -> None:
    experiment = Table()
    result = run(experiment, replicates=R, store=open_store(tmp_path, experiment), jobs=1)
    missing = EstimandValue("toy", "none", "protocol", NAN, NAN, 0)
    measures = {row.measure for row in characteristics(result, (90,), (missing,), half_width=None, level=0.95)}
    assert measures == {m.value for m in OF_ANALYSES} - {
        "p_half_width_le",
        "bias",
        "coverage",
        "bias_latent",
        "coverage_latent",
    }
