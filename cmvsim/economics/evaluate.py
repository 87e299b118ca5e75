"""Costs, quality-adjusted life-years and events of the same patients under each strategy.

One chunk at a time and pure: what a patient meets under two strategies differs by the strategies alone, as both meet the
same chance. Costs are the ledger's quantities times prices; quality-adjusted life-years integrate the expected index of
the quality-of-life law over the time alive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from cmvsim.core.ledger import Component, Item, Ledger
from cmvsim.core.records import BoolArray, FloatArray, IntArray
from cmvsim.economics.settings import EvaluationSettings
from cmvsim.economics.tail import tail_years
from cmvsim.models.prophylaxis import Prophylaxis
from cmvsim.models.quality_of_life import DAYS_PER_YEAR
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.paired import PatientCourse, simulate_paired
from cmvsim.simulation.quality_adjusted import IndexCurves, quality_adjusted_days

QUANTIFIED = 3
"""Code of a sample with a load at or above the limit of quantification."""
EVENTS = ("reactivation", "clinically_significant", "disease", "death", "drug_days", "received_drug")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What patients cost and gained; axes (strategies, ..., P).

    Attributes
    ----------
    strategies
        Names, the comparator first.
    cost
        (strategies, components, P) in the order of :class:`cmvsim.core.ledger.Component`, discounted.
    quantity
        (strategies, items, P) in the order of :class:`cmvsim.core.ledger.Item`: what is charged, so that quantities times
        prices are the cost (of letermovir by packs: days taken, of which the packs are counted).
    qaly, life_years
        (strategies, P), discounted past one year, the tail included where it is asked for.
    tail_qaly
        (strategies, P) of that, what lies beyond the horizon.
    stratum
        (P,).
    events
        By name, (strategies, P): `reactivation` (a quantified sample after infusion), `clinically_significant`,
        `disease`, `death` (0 or 1, by the horizon), `drug_days` of letermovir, `received_drug`.
    """

    strategies: tuple[str, ...]
    cost: FloatArray
    quantity: FloatArray
    qaly: FloatArray
    life_years: FloatArray
    tail_qaly: FloatArray
    stratum: IntArray
    events: Mapping[str, FloatArray]

    @property
    def patients(self) -> int:
        """P."""
        return self.stratum.size

    @property
    def total(self) -> FloatArray:
        """(strategies, P) cost of all components."""
        total: FloatArray = self.cost.sum(axis=1)
        return total

    def first(self, patients: int) -> Outcomes:
        """The first patients: a smaller cohort is the beginning of a larger one."""
        return self._taken(slice(0, patients))

    def of_stratum(self, stratum: int) -> Outcomes:
        """Patients of one stratum."""
        return self._taken(np.flatnonzero(self.stratum == stratum))

    def of_patients(self, who: IntArray) -> Outcomes:
        """Some patients, by their index."""
        return self._taken(who)

    def _taken(self, who: slice | IntArray) -> Outcomes:
        arrays = {name: getattr(self, name)[..., who] for name in ("cost", "quantity", "qaly", "life_years", "tail_qaly")}
        events = {name: values[..., who] for name, values in self.events.items()}
        return replace(self, **arrays, stratum=self.stratum[who], events=MappingProxyType(events))


def evaluate(model: Model, draws: ChunkDraws, settings: EvaluationSettings, *, cmv: bool = True) -> Outcomes:
    """Simulate and value one chunk of patients under every strategy.

    Parameters
    ----------
    model
        With quality of life on the latent scale.
    draws
        The chunk's chance, shared by all strategies.
    cmv
        False: the counterfactual in which nobody's CMV replicates.

    Raises
    ------
    KeyError
        If the model has no such strategy.
    ValueError
        If quality of life was not converted, or a drug's effect not solved.
    """
    if model.latent_health is None:
        raise ValueError("quality of life was not converted to the latent scale")
    curves = IndexCurves.of(model.quality_of_life, model.latent_health, settings.adult, settings.youth)
    first: PatientCourse | None = None
    parts: list[Outcomes] = []
    for place, (_, patients) in enumerate(simulate_paired(model, draws, settings.strategies, cmv=cmv)):
        again = patients is first  # a strategy without a drug is the comparator itself
        parts.append(parts[0] if again else _valued(model, draws, settings, curves, place, patients))
        first = first or patients
    return _stacked(settings.strategies, parts)


def _valued(
    model: Model, draws: ChunkDraws, settings: EvaluationSettings, curves: IndexCurves, place: int, patients: PatientCourse
) -> Outcomes:
    """One strategy, with an axis of its own."""
    after, population = patients.after, patients.background.population
    ledger = after.ledger
    assert ledger is not None
    assert model.latent_health is not None
    until = np.minimum(after.death, model.horizon)
    lived = np.maximum(until, 0.0)
    states = patients.health
    adjusted = quality_adjusted_days(model.quality_of_life, model.latent_health, population, states, lived, draws, curves)
    charged = ledger if settings.tested_on_drug else _without_tests_on_drug(ledger, after.prophylaxis)
    quantity = quantities(charged)
    cost = priced(charged, settings.unit_costs[place])
    if settings.pack_days:
        packs = np.ceil(quantity[Item.LETERMOVIR_DAY.code] / settings.pack_days) * settings.pack_days
        cost[Component.PROPHYLAXIS.code] = packs * settings.unit_costs[place, Item.LETERMOVIR_DAY.code]
    years, qalys = lived / DAYS_PER_YEAR, adjusted / DAYS_PER_YEAR
    beyond = np.zeros(years.shape)
    if settings.tail is not None:
        relapsed = states.relapse <= model.horizon
        alive = after.death > model.horizon
        more, beyond = tail_years(settings, model, population.stratum, relapsed, alive)
        years, qalys = years + more, qalys + beyond
    return Outcomes(
        (settings.strategies[place],),
        cost[None],
        quantity[None],
        qalys[None],
        years[None],
        beyond[None],
        np.asarray(population.stratum, dtype=np.int64),
        MappingProxyType({name: values[None] for name, values in _events(patients, until, quantity).items()}),
    )


def quantities(ledger: Ledger) -> FloatArray:
    """(items, P) totals of the ledger over all components."""
    cell = ledger.item.astype(np.int64) * ledger.patients + ledger.patient
    flat = np.bincount(cell, weights=ledger.quantity, minlength=len(Item) * ledger.patients)
    return flat.astype(np.float64, copy=False).reshape(len(Item), ledger.patients)


def priced(ledger: Ledger, unit_costs: FloatArray) -> FloatArray:
    """(components, P) cost of the ledger at unit costs (items,)."""
    cell = ledger.component.astype(np.int64) * ledger.patients + ledger.patient
    weights = ledger.quantity * unit_costs[ledger.item]
    flat = np.bincount(cell, weights=weights, minlength=len(Component) * ledger.patients)
    return flat.astype(np.float64, copy=False).reshape(len(Component), ledger.patients)


def _without_tests_on_drug(ledger: Ledger, taken: Prophylaxis | None) -> Ledger:
    """The ledger without planned tests that fall on days of letermovir."""
    if taken is None:
        return ledger
    on_drug = (ledger.start >= taken.start[ledger.patient]) & (ledger.start < taken.stop[ledger.patient])
    planned = (ledger.item == Item.CMV_PCR.code) & (ledger.component == Component.SURVEILLANCE_PLANNED.code)
    keep = np.flatnonzero(~(planned & on_drug))
    rows = {name: getattr(ledger, name)[keep] for name in ("patient", "start", "stop", "rate", "item", "component")}
    return Ledger(ledger.patients, **rows)


def clinical_events(patients: PatientCourse, until: FloatArray) -> dict[str, BoolArray]:
    """Events (P,) after infusion and by a time of each patient."""
    course, samples = patients.course, patients.course.samples
    seen = (samples.code == QUANTIFIED) & (samples.time > 0) & (samples.time <= until)
    start = np.where(course.start > 0, course.start, np.inf)
    treated = start.min(axis=0) <= until
    disease = (course.disease > 0) & (course.disease <= until)
    return {
        "reactivation": seen.any(axis=0),
        "clinically_significant": treated | disease,
        "disease": disease,
        "death": patients.after.death <= until,
    }


def _events(patients: PatientCourse, until: FloatArray, quantity: FloatArray) -> dict[str, FloatArray]:
    """0 or 1 by the earlier of death and horizon, and drug-days."""
    days = quantity[Item.LETERMOVIR_DAY.code]
    found = {**clinical_events(patients, until), "drug_days": days, "received_drug": days > 0}
    return {name: values.astype(np.float64) for name, values in found.items()}


def _stacked(strategies: tuple[str, ...], parts: Sequence[Outcomes]) -> Outcomes:
    def stack(name: str) -> FloatArray:
        return np.concatenate([getattr(part, name) for part in parts])

    return Outcomes(
        strategies,
        stack("cost"),
        stack("quantity"),
        stack("qaly"),
        stack("life_years"),
        stack("tail_qaly"),
        parts[0].stratum,
        MappingProxyType({name: np.concatenate([part.events[name] for part in parts]) for name in EVENTS}),
    )


def joined(chunks: Sequence[Outcomes]) -> Outcomes:
    """Chunks of patients as one cohort."""
    if len(chunks) == 1:
        return chunks[0]

    def join(name: str) -> FloatArray:
        return np.concatenate([getattr(chunk, name) for chunk in chunks], axis=-1)

    return Outcomes(
        chunks[0].strategies,
        join("cost"),
        join("quantity"),
        join("qaly"),
        join("life_years"),
        join("tail_qaly"),
        np.concatenate([chunk.stratum for chunk in chunks]),
        MappingProxyType({name: np.concatenate([chunk.events[name] for chunk in chunks], axis=-1) for name in EVENTS}),
    )
