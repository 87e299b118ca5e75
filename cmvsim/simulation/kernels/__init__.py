"""Hot loops of the cohort engine (numba). Scalars and one-dimensional arrays only: passing records is slow."""

from cmvsim.estimators.kernels.machine_code import keep_apart

keep_apart()
