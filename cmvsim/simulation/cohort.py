"""The cohort engine: the processes of the model in their order (model.md 16), batched over a chunk.

Only the processes that are needed run, and each has its own streams, so leaving one out shifts no other draw.
"""

from __future__ import annotations

from collections.abc import Sequence

from cmvsim.core.records import IntArray
from cmvsim.models.history import History, Process
from cmvsim.models.strategies import StrategySpec
from cmvsim.simulation.aftermath import unfold
from cmvsim.simulation.background import Background
from cmvsim.simulation.cmv import simulate_cmv
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.outcome import history_of
from cmvsim.simulation.processes import cmv_acts_on_infections, required

ALL = frozenset(Process)
FOUNDATION = frozenset({Process.TOXICITY, Process.CMV, Process.FOLLOW_UP, Process.DEATH})
"""What CMV endpoints need."""


def simulate(
    model: Model,
    draws: ChunkDraws,
    *,
    needs: frozenset[Process] = FOUNDATION,
    path: bool = False,
    never_lost: bool = False,
    strategy: str | Sequence[str] | None = None,
    arm: IntArray | None = None,
    cmv: bool = True,
    background: Background | None = None,
) -> History:
    """Simulate one chunk of patients.

    Parameters
    ----------
    model
        Specifications and baseline hazards.
    draws
        The chunk's chance.
    needs
        Processes to run; each brings what it depends on in this model.
    path
        Keep the whole course of the load (latent functionals and traces need it; power does not).
    never_lost
        Full attendance and no end of monitoring but by death or transplantation: the plan of the protocol estimand.
    strategy
        Name of the strategy, or the names that `arm` counts; by default pre-emptive therapy alone.
    arm
        (P,) index into the names of `strategy`; only with several.
    cmv
        False: the counterfactual in which nobody's CMV replicates.
    background
        What unfolds before CMV, if it was made before: of a model that differs in the baseline hazards only.

    Returns
    -------
    History
        The same patients, with the same chance, under any strategy and with CMV off.

    Raises
    ------
    KeyError
        If the model has no such strategy.
    ValueError
        If several strategies come without `arm`, or a strategy gives a drug whose effect is not solved.
    """
    runs = required(model, needs)
    if background is None:
        background = Background(model, draws, never_lost, plans_of(model, strategy), arm)
    course = None
    if Process.CMV in runs:
        whole = (Process.INFECTIONS in runs and cmv_acts_on_infections(model)) or Process.RESISTANCE in runs
        course = simulate_cmv(model, draws, background, episodes=whole, path=path, full_attendance=never_lost, cmv=cmv)
    after = unfold(model, draws, background, course, runs)
    return history_of(model, draws, background, course, after, path=path)


def plans_of(model: Model, strategy: str | Sequence[str] | None) -> tuple[StrategySpec, ...]:
    """The strategies asked for; none if nobody gets prophylaxis."""
    if strategy is None:
        return ()
    names = (strategy,) if isinstance(strategy, str) else tuple(strategy)
    for name in names:
        if name not in model.strategies:
            raise KeyError(f"there is no strategy '{name}'; there are: {', '.join(model.strategies)}")
    plans = tuple(model.strategies[name] for name in names)
    return plans if any(plan.prophylaxis != "none" for plan in plans) else ()
