"""Pieces of sentences that the sections of an explanation share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cmvsim.core.value import Between, Value
from cmvsim.models.population import Disease
from cmvsim.scenarios.scenario import Scenario
from cmvsim.scenarios.words import interval, quantity


@dataclass(frozen=True, slots=True)
class Section:
    """A section: what everybody reads, and what is added when everything is asked for; empty sentences fall out."""

    name: str
    brief: Sequence[str]
    more: Sequence[str] = field(default=())

    def text(self, show_all: bool) -> str:
        """The sentences as one paragraph."""
        return " ".join(sentence for sentence in (*self.brief, *(self.more if show_all else ())) if sentence)


def joined(parts: Sequence[str], comma: str = ",") -> str:
    """Write a list: ``a, b and c``."""
    return f"{comma} ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1] if parts else ""


def sentence(text: str) -> str:
    """Capital first letter and full stop; nothing where there is nothing."""
    return f"{text[0].upper()}{text[1:]}." if text else ""


def ratio(value: Value, more: str = "") -> str:
    """Write a ratio with what is not known of it, and more, in brackets."""
    inside = "; ".join(part for part in (interval(value).strip(" ()"), more) if part)
    return f"{float(value):.3g} ({inside})" if inside else f"{float(value):.3g}"


def acting(ratios: Iterable[tuple[str, Value, str]]) -> tuple[list[str], list[str]]:
    """What multiplies a rate, in words, and the names of what does not (a ratio of 1).

    Parameters
    ----------
    ratios
        Name, ratio, and what to add in brackets.
    """
    found, idle = [], []
    for name, value, more in ratios:
        if float(value) == 1:
            idle.append(name)
        else:
            found.append(f"{name} × {ratio(value, more)}")
    return found, idle


def by_stratum(spec: Scenario, trait: str) -> float:
    """Share of patients with a trait that strata state."""
    return sum(float(s.share) * float(getattr(s, trait)) for s in spec.population.strata.values())


def over_cells(spec: Scenario, table: Mapping[Disease, Mapping[str, Value]]) -> float:
    """Mean over patients of a table by disease and product."""
    return sum(share * float(table[disease][product]) for (disease, product), share in cells(spec).items())


def cells(spec: Scenario) -> dict[tuple[Disease, str], float]:
    """Pairs of disease and product that anybody has, with their shares of patients; the most frequent first."""
    shares: dict[tuple[Disease, str], float] = {}
    for stratum in spec.population.strata.values():
        for product, share in stratum.products.items():
            cell = (stratum.disease, product)
            shares[cell] = shares.get(cell, 0.0) + float(stratum.share) * float(share)
    return dict(sorted(((cell, share) for cell, share in shares.items() if share > 0), key=lambda item: -item[1]))


def spread(values: Iterable[float], form: str = ".3g") -> str:
    """Write the range of some figures: one figure where they are alike."""
    known = sorted(values)
    low, high = f"{known[0]:{form}}", f"{known[-1]:{form}}"
    return low if low == high else f"{low} to {high}"


def about(law: Between, unit: str) -> str:
    """Write the centre of a quantity that differs between patients: ``8 days``."""
    return quantity(float(f"{float(law.of_normal(np.zeros(1))[0]):.2g}"), unit)
