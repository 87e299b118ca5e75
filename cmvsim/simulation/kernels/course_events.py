"""What can happen to one patient in the CMV course: each event changes the running state (model.md 5, 6, 8, 9)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from cmvsim.simulation.kernels import layout as at
from cmvsim.simulation.kernels.disease import spend_disease
from cmvsim.simulation.kernels.hazard import INF, not_yet, spend
from cmvsim.simulation.kernels.load import clearance, realised

Vector = NDArray[np.float64]
Table = NDArray[np.float64]
GRID = 2.0**20


@njit(cache=True, error_model="numpy")
def on_grid_from(t: float) -> float:
    """The first point of the grid of operational times at or after t."""
    return math.ceil(t * GRID) / GRID


@njit(cache=True, error_model="numpy")
def clock(s: Vector, x: Vector, p: Vector, factors: Table, until: float, survival_until: float) -> tuple[float, float]:
    """Spend the waiting clock from its mark until `until` under the present treatment."""
    rate = x[at.RATE]
    if s[at.EPISODE] >= 0.0:
        rate *= p[at.RE_EPISODE]
    if s[at.DRUG] > 0.0:
        rate *= p[at.ANTIVIRAL]
    return spend(
        s[at.MARK],
        until,
        survival_until,
        s[at.RESIDUAL],
        rate,
        p[at.ORIGIN],
        p[at.SCALE],
        p[at.SHAPE],
        x,
        at.FACTORS,
        factors,
    )


@njit(cache=True, error_model="numpy")
def pause_waiting(s: Vector, x: Vector, p: Vector, factors: Table, t: float) -> None:
    """Take off what was spent of the clock so far, before its rate changes."""
    if s[at.WAITING] > 0.0:
        s[at.RESIDUAL] = clock(s, x, p, factors, t, not_yet(t, p[at.ORIGIN], p[at.SCALE], p[at.SHAPE]))[1]
        s[at.MARK] = t


@njit(cache=True, error_model="numpy")
def go_on_waiting(s: Vector, x: Vector, p: Vector, factors: Table) -> None:
    """See when the clock rings at the present rate."""
    if s[at.WAITING] > 0.0:  # also when the next onset is out of sight at the present rate
        s[at.T_ONSET] = clock(s, x, p, factors, p[at.HORIZON], p[at.HORIZON_SURVIVAL])[0]


@njit(cache=True, error_model="numpy")
def load_now(s: Vector, x: Vector, p: Vector, t: float) -> float:
    """Realised log10 load in plasma of the running episode."""
    return realised(
        t,
        s[at.ONSET],
        p[at.V0],
        x[at.GROWTH],
        s[at.PEAK],
        s[at.PLATEAU_END],
        s[at.DECAY],
        s[at.KNOT_TIME],
        s[at.KNOT_VALUE],
        s[at.KNOT_SLOPE],
    )


@njit(cache=True, error_model="numpy")
def set_knot(s: Vector, p: Vector, t: float, value: float, slope: float) -> None:
    """Begin a new piece of the controlled course and see when the episode clears."""
    s[at.KNOT_TIME], s[at.KNOT_VALUE], s[at.KNOT_SLOPE] = t, value, slope
    s[at.T_CLEAR] = clearance(p[at.V0], s[at.PEAK], s[at.PLATEAU_END], s[at.DECAY], t, value, slope)
    s[at.KNOTS] += 1.0


@njit(cache=True, error_model="numpy")
def of_episode(p: Vector, episode: float) -> int:
    """Where the traits of an episode begin."""
    return int(p[at.FIRST_EPISODE]) + int(episode) * at.TRAITS_PER_EPISODE


@njit(cache=True, error_model="numpy")
def begin_episode(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """Start the next episode at t: set-point with its shifts, plateau, whether it ends by itself."""
    s[at.EPISODE] += 1.0
    s[at.ACTIVE], s[at.WAITING], s[at.ONSET], s[at.T_ONSET] = 1.0, 0.0, t, INF
    e = of_episode(p, s[at.EPISODE])
    set_point = x[e + at.E_SET_POINT]
    if x[at.LETERMOVIR_FROM] <= t < x[at.LETERMOVIR_TO]:
        set_point += x[at.LETERMOVIR_SHIFT]
    if x[at.STEROIDS_FROM] < t + max(set_point - p[at.V0], 0.0) / x[at.GROWTH]:
        set_point += p[at.SHIFT]
    odds = p[at.SELF_LOGIT] + p[at.SELF_SLOPE] * (set_point - p[at.SELF_CENTRE])
    s[at.PEAK] = max(set_point, p[at.V0])
    s[at.DECAY] = x[e + at.E_DECAY]
    s[at.PLATEAU_END] = INF
    if x[e + at.E_SELF] < 1.0 / (1.0 + math.exp(-odds)):
        s[at.PLATEAU_END] = t + (s[at.PEAK] - p[at.V0]) / x[at.GROWTH] + x[e + at.E_PLATEAU]
    s[at.KNOT_TIME] = INF
    s[at.T_CLEAR] = clearance(p[at.V0], s[at.PEAK], s[at.PLATEAU_END], s[at.DECAY], INF, 0.0, 0.0)
    s[at.REFRACTORY] = x[e + at.E_REFRACTORY]
    acts = s[at.DRUG] > 0.0 and not (s[at.REFRACTORY] > 0.0 and s[at.LINE] == 1.0)
    s[at.T_ACT] = t + p[at.LAG] if acts else INF


@njit(cache=True, error_model="numpy")
def end_episode(s: Vector, x: Vector, p: Vector, factors: Table, t: float) -> None:
    """Clear the episode at t and wait for the next on a fresh exponential."""
    s[at.ACTIVE], s[at.T_CLEAR], s[at.T_ACT], s[at.T_DISEASE], s[at.KNOT_TIME] = 0.0, INF, INF, INF, INF
    e = of_episode(p, s[at.EPISODE] + 1.0)
    if e < x.size:
        s[at.MARK] = t
        s[at.RESIDUAL] = x[e + at.E_CLOCK]
        # most clocks outlast the horizon, and an upper bound of the hazard to come tells so without walking the pieces
        left = not_yet(t, p[at.ORIGIN], p[at.SCALE], p[at.SHAPE]) - p[at.HORIZON_SURVIVAL]
        if x[at.BOUND] * left * (1.0 + 1e-9) + 1e-12 < s[at.RESIDUAL]:
            return
        s[at.WAITING] = 1.0
        go_on_waiting(s, x, p, factors)


@njit(cache=True, error_model="numpy")
def begin_spell(s: Vector, p: Vector, t: float, drug: int) -> None:
    """Give a drug from t on: when it would act on a running episode, and when its toxicity would end it."""
    s[at.DRUG], s[at.SPELL_SINCE] = drug, t
    s[at.LINE] += 1.0
    s[at.SPELL] += 1.0
    s[at.T_TOXICITY] = INF
    if drug in (at.VALGANCICLOVIR, at.GANCICLOVIR) and p[at.NEUTROPENIA_HAZARD] > 0.0:
        s[at.T_TOXICITY] = on_grid_from(t + s[at.NEUTROPENIA_LEFT] / p[at.NEUTROPENIA_HAZARD])
    elif drug == at.FOSCARNET and p[at.KIDNEY_HAZARD] > 0.0:
        s[at.T_TOXICITY] = on_grid_from(t + s[at.KIDNEY_LEFT] / p[at.KIDNEY_HAZARD])
    if s[at.ACTIVE] > 0.0:
        first = s[at.LINE] == 1.0
        falling = s[at.KNOT_TIME] < INF and s[at.KNOT_SLOPE] < 0.0
        if (first and s[at.REFRACTORY] == 0.0) or (not first and s[at.T_ACT] == INF and not falling):
            s[at.T_ACT] = t + p[at.LAG]


@njit(cache=True, error_model="numpy")
def end_spell(s: Vector, p: Vector, t: float) -> None:
    """Take what was spent on the drug off its clock of toxicity."""
    if s[at.DRUG] == at.FOSCARNET:
        s[at.KIDNEY_LEFT] = max(s[at.KIDNEY_LEFT] - p[at.KIDNEY_HAZARD] * (t - s[at.SPELL_SINCE]), 0.0)
    elif s[at.DRUG] != at.MARIBAVIR:
        s[at.NEUTROPENIA_LEFT] = max(s[at.NEUTROPENIA_LEFT] - p[at.NEUTROPENIA_HAZARD] * (t - s[at.SPELL_SINCE]), 0.0)
    s[at.T_TOXICITY] = INF


@njit(cache=True, error_model="numpy")
def first_drug(s: Vector, x: Vector, p: Vector, t: float) -> int:
    """The drug with which a treatment begins."""
    if s[at.NEUTROPENIA_AT] < INF or x[at.NEUTROPENIA_FROM] <= t < x[at.NEUTROPENIA_TO]:
        return at.FOSCARNET if s[at.KIDNEY_AT] == INF else at.MARIBAVIR
    u = x[of_episode(p, s[at.START_EPISODE]) + at.E_CHOICE]
    if u < p[at.VALGANCICLOVIR_BELOW]:
        return at.VALGANCICLOVIR
    if u < p[at.GANCICLOVIR_BELOW]:
        return at.GANCICLOVIR
    return at.FOSCARNET if s[at.KIDNEY_AT] == INF else at.VALGANCICLOVIR


@njit(cache=True, error_model="numpy")
def start_treatment(s: Vector, x: Vector, p: Vector, factors: Table, t: float) -> None:
    """Start pre-emptive therapy, which ends letermovir where the scenario says so."""
    pause_waiting(s, x, p, factors, t)
    if p[at.ENDS_LETERMOVIR] == 0.0:
        pass
    elif x[at.LETERMOVIR_FROM] >= t:
        x[at.LETERMOVIR_FROM] = x[at.LETERMOVIR_TO] = INF
    elif x[at.LETERMOVIR_TO] > t:
        x[at.LETERMOVIR_TO] = t
    s[at.SINCE], s[at.LINE], s[at.T_START], s[at.T_STOP] = t, 0.0, INF, t + p[at.MAX_DAYS]
    s[at.NEGATIVE_RUN], s[at.QUALIFYING_RUN] = 0.0, 0.0
    begin_spell(s, p, t, first_drug(s, x, p, t))
    go_on_waiting(s, x, p, factors)


@njit(cache=True, error_model="numpy")
def stop_treatment(s: Vector, x: Vector, p: Vector, factors: Table, t: float) -> None:
    """Stop pre-emptive therapy; a controlled episode that still replicates regrows or goes on falling."""
    pause_waiting(s, x, p, factors, t)
    end_spell(s, p, t)
    s[at.DRUG], s[at.T_STOP], s[at.T_ACT] = at.UNTREATED, INF, INF
    s[at.COURSE] += 1.0
    go_on_waiting(s, x, p, factors)
    falling = s[at.ACTIVE] > 0.0 and s[at.KNOT_TIME] < INF and s[at.KNOT_SLOPE] < 0.0
    if falling and x[of_episode(p, s[at.EPISODE]) + at.E_REGROWS] > 0.0:
        set_knot(s, p, t, load_now(s, x, p, t), x[at.GROWTH])


@njit(cache=True, error_model="numpy")
def toxicity(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """The drug's toxicity ends its use for good; another drug is given at once."""
    end_spell(s, p, t)
    if s[at.DRUG] == at.FOSCARNET:
        s[at.KIDNEY_AT] = t
        neutropenic = s[at.NEUTROPENIA_AT] < INF or x[at.NEUTROPENIA_FROM] <= t < x[at.NEUTROPENIA_TO]
        begin_spell(s, p, t, at.MARIBAVIR if neutropenic else at.VALGANCICLOVIR)
    else:
        s[at.NEUTROPENIA_AT] = t
        begin_spell(s, p, t, at.FOSCARNET if s[at.KIDNEY_AT] == INF else at.MARIBAVIR)


@njit(cache=True, error_model="numpy")
def second_line(s: Vector, p: Vector, t: float, value: float) -> None:
    """The load has not fallen: another drug."""
    if s[at.DRUG] == at.MARIBAVIR:
        return
    end_spell(s, p, t)
    s[at.REFERENCE] = value
    to_foscarnet = s[at.DRUG] != at.FOSCARNET and s[at.KIDNEY_AT] == INF
    begin_spell(s, p, t, at.FOSCARNET if to_foscarnet else at.MARIBAVIR)


@njit(cache=True, error_model="numpy")
def act(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """The drug begins to act on the running episode."""
    s[at.T_ACT] = INF
    set_knot(s, p, t, load_now(s, x, p, t), -x[of_episode(p, s[at.EPISODE]) + at.E_TREATED_DECAY])


@njit(cache=True, error_model="numpy")
def fall_ill(s: Vector, p: Vector, t: float) -> None:
    """First CMV disease; whoever is not treated yet will be."""
    s[at.DISEASE_AT], s[at.DISEASE_LEFT], s[at.T_DISEASE] = t, INF, INF
    if s[at.DRUG] == at.UNTREATED and s[at.T_START] == INF and s[at.COURSE] < p[at.COURSES]:
        s[at.T_START] = on_grid_from(t) + p[at.DELAY]
        s[at.REFERENCE], s[at.START_EPISODE] = INF, s[at.EPISODE]


@njit(cache=True, error_model="numpy")
def read_result(s: Vector, x: Vector, p: Vector, factors: Table, t: float, code: int, value: float, episode: int) -> None:
    """Act on a result that arrives at t: follow up, start, count negatives, switch, or stop."""
    if t > x[at.MONITORED_UNTIL]:
        return
    if code >= at.BELOW_LLOQ:
        s[at.FOLLOW_UP], s[at.FOLLOW_UP_RUN] = 1.0, 0.0
    elif s[at.FOLLOW_UP] > 0.0:
        s[at.FOLLOW_UP_RUN] += 1.0
        if s[at.FOLLOW_UP_RUN] >= 2.0:
            s[at.FOLLOW_UP] = 0.0
    if s[at.DRUG] > 0.0:
        s[at.NEGATIVE_RUN] = s[at.NEGATIVE_RUN] + 1.0 if code < at.QUANTIFIED else 0.0
        if s[at.NEGATIVE_RUN] >= p[at.NEGATIVES] and t - s[at.SINCE] >= p[at.MIN_DAYS]:
            stop_treatment(s, x, p, factors, t)
        elif code == at.QUANTIFIED and value >= s[at.REFERENCE] and t - s[at.SPELL_SINCE] >= p[at.REFRACTORY_AFTER]:
            second_line(s, p, t, value)
    elif s[at.T_START] == INF:
        qualifies = code == at.QUANTIFIED and value >= p[at.START_AT]
        if not qualifies or x[of_episode(p, episode) + at.E_ACCEPTED] == 0.0:
            s[at.QUALIFYING_RUN] = 0.0
            return
        s[at.QUALIFYING_RUN] += 1.0
        if s[at.QUALIFYING_RUN] > p[at.CONFIRMATIONS] and s[at.COURSE] < p[at.COURSES]:
            s[at.T_START], s[at.REFERENCE], s[at.START_EPISODE] = t + p[at.DELAY], value, episode


@njit(cache=True, error_model="numpy")
def pause_disease(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """Take off what was spent of the clock of disease so far, before the load or its factor changes."""
    if s[at.DISEASE_LEFT] < INF and s[at.ACTIVE] > 0.0:
        s[at.DISEASE_LEFT] = max(spend_disease(s, x, p, s[at.DISEASE_MARK], t, s[at.DISEASE_LEFT])[1], 0.0)


@njit(cache=True, error_model="numpy")
def see_disease(s: Vector, x: Vector, p: Vector, t: float) -> None:
    """See whether disease comes before the episode clears."""
    if s[at.DISEASE_LEFT] < INF and s[at.ACTIVE] > 0.0:
        s[at.DISEASE_MARK] = t
        s[at.T_DISEASE] = spend_disease(s, x, p, t, min(s[at.T_CLEAR], p[at.HORIZON]), s[at.DISEASE_LEFT])[0]


@njit(cache=True, error_model="numpy")
def take_event(s: Vector, x: Vector, p: Vector, factors: Table, t: float) -> None:
    """Take the first of the events at t that is no result."""
    if s[at.T_STOP] == t:
        pause_disease(s, x, p, t)
        stop_treatment(s, x, p, factors, t)
    elif s[at.T_TOXICITY] == t:
        toxicity(s, x, p, t)
        return
    elif s[at.T_START] == t:
        pause_disease(s, x, p, t)
        start_treatment(s, x, p, factors, t)
    elif s[at.T_ACT] == t:
        pause_disease(s, x, p, t)
        act(s, x, p, t)
    elif s[at.T_CLEAR] == t:
        pause_disease(s, x, p, t)
        end_episode(s, x, p, factors, t)
    elif s[at.T_DISEASE] == t:
        fall_ill(s, p, t)
        return
    else:
        begin_episode(s, x, p, t)
    see_disease(s, x, p, t)
