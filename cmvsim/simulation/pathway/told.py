"""A patient's story as named entries, from either engine, so that the two can be laid side by side."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.ledger import Component, Item, Ledger
from cmvsim.models.history import Episodes, History
from cmvsim.models.quality_of_life import Instrument
from cmvsim.models.resistance import CLASSES, GENES
from cmvsim.models.treatment import ANTIVIRALS
from cmvsim.models.windows import Windows
from cmvsim.simulation.pathway.facts import Window
from cmvsim.simulation.pathway.records import PatientHistory

Told = dict[str, float | int | str]
"""Entries by name ("sample 3 result"): a float is a time, a load or a quantity, anything else must be the same."""
RESULTS = ("none", "not detected", "below the limit", "quantified")


def told_by_pathway(story: PatientHistory) -> Told:
    """The entries of a story of the pathway engine."""
    told: Told = {}
    for k, e in enumerate(story.episodes):
        _entries(told, f"episode {k}", onset=e.onset, cleared=e.cleared, peak=e.peak, plateau_end=e.plateau_end)
        _entries(told, f"episode {k}", decay=e.decay, growth=story.growth, offset=story.offset)
        for j, (time, log10, slope) in enumerate(e.knots):
            _entries(told, f"knot {k}.{j}", time=time, log10=log10, slope=slope)
    for i, s in enumerate(sorted(story.samples, key=lambda s: s.time)):
        told[f"sample {i} time"] = s.time
        told[f"sample {i} planned"] = "test" if s.planned is None else str(s.planned)
        told[f"sample {i} result"] = RESULTS[s.reported]
        told[f"sample {i} extra"] = int(s.extra)
        _entries(told, f"sample {i}", load=s.load)
    for i, course in enumerate(story.treatment.courses):
        _entries(told, f"treatment {i}", start=course.start, stop=course.stop)
    for i, spell in enumerate(story.treatment.spells):
        told[f"spell {i} drug"] = spell.drug
        _entries(told, f"spell {i}", start=spell.start, stop=spell.stop)
    _window(told, "neutropenia on treatment", story.treatment.neutropenia)
    _entries(told, "kidney injury", start=story.treatment.kidney_injury)
    _entries(told, "disease", start=story.disease)
    told["disease organ"] = story.organ
    _window(told, "letermovir", story.letermovir)
    for k, infection in enumerate(story.bacterial):
        _infection(told, f"bacterial {k}", infection.start, infection.stop, infection.severe)
    if story.fungal is not None:
        _infection(told, "fungal", story.fungal.start, story.fungal.stop, story.fungal.severe)
    f = story.follow_up
    _entries(told, "follow-up", relapse=f.relapse, new_therapy=f.new_therapy, hct=f.hct, withdrawn=f.withdrawn, lost=f.lost)
    _entries(told, "death", time=story.death)
    _strain(told, story)
    for name, windows in (
        ("stay", story.stays.hospital),
        ("icu stay", story.stays.icu),
        ("planned stay", (story.stays.planned,)),
    ):
        for i, window in enumerate(windows):
            _window(told, f"{name} {i}", window)
    _rows(told, [(r.item, r.component, r.start, r.stop, r.rate) for r in story.ledger])
    for q in story.questionnaires:
        _questionnaire(told, q.day, q.instrument, q.proxy, q.levels, q.vas)
    return told


def _questionnaire(told: Told, day: int, instrument: str, proxy: bool, levels: tuple[int, ...], vas: float) -> None:
    told[f"questionnaire {day} instrument"] = f"{instrument}{' by proxy' * proxy}"
    told[f"questionnaire {day} levels"] = "".join(map(str, levels)) or "missing"
    _entries(told, f"questionnaire {day}", vas=vas)


def _strain(told: Told, story: PatientHistory) -> None:
    for k, times in enumerate(story.strain.known):
        for gene, time in zip(GENES, times, strict=True):
            _entries(told, f"resistance {k}.{gene}", since=time)
    told["strain polymorphism"] = str(story.strain.polymorphism)
    told["strain unknown"] = str(story.strain.unknown)
    for i, sent in enumerate(story.strain.sent):
        told[f"sequencing {i} time"] = sent.time
        told[f"sequencing {i} shows"] = ", ".join(" ".join(change) for change in sent.shows) if sent.succeeded else "failed"


def told_by_cohort(history: History, patient: int, replicate: int) -> Told:
    """The entries of one patient of a history of the cohort engine."""
    told: Told = {}
    at = (replicate, patient)
    row = patient * history.replicates + replicate
    if history.episodes is not None:
        _episodes(told, history.episodes, at)
    _samples(told, history, at)
    _treatment(told, history, at)
    if history.disease is not None:
        _entries(told, "disease", start=float(history.disease.time[at]))
        told["disease organ"] = int(history.disease.organ[at])
    if history.prophylaxis is not None:
        _window(told, "letermovir", Window(float(history.prophylaxis.start[row]), float(history.prophylaxis.stop[row])))
    if history.infections is not None:
        infections = history.infections
        for k in range(len(infections.bacterial.start)):
            severe = bool(infections.bacterial_severe[k, row])
            _infection(told, f"bacterial {k}", *_of(infections.bacterial, (k, row)), severe)
        _infection(told, "fungal", *_of(infections.fungal, row), bool(infections.fungal_severe[row]))
    o = history.observation
    names = ("relapse", "new_therapy", "hct", "withdrawn", "lost")
    _entries(told, "follow-up", **{name: float(getattr(o, name)[at]) for name in names})
    _entries(told, "death", time=float(history.death[at]))
    _resistance(told, history, at, row)
    _use(told, history, row)
    if history.questionnaires is not None:
        q = history.questionnaires
        for v, day in enumerate(q.days):
            due = Instrument(int(q.instrument[v, row]))
            levels = tuple(int(level) for level in q.levels[v, :, row] if level > 0)
            if due is not Instrument.NONE:
                _questionnaire(told, int(day), due.name.lower(), bool(q.proxy[v, row]), levels, float(q.vas[v, row]))
    return told


def _use(told: Told, history: History, row: int) -> None:
    if history.stays is not None:
        stays = history.stays
        for name, several in (("stay", stays.in_hospital), ("icu stay", stays.in_icu), ("planned stay", stays.planned)):
            windows = zip(np.atleast_2d(several.start)[:, row], np.atleast_2d(several.stop)[:, row], strict=True)
            for i, (start, stop) in enumerate(sorted((a, b) for a, b in windows if a < b)):
                _window(told, f"{name} {i}", Window(float(start), float(stop)))
    if history.ledger is not None:
        _rows(told, _ledger_rows(history.ledger, row))


def _resistance(told: Told, history: History, at: tuple[int, int], row: int) -> None:
    r, q, samples = history.resistance, history.sequencing, history.samples
    if r is None or q is None or samples is None:
        return
    for g, gene in enumerate(GENES):
        for k in range(r.known.shape[1]):
            _entries(told, f"resistance {k}.{gene}", since=float(r.known[g, k, row]))
    told["strain polymorphism"] = str(tuple(bool(x) for x in r.polymorphism[:, row]))
    told["strain unknown"] = str(tuple(bool(x) for x in r.unknown[:, row]))
    sent = np.flatnonzero(q.sent[:, row])
    for i, v in enumerate(sent[np.argsort(samples.time[at][sent], kind="stable")]):
        told[f"sequencing {i} time"] = float(samples.time[at][v])
        shows = sorted((CLASSES[c], GENES[g]) for c, g in zip(*np.nonzero(q.seen[:, :, v, row]), strict=True))
        told[f"sequencing {i} shows"] = ", ".join(" ".join(x) for x in shows) if q.sequenced[v, row] else "failed"


Row = tuple[str, str, float, float, float]


def _ledger_rows(ledger: Ledger, row: int) -> list[Row]:
    items, components = tuple(Item), tuple(Component)
    mine = np.flatnonzero(ledger.patient == row)
    return [
        (
            items[ledger.item[i]].value,
            components[ledger.component[i]].value,
            float(ledger.start[i]),
            float(ledger.stop[i]),
            float(ledger.rate[i]),
        )
        for i in mine
    ]


def _rows(told: Told, rows: list[Row]) -> None:
    """Ledger rows in order; spans that touch are one, since how a stay is cut into rows has no meaning."""
    joined: list[Row] = []
    for row in sorted(rows):
        item, component, start, stop, rate = row
        last = joined[-1] if joined else None
        if last is not None and start < stop and last[2] < last[3] and (*last[:2], last[3], last[4]) == (*row[:3], rate):
            joined[-1] = (item, component, last[2], stop, rate)
        else:
            joined.append(row)
    count: Counter[str] = Counter()
    for item, component, start, stop, rate in joined:
        what = f"{item} ({component})"
        _entries(told, f"{what} {count[what]}", start=start, stop=stop, rate=rate)
        count[what] += 1


def _episodes(told: Told, e: Episodes, at: tuple[int, int]) -> None:
    for k in range(e.onset.shape[-1]):
        here = (*at, k)
        if not math.isfinite(e.onset[here]):
            continue
        _entries(told, f"episode {k}", onset=float(e.onset[here]), cleared=float(e.clear[here]), peak=float(e.peak[here]))
        _entries(told, f"episode {k}", plateau_end=float(e.plateau_end[here]), decay=float(e.decay[here]))
        _entries(told, f"episode {k}", growth=float(e.growth[at]), offset=float(e.offset[at]))
        mine = np.flatnonzero(e.knot_episode[at] == k)
        for j, knot in enumerate(mine):
            told[f"knot {k}.{j} time"] = float(e.knot_time[at][knot])
            told[f"knot {k}.{j} log10"] = float(e.knot_log10[at][knot])
            told[f"knot {k}.{j} slope"] = float(e.knot_slope[at][knot])


def _samples(told: Told, history: History, at: tuple[int, int]) -> None:
    samples = history.samples
    if samples is None:
        return
    times = samples.time[at]
    taken = [int(v) for v in np.argsort(times, kind="stable") if math.isfinite(times[v])]
    for i, v in enumerate(taken):
        nominal = samples.nominal[v]
        told[f"sample {i} time"] = float(times[v])
        told[f"sample {i} planned"] = "test" if math.isnan(nominal) else str(int(nominal))
        told[f"sample {i} result"] = RESULTS[int(samples.result[at][v])]
        told[f"sample {i} extra"] = int(samples.extra[at][v])
        _entries(told, f"sample {i}", load=float(samples.load[at][v]))


def _treatment(told: Told, history: History, at: tuple[int, int]) -> None:
    t = history.treatment
    if t is None:
        return
    for i in np.flatnonzero(np.isfinite(t.start[at])):
        _entries(told, f"treatment {i}", start=float(t.start[at][i]), stop=float(t.stop[at][i]))
    for i in np.flatnonzero(t.drug[at] > 0):
        told[f"spell {i} drug"] = ANTIVIRALS[int(t.drug[at][i]) - 1]
        _entries(told, f"spell {i}", start=float(t.drug_start[at][i]), stop=float(t.drug_stop[at][i]))
    _window(told, "neutropenia on treatment", Window(float(t.neutropenia[at]), float(t.neutropenia_stop[at])))
    _entries(told, "kidney injury", start=float(t.kidney_injury[at]))


def _of(windows: Windows, at: int | tuple[int, int]) -> tuple[float, float]:
    start: NDArray[np.float64] = windows.start
    return float(start[at]), float(windows.stop[at])


def _entries(told: Told, what: str, **values: float) -> None:
    """Entries of what happened; what did not has none."""
    told.update({f"{what} {name}": value for name, value in values.items() if math.isfinite(value)})


def _window(told: Told, what: str, window: Window) -> None:
    if window.exists:
        _entries(told, what, start=window.start, stop=window.stop)


def _infection(told: Told, what: str, start: float, stop: float, severe: bool) -> None:
    if math.isfinite(start):
        _entries(told, what, start=start, stop=stop)
        told[f"{what} severe"] = int(severe)
