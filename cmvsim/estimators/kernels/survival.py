"""Kaplan-Meier sweep over sorted keys: survival, Greenwood's variance and the counts at the horizon."""

from __future__ import annotations

from numba import njit

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.estimators.kernels.packing import (
    CENSORED,
    COMPETING,
    OF_INTEREST,
    effective_size,
    tally_times,
)


@njit(cache=True, nogil=True, error_model="numpy")
def sweep_survival(
    keys: IntArray,
    entered: IntArray,
    sizes: IntArray,
    first_size: IntArray,
    tally: IntArray,
    estimate: FloatArray,
    variance: FloatArray,
    events: IntArray,
    effective: FloatArray,
) -> None:
    """Fill the outputs, shape (replicates, sizes): S and S² times Greenwood's sum of d / (Y (Y - d)).

    Where S is 0 the sum is infinite and the product's limit, 0, is returned. `effective` is filled where S is
    0 or 1.
    """
    for r in range(keys.shape[0]):
        n_times = tally_times(keys[r], first_size, tally)
        for j in range(sizes.size):
            Y = float(entered[r, j])
            S = 1.0
            greenwood = 0.0
            died = 0
            for g in range(n_times):
                d = tally[g, j, OF_INTEREST] + tally[g, j, COMPETING]
                died += d
                Y = max(Y, 1.0)  # nobody at risk: nobody leaves either, and 0 / 1 keeps everything as it is
                S *= (Y - d) / Y
                if d < Y:
                    greenwood += d / (Y * (Y - d))
                Y -= d + tally[g, j, CENSORED]
            estimate[r, j] = S
            variance[r, j] = S * S * greenwood
            events[r, j] = died
            if died == 0 or S == 0.0:
                effective[r, j] = effective_size(keys[r], sizes[j], entered[r, j])
        tally[:n_times] = 0
