"""Price lists: unit costs by item of the ledger, each citing the evidence.

A list has a perspective, a currency and a year, and says whether it holds costs or tariffs. Its prices are those of
``prices.toml``, whose numbers live in the evidence catalogue; an item that costs nothing in a perspective says why.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np

from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.ledger import Item
from cmvsim.core.records import FloatArray
from cmvsim.evidence import parameter

UNITS = ("EUR", "EUR per day")
"""Of the evidence that a price may cite."""


@dataclass(frozen=True, eq=False, slots=True)
class PriceList:
    """Unit costs of one perspective.

    Attributes
    ----------
    name
        By which it is asked for.
    perspective, holds
        Who pays, and whether the numbers are costs or tariffs.
    currency, year
        Of the prices.
    unit_costs
        (items,) by the code of :class:`cmvsim.core.ledger.Item`; NaN where there is no price.
    evidence
        Id of the evidence of each priced item.
    zeros
        Why an item costs nothing.
    index
        Source of the index that carried the prices to the year; empty where none did.
    price_years
        Year of each price as it was found.
    """

    name: str
    perspective: str
    holds: str
    currency: str
    year: int
    unit_costs: FloatArray
    evidence: Mapping[Item, str] = field(default_factory=dict)
    zeros: Mapping[Item, str] = field(default_factory=dict)
    index: str = ""
    price_years: Mapping[Item, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.unit_costs.shape != (len(Item),):
            raise ValueError(f"{self.name}: {len(Item)} items, not {self.unit_costs.shape}")
        self.unit_costs.setflags(write=False)

    def require(self, codes: Iterable[int], where: str = "analysis") -> None:
        """Whether all these items have a price.

        Raises
        ------
        InputError
            Naming those that have none.
        """
        items = tuple(Item)
        without = [items[code].value for code in sorted(set(codes)) if np.isnan(self.unit_costs[code])]
        if without:
            raise InputError(
                Problem(
                    f"price list '{self.name}' has no price of {', '.join(without)}",
                    where,
                    "price_list",
                    "a list that prices them, be it at 0",
                )
            )


@cache
def _tables() -> Mapping[str, Mapping[str, Any]]:
    text = resources.files("cmvsim.valuation").joinpath("prices.toml").read_text(encoding="utf-8")
    return MappingProxyType(tomllib.loads(text))


def price_lists() -> tuple[str, ...]:
    """Names of the lists that there are."""
    return tuple(name for name, table in _tables().items() if "unavailable" not in table)


@cache
def price_list(name: str) -> PriceList:
    """Look a price list up.

    Raises
    ------
    InputError
        If there is none of that name, or its prices are not known.
    """
    tables = _tables()
    if name not in tables:
        raise InputError(
            Problem(f"there is no price list '{name}'", "analysis", "price_list", did_you_mean(name, (*price_lists(), "study")))
        )
    if "unavailable" in tables[name]:
        raise InputError(
            Problem(
                f"price list '{name}': {tables[name]['unavailable']}",
                "analysis",
                "price_list",
                f'{", ".join(price_lists())}, or "study" with its own unit costs',
            )
        )
    return read_list(name, tables[name])


def study_prices(unit_costs: FloatArray | None, currency: str) -> PriceList:
    """The list of a study that brings its own unit costs.

    Raises
    ------
    InputError
        If it brings none.
    """
    if unit_costs is None:
        raise InputError(
            Problem(
                'price_list = "study", but the study has no unit costs',
                "analysis",
                "price_list",
                f"a table unit_costs.csv, or one of {', '.join(price_lists())}",
            )
        )
    costs = np.array(unit_costs, dtype=np.float64)
    return PriceList("study", "as the study says", "as the study says", currency, 0, costs)


def read_list(name: str, table: Mapping[str, Any]) -> PriceList:
    """Build a list from its table of ``prices.toml``.

    Raises
    ------
    InputError
        If an item does not exist, a price cites no evidence of a cost, or the index lacks a year.
    """
    costs = np.full(len(Item), np.nan)
    evidence: dict[Item, str] = {}
    zeros: dict[Item, str] = {}
    years: dict[Item, int] = {}
    index = table.get("index", {})
    for key, entry in table["prices"].items():
        if key not in set(Item):
            raise InputError(
                Problem(f"there is no item '{key}'", name, allowed=did_you_mean(key, [item.value for item in Item]))
            )
        item = Item(key)
        if "zero" in entry:
            costs[item.code], zeros[item] = 0.0, entry["zero"]
            continue
        cited = parameter(entry["price"].removeprefix("@"))
        if not entry["price"].startswith("@") or cited.unit not in UNITS:
            raise InputError(Problem(f"{key}: {entry['price']} is no evidence of a cost", name, allowed=", ".join(UNITS)))
        costs[item.code] = cited.centre * _carried(name, index, entry["year"], table["year"])
        evidence[item], years[item] = cited.id, entry["year"]
    words = {key: table[key] for key in ("perspective", "holds", "currency", "year")}
    return PriceList(
        name=name,
        unit_costs=costs,
        evidence=MappingProxyType(evidence),
        zeros=MappingProxyType(zeros),
        index=index.get("source", ""),
        price_years=MappingProxyType(years),
        **words,
    )


def _carried(name: str, index: Mapping[str, Any], year: int, to: int) -> float:
    """Factor from the year of a price to that of the list; 1 without an index."""
    if not index:
        return 1.0
    for needed in (year, to):
        if str(needed) not in index:
            raise InputError(Problem(f"the price index has no year {needed}", name))
    return float(index[str(to)]) / float(index[str(year)])
