"""Section 12b, death: exact inversion of the non-relapse hazard, and of the hazard after relapse."""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.streams import Draws
from cmvsim.models.baseline import Baseline
from cmvsim.models.follow_up import FollowUpSpec, RelapseLaw
from cmvsim.models.windows import Windows
from cmvsim.simulation.event_times import Factor, Hazard


def death_times(
    spec: FollowUpSpec,
    baseline: Baseline,
    stratum: IntArray,
    score: FloatArray | None,
    relapse: FloatArray,
    treated: FloatArray | None,
    disease: FloatArray | None,
    severe_infection: Windows | None,
    severe_toxicity: Windows | None,
    draws: Draws,
) -> FloatArray:
    """Time of death (+inf: never), flat.

    Parameters
    ----------
    score
        (P,) immunosuppression score.
    relapse
        (P,) time of relapse, +inf if none.
    treated, disease
        (P,) time of the first pre-emptive treatment (clinically significant CMV) and of CMV disease, +inf if none.
    severe_infection, severe_toxicity
        (P,) or (W, P) windows, which may overlap.

    Raises
    ------
    ValueError
        If a ratio acts and what it acts on is None; where the ratio is 1 it may be.

    Notes
    -----
    The non-relapse hazard is constant from infusion on but for the windows in which factors act; the factor of
    clinically significant CMV, and that of disease, act from then on for good. The hazard after relapse is constant from
    relapse on.
    """
    ratios = spec.death_ratios
    rate = np.array(baseline.non_relapse_hazard)[stratum]
    if float(ratios.score) != 1.0:
        if score is None:
            raise ValueError("the score acts on death, but was not given")
        rate = rate * np.exp(np.log(float(ratios.score)) * score)
    factors = (
        Factor("clinically_significant", float(ratios.clinically_significant), _from(treated)),
        Factor("disease", float(ratios.disease), _from(disease)),
        Factor("severe_infection", float(ratios.severe_infection), severe_infection),
        Factor("severe_toxicity", float(ratios.severe_toxicity), severe_toxicity),
    )
    hazard = Hazard.of(rate, factors)
    without = hazard.invert(draws("follow_up.non_relapse_death"), np.zeros(rate.size), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        after = relapse + draws("follow_up.death_after_relapse") / np.array(baseline.after_relapse_hazard)[stratum]
    earlier: FloatArray = np.minimum(without, after)
    return earlier


def _from(time: FloatArray | None) -> Windows | None:
    """Windows that open at a time and never close."""
    return None if time is None else Windows(time, np.full(time.shape, np.inf))


def solve_death_hazards(
    non_relapse: float, death: float, relapse: float, shape: float, day: float, score_ratio: float = 1.0
) -> tuple[float, float]:
    """Hazards that give the two death targets of a stratum when no factor acts, in closed form up to quadrature.

    Parameters
    ----------
    non_relapse
        Cumulative incidence of death without relapse by `day`.
    death
        Probability of death by `day`.
    relapse, shape, score_ratio
        Marginal probability of relapse by `day`, its Weibull shape, and the ratio of the score on its hazard.

    Returns
    -------
    tuple of float
        Non-relapse hazard and hazard after relapse, per day; the second is NaN when no hazard is high enough.
    """
    from scipy import integrate, optimize

    law = RelapseLaw.of(relapse, shape, score_ratio, day)

    def without_relapse(h: float) -> float:
        return float(integrate.quad(lambda t: h * np.exp(-h * t) * law.relapse_free(t), 0, day, epsabs=1e-13)[0])

    h = float(optimize.brentq(lambda h: without_relapse(h) - non_relapse, 0.0, 1.0, xtol=1e-15)) if non_relapse > 0 else 0.0

    def alive(after: float) -> float:
        relapsed = integrate.quad(lambda t: law.density(t) * np.exp(-after * (day - t)), 0, day, epsabs=1e-13)[0]
        return float(np.exp(-h * day) * (law.relapse_free(day) + relapsed))

    # Before relapse and after it the non-relapse hazard goes on acting, so survival factorises as above.
    if 1 - alive(0.0) >= death:
        return h, 0.0 if abs(1 - alive(0.0) - death) < 1e-9 else float("nan")
    if 1 - alive(10.0) < death:
        return h, float("nan")
    return h, float(optimize.brentq(lambda a: 1 - alive(a) - death, 0.0, 10.0, xtol=1e-15))
