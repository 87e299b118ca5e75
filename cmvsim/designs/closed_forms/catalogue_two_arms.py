"""Formulas of two arms: proportions, event times, competing risks, counts, assurance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from cmvsim.core.errors import InputError
from cmvsim.designs.closed_forms import catalogue as c
from cmvsim.designs.closed_forms.basics import whole_patients
from cmvsim.designs.closed_forms.catalogue import Answer, Formula, Parameter, percent
from cmvsim.designs.closed_forms.event_times import (
    EventSize,
    competing_risks_size,
    freedman_events,
    lachin_foulkes_power,
    lachin_foulkes_size,
    logrank_size,
    schoenfeld_events,
    schoenfeld_power,
    subdistribution_size,
)
from cmvsim.designs.closed_forms.intervals import DIFFERENCE_METHODS, risk_difference_limits
from cmvsim.designs.closed_forms.other import negative_binomial_size, normal_assurance
from cmvsim.designs.closed_forms.two_proportions import (
    EXACT_TESTS,
    rejection_probability,
    two_arm_rejections,
    two_proportions_power,
    two_proportions_size,
)

Inputs = Mapping[str, Any]


def _only(v: Inputs, *names: str) -> dict[str, Any]:
    return {name: v[name] for name in names}


def _arms(control: float, experimental: float) -> tuple[c.Row, ...]:
    """Patients per arm, unrounded and rounded up, with the rounded total."""
    whole = [whole_patients(n) for n in (control, experimental)]
    return (
        c.rows({"n": whole[0], "n_unrounded": control}, "control")
        + c.rows({"n": whole[1], "n_unrounded": experimental}, "experimental")
        + c.rows({"n": sum(whole), "n_unrounded": control + experimental}, "total")
    )


def _sized(size: EventSize, ratio: float, name: str) -> Answer:
    arms = _arms(size.n / (1.0 + ratio), size.n * ratio / (1.0 + ratio))
    chances = (c.Row("p_event", size.p_control, "control"), c.Row("p_event", size.p_experimental, "experimental"))
    events = whole_patients(size.events)
    listed = c.rows({"events": events, "events_unrounded": size.events}) + arms + chances
    return Answer(listed, f"{arms[4].value} patients for {events} events ({name}).")


def _risk_difference(v: Inputs) -> Answer:
    listed: tuple[c.Row, ...] = ()
    for method in DIFFERENCE_METHODS:
        ends = risk_difference_limits(v["x1"], v["n1"], v["x2"], v["n2"], method=method, level=v["level"])
        listed += c.rows({"ci_low": float(ends[0]), "ci_high": float(ends[1])}, method)
    low, high = (100 * float(row.value) for row in listed[:2])
    points = 100 * (v["x1"] / v["n1"] - v["x2"] / v["n2"])
    text = f"Difference {points:.1f} points ({percent(v['level'], 0)} Newcombe interval {low:.1f} to {high:.1f})."
    return Answer(c.rows({"difference": points / 100}) + listed, text)


def _two_proportions(v: Inputs) -> Answer:
    p1, p2, margin = v["control"], v["experimental"], v["margin"]
    # control - experimental under the null hypothesis; experimental is worse by the margin there
    null = 0.0 - margin if v["event"] == "harm" else margin
    better = p1 - p2 - null if v["event"] == "harm" else null - (p1 - p2)
    if margin != 0 and better <= 0:
        raise InputError("with these proportions the experimental arm is worse than the control arm by the margin or more")
    shared = {"difference0": null, **_only(v, "ratio", "alpha", "sides")}
    if v["n"] is not None:
        power = two_proportions_power(v["n"] / (1.0 + v["ratio"]), p1, p2, **shared)
        return Answer(c.rows({"power": power}), f"With {v['n']} patients the test has power {percent(power)}.")
    size = two_proportions_size(p1, p2, power=v["power"], **shared)
    arms = _arms(size.arm1, size.arm2)
    text = f"{arms[4].value} patients ({arms[0].value} control, {arms[2].value} experimental)"
    return Answer(arms, f"{text} give power {percent(v['power'])}.")


def _two_proportions_exact(v: Inputs) -> Answer:
    sizes, p1, p2, alpha = (v["n1"], v["n2"]), v["p1"], v["p2"], v["alpha"]
    listed: tuple[c.Row, ...] = ()
    for test in EXACT_TESTS:
        rejected = two_arm_rejections(*sizes, test=test, alpha=alpha)
        truths = (("power", p1, p2), ("type1_at_p1", p1, p1), ("type1_at_p2", p2, p2))
        listed += c.rows({name: rejection_probability(rejected, a, b) for name, a, b in truths}, test)
    shown = ", ".join(f"{row.at} {percent(float(row.value))}" for row in listed if row.measure == "power")
    return Answer(listed, f"Exact power: {shown}.")


def _event_formula(name: Literal["schoenfeld", "freedman"], v: Inputs) -> Answer:
    design = _only(v, "ratio", "alpha", "power", "sides")
    together = "patients need hazard, accrual and followup together; events alone need none of them, nor lost nor times"
    given = [key for key in ("hazard", "accrual", "followup") if v[key] is not None]
    if not given and (v["lost"] != 0 or v["times"] != (0.0,)):
        raise InputError(together)
    if not given:
        form = schoenfeld_events if name == "schoenfeld" else freedman_events
        raw = form(v["hr"], **design)
        events = whole_patients(raw)
        text = f"{events} events give power {percent(v['power'])} for a hazard ratio of {v['hr']:g}."
        return Answer(c.rows({"events": events, "events_unrounded": raw}), text)
    if len(given) < 3:
        raise InputError(together)
    follow = _only(v, "accrual", "followup", "lost", "times")
    return _sized(logrank_size(v["hazard"], v["hr"], method=name, **follow, **design), v["ratio"], f"{name} formula")


def _schoenfeld(v: Inputs) -> Answer:
    if v["events"] is None:
        return _event_formula("schoenfeld", v)
    if any(v[key] is not None for key in ("hazard", "accrual", "followup")):
        raise InputError("give events (for their power) or hazard, accrual and followup (for patients), not both")
    power = schoenfeld_power(v["events"], v["hr"], **_only(v, "ratio", "alpha", "sides"))
    return Answer(c.rows({"power": power}), f"{v['events']} events give power {percent(power)}.")


def _lachin_foulkes(v: Inputs) -> Answer:
    shared = _only(v, "accrual", "followup", "lost", "ratio", "alpha", "sides")
    if v["n"] is not None:
        power = lachin_foulkes_power(v["n"], v["control"], v["experimental"], **shared)
        return Answer(c.rows({"power": power}), f"With {v['n']} patients the test has power {percent(power)}.")
    size = lachin_foulkes_size(v["control"], v["experimental"], power=v["power"], **shared)
    return _sized(size, v["ratio"], "Lachin and Foulkes")


def _competing_risks(v: Inputs) -> Answer:
    shared = _only(v, "accrual", "followup", "lost", "ratio", "alpha", "power", "sides")
    size = competing_risks_size(v["control"], v["experimental"], v["competing"], **shared)
    return _sized(size, v["ratio"], "cause-specific log-rank test")


def _subdistribution(v: Inputs) -> Answer:
    shared = _only(v, "ratio", "alpha", "power", "sides")
    size, hr = subdistribution_size(v["control"], v["experimental"], **shared)
    answer = _sized(size, v["ratio"], f"subdistribution hazard ratio {hr:.3f}")
    return Answer(c.rows({"subdistribution_hr": hr}) + answer.rows, answer.sentence)


def _negative_binomial(v: Inputs) -> Answer:
    shared = _only(v, "exposure", "ratio", "alpha", "power", "sides")
    arms = _arms(*negative_binomial_size(v["control"], v["experimental"], v["dispersion"], **shared))
    return Answer(arms, f"{arms[4].value} patients ({arms[0].value} control, {arms[2].value} experimental).")


def _assurance(v: Inputs) -> Answer:
    shared = _only(v, "ratio", "alpha", "sides")
    assurance = normal_assurance(v["events"], v["hr"], v["sd"], **shared)
    power = normal_assurance(v["events"], v["hr"], 0.0, **shared)
    text = f"Assurance {percent(assurance)}; the power at the median hazard ratio is {percent(power)}."
    return Answer(c.rows({"assurance": assurance, "power": power}), text)


TEST = (c.RATIO, c.ALPHA, c.SIDES, c.POWER)
N_FOR_POWER = c.count("n", "Patients of both arms: asks for the power instead", low=2, optional=True)
ACCRUAL = Parameter("accrual", "Duration of accrual at a constant rate", low=0)
FOLLOWUP = Parameter("followup", "Time from the last entry to the end", low=0)
LOST = Parameter("lost", "Hazard of dropout", default=0.0, low=0)
HAZARDS = (
    c.positive("control", "Hazard of the event in the control arm (ln2/6: median 6)"),
    c.positive("experimental", "Hazard of the event in the experimental arm"),
)
HR = c.positive("hr", "Hazard ratio, experimental over control")
OPTIONAL_TIMES = (
    Parameter("hazard", "Hazard of the control arm, one per piece: asks for patients", kind="numbers", optional=True, low=0),
    Parameter("times", "Start of each piece", kind="numbers", default=(0.0,), low=0),
    Parameter("accrual", "Duration of accrual, with hazard", optional=True, low=0),
    Parameter("followup", "Time from the last entry to the end, with hazard", optional=True, low=0),
    LOST,
)
ARM_PROPORTIONS = (
    c.probability("control", "Proportion with the event in the control arm"),
    c.probability("experimental", "Proportion with the event in the experimental arm"),
)

TWO_ARMS: tuple[Formula, ...] = (
    Formula(
        "risk-difference",
        "Confidence intervals of a difference of two proportions",
        (
            c.count("x1", "Events in arm 1", low=0),
            c.count("n1", "Patients in arm 1"),
            c.count("x2", "Events in arm 2", low=0),
            c.count("n2", "Patients in arm 2"),
            c.LEVEL,
        ),
        _risk_difference,
        "Newcombe (1998) method 10; Miettinen and Nurminen (1985); Agresti and Caffo (2000)",
        "x1=45 n1=150 x2=15 n2=150",
    ),
    Formula(
        "two-proportions",
        "Patients to compare two proportions: superiority, or a margin under the null hypothesis",
        (
            *ARM_PROPORTIONS,
            Parameter("margin", "Non-inferiority margin; 0 for superiority", default=0.0, low=-1, high=1, strict=True),
            Parameter("event", "What the event is to the patient", kind="choice", default="harm", choices=("harm", "benefit")),
            *TEST,
            N_FOR_POWER,
        ),
        _two_proportions,
        "Farrington and Manning, Statistics in Medicine 9 (1990) 1447-1454",
        "control=0.3 experimental=0.1",
    ),
    Formula(
        "two-proportions-exact",
        "Exact power of two-sided tests of two proportions: pooled and unpooled z, Fisher",
        (
            c.count("n1", "Patients in arm 1", high=2000),
            c.count("n2", "Patients in arm 2", high=2000),
            c.probability("p1", "Proportion in arm 1"),
            c.probability("p2", "Proportion in arm 2"),
            c.probability("alpha", "Two-sided level", 0.05),
        ),
        _two_proportions_exact,
        "enumeration of both binomial distributions",
        "n1=40 n2=40 p1=0.4 p2=0.15",
    ),
    Formula(
        "schoenfeld",
        "Events of a log-rank test, power of a number of events, or patients",
        (HR, *TEST, c.count("events", "Events: asks for the power instead", optional=True), *OPTIONAL_TIMES),
        _schoenfeld,
        "Schoenfeld, Biometrika 68 (1981) 316-319",
        "hr=0.6 power=0.9",
    ),
    Formula(
        "freedman",
        "Events of a log-rank test, or patients",
        (HR, *TEST, *OPTIONAL_TIMES),
        lambda v: _event_formula("freedman", v),
        "Freedman, Statistics in Medicine 1 (1982) 121-129",
        "hr=0.6 hazard=ln2/6 accrual=24 followup=12",
    ),
    Formula(
        "lachin-foulkes",
        "Patients to compare two exponential hazards with accrual and dropout",
        (*HAZARDS, ACCRUAL, FOLLOWUP, LOST, *TEST, N_FOR_POWER),
        _lachin_foulkes,
        "Lachin and Foulkes, Biometrics 42 (1986) 507-519",
        "control=0.2 experimental=0.1 lost=0.1 accrual=0.5 followup=1.5 power=0.9",
    ),
    Formula(
        "competing-risks",
        "Patients for a cause-specific log-rank test with a competing cause, all exponential",
        (*HAZARDS, Parameter("competing", "Hazard of the competing event", low=0), ACCRUAL, FOLLOWUP, LOST, *TEST),
        _competing_risks,
        "Pintilie, Statistics in Medicine 21 (2002) 3317-3324",
        "control=0.3 experimental=0.15 competing=0.1 accrual=2 followup=1",
    ),
    Formula(
        "competing-risks-incidence",
        "Patients for a subdistribution (Fine-Gray) comparison of two cumulative incidences",
        (*ARM_PROPORTIONS, *TEST),
        _subdistribution,
        "Latouche, Porcher and Chevret, Statistics in Medicine 23 (2004) 3263-3274",
        "control=0.4 experimental=0.25",
    ),
    Formula(
        "negative-binomial",
        "Patients to compare two rates of recurrent events",
        (
            c.positive("control", "Events per unit of exposure in the control arm"),
            c.positive("experimental", "Events per unit of exposure in the experimental arm"),
            Parameter("dispersion", "k in variance = mean + k mean^2", low=0),
            c.positive("exposure", "Exposure of each patient", 1.0),
            *TEST,
        ),
        _negative_binomial,
        "Zhu and Lakkis, Statistics in Medicine 33 (2014) 376-387",
        "control=0.8 experimental=0.5 dispersion=0.4",
    ),
    Formula(
        "assurance",
        "Assurance of a log-rank test with a normal prior on the log hazard ratio",
        (
            c.count("events", "Events at the analysis"),
            HR,
            Parameter("sd", "Prior standard deviation of the log hazard ratio", low=0),
            *TEST[:3],
        ),
        _assurance,
        "O'Hagan, Stevens and Campbell, Pharmaceutical Statistics 4 (2005) 187-201",
        "events=100 hr=0.6 sd=0.2",
    ),
)
