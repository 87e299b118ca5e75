"""Hot loops of the cohort engine (numba). Scalars and one-dimensional arrays only: passing records is slow."""
