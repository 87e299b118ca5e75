"""Valuation: from answers to utility (EQ-5D value sets), and from quantities to money (price lists)."""

from cmvsim.valuation.eq5d import DIMENSIONS, ValueSet, levels_of, value_set, value_sets
from cmvsim.valuation.prices import PriceList, price_list, price_lists, study_prices

__all__ = [
    "DIMENSIONS",
    "PriceList",
    "ValueSet",
    "levels_of",
    "price_list",
    "price_lists",
    "study_prices",
    "value_set",
    "value_sets",
]
