"""Price lists: every item of the ledger priced or declared, each price where it comes from, mistakes named."""

from __future__ import annotations

import numpy as np
import pytest

from cmvsim.core.errors import InputError
from cmvsim.core.ledger import Item
from cmvsim.evidence import parameter
from cmvsim.valuation import price_list, price_lists, study_prices
from cmvsim.valuation.prices import PriceList, read_list

# from section 13 and 7 of the shared evidence, typed again
PUBLISHED = {
    Item.WARD_DAY: 1150.0,
    Item.ICU_DAY: 2200.0,
    Item.DAY_HOSPITAL: 550.0,
    Item.CONSULTATION: 55.0,
    Item.CMV_PCR: 150 * 0.25,
    Item.LETERMOVIR_DAY: 304.13,
    Item.VALGANCICLOVIR_DAY: 39.34,
    Item.GANCICLOVIR_DAY: 57.5,
    Item.FOSCARNET_DAY: 100.0,
}


def test_there_are_lists_and_the_default_is_one() -> None:
    from cmvsim.endpoints import AnalysisSpec

    assert AnalysisSpec(endpoints=("cost_of_illness",)).price_list in price_lists()
    assert {"france_2025", "france_2025_hospital"} <= set(price_lists())


@pytest.mark.parametrize("name", price_lists())
def test_every_item_has_a_price_or_says_why_it_has_none(name: str) -> None:
    prices = price_list(name)
    assert prices.unit_costs.shape == (len(Item),)
    assert prices.perspective
    assert prices.holds
    assert (prices.currency, prices.year) == ("EUR", 2025)
    for item in Item:
        cost = prices.unit_costs[item.code]
        assert (item in prices.evidence) != (item in prices.zeros), item
        if item in prices.zeros:
            assert cost == 0
            assert len(prices.zeros[item]) > 10
        else:
            assert cost > 0
            assert cost == parameter(prices.evidence[item]).centre
            assert prices.price_years[item] <= prices.year
    prices.require(range(len(Item)))


def test_the_published_prices() -> None:
    prices = price_list("france_2025")
    for item, price in PUBLISHED.items():
        assert prices.unit_costs[item.code] == pytest.approx(price), item
    assert not prices.zeros, "the health system pays everything"


def test_the_hospital_does_not_pay_the_pharmacy() -> None:
    hospital, all_care = price_list("france_2025_hospital"), price_list("france_2025")
    for item in (Item.VALGANCICLOVIR_DAY, Item.LETERMOVIR_DAY, Item.MARIBAVIR_DAY):
        assert hospital.unit_costs[item.code] == 0 < all_care.unit_costs[item.code]
    assert np.all(hospital.unit_costs <= all_care.unit_costs)


@pytest.mark.parametrize(
    ("name", "message"),
    [("france_2052", "did you mean 'france_2025'"), ("france_2025_insurer", "no tariff"), ("studi", "did you mean 'study'")],
)
def test_what_there_is_not(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        price_list(name)


def test_a_study_may_bring_its_own() -> None:
    costs = np.full(len(Item), np.nan)
    costs[Item.WARD_DAY.code] = 900.0
    prices = study_prices(costs, "CHF")
    assert (prices.name, prices.currency) == ("study", "CHF")
    prices.require([Item.WARD_DAY.code])
    with pytest.raises(InputError, match="no price of icu_day, cmv_pcr"):
        prices.require([Item.CMV_PCR.code, Item.ICU_DAY.code, Item.WARD_DAY.code])
    with pytest.raises(InputError, match=r"unit_costs\.csv"):
        study_prices(None, "EUR")


def _list(**change: object) -> PriceList:
    table = {"perspective": "p", "holds": "costs", "currency": "EUR", "year": 2025, "prices": {}}
    return read_list("mine", table | change)


def test_an_index_carries_a_price_to_the_year_of_the_list() -> None:
    prices = {"valganciclovir_day": {"price": "@price_valganciclovir_day", "year": 2018}}
    index = {"source": "somebody", "2018": 80.0, "2025": 100.0}
    carried = _list(prices=prices, index=index)
    assert carried.unit_costs[Item.VALGANCICLOVIR_DAY.code] == pytest.approx(39.34 * 1.25)
    assert carried.index == "somebody"
    assert np.isnan(carried.unit_costs[Item.WARD_DAY.code]), "no price is no zero"
    with pytest.raises(InputError, match="no year 2018"):
        _list(prices=prices, index={"source": "somebody", "2025": 100.0})


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        ({"ward_days": {"zero": "why"}}, "did you mean 'ward_day'"),
        ({"ward_day": {"price": "@steroid_or_1000_wb", "year": 2025}}, "no evidence of a cost"),
        ({"ward_day": {"price": "@price_ward_dy", "year": 2025}}, "price_ward_day"),
    ],
)
def test_mistakes_in_a_list_are_said(prices: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        _list(prices=prices)
