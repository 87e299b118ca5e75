"""Study -> tables: the tables of what a study may measure beside CMV."""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.data.cell_texts import Columns, coded, days, known, names, numbers
from cmvsim.data.cells import ObjectArray, number_text
from cmvsim.data.schema import (
    CHANGES,
    DIMENSIONS,
    GENE_RESULTS,
    INSTRUMENTS,
    ITEMS,
    NO_YES,
    RESULTS,
    UNITS,
    VIRUSES,
)
from cmvsim.data.study import (
    COMPONENTS,
    CellSamples,
    Change,
    Questionnaires,
    Resources,
    Result,
    Sequencing,
    Stays,
    Study,
    VirusSamples,
)


def further(study: Study, replicate: int, patients: ObjectArray) -> dict[str, Columns]:
    """Texts of the tables that this study has, by table."""
    end = study.disposition.end[replicate]
    tables: dict[str, Columns] = {}
    if study.virome:
        tables["virome"] = _virome(study, replicate, patients, end)
    if study.car_t is not None:
        tables["car_t"] = _car_t(study, study.car_t, replicate, patients)
    if study.sequencing is not None:
        tables["sequencing"] = _sequencing(study.sequencing, replicate, patients)
    if study.questionnaires is not None:
        tables["questionnaires"] = _questionnaires(study.questionnaires, replicate, patients)
    if study.stays is not None:
        tables["stays"] = _stays(study.stays, replicate, patients)
    if study.resources is not None:
        tables["resources"] = _resources(study, study.resources, replicate, patients)
        if study.resources.unit_costs is not None:
            tables["unit_costs"] = _unit_costs(study.resources, study.resources.unit_costs)
    return tables


def _sampled(
    samples: VirusSamples | CellSamples, replicate: int, end: FloatArray
) -> tuple[IntArray, IntArray, FloatArray, FloatArray, FloatArray]:
    """Patient, slot, nominal and actual day and result of each sample taken, or planned under monitoring and missed."""
    nominal, day, result = samples.nominal[replicate], samples.day[replicate], samples.result[replicate]
    taken = result != Result.NONE
    rows = taken | (nominal <= end[:, np.newaxis])
    patient, slot = np.nonzero(rows)
    day = np.where(taken, day, np.nan)[rows]
    if np.isnan(day[taken[rows]]).any():
        raise ValueError("a sample taken without a day")
    return patient, slot, nominal[rows], day, result[rows].astype(np.float64)


def _virome(study: Study, replicate: int, patients: ObjectArray, end: FloatArray) -> Columns:
    known(study.virome, VIRUSES, "virus")
    parts: list[list[FloatArray]] = []
    for name, samples in study.virome.items():
        patient, slot, nominal, day, result = _sampled(samples, replicate, end)
        load = np.where(result == Result.QUANTIFIED, samples.load[replicate][patient, slot], np.nan)
        code = np.full(patient.size, float(VIRUSES.index(name)))
        parts.append([patient.astype(np.float64), code, nominal, day, result, load])
    patient_, virus, nominal, day, result, load = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((virus, np.where(np.isnan(day), nominal, day), patient_))
    return {
        "patient": patients[patient_[order].astype(np.intp)],
        "virus": coded(virus[order], VIRUSES, "virus"),
        "nominal_day": days(nominal[order], "nominal_day", empty=True),
        "day": days(day[order], "day", empty=True),
        "result": coded(result[order], RESULTS, "result"),
        "load_log10": numbers(load[order], "load_log10", empty=True),
    }


def _car_t(study: Study, samples: CellSamples, replicate: int, patients: ObjectArray) -> Columns:
    patient, slot, nominal, day, result = _sampled(samples, replicate, study.disposition.end[replicate])
    order = np.lexsort((np.where(np.isnan(day), nominal, day), patient))
    patient, slot, nominal, day, result = patient[order], slot[order], nominal[order], day[order], result[order]
    if "product" not in study.subjects.covariates:
        raise ValueError("car_t: the unit depends on the product, which the study does not have")
    product = study.subjects.covariates["product"][replicate][patient]
    if np.isnan(product).any():
        raise ValueError("car_t: measured in a patient without a product")
    unit = np.array(["", *samples.units], dtype=np.object_)[1:]
    limit = np.array(["", *(number_text(x) if x == x else "" for x in samples.lloq)], dtype=np.object_)[1:]
    level = np.where(result == Result.QUANTIFIED, samples.level[replicate][patient, slot], np.nan)
    return {
        "patient": patients[patient],
        "nominal_day": days(nominal, "nominal_day", empty=True),
        "day": days(day, "day", empty=True),
        "result": coded(result, RESULTS, "result"),
        "level": numbers(level, "level", empty=True),
        "unit": unit[product.astype(np.intp)],
        "lloq": limit[product.astype(np.intp)],
    }


def _sequencing(sequencing: Sequencing, replicate: int, patients: ObjectArray) -> Columns:
    day, change = sequencing.day[replicate], sequencing.change[replicate]
    patient, sample = np.nonzero(~np.isnan(day))
    if (change[patient, sample] == Change.NONE).all(axis=-1).any():
        raise ValueError("sequencing: a sample without any gene")
    if np.unique(np.stack([patient, day[patient, sample]]), axis=1).shape[1] != patient.size:
        raise ValueError("sequencing: two samples of a patient on one day")
    alphabetical = np.argsort(np.array(sequencing.genes, dtype=str))
    change, genes = change[..., alphabetical], names([sequencing.genes[i] for i in alphabetical], "genes")
    patient, sample, gene = np.nonzero((change != Change.NONE) & ~np.isnan(day)[..., np.newaxis])
    when, showed = day[patient, sample], change[patient, sample, gene].astype(np.float64)
    order = np.lexsort((gene, when, patient))
    showed = showed[order]
    failed = showed == Change.FAILED
    return {
        "patient": patients[patient[order]],
        "day": days(when[order], "day"),
        "gene": genes[gene[order]],
        "result": coded(np.where(failed, 0.0, 1.0), GENE_RESULTS, "result"),
        "change": coded(np.where(failed, np.nan, showed - Change.NO_CHANGE), CHANGES, "change", empty=True),
    }


def _questionnaires(asked: Questionnaires, replicate: int, patients: ObjectArray) -> Columns:
    patient, slot = np.nonzero(asked.instrument[replicate])
    nominal, day = asked.nominal[replicate][patient, slot], asked.day[replicate][patient, slot]
    order = np.lexsort((np.where(np.isnan(day), nominal, day), patient))
    patient, slot, nominal, day = patient[order], slot[order], nominal[order], day[order]
    answered = ~np.isnan(day)
    levels = asked.levels[replicate][patient, slot].astype(np.float64)
    levels = np.where((levels > 0) & answered[:, np.newaxis], levels, np.nan)
    columns: Columns = {
        "patient": patients[patient],
        "nominal_day": days(nominal, "nominal_day", empty=True),
        "day": days(day, "day", empty=True),
        "instrument": coded(asked.instrument[replicate][patient, slot].astype(np.float64) - 1, INSTRUMENTS, "instrument"),
        "proxy": coded(asked.proxy[replicate][patient, slot].astype(np.float64), NO_YES, "proxy"),
    }
    for place, dimension in enumerate(DIMENSIONS):
        columns[dimension] = days(levels[:, place], dimension, empty=True)
    vas = np.where(answered, asked.vas[replicate][patient, slot], np.nan)
    return columns | {"vas": numbers(vas, "vas", empty=True)}


def _stays(stays: Stays, replicate: int, patients: ObjectArray) -> Columns:
    start, stop, icu = stays.start[replicate], stays.stop[replicate], stays.icu[replicate]
    patient, slot = np.nonzero(~np.isnan(start))
    first, last, unit = start[patient, slot], stop[patient, slot], icu[patient, slot].astype(np.float64)
    order = np.lexsort((unit, first, patient))
    return {
        "patient": patients[patient[order]],
        "start_day": days(first[order], "start_day"),
        "stop_day": days(last[order], "stop_day", empty=True),
        "unit": coded(unit[order], UNITS, "unit"),
    }


def _resources(study: Study, used: Resources, replicate: int, patients: ObjectArray) -> Columns:
    mine = np.flatnonzero(used.row // study.patients == replicate)
    patient, quantity = used.row[mine] % study.patients, used.quantity[mine]
    item, component, first, last = used.item[mine], used.component[mine], used.first[mine], used.last[mine]
    order = np.lexsort((quantity, component, item, last, first, patient))
    return {
        "patient": patients[patient[order]],
        "item": coded(item[order], ITEMS, "item"),
        "component": coded(component[order], COMPONENTS, "component"),
        "first_day": days(first[order], "first_day"),
        "last_day": days(last[order], "last_day"),
        "quantity": numbers(quantity[order], "quantity"),
    }


def _unit_costs(used: Resources, costs: FloatArray) -> Columns:
    given = np.flatnonzero(~np.isnan(costs))
    columns: Columns = {
        "item": coded(given.astype(np.float64), ITEMS, "item"),
        "unit_cost": numbers(costs[given], "unit_cost"),
        "currency": names([used.currency] * given.size, "currency"),
    }
    if used.year is not None:
        columns["year"] = np.full(given.size, str(used.year), dtype=np.object_)
    return columns
