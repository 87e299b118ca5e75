"""Infections by CMV status and CMV by virus status: rows, landmarks and tables of one patient at a time."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protocol_build import (
    LOW,
    NAN,
    NEG,
    NUM,
    VIRUSES,
    Patient,
    any_batch,
    any_plan,
    build,
    cmv_day,
    follow_up,
    plan,
    prevalent,
)
from test_independent_rates import estimated, infected, other_part

from cmvsim.core.errors import InputError
from cmvsim.core.records import Status
from cmvsim.data import Disposition, EndReason, Occurrences, Result, Samples, Study, Subjects
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.base import by_term
from cmvsim.endpoints.time_dependent import Onsets, start_stop
from cmvsim.estimators import cox, mean_cumulative, odds_ratio, phi_coefficient

SEEDS = st.integers(0, 2**32)
KINDS = ("bacterial", "fungal")
Row = tuple[float, float, bool, tuple[bool, ...]]  # from, to, event at the end, exposures


def infections(p: Patient, spec: AnalysisSpec) -> tuple[float, list[float], dict[str, list[float]]] | None:
    """(last day, days of exposure, days of outcomes) of the analysis of infections by CMV status."""
    last, _ = follow_up(p, spec)
    if other_part(p, spec) or (spec.prevalent == "exclude" and prevalent(p, spec)) or last <= 0:
        return None
    since = cmv_day(p, spec)
    since = since if since is not None and since <= last else math.inf
    if prevalent(p, spec):
        since = 0.0
    return last, [since], {k: [d for d in p.events[f"{k}_infection"] if 0 < d <= last] for k in KINDS}


def after_viruses(p: Patient, spec: AnalysisSpec) -> tuple[float, list[float], dict[str, list[float]]] | None:
    last, _ = follow_up(p, spec)
    found = [infected(p, virus, spec) for virus in VIRUSES]
    blind = found[0][1] and not found[0][2]
    if other_part(p, spec) or prevalent(p, spec) or not all(f[0] for f in found) or blind or last <= 0:
        return None
    since = []
    for virus, (_, carrier, _, day) in zip(VIRUSES, found, strict=True):
        on = 0.0 if carrier and virus != "anellovirus" else day
        since.append(on if on is not None and on <= last else math.inf)
    cmv = cmv_day(p, spec)
    return last, since, {"cmv": [cmv] if cmv is not None and cmv <= last else []}


RULES = {"cmv_infections": infections, "cmv_virome": after_viruses}


def rows_of(last: float, since: list[float], outcomes: list[float]) -> list[Row]:
    """Day by day: the status on day d is what was found before d; adjacent days of the same status are one row."""
    rows: list[Row] = []
    first = min(outcomes, default=math.inf)
    for day in range(1, int(last) + 1):
        status = tuple(s < day for s in since)
        if rows and rows[-1][3] == status:
            rows[-1] = (rows[-1][0], float(day), False, status)
        else:
            rows.append((float(day - 1), float(day), False, status))
        if day == first:
            rows[-1] = (*rows[-1][:2], True, status)
            break
    return rows


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=60, deadline=None)
@given(seed=SEEDS)
def test_rows_are_those_of_a_diary(name: str, seed: int) -> None:
    batch, spec = any_batch(seed), any_plan(seed)
    derived = endpoint(name).derive(build(batch), spec)
    assert isinstance(derived, Onsets)
    for o in range(len(derived.outcomes)):
        made = start_stop(derived, o)
        assert made.rows == len(derived.exposures) + 1
        for r, line in enumerate(batch):
            for n, p in enumerate(line):
                expected = RULES[name](p, spec)
                reasons = [why for why, who in derived.excluded.items() if who[r, n]]
                mine = range(n * made.rows, (n + 1) * made.rows)
                got = [
                    (
                        float(made.entry[r, k]),
                        float(made.time[r, k]),
                        bool(made.cause[r, k] == 1),
                        tuple(bool(x) for x in made.covariates[r, k]),
                    )
                    for k in mine
                    if made.cause[r, k] >= 0
                ]
                assert {int(made.patient[r, k]) for k in mine} == {n}
                if expected is None:
                    assert (got, len(reasons)) == ([], 1)
                else:
                    last, since, outcomes = expected
                    assert reasons == []
                    assert got == rows_of(last, since, outcomes[derived.outcomes[o]])


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS)
def test_estimators_on_rows_landmarks_and_tables_are_the_library_s(name: str, seed: int) -> None:
    batch, spec = any_batch(seed, 1, 60), any_plan(seed)
    study = build(batch)
    known = [found for p in batch[0] if (found := RULES[name](p, spec)) is not None]
    if not known:
        return
    outcomes = list(known[0][2])
    got = {which: estimated(name, which, study, spec) for which in ("time_dependent_cox", "landmark_cox", "odds_ratio", "phi")}
    for outcome in outcomes:
        terms = VIRUSES if outcome == "cmv" else (outcome,)
        rows = [(k, *row) for k, (last, since, had) in enumerate(known) for row in rows_of(last, since, had[outcome])]
        who, entry, time, event, x = (np.array([list(column)]) for column in zip(*rows, strict=True))
        direct = cox(time, event.astype(int), x.astype(float), entry=entry, cluster=who)
        for e, term in enumerate(terms):
            mine, theirs = got["time_dependent_cox"][term], direct.term(e, exponentiate=True)
            same(mine, theirs)
            assert mine.n.item() == len(known)
            ever = [since[e] < math.inf for _, since, _ in known]
            had = [bool(days[outcome]) for _, _, days in known]
            x1 = sum(a and b for a, b in zip(ever, had, strict=True))
            table = (x1, sum(ever), sum(had) - x1, len(known) - sum(ever))
            same(got["odds_ratio"][f"{term}, odds ratio"], odds_ratio(*table))
            same(got["phi"][f"{term}, phi"], phi_coefficient(*table))
        for day in spec.landmarks:
            stays = [
                (min([last, *had[outcome]]) - day, bool(had[outcome]), [float(s <= day) for s in since])
                for last, since, had in known
                if min([last, *had[outcome]]) > day
            ]
            if stays:
                t, c, z = (np.array([list(column)]) for column in zip(*stays, strict=True))
                direct = cox(t, c.astype(int), z)
            for e, term in enumerate(terms):
                mine = got["landmark_cox"][f"{term}, day {day}"]
                assert mine.n.item() == len(stays)
                if stays:
                    same(mine, direct.term(e, exponentiate=True))


def same(mine: Any, theirs: Any) -> None:
    assert mine.status.item() == theirs.status.item()
    for name in ("estimate", "se", "ci_low", "ci_high"):
        np.testing.assert_allclose(getattr(mine, name).item(), getattr(theirs, name).item(), rtol=1e-9)
    assert mine.events.item() == theirs.events.item()


# -- by hand -----------------------------------------------------------------------------------------------------
def quantified(day: float) -> list[tuple[float, float, int, float]]:
    return [(0.0, 0.0, int(NEG), NAN), (day, day, int(NUM), 80.0)]


def bacterial(study: Study, **changes: Any) -> list[tuple[float, float, int, float]]:
    made = start_stop(endpoint("cmv_infections").derive(study, plan(**changes)), 0)
    return [
        (float(a), float(b), int(c), float(x))
        for a, b, c, x in zip(made.entry[0], made.time[0], made.cause[0], made.covariates[0, :, 0], strict=True)
        if c >= 0
    ]


def with_infection(day: float, **changes: Any) -> Patient:
    return Patient(samples=quantified(20.0), events={"bacterial_infection": [day], "fungal_infection": []}, **changes)


def test_an_infection_on_the_day_of_the_positive_sample_came_before_it() -> None:
    assert bacterial(build([[with_infection(20.0)]])) == [(0, 20, 1, 0)]
    assert bacterial(build([[with_infection(21.0)]])) == [(0, 20, 0, 0), (20, 21, 1, 1)]
    assert bacterial(build([[with_infection(19.0)]])) == [(0, 19, 1, 0)]


def test_an_infection_on_the_day_of_death_counts_and_one_before_infusion_does_not() -> None:
    died = {"end": 30.0, "reason": EndReason.DEATH, "death": 30.0}
    assert bacterial(build([[with_infection(30.0, **died)]])) == [(0, 20, 0, 0), (20, 30, 1, 1)]
    assert bacterial(build([[with_infection(0.0)]])) == [(0, 20, 0, 0), (20, 90, 0, 1)]
    assert bacterial(build([[with_infection(91.0)]])) == [(0, 20, 0, 0), (20, 90, 0, 1)]


def test_prevalent_dnaemia_is_left_out_or_exposed_from_infusion_on() -> None:
    p = Patient(samples=quantified(0.0), events={"bacterial_infection": [9.0], "fungal_infection": []})
    assert bacterial(build([[p]])) == []
    assert bacterial(build([[p]]), prevalent="count") == [(0, 9, 1, 1)]


def test_infections_and_viruses_need_their_tables() -> None:
    study = build([[Patient()]])
    with pytest.raises(InputError, match="fungal_infection"):
        endpoint("cmv_infections").derive(
            replace(study, events={"bacterial_infection": study.events["bacterial_infection"]}), plan()
        )
    with pytest.raises(InputError, match="pegivirus"):
        endpoint("cmv_virome").derive(replace(study, virome={"anellovirus": study.virome["anellovirus"]}), plan())


def test_mean_counts_from_a_landmark_by_status_then() -> None:
    """Recurrent infections after day 28 of those positive by then, and of the others; a death ends the count."""
    infections_of = ([40.0, 50.0], [30.0], [28.0, 60.0], [35.0, 36.0, 37.0], [], [80.0])
    row = [
        Patient(
            samples=quantified(14.0 if k < 3 else 42.0),
            events={"bacterial_infection": days, "fungal_infection": []},
            **({"end": 45.0, "reason": EndReason.DEATH, "death": 45.0} if k in (1, 4) else {}),
        )
        for k, days in enumerate(infections_of)
    ]
    got = estimated("cmv_infections", "mean_count", build([row]), plan(landmarks=(28,)))["bacterial, from day 28"]
    means = []
    for group in (slice(0, 3), slice(3, 6)):
        days = [[d - 28 for d in given if d > 28] + [NAN] * 3 for given in infections_of[group]]
        times = np.array([[d[:3] for d in days]])
        out = np.array([[17.0 if k in (1, 4) else 62.0 for k in range(6)[group]]])
        means.append(mean_cumulative(times, out, 62.0, died=out == 17.0))
    assert got.estimate.item() == pytest.approx(means[0].estimate.item() - means[1].estimate.item(), rel=1e-12)
    assert got.se.item() == pytest.approx(math.hypot(means[0].se.item(), means[1].se.item()), rel=1e-12)
    assert means[0].estimate.item() == pytest.approx(4 / 3)
    assert (got.n.item(), got.events.item(), got.status.item()) == (6, 8, Status.OK)


def with_virus(first: float, cmv: float, virus: str = "pegivirus") -> Patient:
    virome = {name: [(0.0, 0.0, int(NEG), NAN)] for name in VIRUSES}
    virome[virus] = [*virome[virus], (first, first, int(LOW), NAN)]
    return Patient(samples=quantified(cmv), virome=virome)


def test_the_share_of_pairs_in_which_the_virus_came_first() -> None:
    row = [with_virus(14.0, 21.0), with_virus(28.0, 21.0), with_virus(28.0, 28.0), with_virus(14.0, 15.0)]
    row += [with_virus(14.0, 95.0), with_virus(100.0, 30.0)]
    got = estimated("cmv_virome", "pegivirus_first", build([row]), plan())["pegivirus first"]
    assert (got.events.item(), got.n.item()) == (2, 3)
    carrier = with_virus(14.0, 21.0)
    carrier.virome["pegivirus"][0] = (0.0, 0.0, int(LOW), NAN)
    nobody = estimated("cmv_virome", "pegivirus_first", build([[carrier]]), plan())["pegivirus first"]
    assert nobody.status.item() == Status.EMPTY, "a carrier since before infusion did not acquire it before CMV"


# -- immortal time -----------------------------------------------------------------------------------------------
REPLICATES, PATIENTS = 400, 200


@cache
def null_studies() -> Study:
    """CMV, infections and death independent of each other, exponential, cut into days; nobody is ill before day 1."""
    rng = np.random.default_rng(20_260)
    shape = (REPLICATES, PATIENTS)
    cmv, infection, death = (np.ceil(rng.exponential(mean, shape)) for mean in (60.0, 90.0, 45.0))
    end = np.minimum(death, 90.0)
    seen = cmv <= end
    one = np.zeros((*shape, 1))
    return Study(
        subjects=Subjects(np.zeros(shape, dtype=np.int8), ("all",), ("lymphoma",)),
        samples=Samples(
            np.where(seen, cmv, np.nan)[..., None],
            np.where(seen, cmv, np.nan)[..., None],
            np.where(seen, Result.QUANTIFIED, Result.NONE).astype(np.int8)[..., None],
            np.where(seen, 100.0, np.nan)[..., None] + one,
            "plasma",
            35.0,
        ),
        disposition=Disposition(
            end,
            np.where(death <= 90, EndReason.DEATH, EndReason.COMPLETED).astype(np.int8),
            np.where(death <= 90, death, np.nan),
        ),
        events={
            "bacterial_infection": Occurrences(np.where(infection <= end, infection, np.nan)[..., None]),
            "fungal_infection": Occurrences(np.full((*shape, 1), np.nan)),
        },
    )


def log_mean(which: str, term: str) -> tuple[float, float]:
    """Mean over the studies of the log ratio, and its Monte Carlo standard error."""
    study, spec = null_studies(), plan(window=90)
    derived = endpoint("cmv_infections").derive(study, spec)
    chosen = next(c for c in endpoint("cmv_infections").estimators if c.id == which)
    estimate = by_term(chosen.estimate(derived, spec, (PATIENTS,)))[term].estimate[:, 0]
    assert np.isfinite(estimate).all()
    logs = np.log(estimate)
    return float(logs.mean()), float(logs.std(ddof=1) / math.sqrt(REPLICATES))


def test_ever_against_never_is_biased_by_immortal_time_where_nothing_is_going_on() -> None:
    """Whoever lives longer has more time for CMV and for an infection: an odds ratio of about 2.6 out of nothing."""
    mean, mcse = log_mean("odds_ratio", "bacterial, odds ratio")
    assert mean - 5 * mcse > math.log(1.3)


@pytest.mark.parametrize(("which", "term"), [("time_dependent_cox", "bacterial"), ("landmark_cox", "bacterial, day 28")])
def test_time_dependent_status_is_not_biased(which: str, term: str) -> None:
    """Within 4 Monte Carlo standard errors of no effect, which are less than a tenth of the naive bias."""
    mean, mcse = log_mean(which, term)
    assert 4 * mcse < 0.1
    assert abs(mean) < 4 * mcse


def test_coverage_of_the_robust_interval_where_nothing_is_going_on() -> None:
    study, spec = null_studies(), plan(window=90)
    derived = endpoint("cmv_infections").derive(study, spec)
    found = by_term(endpoint("cmv_infections").estimators[0].estimate(derived, spec, (PATIENTS,)))
    bound = found["bacterial"]
    covered = ((bound.ci_low <= 1) & (bound.ci_high >= 1)).mean()
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / REPLICATES)
    assert (found["fungal"].status == Status.NOT_ESTIMABLE).all()
