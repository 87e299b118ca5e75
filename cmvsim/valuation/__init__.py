"""Valuation: answers to utility (EQ-5D value sets), quantities to money (price lists), then to now (discounting)."""

from cmvsim.valuation.discounting import UNDISCOUNTED, Discounting, discounting, discounting_rules
from cmvsim.valuation.eq5d import DIMENSIONS, ValueSet, levels_of, value_set, value_sets
from cmvsim.valuation.prices import PriceList, price_list, price_lists, study_prices

__all__ = [
    "DIMENSIONS",
    "UNDISCOUNTED",
    "Discounting",
    "PriceList",
    "ValueSet",
    "discounting",
    "discounting_rules",
    "levels_of",
    "price_list",
    "price_lists",
    "study_prices",
    "value_set",
    "value_sets",
]
