"""Pairing audit: what the same patients under every strategy (common random numbers) save.

With the same patients the variance of an increment is that of the patients' own differences; with other patients for each
strategy it would be the sum of the two variances. Their ratio is how many times more patients independent strategies need.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from cmvsim.core.records import FloatArray


@dataclass(frozen=True, slots=True)
class Pairing:
    """Audit of one outcome of a strategy against the reference.

    Attributes
    ----------
    correlation
        Between the outcomes of the same patient; NaN where one does not vary.
    increment
        Mean difference.
    sd, sd_independent
        Of a patient's difference, and what it would be with independent patients.
    variance_reduction
        ``(sd_independent / sd) ** 2``: infinite where all differences are equal.
    mcse, mcse_independent
        Of the increment, over these patients.
    """

    strategy: str
    against: str
    outcome: str
    patients: int
    correlation: float
    increment: float
    sd: float
    sd_independent: float
    variance_reduction: float
    mcse: float
    mcse_independent: float


def pairing_audit(names: Sequence[str], values: FloatArray, *, outcome: str = "", reference: int = 0) -> tuple[Pairing, ...]:
    """Audit one outcome of every strategy against the reference.

    Parameters
    ----------
    values
        (strategies, patients): cost, effect, or net benefit; column p is the same patient throughout.
    """
    base, patients = values[reference], values.shape[1]
    rows = []
    for k, name in enumerate(names):
        if k == reference:
            continue
        difference = values[k] - base
        sd, apart = float(difference.std(ddof=1)), math.sqrt(values[k].var(ddof=1) + base.var(ddof=1))
        varies = values[k].std() > 0 and base.std() > 0
        rows.append(
            Pairing(
                name,
                names[reference],
                outcome,
                patients,
                float(np.corrcoef(values[k], base)[0, 1]) if varies else math.nan,
                float(difference.mean()),
                sd,
                apart,
                (apart / sd) ** 2 if sd > 0 else math.inf,
                sd / math.sqrt(patients),
                apart / math.sqrt(patients),
            )
        )
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class NoisyAcceptability:
    """What patients' noise does to the probability that a strategy is cost-effective.

    Attributes
    ----------
    probability
        Of a positive increment of net benefit, over the inputs alone.
    seen
        What draws of few patients show: pulled towards one half.
    mcse
        Monte Carlo standard error of `seen`.
    """

    probability: float
    seen: float
    mcse: float


def acceptability_with_noise(increment: float, between: float, within: float, patients: int, draws: int) -> NoisyAcceptability:
    """Acceptability of one strategy against another, increments normal over the draws.

    Parameters
    ----------
    increment
        Expected increment of net benefit.
    between
        Its variance over the inputs.
    within
        Variance of a patient's increment: ``Pairing.sd ** 2``, or ``sd_independent ** 2`` for strategies without pairing.
    patients, draws
        Patients in each draw, and draws.
    """

    def positive(variance: float) -> float:
        if variance == 0:
            return float(increment > 0)
        return float(norm.cdf(increment / math.sqrt(variance)))

    seen = positive(between + within / patients)
    return NoisyAcceptability(positive(between), seen, math.sqrt(seen * (1 - seen) / draws))
