"""Calibration: the baseline hazards that reproduce a scenario's targets under the targets' own measurement."""

from cmvsim.calibration.solve import Calibration, TargetResult, calibrate

__all__ = ["Calibration", "TargetResult", "calibrate"]
