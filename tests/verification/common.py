"""What the checks share: how much they compute, how a comparison is written down, and simulations kept for the next check."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from cmvsim.calibration import Calibration, calibrate
from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.records import FloatArray
from cmvsim.models.baseline import Baseline
from cmvsim.montecarlo import estimand_values as truth_module
from cmvsim.montecarlo.estimand_values import EstimandValue, estimand_values
from cmvsim.montecarlo.experiment import FIELDS
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.simulation.model import Model

SEED = 20_250_901
PRIMARY = "cmv_reactivation"
SIZES = (60, 120, 250)
NONE = "{ball_child=0,ball_adult=0,dlbcl=0}"
NO_LOSS = (
    "monitoring.attendance=1",
    "follow_up.lost_by_90=0",
    "follow_up.withdrawn_by_90=0",
    f"follow_up.monitoring_stop={NONE}",
)
WATCHING = (
    "monitoring.",
    "analysis.",
    "follow_up.lost",
    "follow_up.withdrawn",
    "follow_up.monitoring_stop",
    "quality_of_life.",
)
"""Keys that make no difference to the disease as solved (tested elsewhere): how the study watches, asks and analyses."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much a tier computes.

    Attributes
    ----------
    replicates
        Of each study.
    truth_chunks
        Of 4,096 patients, for an estimand value.
    repetitions
        Of a search for a sample size; 0 leaves that check to the long tier.
    cohort
        Patients on whom a scenario's targets are solved, and as many fresh ones on whom they are reported.
    chunks
        Of 16,000 patients, to look at the whole model.
    """

    name: str
    replicates: int
    truth_chunks: int
    repetitions: int
    cohort: int
    chunks: int

    @property
    def long(self) -> bool:
        """Whether everything is looked at, or what matters most."""
        return self.name != "small"


SMALL = Size("small", replicates=1984, truth_chunks=20, repetitions=0, cohort=16_384, chunks=4)
LONG = Size("long", replicates=20_032, truth_chunks=200, repetitions=2000, cohort=98_304, chunks=60)


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One comparison; `expected` may be a range."""

    name: str
    expected: float | tuple[float, float]
    got: float
    mcse: float
    tolerance: float
    source: str
    ok: bool


def near(name: str, expected: float, got: float, mcse: float, source: str, *, k: float = 4.0, more: float = 0.0) -> CheckRow:
    """Within k MCSE, plus `more` where the source says why."""
    tolerance = k * mcse + more
    return CheckRow(
        name, float(expected), float(got), float(mcse), float(tolerance), source, bool(abs(got - expected) <= tolerance)
    )


def within(name: str, low: float, high: float, got: float, mcse: float, source: str, *, k: float = 3.0) -> CheckRow:
    """Within k MCSE of a range."""
    ok = bool(low - k * mcse <= got <= high + k * mcse)
    return CheckRow(name, (float(low), float(high)), float(got), float(mcse), float(k * mcse), source, ok)


def share(
    name: str, expected: float, events: float, patients: float, source: str, *, k: float = 4.0, more: float = 0.0
) -> CheckRow:
    """A share against what it should be; the error is that of the expected share, so that 0 of few is no certainty."""
    error = np.sqrt(max(expected * (1 - expected), 0.0) / patients)
    return near(name, expected, events / patients, float(error), source)


@lru_cache(maxsize=64)
def scenario(name: str, overrides: tuple[str, ...] = ()) -> ResolvedScenario:
    return resolve(name, overrides)


def solved(name: str, overrides: tuple[str, ...], cohort: int) -> Calibration:
    """The disease as solved: how the study watches and analyses it is left out."""
    return calibrate(scenario(name, tuple(item for item in overrides if not item.startswith(WATCHING))), cohort)


def baseline_of(name: str, overrides: tuple[str, ...], cohort: int) -> Baseline:
    return solved(name, overrides, cohort).baseline


def model_of(name: str, overrides: tuple[str, ...], cohort: int) -> Model:
    spec = scenario(name, overrides).spec
    return Model.of(spec, baseline_of(name, overrides, cohort), convert(spec.quality_of_life))


@lru_cache(maxsize=32)
def simulated(name: str, overrides: tuple[str, ...], replicates: int, sensitivity: bool, cohort: int) -> dict[str, FloatArray]:
    """Estimator id -> (replicates, sizes, fields); without the runner and its store, which have tests of their own."""
    made = CohortExperiment(
        scenario(name, overrides), baseline_of(name, overrides, cohort), SIZES, (PRIMARY,), sensitivity, SEED
    )
    values = np.concatenate([made.chunk(index).values for index in range(-(-replicates // 64))])
    return {key.estimator: values[:, :, row] for row, key in enumerate(made.rows)}


def field(values: FloatArray, name: str) -> FloatArray:
    return np.asarray(values[..., FIELDS.index(name)])


def half_width(values: FloatArray) -> FloatArray:
    return (field(values, "ci_high") - field(values, "ci_low")) / 2


def mean_and_error(column: FloatArray) -> tuple[float, float]:
    return float(column.mean()), float(column.std(ddof=1) / np.sqrt(column.size))


def share_and_error(met: np.ndarray) -> tuple[float, float]:
    p = float(met.mean())
    floor = max(p * (1 - p), 1 / met.size)  # never certain
    return p, float(np.sqrt(floor / met.size))


@lru_cache(maxsize=32)
def truth(name: str, overrides: tuple[str, ...], chunks: int, cohort: int) -> dict[str, EstimandValue]:
    """Kind -> value of the primary endpoint."""
    model = model_of(name, overrides, cohort)
    plan = scenario(name, overrides).spec.analysis
    return {value.kind: value for value in estimand_values(model, (plan,), "preemptive", (PRIMARY,), chunks=chunks)}


def in_analysis(name: str, overrides: tuple[str, ...], chunks: int, cohort: int) -> float:
    """Probability of being without DNAemia at infusion."""
    patients = chunks * truth_module.PATIENTS_PER_REPLICATE * 64
    return truth(name, overrides, chunks, cohort)["protocol"].patients / patients
