"""The power that a formula of event times promises, beside the power of the test itself in the trial that it assumes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import FloatArray, Status
from cmvsim.core.streams import Role
from cmvsim.designs.closed_forms.basics import critical_value, normal_cdf, whole_patients
from cmvsim.designs.closed_forms.catalogue import Row
from cmvsim.designs.closed_forms.event_times import (
    EventSize,
    competing_risks_size,
    event_probability,
    lachin_foulkes_power,
    lachin_foulkes_size,
    logrank_size,
    schoenfeld_power,
    subdistribution_size,
)
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.run import MonteCarloResult, open_store, run
from cmvsim.planning.exponential_trial import LABELS, Analysis, ExponentialExperiment, ExponentialTrial, rejects

SIMULATED = ("schoenfeld", "freedman", "lachin-foulkes", "competing-risks", "competing-risks-incidence")
"""Formulas that a trial can be simulated for."""
LARGEST = 20_000


@dataclass(frozen=True, slots=True)
class FormulaTrial:
    """The trial that a formula is about.

    Attributes
    ----------
    trial, n
        What is true, and the patients of both arms (rounded up).
    hr
        The ratio that the formula is about.
    events, power
        Expected events of the formula, and its power, with `n` patients.
    analyses
        Tests to simulate, the one of the formula first.
    """

    trial: ExponentialTrial
    n: int
    hr: float
    events: float
    power: float
    analyses: tuple[Analysis, ...]


@dataclass(frozen=True, slots=True)
class SimulatedFormula:
    """What the simulation says beside the formula.

    Attributes
    ----------
    rows
        Power by analysis with its Monte Carlo standard error, the formula's, type I error, events, mean and SD of Z.
    sentence
        The comparison in words.
    why
        Reasons of the difference.
    """

    rows: tuple[Row, ...]
    sentence: str
    why: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"rows": [asdict(row) for row in self.rows], "sentence": self.sentence, "why_different": list(self.why)}


def trial_of(name: str, v: Mapping[str, Any]) -> FormulaTrial:
    """The trial that the formula `name` describes with complete inputs.

    Raises
    ------
    InputError
        If the formula is about no event times, or the inputs give events but no patients.
    """
    if name not in SIMULATED:
        raise InputError(Problem(f"{name} describes no trial to simulate", "--simulate", allowed=", ".join(SIMULATED)))
    if name == "competing-risks-incidence":
        return _incidence(v)
    if name == "competing-risks":
        return _competing(v)
    if name == "lachin-foulkes":
        return _lachin_foulkes(v)
    if v["hazard"] is None:
        where = f"formula {name} --simulate"
        raise InputError(
            Problem("events alone describe no patients to simulate", where, allowed="give hazard, accrual, followup")
        )
    return _logrank(name, v)


def _shared(v: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: v[key] for key in names}


def _total(size: EventSize, ratio: float) -> int:
    return whole_patients(size.n / (1 + ratio)) + whole_patients(size.n * ratio / (1 + ratio))


def _logrank(name: str, v: Mapping[str, Any]) -> FormulaTrial:
    times, ratio, hr = tuple(v["times"]), v["ratio"], v["hr"]
    method: Literal["schoenfeld", "freedman"] = "freedman" if name == "freedman" else "schoenfeld"
    size = logrank_size(
        v["hazard"], hr, method=method, **_shared(v, "accrual", "followup", "lost", "times", "ratio", "alpha", "power", "sides")
    )
    control = tuple(float(h) for h in v["hazard"])
    treated = tuple(h * hr for h in control)
    starts = tuple(float(t) for t in times)
    trial = ExponentialTrial((control,), (treated,), v["accrual"], v["followup"], v["lost"], ratio, starts)
    n = _total(size, ratio)
    events = size.events * n / size.n
    if method == "schoenfeld":
        power = schoenfeld_power(events, hr, **_shared(v, "ratio", "alpha", "sides"))
    else:
        power = normal_cdf(math.sqrt(events * ratio) * abs(1 - hr) / (1 + ratio * hr) - critical_value(v["alpha"], v["sides"]))
    return FormulaTrial(trial, n, hr, events, power, ("logrank", "cox"))


def _lachin_foulkes(v: Mapping[str, Any]) -> FormulaTrial:
    shared = _shared(v, "accrual", "followup", "lost", "ratio", "alpha", "sides")
    n = v["n"]
    if n is None:
        n = _total(lachin_foulkes_size(v["control"], v["experimental"], power=v["power"], **shared), v["ratio"])
    trial = ExponentialTrial(((v["control"],),), ((v["experimental"],),), v["accrual"], v["followup"], v["lost"], v["ratio"])
    chance = [event_probability(v[arm], v["accrual"], v["followup"], lost=v["lost"]) for arm in ("control", "experimental")]
    events = n * (chance[0] + v["ratio"] * chance[1]) / (1 + v["ratio"])
    power = lachin_foulkes_power(n, v["control"], v["experimental"], **shared)
    return FormulaTrial(trial, n, v["experimental"] / v["control"], events, power, ("logrank", "cox"))


def _competing(v: Mapping[str, Any]) -> FormulaTrial:
    shared = _shared(v, "accrual", "followup", "lost", "ratio", "alpha", "power", "sides")
    size = competing_risks_size(v["control"], v["experimental"], v["competing"], **shared)
    n, hr = _total(size, v["ratio"]), v["experimental"] / v["control"]
    trial = ExponentialTrial(
        ((v["control"],), (v["competing"],)),
        ((v["experimental"],), (v["competing"],)),
        v["accrual"],
        v["followup"],
        v["lost"],
        v["ratio"],
    )
    events = size.events * n / size.n
    power = schoenfeld_power(events, hr, **_shared(v, "ratio", "alpha", "sides"))
    return FormulaTrial(trial, n, hr, events, power, ("logrank", "gray", "cox", "fine_gray"))


def _incidence(v: Mapping[str, Any]) -> FormulaTrial:
    """Exponential causes that give the two incidences at time 1, with competing events half as frequent as events of control.

    The formula says nothing of the competing cause; without one the test would be the log-rank test.
    """
    size, hr = subdistribution_size(v["control"], v["experimental"], **_shared(v, "ratio", "alpha", "power", "sides"))
    n = _total(size, v["ratio"])
    competing = min(v["control"] / 2, (1 - max(v["control"], v["experimental"])) / 2)
    first = _hazards(v["control"], competing)
    second = (_hazard_of(v["experimental"], first[1]), first[1])
    trial = ExponentialTrial(
        tuple((h,) for h in first), tuple((h,) for h in second), accrual=0.0, followup=1.0, ratio=v["ratio"]
    )
    events = size.events * n / size.n
    power = schoenfeld_power(events, hr, **_shared(v, "ratio", "alpha", "sides"))
    return FormulaTrial(trial, n, hr, events, power, ("fine_gray", "gray", "logrank", "cox"))


def _hazards(incidence: float, competing: float) -> tuple[float, float]:
    """Hazards of two causes with given incidences at time 1."""
    total = -math.log1p(-incidence - competing)
    return total * incidence / (incidence + competing), total * competing / (incidence + competing)


def _hazard_of(incidence: float, competing: float) -> float:
    """Hazard of an event with a given incidence at time 1 beside a competing hazard."""
    from scipy.optimize import brentq

    def excess(hazard: float) -> float:
        total = hazard + competing
        return hazard / total * -math.expm1(-total) - incidence

    return float(brentq(excess, 1e-12, 1e4))


def simulate_formula(
    name: str, inputs: Mapping[str, Any], *, replicates: int, seed: int, jobs: int, folder: Path
) -> SimulatedFormula:
    """Simulate the trial of a formula, and the same with a drug that does nothing.

    Parameters
    ----------
    name, inputs
        Formula and its complete inputs.
    replicates
        Simulated trials, of each.
    folder
        For the chunks.

    Raises
    ------
    InputError
        As :func:`trial_of`, or if the trial is too large to simulate.
    """
    about = trial_of(name, inputs)
    if replicates < 1:
        raise InputError(Problem(f"{replicates} replicates", "--simulate", allowed="at least 1"))
    if about.n > LARGEST:
        raise InputError(Problem(f"a trial of {about.n:,} patients", "--simulate", allowed=f"at most {LARGEST:,}"))
    alpha, sides = inputs["alpha"], inputs["sides"]
    done = {}
    for stage, truth, role in (("trial", about.trial, Role.STUDY), ("null", about.trial.null, Role.CONFIRMATION)):
        experiment = ExponentialExperiment(truth, (about.n,), about.analyses, seed=seed, role=role)
        done[stage] = run(experiment, replicates=replicates, store=open_store(folder / stage, experiment), jobs=jobs)
    return _described(about, done["trial"], done["null"], alpha, sides)


def _z(result: MonteCarloResult, about: FormulaTrial, analysis: str) -> FloatArray:
    return result.extra_column(about.n, f"z.{analysis}")


def _described(
    about: FormulaTrial, found: MonteCarloResult, null: MonteCarloResult, alpha: float, sides: int
) -> SimulatedFormula:
    ok = np.full(found.replicates, float(Status.OK))
    events = found.extra_column(about.n, "events")
    listed = [Row("n", about.n, "simulated"), Row("power", about.power, "formula"), Row("events", about.events, "formula")]
    listed += [Row("events", float(events.mean()), "simulated"), Row("events_sd", float(events.std(ddof=1)), "simulated")]
    power = {}
    for analysis in about.analyses:
        z = _z(found, about, analysis)
        power[analysis] = mcse.proportion(rejects(z, alpha, sides), ok)
        level = mcse.proportion(rejects(_z(null, about, analysis), alpha, sides), ok)
        known = z[np.isfinite(z)]
        listed += [
            Row("power", power[analysis].value, analysis),
            Row("power_mcse", power[analysis].mcse, analysis),
            Row("type1", level.value, analysis),
            Row("type1_mcse", level.mcse, analysis),
        ]
        listed += [Row("z_mean", float(known.mean()), analysis), Row("z_sd", float(known.std(ddof=1)), analysis)]
    parts = [f"{LABELS[name]} {power[name].value:.3f} (Monte Carlo SE {power[name].mcse:.4f})" for name in about.analyses]
    sentence = (
        f"With {about.n} patients the formula says power {about.power:.3f}; in {found.replicates:,} simulated trials: "
        + "; ".join(parts)
        + "."
    )
    return SimulatedFormula(tuple(listed), sentence, _why(about, found, alpha, sides))


def _why(about: FormulaTrial, found: MonteCarloResult, alpha: float, sides: int) -> tuple[str, ...]:
    """Where formula and simulation part: in the mean and the spread of Z, in the events, in the test."""
    ratio = about.trial.ratio
    first = about.analyses[0]
    z, events = _z(found, about, first), found.extra_column(about.n, "events")
    known = z[np.isfinite(z)]
    expected = abs(math.log(about.hr)) * math.sqrt(about.events * ratio) / (1 + ratio)
    averaged = np.mean([schoenfeld_power(d, about.hr, ratio=ratio, alpha=alpha, sides=sides) if d > 0 else 0.0 for d in events])
    mean, spread = abs(known.mean()), known.std(ddof=1)
    reasons = [
        (
            f"Z of the {LABELS[first]} has mean {mean:.3f} and SD {spread:.3f}; large-sample theory says {expected:.3f} and 1: "
            "it takes the share of the arms among those at risk as constant, but the arm with fewer events keeps more patients "
            "at risk"
        ),
        (
            f"the number of events varies from trial to trial (SD {events.std(ddof=1):.1f}): Schoenfeld's power averaged over "
            f"the simulated numbers is {averaged:.3f}"
        ),
    ]
    if "gray" in about.analyses:
        ok = found.column(about.n, found.experiment.rows[about.analyses.index("fine_gray")], "status") == Status.OK
        ratios = found.column(about.n, found.experiment.rows[about.analyses.index("fine_gray")], "estimate")[ok]
        reasons.append(
            "Gray's test and Fine-Gray regression compare incidences: who had the competing event stays at risk there, so that "
            f"the subdistribution hazard ratio is {np.exp(np.log(ratios).mean()):.3f} on average, the cause-specific one "
            f"{about.trial.experimental[0][0] / about.trial.control[0][0]:.3f}, and not constant"
        )
    return tuple(reasons)
