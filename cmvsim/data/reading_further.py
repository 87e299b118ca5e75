"""Tables -> Study: the tables of what a study may measure beside CMV."""

from __future__ import annotations

import numpy as np
import pandas as pd

from cmvsim.core.ledger import Item
from cmvsim.core.records import FloatArray
from cmvsim.data.parsing import Values
from cmvsim.data.placing import PatientIndex, slots, spread
from cmvsim.data.schema import DIMENSIONS, LAST_DAY, UNITS, VIRUSES
from cmvsim.data.study import (
    CellSamples,
    Change,
    Questionnaire,
    Questionnaires,
    Resources,
    Result,
    Sequencing,
    Stays,
    VirusSamples,
)


def _when(values: Values) -> FloatArray:
    """Day on which a row stands among its patient's: the actual one, or the planned one where it was missed."""
    nominal, day = values.numbers["nominal_day"], values.numbers["day"]
    return np.where(np.isnan(day), nominal, day)


def virome(values: Values, index: PatientIndex, patients: int) -> dict[str, VirusSamples]:
    """Samples of the viruses that have rows."""
    all_patients, kind, when = index(values), values.numbers["virus"], _when(values)
    found: dict[str, VirusSamples] = {}
    for code, name in enumerate(VIRUSES):
        rows = np.flatnonzero(kind == code)
        if not rows.size:
            continue
        patient = all_patients[rows]
        slot = slots(patient, np.lexsort((when[rows], patient)))
        columns = {
            column: spread(values.numbers[column][rows], patient, slot, patients)
            for column in ("nominal_day", "day", "load_log10")
        }
        result = spread(values.numbers["result"][rows], patient, slot, patients, Result.NONE)
        found[name] = VirusSamples(columns["nominal_day"], columns["day"], result.astype(np.int8), columns["load_log10"])
    return found


def car_t(values: Values, index: PatientIndex, subjects: Values) -> CellSamples:
    """CAR-T cells, with the unit and limit of each product in the order of the labels of ``product``."""
    patient, patients = index(values), subjects.rows.size
    slot = slots(patient, np.lexsort((_when(values), patient)))

    def placed(column: str) -> FloatArray:
        return spread(values.numbers[column], patient, slot, patients)

    product = subjects.texts["product"][patient]
    units, limits = [], []
    for label in pd.unique(subjects.texts["product"][subjects.texts["product"] != ""]):
        mine = product == label
        unit = values.texts["unit"][mine]
        lloq = values.numbers["lloq"][mine]
        units.append(str(next(iter(unit[unit != ""]), "")))
        limits.append(float(next(iter(lloq[~np.isnan(lloq)]), np.nan)))
    result = spread(values.numbers["result"], patient, slot, patients, Result.NONE).astype(np.int8)
    return CellSamples(placed("nominal_day"), placed("day"), result, placed("level"), tuple(units), tuple(limits))


def sequencing(values: Values, index: PatientIndex, patients: int) -> Sequencing:
    """Samples sent for sequencing, genes in alphabetical order."""
    genes = tuple(sorted(set(values.texts["gene"])))
    patient, day = index(values), values.numbers["day"]
    gene = np.array([genes.index(name) for name in values.texts["gene"]], dtype=np.int64)
    span = 2 * LAST_DAY + 1
    keys, sample = np.unique(patient * span + day.astype(np.int64) + LAST_DAY, return_inverse=True)
    slot = slots(keys // span, np.arange(keys.size))
    days = spread((keys % span - LAST_DAY).astype(np.float64), keys // span, slot, patients)
    change = np.full((*days.shape, len(genes)), Change.NONE, dtype=np.int8)
    showed = np.where(values.numbers["result"] == 0, float(Change.FAILED), values.numbers["change"] + Change.NO_CHANGE)
    change[0, patient, slot[sample], gene] = showed
    return Sequencing(days, genes, change)


def questionnaires(values: Values, index: PatientIndex, patients: int) -> Questionnaires:
    """EQ-5D questionnaires that were due."""
    patient = index(values)
    slot = slots(patient, np.lexsort((_when(values), patient)))

    def placed(column: str, padding: float = np.nan) -> FloatArray:
        return spread(values.numbers[column], patient, slot, patients, padding)

    levels = np.stack([np.nan_to_num(placed(dimension)) for dimension in DIMENSIONS], axis=-1)
    instrument = spread(values.numbers["instrument"] + 1, patient, slot, patients, Questionnaire.NONE)
    return Questionnaires(
        nominal=placed("nominal_day"),
        day=placed("day"),
        instrument=instrument.astype(np.int8),
        proxy=placed("proxy", 0.0) > 0,
        levels=levels.astype(np.int8),
        vas=placed("vas"),
    )


def stays(values: Values, index: PatientIndex, patients: int) -> Stays:
    """Stays in hospital and in intensive care."""
    patient, start, unit = index(values), values.numbers["start_day"], values.numbers["unit"]
    slot = slots(patient, np.lexsort((unit, start, patient)))
    icu = spread(unit, patient, slot, patients, 0.0) == UNITS.index("icu")
    stop = spread(values.numbers["stop_day"], patient, slot, patients)
    return Stays(spread(start, patient, slot, patients), stop, icu)


def resources(values: Values, costs: Values | None, index: PatientIndex) -> Resources:
    """Resource use, with the study's own unit costs if it brings any."""
    unit_costs, currency, year = None, "EUR", None
    if costs is not None:
        unit_costs = np.full(len(Item), np.nan)
        unit_costs[costs.numbers["item"].astype(np.intp)] = costs.numbers["unit_cost"]
        currency = str(next(iter(costs.texts["currency"]), currency))
        said = costs.numbers["year"][~np.isnan(costs.numbers["year"])] if costs.has("year") else np.empty(0)
        year = int(said[0]) if said.size else None
    return Resources(
        row=index(values),
        item=values.numbers["item"].astype(np.int8),
        component=values.numbers["component"].astype(np.int8),
        first=values.numbers["first_day"],
        last=values.numbers["last_day"],
        quantity=values.numbers["quantity"],
        unit_costs=unit_costs,
        currency=currency,
        year=year,
    )
