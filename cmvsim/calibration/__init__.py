"""Calibration: the baseline hazards that reproduce a scenario's targets under the targets' own measurement."""

from cmvsim.calibration.solve import Calibration, calibrate
from cmvsim.calibration.targets import TargetResult

__all__ = ["Calibration", "TargetResult", "calibrate"]
