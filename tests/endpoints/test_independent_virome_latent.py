"""The true infection by a virus, against a scan of the error-free course in small steps."""

from __future__ import annotations

import numpy as np
import pytest

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import History, Process
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import FOUNDATION, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

STEP = 0.125
BASELINE = Baseline(0.6, 13.0, (2.8e-4,) * 3, (4e-3,) * 3, (0.0036, 0.0011), (0.0003, 0.00018))


@pytest.fixture(scope="module")
def history() -> History:
    spec = resolve("cmv-cart").spec
    of = Model.of(spec, BASELINE)
    return simulate(of, ChunkDraws(7, Role.STUDY, 0, 40), needs=FOUNDATION | {Process.VIROME}, path=True)


def course(h: History, virus: str, t: float) -> FloatArray:
    """(R, N) true load, or 1 and 0 where none is followed."""
    flat = h.virome.load(t) if virus == "anellovirus" else h.virome.positive(virus, t)  # type: ignore[arg-type]
    return np.asarray(h.view(flat), dtype=np.float64)


@pytest.mark.parametrize("changes", [{}, {"conversion_rise": 2.0, "window": 45}, {"relapse": "competing", "hct": "censor"}])
@pytest.mark.parametrize("virus", ["anellovirus", "pegivirus", "redondovirus"])
def test_latent_infection_is_what_a_scan_finds(history: History, virus: str, changes: dict[str, object]) -> None:
    plan = AnalysisSpec.model_validate({**resolve("cmv-cart").spec.analysis.human(), **changes})
    got = endpoint(virus).latent(history, plan)
    assert got is not None
    last = max(day for day in history.virome.visits if day <= 0)
    before = course(history, virus, float(last))
    lod = float(history.virome.spec.anellovirus.load.lod)
    if virus == "anellovirus":
        level = np.where(before >= lod, before + plan.conversion_rise, lod)
        assert not np.isnan(got).any()
    else:
        level = np.ones(before.shape)
        assert np.array_equal(np.isnan(got), before == 1)
    until = np.minimum(history.death, plan.window)
    if plan.hct == "competing":
        until = np.minimum(until, history.observation.hct)
    if plan.relapse == "competing":
        until = np.minimum(until, history.observation.relapse)
    surely, perhaps = np.zeros(before.shape, dtype=bool), np.zeros(before.shape, dtype=bool)
    for t in np.arange(STEP, plan.window + STEP / 2, STEP):
        reached = course(history, virus, float(t)) >= level
        surely |= reached & (t <= until)
        perhaps |= reached & (t <= until + STEP)  # within the last step
    inside = ~np.isnan(got)
    assert np.all(got[inside & surely] == 1)
    # a peak between two steps may be missed by the scan, but not often
    missed = (got == 1) & inside & ~perhaps
    assert missed.sum() <= 0.002 * inside.sum()
    if plan.window == 90:
        assert 0.01 < got[inside].mean() < 0.99
