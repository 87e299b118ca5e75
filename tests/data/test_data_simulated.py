"""Simulated studies as tables: clinical samples, drugs by name and CMV disease survive, and so does the analysis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cmvsim.core.streams import Role
from cmvsim.data import Result, Study, read_study, write_study
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.models.baseline import Baseline
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import FOUNDATION, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

CLINIC = (
    "population.retrospective_share=0.5",
    (
        "monitoring.clinical={ phases = [{ start = -10, odds = 0.2 }, { start = 29, odds = 0.1 }], inpatient = 3, "
        "corticosteroids = 2, crs = 1.5, neutropenia = 1.2, score = 1.2, follow_up_every = 4, between_visits = true }"
    ),
    "cmv.load.set_point={ mean = 3.5, varies = { sd = 0.8 } }",
    "cmv.load.treated.refractory=0.5",
    "cmv.disease.hazard=0.02",
    "preemptive_therapy.accepted=0.7",
    "preemptive_therapy.toxicity.neutropenia.probability=0.9",
    "preemptive_therapy.toxicity.kidney_injury.probability=0.9",
)
BASELINE = Baseline(
    2.0, 13.0, (5e-4,) * 3, (4e-3,) * 3, (0.0036, 0.0011), (3e-4, 1.8e-4), letermovir=LetermovirEffect(0.9, 0.0)
)
PATIENTS, REPLICATE = 150, 2
DRUGS_USED = {"valganciclovir", "ganciclovir", "foscarnet", "maribavir", "letermovir", "corticosteroids", "tocilizumab"}


@pytest.fixture(scope="module")
def study() -> Study:
    model = Model.of(resolve("letermovir-strategies", CLINIC).spec, BASELINE)
    return record(simulate(model, ChunkDraws(3, Role.STUDY, 0, PATIENTS), needs=FOUNDATION, strategy="steroid_triggered"))


@pytest.fixture(scope="module")
def folder(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("study")
    write_study(study, REPLICATE, place)
    return place


def test_the_study_has_what_this_test_is_about(folder: Path) -> None:
    """Else the tests below would pass without looking at it."""
    assert set(pd.read_csv(folder / "exposures.csv")["drug"]) >= DRUGS_USED
    assert set(pd.read_csv(folder / "events.csv")["event"]) >= {"cmv_disease", "relapse", "new_therapy"}
    samples, subjects = pd.read_csv(folder / "samples.csv"), pd.read_csv(folder / "subjects.csv")
    assert set(subjects["part"]) == {"prospective", "retrospective"}
    assert set(samples["reason"]) == {"protocol", "clinical"}
    assert (samples["nominal_day"].isna() == (samples["reason"] == "clinical")).all()
    assert samples.loc[samples["reason"] == "clinical", "day"].notna().all()


def test_retrospective_patients_have_no_protocol_samples(folder: Path) -> None:
    samples = pd.read_csv(folder / "samples.csv").merge(pd.read_csv(folder / "subjects.csv")[["patient", "part"]])
    assert set(samples.loc[samples["part"] == "retrospective", "reason"]) == {"clinical"}


def test_samples_read_back(study: Study, folder: Path) -> None:
    """By plain loops: the samples taken, in order of days."""
    back = read_study(folder).samples
    for i in range(PATIENTS):
        taken = [
            (float(study.samples.day[REPLICATE, i, v]), int(result), float(study.samples.load[REPLICATE, i, v]))
            for v, result in enumerate(study.samples.result[REPLICATE, i])
            if result != Result.NONE
        ]
        read = [
            (float(back.day[0, i, v]), int(result), float(back.load[0, i, v]))
            for v, result in enumerate(back.result[0, i])
            if result != Result.NONE
        ]
        np.testing.assert_equal(read, sorted(taken, key=lambda row: row[0]))


def test_drugs_and_disease_read_back(study: Study, folder: Path) -> None:
    back = read_study(folder)
    for drug, courses in study.exposures.items():
        for i in range(PATIENTS):
            mine = np.sort(courses.start[REPLICATE, i][~np.isnan(courses.start[REPLICATE, i])])
            read = back.exposures[drug].start[0, i]
            np.testing.assert_array_equal(read[~np.isnan(read)], mine, err_msg=drug)
    for event, days in study.events.items():
        np.testing.assert_array_equal(back.events[event].first[0], days.first[REPLICATE])


@pytest.mark.parametrize("definition", ["detected", "quantifiable", "clinically_significant", {"at_least": 1000}])
def test_the_analysis_of_the_tables_is_that_of_the_arrays(study: Study, folder: Path, definition: object) -> None:
    plan = AnalysisSpec.parse({"endpoints": ["cmv_reactivation"], "window": 90, "definition": definition})
    primary = endpoint("cmv_reactivation")
    simulated, read = primary.derive(study, plan), primary.derive(read_study(folder), plan)
    np.testing.assert_array_equal(read.time[0], simulated.time[REPLICATE])
    np.testing.assert_array_equal(read.cause[0], simulated.cause[REPLICATE])
    assert 0 < (read.cause[0] == 1).sum() < PATIENTS


def test_writing_again_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    for path in write_study(read_study(folder), 0, tmp_path / "again"):
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name
