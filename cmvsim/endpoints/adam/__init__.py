"""Derived datasets in the manner of CDISC ADaM."""

from cmvsim.endpoints.adam.datasets import adam_datasets
from cmvsim.endpoints.adam.sheet import Sheet

__all__ = ["Sheet", "adam_datasets"]
