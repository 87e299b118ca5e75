"""What the regressions share: argument checks, Wald limits, and one term as :class:`Estimates`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.estimators.intervals import normal_quantile
from cmvsim.estimators.ordering import Batch, check_batch, sorted_keys

# beyond every finite time: nobody is "still observed at the horizon", and infinite times are not in the analysis
NO_HORIZON = float(np.finfo(np.float64).max)


@dataclass(frozen=True, slots=True)
class Wald:
    """Standard errors, limits and two-sided p-values of coefficients."""

    se: FloatArray
    ci_low: FloatArray
    ci_high: FloatArray
    p_value: FloatArray

    @classmethod
    def of(cls, coef: FloatArray, covariance: FloatArray, level: float) -> Wald:
        """Normal approximation on the scale of the coefficients."""
        from scipy.special import erfc

        z = normal_quantile(level)
        with np.errstate(invalid="ignore", divide="ignore"):  # of a fit that its status says is none
            se = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
            p_value = np.asarray(erfc(np.abs(coef / se) / np.sqrt(2.0)), dtype=np.float64)
        return cls(se, coef - z * se, coef + z * se, p_value)


class Fit(Protocol):
    """What the results of the regressions have in common."""

    @property
    def coef(self) -> FloatArray: ...  # noqa: D102
    @property
    def se(self) -> FloatArray: ...  # noqa: D102
    @property
    def ci_low(self) -> FloatArray: ...  # noqa: D102
    @property
    def ci_high(self) -> FloatArray: ...  # noqa: D102
    @property
    def n(self) -> IntArray: ...  # noqa: D102
    @property
    def events(self) -> IntArray: ...  # noqa: D102
    @property
    def status(self) -> IntArray: ...  # noqa: D102
    @property
    def level(self) -> float: ...  # noqa: D102
    @property
    def method(self) -> str: ...  # noqa: D102


def one_term(fit: Fit, index: int, *, exponentiate: bool) -> Estimates:
    """`Estimates` of one column; with `exponentiate` a ratio whose `se` stays on the log scale.

    ``NO_EVENTS`` promises an exact bound in `Estimates`; a coefficient has none, so that it becomes
    ``NOT_ESTIMABLE``.
    """
    estimate, low, high = fit.coef[:, index], fit.ci_low[:, index], fit.ci_high[:, index]
    status = np.where(fit.status == Status.NO_EVENTS, int(Status.NOT_ESTIMABLE), fit.status).astype(np.int64)
    if exponentiate:
        with np.errstate(over="ignore"):
            estimate, low, high = np.exp(estimate), np.exp(low), np.exp(high)
    return Estimates(
        estimate,
        fit.se[:, index],
        low,
        high,
        fit.n,
        fit.events,
        status,
        level=fit.level,
        method=fit.method,
        se_scale="log" if exponentiate else "plain",
    )


def check_covariates(covariates: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Contiguous (replicates, patients, p) floats; a (patients, p) table serves every replicate."""
    x = np.asarray(covariates, dtype=np.float64)
    if x.ndim == 2 and x.shape[0] == shape[1]:
        x = np.broadcast_to(x, (shape[0], *x.shape))
    if x.ndim != 3 or x.shape[:2] != tuple(shape) or x.shape[2] == 0:
        raise ValueError(f"covariates must be (replicates, patients, p) = ({shape[0]}, {shape[1]}, p), not {x.shape}")
    return np.ascontiguousarray(x)


def per_row(values: ArrayLike | None, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    """Values of each row broadcast to (replicates, patients), or no columns where none are given."""
    if values is None:
        return np.empty((shape[0], 0), dtype=dtype)
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, dtype=dtype), shape))


def time_order(time: FloatArray, cause: IntArray, event: int) -> IntArray:
    """Rows of each replicate by time, -1 in the places of those not in the analysis; the packed sort."""
    from cmvsim.estimators.kernels.packing import BEYOND, INDEX_MASK

    batch: Batch = check_batch(time, cause, None, None, None)
    keys = sorted_keys(batch, slice(0, time.shape[0]), NO_HORIZON, event, np.empty((time.shape[0], 1), dtype=np.int64))
    return np.where(keys == BEYOND, np.int64(-1), keys & INDEX_MASK)
