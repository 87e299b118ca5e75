"""Compiled loops: one textbook loop per estimator over replicates.

The only modules of the estimators that import numba. Each is imported by its caller at the moment of use; the
first call compiles (a few seconds) and stores the machine code beside the package, or in numba's user cache
where the source folder is read-only. No ``fastmath``: sums keep their order, so that the same patients give
the same bits.
"""

from numba import config

from cmvsim.core import kernel_cache

config.CACHE_DIR = kernel_cache.folder()  # type: ignore[attr-defined]  # set at run time
