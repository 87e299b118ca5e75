"""Named streams: order of asking, prefixes, isolation of processes, and keys that cannot collide."""

from __future__ import annotations

import hashlib
import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation_build import NO_DISEASE, STRESS, STRESS_BASELINE, model

from cmvsim.core.errors import InputError
from cmvsim.core.streams import MAX_SEED, STREAMS, Kind, Role, day_index, generator, stable_hash
from cmvsim.models.history import History
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws

N = 40


def _ask(order: list[tuple[str, int]], patients: int = 30) -> dict[tuple[str, int], bytes]:
    draws = ChunkDraws(5, Role.STUDY, 3, patients)
    return {key: draws(*key).tobytes() for key in order}


def test_same_bytes_whatever_the_order_of_asking() -> None:
    keys = [(name, index) for name in STREAMS for index in (0, 1, 7)]
    shuffled = keys.copy()
    random.Random(1).shuffle(shuffled)
    assert shuffled != keys
    assert _ask(keys) == _ask(shuffled)
    assert _ask(keys[-1:])[keys[-1]] == _ask(keys)[keys[-1]]
    assert len(set(_ask(keys).values())) == len(keys), "two streams draw the same numbers"


def test_hashes_are_distinct_and_stable() -> None:
    hashes = {name: stable_hash(name) for name in STREAMS}
    assert len(set(hashes.values())) == len(STREAMS) > 30
    for name, value in hashes.items():
        assert value == int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)


@pytest.mark.parametrize("part", ["seed", "role", "chunk", "name", "index"])
def test_every_part_of_the_key_matters(part: str) -> None:
    base = {"seed": 1, "role": Role.STUDY, "chunk": 0, "name": "cmv.onset", "index": 0}
    other = {"seed": 2, "role": Role.TRUTH, "chunk": 1, "name": "cmv.decay", "index": 1}
    changed = base | {part: other[part]}
    assert generator(**base).random(4).tolist() != generator(**changed).random(4).tolist()  # type: ignore[arg-type]


def test_keys_do_not_collide_where_their_words_could_shift() -> None:
    """SeedSequence concatenates words: a longer seed must not be mistaken for a shorter one with another key."""
    seeds = [0, 1, 2**32, 2**32 + 1, 2**64, 2**96, 2**96 + 1, MAX_SEED - 1]
    keys = itertools.product(seeds, (Role.STUDY, Role.CONFIRMATION), (0, 1, 2**32 - 1), (0, 1, day_index(-5)))
    first = [generator(s, r, c, "cmv.onset", i).integers(2**63, size=2).tolist() for s, r, c, i in keys]
    assert len({tuple(pair) for pair in first}) == len(first) == 8 * 2 * 3 * 3


@pytest.mark.parametrize(("chunk", "index"), [(2**32, 0), (-1, 0), (0, 2**32), (0, -1)])
def test_a_key_out_of_range_is_refused(chunk: int, index: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        generator(1, Role.STUDY, chunk, "cmv.onset", index)


def test_seeds_and_names_out_of_range_are_refused() -> None:
    for seed in (-1, MAX_SEED):
        with pytest.raises(InputError, match="out of range"):
            ChunkDraws(seed, Role.STUDY, 0, 1)
    with pytest.raises(KeyError, match=r"cmv\.onsets"):
        generator(1, Role.STUDY, 0, "cmv.onsets")
    with pytest.raises(KeyError):
        ChunkDraws(1, Role.STUDY, 0, 1)("nothing")


@given(st.integers(-60, 400), st.integers(-60, 400))
def test_day_indices_differ_for_different_days(a: int, b: int) -> None:
    assert (day_index(a) == day_index(b)) == (a == b)
    assert 0 <= day_index(a) < 2**32


@pytest.mark.parametrize("name", ["population.sex", "population.score", "cmv.onset"])
def test_samplers_are_what_their_kind_says(name: str) -> None:
    """Mean and variance within 5 Monte Carlo SE: a swap of samplers would be hundreds of SE away."""
    x = ChunkDraws(1, Role.STUDY, 0, 4000)(name)
    mean, variance, fourth = {Kind.UNIFORM: (0.5, 1 / 12, 1 / 80), Kind.NORMAL: (0, 1, 3), Kind.EXPONENTIAL: (1, 1, 9)}[
        STREAMS[name]
    ]
    assert abs(x.mean() - mean) < 5 * np.sqrt(variance / x.size)
    assert abs(((x - mean) ** 2).mean() - variance) < 5 * np.sqrt((fourth - variance**2) / x.size)


@given(st.integers(1, 50), st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_a_smaller_study_is_a_prefix_of_draws(small: int, more: int) -> None:
    few, many = ChunkDraws(9, Role.STUDY, 2, small), ChunkDraws(9, Role.STUDY, 2, small + more)
    for name in STREAMS:
        assert many(name)[: small * 64].tobytes() == few(name).tobytes()


def _arrays(h: History, patients: int) -> dict[str, np.ndarray]:
    assert h.episodes is not None
    assert h.samples is not None
    found = {
        "death": h.death,
        "start": h.treatment.start,
        "stop": h.treatment.stop,
        "onset": h.episodes.onset,
        "clear": h.episodes.clear,
        "code": h.samples.result,
        "load": h.samples.load,
        "time": h.samples.time,
        "knots": h.episodes.knot_log10,
        "relapse": h.observation.relapse,
        "hct": h.observation.hct,
    }
    return {name: np.ascontiguousarray(array[:, :patients]) for name, array in found.items()}


def test_a_history_does_not_depend_on_what_the_draws_were_asked_before() -> None:
    of = model(*STRESS, baseline=STRESS_BASELINE)
    used = ChunkDraws(1, Role.STUDY, 0, N)
    for name in reversed(STREAMS):
        used(name)
    first, second = simulate(of, used, path=True), simulate(of, ChunkDraws(1, Role.STUDY, 0, N), path=True)
    again = simulate(of, used, path=True)
    for name, array in _arrays(second, N).items():
        assert array.tobytes() == _arrays(first, N)[name].tobytes() == _arrays(again, N)[name].tobytes(), name


def _run(*overrides: str, **more: object) -> History:
    of = replace(model(*STRESS, *overrides, baseline=STRESS_BASELINE), **more)  # type: ignore[arg-type]
    return simulate(of, ChunkDraws(4, Role.STUDY, 0, N), path=True)


UPSTREAM = {
    "attendance": ("monitoring.attendance=0.3", ("first onset", "population", "toxicity", "follow-up")),
    "schedule": ("monitoring.schedule=[{ every = 10, to = 90 }]", ("first onset", "population", "toxicity", "follow-up")),
    "treatment": ("preemptive_therapy.accepted=0", ("first onset", "population", "toxicity", "follow-up", "visits")),
    "death ratio": (
        "follow_up.death_ratios.clinically_significant=3",
        ("first onset", "population", "toxicity", "follow-up", "visits", "course"),
    ),
    "death target": (
        "follow_up.death_by_90.dlbcl=0.4",
        ("first onset", "population", "toxicity", "follow-up", "visits", "course"),
    ),
    "loss": ("follow_up.lost_by_90=0.5", ("first onset", "population", "toxicity")),
    "antiviral ratio": ("cmv.onset.ratios.antiviral=0.9", ("first onset", "population", "toxicity", "follow-up", "visits")),
    "re-episodes": ("cmv.onset.re_episode=0.1", ("first onset", "population", "toxicity", "follow-up", "visits")),
    "steroid ratio": ("cmv.onset.ratios.corticosteroids=1", ("population", "toxicity", "follow-up", "visits")),
    "steroid use": ("toxicity.corticosteroids.use.lymphoma.axicabtagene=0", ("population", "follow-up", "visits")),
    "prevalence": ("cmv.onset.prevalent=0", ("population", "toxicity", "follow-up", "visits")),
    "assay": ("monitoring.assay_sd_log10=0.5", ("first onset", "population", "toxicity", "follow-up", "visits")),
}


def _stage(h: History, stage: str) -> bytes:
    assert h.episodes is not None
    assert h.samples is not None
    parts: dict[str, tuple[np.ndarray, ...]] = {
        "first onset": (h.episodes.onset[..., 0],),
        "population": (h.population.stratum, h.population.score, h.population.product, h.population.age),
        "toxicity": tuple(a for w in h.toxicity.courses.values() for a in (w.start, w.stop)),
        "follow-up": (
            h.observation.relapse,
            h.observation.hct,
            h.observation.new_therapy,
            h.observation.lost,
            h.observation.withdrawn,
        ),
        "visits": (h.samples.time,),
        "course": (h.episodes.onset, h.episodes.clear, h.samples.result, h.samples.load, h.treatment.start),
    }
    return b"".join(np.ascontiguousarray(array).tobytes() for array in parts[stage])


@pytest.mark.parametrize("change", UPSTREAM)
def test_a_change_leaves_what_is_upstream_untouched(change: str) -> None:
    override, untouched = UPSTREAM[change]
    before, after = _run(), _run(override)
    for stage in untouched:
        assert _stage(before, stage) == _stage(after, stage), stage
    if change != "death target":  # hazards are given here, not solved: that target moves nothing at all
        everything = [*UPSTREAM["death ratio"][1]]
        moved = any(_stage(before, stage) != _stage(after, stage) for stage in everything)
        assert moved or before.death.tobytes() != after.death.tobytes(), "the change must change something"


def test_attendance_only_removes_samples() -> None:
    """Where nobody is treated, the samples still taken say the same."""
    full, thin = (
        _run("monitoring.attendance=1", "preemptive_therapy.accepted=0", *NO_DISEASE),
        _run("monitoring.attendance=0.5", "preemptive_therapy.accepted=0", *NO_DISEASE),
    )
    assert full.samples is not None
    assert thin.samples is not None
    taken = thin.samples.result > 0
    assert 0.3 < taken.mean() < 0.7
    assert np.array_equal(thin.samples.result[taken], full.samples.result[taken])
    assert np.array_equal(thin.samples.load[taken], full.samples.load[taken], equal_nan=True)
