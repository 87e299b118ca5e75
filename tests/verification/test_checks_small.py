"""Every check at its small size, and proof that each can fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmvsim.calibration.joint import JointRow
from cmvsim.core.records import Estimates, FloatArray, Status
from cmvsim.core.streams import Role, generator
from cmvsim.endpoints import endpoint, time_dependent
from cmvsim.endpoints.derived import StartStop
from cmvsim.estimators import recurrent
from cmvsim.montecarlo import estimand_values as truth_module
from cmvsim.montecarlo.experiment import FIELDS, RowKey
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway import monitoring
from tests.planning import planning_twins
from tests.verification import (
    checks,
    comparisons,
    endpoints,
    endpoints_page,
    test_checks_long,
    type1,
    type1_page,
    whole_model,
    write_report,
)
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

WRONG = Size("small", replicates=512, truth_chunks=7, repetitions=40, cohort=SMALL.cohort, chunks=3)
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
    honest = checks.solved

    def wrong(*args: object) -> object:
        solved = honest(*args)  # type: ignore[arg-type]
        return replace(solved, targets=tuple(replace(t, achieved=1.1 * t.achieved) for t in solved.targets))

    patch.setattr(checks, "solved", wrong)


def latent_seen(patch: pytest.MonkeyPatch) -> None:
    honest = checks.truth

    def wrong(*args: object) -> dict[str, object]:
        made = honest(*args)  # type: ignore[arg-type]
        return {"latent": made["protocol"], "protocol": made["protocol"]}

    patch.setattr(checks, "truth", wrong)


def deadlier(patch: pytest.MonkeyPatch) -> None:
    honest = checks.death_probability
    patch.setattr(checks, "death_probability", lambda t, h, after, relapse, shape: honest(t, h, 1.1 * after, relapse, shape))


def more_infections(patch: pytest.MonkeyPatch) -> None:
    """A fifth more than was solved."""
    honest = whole_model.model_of

    def wrong(*args: object) -> Model:
        made = honest(*args)  # type: ignore[arg-type]
        hazard = tuple(1.2 * h for h in made.baseline.bacterial_hazard)
        return replace(made, baseline=replace(made.baseline, bacterial_hazard=hazard))

    patch.setattr(whole_model, "model_of", wrong)


def more_toxicity(patch: pytest.MonkeyPatch) -> None:
    honest = whole_model.counted
    patch.setattr(whole_model, "counted", lambda *args: {key: (1.1 * x, n) for key, (x, n) in honest(*args).items()})


def higher_loads(patch: pytest.MonkeyPatch) -> None:
    honest = whole_model.load_at
    patch.setattr(whole_model, "load_at", lambda *args: honest(*args) + 0.3)


def worse_health(patch: pytest.MonkeyPatch) -> None:
    honest = whole_model.index_of_adults

    def wrong(*args: object) -> Iterator[tuple[object, ...]]:
        yield from ((*key, index - 0.03) for *key, index in honest(*args))  # type: ignore[arg-type]

    patch.setattr(whole_model, "index_of_adults", wrong)


def stronger_drug(patch: pytest.MonkeyPatch) -> None:
    honest = comparisons.solved

    def wrong(*args: object) -> object:
        found = honest(*args)  # type: ignore[arg-type]
        if found.letermovir is None:
            return found
        effect = replace(found.letermovir.effect, onset_ratio=0.7 * found.letermovir.effect.onset_ratio)
        return replace(found, letermovir=replace(found.letermovir, effect=effect))

    patch.setattr(comparisons, "solved", wrong)


def half_of_all(patch: pytest.MonkeyPatch) -> None:
    honest = comparisons.figures

    def wrong(patients: int) -> list[JointRow]:
        rows = honest(patients)
        return [replace(row, figure=replace(row.figure, achieved=0.5 * row.figure.achieved)) for row in rows]

    patch.setattr(comparisons, "figures", wrong)


def no_censoring(patch: pytest.MonkeyPatch) -> None:
    """Monitoring goes on after relapse, whatever is asked for."""
    honest = comparisons.simulated

    def wrong(name: str, overrides: tuple[str, ...], *args: object) -> object:
        kept = tuple(item for item in overrides if item != comparisons.FOLLOWED_ON)
        return honest(name, (*kept, comparisons.FOLLOWED_ON), *args)  # type: ignore[arg-type]

    patch.setattr(comparisons, "simulated", wrong)


def other_patients(patch: pytest.MonkeyPatch) -> None:
    honest = comparisons.simulate

    def wrong(model: Model, draws: ChunkDraws, **more: object) -> object:
        if "cmv" in more or "strategy" in more:
            draws = ChunkDraws(draws.seed + 1, draws.role, draws.chunk, draws.patients)
        return honest(model, draws, **more)  # type: ignore[arg-type]

    patch.setattr(comparisons, "simulate", wrong)


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


def late_results(patch: pytest.MonkeyPatch) -> None:
    """In one engine, results arrive an hour late."""
    honest = monitoring.on_the_grid
    patch.setattr(monitoring, "on_the_grid", lambda days: honest(days + 1 / 24))


def an_estimator_raises(patch: pytest.MonkeyPatch) -> None:
    """In studies where nobody has it, as a division by zero would."""
    honest = recurrent.mean_cumulative

    def wrong(*args: object, **named: object) -> Estimates:
        made = honest(*args, **named)  # type: ignore[arg-type]
        if not (made.events > 0).all():
            raise ZeroDivisionError
        return made

    patch.setattr(recurrent, "mean_cumulative", wrong)


def exposed_from_the_start(patch: pytest.MonkeyPatch) -> None:
    """Who ever has CMV counts as having it from infusion on: immortal time in the primary analysis."""
    honest = time_dependent.start_stop

    def wrong(derived: time_dependent.Onsets, outcome: int = 0) -> StartStop:
        exposed = np.where(np.isfinite(derived.exposed), 0.0, derived.exposed)
        return honest(replace(derived, exposed=exposed), outcome)

    patch.setattr(time_dependent, "start_stop", wrong)
    endpoints.infections.cache_clear()


def no_shared_cause(patch: pytest.MonkeyPatch) -> None:
    honest = endpoints.model_of
    patch.setattr(endpoints, "model_of", lambda _, *rest: honest("null", *rest))
    endpoints.infections.cache_clear()


def intervals_of_half_their_width(patch: pytest.MonkeyPatch) -> None:
    """Of every test: it rejects in a third of studies without an effect."""
    honest = type1.CohortExperiment.chunk

    def wrong(*args: object) -> object:
        made = honest(*args)  # type: ignore[arg-type]
        low, high = FIELDS.index("ci_low"), FIELDS.index("ci_high")
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            logs = np.log(np.abs(made.values[..., [low, high]]))
            middle = logs.mean(axis=-1, keepdims=True)
            made.values[..., [low, high]] = np.exp(middle + 0.5 * (logs - middle))
        return made

    patch.setattr(type1.CohortExperiment, "chunk", wrong)


def one_study_for_all(patch: pytest.MonkeyPatch) -> None:
    """Limits are read off the first 64 patients of 4,096."""
    patch.setattr(truth_module, "pooled", lambda study: study)


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
        ("targets of the whole model", more_infections),
        ("toxicity and virome", more_toxicity),
        ("CMV disease", higher_loads),
        ("quality of life", worse_health),
        ("letermovir", stronger_drug),
        ("published cohorts", half_of_all),
        ("dependent censoring", no_censoring),
        ("pairing", other_patients),
        ("streams", one_stream),
        ("every endpoint", an_estimator_raises),
        ("immortal time", exposed_from_the_start),
        ("confounding", no_shared_cause),
        ("estimands of all endpoints", one_study_for_all),
        ("type I error", intervals_of_half_their_width),
        ("two engines", late_results),
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


def test_the_page_of_endpoints_says_what_became_of_every_study(monkeypatch: pytest.MonkeyPatch) -> None:
    choice = endpoint("cmv_infections").estimators[0]
    values = np.full((4, 1, 1, len(FIELDS)), np.nan)
    values[:, 0, 0, FIELDS.index("status")] = (Status.OK, Status.OK, Status.SEPARATION, Status.NOT_ESTIMABLE)
    values[:2, 0, 0, FIELDS.index("estimate")] = (2.0, 8.0)  # geometric mean 4; SD of the logs is log(4) / sqrt(2)
    values[:2, 0, 0, FIELDS.index("se")] = (0.3, 0.4)  # root mean square 0.354
    toy = endpoints.Studied((choice,), (RowKey("cmv_infections", estimator=choice.id, term="fungal"),), (40,), values, ())
    found = {("time_dependent_cox", term): np.array([0.2, 0.3]) for term in ("bacterial", "fungal")}
    for name, made in (("studied", toy), ("infections", found), ("cost", {}), ("values_of", ())):
        monkeypatch.setattr(endpoints_page, name, lambda *_, made=made: made)
    for name in ("every_endpoint", "immortal_time", "confounding", "estimands_of_all"):
        monkeypatch.setattr(endpoints_page, name, lambda _: iter([within("a range", 0.9, 1.0, 0.5, 0.01, "by hand")]))
    text = endpoints_page.page(SMALL)
    others = "N=40: not_estimable 0.25, separation 0.25"
    assert f"| cmv_infections | time_dependent_cox | fungal | 0.5 | {others} | 4 | 0.98 | 0.354 |" in text
    assert "| a range | 0.9 to 1 | 0.5 | 0.01 | **FAILS** |" in text
    assert "1.284 (MCSE 0.064) for bacterial" in text


def test_the_page_of_type_one_errors_says_what_is_beyond_the_level(monkeypatch: pytest.MonkeyPatch) -> None:
    def toy(name: str, _: Size) -> tuple[type1.Rejected, ...]:
        shares = {"time_dependent_cox": (0.030, 0.052, 0.061), "odds_ratio": (0.09, 0.09, 0.09)}
        return tuple(
            type1.Rejected(name, "cmv_infections", test, "fungal", n, share, 0.002, 0.8, share / 0.8, 7.0, claim)
            for test, at in shares.items()
            for claim in [type1.claim_of("cmv_infections", test)]
            for n, share in zip(type1.SIZES, at, strict=True)
        )

    for module in (type1, type1_page):
        monkeypatch.setattr(module, "rejected", toy)
        monkeypatch.setattr(module, "rejected_adjusted", toy)
    monkeypatch.setattr(type1_page, "EXPLAINED", {})
    text = type1_page.page(SMALL)
    assert "| 0.0300 / 0.0520 / 0.0610 | 0.80 / 0.80 / 0.80 |" in text
    assert "| below / at its level / **above** |" in text
    assert "naive" in text
    assert [row.ok for row in type1.type_one(SMALL)] == [True, True, False]


def test_the_long_tier_is_collected() -> None:
    """A check that pytest never collects would never fail."""
    long = test_checks_long.test_long
    marks = {mark.name: mark for mark in long.pytestmark}  # type: ignore[attr-defined]
    assert set(marks) == {"verification", "parametrize"}
    assert list(marks["parametrize"].args[1]) == list(CHECKS) == list(checks.SENTENCES)
    assert "-m verification" in (ROOT / "Makefile").read_text(encoding="utf-8")
    assert LONG.replicates >= 20_000
    assert LONG.repetitions >= 2000
