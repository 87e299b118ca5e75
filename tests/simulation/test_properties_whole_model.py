"""What must hold in every history of the whole model: sums of the ledger, death, drugs one at a time, tests, incidences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from simulation_build import PLAIN_BASELINE
from whole_model_build import BASELINE, REPLICATES, STRATEGIES, rich, whole

from cmvsim.core.ledger import Component, Item, Ledger
from cmvsim.core.streams import Role
from cmvsim.data import EndReason
from cmvsim.endpoints import ENDPOINTS, AnalysisSpec, TimeToEvent
from cmvsim.estimators import aalen_johansen, kaplan_meier
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import History
from cmvsim.models.time_grid import STEPS_PER_DAY
from cmvsim.models.treatment import ANTIVIRALS
from cmvsim.scenarios import resolve
from cmvsim.scenarios.load import catalogue_ids
from cmvsim.simulation.cohort import FOUNDATION, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record

N = 40
VALGANCICLOVIR, GANCICLOVIR, FOSCARNET, MARIBAVIR = range(1, 5)


@cache
def _history(strategy: str) -> History:
    return whole(rich(), N, strategy=strategy)


def _flat(array: np.ndarray) -> np.ndarray:
    """(R, N, ...) as (P, ...), patient-major."""
    return np.swapaxes(array, 0, 1).reshape(-1, *array.shape[2:])


def _death(h: History) -> np.ndarray:
    return _flat(h.death)


# -- ledger ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_ledger_adds_up_exactly(strategy: str) -> None:
    """By item, by component, by both, and over periods cut on the grid: the same numbers to the last bit."""
    ledger = _history(strategy).ledger
    assert ledger is not None
    whole_sum = ledger.totals()
    table = ledger.totals_by_item()
    assert np.array_equal(table.sum(axis=(0, 1)), whole_sum)
    assert np.array_equal(np.sum([ledger.totals(item) for item in Item], axis=0), whole_sum)
    assert np.array_equal(np.sum([ledger.totals(component=c) for c in Component], axis=0), whole_sum)
    shuffled = np.random.default_rng(1).permutation(ledger.rows)
    rows = (ledger.patient, ledger.start, ledger.stop, ledger.rate, ledger.item, ledger.component)
    again = Ledger(ledger.patients, *(column[shuffled] for column in rows))
    assert np.array_equal(again.totals_by_item(), table)
    cuts = [-100.0, -3.5, 0.0, 17 + 5 / STEPS_PER_DAY, 28.0, 90.0, 90.25, 400.0]
    pieces = [ledger.between(low, high).totals_by_item() for low, high in itertools.pairwise(cuts)]
    assert np.array_equal(np.sum(pieces, axis=0), table)
    assert all(piece.any() for piece in pieces)
    used = table.sum(axis=2) > 0
    assert used.any(axis=0).all() or strategy == "preemptive", "every item is used"
    assert used.any(axis=1).all() or strategy == "preemptive", "every component is used"


def test_the_ledger_holds_the_days_of_the_history() -> None:
    """Spells, stays, courses, tests and doses up to death or the horizon, from the history by another way."""
    h = _history("universal")
    assert h.ledger is not None
    assert h.treatment is not None
    assert h.samples is not None
    assert h.stays is not None
    end = np.floor(np.minimum(_death(h), h.horizon) * STEPS_PER_DAY) / STEPS_PER_DAY
    drug, start, stop = (_flat(a) for a in (h.treatment.drug, h.treatment.drug_start, h.treatment.drug_stop))
    for code, name in enumerate(ANTIVIRALS, start=1):
        days = np.minimum(np.nan_to_num(stop, nan=np.inf), end[:, None]) - start
        mine = np.where((drug == code) & (days > 0), days, 0.0).sum(axis=1)
        assert np.array_equal(h.ledger.totals(Item(f"{name}_day")), mine), name
        assert mine.sum() > 1000
    tests = (_flat(h.samples.time) <= end[:, None]).sum(axis=1)
    assert np.array_equal(h.ledger.totals(Item.CMV_PCR), tests)
    extra = (_flat(h.samples.extra) & (_flat(h.samples.time) <= end[:, None])).sum(axis=1)
    assert np.array_equal(h.ledger.totals(Item.CMV_PCR, Component.SURVEILLANCE_EXTRA), extra)
    hospital = h.ledger.totals(Item.WARD_DAY) + h.ledger.totals(Item.ICU_DAY)
    for windows, total in ((h.stays.in_hospital, hospital), (h.stays.in_icu, h.ledger.totals(Item.ICU_DAY))):
        there = np.isfinite(windows.start)
        lasts = np.where(there, windows.stop, 0) - np.where(there, windows.start, 0)
        assert np.array_equal(lasts.sum(axis=0), total)
    steroids = h.toxicity.courses["corticosteroids"]
    days = np.maximum(np.minimum(steroids.stop, end) - np.minimum(steroids.start, end), 0.0)
    assert np.array_equal(h.ledger.totals(Item.STEROID_DAY), days)


# -- death -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("strategy", ["preemptive", "universal"])
def test_nothing_follows_death(strategy: str) -> None:
    """No sample, event, day of a drug or of hospital, or questionnaire; many deaths have something that would."""
    h = _history(strategy)
    dead = np.isfinite(_death(h))
    assert dead.mean() > 0.4
    assert h.ledger is not None
    died = _death(h)[h.ledger.patient]
    assert np.all(h.ledger.start <= died)
    assert np.all(h.ledger.stop <= died)
    assert np.all(h.ledger.stop <= h.horizon)
    answers = h.questionnaires
    assert answers is not None
    late = answers.days[:, None] >= _death(h)
    assert late.sum() > 100
    assert not np.any(answers.instrument[late])
    assert not np.any(np.moveaxis(answers.levels, 1, -1)[late])
    assert np.isnan(answers.vas[late]).all()
    assert h.stays is not None
    for windows in (h.stays.in_hospital, h.stays.in_icu):
        there = np.isfinite(windows.start)
        assert np.all(windows.stop[there] <= np.broadcast_to(_death(h), there.shape)[there])
    _study_ends_with_death(h)


def _study_ends_with_death(h: History) -> None:
    study = record(h)
    day = np.ceil(h.death)[..., None]
    assert h.samples is not None
    assert np.any(h.samples.time > h.death[..., None]), "samples that death cuts"
    assert not np.any(study.samples.day > day)
    assert np.array_equal(study.samples.result > 0, ~np.isnan(study.samples.day))
    for name, occurrences in study.events.items():
        when = occurrences.first
        assert np.isfinite(when).any(), name
        assert not np.any(when > day[..., 0]), name
    for drug, courses in study.exposures.items():
        assert np.isfinite(courses.start).any(), drug
        assert not np.any(courses.start > day), drug
        assert not np.any(courses.stop > day + 1), drug
    d = study.disposition
    assert not np.any(d.end > np.fmax(day[..., 0], 0))
    assert np.array_equal(d.death[d.reason == EndReason.DEATH], day[..., 0][d.reason == EndReason.DEATH])


# -- treatment ---------------------------------------------------------------------------------------------------
def _treated(h: History) -> Iterator[tuple[int, list[tuple[float, float]], list[tuple[int, float, float]]]]:
    """Of each treated patient (flat index): treatments, and spells (drug, start, stop)."""
    care = h.treatment
    assert care is not None
    start, stop = _flat(care.start), _flat(care.stop)
    drug, since, until = _flat(care.drug), _flat(care.drug_start), _flat(care.drug_stop)
    for i in np.flatnonzero(np.isfinite(start[:, 0])):
        treatments = [(a, b) for a, b in zip(start[i], stop[i], strict=True) if np.isfinite(a)]
        yield i, treatments, [(int(c), a, b) for c, a, b in zip(drug[i], since[i], until[i], strict=True) if c > 0]


@pytest.mark.parametrize("strategy", ["preemptive", "universal"])
def test_spells_of_one_drug_each_partition_the_treatments(strategy: str) -> None:
    h = _history(strategy)
    seen = {"switch": 0, "open": 0, "second treatment": 0}
    for _, treatments, spells in _treated(h):
        for times in (*treatments, *((a, b) for _, a, b in spells)):
            assert all(np.isnan(t) or t * STEPS_PER_DAY == int(t * STEPS_PER_DAY) for t in times), "on the grid"
        left = list(spells)
        for begin, end in treatments:
            assert left, "a treatment without a drug"
            at, last = begin, 0
            # a switch at the time of the stop gives a spell without length
            while left and left[0][1] == at and (np.isnan(end) or left[0][1] < end or left[0][2] == end):
                drug, _, until = left.pop(0)
                assert drug != last, "a switch to the same drug"
                seen["switch"] += last > 0
                last, at = drug, until
                if np.isnan(until):
                    break
            assert at == end or (np.isnan(at) and np.isnan(end)), "the drugs of a treatment follow one another to its end"
            seen["open"] += bool(np.isnan(end))
        assert not left, "a drug outside a treatment"
        for (_, end), (begin, _) in itertools.pairwise(treatments):
            assert begin >= end
            seen["second treatment"] += 1
    assert min(seen.values()) > 20, seen


@pytest.mark.parametrize("strategy", ["preemptive", "steroid_triggered"])
def test_drugs_are_chosen_by_what_a_patient_tolerates(strategy: str) -> None:
    """Foscarnet when neutropenic; no drug again after its toxicity; the last resort is maribavir."""
    h = _history(strategy)
    care, after_infusion = h.treatment, h.toxicity.neutropenia
    assert care is not None
    low, stop, kidney = (_flat(a) for a in (care.neutropenia, care.neutropenia_stop, care.kidney_injury))
    assert np.all(stop[np.isfinite(low)] > low[np.isfinite(low)])
    count = dict.fromkeys(("neutropenic", "intolerant", "free", "both"), 0)
    for i, treatments, spells in _treated(h):
        begins = {a for a, _ in treatments}
        of_kind = {kind: [s for s in spells if s[0] in kind] for kind in ((VALGANCICLOVIR, GANCICLOVIR), (FOSCARNET,))}
        for kind, toxic in (((VALGANCICLOVIR, GANCICLOVIR), low[i]), ((FOSCARNET,), kidney[i])):
            ends = [until for _, _, until in of_kind[kind]]
            assert all(since < toxic for _, since, _ in of_kind[kind]), "a drug after its toxicity"
            if np.isfinite(toxic):
                assert ends[-1] == toxic, "toxicity ends the drug at once"
        for drug, since, _ in spells:
            neutropenic = after_infusion.start[i] <= since < after_infusion.stop[i] or low[i] <= since
            if neutropenic:
                assert drug in (FOSCARNET, MARIBAVIR)
                assert (drug == MARIBAVIR) >= (kidney[i] <= since)
                if since in begins:
                    assert drug == (MARIBAVIR if kidney[i] <= since else FOSCARNET)
                    count["intolerant" if low[i] <= since else "neutropenic"] += 1
            elif since in begins:
                assert drug != MARIBAVIR, "nothing stands against valganciclovir"
                count["free"] += 1
            count["both"] += low[i] <= since and kidney[i] <= since
    assert min(count.values()) > 5, count


# -- samples -----------------------------------------------------------------------------------------------------
def test_who_is_tested_when() -> None:
    """Retrospective patients have no protocol visits; clinical tests are never on the day of a protocol sample."""
    h = _history("preemptive")
    s = h.samples
    assert s is not None
    time, retrospective = _flat(s.time), h.population.retrospective
    visits, tests = time[:, : s.visits], time[:, s.visits :]
    assert np.isnan(visits[retrospective]).all()
    assert np.isfinite(visits[~retrospective]).mean() > 0.2
    assert np.isfinite(tests[retrospective]).any(axis=1).mean() > 0.5
    days = np.arange(-5, 175)
    assert tests.shape[1] == days.size
    assert np.all((tests == days) | np.isnan(tests))
    for i in np.flatnonzero(~retrospective):
        assert not set(visits[i][np.isfinite(visits[i])]) & set(tests[i][np.isfinite(tests[i])])
    until = _flat(h.observation.monitoring_end)
    after = time > until[:, None]
    assert not after[:, s.nominal > 0].any()
    assert not after[:, s.visits :].any()


def test_after_a_detected_result_tests_go_on_weekly_until_two_negatives() -> None:
    """Replayed from times and results alone: when follow-up is on, and that every `extra` test is due to it."""
    of, h = rich(), _history("preemptive")
    s = h.samples
    assert s is not None
    time, result, extra = _flat(s.time), _flat(s.result), _flat(s.extra)
    until, last_day = _flat(h.observation.monitoring_end), of.monitoring.days[-1]
    turnaround = float(of.monitoring.turnaround)
    replayed = 0
    for i in range(0, N * REPLICATES, 2):
        there = np.flatnonzero(np.isfinite(time[i]))
        samples = {float(time[i, v]): v for v in there}
        queue: list[tuple[float, int]] = []
        on, negatives, last = False, 0, -np.inf
        for day in range(-5, last_day + 1):
            while queue and queue[0][0] <= day:
                arrives, code = queue.pop(0)
                if arrives > until[i]:
                    continue
                if code >= 2:
                    on, negatives = True, 0
                elif on:
                    negatives += 1
                    on = negatives < 2
            wanted = on and day - last >= 7 and day <= until[i]
            v = samples.get(float(day))
            if v is None:
                assert not wanted, "follow-up forgot a test"
                continue
            assert not extra[i, v] or wanted, "an extra test without a reason"
            replayed += bool(extra[i, v])
            queue.append((day + turnaround, int(result[i, v])))
            last = day
    assert replayed > 200


# -- incidences --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", catalogue_ids())
def test_incidences_of_every_scenario_add_up(name: str) -> None:
    """Aalen-Johansen of the event and of each competing event, and the Kaplan-Meier of all, on 64 studies: 1 in sum."""
    spec = resolve(name).spec
    strata = len(spec.population.strata)
    baseline = Baseline(
        PLAIN_BASELINE.onset_amplitude,
        PLAIN_BASELINE.onset_median,
        PLAIN_BASELINE.non_relapse_hazard[:1] * strata,
        PLAIN_BASELINE.after_relapse_hazard[:1] * strata,
        PLAIN_BASELINE.bacterial_hazard,
        PLAIN_BASELINE.fungal_hazard,
        BASELINE.letermovir,
    )
    of = Model.of(spec, baseline)
    plans = [plan for plan, given in of.strategies.items() if given.prophylaxis != "none"]
    for strategy in (None, *plans[:1]):
        study = record(simulate(of, ChunkDraws(5, Role.STUDY, 0, 80), strategy=strategy))
        for change in ({}, {"relapse": "competing"}, {"definition": "clinically_significant"}, {"prevalent": "count"}):
            plan = AnalysisSpec.model_validate({**spec.analysis.human(), **change})
            for entry in ENDPOINTS.values():
                if not entry.needs <= FOUNDATION:
                    continue  # of processes that did not run
                derived = entry.derive(study, plan)
                assert isinstance(derived, TimeToEvent)
                if not (derived.cause >= 0).any(axis=1).all():
                    continue  # a disease that the scenario does not have
                parts = []
                for cause in range(1, 5):
                    found = aalen_johansen(derived.time, derived.cause, plan.window, event=cause)
                    assert np.all((found.estimate >= 0) & (found.estimate <= 1))
                    assert np.all((found.ci_low <= found.estimate) & (found.estimate <= found.ci_high))
                    parts.append(found.estimate)
                inside = np.where(derived.cause < 0, -1, derived.cause > 0)
                free = kaplan_meier(derived.time, inside, plan.window).estimate
                np.testing.assert_allclose(np.sum(parts, axis=0) + free, 1.0, atol=1e-12)
                assert entry.id == "cmv_disease" or parts[0].mean() > 0.002  # hardly anybody falls ill


# -- letermovir --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("strategy", STRATEGIES[1:])
def test_letermovir_ends_where_the_scenario_says(strategy: str) -> None:
    """At pre-emptive therapy and at transplantation; whoever is treated before never begins; the ledger holds the days."""
    h = _history(strategy)
    course, care = h.prophylaxis, h.treatment
    assert course is not None
    assert care is not None
    assert h.ledger is not None
    first = _flat(care.start)[:, 0]
    first = np.where(np.isnan(first), np.inf, first)
    taken = course.taken
    for event in (first, _flat(h.observation.hct)):
        assert np.all(event[taken] > course.start[taken])
        assert np.all(course.stop[taken] <= event[taken] + 1 / STEPS_PER_DAY), "transplantation, rounded to the grid"
    assert np.mean(course.stop[taken] == first[taken]) > 0.03, "many courses end so"
    end = np.floor(np.minimum(_death(h), h.horizon) * STEPS_PER_DAY) / STEPS_PER_DAY
    days = np.where(taken, np.maximum(np.minimum(course.stop, end) - np.where(taken, course.start, 0), 0.0), 0.0)
    rate = np.rint(course.adherence * 1024) / 1024
    assert np.array_equal(h.ledger.totals(Item.LETERMOVIR_DAY), rate * days)
    assert h.resistance is not None
    ul56 = np.isfinite(h.resistance.known[2])
    onset = h.resistance.onset
    assert np.all(((course.start <= onset) & (onset < course.stop))[ul56]), "resistance to it arises while it is taken"
