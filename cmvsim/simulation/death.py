"""Section 12b, death: exact inversion of the non-relapse hazard, and of the hazard after relapse."""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.streams import Draws
from cmvsim.models.baseline import Baseline
from cmvsim.models.follow_up import FollowUpSpec


def death_times(
    spec: FollowUpSpec, baseline: Baseline, stratum: IntArray, relapse: FloatArray, treated: FloatArray, draws: Draws
) -> FloatArray:
    """Time of death (+inf: never), flat.

    Parameters
    ----------
    relapse, treated
        Time of relapse and of the first pre-emptive treatment (clinically significant CMV), +inf if none.

    Notes
    -----
    The non-relapse hazard is constant and steps up by a ratio at the first treatment: E = h t before the step and
    h s + h ratio (t - s) after it, inverted exactly. The hazard after relapse is constant from relapse on.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = np.array(baseline.non_relapse_hazard)[stratum]
        clock = draws("follow_up.non_relapse_death")
        without = clock / hazard
        ratio = float(spec.death_ratios.clinically_significant)
        treated = np.maximum(treated, 0.0)  # the hazard of death runs from infusion
        if ratio != 1.0:
            later = treated + (clock - hazard * treated) / (hazard * ratio)
            without = np.where(without > treated, later, without)
        after = relapse + draws("follow_up.death_after_relapse") / np.array(baseline.after_relapse_hazard)[stratum]
    earlier: FloatArray = np.minimum(without, after)
    return earlier


def solve_death_hazards(non_relapse: float, death: float, relapse: float, shape: float, day: float) -> tuple[float, float]:
    """Hazards that give the two death targets of a stratum when no factor acts, in closed form up to quadrature.

    Parameters
    ----------
    non_relapse
        Cumulative incidence of death without relapse by `day`.
    death
        Probability of death by `day`.
    relapse, shape
        Marginal probability of relapse by `day`, and its Weibull shape.

    Returns
    -------
    tuple of float
        Non-relapse hazard and hazard after relapse, per day; the second is NaN when no hazard is high enough.
    """
    from scipy import integrate, optimize

    scale = -np.log1p(-relapse)

    def relapse_free(t: float) -> float:
        return float(np.exp(-scale * (t / day) ** shape))

    def without_relapse(h: float) -> float:
        return float(integrate.quad(lambda t: h * np.exp(-h * t) * relapse_free(t), 0, day, epsabs=1e-13)[0])

    h = float(optimize.brentq(lambda h: without_relapse(h) - non_relapse, 0.0, 1.0, xtol=1e-15)) if non_relapse > 0 else 0.0

    def alive(after: float) -> float:
        def density(t: float) -> float:
            return float(scale * shape / day * (t / day) ** (shape - 1) * relapse_free(t))

        return float(
            np.exp(-h * day)
            * (relapse_free(day) + integrate.quad(lambda t: density(t) * np.exp(-after * (day - t)), 0, day, epsabs=1e-13)[0])
        )

    # Before relapse and after it the non-relapse hazard goes on acting, so survival factorises as above.
    if 1 - alive(0.0) >= death:
        return h, 0.0 if abs(1 - alive(0.0) - death) < 1e-9 else float("nan")
    if 1 - alive(10.0) < death:
        return h, float("nan")
    return h, float(optimize.brentq(lambda a: 1 - alive(a) - death, 0.0, 10.0, xtol=1e-15))
