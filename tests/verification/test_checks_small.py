"""Every check at its small size, and proof that each can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role, generator
from cmvsim.montecarlo.experiment import FIELDS
from tests.planning import planning_twins
from tests.verification import checks, test_checks_long, write_report
from tests.verification.checks import CHECKS, LONG, SMALL, CheckRow, Size, check, near, within

ROOT = Path(__file__).resolve().parents[2]
LONG_ONLY = {"sample-size interval"}


@pytest.mark.parametrize("name", CHECKS)
def test_small(name: str) -> None:
    rows = check(name, SMALL)
    assert bool(rows) != (name in LONG_ONLY)
    assert len({row.name for row in rows}) == len(rows)
    assert not [row for row in rows if not row.ok]
    assert all(np.isfinite([row.got, row.mcse, row.tolerance]).all() for row in rows)


def test_tolerances_follow_the_error() -> None:
    assert near("", 1.0, 1.39, 0.1, "").ok
    assert not near("", 1.0, 1.41, 0.1, "").ok
    assert not near("", 1.0, float("nan"), 0.1, "").ok
    assert within("", 0.9, 1.0, 1.29, 0.1, "").ok
    assert not within("", 0.9, 1.0, 0.59, 0.1, "").ok
    assert not within("", 0.9, 1.0, float("nan"), 0.1, "").ok


def test_enumeration_by_hand() -> None:
    # two patients, both in: X = 0, 1, 2 with 1/4, 1/2, 1/4; the edges have Clopper-Pearson's width
    edge = (1 - 0.025**0.5) / 2
    low, high = checks.cloglog_limits(np.array([1]), 2)
    expected = 0.5 * edge + 0.5 * (high[0] - low[0]) / 2
    assert checks.enumerated(checks.mean_width, 2, 0.5, 1.0) == pytest.approx(expected)
    assert checks.enumerated(checks.covers(0.5), 30, 0.3, 0.9) < checks.enumerated(checks.covers(0.3), 30, 0.3, 0.9)


# --- each check fails on a package that is wrong ---------------------------------------------------------------------

WRONG = Size("small", replicates=512, truth_chunks=7, repetitions=40)
"""Another number of chunks than any tier's, so that nothing wrong stays in a cache."""


def altered(change: Callable[[FloatArray], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """Results of simulated studies, changed in place on a copy."""

    def mutate(patch: pytest.MonkeyPatch) -> None:
        honest = checks.simulated

        def wrong(*args: object) -> dict[str, FloatArray]:
            made = {name: values.copy() for name, values in honest(*args).items()}  # type: ignore[arg-type]
            for values in made.values():
                change(values)
            return made

        patch.setattr(checks, "simulated", wrong)

    return mutate


def narrower(values: FloatArray) -> None:
    low, high = FIELDS.index("ci_low"), FIELDS.index("ci_high")
    middle, half = (values[..., low] + values[..., high]) / 2, (values[..., high] - values[..., low]) / 2
    values[..., low], values[..., high] = middle - 0.8 * half, middle + 0.8 * half


def higher(values: FloatArray) -> None:
    values[..., FIELDS.index("estimate")] *= 1.05


def missed_targets(patch: pytest.MonkeyPatch) -> None:
    honest = checks.calibrate

    def wrong(*args: object) -> object:
        solved = honest(*args)  # type: ignore[arg-type]
        return replace(solved, targets=tuple(replace(t, achieved=1.05 * t.achieved) for t in solved.targets))

    patch.setattr(checks, "calibrate", wrong)


def latent_seen(patch: pytest.MonkeyPatch) -> None:
    honest = checks.truth

    def wrong(name: str, overrides: tuple[str, ...], chunks: int) -> dict[str, object]:
        made = honest(name, overrides, chunks)
        return {"latent": made["protocol"], "protocol": made["protocol"]}

    patch.setattr(checks, "truth", wrong)


def deadlier(patch: pytest.MonkeyPatch) -> None:
    honest = checks.death_probability
    patch.setattr(checks, "death_probability", lambda t, h, after, relapse, shape: honest(t, h, 1.1 * after, relapse, shape))


def one_stream(patch: pytest.MonkeyPatch) -> None:
    def shared(seed: int, role: Role, chunk: int, name: str, index: int = 0) -> np.random.Generator:
        return generator(seed, role, chunk, name, 0 if name == "monitoring.noise" else index)

    patch.setattr(checks, "generator", shared)


def too_sure(patch: pytest.MonkeyPatch) -> None:
    honest = planning_twins.find_crossing

    def wrong(*args: object, **named: object) -> object:
        found = honest(*args, **named)  # type: ignore[arg-type]
        assert found is not None
        middle, half = (found.low + found.high) / 2, (found.high - found.low) / 2
        return replace(found, low=middle - 0.5 * half, high=middle + 0.5 * half)

    patch.setattr(planning_twins, "find_crossing", wrong)
    patch.setattr(checks, "find_crossing", wrong)


@pytest.mark.parametrize(
    ("name", "mutate"),
    [
        ("calibration", missed_targets),
        ("enumeration", altered(narrower)),
        ("coverage", altered(narrower)),
        ("half-width", altered(narrower)),
        ("estimands", latent_seen),
        ("bias", altered(higher)),
        ("sample-size interval", too_sure),
        ("death", deadlier),
        ("streams", one_stream),
    ],
)
def test_a_wrong_package_fails(
    name: str, mutate: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    assert [row for row in CHECKS[name](WRONG) if not row.ok]


def test_every_check_is_broken_once() -> None:
    (mark,) = [m for m in test_a_wrong_package_fails.pytestmark if m.name == "parametrize"]  # type: ignore[attr-defined]
    assert {name for name, _ in mark.args[1]} == set(CHECKS)


# --- the report -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ok", [True, False])
def test_the_report_says_what_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ok: bool) -> None:
    def toy(size: Size) -> Iterator[CheckRow]:
        yield replace(near("one | two", 1.0, 1.01, 0.01, f"by hand, {size.name}"), ok=ok)
        yield within("a range", 0.9, 1.0, 0.95, 0.01, "by hand")

    monkeypatch.setattr(checks, "CHECKS", {"toy": toy, "later": lambda _: iter(())})
    monkeypatch.setattr(checks, "SENTENCES", {"toy": "A toy is a toy.", "later": "Later."})
    assert write_report.main([str(tmp_path), "--small"]) == (0 if ok else 1)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "small tier" in text
    assert "A toy is a toy." in text
    assert "0.9 to 1" in text
    assert "one / two" in text
    assert "long tier only" in text
    assert ("**FAILS**" in text) is not ok
    assert str(ROOT) not in text


def test_the_long_tier_is_collected() -> None:
    """A check that pytest never collects would never fail."""
    long = test_checks_long.test_long
    marks = {mark.name: mark for mark in long.pytestmark}  # type: ignore[attr-defined]
    assert set(marks) == {"verification", "parametrize"}
    assert list(marks["parametrize"].args[1]) == list(CHECKS) == list(checks.SENTENCES)
    assert "-m verification" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert LONG.replicates >= 20_000
    assert LONG.repetitions >= 2000
