"""One patient's story as a plain tree, for those who tell or draw it: what was given, what happened, what was seen.

Days are continuous, from infusion. The story ends with death or at the horizon: what lies beyond is left out, and what
goes on then is cut there (`until` says by what). None: it did not happen, or is not known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmvsim.models.toxicity import DRUGS
from cmvsim.models.virome import VIRUSES
from cmvsim.models.windows import Windows
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.pathway.facts import Facts, Shared, Window
from cmvsim.simulation.pathway.records import PatientHistory, QuestionnaireRecord
from cmvsim.simulation.pathway.story_cmv import cmv_of
from cmvsim.valuation import ValueSet, value_set, value_sets

Tree = dict[str, Any]
INSTRUMENTS = {"adult": "EQ-5D-5L", "youth": "EQ-5D-Y-3L"}
GRID = 1e-5
"""Days: times within it were meant to be the same."""


@dataclass(frozen=True, slots=True)
class Case:
    """A patient to be told of.

    Attributes
    ----------
    plan
        Name of the strategy, as the story was simulated.
    end
        The earlier of death and horizon.
    """

    background: Background
    facts: Facts
    story: PatientHistory
    plan: str | None

    @classmethod
    def of(cls, background: Background, story: PatientHistory, plan: str | None) -> Case:
        """The case of a story and the background that it was laid on."""
        draws = background.draws
        assert isinstance(draws, ChunkDraws)
        row = story.patient * draws.replicates + story.replicate
        return cls(background, Shared(background).facts(row), story, plan)

    @property
    def end(self) -> float:
        """When the story ends."""
        return min(self.story.death, self.background.model.horizon)

    def lived(self, time: float) -> float | None:
        """A time up to the end."""
        return time if time <= self.end else None

    def window(self, window: Window) -> Tree | None:
        """A window that began in the story, cut at its end."""
        if not (window.exists and window.start <= self.end):
            return None
        until = "over" if window.stop <= self.end else "death" if self.story.death <= self.end else "horizon"
        return {"start": window.start, "stop": min(window.stop, self.end), "until": until}

    def given(self, windows: Windows) -> Tree | None:
        """The patient's window of a background that all patients share."""
        row = self.facts.row
        return self.window(Window(float(windows.start[row]), float(windows.stop[row])))


def story_tree(background: Background, story: PatientHistory, plan: str | None) -> Tree:
    """The story of one patient.

    Parameters
    ----------
    background
        What the story was laid on.
    story
        From the pathway engine.
    plan
        Name of the strategy.
    """
    case, model = Case.of(background, story, plan), background.model
    return {
        "inclusion": model.inclusion_day,
        "horizon": model.horizon,
        "end": case.end,
        "person": _person(case),
        "cells": _cells(case),
        "toxicity": _toxicity(case),
        "virome": _virome(case),
        "letermovir": _letermovir(case),
        **cmv_of(case),
        "infections": _infections(case),
        "follow_up": _follow_up(case),
        "stays": _stays(case),
        "questionnaires": _questionnaires(case),
        "death": case.lived(story.death),
    }


def _person(case: Case) -> Tree:
    p, row, facts = case.background.population, case.facts.row, case.facts
    stratum = tuple(p.spec.strata.values())[facts.stratum]
    return {
        "stratum": tuple(p.spec.strata)[facts.stratum],
        "label": stratum.label,
        "disease": stratum.disease,
        "product": p.spec.products[int(p.product[row])],
        "age": facts.age,
        "female": bool(p.female[row]),
        "retrospective": facts.retrospective,
        "site": facts.site,
        "sites": int(float(p.spec.sites)),
        "seropositive": facts.seropositive,
        "aciclovir": facts.aciclovir,
        "prior_allogeneic_hct": facts.prior_allogeneic_hct,
        "lymphocytes": facts.lymphocytes,
        "hematotox_high": bool(p.hematotox_high[row]),
        "immunosuppression_score": facts.score,
    }


def _cells(case: Case) -> Tree:
    k, row = case.background.kinetics, case.facts.row
    disease, product = k.population.spec.cells[int(k.population.cell[row])]
    return {
        "peak": float(k.cmax[row]),
        "unit": k.spec.assay(disease, product).unit,
        "day": case.lived(float(k.tmax[row])),
        "over_median": math.exp(float(k.expansion[row])),
    }


def _toxicity(case: Case) -> Tree:
    t, row = case.background.toxicity, case.facts.row
    tree: Tree = {"neutropenia": case.given(t.neutropenia)}
    for name, grades, windows in (("crs", t.crs_grade, t.crs), ("icans", t.icans_grade, t.icans)):
        window = case.given(windows)
        tree[name] = None if window is None else {"grade": int(grades[row]), **window}
    courses = [(drug, case.window(case.facts.drugs[drug])) for drug in DRUGS]
    return tree | {"drugs": [{"drug": drug, **window} for drug, window in courses if window is not None]}


def _virome(case: Case) -> Tree:
    v, row = case.background.virome, case.facts.row
    tree: Tree = {
        name: {"at_baseline": bool(v.baseline(name)[row]), "acquired": case.lived(float(v.acquired(name)[row]))}
        for name in VIRUSES
    }
    days = [day for day in v.visits if day <= case.end]
    measured = [[day, float(v.observed(day)[row])] for day in days]
    return tree | {
        "ttv_high_from": case.lived(float(v.first_high()[row])),
        "ttv_high_level": float(v.spec.anellovirus.load.high),
        "ttv_log10": [[day, load if math.isfinite(load) else None] for day, load in measured],
    }


def _letermovir(case: Case) -> Tree | None:
    """The course as taken, what had been planned, and why it ended before."""
    taken, planned = case.window(case.story.letermovir), case.facts.letermovir
    courses, row, f = case.background.prophylaxis, case.facts.row, case.facts.follow_up
    if planned is None or courses is None or case.plan is None:
        return None
    plan = case.background.model.strategies[case.plan]
    tree = {"dose": float(courses.dose[row]), "adherence": planned.adherence, "days_planned": _days(plan.duration)}
    if taken is None:
        return tree | {"start": None, "stop": None, "until": "never begun", "because": ""}
    stop, because = case.story.letermovir.stop, ""
    if stop < planned.course.stop:
        because = "pre-emptive therapy"
    elif abs(stop - f.hct) <= GRID:
        because = "transplantation"
    elif abs(stop - f.new_therapy) <= GRID:
        because = "new therapy"
    elif stop - planned.course.start < tree["days_planned"] - GRID:
        because = (
            "latest day of the plan" if plan.latest_stop is not None and stop == _days(plan.latest_stop) else "other reasons"
        )
    return tree | taken | {"because": because if taken["until"] == "over" else ""}


def _days(value: Any) -> float:
    return float(value)


def _infections(case: Case) -> list[Tree]:
    story = case.story
    all_of = [("bacterial", i) for i in story.bacterial] + ([("fungal", story.fungal)] if story.fungal is not None else [])
    told = [(kind, i.severe, case.window(Window(i.start, i.stop))) for kind, i in all_of]
    return sorted(
        ({"kind": kind, "severe": severe, **window} for kind, severe, window in told if window is not None),
        key=lambda tree: float(tree["start"]),
    )


def _follow_up(case: Case) -> Tree:
    f = case.story.follow_up
    names = ("relapse", "new_therapy", "hct", "withdrawn", "lost")
    return {name: case.lived(getattr(f, name)) for name in names}


def _stays(case: Case) -> Tree:
    s = case.story.stays
    alive = case.story.death > case.background.model.horizon

    def cut(window: Window) -> Tree:
        """Stays are cut already, at the last point of the grid before the end."""
        runs = window.stop > case.end - GRID
        return {"start": window.start, "stop": window.stop, "until": ("horizon" if alive else "death") if runs else "over"}

    planned = case.facts.planned_stay
    return {
        "planned": {"start": planned.start, "stop": planned.stop},
        "hospital": [{**cut(w), "initial": w.contains(planned.start)} for w in s.hospital],
        "icu": [cut(w) for w in s.icu],
    }


def _questionnaires(case: Case) -> list[Tree]:
    return [_questionnaire(q, case.background.model.quality_of_life.value_set.value) for q in case.story.questionnaires]


def _questionnaire(q: QuestionnaireRecord, preferred: str) -> Tree:
    """Answers with their index: of the scenario's value set, or of the first for the instrument where that is another's."""
    instrument = INSTRUMENTS[q.instrument]
    values = _values_of(instrument, preferred)
    return {
        "day": q.day,
        "instrument": instrument,
        "proxy": q.proxy,
        "levels": list(q.levels) or None,
        "vas": q.vas if q.levels else None,
        "value_set": values.name,
        "index": float(values.index(np.array(q.levels))) if q.levels else None,
    }


def _values_of(instrument: str, preferred: str) -> ValueSet:
    first = value_set(preferred)
    return first if first.instrument == instrument else next(v for v in value_sets().values() if v.instrument == instrument)
