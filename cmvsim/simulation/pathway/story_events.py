"""A story as dated events, each with whether the study's tables hold it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cmvsim.simulation.pathway.recorded import Ending

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoryEvent:
    """Something that happened on a day (continuous, from infusion).

    Attributes
    ----------
    what
        From a fixed list of words ("episode onset", "sample").
    detail
        Which, how much.
    seen
        Whether the study's tables hold it.
    """

    day: float
    what: str
    detail: str
    seen: bool


def events_of(story: Tree, ending: Ending) -> list[StoryEvent]:
    """All events of a story, in order of time.

    Parameters
    ----------
    story
        From :func:`cmvsim.simulation.pathway.story.story_tree`.
    ending
        Of monitoring, as the study's tables have it.
    """
    known = ending.known
    events = [*_patient(story, known), *_cmv(story, known), *_care(story, known), *_outcome(story, ending)]
    return sorted(events, key=lambda e: (e.day, e.what, e.detail))


def _span(tree: Tree | None, what: str, detail: str, known: float) -> Iterator[StoryEvent]:
    """Start and end of something, seen where the study knows of it then."""
    if tree is None or tree["start"] is None:
        return
    moved = what in STAYS and tree["start"] == known  # a stay that begins at the very end of a day belongs to the next
    yield StoryEvent(tree["start"], f"{what} begins", detail, tree["start"] <= known and not moved)
    if tree["until"] == "over":
        yield StoryEvent(tree["stop"], f"{what} ends", detail, tree["stop"] <= known)


STAYS = ("hospital stay", "intensive care")
UNSEEN = -math.inf
"""Of what no table has a place for."""


def _patient(story: Tree, known: float) -> Iterator[StoryEvent]:
    yield StoryEvent(0.0, "infusion", story["person"]["product"], True)
    cells, toxicity, virome = story["cells"], story["toxicity"], story["virome"]
    if cells["day"] is not None:  # samples show the cells, and no table the peak
        yield StoryEvent(cells["day"], "peak of CAR-T cells", f"{cells['peak']:.3g} {cells['unit']}", False)
    for name, words in (("crs", "CRS"), ("icans", "ICANS")):
        if toxicity[name] is not None:
            yield from _span(toxicity[name], words, f"grade {toxicity[name]['grade']}", known)
    yield from _span(toxicity["neutropenia"], "neutropenia", "", known)
    for virus in ("anellovirus", "pegivirus", "redondovirus"):
        if virome[virus]["acquired"] is not None:
            yield StoryEvent(virome[virus]["acquired"], "virus acquired", virus, False)
    if virome["ttv_high_from"] is not None:
        yield StoryEvent(virome["ttv_high_from"], "high anellovirus load", "", False)


def _cmv(story: Tree, known: float) -> Iterator[StoryEvent]:
    for e in story["episodes"]:
        which = f"episode {e['number']}"
        yield StoryEvent(e["onset"], "episode onset", which, False)
        if e["cleared"] is not None:
            yield StoryEvent(e["cleared"], "episode cleared", which, False)
        for change in e["resistance"]:
            yield StoryEvent(max(change["day"], e["onset"]), "resistance", f"{which} {change['gene']}", False)
    for s in story["samples"]:
        amount = "" if s["load"] is None else f" {s['load']:g} IU/mL"
        reason = "planned" if s["planned"] is not None else "clinical"
        yield StoryEvent(s["day"], "sample", f"{reason} {s['result']}{amount}", True)
    for s in story["sequencing"]:
        shows = ", ".join(f"{gene} {change}" for gene, change in s["shows"]) or "no change"
        yield StoryEvent(s["day"], "sample sequenced", shows if s["succeeded"] else "failed", s["day"] <= known)


def _care(story: Tree, known: float) -> Iterator[StoryEvent]:
    for course in story["toxicity"]["drugs"]:
        yield from _span(course, "course", course["drug"], known)
    yield from _span(story["letermovir"], "course", "letermovir", known)
    for treatment in story["treatments"]:
        for spell in treatment["spells"]:
            yield from _span(spell, "course", spell["drug"], known)
    harm = story["treatment_toxicity"]
    yield from _span(harm["neutropenia"], "neutropenia on treatment", "", UNSEEN)
    if harm["kidney_injury"] is not None:
        yield StoryEvent(harm["kidney_injury"], "kidney injury", "foscarnet", harm["kidney_injury"] <= known)
    for stay in story["stays"]["hospital"]:
        yield from _span(stay, "hospital stay", "initial" if stay["initial"] else "further", known)
    for stay in story["stays"]["icu"]:
        yield from _span(stay, "intensive care", "", known)


def _outcome(story: Tree, ending: Ending) -> Iterator[StoryEvent]:
    known, reason = ending.known, ending.reason.name.lower()
    yield StoryEvent(ending.day, "end of monitoring", reason.replace("_", " "), True)
    for i in story["infections"]:
        yield from _span(i, f"{i['kind']} infection", "severe" if i["severe"] else "", known)
    if story["disease"] is not None:
        yield StoryEvent(story["disease"]["day"], "CMV disease", story["disease"]["organ"], story["disease"]["day"] <= known)
    for name, words in (("relapse", "relapse"), ("new_therapy", "new therapy"), ("hct", "transplantation")):
        if story["follow_up"][name] is not None:
            yield StoryEvent(story["follow_up"][name], words, "", story["follow_up"][name] <= known)
    for name, words in (("withdrawn", "withdrawal"), ("lost", "loss to follow-up")):
        if story["follow_up"][name] is not None:
            yield StoryEvent(story["follow_up"][name], words, "", reason == name)
    for q in story["questionnaires"]:
        answer = "not filled in" if q["levels"] is None else "".join(map(str, q["levels"]))
        seen = q["day"] <= known and not story["person"]["retrospective"]
        yield StoryEvent(float(q["day"]), "questionnaire", f"{q['instrument']} {answer}", seen)
    if story["death"] is not None:
        yield StoryEvent(story["death"], "death", "", story["death"] <= known)
