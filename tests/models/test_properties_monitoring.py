"""The visit schedule, jitter and attendance."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmvsim.core.errors import InputError
from cmvsim.core.streams import Role
from cmvsim.models.baseline import Baseline
from cmvsim.models.monitoring import ScheduleItem, nominal_days
from cmvsim.scenarios import resolve
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.monitoring import planned_samples


def _items(*items: dict[str, int]) -> tuple[ScheduleItem, ...]:
    return tuple(ScheduleItem.parse(item) for item in items)


@pytest.mark.parametrize(
    ("items", "days"),
    [
        (({"every": 7, "to": 42}, {"every": 14, "to": 84}, {"at": 90}), (7, 14, 21, 28, 35, 42, 56, 70, 84, 90)),
        (({"at": 90}, {"at": 30}), (30, 90)),
        (({"every": 7, "to": 21}, {"at": 21}), (7, 14, 21)),
        (({"every": 10, "to": 35},), (10, 20, 30)),
        (({"at": 5}, {"every": 10, "to": 35}), (5, 15, 25, 35)),
    ],
)
def test_nominal_days(items: tuple[dict[str, int], ...], days: tuple[int, ...]) -> None:
    assert nominal_days(_items(*items)) == days


@pytest.mark.parametrize("item", [{}, {"every": 7}, {"to": 7}, {"every": 7, "to": 42, "at": 3}, {"every": 0, "to": 9}])
def test_an_item_is_periodic_or_single(item: dict[str, int]) -> None:
    with pytest.raises(InputError):
        _items(item)


@given(st.integers(1, 30), st.integers(1, 100))
def test_a_periodic_item_covers_its_span(every: int, to: int) -> None:
    assert nominal_days(_items({"every": every, "to": to})) == tuple(range(every, to + 1, every))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("monitoring.jitter=4", "jitter"),
        ("monitoring.baseline=[1]", "baseline"),
        ("monitoring.schedule=[]", "visit"),
        ("monitoring.lod=36", "limit of detection"),
        ("monitoring.schedule=[{ at = 104 }]", "horizon"),
        ("monitoring.baseline=[-6]", "inclusion"),
        ("monitoring.schedule=[{ every = 7, to = 42 }]", "events are counted to"),
    ],
)
def test_a_schedule_that_cannot_be_followed_is_refused(override: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        resolve("cmv-cart", (override,))


def _visits(*overrides: str, full: bool = False, until: float = math.inf) -> tuple[Model, np.ndarray]:
    """(P, V) times of the visits; monitoring of everybody ends at `until`."""
    model = Model.of(resolve("cmv-cart", overrides).spec, Baseline(0.6, 13.0, (0.0,) * 3, (0.0,) * 3))
    draws = ChunkDraws(1, Role.STUDY, 0, 500)
    background = Background(model, draws)
    background.__dict__["monitored_until"] = np.full(500 * 64, until)
    planned = planned_samples(model, draws, background, full_attendance=full)
    return model, planned.time[: len(model.monitoring.days)].T


def test_visits_keep_their_order_and_their_days() -> None:
    """Jitter is uniform on whole days; attendance independent of it and of other visits; baseline on the day."""
    model, times = _visits("monitoring.jitter=2", "monitoring.attendance=0.7", "monitoring.baseline=[-5, 0]")
    n = times.shape[0]
    assert np.all(times[:, :2] == [-5, 0])
    later = times[:, 2:] - np.array(model.monitoring.days[2:])
    made = ~np.isnan(later)
    assert set(np.unique(later[made])) == {-2, -1, 0, 1, 2}
    for shift in range(-2, 3):
        assert abs((later[made] == shift).mean() - 0.2) < 4.5 * math.sqrt(0.16 / made.sum())
    assert abs(made.mean() - 0.7) < 4.5 * math.sqrt(0.21 / made.size)
    pairs = [np.corrcoef(made[:, a], made[:, b])[0, 1] for a, b in itertools.combinations(range(made.shape[1]), 2)]
    assert max(map(abs, pairs)) < 5 / math.sqrt(n)
    order = np.where(made, times[:, 2:], -np.inf)
    assert all(np.all(np.diff(row[np.isfinite(row)]) > 0) for row in order[:500])


def test_full_attendance_keeps_the_jitter_and_monitoring_ends() -> None:
    _, as_planned = _visits("monitoring.attendance=0.5")
    _, full = _visits("monitoring.attendance=0.5", full=True)
    made = ~np.isnan(as_planned)
    assert not np.isnan(full).any()
    assert np.array_equal(full[made], as_planned[made])
    _, cut = _visits(until=41.5, full=True)
    assert np.nanmax(cut) <= 41.5
    assert np.nanmax(cut) >= 41
    assert np.isnan(cut[:, -3:]).all()


def test_dropping_a_visit_leaves_the_others_where_they_were() -> None:
    """Draws are keyed by the planned day, not by the visit's number."""
    model, all_visits = _visits()
    other, fewer = _visits("monitoring.schedule=[{ at = 14 }, { at = 42 }, { at = 90 }]")
    for column, day in enumerate(other.monitoring.days):
        mine = all_visits[:, model.monitoring.days.index(day)]
        assert np.array_equal(fewer[:, column], mine, equal_nan=True)
