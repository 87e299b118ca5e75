"""Structural choices, one at a time: the scenario under other keys, on the same patients and the same solved hazards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from cmvsim.calibration import Calibration
from cmvsim.calibration.redraw import Redraw
from cmvsim.core.errors import InputError
from cmvsim.economics.cohort import evaluate_cohort, model_of
from cmvsim.economics.comparison import IncrementRow, increment_rows
from cmvsim.economics.evaluate import Outcomes
from cmvsim.economics.settings import EvaluationSettings
from cmvsim.models.baseline import Baseline
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.scenarios.vary import vary


@dataclass(frozen=True, slots=True)
class Variant:
    """A structural choice.

    Attributes
    ----------
    choice
        Which question it answers otherwise.
    overrides
        ``KEY=VALUE`` on top of the scenario.
    """

    id: str
    choice: str
    label: str
    overrides: tuple[str, ...]


WHOLE_BLOOD = (
    "monitoring.matrix=whole_blood",
    "monitoring.lod=@lod_whole_blood",
    "monitoring.lloq=@lloq_whole_blood",
    "cmv.onset.prevalent=@prevalent_dnaemia_whole_blood",
    "preemptive_therapy.start_at=@treatment_threshold_whole_blood",
    "preemptive_therapy.accepted=@treatment_accepted_whole_blood",
)

VARIANTS = (
    Variant(
        "hospital",
        "perspective",
        "the hospital pays; tablets of outpatients are paid by others",
        ("economics.price_list=france_2025_hospital",),
    ),
    Variant("packs", "counting", "packs dispensed instead of days taken", ("economics.counted=packs",)),
    Variant(
        "untested",
        "testing on prophylaxis",
        "no planned PCR while letermovir is taken (saves tests; detection is not delayed here)",
        ("economics.tested_on_drug=false",),
    ),
    Variant("whole_blood", "matrix", "CMV monitored and treated by whole blood", WHOLE_BLOOD),
    Variant(
        "real_world",
        "efficacy source",
        "ratio of clinically significant infection of 80 against 80 transplant patients",
        ("letermovir.targets.clinically_significant=@hr_letermovir_derigs",),
    ),
    Variant(
        "death",
        "effect on death",
        "clinically significant CMV infection raises death without relapse",
        ("follow_up.death_ratios.clinically_significant=@death_ratio_cs_cmv_scenario",),
    ),
    Variant(
        "tail",
        "life after the horizon",
        "life-years and utility after the horizon, by disease and remission",
        ("economics.tail.include=true",),
    ),
    Variant(
        "tail_death",
        "life after the horizon, with an effect on death",
        "both of the two above",
        ("economics.tail.include=true", "follow_up.death_ratios.clinically_significant=@death_ratio_cs_cmv_scenario"),
    ),
    Variant("adult_set", "value set", "everybody valued by the adult set", ('economics.value_set_youth=""',)),
    Variant(
        "german_youth_set",
        "value set",
        "patients under 16 valued by the German set",
        ("economics.value_set_youth=germany_y3l",),
    ),
)
"""Every structural choice that there is, in the order of the table."""


@dataclass(frozen=True, slots=True)
class VariantRow:
    """Increments of all strategies under one structural choice; `problem` says why there are none."""

    id: str
    choice: str
    label: str
    increments: tuple[IncrementRow, ...]
    problem: str = ""


def variant_rows(
    scenario: ResolvedScenario,
    calibration: Calibration,
    redraw: Redraw,
    strategies: tuple[str, ...],
    thresholds: tuple[float, ...],
    patients: int,
    seed: int,
    tick: Callable[[int, int], None],
) -> tuple[VariantRow, ...]:
    """The same patients under each structural choice; hazards are those solved, moved where a target moves."""
    rows = []
    for done, variant in enumerate(VARIANTS):
        try:
            changed = resolve(scenario.source, (*scenario.overrides, *variant.overrides))
        except InputError as error:
            rows.append(VariantRow(variant.id, variant.choice, variant.label, (), str(error.problems[0].message)))
            continue
        baseline = redraw.baseline(changed) if changed.digest != scenario.digest else calibration.baseline
        outcomes, settings = evaluated(changed, baseline, strategies, patients, seed)
        increments = increment_rows(outcomes, settings.day_prices, thresholds)
        rows.append(VariantRow(variant.id, variant.choice, variant.label, increments))
        tick(done + 1, len(VARIANTS))
    return tuple(rows)


def evaluated(
    scenario: ResolvedScenario, baseline: Baseline, strategies: tuple[str, ...], patients: int, seed: int
) -> tuple[Outcomes, EvaluationSettings]:
    """A cohort of a scenario, and how it was valued."""
    settings = EvaluationSettings.of(scenario.spec, strategies)
    return evaluate_cohort(model_of(scenario.spec, baseline), settings, patients, seed), settings


@dataclass(frozen=True, slots=True)
class IncidenceRow:
    """Increments where the incidence of any DNAemia, as the scenario's target states it, is another one.

    Attributes
    ----------
    incidence
        Of the target; `significant` is the share with clinically significant infection that it brings under the comparator.
    """

    incidence: float
    significant: float
    increments: tuple[IncrementRow, ...]


INCIDENCE = "cmv.targets[0].value"
GRID = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def incidence_rows(
    scenario: ResolvedScenario,
    redraw: Redraw,
    strategies: tuple[str, ...],
    thresholds: tuple[float, ...],
    patients: int,
    seed: int,
    tick: Callable[[int, int], None],
) -> tuple[IncidenceRow, ...]:
    """The same patients at other incidences, up to the highest that the model reaches."""
    rows = []
    base = float(scenario.spec.cmv.incidence.value)
    grid = sorted({*GRID, base})
    for done, incidence in enumerate(grid):
        varied = vary(scenario, {INCIDENCE: incidence})
        if not redraw.reaches(varied):
            tick(done + 1, len(grid))
            continue
        outcomes, settings = evaluated(varied, redraw.baseline(varied), strategies, patients, seed)
        significant = float(outcomes.events["clinically_significant"][0].mean())
        rows.append(IncidenceRow(incidence, significant, increment_rows(outcomes, settings.day_prices, thresholds)))
        tick(done + 1, len(grid))
    return tuple(rows)


def crossing(rows: tuple[IncidenceRow, ...], place: int, threshold: int) -> float | None:
    """Incidence from which a strategy is worth today's price at a threshold, linear between rows; None where it never is."""
    points = [(row.incidence, row.increments[place].net_benefit[threshold].value) for row in rows]
    for (x, y), (next_x, next_y) in pairwise(points):
        if y < 0 <= next_y:
            return x + (next_x - x) * -y / (next_y - y)
    return points[0][0] if points and points[0][1] >= 0 else None
