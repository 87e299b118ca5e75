"""The derived datasets against derivations of their own from the CSV files, patient by patient."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from data_further import full_study

from cmvsim.core.errors import InputError
from cmvsim.data import read_study
from cmvsim.endpoints import AnalysisSpec, write_analysis
from cmvsim.endpoints.adam.datasets import parameter_code
from cmvsim.endpoints.analyse import analyse
from cmvsim.valuation.eq5d import value_set
from cmvsim.verbs.data import export_adam

PLAN = AnalysisSpec(endpoints=("cmv_reactivation", "cmv_lymphoma"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = full_study(tmp_path_factory.mktemp("study"))
    write_analysis(PLAN, place / "analysis.toml")
    export_adam(place, place / "adam", "csv", "ETUDE-é")
    export_adam(place, place / "adam", "xpt", "ETUDE-é")
    return place


def _csv(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"{name}.csv", keep_default_na=False)


def test_the_transport_files_hold_what_the_csv_files_hold(folder: Path) -> None:
    pyreadstat = pytest.importorskip("pyreadstat")
    for name in ("adsl", "adtte", "adlb", "adqs"):
        frame, meta = pyreadstat.read_xport(folder / "adam" / f"{name}.xpt")
        texts = pd.read_csv(folder / "adam" / f"{name}.csv", keep_default_na=False, dtype=str)
        assert meta.table_name == name.upper()
        assert all(len(label) <= 40 for label in meta.column_labels)
        assert list(frame.columns) == list(texts.columns)
        for column in frame.columns:
            for cell, text in zip(frame[column], texts[column], strict=True):
                if isinstance(cell, float):
                    assert (text == "" and cell != cell) or cell == float(text)
                else:
                    assert cell == text


def test_one_row_per_patient_with_days_that_have_no_zero(folder: Path) -> None:
    adsl = _csv(folder / "adam", "adsl").set_index("SUBJID")
    assert list(adsl.index) == ["P1", "P2", "P3"]
    assert adsl["USUBJID"].tolist() == ["ETUDE-é-P1", "ETUDE-é-P2", "ETUDE-é-P3"]
    assert adsl["SITEID"].tolist() == ["Göteborg", "Umeå", "Umeå"]
    assert adsl["SEX"].tolist() == ["F", "M", "M"]
    assert adsl["AGE"].tolist() == ["12", "61.5", ""]
    assert adsl["PRIORHCT"].tolist() == ["N", "Y", ""]
    assert adsl["DISEASE"].tolist() == ["LEUKAEMIA", "LYMPHOMA", "LYMPHOMA"]
    assert adsl["EOSSTT"].tolist() == ["COMPLETED", "DISCONTINUED", "DISCONTINUED"]
    assert adsl["DCSREAS"].tolist() == ["", "DEATH", "LOST"]
    assert adsl["EOSDY"].tolist() == [91, 21, 31]
    assert adsl["DTHDY"].astype(str).tolist() == ["", "21", "46"]
    assert adsl["DTHFL"].tolist() == ["", "Y", "Y"]


def test_times_to_events_are_those_of_the_tables_and_of_the_estimates(folder: Path) -> None:
    """P1: first quantified sample on day 8. P2: day 7. P3: no event, lost on day 30."""
    adtte = _csv(folder / "adam", "adtte")
    all_patients = adtte[adtte["PARAMCD"] == "CMVREACT"]
    assert all_patients["AVAL"].tolist() == [8, 7, 30]
    assert all_patients["CNSR"].tolist() == [0, 0, 1]
    assert all_patients["EVNTDESC"].tolist() == ["EVENT OF INTEREST", "EVENT OF INTEREST", "CENSORED"]
    assert all_patients["ADY"].tolist() == [9, 8, 31]
    lymphoma = adtte[adtte["PARAMCD"] != "CMVREACT"]
    assert lymphoma["USUBJID"].str[-2:].tolist() == ["P2", "P3"]
    analysed = analyse(read_study(folder), PLAN)
    for name, code in (("cmv_reactivation", "CMVREACT"), ("cmv_lymphoma", lymphoma["PARAMCD"].iloc[0])):
        rows = adtte[adtte["PARAMCD"] == code]
        assert analysed.flow[name]["in the analysis"] == len(rows)
        assert analysed.flow[name]["event"] == (rows["CNSR"] == 0).sum()


def test_laboratory_rows_are_the_samples_taken(folder: Path) -> None:
    adlb = _csv(folder / "adam", "adlb")
    samples = _csv(folder, "samples")
    taken = samples[samples["result"] != "missed"]
    cmv = adlb[adlb["PARAMCD"] == "CMVLOAD"]
    assert len(cmv) == len(taken) == 6
    for _, sample in taken.iterrows():
        row = cmv[(cmv["USUBJID"] == f"ETUDE-é-{sample['patient']}") & (cmv["DAYINF"] == int(sample["day"]))]
        assert len(row) == 1
        day = int(sample["day"])
        assert row["ADY"].item() == (day + 1 if day >= 0 else day)
        assert row["AVAL"].item() == sample["load_iu_ml"]
        words = {"not_detected": "NOT DETECTED", "below_lloq": "BELOW LLOQ"}
        assert row["AVALC"].item() == words.get(sample["result"], str(sample["load_iu_ml"]))
        assert row["LLOQFL"].item() == ("" if sample["result"] == "quantified" else "Y")
        assert row["AVISIT"].item() == (f"DAY {sample['nominal_day']}" if sample["nominal_day"] != "" else "UNSCHEDULED")
    assert cmv.loc[cmv["ABLFL"] == "Y", "DAYINF"].tolist() == [0, -1, 0]
    assert set(adlb["PARAMCD"]) == {"CMVLOAD", "ANELLOVI", "REDONDOV"}


def test_answers_and_their_index(folder: Path) -> None:
    adqs = _csv(folder / "adam", "adqs")
    assert len(adqs) == 2 * 7  # P3 missed
    first = adqs[adqs["USUBJID"] == "ETUDE-é-P1"].set_index("PARAMCD")
    assert first.loc[["EQMOB", "EQCARE", "EQUSUAL", "EQPAIN", "EQANX", "EQVAS"], "AVAL"].tolist() == [
        "1",
        "2",
        "3",
        "1",
        "1",
        "80",
    ]
    youth = value_set(PLAN.value_set_youth).decrements
    assert float(first.loc["EQINDEX", "AVAL"]) == pytest.approx(1 - youth[1, 1] - youth[2, 2], abs=1e-9)
    assert (first.loc["EQINDEX", "VALUESET"], first.loc["EQMOB", "VALUESET"]) == (PLAN.value_set_youth, "")
    assert set(first["QSEVAL"]) == {"PARENT"}
    second = adqs[adqs["USUBJID"] == "ETUDE-é-P2"].set_index("PARAMCD")
    assert second.loc["EQINDEX", "AVAL"] == ""  # an item without an answer
    assert set(second["ADY"]) == {-2}


def test_nothing_is_overwritten(folder: Path) -> None:
    with pytest.raises(InputError, match=r"adsl\.csv: is there already"):
        export_adam(folder, folder / "adam", "csv")


def test_parameter_codes_fit_and_differ() -> None:
    taken: set[str] = set()
    names = ("cmv_reactivation", "cmv_leukaemia", "cmv_lymphoma", "cmv_disease", "cmv_disease_late", "survival", "survivals_x")
    for name in names:
        code = parameter_code(name, taken)
        assert code not in taken
        assert len(code) <= 8
        assert code.isalnum()
        taken.add(code)
