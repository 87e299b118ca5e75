"""Study designs, one registry by kind."""

from __future__ import annotations

from cmvsim.designs.base import Decision, Design, Look
from cmvsim.designs.single_arm_precision import PrecisionTarget, SingleArmPrecision

DESIGNS: dict[str, type[SingleArmPrecision]] = {"single_arm_precision": SingleArmPrecision}

__all__ = ["DESIGNS", "Decision", "Design", "Look", "PrecisionTarget", "SingleArmPrecision"]
