"""What the study records beside its CMV samples is what happened, no more than it can know, and adds up."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.ledger import Component, Item
from cmvsim.core.streams import Role
from cmvsim.data.pooling import pooled
from cmvsim.data.study import COMPONENTS, Change, EndReason, Result, Study, Topic
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import History
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import ALL, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record, research
from cmvsim.simulation.recording.clinical import RECORDED_COMPONENT, joined

N = 40
SCENARIOS = ("cmv-cart", "cmv-cart-two-parts")


@cache
def _recorded(name: str) -> tuple[History, Study]:
    """Half of the patients reactivate, so that all that follows CMV is seen."""
    spec = resolve(name).spec
    baseline = Baseline(3.0, 13.0, (2.8e-4,) * 3, (4e-3,) * 3, (0.0036, 0.0011), (0.0003, 0.00018))
    model = Model.of(spec, baseline, convert(spec.quality_of_life))
    h = simulate(model, ChunkDraws(5, Role.STUDY, 0, N), needs=ALL)
    return h, record(h)


def _days(study: Study) -> dict[str, np.ndarray]:
    found = {f"event {name}": o.day for name, o in study.events.items()}
    found |= {f"end of {name}": o.end for name, o in study.events.items() if o.end is not None}
    found |= {f"samples for {name}": v.day for name, v in study.virome.items()}
    found |= {"car_t": study.car_t.day, "sequencing": study.sequencing.day, "questionnaires": study.questionnaires.day}
    return found | {"stay": study.stays.start, "discharge": study.stays.stop - 1}


@pytest.mark.parametrize("name", SCENARIOS)
def test_days_are_whole_and_not_after_what_the_study_knows(name: str) -> None:
    _, study = _recorded(name)
    gone = np.isin(study.disposition.reason, (EndReason.WITHDRAWN, EndReason.LOST))
    for what, day in _days(study).items():
        known = day[~np.isnan(day)]
        assert known.size, what
        assert np.array_equal(known, np.floor(known)), what
        assert not np.any(day > study.disposition.death[..., None]), what
        last = study.disposition.end + 1.0  # monitoring ends on the last whole day before withdrawal
        assert not np.any((day > last[..., None]) & gone[..., None]), what


@pytest.mark.parametrize("name", SCENARIOS)
def test_resource_use_adds_up_to_the_ledger_until_the_study_knows_no_more(name: str) -> None:
    h, study = _recorded(name)
    r = study.resources
    assert np.all(r.first <= r.last)
    complete = np.isin(study.disposition.reason, (EndReason.COMPLETED,)) & np.isnan(study.disposition.death)
    last = np.ceil(h.samples.nominal[h.samples.visits - 1])
    plain = complete & (study.disposition.end == last)
    assert plain.sum() > 200
    for code, component in enumerate(COMPONENTS):
        total = np.bincount(r.row[r.component == code], r.quantity[r.component == code], minlength=plain.size)
        truth = sum(
            np.asarray(h.view(h.ledger.between(-np.inf, last).totals(component=c)))
            for c in Component
            if RECORDED_COMPONENT[c] == component
        )
        rows = np.bincount(r.row[r.component == code], minlength=plain.size).reshape(plain.shape)
        assert np.all(np.abs(total.reshape(plain.shape) - truth)[plain] <= 5e-4 * (rows[plain] + 1)), component


def test_the_retrospective_part_has_records_but_no_research_samples() -> None:
    h, study = _recorded("cmv-cart-two-parts")
    late = np.asarray(h.view(h.population.retrospective), dtype=bool)
    assert 0.3 < late.mean() < 0.7
    for samples in (*study.virome.values(), study.car_t):
        assert not np.any(samples.result[late] != Result.NONE)
        assert np.isnan(samples.nominal[late]).all()  # none was missed
        assert not np.isnan(samples.nominal[~late]).any()
        assert np.any(samples.result[~late] != Result.NONE)
    assert not study.questionnaires.instrument[late].any()
    assert np.isfinite(study.events["crs"].first[late]).any()
    assert np.isin(np.unique(study.resources.row // N), np.arange(64)).all()


def test_research_samples_go_with_the_protocol_visit() -> None:
    h, study = _recorded("cmv-cart")
    virus, cmv = study.virome["anellovirus"], study.samples
    for column, day in enumerate(h.virome.visits):
        near = int(np.argmin(np.abs(h.samples.nominal[: h.samples.visits] - day)))
        if day == 0 or abs(h.samples.nominal[near] - day) > 1:
            continue
        np.testing.assert_array_equal(virus.day[..., column], cmv.day[..., near])
        np.testing.assert_array_equal(virus.result[..., column] > 0, cmv.result[..., near] > 0)


def test_no_two_samples_measure_the_same_blood() -> None:
    _, study = _recorded("cmv-cart")
    for samples in (*study.virome.values(), study.car_t):
        days = np.sort(samples.day, axis=-1)
        assert not np.any(days[..., 1:] == days[..., :-1])
    early = study.car_t.day[..., :3]
    assert np.nanmax(np.abs(early - study.car_t.nominal[..., :3])) <= 1  # jitter of the visit


def test_concentrations_have_three_digits() -> None:
    values = np.array([0.0123456, 1.2345, 99.95, 999.4999, 1234.5, 99_899_999.6, 4.5675e7, np.nan])
    assert research.three_digits(values).tolist()[:-1] == [0.0123, 1.23, 100.0, 999.0, 1230.0, 99_900_000.0, 45_700_000.0]
    rng = np.random.default_rng(3)
    many = 10 ** rng.uniform(-4, 12, 20_000)
    assert research.three_digits(many).tolist() == [float(f"{value:.3g}") for value in many]


def test_days_in_hospital_that_touch_are_one_row() -> None:
    """Else the row that ends with the planned stay would tell the discharge without CMV."""
    h, _ = _recorded("cmv-cart")
    of_one_component = replace(h.ledger, component=np.zeros_like(h.ledger.component))
    whole = joined(of_one_component)
    np.testing.assert_allclose(whole.totals_by_item(), of_one_component.totals_by_item(), atol=1e-9)
    hospital = np.isin(whole.item, [Item.WARD_DAY.code, Item.ICU_DAY.code])
    assert (whole.rows - hospital.sum()) == (~np.isin(h.ledger.item, whole.item[hospital])).sum()
    who = [(int(patient), int(item)) for patient, item in zip(whole.patient[hospital], whole.item[hospital], strict=True)]
    start, stop = ({*zip(who, times[hospital].tolist(), strict=True)} for times in (whole.start, whole.stop))
    assert not start & stop
    prolonged = h.ledger.component == Component.INITIAL_STAY_PROLONGED.code
    assert of_one_component.rows - whole.rows > prolonged.sum() / 3 > 50


def test_measurements_are_those_of_the_model() -> None:
    h, study = _recorded("cmv-cart")
    day7 = list(h.virome.visits).index(7)
    truth = np.asarray(h.view(h.virome.load(7.0)))
    measured = study.virome["anellovirus"].load[..., day7]
    both = np.isfinite(measured) & np.isfinite(truth)
    assert np.corrcoef(measured[both], truth[both])[0, 1] > 0.9
    for virus in ("pegivirus", "redondovirus"):
        taken = study.virome[virus].result[..., 0] != Result.NONE
        carried = np.asarray(h.view(h.virome.baseline(virus)))
        np.testing.assert_array_equal((study.virome[virus].result[..., 0] > Result.NOT_DETECTED)[taken], carried[taken])
    cells = study.car_t
    product = np.asarray(h.view(h.population.product))
    for code in range(len(cells.units)):
        mine = product == code
        assert not np.any(cells.level[mine] < cells.lloq[code] * 0.99)
    assert len(cells.units) == len(h.population.spec.products)


def test_sequencing_shows_the_gravest_change_in_order_of_time() -> None:
    h, study = _recorded("cmv-cart")
    found, s = study.sequencing, h.sequencing
    at_most = found.day.shape[-1]
    assert at_most >= 1
    known = found.change[found.change > 0]
    assert set(np.unique(known)) >= {int(Change.FAILED), int(Change.NO_CHANGE), int(Change.POLYMORPHISM)}
    for r in range(3):
        for n in range(N):
            row = n * h.replicates + r
            sent = [v for v in np.flatnonzero(s.sent[:, row]) if h.samples.time[r, n, v] <= study.disposition.end[r, n]]
            sent.sort(key=lambda v: h.samples.time[r, n, v])
            got = found.day[r, n][~np.isnan(found.day[r, n])]
            np.testing.assert_array_equal(got[: len(sent)], [np.ceil(h.samples.time[r, n, v]) for v in sent])
            for slot, v in enumerate(sent):
                for gene in range(3):
                    seen = s.seen[:, gene, v, row]  # known resistance, known polymorphism, unknown
                    rank = (5 if seen[0] else 4 if seen[2] else 3 if seen[1] else 2) if s.sequenced[v, row] else 1
                    assert found.change[r, n, slot, gene] == rank


def test_only_what_is_asked_for_is_recorded() -> None:
    h, whole = _recorded("cmv-cart")
    little = record(h, frozenset())
    assert not little.virome
    assert (little.car_t, little.sequencing, little.questionnaires, little.stays, little.resources) == (None,) * 5
    assert set(little.events) == {"relapse", "new_therapy", "hct", "cmv_disease"}
    one = record(h, frozenset({Topic.STAYS}))
    np.testing.assert_array_equal(one.stays.start, whole.stays.start)


def test_stays_are_in_order_and_intensive_care_lies_within_them() -> None:
    _, study = _recorded("cmv-cart")
    s = study.stays
    assert s.icu.any()
    for r, n in zip(*np.nonzero(s.icu.any(axis=-1)), strict=True):
        ward = [(a, b) for a, b, icu in zip(s.start[r, n], s.stop[r, n], s.icu[r, n], strict=True) if not icu and a == a]
        for a, b, icu in zip(s.start[r, n], s.stop[r, n], s.icu[r, n], strict=True):
            if icu:
                assert any(x <= a and (np.isnan(y) or b <= y) for x, y in ward)
    start = np.where(np.isnan(s.start), np.inf, s.start)
    assert np.all(start[..., 1:] >= start[..., :-1])


def test_pooling_keeps_every_patient() -> None:
    _, study = _recorded("cmv-cart")
    one = pooled(study)
    assert (one.replicates, one.patients) == (1, 64 * N)
    np.testing.assert_array_equal(one.stays.start[0, 3 * N + 7], study.stays.start[3, 7])
    np.testing.assert_array_equal(one.events["crs"].grade[0, 5 * N + 1], study.events["crs"].grade[5, 1])
    assert one.samples.lloq == study.samples.lloq
