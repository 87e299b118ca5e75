"""Cases of the closed forms and exact methods of planning: numbers of gsDesign, rpact, presize, Stata, East, enumerations."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cmvsim.designs import closed_forms as cf
from cmvsim.qualification.cases import Case, Comparison

METHOD = {"exact": "clopper-pearson", "asin": "arcsin"}

Input = Mapping[str, Any]
Got = dict[str, Any]


def _method(name: str) -> Any:
    """Our name of a method."""
    return METHOD.get(name, name)


def closed_form(case: Case) -> Iterator[Comparison]:
    """Every number of the case, to its absolute tolerance."""
    got = answer(case.kind, case.args)
    for key, expected in case.expected.items():
        yield case.compare(key, expected, got[key])


def number(value: Any) -> Any:
    """`ln2/6` and `ln .6` as numbers; anything else as it is."""
    if not isinstance(value, str):
        return value
    if found := re.fullmatch(r"ln ?([\d.]+)(?:/([\d.]+))?", value):
        return math.log(float(found[1])) / float(found[2] or 1)
    return value


def answer(kind: str, given: Input) -> Got:
    """What the package gives for a case's input, in the keys of its expected numbers."""
    return _BY_KIND[kind]({key: number(value) for key, value in given.items()})


def _exact_binomial_power(i: Input) -> Got:
    got = cf.binomial_test(i["n"], i["p0"], i["p1"], i["alpha"])
    assert got.side == i["side"]
    return {"power": got.power}


def _exact_binomial_n(i: Input) -> Got:
    got = cf.binomial_test_sizes(i["p0"], i["p1"], i["alpha"], i["power"])
    return {"first_n": got.first, "stable_n": got.stable}


def _gs_binomial(i: Input) -> Got:
    got = cf.sequential_binomial(i["n"], i["a"], i["b"], i["theta"])
    return {"lower": got.lower, "upper": got.upper, "en": got.expected_n}


def _simon(i: Input) -> Got:
    got = cf.simon_two_stage(i["p0"], i["p1"], i["alpha"], 1 - i["beta"])
    return {
        name: [d.r1, d.n1, d.r, d.n, d.expected_n, d.early_stop]
        for name, d in (("optimal", got.optimal), ("minimax", got.minimax))
    }


def _limits(pair: Any) -> Got:
    return {"lower": float(pair[0]), "upper": float(pair[1])}


def _binom_ci(i: Input) -> Got:
    return _limits(cf.binomial_limits(i["x"], i["n"], method=_method(i["method"]), level=i["level"]))


def _risk_diff_ci(i: Input) -> Got:
    return _limits(cf.risk_difference_limits(i["x1"], i["n1"], i["x2"], i["n2"], method=i["method"]))


def _precision_n(i: Input) -> Got:
    method = _method(i["method"])
    got = cf.precision_sizes(i["p"], i["width"] / 2, method=method, level=i["level"], probability=i["assurance"])
    assert got.assured == got.assured_stable  # in these cases; not so in general
    return {"plugin": got.plug_in, "expected_width": got.expected_width, "assured": got.assured}


def _exact_coverage(i: Input) -> Got:
    names = ("exact", "wilson", "wald")
    return {name: cf.binomial_coverage(i["n"], i["p"], method=_method(name)).coverage for name in names}


def _uncensored_cif_ci(i: Input) -> Got:
    got = cf.incidence_interval_performance(i["n"], i["p"], interval=_method(i["transform"]), edges=i["zero_and_full"])
    return {"coverage": got.coverage, "mean_width": got.mean_width, "p_width_le_0_2": got.p_narrow}


def _two_prop_n(i: Input) -> Got:
    got = cf.two_proportions_size(
        i["p1"],
        i["p2"],
        difference0=-i["margin"] if "margin" in i else i.get("delta0", 0),
        ratio=i.get("ratio", 1),
        alpha=i["alpha"],
        power=1 - i["beta"],
        sides=1,
    )
    return {"n_total": got.total}


def _exact_two_arm(i: Input) -> Got:
    return {
        test: cf.two_arm_exact_power(i["n1"], i["n2"], i["p1"], i["p2"], test=test, alpha=i["alpha"]) for test in cf.EXACT_TESTS
    }


def _schoenfeld_events(i: Input) -> Got:
    return {"events": cf.schoenfeld_events(i["hr"], ratio=i["ratio"], alpha=i["alpha"], power=i["power"], sides=1)}


def _survival_n(i: Input) -> Got:
    got = cf.logrank_size(
        i["lambda2"],
        i["hr"],
        accrual=i["accrual"],
        followup=i["followup"],
        times=i.get("piecewise_time", (0,)),
        ratio=i.get("ratio", 1),
        alpha=i["alpha"],
        power=i["power"],
        sides=1,
        method=i.get("method", "schoenfeld"),
    )
    return {"events": got.events, "n": got.n}


def _lachin_foulkes(i: Input) -> Got:
    times = {"accrual": i["Tr"], "followup": i["Ts"] - i["Tr"], "lost": i["eta"]}
    got = cf.lachin_foulkes_size(i["l1"], i["l2"], **times, alpha=i["alpha"], power=i["power"], sides=1)
    return {"n": got.n, "events": got.events}


def _survival_power(i: Input) -> Got:
    accrual = i["T"] - i["minfup"]
    arms = [cf.event_probability(i["lambdaC"] * k, accrual, i["minfup"]) for k in (1, i["hr"])]
    events = i["gamma"] * accrual * sum(arms) / 2
    return {"events": events, "power": cf.schoenfeld_power(events, i["hr"], alpha=i["alpha"], sides=1)}


def _competing_exp_n(i: Input) -> Got:
    got = cf.competing_risks_size(
        i["l1c"], i["l1e"], i["l2"], accrual=i["accrual"], followup=i["followup"], alpha=i["alpha"], power=i["power"]
    )
    return {"events": got.events, "p_c": got.p_control, "p_e": got.p_experimental, "n": got.n}


def _visit_detection(i: Input) -> Got:
    got = cf.visit_detection(i["hazard"], i["visits"], i["sensitivity"])
    return {
        "p_detected": got.detected,
        "cif": got.incidence,
        "mean_first_positive_perfect": got.mean_first_visit,
        "true_mean": got.mean_onset,
    }


def _negbin_n(i: Input) -> Got:
    got = cf.negative_binomial_size(i["r1"], i["r2"], i["k"], exposure=i["t"], alpha=i["alpha"], power=i["power"])
    assert got[0] == got[1]
    return {"n_per_arm": got[0]}


def _normal_assurance(i: Input) -> Got:
    hr = math.exp(i["loghr"])
    got = cf.normal_assurance(i["events"], hr, i["sd"], alpha=i["alpha"], sides=1)
    return {"assurance": got, "power": cf.schoenfeld_power(i["events"], hr, alpha=i["alpha"], sides=1)}


def _n_sim(_: Input) -> Got:
    return {
        "coverage_95_mcse_005": cf.replicates_for_mcse(0.005, 0.95),
        "power_80_mcse_01": cf.replicates_for_mcse(0.01, 0.8),
        "worst_mcse_01": cf.replicates_for_mcse(0.01),
    }


def _t_onemean_power(i: Input) -> Got:
    return {"power": cf.t_test_power(i["n"], i["ma"] - i["m0"], i["sd"], i["alpha"])}


_BY_KIND: dict[str, Callable[[Input], Got]] = {
    "exact_binomial_power": _exact_binomial_power,
    "exact_binomial_n": _exact_binomial_n,
    "gs_binomial": _gs_binomial,
    "simon": _simon,
    "binom_ci": _binom_ci,
    "poisson_ci": lambda i: _limits(cf.poisson_limits(i["events"], i["exposure"])),
    "risk_diff_ci": _risk_diff_ci,
    "precision_n": _precision_n,
    "exact_coverage": _exact_coverage,
    "uncensored_cif_ci": _uncensored_cif_ci,
    "two_prop_n": _two_prop_n,
    "two_prop_ni_n": _two_prop_n,
    "exact_two_arm": _exact_two_arm,
    "schoenfeld_events": _schoenfeld_events,
    "survival_n": _survival_n,
    "survival_power": _survival_power,
    "lachin_foulkes": _lachin_foulkes,
    "competing_exp_n": _competing_exp_n,
    "visit_detection": _visit_detection,
    "negbin_n": _negbin_n,
    "normal_assurance": _normal_assurance,
    "n_sim": _n_sim,
    "t_onemean_power": _t_onemean_power,
}

COMPUTE: dict[str, Callable[[Case], Iterator[Comparison]]] = dict.fromkeys(_BY_KIND, closed_form)
