"""Turnaround and occupancy as `cmvsim accrual` tells them: figures against the programmes they are made of."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from cmvsim.models.capacity import CapacitySpec
from cmvsim.planning.programme import DRAWN, LIMITED, ProgrammeForecast, forecast_programme, months, rows, tree, weekdays
from cmvsim.report.programme_figures import occupancy_figure, turnaround_figure
from cmvsim.report.programme_text import beds_summary, programme_markdown, programme_sentence, programme_summary, value
from cmvsim.simulation.programme import MONTH
from tests.simulation.pathway_build import catalogue_model
from tests.simulation.test_properties_programme import LABORATORY

PATIENTS = 40
CAPACITY = {
    "laboratory": LABORATORY,
    "infusions": {"slots_per_week": 3},
    "ward": {"beds": 12, "others": 4, "other_stay": 20},
    "icu": {"beds": 2, "others": 1, "other_stay": 6},
}


@cache
def forecast(laboratory: bool = True) -> ProgrammeForecast:
    capacity = CapacitySpec.parse(CAPACITY if laboratory else {**CAPACITY, "limits": ["infusions", "ward", "icu"]})
    ticks: list[tuple[int, int]] = []

    def enrolment(replicate: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        days = np.sort(np.random.default_rng(replicate).uniform(0, 150, PATIENTS))
        days[-2:] = np.inf  # never reached
        return days

    found = forecast_programme(
        catalogue_model("lin-2024", "population.retrospective_share=0.2", amplitude=6.0),
        capacity,
        enrolment,
        patients=PATIENTS + 10,
        seed=4,
        replicates=3,
        first_weekday=2,
        tick=lambda done, total: ticks.append((done, total)),
    )
    assert ticks[-1] == ((6, 6) if laboratory else (3, 3))
    return found


def test_every_figure_is_the_mean_of_the_studies() -> None:
    found = forecast()
    told = {(row["turnaround"], row["part"], row["measure"]): row for row in rows(found)}
    for arm, programmes in found.arms.items():
        each = [programme.specimens.turnaround.mean() for programme in programmes]
        row = told[arm, "laboratory", "turnaround_mean"]
        assert row["value"] == pytest.approx(np.mean(each))
        assert row["mcse"] == pytest.approx(np.std(each, ddof=1) / np.sqrt(3))
    assert told[DRAWN, "treatment", "sample_to_start_mean"]["value"] == pytest.approx(2.0)
    assert told[LIMITED, "treatment", "sample_to_start_mean"]["value"] > 2.0
    assert (DRAWN, "ward", "occupied_mean") not in told
    assert 0 < told[LIMITED, "ward", "occupancy"]["value"] <= 1


def test_both_arms_are_the_same_patients_infused_on_the_same_days() -> None:
    for a, b in zip(forecast().limited, forecast().drawn, strict=True):
        np.testing.assert_array_equal(a.infused, b.infused)
        np.testing.assert_array_equal(a.enrolled, b.enrolled)
        assert [story.patient for story in a.histories] == [story.patient for story in b.histories]
        assert a.infused.size <= PATIENTS - 2  # neither the retrospective nor those never reached
        assert [story.patient for story in a.histories] != list(range(a.infused.size))


def test_months_hold_all_samples_and_the_beds_of_the_whole_time() -> None:
    found, table = forecast(), months(forecast())
    assert sum(row["samples_shared"] for row in table) == sum(p.specimens.patient.size for p in found.limited)
    for month, row in enumerate(table):
        edges = np.array([month, month + 1]) * MONTH
        going = [p for p in found.limited if p.span[0] <= edges[1] and p.span[1] >= edges[0]]
        assert row["studies"] == len(going)
        if going:
            assert row["ward_occupied"] == pytest.approx(np.mean([p.ward.occupied.means(edges)[0] for p in going]))
        else:
            assert row["ward_occupied"] is None


def test_samples_of_closed_days_wait_longest() -> None:
    told = weekdays(forecast(), 2)
    assert sum(day["samples"] for day in told) == sum(p.specimens.patient.size for p in forecast().limited)
    mean = [day["turnaround_mean"] for day in told]
    assert max(range(7), key=lambda k: mean[k] or 0.0) == 4  # Friday's are received on Saturday


def test_words_and_figures_of_both_kinds() -> None:
    for laboratory in (True, False):
        found = forecast(laboratory)
        told = json.loads(json.dumps(tree(found, first_weekday=2, replicates=3, planned=1.0), allow_nan=False))
        assert told["limited"] == (["infusions", "laboratory", "ward", "icu"] if laboratory else ["infusions", "ward", "icu"])
        assert ("as planned, it would be 2 days" in programme_sentence(told)) == laboratory
        labels = [line[0] for line in programme_summary(told)]
        assert len(labels) == (7 if laboratory else 5)
        assert len(beds_summary(told)) == 3
        assert "## Turnaround and occupancy" in programme_markdown(told)
        assert value(told, "laboratory", "turnaround_q50") == (pytest.approx(1.458, abs=0.01) if laboratory else 1.0)
        one = found.limited[0]
        steps = {"ward_occupied": one.ward.occupied, "ward_of_study": one.ward.of_study,
                 "icu_occupied": one.icu.occupied, "icu_of_study": one.icu.of_study}  # fmt: skip
        example = {name: (line.times, line.values) for name, line in steps.items()} | {"runs": (one.runs[:, 0], one.runs[:, 1])}
        assert len(occupancy_figure(told, example).axes) == (3 if laboratory else 2)
        values = {arm: programmes[0].specimens.turnaround for arm, programmes in found.arms.items()}
        assert len(turnaround_figure(told, values, values).axes) == 4
    assert programme_markdown({}) == []
    assert programme_sentence({}) == ""
