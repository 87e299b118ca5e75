"""Study designs, one registry by kind. Adding one costs a file, its line in the union and in :data:`DESIGNS`, a test file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Protocol

from pydantic import Discriminator, Tag

from cmvsim.core.spec import Spec
from cmvsim.designs.assurance import Assurance
from cmvsim.designs.base import Decision, Design, ListDraws, Look, Surroundings
from cmvsim.designs.fewest import check_sizes
from cmvsim.designs.group_sequential import GroupSequential
from cmvsim.designs.simon_two_stage import SimonTwoStage
from cmvsim.designs.single_arm_precision import PrecisionTarget, SingleArmPrecision
from cmvsim.designs.single_arm_test import SingleArmTest
from cmvsim.designs.two_arm import Randomised, TwoArm

DEFAULT = "single_arm_precision"
DESIGNS: dict[str, type[Spec]] = {
    "single_arm_precision": SingleArmPrecision,
    "single_arm_test": SingleArmTest,
    "simon_two_stage": SimonTwoStage,
    "two_arm": TwoArm,
    "group_sequential": GroupSequential,
    "assurance": Assurance,
}


def kind(raw: Any) -> str | None:
    """Label of the union's branch, in brackets as no key of the user is (:func:`cmvsim.core.spec.problems_of`)."""
    if isinstance(raw, Mapping):
        return f"[{raw.get('kind', DEFAULT)}]"
    made = getattr(raw, "kind", None)
    return f"[{made}]" if made in DESIGNS else None


AnyDesign = Annotated[
    Annotated[SingleArmPrecision, Tag("[single_arm_precision]")]
    | Annotated[SingleArmTest, Tag("[single_arm_test]")]
    | Annotated[SimonTwoStage, Tag("[simon_two_stage]")]
    | Annotated[TwoArm, Tag("[two_arm]")]
    | Annotated[GroupSequential, Tag("[group_sequential]")]
    | Annotated[Assurance, Tag("[assurance]")],
    Discriminator(kind),
]
"""A design of a scenario file, told apart by `kind`; without one it is a single arm for precision."""


class HasArms(Protocol):
    """What is simulated by arms."""

    @property
    def strategies(self) -> tuple[str, ...]: ...


def has_arms(design: HasArms) -> bool:
    """Whether patients are assigned to different strategies."""
    return len(design.strategies) > 1


__all__ = [
    "DEFAULT",
    "DESIGNS",
    "AnyDesign",
    "Assurance",
    "Decision",
    "Design",
    "GroupSequential",
    "ListDraws",
    "Look",
    "PrecisionTarget",
    "Randomised",
    "SimonTwoStage",
    "SingleArmPrecision",
    "SingleArmTest",
    "Surroundings",
    "TwoArm",
    "check_sizes",
    "has_arms",
]
