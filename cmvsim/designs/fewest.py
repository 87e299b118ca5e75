"""How few patients a design can be asked about: with fewer its analysis shows nothing, whatever happens."""

from __future__ import annotations

import math

from cmvsim.core.errors import InputError, Problem
from cmvsim.designs.group_sequential import GroupSequential
from cmvsim.designs.simon_two_stage import SimonTwoStage
from cmvsim.designs.single_arm_precision import SingleArmPrecision
from cmvsim.designs.single_arm_test import SingleArmTest
from cmvsim.designs.two_arm import TwoArm

Sized = SingleArmPrecision | SingleArmTest | SimonTwoStage | TwoArm | GroupSequential
IN_AN_ARM = 2
"""Patients without whom an arm has no variance."""


def fewest(design: Sized) -> tuple[int, str]:
    """Patients enrolled that a design needs at least, and why."""
    if isinstance(design, SingleArmTest):
        level, null = design.alpha / design.sides, design.null_incidence
        agreeing = 1 - null if design.direction == "below" else null
        n = math.ceil(math.log(level) / math.log(agreeing) - 1e-9)
        result = "without a single event" if design.direction == "below" else "with the event in everybody"
        return n, f"with fewer, even {result}, no test at {100 * level:g}% says that {100 * null:g}% is excluded"
    if isinstance(design, SimonTwoStage):
        return design.stages.n, "the boundaries say how many patients are evaluated"
    if isinstance(design, TwoArm | GroupSequential):
        block, parts = min(design.block_sizes), sum(design.ratio)
        arms = math.ceil(IN_AN_ARM * parts / min(design.ratio))
        ratio = ":".join(map(str, design.ratio))
        least, why = max((block, f"one block of {block}"), (arms, f"{IN_AN_ARM} patients in each arm ({ratio})"))
        looks = design.looks.count if isinstance(design, GroupSequential) else 1
        if looks * arms > least:
            return looks * arms, f"{looks} looks, each with {why if least == arms else f'{IN_AN_ARM} more in each arm'}"
        return least, why
    return 1, "one patient"


def check_sizes(design: Sized, name: str, sizes: tuple[int, ...]) -> None:
    """Refuse studies that are too small for their analysis to show anything.

    Parameters
    ----------
    name
        Of the design, for the message.
    sizes
        Patients enrolled, ascending.

    Raises
    ------
    InputError
        If the smallest is.
    """
    least, why = fewest(design)
    if sizes and sizes[0] < least:
        patients = "1 patient" if sizes[0] == 1 else f"{sizes[0]} patients"
        told = f"{patients} for a design of kind {design.kind}"
        raise InputError(Problem(told, "-n", f"designs.{name}", f"at least {least}: {why}"))
