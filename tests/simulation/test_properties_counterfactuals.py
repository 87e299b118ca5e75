"""The same patients under another strategy, without CMV, without a process, or in a larger study: what must not move."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from whole_model_build import (
    CMV_ACTS_ON_NOTHING,
    REPLICATES,
    STRATEGIES,
    chance,
    differing,
    facts,
    parts,
    rich,
    whole,
)

from cmvsim.core.ledger import Component, Item
from cmvsim.core.streams import STREAMS, day_index
from cmvsim.models.history import History, Process
from cmvsim.simulation.cohort import ALL
from cmvsim.simulation.draws import ChunkDraws

N = 30
BACKGROUND = ("population", "kinetics", "toxicity", "virome", "observation")
OF_CMV = ("episodes", "samples", "treatment", "disease", "resistance", "sequencing")


@cache
def _kept(strategy: str | None, *overrides: str, cmv: bool = True) -> tuple[History, dict[str, np.ndarray], ChunkDraws]:
    draws = chance(N)
    h = whole(rich(*overrides), N, draws=draws, strategy=strategy, cmv=cmv)
    return h, facts(h), draws


def _streams(draws: ChunkDraws) -> set[tuple[str, int]]:
    together = {(name, index) for name, indices in draws.drawn_together for index in indices}
    return set(draws.drawn) | together


def _names(streams: set[tuple[str, int]]) -> set[str]:
    return {name for name, _ in streams}


# -- strategies --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_a_strategy_leaves_the_background_untouched(strategy: str) -> None:
    """Population, kinetics, toxicity, virome, follow-up and the planned stay; and it does change the course of CMV."""
    _, without, _ = _kept(None)
    h, with_drug, _ = _kept(strategy)
    moved = differing(without, with_drug)
    assert not parts(moved) & set(BACKGROUND)
    _planned_stay_is_the_same(without, with_drug)
    assert {"episodes.onset", "treatment.start", "samples.load", "death", "infections.bacterial.start"} <= moved
    assert h.prophylaxis is not None
    taken = h.prophylaxis.taken
    assert 0.02 < taken.mean() < 0.99
    untouched = differing(without, with_drug, np.flatnonzero(~taken))
    assert untouched == set(), "who does not get the drug has the same history"


def _planned_stay_is_the_same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> None:
    assert np.array_equal(a["stays.planned.start"], b["stays.planned.start"])
    alive = np.minimum(a["death"], b["death"]) > np.maximum(a["stays.planned.stop"], b["stays.planned.stop"])
    assert alive.mean() > 0.8
    assert np.array_equal(a["stays.planned.stop"][alive], b["stays.planned.stop"][alive])


NOTHING = {
    "no effect": ('letermovir.effect="none"',),
    "given, of one and zero": (
        'letermovir.effect="given"',
        "letermovir.given={ onset_ratio = 1, set_point_shift = 0 }",
        "letermovir.disease_ratio=1",
        "letermovir.rebound.ratio=1",
        "resistance.letermovir=0",
    ),
}


@pytest.mark.parametrize("strategy", STRATEGIES[1:])
@pytest.mark.parametrize("how", NOTHING)
def test_a_drug_without_effect_changes_nothing_bit_for_bit(how: str, strategy: str) -> None:
    _, without, _ = _kept(None, *NOTHING[how])
    h, taken, _ = _kept(strategy, *NOTHING[how])
    assert differing(without, taken) == {f"ledger.{Component.PROPHYLAXIS.code}"}
    assert h.ledger is not None
    assert h.prophylaxis is not None
    rows = taken[f"ledger.{Component.PROPHYLAXIS.code}"]
    assert not np.delete(rows, Item.LETERMOVIR_DAY.code, axis=0).any()
    days = h.ledger.totals(Item.LETERMOVIR_DAY)
    assert np.array_equal(days, rows[Item.LETERMOVIR_DAY.code])
    end = np.minimum(facts(h)["death"], h.horizon)
    window = np.maximum(np.minimum(h.prophylaxis.stop, end) - h.prophylaxis.start, 0.0)
    window = np.where(h.prophylaxis.taken, window, 0.0)
    np.testing.assert_allclose(days, window * h.prophylaxis.adherence, atol=0.06)  # rates are rounded to 2^-10
    assert days.max() > 20


@pytest.mark.parametrize("part", [1, 2, 3, 4])
def test_each_effect_of_the_drug_is_seen(part: str) -> None:
    """The check above can fail: any one effect moves something."""
    acting = (
        "letermovir.given={ onset_ratio = 0.5, set_point_shift = 0 }",
        "letermovir.disease_ratio=0.2",
        "letermovir.rebound.ratio=3",
        "resistance.letermovir=0.9",
    )
    overrides = list(NOTHING["given, of one and zero"])
    overrides[part] = acting[part - 1]
    _, without, _ = _kept(None, *overrides)
    moved = differing(without, _kept("universal", *overrides)[1])
    assert moved > {f"ledger.{Component.PROPHYLAXIS.code}"}


@pytest.mark.parametrize("names", [("preemptive", "universal"), STRATEGIES])
def test_arms_of_one_cohort_are_the_strategies_one_by_one(names: Sequence[str]) -> None:
    arm = (np.arange(N * REPLICATES) * 7 // 3) % len(names)
    draws = chance(N)
    mixed = facts(whole(rich(), N, draws=draws, strategy=names, arm=arm))
    for i, name in enumerate(names):
        who = np.flatnonzero(arm == i)
        _, alone, _ = _kept(name)
        assert differing(mixed, alone, who) == set(), name
        others = np.flatnonzero(arm != i)
        assert "episodes.onset" in differing(mixed, alone, others)


# -- CMV off -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("strategy", [None, "universal", "steroid_triggered"])
def test_without_cmv_nothing_of_cmv_is_left(strategy: str | None) -> None:
    on, _, _ = _kept(strategy)
    h, off, _ = _kept(strategy, cmv=False)
    assert h.episodes is not None
    assert h.samples is not None
    assert h.treatment is not None
    assert h.resistance is not None
    assert h.sequencing is not None
    assert h.ledger is not None
    assert np.isnan(h.episodes.onset).all()
    assert set(np.unique(h.samples.result)) == {0, 1}
    assert not h.samples.extra.any()
    for key in ("treatment.start", "treatment.drug_start", "treatment.neutropenia", "treatment.kidney_injury", "disease.time"):
        assert np.isinf(off[key]).all(), key
    assert np.isinf(h.resistance.known).all()
    assert not h.sequencing.sent.any()
    for component in (Component.SURVEILLANCE_EXTRA, Component.TREATMENTS):
        assert not h.ledger.totals(component=component).any()
        assert on.ledger is not None
        assert on.ledger.totals(component=component).sum() > 100
    assert on.samples is not None
    own = ~on.samples.extra
    assert np.array_equal(np.where(own, on.samples.time, np.nan), h.samples.time, equal_nan=True), "tests not due to CMV"
    assert (~own).sum() > 200


@pytest.mark.parametrize("strategy", [None, "universal"])
def test_without_cmv_the_draws_of_all_else_are_the_same(strategy: str | None) -> None:
    """Only streams of CMV are no longer asked; the background is the same bit for bit."""
    _, on, asked_on = _kept(strategy)
    _, off, asked_off = _kept(strategy, cmv=False)
    moved = differing(on, off)
    assert not parts(moved) & set(BACKGROUND)
    _planned_stay_is_the_same(on, off)
    assert parts(moved) >= {"infections", "death", "ledger", "questionnaires"}
    fewer, more = _streams(asked_on) - _streams(asked_off), _streams(asked_off) - _streams(asked_on)
    of_infections = {name for name in STREAMS if name.startswith(("infections.", "resources.infection"))}
    assert _names(more) <= of_infections, "another infection may need a further draw"
    of_cmv = {name for name in STREAMS if name.startswith(("cmv.", "treatment.", "resistance.", "resources."))}
    assert _names(fewer) <= of_cmv | of_infections | {"monitoring.noise", "monitoring.clinical_noise"}
    assert {"cmv.onset", "treatment.choice", "resources.admission"} <= _names(fewer)
    for name, index in _streams(asked_on) & _streams(asked_off):
        assert np.array_equal(_value(asked_on, name, index), _value(asked_off, name, index)), name


def _value(draws: ChunkDraws, name: str, index: int) -> np.ndarray:
    for other, indices in draws.drawn_together:
        if name == other and index in indices:
            return draws.together(name, indices)[indices.index(index)]
    return draws(name, index)


def test_where_cmv_acts_on_nothing_infections_and_death_are_the_same_without_it() -> None:
    _, on, _ = _kept(None, *CMV_ACTS_ON_NOTHING)
    h, off, _ = _kept(None, *CMV_ACTS_ON_NOTHING, cmv=False)
    moved = differing(on, off)
    assert parts(moved) <= {*OF_CMV, "stays", "ledger", "questionnaires"}
    assert not {"death", "infections.bacterial.start", "infections.fungal.stop", "stays.planned.stop"} & moved
    assert f"ledger.{Component.SURVEILLANCE_PLANNED.code}" not in moved
    assert f"ledger.{Component.OTHER.code}" not in moved
    assert h.ledger is not None
    days = [on[f"ledger.{c.code}"][:2].sum() for c in (Component.INITIAL_STAY_PROLONGED, Component.ADDITIONAL_STAYS)]
    fewer = [off[f"ledger.{c.code}"][:2].sum() for c in (Component.INITIAL_STAY_PROLONGED, Component.ADDITIONAL_STAYS)]
    assert fewer[0] < days[0]
    assert fewer[1] < days[1]
    stays = on["stays.in_hospital.stop"], off["stays.in_hospital.stop"]
    total = [np.where(np.isfinite(s), s, 0).sum(axis=0) for s in stays]
    assert total[0].sum() > total[1].sum()
    assert np.all(_hospital_days(on) >= _hospital_days(off)), "CMV never shortens a stay"


def _hospital_days(found: dict[str, np.ndarray]) -> np.ndarray:
    start, stop = found["stays.in_hospital.start"], found["stays.in_hospital.stop"]
    there = np.isfinite(start)
    return np.where(there, np.where(there, stop, 0) - np.where(there, start, 0), 0).sum(axis=0)


def test_seronegative_patients_are_those_without_cmv() -> None:
    """In a cohort with CMV they have, event for event, the history they have without it."""
    h, on, _ = _kept(None)
    _, off, _ = _kept(None, cmv=False)
    negative = np.flatnonzero(~h.population.seropositive)
    assert negative.size > 300
    silent = {"episodes.offset", "episodes.growth"}  # the matrix of the laboratory: drawn, and seen by nobody
    assert differing(on, off, negative) <= silent
    assert np.isinf(on["episodes.onset"][:, negative]).all()
    assert (on["samples.result"][:, negative] <= 1).all()


# -- processes ---------------------------------------------------------------------------------------------------
CHOICE = (
    Process.CMV,
    Process.RESISTANCE,
    Process.INFECTIONS,
    Process.DEATH,
    Process.QUALITY_OF_LIFE,
    Process.RESOURCES,
)
MADE_BY = {
    Process.CMV: ("samples", "treatment", "disease", "episodes"),
    Process.RESISTANCE: ("resistance", "sequencing"),
    Process.INFECTIONS: ("infections",),
    Process.DEATH: ("death",),
    Process.QUALITY_OF_LIFE: ("questionnaires",),
    Process.RESOURCES: ("ledger", "stays"),
}
SUBSETS = [frozenset(c) for k in range(len(CHOICE) + 1) for c in itertools.combinations(CHOICE, k)]
FEW = 5


@pytest.mark.parametrize("acts", [True, False])
def test_leaving_processes_out_changes_nothing_of_those_kept(acts: bool) -> None:
    """All 64 subsets of the processes that are a matter of choice."""
    of = rich(*(() if acts else (*CMV_ACTS_ON_NOTHING, "follow_up.death_ratios.severe_infection=1")))
    everything = facts(whole(of, FEW, strategy="steroid_triggered"))
    left_out = set()
    for needs in SUBSETS:
        draws = chance(FEW)
        part = facts(whole(of, FEW, draws=draws, needs=needs, strategy="steroid_triggered"))
        moved = differing(everything, part)
        if "death" in moved and np.isinf(part["death"]).all():
            assert Process.DEATH not in needs
            moved -= {"death"}
        if "samples.time" not in part:  # the end of letermovir by pre-emptive therapy is not known
            moved -= {"prophylaxis.stop", "prophylaxis.start"} | {key for key in moved if key.startswith("prophylaxis")}
        assert moved == set(), sorted(needs)
        if "samples.time" in part:
            assert "prophylaxis.stop" in part, "letermovir acted on this course of CMV"
        if "samples.time" in part:
            assert "prophylaxis.stop" in part, "letermovir acted on this course of CMV"
        for process in needs:
            assert set(MADE_BY[process]) <= parts(set(part)), (process, sorted(needs))
        left_out |= set(CHOICE) - {p for p in CHOICE if set(MADE_BY[p]) <= parts(set(part))}
    assert left_out >= {Process.RESISTANCE, Process.QUALITY_OF_LIFE, Process.RESOURCES}
    assert acts or left_out >= {Process.CMV, Process.INFECTIONS}


@pytest.mark.parametrize("off", [Process.KINETICS, Process.TOXICITY, Process.VIROME, Process.FOLLOW_UP])
def test_the_background_is_there_whatever_is_asked_for(off: Process) -> None:
    of = rich()
    everything = facts(whole(of, FEW))
    assert differing(everything, facts(whole(of, FEW, needs=ALL - {off}))) == set()
    alone = facts(whole(of, FEW, needs=frozenset({off})))
    assert parts(set(alone)) == {*BACKGROUND, "death"}
    assert differing(everything, alone) == {"death"}


# -- size and order ----------------------------------------------------------------------------------------------
def test_sixty_patients_are_the_first_sixty_of_two_hundred() -> None:
    """With all processes, and a strategy that looks at everything."""
    few, many = (facts(whole(rich(), n, strategy="ttv_guided")) for n in (60, 200))
    assert len(few) > 100
    first = {key: array[..., : 60 * REPLICATES] for key, array in many.items()}
    assert differing(few, first) == set()
    assert few.keys() == many.keys()
    later = {key: array[..., 60 * REPLICATES : 120 * REPLICATES] for key, array in many.items()}
    assert len(differing(few, later)) > 90


def test_the_order_of_asking_does_not_matter() -> None:
    _, expected, asked = _kept("universal")
    used = chance(N)
    for name in reversed(STREAMS):
        for index in (7, 3, 0, day_index(-1), 1):
            used(name, index)
    for name, indices in reversed(asked.drawn_together):
        used.together(name, indices)
    backwards = facts(whole(rich(), N, draws=used, strategy="universal"))
    again = facts(whole(rich(), N, draws=used, strategy="universal"))
    h = whole(rich(), N, strategy="universal")
    for part in ("virome", "toxicity", "kinetics", "population"):  # what is lazy, asked for in another order
        for name in ("redondovirus", "courses", "persistence", "site"):
            getattr(getattr(h, part), name, None)
    for other in (backwards, again, facts(h)):
        assert differing(expected, other) == set()
