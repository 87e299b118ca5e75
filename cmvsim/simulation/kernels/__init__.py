"""Hot loops of the cohort engine (numba). Scalars and one-dimensional arrays only: passing records is slow."""

from numba import config

from cmvsim.core import kernel_cache

config.CACHE_DIR = kernel_cache.folder()  # type: ignore[attr-defined]  # set at run time
