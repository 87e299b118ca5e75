"""A mapped file of one row per patient: what R's survival gives, what statsmodels gives, and what a hand gives."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from cmvsim.data.mapping import MapSpec, read_map, read_mapped
from cmvsim.endpoints.analyse import ResultRow
from cmvsim.endpoints.mapped import AnalysedMap, analyse_mapped

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
REAL = SHARED / "real" / "cytomegalovirus.csv"

MAP = """\
format = 1
patient = "Nr"
time_unit = "weeks"
[cmv_reactivation]
time = "T"
event = { column = "E", is = "CMV" }
[covariates]
old = { column = "Alter", at_least = 60 }
dose = { column = "Dosis" }
[analysis]
endpoints = ["cmv_reactivation", "risk_factors"]
window = 8
at = [2, 5]
"""
FILE = """\
Nr,T,E,Alter,Dosis
1,1.5,CMV,65,1
2,2,none,40,2.5
3,2,CMV,61,0
4,3,dead,70,1.5
5,4.5,CMV,30,3
6,5,none,55,2
7,5,CMV,62,0.5
8,7,dead,44,1
9,9,none,35,2
10,9.5,CMV,71,1
11,NA,CMV,50,1
12,6,none,NA,2
"""


def analysed(folder: Path, mapping: str = MAP, file: str = FILE) -> AnalysedMap:
    (folder / "map.toml").write_text(mapping, encoding="utf-8")
    (folder / "file.csv").write_text(file, encoding="utf-8")
    spec = read_map(folder / "map.toml")
    return analyse_mapped(read_mapped(folder / "file.csv", spec, "map.toml"), spec.analysis)


def row(result: AnalysedMap, estimator: str, at: float | None = None, term: str = "") -> ResultRow:
    found = [r for r in result.rows if (r.estimator, r.term) == (estimator, term) and (at is None or r.at == at)]
    assert len(found) == 1
    return found[0]


@pytest.mark.skipif(not REAL.exists(), reason="the real data are not beside the tree")
def test_independent_r_on_the_real_data(tmp_path: Path) -> None:
    """R's survfit (log-log limits), binom.test and coxph (Efron)."""
    expected = json.loads(REAL.with_suffix(".expected.json").read_text(encoding="utf-8"))
    spec = read_map(SHARED / "design" / "examples" / "cytomegalovirus.map.toml")
    result = analyse_mapped(read_mapped(REAL, spec, "map"), spec.analysis)
    for known in expected["kaplan_meier"]["rows"]:
        mine = row(result, "one_minus_km", known["time"])
        assert 1 - mine.estimate == pytest.approx(known["surv"], abs=1e-8)
        assert mine.se == pytest.approx(known["se"], abs=1e-8)
        assert (1 - mine.ci_high, 1 - mine.ci_low) == pytest.approx((known["lower"], known["upper"]), abs=1e-8)
        at_risk = result.curve.loc[result.curve["time"] == known["time"], "at_risk"]
        assert at_risk.tolist() == [known["n.risk"]]
    exact = row(result, "crude_clopper_pearson")
    assert (exact.events, exact.n) == (expected["proportion"]["x"], expected["proportion"]["n"])
    assert (exact.ci_low, exact.ci_high) == pytest.approx(expected["proportion"]["clopper_pearson"], abs=1e-8)

    def cox(**covariates: dict[str, object]) -> dict[str, tuple[float, float]]:
        tree = spec.model_dump(by_alias=True, exclude_none=True) | {"covariates": covariates}
        tree["analysis"] = {"endpoints": ["risk_factors"], "window": 12.0}
        again = MapSpec.parse(tree)
        rows = analyse_mapped(read_mapped(REAL, again, "map"), again.analysis).rows
        return {r.term: (math.log(r.estimate), r.se) for r in rows}

    one = cox(akir56={"column": "aKIRs", "at_least": 5})
    assert one["akir56"] == pytest.approx((expected["cox_akir56"]["coef"], expected["cox_akir56"]["se"]), abs=1e-6)
    four = {name: {"column": name} for name in ("prior.transplant", "recipient.cmv", "age")}
    fitted = cox(akir56={"column": "aKIRs", "at_least": 5}, **four)
    assert set(fitted) == set(expected["cox_four"]["coef"])
    for name, known in expected["cox_four"]["coef"].items():
        assert fitted[name] == pytest.approx((known, expected["cox_four"]["se"][name]), abs=1e-6)


def test_closed_form_kaplan_meier_by_hand(tmp_path: Path) -> None:
    """Patients 1 to 10 and 12 have a time and an event; at 2: 10/11 x 9/10, at 5: x 7/8... as multiplied below."""
    result = analysed(tmp_path)
    by_hand = {2.0: (10 / 11) * (9 / 10), 5.0: (10 / 11) * (9 / 10) * (6 / 7) * (5 / 6)}
    by_hand[8.0] = by_hand[5.0]
    for at, survival in by_hand.items():
        assert row(result, "one_minus_km", at).estimate == pytest.approx(1 - survival, abs=1e-12)
    greenwood = 1 / (11 * 10) + 1 / (10 * 9) + 1 / (7 * 6) + 1 / (6 * 5)
    s = by_hand[8.0]
    main = result.rows[0]
    assert (main.at, main.n, main.events) == (8.0, 11, 4)
    assert main.se == pytest.approx(s * math.sqrt(greenwood), abs=1e-12)
    half = norm.ppf(0.975) * math.sqrt(greenwood) / abs(math.log(s))
    assert (main.ci_low, main.ci_high) == pytest.approx((1 - s ** math.exp(-half), 1 - s ** math.exp(half)), abs=1e-10)
    assert result.flow["cmv_reactivation"]["left out: time or event not recorded"] == 1
    assert result.flow["risk_factors"]["left out: a covariate not recorded"] == 1
    assert len(result.warnings) == 1


def test_independent_statsmodels_cox(tmp_path: Path) -> None:
    from statsmodels.duration.hazard_regression import PHReg

    result = analysed(tmp_path)
    rows = [line.split(",") for line in FILE.splitlines()[1:11]]
    time = np.array([float(r[1]) for r in rows])
    event = np.array([r[2] == "CMV" for r in rows]).astype(int)
    x = np.array([[float(r[3]) >= 60, float(r[4])] for r in rows], dtype=float)
    fit = PHReg(time, x, status=event, ties="efron").fit()
    for index, name in enumerate(("old", "dose")):
        mine = row(result, "cox", term=name)
        assert (math.log(mine.estimate), mine.se) == pytest.approx((fit.params[index], fit.bse[index]), rel=1e-5)
        assert (mine.n, mine.excluded, mine.scale) == (10, 2, "hazard_ratio")


def test_closed_form_a_competing_event_is_counted(tmp_path: Path) -> None:
    """Aalen-Johansen by hand: sum over event times of S(t-) d / Y, deaths taking patients out of S."""
    mapping = MAP.replace('is = "CMV" }', 'is = "CMV" }\ncompeting = { column = "E", is = "dead" }')
    result = analysed(tmp_path, mapping)
    at_risk = {1.5: 11, 2.0: 10, 3.0: 8, 4.5: 7, 5.0: 6, 7.0: 3}
    survival, incidence = 1.0, 0.0
    for time, size in at_risk.items():
        if time in (3.0, 7.0):
            survival *= 1 - 1 / size
        else:
            incidence += survival / size
            survival *= 1 - 1 / size
    main = result.rows[0]
    assert (main.estimator, main.at) == ("aalen_johansen", 8.0)
    assert main.estimate == pytest.approx(incidence, abs=1e-12)
    assert row(result, "one_minus_km", 8.0).note.startswith("biased")
    assert result.flow["cmv_reactivation"]["competing event first"] == 2
    assert result.warnings == ()
    assert result.curve["competing"].iloc[-1] == pytest.approx(1 - survival - incidence, abs=1e-12)


def test_a_time_beyond_follow_up_says_so(tmp_path: Path) -> None:
    result = analysed(tmp_path, MAP.replace("at = [2, 5]", "at = [9.5, 9.6]"))
    assert row(result, "one_minus_km", 9.5).note == ""
    assert row(result, "one_minus_km", 9.6).note.startswith("beyond the last follow-up")


@pytest.mark.parametrize(("event", "status"), [("nobody", "no_events"), ("CMV", "all_events")])
def test_degenerate_files_have_a_status(event: str, status: str, tmp_path: Path) -> None:
    file = "Nr,T,E,Alter,Dosis\n" + "".join(f"{i},{i},CMV,50,{i}\n" for i in range(1, 5))
    if event == "nobody":
        file = file.replace("CMV", "none").replace("4,4,none", "4,9,CMV")  # the only event lies after the window
    result = analysed(tmp_path, file=file)
    main = result.rows[0]
    assert main.status == status
    assert main.estimate == (0.0 if event == "nobody" else 1.0)
    assert 0 <= main.ci_low <= main.ci_high <= 1
    assert row(result, "cox", term="old").status == "not_estimable"
    assert math.isnan(row(result, "cox", term="old").estimate)
