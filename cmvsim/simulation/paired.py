"""The same patients under several strategies: what no strategy touches is worked out once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cmvsim.models.history import Process
from cmvsim.simulation.aftermath import Aftermath, health_states, unfold
from cmvsim.simulation.background import Background
from cmvsim.simulation.cmv import CmvOutcome, simulate_cmv
from cmvsim.simulation.cohort import plans_of
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.processes import required
from cmvsim.simulation.quality_of_life import HealthStates

NEEDS = frozenset({Process.TOXICITY, Process.CMV, Process.FOLLOW_UP, Process.DEATH, Process.RESOURCES})
"""What costs, quality-adjusted time and clinical events rest on."""
_UNTOUCHED = ("population", "kinetics", "toxicity", "virome", "follow_up", "monitored_until", "stay")
"""Parts of the background that no strategy changes."""


@dataclass(frozen=True, slots=True)
class PatientCourse:
    """One chunk under one strategy; flat arrays.

    Attributes
    ----------
    background
        Patients apart from CMV.
    course
        Sections 5 to 9.
    after
        Deaths, stays, ledger.
    health
        What weighs on health, and when.
    """

    background: Background
    course: CmvOutcome
    after: Aftermath
    health: HealthStates


def simulate_paired(
    model: Model, draws: ChunkDraws, strategies: Sequence[str], *, cmv: bool = True
) -> Iterator[tuple[str, PatientCourse]]:
    """Yield the chunk under each strategy, with the same patients and the same chance.

    Strategies that give no drug are the same course, simulated once.

    Parameters
    ----------
    strategies
        Names.
    cmv
        False: nobody's CMV replicates.

    Raises
    ------
    KeyError
        If the model has no such strategy.
    """
    runs = required(model, NEEDS) - {Process.RESISTANCE}  # it changes neither costs nor health
    shared: Background | None = None
    plain: PatientCourse | None = None
    for name in strategies:
        plans = plans_of(model, name)
        if not plans and plain is not None:
            yield name, plain
            continue
        background = Background(model, draws, plans=plans) if shared is None else _under(shared, plans)
        shared = shared or background
        course = simulate_cmv(model, draws, background, episodes=True, path=False, full_attendance=False, cmv=cmv)
        after = unfold(model, draws, background, course, runs)
        assert after.stays is not None
        made = PatientCourse(background, course, after, health_states(model, background, course, after.infections, after.stays))
        plain = made if not plans else plain
        yield name, made


def _under(background: Background, plans: Sequence[object]) -> Background:
    """The same patients under other plans, with what was worked out already."""
    other = replace(background, plans=plans)  # type: ignore[arg-type]  # plans of the model's own strategies
    known = vars(background)
    vars(other).update({name: known[name] for name in _UNTOUCHED if name in known})
    return other
