"""Formulas of recruitment: time to enrol, and number enrolled by a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cmvsim.designs.closed_forms import catalogue as c
from cmvsim.designs.closed_forms.accrual import Accrual, PoissonAccrual, PoissonGammaAccrual
from cmvsim.designs.closed_forms.catalogue import Answer, Formula, Parameter, percent

Inputs = Mapping[str, Any]


def _answer(law: Accrual, v: Inputs, rates: str) -> Answer:
    n, level, by = v["n"], v["level"], v["by"]
    tails = {"median": 0.5, "low": (1 - level) / 2, "high": (1 + level) / 2}
    times = {name: law.time_quantile(n, tail) for name, tail in tails.items()}
    listed = c.rows({"mean": law.mean_time(n), "sd": law.sd_time(n), **times}, "time")
    listed = tuple(row if row.value != float("inf") else c.Row(row.measure, "infinite", row.at) for row in listed)
    text = (
        f"{n} patients are enrolled in {times['median']:.3g} (median; {percent(level, 0)} interval {times['low']:.3g} to "
        f"{times['high']:.3g}) units of time, with {rates}"
    )
    if by is None:
        return Answer(listed, f"{text}.")
    counts = {name: law.count_quantile(by, tail) for name, tail in tails.items()}
    listed += c.rows({"mean": law.mean_count(by), **counts}, f"patients by {by:g}")
    chance = law.probability(n, by)
    listed += c.rows({"probability": chance}, f"{n} patients by {by:g}")
    return Answer(listed, f"{text}; by {by:g} with probability {percent(chance)}.")


def _poisson(v: Inputs) -> Answer:
    return _answer(PoissonAccrual(v["rate"]), v, "a constant rate")


def _poisson_gamma(v: Inputs) -> Answer:
    law = PoissonGammaAccrual.of_sites((v["sites"],), (v["rate"],), (v["cv"],))
    return _answer(law, v, f"{v['sites']} sites whose rates differ")


_N = c.count("n", "Patients to enrol")
_MORE = (
    c.positive("by", "Time of which the number enrolled is asked", optional=True),
    c.probability("level", "Level of the central interval", 0.95),
)

ACCRUAL: tuple[Formula, ...] = (
    Formula(
        "accrual-poisson",
        "Time to enrol patients at a constant rate, and the number enrolled by a time",
        (_N, c.positive("rate", "Patients per unit of time, all sites together"), *_MORE),
        _poisson,
        "waiting time of a Poisson process: Gamma law",
        "n=250 rate=17.8 by=15",
    ),
    Formula(
        "accrual-poisson-gamma",
        "The same with sites whose rates differ by a Gamma law",
        (
            _N,
            c.count("sites", "Sites, all open from the start", high=1_000_000),
            c.positive("rate", "Mean number of patients per unit of time of one site"),
            Parameter("cv", "Coefficient of variation of the rate between sites", low=0, strict=True),
            *_MORE,
        ),
        _poisson_gamma,
        "Anisimov and Fedorov, Statistics in Medicine 26 (2007) 4958-4975",
        "n=250 sites=22 rate=0.8 cv=0.8 by=15",
    ),
)
