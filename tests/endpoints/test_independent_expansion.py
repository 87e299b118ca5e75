"""CMV after CAR-T expansion: measurements and scores of one patient at a time, estimators of the library on them."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_build import LLOQ, LOW, NAN, NEG, NUM, Patient, any_batch, any_plan, build, plan
from test_independent_rates import estimated, reactivation

from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.cmv_expansion import MEASURES, Expansion
from cmvsim.estimators import cox, pearson, rank_sum, spearman

SEEDS = st.integers(0, 2**32)


def measured(p: Patient, day: float, which: str) -> float | None:
    """Highest level, or area, of the samples after infusion and by a day."""
    counts = sorted((s[1], s[3] if s[2] == NUM else LLOQ[p.product] / 2) for s in p.cells if 0 < s[1] <= day)
    if p.product < 0 or len(counts) < (1 if which == "cmax" else 2):
        return None
    if which == "cmax":
        return max(level for _, level in counts)
    days, levels = [0.0, *(d for d, _ in counts), day], [0.0, *(level for _, level in counts), counts[-1][1]]
    return float(np.trapezoid(levels, days))


def chosen(row: list[Patient], spec: AnalysisSpec, which: str) -> list[tuple[int, float, int, float, int]]:
    """(place, days from the landmark, event, measurement, product) of the patients in the analysis of a measure."""
    day = float(spec.landmarks[0] if which == "cmax" else spec.landmarks[-1])
    found = []
    for place, p in enumerate(row):
        seen, level = reactivation(p, spec), measured(p, day, which)
        if seen is not None and level is not None and seen[0] > day:
            found.append((place, seen[0] - day, int(seen[1] == 1), level, p.product))
    return found


def blom(entries: list[tuple[int, float, int, float, int]]) -> list[float]:
    """Normal scores of mean ranks within the product."""
    scores = []
    for entry in entries:
        peers = [e[3] for e in entries if e[4] == entry[4]]
        rank = sum(x < entry[3] for x in peers) + (sum(x == entry[3] for x in peers) + 1) / 2
        scores.append(NormalDist().inv_cdf((rank - 3 / 8) / (len(peers) + 1 / 4)))
    return scores


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS)
def test_measurements_times_and_scores_are_those_of_the_rules(seed: int) -> None:
    batch, spec = any_batch(seed), any_plan(seed)
    derived = endpoint("cmv_expansion").derive(build(batch), spec)
    assert isinstance(derived, Expansion)
    for m, which in enumerate(MEASURES):
        scores = derived.scores(m)
        for r, row in enumerate(batch):
            mine = chosen(row, spec, which)
            assert np.flatnonzero(derived.cause[r, :, m] >= 0).tolist() == [e[0] for e in mine]
            for entry, score in zip(mine, blom(mine), strict=True):
                n = entry[0]
                assert (derived.time[r, n, m], derived.cause[r, n, m] == 1) == (entry[1], bool(entry[2]))
                assert derived.measured[r, n, m] == pytest.approx(entry[3], rel=1e-12)
                assert scores[r, n] == pytest.approx(score, abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_estimators_are_the_library_s_on_scores_of_the_first_patients_alone(seed: int) -> None:
    """Ranks belong to a study: those of its first 40 patients are not those of all 60."""
    batch, spec = any_batch(seed, 1, 60), plan(landmarks=(7, 21))
    study, name = build(batch), "cmv_expansion"
    for size in (40, 60):
        first = build([batch[0][:size]])
        for which in MEASURES:
            mine = chosen(batch[0][:size], spec, which)
            if not mine:
                continue
            _, t, c, _, _ = (np.array([list(column)]) for column in zip(*mine, strict=True))
            z = np.array([blom(mine)])
            same(estimated(name, "landmark_cox", first, spec)[which], cox(t, c, z[..., None]).term(0, exponentiate=True))
            for wanted, correlate in (("Spearman", spearman), ("Point-biserial", pearson)):
                got = estimated(name, wanted.lower().replace("-", "_"), first, spec)[f"{which}, {wanted}"]
                same(got, correlate(z, c.astype(float)).estimates())
                assert got.events.item() == c.sum()
            test = rank_sum(z, c)
            got = estimated(name, f"mann_whitney_{which}", first, spec)[f"{which} higher with CMV"]
            assert got.status.item() == test.status.item()
            if got.status.item() == Status.OK:
                expected = [test.probability.item(), test.ci_low.item(), test.ci_high.item()]
                assert [got.estimate.item(), got.ci_low.item(), got.ci_high.item()] == pytest.approx(expected, rel=1e-9)
                p = estimated(name, "mann_whitney_test", first, spec)[f"{which}, Mann-Whitney"]
                assert p.estimate.item() == pytest.approx(test.p_value.item(), rel=1e-9)
    nested = endpoint(name).estimators[0].estimate(endpoint(name).derive(study, spec), spec, (40, 60))
    alone = estimated(name, "landmark_cox", build([batch[0][:40]]), spec)
    for which in MEASURES:
        np.testing.assert_array_equal(nested[which].estimate[0, 0], alone[which].estimate[0, 0])


def same(mine: Any, theirs: Any) -> None:
    assert (mine.status.item(), mine.n.item()) == (theirs.status.item(), theirs.n.item())
    for name in ("estimate", "se", "ci_low", "ci_high"):
        np.testing.assert_allclose(getattr(mine, name).item(), getattr(theirs, name).item(), rtol=1e-7, atol=1e-12)


# -- by hand -----------------------------------------------------------------------------------------------------
CELLS = [(4.0, 4.0, int(LOW), NAN), (7.0, 8.0, int(NUM), 200.0), (14.0, 15.0, int(NUM), 900.0), (28.0, 28.0, int(NUM), 100.0)]


def expansion(*row: Patient, **changes: Any) -> Expansion:
    derived = endpoint("cmv_expansion").derive(build([list(row)]), plan(**changes))
    assert isinstance(derived, Expansion)
    return derived


def test_half_the_limit_below_it_none_at_infusion_and_the_last_value_kept() -> None:
    """Product 0 counts from 50 on: 25 on day 4. The sample of day 15 is too late for the landmark of day 14."""
    got = expansion(Patient(cells=CELLS, samples=[(0.0, 0.0, int(NEG), NAN)]))
    area = 4 * 25 / 2 + 4 * (25 + 200) / 2 + 7 * (200 + 900) / 2 + 13 * (900 + 100) / 2
    assert got.measured[0, 0].tolist() == [200.0, area]
    early = expansion(Patient(cells=CELLS[:2]))
    assert early.measured[0, 0, 1] == 4 * 25 / 2 + 4 * (25 + 200) / 2 + 20 * 200
    assert got.time[0, 0].tolist() == [76.0, 62.0]


def test_cmv_by_the_landmark_leaves_the_analysis_of_that_landmark() -> None:
    def at(day: float) -> Patient:
        return Patient(cells=CELLS, samples=[(0.0, 0.0, int(NEG), NAN), (day, day, int(NUM), 90.0)])

    got = expansion(at(14.0), at(15.0), at(28.0), at(29.0))
    assert got.cause[0].tolist() == [[-1, -1], [1, -1], [1, -1], [1, 1]]
    assert got.time[0, 3].tolist() == [15.0, 1.0]
    reasons = {why: who[0].tolist() for why, who in got.excluded.items() if who.any()}
    assert reasons == {"CMV or end of follow-up by day 14": [True, False, False, False]}


def test_one_product_s_units_are_not_compared_with_another_s() -> None:
    """Ten times the level in another unit is the same rank."""
    high = [(d, t, r, v * 10) for d, t, r, v in CELLS]
    row = [Patient(cells=[(d, t, r, v + k) for d, t, r, v in CELLS], product=0) for k in range(3)]
    row += [Patient(cells=[(d, t, r, v + k) for d, t, r, v in high], product=1) for k in range(3)]
    scores = expansion(*row).scores(0)[0]
    assert scores[:3].tolist() == scores[3:].tolist()
    assert scores[1] == 0
    assert scores[2] == pytest.approx(NormalDist().inv_cdf(2.625 / 3.25))


def test_what_the_tables_do_not_say() -> None:
    study = build([[Patient(cells=CELLS)]])
    with pytest.raises(InputError, match="CAR-T cells"):
        endpoint("cmv_expansion").derive(replace(study, car_t=None), plan())
    with pytest.raises(InputError, match="products"):
        endpoint("cmv_expansion").derive(build([[Patient(cells=CELLS)]], products=False), plan())
    with pytest.raises(InputError, match="landmarks"):
        endpoint("cmv_expansion").derive(study, plan(landmarks=()))
    assert study.car_t is not None
    lone = replace(
        build([[Patient(cells=CELLS)]], products=False), car_t=replace(study.car_t, units=("cells/uL",), lloq=(50.0,))
    )
    derived = endpoint("cmv_expansion").derive(lone, plan())
    assert derived.entered.all()
    unknown = expansion(Patient(cells=CELLS, product=-1))
    assert [why for why, who in unknown.excluded.items() if who.any()] == ["product not recorded"]
    assert math.isnan(unknown.measured[0, 0, 0])
