"""Which processes run: those asked for, and those that act on them in this model."""

from __future__ import annotations

from cmvsim.models.history import Process
from cmvsim.simulation.model import Model


def required(model: Model, needs: frozenset[Process]) -> frozenset[Process]:
    """Processes asked for with all that they depend on in this model: what has no effect on them need not run.

    Sections 1 to 4 and 12a are drawn when something asks for them and are no matter of choice.
    """
    runs = set(needs)
    if runs & {Process.RESOURCES, Process.QUALITY_OF_LIFE}:
        runs |= {Process.CMV, Process.INFECTIONS, Process.DEATH}
    if Process.RESOURCES in runs:
        runs.add(Process.RESISTANCE)  # samples are sequenced
    ratios = model.follow_up.death_ratios
    if Process.DEATH in runs:
        if float(ratios.severe_infection) != 1:
            runs.add(Process.INFECTIONS)
        if float(ratios.clinically_significant) != 1 or float(ratios.disease) != 1:
            runs.add(Process.CMV)
    if Process.INFECTIONS in runs and cmv_acts_on_infections(model):
        runs.add(Process.CMV)
    if Process.RESISTANCE in runs:
        runs.add(Process.CMV)
    return frozenset(runs)


def cmv_acts_on_infections(model: Model) -> bool:
    """Whether open episodes, or the neutropenia of their treatment, change the hazard of an infection."""
    kinds = (model.infections.bacterial.ratios, model.infections.fungal.ratios)
    return any(float(ratio) != 1 for ratios in kinds for ratio in (ratios.cmv, ratios.neutropenia))
