"""Compiled loops: one textbook loop per estimator over replicates.

The only modules of the estimators that import numba. Each is imported by its caller at the moment of use; the
first call compiles (seconds to a minute for all) and stores the machine code beside the package, or in numba's user cache
where the source folder is read-only. No ``fastmath``: sums keep their order, so that the same patients give
the same bits.
"""

from cmvsim.estimators.kernels.machine_code import keep_apart

keep_apart()
