"""The CMV of one patient's story: the true load, episodes, samples with their results, and treatments with reasons."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from cmvsim.models.resistance import GENES
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import next_on_grid, on_the_grid
from cmvsim.simulation.pathway.episode import Episode, Knot
from cmvsim.simulation.pathway.facts import Window
from cmvsim.simulation.pathway.records import EpisodeRecord, PatientHistory, Reported, SampleRecord, SpellRecord

if TYPE_CHECKING:
    from cmvsim.simulation.pathway.story import Case

Tree = dict[str, Any]
Points = list[tuple[float, float]]
RESULTS = {
    Reported.NOT_DETECTED: "not_detected",
    Reported.BELOW_LIMIT: "below_lloq",
    Reported.QUANTIFIED: "quantified",
}
DETECTED = ("below_lloq", "quantified")


def cmv_of(case: Case) -> Tree:
    """Episodes, samples, treatments, disease and strain."""
    story, model = case.story, case.background.model
    spec = model.monitoring
    courses = [load_path(model, story, e, case.end) for e in story.episodes if e.onset <= case.end]
    samples = _samples(case, courses)
    treatments = _treatments(case)
    organs = tuple(model.cmv.disease.organs)
    disease = case.lived(story.disease)
    return {
        "assay": {"matrix": spec.matrix.value, "lod": float(spec.lod), "lloq": float(spec.lloq)},
        "treatment_threshold": float(model.treatment.start_at),
        "load_log10": [[[t, y] for t, y in points] for points in courses],
        "episodes": [_episode(case, k, points, samples, treatments) for k, points in enumerate(courses)],
        "samples": samples,
        "treatments": treatments,
        "treatment_toxicity": {
            "neutropenia": case.window(story.treatment.neutropenia),
            "kidney_injury": case.lived(story.treatment.kidney_injury),
        },
        "disease": None if disease is None else {"day": disease, "organ": organs[story.organ]},
        "sequencing": [
            {"day": s.time, "succeeded": s.succeeded, "shows": [[gene, change] for change, gene in s.shows]}
            for s in story.strain.sent
            if s.time <= case.end
        ],
    }


def load_path(model: Model, story: PatientHistory, record: EpisodeRecord, end: float) -> Points:
    """Corners (day, log10 IU/mL of the sampled matrix) of an episode's true load, which is linear between them, up to `end`."""
    stop = min(record.cleared, end)
    episode = _alive(model, story, record)
    knots = [Knot(*knot) for knot in record.knots if knot[0] <= stop]
    points = []
    for j, (a, b) in enumerate(itertools.pairwise([record.onset, *(knot.time for knot in knots), stop])):
        episode.knots = knots[:j]
        points += [(t, episode.load(t) + story.offset) for t in (a, *episode.bends_after(a, b))]
    episode.knots = knots
    return [*points, (stop, episode.load(stop) + story.offset)]


def _alive(model: Model, story: PatientHistory, record: EpisodeRecord) -> Episode:
    """The episode with its natural course, before any treatment."""
    return Episode(
        number=0,
        onset=record.onset,
        start_log10=float(model.cmv.load.start_log10),
        growth=story.growth,
        decay=record.decay,
        decay_treated=math.nan,
        peak=record.peak,
        plateau_end=record.plateau_end,
        refractory=record.refractory,
        regrows=False,
    )


def at(points: Points, t: float) -> float | None:
    """Value of a path at a time; None outside it."""
    for (a, x), (b, y) in itertools.pairwise(points):
        if a <= t <= b:
            return x if b == a else x + (y - x) * (t - a) / (b - a)
    return None


def first_at_least(points: Points, level: float) -> float | None:
    """First time at which a path is at or above a level."""
    if points[0][1] >= level:
        return points[0][0]
    for (a, x), (b, y) in itertools.pairwise(points):
        if x < level <= y:
            return a + (level - x) * (b - a) / (y - x)
    return None


# --- what was seen ----------------------------------------------------------------------------------------------------


def _samples(case: Case, courses: list[Points]) -> list[Tree]:
    told, arrives = [], -math.inf
    turnaround = on_the_grid(float(case.background.model.monitoring.turnaround))
    for sample in sorted(case.story.samples, key=lambda s: s.time):
        arrives = max(sample.time + turnaround, arrives)
        if sample.time > case.end:
            continue
        truth = at(courses[sample.episode], sample.time) if sample.episode >= 0 else None
        told.append(
            {
                "day": sample.time,
                "planned": sample.planned,
                "result": RESULTS[sample.reported],
                "load": sample.load if math.isfinite(sample.load) else None,
                "because_of_cmv": sample.extra,
                "known_on": case.lived(arrives),
                "episode": sample.episode + 1 if sample.episode >= 0 else None,
                "true_log10": truth,
            }
        )
    return told


# --- what happened ----------------------------------------------------------------------------------------------------


def _episode(case: Case, k: int, points: Points, samples: list[Tree], treatments: list[Tree]) -> Tree:
    story, record, model = case.story, case.story.episodes[k], case.background.model
    mine = [s for s in samples if s["episode"] == k + 1]
    detected = [s for s in mine if s["result"] in DETECTED]
    quantified = [s for s in mine if s["result"] == "quantified"]
    running = Window(record.onset, math.nextafter(min(record.cleared, case.end), math.inf))
    treated = [t for t in treatments if t["start"] <= running.stop and t["stop"] > running.start]
    top_day, top = max(points, key=lambda point: point[1])
    threshold = float(model.treatment.start_at)
    resistance = [
        {"gene": gene, "day": time} for gene, time in zip(GENES, story.strain.known[k], strict=True) if time <= case.end
    ]
    return {
        "number": k + 1,
        "onset": record.onset,
        "at_inclusion": record.onset < model.inclusion_day,
        "on_letermovir": story.letermovir.contains(record.onset),
        "on_treatment": any(t["start"] <= record.onset < t["stop"] for t in treatments),
        "cleared": case.lived(record.cleared),
        "self_limited": math.isfinite(record.plateau_end),
        "refractory": record.refractory,
        "highest_log10": top,
        "highest_day": top_day,
        "lloq_from": first_at_least(points, math.log10(float(model.monitoring.lloq))),
        "samples": len(mine),
        "first_detected": detected[0]["day"] if detected else None,
        "first_quantified": quantified[0]["day"] if quantified else None,
        "highest_sample": max(quantified, key=lambda s: float(s["load"]))["day"] if quantified else None,
        "highest_load": max((float(s["load"]) for s in quantified), default=None),
        "reached_threshold": next((s["day"] for s in quantified if s["load"] >= threshold), None),
        "treatments": [t["number"] for t in treated],
        "resistance": resistance,
    }


def _treatments(case: Case) -> list[Tree]:
    told = []
    for number, course in enumerate(case.story.treatment.courses):
        window = case.window(course)
        if window is None:
            continue
        spells = [s for s in case.story.treatment.spells if s.course == number and s.start <= case.end]
        told.append(
            {
                "number": number + 1,
                **window,
                "because": _started_by(case, course.start),
                "stopped_by": _stopped_by(case, course) if window["until"] == "over" else None,
                "spells": [_spell(case, spell, first=i == 0) for i, spell in enumerate(spells)],
            }
        )
    return told


def _started_by(case: Case, start: float) -> Tree:
    """The result, or the disease, that set a start."""
    model, disease = case.background.model, case.story.disease
    delay, turnaround = on_the_grid(float(model.treatment.delay)), on_the_grid(float(model.monitoring.turnaround))
    arrives, found = -math.inf, None
    for sample in sorted(case.story.samples, key=lambda s: s.time):
        arrives = max(sample.time + turnaround, arrives)
        if _high(model, sample) and arrives + delay == start:
            found = sample
    if found is not None:
        return {"what": "result", "day": found.time, "load": found.load}
    assert next_on_grid(disease) + delay == start
    return {"what": "disease", "day": disease, "load": None}


def _high(model: Model, sample: SampleRecord) -> bool:
    return sample.reported is Reported.QUANTIFIED and sample.load >= float(model.treatment.start_at)


def _stopped_by(case: Case, course: Window) -> str:
    longest = on_the_grid(float(case.background.model.treatment.stop_after.maximum_days))
    return "longest" if course.stop >= course.start + longest else "results"


def _spell(case: Case, spell: SpellRecord, *, first: bool) -> Tree:
    window = case.window(Window(spell.start, spell.stop)) or {"start": spell.start, "stop": spell.start, "until": "over"}
    return {"drug": spell.drug, **window, "because": None if first else _switched_by(case, spell.start)}


def _switched_by(case: Case, start: float) -> str:
    treatment = case.story.treatment
    if start == treatment.neutropenia.start:
        return "neutropenia"
    return "kidney_injury" if start == treatment.kidney_injury else "load"
