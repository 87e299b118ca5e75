"""The black-box checks hold of the model, and each kind of them fails of a model that is broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from cmvsim.calibration import calibrate
from cmvsim.cli import cli
from cmvsim.economics import black_box, evaluate
from cmvsim.economics.black_box import CHECKS, Checker
from cmvsim.scenarios import resolve
from cmvsim.verbs import economics_check

GIVEN = ("letermovir.effect=given", "letermovir.given={ onset_ratio = 0.5, set_point_shift = -0.5 }")
PATIENTS = 512


def checker() -> Checker:
    scenario = resolve("letermovir-breakeven", GIVEN)
    return Checker(scenario, calibrate(scenario, patients=1024), ("preemptive", "targeted"), PATIENTS, 1)


@pytest.fixture(scope="module")
def whole() -> Checker:
    return checker()


def test_all_checks_hold(whole: Checker) -> None:
    rows = whole.rows()
    assert len(rows) >= 20
    # 1,024 patients to solve on may leave a target a little out: that check is of the data, not of the code
    assert [row.check for row in rows if not row.passed and "targets" not in row.check] == []
    assert {row.kind.split(":")[0] for row in rows} == {"TECH-VER", "AdViSHE"}


def _failing(broken: Checker) -> set[str]:
    return {row.check for check in CHECKS for row in check(broken) if not row.passed and "targets" not in row.check}


def test_a_cost_that_no_item_has_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    own = evaluate.priced

    def with_overheads(*arguments: Any) -> np.ndarray:
        cost = own(*arguments)
        cost[0] += 10.0
        return cost

    monkeypatch.setattr(evaluate, "priced", with_overheads)
    assert {"cost of components against cost of items", "all prices 0: cost"} <= _failing(checker())


def test_qalys_above_life_years_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    own = evaluate.quality_adjusted_days
    monkeypatch.setattr(evaluate, "quality_adjusted_days", lambda *a: own(*a) + 400.0)
    assert {"QALYs above life-years", "every health perfect: QALYs"} <= _failing(checker())


def test_a_strategy_that_changes_chance_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Increments would be noise: equal arms would differ, and a drug without effect would seem to act."""
    own = evaluate._valued
    calls = iter(range(10**6))

    def noisy(*arguments: Any) -> Any:
        found = own(*arguments)
        return replace(found, qaly=found.qaly + 1e-4 * next(calls))

    monkeypatch.setattr(evaluate, "_valued", noisy)
    found = _failing(checker())
    assert {"targeted against itself", "a drug without effect: QALYs", "no CMV: QALYs that letermovir changes"} <= found


def test_a_drug_that_harms_is_found(monkeypatch: pytest.MonkeyPatch, whole: Checker) -> None:
    worse = whole.run(whole.model, whole.settings)
    monkeypatch.setattr(
        whole, "run", lambda *_, **__: replace(worse, qaly=worse.qaly - 0.1, events=_all_infected(worse.events))
    )
    failing = {row.check for row in black_box.extreme_efficacy(whole) if not row.passed}
    assert failing == {"a perfect drug: infections", "a perfect drug: QALYs"}


def _all_infected(events: Any) -> dict[str, np.ndarray]:
    return {name: np.ones_like(values) for name, values in events.items()}


def test_the_command_exits_with_3_if_one_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also where the same was asked before, of better software."""
    asked = ["economics", "check", "letermovir-breakeven", "-n", "256", "--quiet", "-o", str(tmp_path / "run")]
    asked += [part for override in GIVEN for part in ("--set", override)]
    monkeypatch.setattr(economics_check, "reachable", lambda scenario: calibrate(scenario, patients=1024))
    monkeypatch.setattr(black_box, "CHECKS", (black_box.sums, black_box.equal_arms))
    good = CliRunner().invoke(cli, asked)
    assert (good.exit_code, good.output.strip().endswith("all hold.")) == (0, True)
    own = evaluate.priced
    monkeypatch.setattr(evaluate, "priced", lambda *arguments: own(*arguments) + 1)
    bad = CliRunner().invoke(cli, asked)
    assert bad.exit_code == 3
    assert "1 FAIL" in bad.output
    assert "cost of components against cost of items" in bad.output
