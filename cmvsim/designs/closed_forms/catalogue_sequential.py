"""Formula of group-sequential boundaries by error spending."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cmvsim.designs.closed_forms import catalogue as c
from cmvsim.designs.closed_forms.basics import critical_value
from cmvsim.designs.closed_forms.catalogue import Answer, Formula, Parameter, Row, percent
from cmvsim.designs.closed_forms.group_sequential import (
    DEFAULT_GAMMA,
    SPENDING,
    Spending,
    boundaries,
    crossing,
    drift_for_power,
    inflation,
)


def _group_sequential(v: Mapping[str, Any]) -> Answer:
    alpha = v["alpha"] / v["sides"]
    times, power = tuple(float(t) for t in v["information"]), v["power"]
    futility = None if v["futility"] == "none" else Spending(v["futility"], 1.0 - power, v["futility_gamma"])
    bounds = boundaries(times, Spending(v["efficacy"], alpha, v["gamma"]), futility)
    drift = drift_for_power(bounds, power)
    null, alternative = crossing(bounds, 0.0), crossing(bounds, drift)
    listed: tuple[Row, ...] = ()
    for k, t in enumerate(times):
        found: dict[str, float | int | str] = {"information": t, "boundary": bounds.efficacy[k]}
        if futility is not None and k < len(times) - 1:
            found["boundary_futility"] = bounds.futility[k]
        found |= {
            "alpha_spent": bounds.alpha_spent[k],
            "p_stop_efficacy": alternative.upper[k],
            "p_stop_efficacy_null": null.upper[k],
        }
        if futility is not None:
            found |= {"p_stop_futility": alternative.lower[k], "p_stop_futility_null": null.lower[k]}
        listed += c.rows(found, f"look {k + 1}")
    fixed = critical_value(alpha, 1) + critical_value(1.0 - power, 1)
    most = inflation(bounds, alpha, power)
    mean = {name: law.expected(times) * most / times[-1] for name, law in (("null", null), ("alternative", alternative))}
    listed += c.rows({"inflation": most, "drift": drift, "drift_one_look": fixed}, "design")
    listed += c.rows({"expected_information": mean["alternative"], "expected_information_null": mean["null"]}, "design")
    shown = ", ".join("none" if math.isinf(b) else f"{b:.4f}" for b in bounds.efficacy)
    return Answer(
        listed,
        f"Boundaries {shown}; for power {percent(power)} at most {most:.4f} and on average {mean['alternative']:.3f} times the "
        "information of a study with one look.",
    )


SEQUENTIAL: tuple[Formula, ...] = (
    Formula(
        "group-sequential",
        "Boundaries of a group-sequential design by error spending, stopping probabilities, inflation",
        (
            Parameter("information", "Fractions of the information at the looks", kind="numbers", low=0, high=2, strict=True),
            c.ALPHA,
            c.SIDES,
            c.POWER,
            Parameter("efficacy", "Spending of the level", kind="choice", default=SPENDING[0], choices=SPENDING),
            Parameter("gamma", "Of hwang_shih_decani; negative spends late", default=DEFAULT_GAMMA, low=-40, high=40),
            Parameter(
                "futility",
                "Spending of 1 - power on stops for futility, which do not bind",
                kind="choice",
                default="none",
                choices=("none", *SPENDING),
            ),
            Parameter("futility_gamma", "Likewise, for futility", default=-2.0, low=-40, high=40),
        ),
        _group_sequential,
        "Lan and DeMets, Biometrika 70 (1983) 659-663; recursive integration of independent increments",
        "information=0.5,0.75,1 power=0.9",
    ),
)
