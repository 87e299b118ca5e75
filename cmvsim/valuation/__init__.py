"""Valuation: from answers to utility (EQ-5D value sets)."""

from cmvsim.valuation.eq5d import DIMENSIONS, ValueSet, levels_of, value_set, value_sets

__all__ = ["DIMENSIONS", "ValueSet", "levels_of", "value_set", "value_sets"]
