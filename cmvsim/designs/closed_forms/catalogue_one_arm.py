"""Formulas of one arm: tests and precision of a proportion or a mean, intervals, visits, replicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from cmvsim.designs.closed_forms import catalogue as c
from cmvsim.designs.closed_forms.catalogue import Answer, Formula, Parameter, percent
from cmvsim.designs.closed_forms.intervals import BINOMIAL_METHODS, binomial_limits, poisson_limits
from cmvsim.designs.closed_forms.one_sample import binomial_test, binomial_test_sizes, t_test_patients, t_test_power
from cmvsim.designs.closed_forms.other import replicates_for_mcse, visit_detection
from cmvsim.designs.closed_forms.precision import binomial_coverage, incidence_interval_performance, precision_sizes
from cmvsim.designs.closed_forms.two_stage import sequential_binomial, simon_two_stage

Inputs = Mapping[str, Any]
ENUMERATED = 20_000


def _one_sample_binomial(v: Inputs) -> Answer:
    p0, p1, alpha, n = v["p0"], v["p1"], v["alpha"], v["n"]
    if n is not None:
        test = binomial_test(n, p0, p1, alpha)
        rows = c.rows({"critical": test.critical, "attained_alpha": test.attained, "power": test.power}, f"n={n}")
        return Answer(rows, f"With {n} patients the exact test has power {percent(test.power)}.")
    sizes = binomial_test_sizes(p0, p1, alpha, v["power"])
    listed = c.rows({"n": sizes.first}, "first") + c.rows({"n": sizes.stable}, "stable")
    for at, size in (("first", sizes.first), ("stable", sizes.stable)):
        test = binomial_test(size, p0, p1, alpha)
        listed += c.rows({"critical": test.critical, "attained_alpha": test.attained, "power": test.power}, at)
    text = f"{sizes.first} patients are the first with power {percent(v['power'])}"
    return Answer(listed, f"{text}; from {sizes.stable} on, no larger number falls short of it.")


def _simon(v: Inputs) -> Answer:
    designs = simon_two_stage(v["p0"], v["p1"], v["alpha"], v["power"])
    found = (("optimal", designs.optimal), ("minimax", designs.minimax))
    listed = tuple(row for at, design in found for row in c.rows(asdict(design), at))
    text = "; ".join(
        f"{at}: stop with at most {d.r1} of {d.n1}, claim with more than {d.r} of {d.n} (expected {d.expected_n:.1f})"
        for at, d in found
    )
    return Answer(listed, f"Simon's designs, {text}.")


def _group_sequential_binomial(v: Inputs) -> Answer:
    got = sequential_binomial(v["n"], v["lower"], v["upper"], v["p"])
    listed: tuple[c.Row, ...] = ()
    for j, p in enumerate(v["p"]):
        for i, n in enumerate(v["n"]):
            cells = {"cross_lower": float(got.lower[i, j]), "cross_upper": float(got.upper[i, j])}
            listed += c.rows(cells, f"p={p:g}, n={n}")
        totals = {"total_upper": float(got.upper[:, j].sum()), "expected_n": float(got.expected_n[j])}
        listed += c.rows(totals, f"p={p:g}")
    chances = ", ".join(f"{percent(float(got.upper[:, j].sum()))} at p = {p:g}" for j, p in enumerate(v["p"]))
    return Answer(listed, f"The upper boundary is crossed with probability {chances}.")


def _precision(v: Inputs) -> Answer:
    method, level = v["method"], v["level"]
    sizes = precision_sizes(v["p"], v["half_width"], method=method, level=level, probability=v["probability"])
    listed = tuple(c.Row("n", n, at) for at, n in asdict(sizes).items())
    text = f"{sizes.assured} patients give a {method.title()} interval no wider than {200 * v['half_width']:g} points with"
    rest = f"{sizes.expected_width} patients on average, {sizes.plug_in} at the expected count"
    return Answer(listed, f"{text} probability {percent(v['probability'])}; {rest}.")


def _binomial_interval(v: Inputs) -> Answer:
    listed: tuple[c.Row, ...] = ()
    for method in BINOMIAL_METHODS:
        low, high = (float(end) for end in binomial_limits(v["x"], v["n"], method=method, level=v["level"]))
        listed += c.rows({"ci_low": low, "ci_high": high}, method)
    low, high = float(listed[0].value), float(listed[1].value)
    share = v["x"] / v["n"]
    return Answer(listed, f"{percent(share)} ({percent(v['level'], 0)} Wilson interval {percent(low)} to {percent(high)}).")


def _binomial_coverage(v: Inputs) -> Answer:
    listed: tuple[c.Row, ...] = ()
    for method in BINOMIAL_METHODS:
        got = binomial_coverage(v["n"], v["p"], method=method, level=v["level"], half_width=v["half_width"])
        listed += c.rows(asdict(got), method)
    shown = ", ".join(f"{row.at} {percent(float(row.value), 2)}" for row in listed if row.measure == "coverage")
    return Answer(listed, f"Exact coverage: {shown}.")


def _incidence_interval(v: Inputs) -> Answer:
    interval, level, edges = v["interval"], v["level"], v["edges"]
    got = incidence_interval_performance(
        v["n"], v["p"], interval=interval, level=level, half_width=v["half_width"], edges=edges
    )
    text = f"The {interval} interval covers with probability {percent(got.coverage, 2)}"
    return Answer(c.rows(asdict(got)), f"{text} and has a mean half-width of {50 * got.mean_width:.1f} points.")


def _poisson_interval(v: Inputs) -> Answer:
    low, high = poisson_limits(v["events"], v["exposure"], v["level"])
    rate = v["events"] / v["exposure"]
    listed = c.rows({"rate": rate, "ci_low": low, "ci_high": high})
    return Answer(listed, f"Rate {rate:.4g} ({percent(v['level'], 0)} exact interval {low:.4g} to {high:.4g}).")


def _one_sample_t(v: Inputs) -> Answer:
    difference, n = v["mean1"] - v["mean0"], v["n"]
    if n is None:
        n = t_test_patients(difference, v["sd"], v["alpha"], v["power"], v["sides"])
    power = t_test_power(n, difference, v["sd"], v["alpha"], v["sides"])
    return Answer(c.rows({"n": n, "power": power}), f"With {n} patients the t test has power {percent(power)}.")


def _replicates(v: Inputs) -> Answer:
    n = replicates_for_mcse(v["mcse"], v["proportion"])
    text = f"{n:,} replicates estimate a proportion of {v['proportion']:g} with a Monte Carlo SE of {v['mcse']:g}."
    return Answer(c.rows({"replicates": n}), text)


def _visit_detection(v: Inputs) -> Answer:
    duration = np.inf if v["duration"] is None else v["duration"]
    got = visit_detection(v["hazard"], v["visits"], v["sensitivity"], duration)
    text = f"The visits find {percent(got.detected)}; {percent(got.incidence)} have an onset by the last one."
    return Answer(c.rows(asdict(got)), text)


P0 = c.probability("p0", "Proportion under the null hypothesis")
P1 = c.probability("p1", "Proportion under the alternative")

ONE_ARM: tuple[Formula, ...] = (
    Formula(
        "one-sample-binomial",
        "Exact one-sided binomial test of a proportion: power, first and stable n",
        (P0, P1, c.ONE_SIDED_ALPHA, c.POWER, c.count("n", "Patients: asks for the power instead", high=1e8, optional=True)),
        _one_sample_binomial,
        "A'Hern, Statistics in Medicine 20 (2001) 859-866; complete enumeration",
        "p0=0.3 p1=0.5",
    ),
    Formula(
        "simon",
        "Simon's optimal and minimax two-stage designs",
        (P0, P1, c.probability("alpha", "Largest probability of a claim at p0", 0.05), c.POWER),
        _simon,
        "Simon, Controlled Clinical Trials 10 (1989) 1-10; complete enumeration",
        "p0=0.1 p1=0.3",
    ),
    Formula(
        "group-sequential-binomial",
        "Exact crossing probabilities of group-sequential boundaries for one proportion",
        (
            Parameter("n", "Cumulative patients at each stage", kind="integers", low=1, high=ENUMERATED),
            Parameter("lower", "Stop with at most this many events; -1 for never", kind="integers", low=-1),
            Parameter("upper", "Stop with at least this many events; more than n for never", kind="integers", low=1),
            Parameter("p", "Proportions at which to judge", kind="numbers", low=0, high=1),
        ),
        _group_sequential_binomial,
        "Jennison and Turnbull, Group Sequential Methods (2000), ch. 12; recursion over counts",
        "n=50,100 lower=-1,-1 upper=13,17 p=0.1,0.2",
    ),
    Formula(
        "precision",
        "Patients for the width of a confidence interval of a proportion: plug-in, expected, assured",
        (
            c.probability("p", "Expected proportion"),
            c.HALF_WIDTH,
            Parameter("method", "Interval", kind="choice", default="wilson", choices=BINOMIAL_METHODS[:3]),
            c.LEVEL,
            c.probability("probability", "Probability wanted of a narrow enough interval", 0.8),
        ),
        _precision,
        "enumeration of the binomial distribution; plug-in as R presize",
        "p=0.3 half_width=0.1",
    ),
    Formula(
        "binomial-interval",
        "Confidence intervals of a proportion",
        (c.count("x", "Events", low=0), c.count("n", "Patients"), c.LEVEL),
        _binomial_interval,
        "Wilson (1927); Clopper and Pearson (1934); Agresti and Coull (1998); Wald",
        "x=40 n=100",
    ),
    Formula(
        "binomial-coverage",
        "Exact coverage and width of the confidence intervals of a proportion",
        (
            c.count("n", "Patients", high=ENUMERATED),
            c.probability("p", "True proportion"),
            c.LEVEL,
            c.probability("half_width", "Half-width that counts as narrow", 0.1),
        ),
        _binomial_coverage,
        "enumeration; see Newcombe, Statistics in Medicine 17 (1998) 857-872",
        "n=50 p=0.3",
    ),
    Formula(
        "incidence-interval",
        "Exact coverage and width of a transformed interval of a cumulative incidence without censoring",
        (
            c.count("n", "Patients", high=ENUMERATED),
            c.probability("p", "True incidence at the horizon"),
            Parameter("interval", "Transformation", kind="choice", default="cloglog", choices=("cloglog", "arcsin")),
            c.LEVEL,
            c.probability("half_width", "Half-width that counts as narrow", 0.1),
            Parameter("edges", "Interval at 0 and n events", kind="choice", default="exact", choices=("exact", "degenerate")),
        ),
        _incidence_interval,
        "enumeration; without censoring the Aalen-Johansen estimate is binomial",
        "n=60 p=0.3",
    ),
    Formula(
        "poisson-interval",
        "Exact confidence interval of a rate",
        (c.count("events", "Events", low=0), c.positive("exposure", "Person-time", 1.0), c.LEVEL),
        _poisson_interval,
        "Garwood, Biometrika 28 (1936) 437-442",
        "events=10 exposure=50",
    ),
    Formula(
        "one-sample-t",
        "One-sample t test of a mean: power or patients",
        (
            Parameter("mean0", "Mean under the null hypothesis", default=0.0),
            Parameter("mean1", "Mean under the alternative"),
            c.positive("sd", "Standard deviation"),
            c.ALPHA,
            c.SIDES,
            c.POWER,
            c.count("n", "Patients: asks for the power instead", low=2, optional=True),
        ),
        _one_sample_t,
        "noncentral t; Julious, Sample Sizes for Clinical Trials (2010), ch. 3",
        "mean0=70 mean1=75 sd=15 n=50",
    ),
    Formula(
        "replicates",
        "Replicates of a simulation for the Monte Carlo error of a proportion",
        (
            c.positive("mcse", "Monte Carlo standard error wanted"),
            c.probability("proportion", "Expected coverage or power", 0.5),
        ),
        _replicates,
        "Morris, White and Crowther, Statistics in Medicine 38 (2019) 2074-2102",
        "mcse=0.005 proportion=0.95",
    ),
    Formula(
        "visit-detection",
        "Share of first onsets that scheduled visits find, onset with constant hazard",
        (
            c.positive("hazard", "Hazard of the onset per unit of the visit times"),
            Parameter("visits", "Times of the visits", kind="numbers", low=0, strict=True),
            Parameter("sensitivity", "Probability that a visit in the episode finds it", default=1.0, low=0, high=1),
            c.positive("duration", "Length of the episode [left out: persists]", optional=True),
        ),
        _visit_detection,
        "sum over the intervals between visits",
        "hazard=0.02 visits=7,14,21,28 sensitivity=0.8",
    ),
)
