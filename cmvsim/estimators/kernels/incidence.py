"""Aalen-Johansen sweep over sorted keys: cumulative incidence, its variance and the counts at the horizon."""

from __future__ import annotations

from numba import njit

from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.estimators.kernels.packing import (
    CENSORED,
    COMPETING,
    OF_INTEREST,
    effective_size,
    tally_times,
)


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_incidence(
    keys: IntArray,
    entered: IntArray,
    sizes: IntArray,
    first_size: IntArray,
    tally: IntArray,
    aalen: bool,
    estimate: FloatArray,
    variance: FloatArray,
    events: IntArray,
    certain: BoolArray,
    effective: FloatArray,
) -> None:
    """Fill the outputs, shape (replicates, sizes).

    F is the incidence, S the event-free probability. At each event time the covariance of (F, S) first passes
    through the transition F += S a1, S *= 1 - a1 - a2 and then receives the new noise: cmprsk's with its tie
    form if `aalen`, else multinomial (Greenwood type). For F this equals the closed sum over event times of
    s1 (1 - c)² + s2 c² with c = (F(h) - F(t)) / S(t), in one pass.

    `certain` marks S = 0 by events of interest alone (estimate exactly 1); `effective` is filled where the
    estimate is 0 or 1.
    """
    for r in range(keys.shape[0]):
        n_times = tally_times(keys[r], first_size, tally)
        for j in range(sizes.size):
            Y = float(entered[r, j])
            F = 0.0
            S = 1.0
            v_ff = 0.0
            v_fs = 0.0
            v_ss = 0.0
            of_interest = 0
            competing = 0
            for g in range(n_times):
                d1 = tally[g, j, OF_INTEREST]
                d2 = tally[g, j, COMPETING]
                of_interest += d1
                competing += d2
                Y = max(Y, 1.0)  # nobody at risk: nobody leaves either, and 0 / 1 keeps everything as it is
                a1 = d1 / Y
                a2 = d2 / Y
                q = (Y - d1 - d2) / Y
                n1 = S * S * a1 / Y
                n2 = S * S * a2 / Y
                n12 = 0.0
                if aalen:
                    if d1 > 1:
                        n1 *= 1.0 - (d1 - 1.0) / (Y - 1.0)
                    if d2 > 1:
                        n2 *= 1.0 - (d2 - 1.0) / (Y - 1.0)
                else:
                    n12 = -n1 * a2
                    n1 *= 1.0 - a1
                    n2 *= 1.0 - a2
                v_ff += a1 * (2.0 * v_fs + a1 * v_ss) + n1
                v_fs = q * (v_fs + a1 * v_ss) - n1 - n12
                v_ss = q * q * v_ss + n1 + n2 + 2.0 * n12
                F += S * a1
                S *= q
                Y -= d1 + d2 + tally[g, j, CENSORED]
            estimate[r, j] = F
            variance[r, j] = max(v_ff, 0.0)
            events[r, j] = of_interest
            certain[r, j] = S == 0.0 and competing == 0
            if of_interest == 0 or certain[r, j]:
                effective[r, j] = effective_size(keys[r], sizes[j], entered[r, j])
        tally[:n_times] = 0
