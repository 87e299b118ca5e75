"""The part of ``cmvsim accrual`` on shared resources: turnaround and occupancy over the study's calendar."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import numpy as np
import pandas as pd

from cmvsim.calibration import calibrate
from cmvsim.planning import programme as plan
from cmvsim.planning.accrual import enrolment_days
from cmvsim.scenarios import ResolvedScenario
from cmvsim.simulation.model import Model
from cmvsim.verbs.ui import Tick


class Progress(Protocol):
    """A voice."""

    def progress(self, label: str) -> AbstractContextManager[Tick]:
        """Progress of a stage."""
        ...


@dataclass(frozen=True)
class ProgrammeSection:
    """What `cmvsim accrual` adds to its results.

    Attributes
    ----------
    tree
        Under ``turnaround_and_occupancy`` of ``results.json``; empty where no study was simulated.
    files
        By name.
    """

    tree: dict[str, Any]
    files: dict[str, str | bytes]


def programme_section(
    scenario: ResolvedScenario, *, patients: int, seed: int, replicates: int, ui: Progress
) -> ProgrammeSection:
    """Simulate some studies with what their patients share.

    Parameters
    ----------
    patients
        Of the study, both parts together.
    replicates
        Studies, the first ones of the recruitment forecast; 0: none.

    Raises
    ------
    CalibrationError
        If the scenario's hazards cannot be solved.
    """
    spec = scenario.spec
    first = date.fromisoformat(spec.accrual.start).weekday() if spec.accrual.start else 0
    if replicates == 0:
        return ProgrammeSection({}, {})
    with ui.progress("solving the scenario's hazards"):
        model = Model.of(spec, calibrate(scenario).baseline)
    with ui.progress("simulating laboratory, slots and beds") as tick:
        forecast = plan.forecast_programme(
            model,
            spec.capacity,
            lambda replicate: enrolment_days(spec, patients, seed=seed, replicate=replicate),
            patients=patients,
            seed=seed,
            replicates=replicates,
            first_weekday=first,
            tick=tick,
        )
    if not forecast.limited:
        return ProgrammeSection({}, {})
    tree = plan.tree(forecast, first_weekday=first, replicates=replicates, planned=float(spec.monitoring.turnaround))
    months = pd.DataFrame(tree["months"]).to_csv(index=False, lineterminator="\n", float_format="%.12g")
    return ProgrammeSection(tree, {"months.csv": months, **_figures(tree, forecast)})


def _figures(tree: dict[str, Any], forecast: plan.ProgrammeForecast) -> dict[str, str | bytes]:
    from cmvsim.report import programme_figures as draw
    from cmvsim.report.style import png

    turnaround = {arm: draw.pooled([p.specimens.turnaround for p in found]) for arm, found in forecast.arms.items()}
    delay = {arm: draw.pooled([p.starts.delay for p in found]) for arm, found in forecast.arms.items()}
    one = forecast.limited[0]
    start, stop = one.span
    steps = {"ward_occupied": one.ward.occupied, "ward_of_study": one.ward.of_study, "icu_occupied": one.icu.occupied,
             "icu_of_study": one.icu.of_study}  # fmt: skip
    example = {"runs": (one.runs[:, 0], one.runs[:, 1])}
    for name, line in steps.items():
        times = np.unique(np.concatenate([[start, stop], line.times[(line.times > start) & (line.times < stop)]]))
        example[name] = (times, line.at(times))
    return {
        "figures/turnaround.png": png(draw.turnaround_figure(tree, turnaround, delay)),
        "figures/occupancy.png": png(draw.occupancy_figure(tree, example)),
    }
