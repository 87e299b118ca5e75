"""History -> Study: what survives the projection, and that the tables read back as the same study."""

from __future__ import annotations

import tempfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from simulation_build import INFECTIONS, NOBODY_LEAVES, STRESS, STRESS_BASELINE, history, model

from cmvsim.core.streams import Role
from cmvsim.data import EndReason, Study, Topic, read_study, write_study
from cmvsim.data.schema import EVENTS
from cmvsim.endpoints import ENDPOINTS
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import ClinicalSamples, History, Observation
from cmvsim.models.treatment import ANTIVIRALS
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import FOUNDATION, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.recording import record

INF, NAN = np.inf, np.nan
NOTHING = {"relapse": INF, "new_therapy": INF, "hct": INF, "withdrawn": INF, "lost": INF, "death": INF}


def _stressed() -> History:
    return history(model(*STRESS, "follow_up.lost_by_90=0.3", "follow_up.withdrawn_by_90=0.2", baseline=STRESS_BASELINE), 40)


def _one(*, closing: float = 90.0, courses: tuple[tuple[float, float], ...] = (), **events: float) -> Study:
    """The record of one patient with given events and samples on days 0, 7 and 90."""
    base = simulate(model(), ChunkDraws(1, Role.STUDY, 0, 1, replicates=1))
    at = {name: np.array([[value]]) for name, value in (NOTHING | events).items()}
    death = at.pop("death")
    seen = Observation(**at)
    time = np.array([0.0, 7.0, closing])
    time = np.where(time > min(seen.monitoring_end[0, 0], 1e9), NAN, time)
    code = np.where(np.isnan(time), 0, 1).astype(np.int8)
    samples = ClinicalSamples(
        visits=3,
        nominal=np.array([0.0, 7.0, 90.0]),
        time=time[None, None],
        result=code[None, None],
        load=np.full((1, 1, 3), NAN),
        extra=np.zeros((1, 1, 3), dtype=np.bool_),
        matrix="plasma",
        lod=20.0,
        lloq=35.0,
    )
    start, stop = (np.array(courses or [(NAN, NAN)])[None, None, :, i] for i in range(2))
    drug = np.where(np.isnan(start), 0, 1).astype(np.int8)
    assert base.treatment is not None
    assert base.disease is not None
    none = np.full((1, 1), INF)
    return record(
        replace(
            base,
            observation=seen,
            samples=samples,
            death=death,
            disease=replace(base.disease, time=none),
            treatment=replace(base.treatment, start=start, stop=stop, drug=drug, drug_start=start, drug_stop=stop),
        ),
        frozenset(),
    )


END_OF = {
    "nothing": ({}, EndReason.COMPLETED, 90, NAN),
    "a late closing visit": ({"closing": 93.0}, EndReason.COMPLETED, 93, NAN),
    "an early closing visit": ({"closing": 88.0}, EndReason.COMPLETED, 90, NAN),
    "death": ({"death": 40.2}, EndReason.DEATH, 41, 41),
    "death at the end of day 40": ({"death": 40.0}, EndReason.DEATH, 40, 40),
    "death on day 90": ({"death": 89.4}, EndReason.DEATH, 90, 90),
    "death after the last planned visit is not known": ({"death": 90.5}, EndReason.COMPLETED, 90, NAN),
    "death between the planned day and a late closing visit": ({"death": 91.5, "closing": 93.0}, EndReason.COMPLETED, 90, NAN),
    "death between a late closing visit and the horizon": ({"death": 94.5, "closing": 93.0}, EndReason.COMPLETED, 93, NAN),
    "death on the day of a late closing visit": ({"death": 93.0, "closing": 93.0}, EndReason.DEATH, 93, 93),
    "loss, with the last sample": ({"lost": 40.2}, EndReason.LOST, 7, NAN),
    "withdrawal": ({"withdrawn": 40.9}, EndReason.WITHDRAWN, 40, NAN),
    "transplantation": ({"hct": 40.2}, EndReason.HCT, 41, NAN),
    "new therapy": ({"relapse": 40.2, "new_therapy": 40.2}, EndReason.NEW_THERAPY, 40, NAN),
    "relapse alone": ({"relapse": 40.2}, EndReason.COMPLETED, 90, NAN),
    "death after loss is not known": ({"lost": 40.2, "death": 50.5}, EndReason.LOST, 7, NAN),
    "death after withdrawal is not known": ({"withdrawn": 40.2, "death": 50.5}, EndReason.WITHDRAWN, 40, NAN),
    "death after new therapy is": ({"relapse": 40.2, "new_therapy": 40.2, "death": 50.5}, EndReason.NEW_THERAPY, 40, 51),
    "death after transplantation is": ({"hct": 40.2, "death": 50.5}, EndReason.HCT, 41, 51),
    "death before loss": ({"lost": 50.5, "death": 40.2}, EndReason.DEATH, 41, 41),
    "loss before transplantation": ({"lost": 40.2, "hct": 41.0}, EndReason.LOST, 7, NAN),
    "loss after the end": ({"lost": 95.0}, EndReason.COMPLETED, 90, NAN),
    "loss on the first day": ({"lost": 0.4}, EndReason.LOST, 0, NAN),
}


@pytest.mark.parametrize("case", END_OF)
def test_end_of_monitoring(case: str) -> None:
    events, reason, end, death = END_OF[case]
    d = _one(**events).disposition  # type: ignore[arg-type]
    assert (int(d.reason[0, 0]), float(d.end[0, 0])) == (reason, end)
    np.testing.assert_equal(float(d.death[0, 0]), death)


def test_events_are_dated_by_the_day_that_contains_them_and_known_until_loss() -> None:
    study = _one(relapse=20.3, hct=35.0, withdrawn=50.0)
    assert {name: float(day.first[0, 0]) for name, day in study.events.items() if not np.isnan(day.first[0, 0])} == {
        "relapse": 21,
        "hct": 35,
    }
    assert np.isnan(_one(relapse=20.3, lost=20.1).events["relapse"].first[0, 0])
    assert np.isnan(_one(relapse=20.3, death=20.1).events["relapse"].first[0, 0])


def test_samples_after_death_do_not_exist() -> None:
    study = _one(death=6.5)
    assert study.samples.result[0, 0].tolist() == [1, 0, 0]
    assert np.isnan(study.samples.day[0, 0, 1:]).all()
    assert _one(death=7.0).samples.result[0, 0].tolist() == [1, 1, 0], "a sample at the end of the day of death"


def test_courses_are_known_until_loss_or_death() -> None:
    c = _one(courses=((10.0, 24.0), (40.0, 54.0)), withdrawn=45.5).exposures["valganciclovir"]
    assert c.start[0, 0].tolist() == [10, 40]
    assert c.stop[0, 0, 0] == 25, "the last day + 1: a drug stopped at the end of day 24"
    assert np.isnan(c.stop[0, 0, 1]), "the course was still going on when the patient withdrew"
    c = _one(courses=((5.0, 24.0), (10.0, 24.0)), lost=45.5).exposures["valganciclovir"]
    assert c.start[0, 0, 0] == 5
    assert np.isnan(c.start[0, 0, 1]), "after the last contact on day 7"
    c = _one(courses=((10.0, NAN),)).exposures["valganciclovir"]
    assert c.start[0, 0, 0] == 10
    assert np.isnan(c.stop[0, 0, 0]), "still going on"
    c = _one(courses=((50.0, 60.0),), death=45.5).exposures["valganciclovir"]
    assert np.isnan(c.start).all()


@pytest.mark.parametrize(
    ("start", "stop", "first", "after"),
    [(5.2, 5.9, 6, 7), (5.0, 5.5, 5, 7), (5.2, 6.0, 6, 7), (5.2, 6.1, 6, 8), (5.2, 9.0, 6, 10)],
)
def test_a_course_lasts_a_day_at_least(start: float, stop: float, first: float, after: float) -> None:
    """The tables hold the first day and the last day + 1: also of a course that begins and ends within a day."""
    c = _one(courses=((start, stop),)).exposures["valganciclovir"]
    assert (c.start[0, 0, 0], c.stop[0, 0, 0]) == (first, after)


@pytest.mark.parametrize("event", ["death", "withdrawn"])
def test_a_course_that_outlasts_what_is_known_has_no_stop(event: str) -> None:
    c = _one(courses=((5.0, 30.0),), **{event: 5.0}).exposures["valganciclovir"]
    assert c.start[0, 0, 0] == 5
    assert np.isnan(c.stop[0, 0, 0])


def test_all_recorded_courses_last_a_day_at_least() -> None:
    study = record(_stressed())
    assert set(study.exposures) == {*ANTIVIRALS, "corticosteroids", "tocilizumab", "anakinra", "aciclovir"}
    for drug, c in study.exposures.items():
        assert np.isfinite(c.start).sum() > 50, drug
        assert not np.any(c.stop <= c.start), drug


def test_a_drug_that_is_never_given_is_no_course() -> None:
    """Where nobody dies or is lost, nothing limits what is known; a course that never begins is still none."""
    study = record(history(model(*NOBODY_LEAVES, baseline=Baseline(0.6, 13.0, (0.0,) * 3, (0.0,) * 3, *INFECTIONS)), 10))
    for drug, c in study.exposures.items():
        assert not np.isinf(c.start).any(), drug
        assert np.isfinite(c.start).mean() < (1.0 if drug == "aciclovir" else 0.9), drug


def test_nothing_is_known_after_the_last_simulated_day() -> None:
    """Laws reach beyond the horizon (a transplantation in ten years); a study that has ended does not know of it.

    The last visit is planned for day 90 and made by day 91; a course that ends on day 91 has stop day 92.
    """
    h = history(model(), 60)
    study = record(h)
    latest = {name: float(np.nanmax(day.day, initial=0)) for name, day in study.events.items()}
    latest |= {drug: float(np.nanmax(np.stack([c.start, c.stop]), initial=0)) for drug, c in study.exposures.items()}
    latest["death"] = float(np.nanmax(study.disposition.death, initial=0))
    assert {name: day for name, day in latest.items() if day > 91 + (name in study.exposures)} == {}


def test_no_latent_quantity_survives() -> None:
    """Everything in a study is a whole day, a code, a reported load, or a baseline trait that the tables have a place for."""
    study = record(_stressed())
    places = {"age", "sex", "site", "product", "part", "prior_allogeneic_hct", "arm"}
    assert set(study.subjects.covariates) <= places, "a covariate without a column"
    tables = {"virome", "car_t", "sequencing", "questionnaires", "stays", "resources"}
    assert {f.name for f in fields(study)} == {"subjects", "samples", "disposition", "events", "exposures"} | tables
    assert set(study.events) <= set(EVENTS)
    loads = study.samples.load[study.samples.result == 3]
    assert loads.size > 1000
    assert all(float(f"{x:.2e}") == x for x in loads[:2000])


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("name", ["cmv-cart", "cmv-cart-whole-blood"])
def test_tables_read_back_give_the_same_endpoints(complete: bool, name: str) -> None:
    plan = resolve(name).spec.analysis
    h = history(model(scenario=name), 80)
    study = record(h, frozenset(Topic) if complete else frozenset())
    for replicate in (0, 7, 63):
        with tempfile.TemporaryDirectory() as folder:
            write_study(study, replicate, Path(folder))
            back = read_study(Path(folder))
        for entry in ENDPOINTS.values():
            if not entry.needs <= FOUNDATION:
                continue  # of processes that did not run
            for change in (
                {},
                {"relapse": "competing"},
                {"prevalent": "count"},
                {"definition": {"at_least": 250}},
                {"definition": "clinically_significant"},
            ):
                spec = plan.model_validate({**plan.human(), **change})
                mine, again = entry.derive(study, spec), entry.derive(back, spec)
                assert again.cause.shape == (1, 80)
                np.testing.assert_array_equal(again.cause[0], mine.cause[replicate])
                kept = mine.cause[replicate] >= 0
                np.testing.assert_array_equal(again.time[0][kept], mine.time[replicate][kept])


def test_a_history_without_cmv_cannot_be_recorded() -> None:
    h = simulate(model(), ChunkDraws(1, Role.STUDY, 0, 2), needs=frozenset())
    with pytest.raises(ValueError, match="without CMV"):
        record(h)
