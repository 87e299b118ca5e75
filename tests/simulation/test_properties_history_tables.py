"""The history as tables: one per topic, the same facts as the arrays, nothing after death, and CMV off leaves no CMV."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.ledger import Item
from cmvsim.core.streams import Role
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import History
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.models.treatment import ANTIVIRALS
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import ALL, FOUNDATION, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.history_tables import history_tables
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

MANY_EVENTS = (
    "cmv.load.set_point={ mean = 3.5, varies = { sd = 0.8 } }",
    "cmv.disease.hazard=0.01",
    "resistance.ganciclovir.change=0.5",
    "resistance.aciclovir.change=0.3",
    "resistance.aciclovir.ul54=0.1",
)
BASELINE = Baseline(
    1.5, 13.0, (1e-3,) * 3, (4e-3,) * 3, (0.0036, 0.0011), (0.003, 0.0018), letermovir=LetermovirEffect(0.7, -0.5)
)
PATIENTS, REPLICATE = 40, 3
TOPICS = {
    *("patients", "toxicity", "virome", "episodes", "spells", "disease", "prophylaxis", "infections", "resistance"),
    *("sequencing", "stays", "ledger", "questionnaires"),
}


def made(*, cmv: bool = True, strategy: str = "universal") -> History:
    spec = resolve("letermovir-strategies", MANY_EVENTS).spec
    model = Model.of(spec, BASELINE, convert(spec.quality_of_life))
    draws = ChunkDraws(1, Role.STUDY, 0, PATIENTS)
    return simulate(model, draws, needs=ALL, path=True, strategy=strategy, cmv=cmv)


@pytest.fixture(scope="module")
def history() -> History:
    return made()


@pytest.fixture(scope="module")
def tables(history: History) -> dict[str, pd.DataFrame]:
    return history_tables(history, REPLICATE)


def number(names: pd.Series) -> np.ndarray:
    """Index of the patient from its name."""
    return names.str[1:].astype(int).to_numpy() - 1


def test_there_is_a_table_for_every_topic_and_none_is_empty(tables: dict[str, pd.DataFrame]) -> None:
    assert set(tables) == {f"history_{topic}" for topic in TOPICS}
    for name, table in tables.items():
        assert len(table) > 0, name
        assert table.columns[0] == "patient", name
        assert table.columns.is_unique, name
        assert set(number(table["patient"])) <= set(range(PATIENTS)), name


@pytest.mark.parametrize("topic", ["patients", "toxicity", "virome"])
def test_topics_of_all_patients_have_a_row_each(tables: dict[str, pd.DataFrame], topic: str) -> None:
    assert list(number(tables[f"history_{topic}"]["patient"])) == list(range(PATIENTS))


def test_nothing_begins_after_death(tables: dict[str, pd.DataFrame]) -> None:
    death = tables["history_patients"].set_index("patient")["death"].fillna(np.inf)
    assert np.isfinite(death).any()
    starts = {
        "toxicity": [f"{name}_start" for name in ("crs", "icans", "neutropenia", "corticosteroids", "tocilizumab", "anakinra")],
        "virome": ["anellovirus_acquired", "pegivirus_acquired", "redondovirus_acquired", "high_anellovirus_from"],
        "episodes": ["onset", "plateau_end", "cleared"],
        "spells": ["start", "stop", "neutropenia", "kidney_injury"],
        "disease": ["day"],
        "prophylaxis": ["start", "stop"],
        "infections": ["start", "stop"],
        "resistance": ["day"],
        "sequencing": ["day"],
        "stays": ["start", "stop"],
        "ledger": ["start", "stop"],
        "questionnaires": ["day"],
    }
    for topic, columns in starts.items():
        table = tables[f"history_{topic}"]
        for column in columns:
            late = table[column].astype(float) > table["patient"].map(death)
            assert not late.any(), (topic, column)


def test_rows_are_the_arrays(history: History, tables: dict[str, pd.DataFrame]) -> None:
    """By plain loops over one replicate."""
    end = np.minimum(history.death[REPLICATE], history.horizon)
    care, episodes, infections = history.treatment, history.episodes, history.infections
    assert care is not None
    assert episodes is not None
    assert infections is not None
    spells, onsets, ill = [], [], []
    for i in range(PATIENTS):
        flat = i * history.replicates + REPLICATE
        drugs, starts = care.drug[REPLICATE, i], care.drug_start[REPLICATE, i]
        spells += [(i, ANTIVIRALS[d - 1], t) for d, t in zip(drugs, starts, strict=True) if d and t <= end[i]]
        onsets += [(i, k + 1, t) for k, t in enumerate(episodes.onset[REPLICATE, i]) if t <= end[i]]
        begun, severe = infections.bacterial.start[:, flat], infections.bacterial_severe[:, flat]
        ill += [(i, "bacterial", t, grave) for t, grave in zip(begun, severe, strict=True) if t <= end[i]]
        if infections.fungal.start[flat] <= end[i]:
            ill.append((i, "fungal", infections.fungal.start[flat], infections.fungal_severe[flat]))

    def rows(topic: str, *columns: str) -> list[tuple[object, ...]]:
        table = tables[f"history_{topic}"]
        return list(zip(number(table["patient"]), *(table[column] for column in columns), strict=True))

    assert rows("spells", "drug", "start") == spells
    assert rows("episodes", "episode", "onset") == onsets
    assert rows("infections", "kind", "start", "severe") == ill


def test_a_spell_belongs_to_a_treatment_that_had_begun(history: History, tables: dict[str, pd.DataFrame]) -> None:
    care = history.treatment
    assert care is not None
    table = tables["history_spells"]
    assert (table["treatment"] >= 1).all()
    begun = care.start[REPLICATE][number(table["patient"]), table["treatment"] - 1]
    assert (begun <= table["start"]).all()
    first = table.groupby(["patient", "treatment"])["start"].min()
    assert set(first) <= set(care.start[REPLICATE][~np.isnan(care.start[REPLICATE])])


def test_the_ledger_adds_up(history: History, tables: dict[str, pd.DataFrame]) -> None:
    ledger = history.ledger
    assert ledger is not None
    table = tables["history_ledger"]
    for item in Item:
        totals = np.asarray(history.view(ledger.totals(item)))[REPLICATE]
        mine = table[table["item"] == str(item)].groupby("patient")["quantity"].sum()
        by_patient = np.zeros(PATIENTS)
        by_patient[number(mine.index.to_series())] = mine
        np.testing.assert_allclose(by_patient, totals, atol=1e-9)


def test_questionnaires_are_those_that_were_due(history: History, tables: dict[str, pd.DataFrame]) -> None:
    q = history.questionnaires
    assert q is not None
    table = tables["history_questionnaires"]
    due = np.asarray(history.view(q.instrument))[REPLICATE] > 0
    assert len(table) == due.sum()
    answered = np.asarray(history.view(q.answered))[REPLICATE]
    assert table["vas"].notna().sum() == answered.sum() > 0
    assert table["mobility"].notna().sum() == answered.sum()
    assert set(table["instrument"]) <= {"EQ-5D-5L", "EQ-5D-Y-3L"}


def test_without_cmv_the_patients_are_the_same_and_no_cmv_is_left(tables: dict[str, pd.DataFrame]) -> None:
    off = history_tables(made(cmv=False), REPLICATE)
    for topic in ("episodes", "spells", "disease", "resistance", "sequencing"):
        assert len(off[f"history_{topic}"]) == 0, topic
    same = ["patient", "stratum", "product", "age", "immunosuppression_score", "peak_day"]
    pd.testing.assert_frame_equal(off["history_patients"][same], tables["history_patients"][same])
    alive = off["history_patients"]["death"].isna() & tables["history_patients"]["death"].isna()
    pd.testing.assert_frame_equal(off["history_virome"][alive], tables["history_virome"][alive])
    assert len(off["history_ledger"]) > 0


def test_what_is_asked_for_does_not_change_what_the_study_records() -> None:
    """`simulate --history` runs every process, `power` those that endpoints need: the tables are the same."""
    spec = resolve("letermovir-strategies", MANY_EVENTS).spec
    model = Model.of(spec, BASELINE, convert(spec.quality_of_life))
    whole = record(simulate(model, ChunkDraws(1, Role.STUDY, 0, 10), needs=ALL, path=True))
    part = record(simulate(model, ChunkDraws(1, Role.STUDY, 0, 10), needs=FOUNDATION))
    np.testing.assert_array_equal(whole.samples.result, part.samples.result)
    np.testing.assert_array_equal(whole.samples.load, part.samples.load)
    np.testing.assert_array_equal(whole.disposition.death, part.disposition.death)
    for event, days in whole.events.items():
        np.testing.assert_array_equal(days.day, part.events[event].day)


def test_what_was_not_simulated_has_no_table() -> None:
    spec = resolve("cmv-cart").spec
    few = simulate(Model.of(spec, BASELINE), ChunkDraws(1, Role.STUDY, 0, 5), needs=FOUNDATION)
    assert set(history_tables(few, 0)) == {
        f"history_{topic}" for topic in ("patients", "toxicity", "virome", "spells", "disease", "infections")
    }
