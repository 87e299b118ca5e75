"""Times to an event: events and patients of log-rank trials, with accrual, dropout, pieces and competing causes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from cmvsim.designs.closed_forms.basics import (
    critical_value,
    normal_cdf,
    require,
    require_positive,
    require_power,
    require_probability,
    upper_quantile,
)

Hazard = float | Sequence[float]


@dataclass(frozen=True, slots=True)
class EventSize:
    """A size for a comparison of event times, not rounded; arm 0 is control, arm 1 experimental.

    Attributes
    ----------
    events, n
        Events needed and patients to enrol, both arms together.
    p_control, p_experimental
        Probability that a patient of the arm is seen to have the event.
    """

    events: float
    n: float
    p_control: float
    p_experimental: float


def schoenfeld_events(hr: float, *, ratio: float = 1.0, alpha: float = 0.05, power: float = 0.8, sides: int = 2) -> float:
    """Events of the log-rank test by Schoenfeld's formula.

    Parameters
    ----------
    hr
        Hazard ratio.
    ratio
        Patients of the experimental arm per patient of the control arm.
    alpha, sides
        Level and whether it is shared by two sides.
    power
        Power wanted.

    Notes
    -----
    ``(1 + r)^2 / r (z_alpha + z_beta)^2 / ln(hr)^2``; Schoenfeld, Biometrika 68 (1981) 316-319.
    """
    _check_ratio(hr, ratio)
    return (1.0 + ratio) ** 2 / ratio * _z(alpha, power, sides) ** 2 / math.log(hr) ** 2


def schoenfeld_power(events: float, hr: float, *, ratio: float = 1.0, alpha: float = 0.05, sides: int = 2) -> float:
    """Power with a number of events, the inverse of :func:`schoenfeld_events`; wrong-side rejections do not count."""
    _check_ratio(hr, ratio)
    require_positive(events=events)
    shift = abs(math.log(hr)) * math.sqrt(events * ratio) / (1.0 + ratio)
    return normal_cdf(shift - critical_value(alpha, sides))


def freedman_events(hr: float, *, ratio: float = 1.0, alpha: float = 0.05, power: float = 0.8, sides: int = 2) -> float:
    """Events of the log-rank test by Freedman's formula; arguments as for :func:`schoenfeld_events`.

    Notes
    -----
    ``(1 + r hr)^2 / (r (1 - hr)^2) (z_alpha + z_beta)^2``; Freedman, Statistics in Medicine 1 (1982) 121-129.
    """
    _check_ratio(hr, ratio)
    return (1.0 + ratio * hr) ** 2 / (ratio * (1.0 - hr) ** 2) * _z(alpha, power, sides) ** 2


def event_probability(
    hazard: Hazard, accrual: float, followup: float, *, lost: float = 0.0, times: Sequence[float] = (0.0,)
) -> float:
    """Probability that a patient is seen to have the event before the study ends.

    Parameters
    ----------
    hazard
        Hazard of the event, one per piece.
    accrual
        Duration of accrual, at a constant rate; 0 when all enter together.
    followup
        Time from the last patient's entry to the end.
    lost
        Constant hazard of leaving without the event: dropout, competing causes, or their sum.
    times
        Start of each piece, the first 0.

    Notes
    -----
    Follow-up is uniform on (followup, followup + accrual); the incidence is integrated over it in closed form.
    """
    rates = [float(hazard)] if isinstance(hazard, int | float) else [float(h) for h in hazard]
    require(len(rates) == len(times) and times[0] == 0, "one hazard for each piece, and the first piece starts at 0")
    require(all(b > a for a, b in pairwise(times)), "the pieces must start one after the other")
    require(all(h >= 0 for h in rates) and lost >= 0, "hazards must not be negative")
    require(accrual >= 0 and followup >= 0 and accrual + followup > 0, "accrual and followup must not both be 0")
    end, area = followup + accrual, {followup: 0.0, followup + accrual: 0.0}
    incidence = 0.0
    for stop in area:
        seen, alive, total = 0.0, 1.0, 0.0
        for rate, start, until in zip(rates, times, [*times[1:], math.inf], strict=True):
            length = min(until, stop) - start
            if length <= 0:
                break
            theta = rate + lost
            gone = -math.expm1(-theta * length)
            share = rate / theta if theta > 0 else 0.0
            total += seen * length + share * alive * (length - (gone / theta if theta > 0 else length))
            seen, alive = seen + share * alive * gone, alive * (1.0 - gone)
        area[stop] = total
        incidence = seen
    return incidence if accrual == 0 else (area[end] - area[followup]) / accrual


def logrank_size(
    hazard: Hazard,
    hr: float,
    *,
    accrual: float,
    followup: float,
    lost: float = 0.0,
    times: Sequence[float] = (0.0,),
    ratio: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: int = 2,
    method: Literal["schoenfeld", "freedman"] = "schoenfeld",
) -> EventSize:
    """Events and patients of a log-rank trial with proportional, piecewise constant hazards.

    Parameters
    ----------
    hazard, times
        Hazard of the control arm and the start of its pieces.
    hr
        Hazard ratio, experimental over control.
    accrual, followup, lost
        As for :func:`event_probability`.
    ratio, alpha, power, sides
        As for :func:`schoenfeld_events`.
    method
        Formula of the events.

    Notes
    -----
    Patients are events divided by the mean event probability of the arms (as rpact and R gsDesign do).
    """
    form = schoenfeld_events if method == "schoenfeld" else freedman_events
    events = form(hr, ratio=ratio, alpha=alpha, power=power, sides=sides)
    control = [float(hazard)] if isinstance(hazard, int | float) else [float(h) for h in hazard]
    chance = [event_probability([h * k for h in control], accrual, followup, lost=lost, times=times) for k in (1.0, hr)]
    return _patients(events, chance[0], chance[1], ratio)


def competing_risks_size(
    control: float,
    experimental: float,
    competing: float,
    *,
    accrual: float,
    followup: float,
    lost: float = 0.0,
    ratio: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: int = 2,
) -> EventSize:
    """Events and patients of a cause-specific log-rank test with a competing cause, all causes exponential.

    Parameters
    ----------
    control, experimental
        Hazard of the event of interest in the arms.
    competing
        Hazard of the competing event, the same in both.
    accrual, followup, lost, ratio, alpha, power, sides
        As for :func:`logrank_size`; `lost` is dropout alone.

    Notes
    -----
    Pintilie, Statistics in Medicine 21 (2002) 3317-3324: Schoenfeld's events, divided by the probability of the event
    of interest in the presence of the other.
    """
    require_positive(control=control, experimental=experimental)
    events = schoenfeld_events(experimental / control, ratio=ratio, alpha=alpha, power=power, sides=sides)
    chance = [event_probability(h, accrual, followup, lost=competing + lost) for h in (control, experimental)]
    return _patients(events, chance[0], chance[1], ratio)


def subdistribution_size(
    incidence_control: float,
    incidence_experimental: float,
    *,
    ratio: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: int = 2,
) -> tuple[EventSize, float]:
    """Events and patients of a subdistribution-hazard (Fine-Gray) comparison, from two cumulative incidences.

    Parameters
    ----------
    incidence_control, incidence_experimental
        Cumulative incidence of the event of interest at the horizon, when nobody is censored before it.
    ratio, alpha, power, sides
        As for :func:`schoenfeld_events`.

    Returns
    -------
    size, subdistribution_hr
        The size, and the ratio ln(1 - F1) / ln(1 - F0) that the incidences imply.

    Notes
    -----
    Latouche, Porcher and Chevret, Statistics in Medicine 23 (2004) 3263-3274.
    """
    require_probability(incidence_control=incidence_control, incidence_experimental=incidence_experimental)
    hr = math.log1p(-incidence_experimental) / math.log1p(-incidence_control)
    events = schoenfeld_events(hr, ratio=ratio, alpha=alpha, power=power, sides=sides)
    return _patients(events, incidence_control, incidence_experimental, ratio), hr


def lachin_foulkes_size(
    control: float,
    experimental: float,
    *,
    accrual: float,
    followup: float,
    lost: float = 0.0,
    ratio: float = 1.0,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: int = 2,
) -> EventSize:
    """Patients to compare two exponential hazards on the log scale, by Lachin and Foulkes.

    Parameters
    ----------
    control, experimental
        Hazards of the arms.
    accrual, followup, lost, ratio, alpha, power, sides
        As for :func:`logrank_size`.

    Notes
    -----
    Lachin and Foulkes, Biometrics 42 (1986) 507-519; the null variance is at the mean hazard, weighted by allocation
    (R gsDesign ``nSurvival``, type "rr").
    """
    require_power(power, alpha, sides)
    null, alternative, chance = _lachin_foulkes(control, experimental, accrual, followup, lost, ratio)
    z = critical_value(alpha, sides) * null + upper_quantile(1.0 - power) * alternative
    n = (z / math.log(experimental / control)) ** 2
    events = n * (chance[0] + ratio * chance[1]) / (1.0 + ratio)
    return EventSize(events, n, chance[0], chance[1])


def lachin_foulkes_power(
    n: float,
    control: float,
    experimental: float,
    *,
    accrual: float,
    followup: float,
    lost: float = 0.0,
    ratio: float = 1.0,
    alpha: float = 0.05,
    sides: int = 2,
) -> float:
    """Power with `n` patients, the inverse of :func:`lachin_foulkes_size`."""
    require_positive(n=n)
    null, alternative, _ = _lachin_foulkes(control, experimental, accrual, followup, lost, ratio)
    shift = abs(math.log(experimental / control)) * math.sqrt(n)
    return normal_cdf((shift - critical_value(alpha, sides) * null) / alternative)


def _lachin_foulkes(
    control: float, experimental: float, accrual: float, followup: float, lost: float, ratio: float
) -> tuple[float, float, list[float]]:
    require_positive(control=control, experimental=experimental, ratio=ratio)
    _check_ratio(experimental / control, ratio)
    q0, q1 = 1.0 / (1.0 + ratio), ratio / (1.0 + ratio)
    hazards = (control, experimental, q0 * control + q1 * experimental)
    *chance, pooled = (event_probability(h, accrual, followup, lost=lost) for h in hazards)
    null = math.sqrt((1.0 / q0 + 1.0 / q1) / pooled)
    return null, math.sqrt(1.0 / (q0 * chance[0]) + 1.0 / (q1 * chance[1])), chance


def _patients(events: float, control: float, experimental: float, ratio: float) -> EventSize:
    mean = (control + ratio * experimental) / (1.0 + ratio)
    require(mean > 0, "no event is seen with these hazards and times")
    return EventSize(events, events / mean, control, experimental)


def _z(alpha: float, power: float, sides: int) -> float:
    require_power(power, alpha, sides)
    return critical_value(alpha, sides) + upper_quantile(1.0 - power)


def _check_ratio(hr: float, ratio: float) -> None:
    require_positive(hazard_ratio=hr, ratio=ratio)
    require(hr != 1.0, "the hazard ratio must differ from 1")
