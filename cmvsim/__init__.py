"""cmvsim: simulation and sample-size planning for CMV reactivation after CAR-T cell infusion.

The names below are the public interface; everything else may change. They are imported when first used::

    import cmvsim

    scenario = cmvsim.resolve("cmv-cart")
    study = cmvsim.read_study("tables")
    result = cmvsim.analyse(study, scenario.spec.analysis)
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "AnalysisSpec": "cmvsim.endpoints",
    "InputError": "cmvsim.core.errors",
    "Study": "cmvsim.data",
    "aalen_johansen": "cmvsim.estimators",
    "analyse": "cmvsim.endpoints.analyse",
    "calibrate": "cmvsim.calibration",
    "endpoint": "cmvsim.endpoints",
    "kaplan_meier": "cmvsim.estimators",
    "proportion": "cmvsim.estimators",
    "read_analysis": "cmvsim.endpoints",
    "read_study": "cmvsim.data",
    "record": "cmvsim.simulation.recording",
    "resolve": "cmvsim.scenarios",
    "simulate": "cmvsim.simulation.cohort",
    "write_study": "cmvsim.data",
}

__all__ = sorted(_PUBLIC)  # noqa: PLE0605 -- a list of strings, made from the table above


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'cmvsim' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *_PUBLIC]
