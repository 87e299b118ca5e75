"""Words that a patient's story is made of: days, spans, loads, lists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Tree = Mapping[str, Any]
MATRIX = {"plasma": "plasma", "whole_blood": "whole blood"}
PRODUCTS = {
    "axicabtagene": "axicabtagene ciloleucel",
    "brexucabtagene": "brexucabtagene autoleucel",
    "tisagenlecleucel": "tisagenlecleucel",
}
VIRUSES = {"anellovirus": "torque teno virus", "pegivirus": "human pegivirus", "redondovirus": "redondovirus"}


def day(time: float) -> str:
    """The study day that contains a time."""
    return f"day {math.ceil(time)}"


def span(window: Tree, died: str = "death", horizon: str = "the end of the simulation") -> str:
    """From one day to another, or to what cut it."""
    first = math.ceil(window["start"])
    if window["until"] != "over":
        return f"from day {first} until {died if window['until'] == 'death' else horizon}"
    last = math.ceil(window["stop"])
    return f"on day {first}" if last <= first else f"from day {first} to day {last}"


def many(number: int, one: str, several: str = "") -> str:
    """``1 sample``, ``3 samples``."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def lasting(days: float) -> str:
    """A length in whole days."""
    return "less than a day" if days < 0.5 else many(round(days), "day")


def three_digits(value: float) -> str:
    """Three significant digits, thousands apart: ``45,200``."""
    return f"{float(f'{value:.3g}'):,.10g}"


def amount(load: float) -> str:
    """A load as the laboratory reports it."""
    return f"{three_digits(load)} IU/mL"


def true_amount(log10: float) -> str:
    """A true load, at two digits."""
    value = float(f"{10**log10:.2g}")
    return f"{value:,.10g} IU/mL" if value >= 1 else "below 1 IU/mL"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}" if parts else ""


def sentence(text: str) -> str:
    """Begins with a capital, ends with a full stop."""
    return text[:1].upper() + text[1:].removesuffix(".") + "."


def ordinal(number: int) -> str:
    """``first``, ``second``, ..."""
    words = ("first", "second", "third", "fourth", "fifth", "sixth")
    return words[number - 1] if number <= len(words) else f"{number}th"
