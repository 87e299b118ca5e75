"""What happened, as tables: the latent course beside the study's own tables, for those who ask for it.

One table per topic, one row per patient, episode, spell, ...; days are continuous, from infusion; an empty cell did not
happen by the horizon. Tables hold the life of a patient as it unfolded: what lies beyond death is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cmvsim.core.ledger import Component, Item
from cmvsim.core.records import FloatArray
from cmvsim.models.history import History
from cmvsim.models.quality_of_life import DIMENSIONS, Instrument
from cmvsim.models.resistance import CLASSES, GENES
from cmvsim.models.toxicity import DRUGS
from cmvsim.models.treatment import ANTIVIRALS
from cmvsim.models.virome import VIRUSES

Array = NDArray[Any]
Columns = Mapping[str, Array]


def history_tables(history: History, replicate: int) -> dict[str, pd.DataFrame]:
    """The History of one replicate.

    Returns
    -------
    dict of DataFrame
        By name, each with a column ``patient``; tables of processes that were not simulated are left out.
    """
    one = _Replicate(history, replicate)
    return {f"history_{name}": made(one) for name, made in _TABLES.items() if _known(history, name)}


class _Replicate:
    """Names of the patients, and views of one replicate."""

    def __init__(self, history: History, replicate: int) -> None:
        self.history = history
        self.replicate = replicate
        width = len(str(history.patients))
        self.names = np.array([f"P{index + 1:0{width}d}" for index in range(history.patients)], dtype=object)
        self.end: FloatArray = np.minimum(history.death[replicate], history.horizon)

    def flat(self, values: Array) -> Array:
        """A flat (P,) or (K, P) array as (N,) or (N, K)."""
        return np.asarray(self.history.view(values)[self.replicate])

    def mine(self, values: Array) -> Array:
        """A view (R, N[, K]) as (N[, K])."""
        return np.asarray(values[self.replicate])

    def lived(self, times: Array) -> Array:
        """Times up to death and horizon, NaN after."""
        end = self.end if times.ndim == 1 else self.end[:, None]
        return np.where(np.isfinite(times) & (times <= end), times, np.nan)

    def ended(self, times: Array) -> Array:
        """Ends up to the horizon, death at the latest; NaN for what goes on at the horizon."""
        died = (self.end < self.history.horizon)[:, None]
        return np.where(np.isfinite(times) & (times <= self.end[:, None]), times, np.where(died, self.end[:, None], np.nan))

    def rows(self, begun: Array, columns: Columns) -> pd.DataFrame:
        """A row for each (patient, index) that has begun, of columns (N, K) or (N,)."""
        i, k = np.nonzero(~np.isnan(begun))
        cells = {name: values[i, k] if values.ndim > 1 else values[i] for name, values in columns.items()}
        return pd.DataFrame({"patient": self.names[i], **cells})


def _known(history: History, name: str) -> bool:
    needed = {
        "episodes": history.episodes,
        "spells": history.treatment,
        "disease": history.disease,
        "prophylaxis": history.prophylaxis,
        "infections": history.infections,
        "resistance": history.resistance,
        "sequencing": history.sequencing,
        "stays": history.stays,
        "ledger": history.ledger,
        "questionnaires": history.questionnaires,
    }
    return needed.get(name, history) is not None


def _patients(one: _Replicate) -> pd.DataFrame:
    """Traits, score, expansion, and the events that end monitoring or life."""
    h, p = one.history, one.history.population
    seen, strata, products = h.observation, np.array(h.strata, dtype=object), np.array(p.spec.products, dtype=object)
    assays = np.array([h.kinetics.spec.assay(*cell).unit for cell in p.spec.cells], dtype=object)
    columns = {
        "stratum": strata[one.flat(p.stratum)],
        "product": products[one.flat(p.product)],
        "age": one.flat(p.age),
        "female": one.flat(p.female),
        "part": np.where(one.flat(p.retrospective), "retrospective", "prospective"),
        "site": one.flat(p.site),
        "seropositive": one.flat(p.seropositive),
        "aciclovir": one.flat(p.aciclovir),
        "prior_allogeneic_hct": one.flat(p.prior_allogeneic_hct),
        "lymphocytes": one.flat(p.lymphocytes),
        "hematotox_high": one.flat(p.hematotox_high),
        "immunosuppression_score": one.flat(p.score),
        "peak_cells": one.flat(h.kinetics.cmax),
        "peak_unit": assays[one.flat(p.cell)],
        "peak_day": one.flat(h.kinetics.tmax),
        "log_expansion": one.flat(h.kinetics.expansion),
    }
    events = ("relapse", "new_therapy", "hct", "withdrawn", "lost")
    dated = {name: one.lived(one.mine(getattr(seen, name))) for name in events}
    return pd.DataFrame({"patient": one.names, **columns, **dated, "death": one.lived(one.mine(h.death))})


def _toxicity(one: _Replicate) -> pd.DataFrame:
    """Worst grades, and the windows of toxicity, of the drugs against it and of severe neutropenia."""
    t = one.history.toxicity
    windows = {"crs": t.crs, "icans": t.icans, "neutropenia": t.neutropenia}
    windows |= {str(drug): t.courses[drug] for drug in DRUGS}
    columns: dict[str, Array] = {"crs_grade": one.flat(t.crs_grade), "icans_grade": one.flat(t.icans_grade)}
    for name, window in windows.items():
        start = one.lived(one.flat(window.start))
        columns[f"{name}_start"] = start
        columns[f"{name}_stop"] = np.where(np.isnan(start), np.nan, np.minimum(one.flat(window.stop), one.end))
    return pd.DataFrame({"patient": one.names, **columns})


def _virome(one: _Replicate) -> pd.DataFrame:
    """Carriage, acquisition, and the TTV load on the days of the research samples."""
    v = one.history.virome
    columns: dict[str, Array] = {}
    for name in VIRUSES:
        columns[f"{name}_at_baseline"] = one.flat(v.baseline(name))
        columns[f"{name}_acquired"] = one.lived(one.flat(v.acquired(name)))
    columns["high_anellovirus_from"] = one.lived(one.flat(v.first_high()))
    for day in v.visits:
        load = one.flat(v.load(float(day)))
        columns[f"anellovirus_log10_day_{day}"] = np.where(np.isfinite(load) & (day <= one.end), load, np.nan)
    return pd.DataFrame({"patient": one.names, **columns})


def _episodes(one: _Replicate) -> pd.DataFrame:
    """CMV episodes: onset, peak and end of the plateau of the natural course (log10 IU/mL of plasma), clearance."""
    e = one.history.episodes
    assert e is not None
    onset = one.lived(one.mine(e.onset))
    number = np.broadcast_to(np.arange(1, onset.shape[1] + 1), onset.shape)
    reached = np.isfinite(one.mine(e.plateau_end))
    return one.rows(
        onset,
        {
            "episode": number,
            "onset": onset,
            "growth_log10_per_day": one.mine(e.growth),
            "peak_log10": one.mine(e.peak),
            "self_limited": reached,
            "plateau_end": one.lived(one.mine(e.plateau_end)),
            "cleared": one.lived(one.mine(e.clear)),
            "matrix_offset_log10": one.mine(e.offset),
        },
    )


def _spells(one: _Replicate) -> pd.DataFrame:
    """Spells of one drug against CMV."""
    care = one.history.treatment
    assert care is not None
    code, start = one.mine(care.drug), one.lived(one.mine(care.drug_start))
    start = np.where(code > 0, start, np.nan)
    treatment = _treatment_of(one.mine(care.start), start)
    return one.rows(
        start,
        {
            "treatment": treatment,
            "drug": np.array(["", *ANTIVIRALS], dtype=object)[code],
            "start": start,
            "stop": one.ended(one.mine(care.drug_stop)),
            "neutropenia": one.lived(one.mine(care.neutropenia)),
            "neutropenia_stop": one.lived(one.mine(care.neutropenia_stop)),
            "kidney_injury": one.lived(one.mine(care.kidney_injury)),
        },
    )


def _treatment_of(starts: Array, spell: Array) -> Array:
    """Number of the treatment that each spell belongs to: how many had begun by its start."""
    with np.errstate(invalid="ignore"):
        return np.asarray((starts[:, None, :] <= spell[:, :, None]).sum(axis=-1))


def _disease(one: _Replicate) -> pd.DataFrame:
    """First CMV disease."""
    d = one.history.disease
    assert d is not None
    time = one.lived(one.mine(d.time))
    organs = np.array([*d.organs, ""], dtype=object)[one.mine(d.organ)]
    return one.rows(time[:, None], {"day": time, "organ": organs})


def _prophylaxis(one: _Replicate) -> pd.DataFrame:
    """Letermovir as it was taken."""
    p = one.history.prophylaxis
    assert p is not None
    start = one.lived(one.flat(p.start))
    return one.rows(
        start[:, None],
        {
            "start": start,
            "stop": np.minimum(one.flat(p.stop), one.end),
            "dose_mg": one.flat(p.dose),
            "adherence": one.flat(p.adherence),
        },
    )


def _infections(one: _Replicate) -> pd.DataFrame:
    """Bacterial infections, and the first fungal one."""
    i = one.history.infections
    assert i is not None
    start, bacterial = one.lived(one.flat(i.any.start)), i.bacterial.start.shape[0]
    kind = np.broadcast_to(np.array(["bacterial"] * bacterial + ["fungal"], dtype=object), start.shape)
    return one.rows(
        start,
        {
            "kind": kind,
            "start": start,
            "stop": np.minimum(one.flat(i.any.stop), one.end[:, None]),
            "severe": one.flat(i.any_severe),
        },
    )


def _resistance(one: _Replicate) -> pd.DataFrame:
    """Changes of CMV genes: of the strain (no day), and known resistance with the day it arose."""
    r = one.history.resistance
    assert r is not None
    parts = []
    infected = ~np.isnan(one.lived(one.flat(r.onset))).all(axis=1)
    for g, gene in enumerate(GENES):
        arose = one.lived(one.flat(r.known[g]))
        number = np.broadcast_to(np.arange(1, arose.shape[1] + 1), arose.shape)
        parts.append(_labelled(one.rows(arose, {"episode": number, "day": arose}), gene, CLASSES[0]))
        for kind, carried in ((CLASSES[1], r.polymorphism[g]), (CLASSES[2], r.unknown[g])):
            has = np.where(one.flat(carried) & infected, 0.0, np.nan)
            empty = np.full(has.shape, np.nan)
            parts.append(_labelled(one.rows(has[:, None], {"episode": empty, "day": empty}), gene, kind))
    table = pd.concat(parts, ignore_index=True)
    return table.sort_values("patient", kind="stable", ignore_index=True)[["patient", "gene", "change", "episode", "day"]]


def _labelled(table: pd.DataFrame, gene: str, change: str) -> pd.DataFrame:
    return table.assign(gene=gene, change=change, episode=table["episode"].astype("Int64"), day=table["day"].astype(float))


def _sequencing(one: _Replicate) -> pd.DataFrame:
    """Samples sent for sequencing, and what was seen."""
    s, samples = one.history.sequencing, one.history.samples
    assert s is not None
    assert samples is not None
    sent = one.flat(s.sent)
    day = np.where(sent, one.lived(one.mine(samples.time)), np.nan)
    columns: dict[str, Array] = {"day": day, "load_iu_ml": one.mine(samples.load), "sequenced": one.flat(s.sequenced)}
    for g, gene in enumerate(GENES):
        for c, change in enumerate(CLASSES):
            columns[f"{gene}_{change}"] = one.flat(s.seen[c, g])
    return one.rows(day, columns)


def _stays(one: _Replicate) -> pd.DataFrame:
    """Stays in hospital, and in intensive care within them."""
    s = one.history.stays
    assert s is not None
    parts = []
    for place, windows in (("hospital", s.in_hospital), ("intensive care", s.in_icu)):
        start = one.lived(one.flat(windows.start))
        parts.append(one.rows(start, {"start": start, "stop": one.flat(windows.stop)}).assign(place=place))
    table = pd.concat(parts, ignore_index=True)[["patient", "place", "start", "stop"]]
    return table.sort_values(["patient", "start"], kind="stable", ignore_index=True)


def _ledger(one: _Replicate) -> pd.DataFrame:
    """Resource use, row by row; `start` = `stop` for an occasion."""
    ledger, h = one.history.ledger, one.history
    assert ledger is not None
    keep = np.flatnonzero(ledger.patient % h.replicates == one.replicate)
    table = pd.DataFrame(
        {
            "patient": one.names[ledger.patient[keep] // h.replicates],
            "item": np.array([str(item) for item in Item], dtype=object)[ledger.item[keep]],
            "component": np.array([str(part) for part in Component], dtype=object)[ledger.component[keep]],
            "start": ledger.start[keep],
            "stop": ledger.stop[keep],
            "quantity": ledger.quantity[keep],
        }
    )
    return table.sort_values(["patient", "start", "item", "component"], kind="stable", ignore_index=True)


def _questionnaires(one: _Replicate) -> pd.DataFrame:
    """EQ-5D questionnaires that were due; levels and VAS are empty where one was not filled in."""
    q = one.history.questionnaires
    assert q is not None
    instrument, vas = one.flat(q.instrument), one.flat(q.vas)
    due = np.where(instrument != Instrument.NONE, 0.0, np.nan)
    words = np.array(["", "EQ-5D-Y-3L", "EQ-5D-5L"], dtype=object)
    columns: dict[str, Array] = {
        "day": np.broadcast_to(q.days, due.shape),
        "instrument": words[instrument],
        "proxy": one.flat(q.proxy),
    }
    for d, dimension in enumerate(DIMENSIONS):
        level = one.flat(q.levels[:, d]).astype(float)
        columns[dimension] = np.where(level > 0, level, np.nan)
    return one.rows(due, {**columns, "vas": vas})


_TABLES: dict[str, Callable[[_Replicate], pd.DataFrame]] = {
    "patients": _patients,
    "toxicity": _toxicity,
    "virome": _virome,
    "episodes": _episodes,
    "spells": _spells,
    "disease": _disease,
    "prophylaxis": _prophylaxis,
    "infections": _infections,
    "resistance": _resistance,
    "sequencing": _sequencing,
    "stays": _stays,
    "ledger": _ledger,
    "questionnaires": _questionnaires,
}
