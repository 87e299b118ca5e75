"""What shared resources make of a study: turnaround, time to treatment, waiting for slots and beds, over its calendar."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmvsim.core.records import FloatArray, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.models.capacity import PARTS, CapacitySpec
from cmvsim.montecarlo import mcse
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.facts import Shared
from cmvsim.simulation.programme import MONTH, Programme, run_programme
from cmvsim.simulation.programme.beds import BedUse

LEVELS = (0.5, 0.9)
LIMITED, DRAWN = "shared laboratory", "as planned"
"""Turnaround from the queue, and ``monitoring.turnaround`` for every sample, all else as it is."""
Tick = Callable[[int, int], None]
EnrolmentDays = Callable[[int], FloatArray]
"""Days on which the patients of a replicate are enrolled, ascending; infinite for those never reached."""


@dataclass(frozen=True)
class ProgrammeForecast:
    """Simulated programmes.

    Attributes
    ----------
    limited, drawn
        The same studies with all parts in force, and without the laboratory's queue; the same list where there is none.
    """

    limited: tuple[Programme, ...]
    drawn: tuple[Programme, ...]
    capacity: CapacitySpec

    @property
    def arms(self) -> dict[str, tuple[Programme, ...]]:
        """By turnaround."""
        return {LIMITED: self.limited, DRAWN: self.drawn} if self.queues else {DRAWN: self.drawn}

    @property
    def queues(self) -> bool:
        """Whether results come from the shared laboratory."""
        return self.capacity.in_force.laboratory is not None


def forecast_programme(
    model: Model,
    capacity: CapacitySpec,
    enrolment: EnrolmentDays,
    *,
    patients: int,
    seed: int,
    replicates: int,
    first_weekday: int,
    tick: Tick,
) -> ProgrammeForecast:
    """Simulate programmes.

    Parameters
    ----------
    model, capacity
        Of the scenario.
    enrolment
        By replicate; patients of the retrospective part are passed over.
    patients
        Of the study, both parts together.
    first_weekday
        Day of the week of day 0, 0 = Monday.
    """
    # of the arm without the queue only results and treatments are read: beds would cost time
    without = capacity.model_copy(update={"limits": tuple(part for part in capacity.limits if part == "infusions")})
    arms: dict[str, list[Programme]] = {LIMITED: [], DRAWN: []}
    queues = capacity.in_force.laboratory is not None
    done, total = 0, replicates * (2 if queues else 1)
    for start in range(0, replicates, CHUNK_REPLICATES):
        draws = ChunkDraws(seed, Role.STUDY, start // CHUNK_REPLICATES, patients)
        shared = Shared(Background(model, draws))
        late = shared.background.population.retrospective.reshape(patients, CHUNK_REPLICATES)
        for replicate in range(min(replicates - start, CHUNK_REPLICATES)):
            days = _of_the_prospective(enrolment(start + replicate), late[:, replicate])
            if not np.isfinite(days).any():
                continue
            for name, limits in ((LIMITED, capacity), (DRAWN, without)) if queues else ((DRAWN, capacity),):
                one = run_programme(model, draws, days, limits, replicate=replicate, first_weekday=first_weekday, shared=shared)
                arms[name].append(one)
                done += 1
                tick(done, total)
    drawn = tuple(arms[DRAWN])
    return ProgrammeForecast(tuple(arms[LIMITED]) if queues else drawn, drawn, capacity)


def _of_the_prospective(days: FloatArray, retrospective: np.ndarray[Any, np.dtype[np.bool_]]) -> FloatArray:
    """Days of enrolment handed to the patients who are not of the retrospective part, in order: (patients,)."""
    found = np.full(retrospective.shape, np.inf)
    prospective = np.flatnonzero(~retrospective)[: days.size]
    found[prospective] = days[: prospective.size]
    return found


# Figures --------------------------------------------------------------------------------------------------------------


def rows(forecast: ProgrammeForecast) -> list[dict[str, Any]]:
    """Measures, each the mean over simulated studies with its Monte Carlo standard error.

    Returns
    -------
    list of dict
        `turnaround` (the arm), `part`, `measure`, `value`, `mcse`, `n` (studies in which it is defined).
    """
    found = []
    for arm, programmes in forecast.arms.items():
        told = [_measures(programme, shared=arm == LIMITED or not forecast.queues) for programme in programmes]
        keys = list(dict.fromkeys(key for one in told for key in one))
        for part, measure in keys:
            column = np.array([one.get((part, measure), np.nan) for one in told])
            status = np.where(np.isnan(column), float(Status.NOT_ESTIMABLE), float(Status.OK))
            one = mcse.mean(column, status)
            found.append(
                {"turnaround": arm, "part": part, "measure": measure, "value": one.value, "mcse": one.mcse, "n": one.n_ok}
            )
    return found


def _measures(programme: Programme, *, shared: bool) -> dict[tuple[str, str], float]:
    """Figures of one study; those of slots and beds only where `shared`, as they hardly differ between arms."""
    found: dict[tuple[str, str], float] = {}

    def spread(part: str, name: str, values: FloatArray) -> None:
        known = values[~np.isnan(values)]
        found[part, f"{name}_mean"] = float(known.mean()) if known.size else np.nan
        for level in LEVELS:
            found[part, f"{name}_q{100 * level:.0f}"] = float(np.quantile(known, level)) if known.size else np.nan

    spread("laboratory", "turnaround", programme.specimens.turnaround)
    found["laboratory", "samples"] = float(programme.specimens.patient.size)
    spread("treatment", "sample_to_start", programme.starts.delay)
    found["treatment", "started"] = float(programme.starts.patient.size)
    if not shared:
        return found
    span = np.array(programme.span)
    if programme.queue.times.size:
        during = (programme.runs[:, 0] >= span[0]) & (programme.runs[:, 0] <= span[1])
        spread("laboratory", "samples_per_run", programme.runs[during, 1])
        found["laboratory", "queue_mean"] = float(programme.queue.means(span)[0])
        found["laboratory", "queue_q90"] = float(programme.queue.quantiles(*programme.span, np.array([0.9]))[0])
    spread("infusions", "wait", programme.wait)
    spread("infusions", "enrolment_to_infusion", programme.vein_to_vein)
    for name, use in (("ward", programme.ward), ("icu", programme.icu)):
        found.update({(name, key): value for key, value in _bed_measures(use, span).items()})
    return found


def _bed_measures(use: BedUse, span: FloatArray) -> dict[str, float]:
    waited, number = use.wait > 0, max(use.wait.size, 1)
    inside = (use.of_study.times >= span[0]) & (use.of_study.times <= span[1])
    occupied = float(use.occupied.means(span)[0])
    return {
        "occupied_mean": occupied,
        "occupancy": occupied / use.beds if np.isfinite(use.beds) else np.nan,
        "of_study_mean": float(use.of_study.means(span)[0]),
        "of_study_peak": float(use.of_study.values[inside].max()) if inside.any() else 0.0,
        "admissions": float(use.wait.size),
        "waited_share": float(waited.sum()) / number,
        "wait_of_those_mean": float(use.wait[waited].mean()) if waited.any() else np.nan,
        "refused_share": use.refused / number,
    }


def months(forecast: ProgrammeForecast) -> list[dict[str, Any]]:
    """Month by month from the opening: turnaround of all studies' samples, mean queue and beds of studies that are going on."""
    last = max(programme.span[1] for programme in (*forecast.limited, *forecast.drawn))
    edges = np.arange(0, int(np.ceil(last / MONTH)) + 1, dtype=np.float64) * MONTH
    found: list[dict[str, Any]] = [
        {"month": number + 1, "day": float(day), "studies": int(n)}
        for number, (day, n) in enumerate(zip(edges[:-1], _going_on(forecast.limited, edges), strict=True))
    ]
    for arm, programmes in forecast.arms.items():
        sampled = np.concatenate([programme.specimens.sampled for programme in programmes])
        turnaround = np.concatenate([programme.specimens.turnaround for programme in programmes])
        place = np.searchsorted(edges, sampled, side="right") - 1
        for number, row in enumerate(found):
            values = turnaround[place == number]
            key = "shared" if arm == LIMITED else "planned"
            row[f"samples_{key}"] = int(values.size)
            row[f"turnaround_{key}_mean"] = _mean(values)
            for level in LEVELS:
                row[f"turnaround_{key}_q{100 * level:.0f}"] = float(np.quantile(values, level)) if values.size else None
    runs = np.concatenate([programme.runs for programme in forecast.limited])
    place = np.searchsorted(edges, runs[:, 0], side="right") - 1
    for number, row in enumerate(found):
        row["samples_per_run"] = _mean(runs[place == number, 1])
    columns = {"queue": [p.queue for p in forecast.limited]}
    for unit in ("ward", "icu"):
        for kind in ("occupied", "of_study"):
            columns[f"{unit}_{kind}"] = [getattr(getattr(p, unit), kind) for p in forecast.limited]
    for name, steps in columns.items():
        table = np.array([one.means(edges) for one in steps])
        for programme, line in zip(forecast.limited, table, strict=True):
            line[(edges[1:] < programme.span[0]) | (edges[:-1] > programme.span[1])] = np.nan
        for number, row in enumerate(found):
            known = table[~np.isnan(table[:, number]), number]
            row[name] = float(known.mean()) if known.size else None
    return found


def _going_on(programmes: Sequence[Programme], edges: FloatArray) -> FloatArray:
    """Studies of which a patient is infused, sampled or in hospital in each month."""
    spans = np.array([programme.span for programme in programmes])
    going = (spans[:, :1] <= edges[None, 1:]) & (spans[:, 1:] >= edges[None, :-1])
    return np.asarray(going.sum(axis=0), dtype=np.float64)


def weekdays(forecast: ProgrammeForecast, first_weekday: int) -> list[dict[str, Any]]:
    """Mean turnaround by the day of the week on which the sample was taken, 0 = Monday."""
    sampled = np.concatenate([programme.specimens.sampled for programme in forecast.limited])
    turnaround = np.concatenate([programme.specimens.turnaround for programme in forecast.limited])
    day = (np.floor(sampled).astype(np.int64) + first_weekday) % 7
    return [{"weekday": k, "samples": int((day == k).sum()), "turnaround_mean": _mean(turnaround[day == k])} for k in range(7)]


def _mean(values: FloatArray) -> float | None:
    return float(values.mean()) if values.size else None


def tree(forecast: ProgrammeForecast, *, first_weekday: int, replicates: int, planned: float) -> dict[str, Any]:
    """The forecast, JSON-ready; `planned` is the turnaround of the plan in days."""
    limits = forecast.capacity.in_force
    beds = {"ward": limits.ward, "icu": limits.icu}
    batch = limits.laboratory.batch if limits.laboratory is not None else None
    return {
        "replicates": replicates,
        "studies": len(forecast.limited),
        "first_weekday": first_weekday,
        "limited": [part for part in PARTS if getattr(limits, part) is not None],
        "beds": {unit: None if found is None else float(found.beds) for unit, found in beds.items()},
        "rows": [{key: None if value != value else value for key, value in row.items()} for row in rows(forecast)],
        "months": months(forecast),
        "batch": None if batch is None else float(batch),
        "planned_turnaround": planned,
        "weekdays": weekdays(forecast, first_weekday),
    }
