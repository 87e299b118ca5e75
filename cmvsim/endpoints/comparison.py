"""Comparisons of two randomised arms: experimental against control, of any endpoint that is a time to an event or yes or no.

Every comparison is an estimate with an interval that agrees with its test, so that a design decides by the interval. The
log-rank and Gray's tests have the one-step (Peto) estimate of their hazard ratio: exp(U / V) with standard error 1 / sqrt(V)
of its log, U the score of the experimental arm and V its variance, whose Wald test is the test itself (Peto et al., Br J Cancer
35 (1977) 1-39). Crude comparisons count events among those who entered, however long they were followed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from cmvsim.core.records import Estimates, FloatArray, IntArray, Status
from cmvsim.endpoints import ENDPOINTS
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.arms import by_arm
from cmvsim.endpoints.base import Endpoint, Estimator, EstimatorChoice, Sizes, at_each_size
from cmvsim.endpoints.derived import EVENT, GroupedBinary, GroupedTimeToEvent
from cmvsim.endpoints.group_comparison import p_value_as_estimates
from cmvsim.endpoints.incidence import CRUDE, aalen_johansen_at_window

Grouped = GroupedTimeToEvent | GroupedBinary
Compare = Callable[[Any, AnalysisSpec, Sizes], Estimates]
CONTROL, EXPERIMENTAL = 0, 1
TESTS = frozenset({"gray_p", "log_rank_p", "log_rank_stratified_p"})
"""p-values: printed of one study, nothing that a design decides by."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One way to compare the arms.

    Attributes
    ----------
    id, label
        Its name in files, and in tables.
    compare
        (derived, plan, sizes) -> Estimates, arrays (R, sizes).
    scale
        As in :class:`~cmvsim.endpoints.base.EstimatorChoice`; differences are experimental minus control, ratios likewise.
    of
        Variables it can take.
    note
        What a reader must know.
    stratified
        It uses the strata of the plan.
    """

    id: str
    label: str
    compare: Compare
    scale: str
    of: tuple[Literal["rate", "proportion"], ...] = ("rate",)
    note: str = ""
    stratified: bool = False

    @property
    def no_difference(self) -> float:
        """Its value where the arms do not differ."""
        return 0.0 if self.scale == "risk_difference" else 1.0

    def term(self, arms: tuple[str, ...]) -> str:
        """What is compared, in words."""
        control, experimental = arms
        sign = {"risk_difference": "-", "p_value": "against"}.get(self.scale, "/")
        return f"{experimental} {sign} {control}"


def risk_difference(derived: GroupedTimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
    """Difference of the cumulative incidences at the window, from two independent Aalen-Johansen estimates."""
    from cmvsim.estimators.contrasts import difference_of_risks

    control, experimental = (aalen_johansen_at_window(derived.only(g), plan, sizes) for g in (CONTROL, EXPERIMENTAL))
    return difference_of_risks(experimental, control, level=plan.level)


def _one_step(kind: Literal["gray", "log-rank"], *, stratified: bool = False) -> Compare:
    """One-step hazard ratio of a score test."""

    def compare(derived: GroupedTimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
        from cmvsim.estimators.intervals import normal_quantile

        test = _test(kind, derived, sizes, stratified=stratified)
        fine = test.status == Status.OK
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            variance = np.where(fine, test.covariance[..., EXPERIMENTAL, EXPERIMENTAL], np.nan)
            log = test.score[..., EXPERIMENTAL] / variance
            se = 1 / np.sqrt(variance)
            z = normal_quantile(plan.level)
            estimate, low, high = (np.exp(log + k * se) for k in (0, -z, z))
        status, method = _status(test.status), f"{test.method}, one step"
        return Estimates(estimate, se, low, high, test.n, test.events, status, plan.level, method, se_scale="log")

    return compare


def _p_value(kind: Literal["gray", "log-rank"], *, stratified: bool = False) -> Compare:
    def compare(derived: GroupedTimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
        test = _test(kind, derived, sizes, stratified=stratified)
        return p_value_as_estimates(test.p_value, test.n, test.events, test.status, plan.level, test.method)

    return compare


def _test(kind: Literal["gray", "log-rank"], derived: GroupedTimeToEvent, sizes: Sizes, *, stratified: bool) -> Any:
    from cmvsim.estimators.group_tests import gray, logrank

    test = gray if kind == "gray" else logrank
    strata = derived.stratum if stratified else None
    return test(derived.time, derived.cause.astype(np.int64), derived.group, n_groups=2, strata=strata, nested=sizes)


def _status(status: IntArray) -> IntArray:
    """A ratio has no bound where there are no events."""
    return np.where(status == Status.NO_EVENTS, int(Status.NOT_ESTIMABLE), status).astype(np.int64)


def _cox(*, stratified: bool = False) -> Callable[[GroupedTimeToEvent, AnalysisSpec], Estimates]:
    def compare(derived: GroupedTimeToEvent, plan: AnalysisSpec) -> Estimates:
        from cmvsim.estimators.cox import cox

        strata = derived.stratum if stratified else None
        cause = derived.cause.astype(np.int64)
        fit = cox(derived.time, cause, _experimental(derived), strata=strata, level=plan.level)
        return fit.term(0, exponentiate=True)

    return compare


def _fine_gray(derived: GroupedTimeToEvent, plan: AnalysisSpec) -> Estimates:
    from cmvsim.estimators.fine_gray import fine_gray

    fit = fine_gray(derived.time, derived.cause.astype(np.int64), _experimental(derived), level=plan.level)
    return fit.term(0, exponentiate=True)


def _experimental(derived: GroupedTimeToEvent) -> FloatArray:
    return np.asarray(derived.group == EXPERIMENTAL, dtype=np.float64)[..., np.newaxis]


def _at_each(compare: Callable[[GroupedTimeToEvent, AnalysisSpec], Estimates]) -> Compare:
    """At nested sizes."""
    nested: Estimator = at_each_size(compare)

    def at_sizes(derived: GroupedTimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
        found = nested(derived, plan, sizes)
        assert isinstance(found, Estimates)
        return found

    return at_sizes


def _counts(derived: Grouped, sizes: Sizes) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Events and patients of the experimental arm, then of the control, each (R, sizes)."""
    yes = (derived.cause == EVENT) if isinstance(derived, GroupedTimeToEvent) else (derived.value == 1)
    last = [n - 1 for n in sizes]
    counts = []
    for group in (EXPERIMENTAL, CONTROL):
        mine = derived.entered & (derived.group == group)
        counts += [np.cumsum(mine & yes, axis=1)[:, last], np.cumsum(mine, axis=1)[:, last]]
    return counts[0], counts[1], counts[2], counts[3]


def crude_difference(method: Literal["newcombe", "miettinen-nurminen", "mee"]) -> Compare:
    """Difference of crude proportions; the interval of ``mee`` inverts the test of Farrington and Manning."""

    def compare(derived: Grouped, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
        from cmvsim.estimators.two_proportions import risk_difference as difference

        return difference(*_counts(derived, sizes), method=method, level=plan.level)

    return compare


def mantel_haenszel_difference(derived: Grouped, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
    """Difference of crude proportions common to the strata; without strata that of one."""
    from cmvsim.estimators.stratified import mantel_haenszel

    if derived.stratum is None:
        strata = [derived]
    else:
        strata = [_within(derived, code) for code in range(int(derived.stratum.max(initial=0)) + 1)]
    counts = [np.stack(found, axis=-1) for found in zip(*(_counts(part, sizes) for part in strata), strict=True)]
    return mantel_haenszel(*counts, measure="difference", level=plan.level)


def _within(derived: Grouped, code: int) -> Grouped:
    return replace(derived, group=np.where(derived.stratum == code, derived.group, -1))


BOTH: tuple[Literal["rate", "proportion"], ...] = ("rate", "proportion")
_ALL = (
    Comparison("risk_difference", "Difference of cumulative incidences", risk_difference, "risk_difference"),
    Comparison("gray_test", "Gray's test, its one-step ratio", _one_step("gray"), "subdistribution_hazard_ratio"),
    Comparison("gray_p", "Gray's test", _p_value("gray"), "p_value"),
    Comparison("log_rank", "Log-rank test of the cause, its one-step ratio", _one_step("log-rank"), "hazard_ratio"),
    Comparison("log_rank_p", "Log-rank test of the cause", _p_value("log-rank"), "p_value"),
    Comparison(
        "log_rank_stratified",
        "Stratified log-rank test, its one-step ratio",
        _one_step("log-rank", stratified=True),
        "hazard_ratio",
        stratified=True,
    ),
    Comparison(
        "log_rank_stratified_p",
        "Stratified log-rank test of the cause",
        _p_value("log-rank", stratified=True),
        "p_value",
        stratified=True,
    ),
    Comparison("cox", "Cause-specific hazard ratio (Cox)", _at_each(_cox()), "hazard_ratio"),
    Comparison(
        "cox_stratified",
        "Cause-specific hazard ratio (Cox, stratified)",
        _at_each(_cox(stratified=True)),
        "hazard_ratio",
        stratified=True,
    ),
    Comparison("fine_gray", "Subdistribution hazard ratio (Fine-Gray)", _at_each(_fine_gray), "subdistribution_hazard_ratio"),
    Comparison(
        "newcombe", "Difference of crude proportions, Newcombe", crude_difference("newcombe"), "risk_difference", BOTH, CRUDE
    ),
    Comparison(
        "miettinen_nurminen",
        "Difference of crude proportions, Miettinen-Nurminen",
        crude_difference("miettinen-nurminen"),
        "risk_difference",
        BOTH,
        CRUDE,
    ),
    Comparison(
        "farrington_manning",
        "Difference of crude proportions, Farrington-Manning",
        crude_difference("mee"),
        "risk_difference",
        BOTH,
        CRUDE,
    ),
    Comparison(
        "mantel_haenszel",
        "Difference of crude proportions over strata, Mantel-Haenszel",
        mantel_haenszel_difference,
        "risk_difference",
        BOTH,
        CRUDE,
        stratified=True,
    ),
)
COMPARISONS: dict[str, Comparison] = {item.id: item for item in _ALL}


def variable_of(entry: Endpoint) -> Literal["rate", "proportion"] | None:
    """What an endpoint derives, as far as arms can be compared by it."""
    primary = entry.estimators[0].id
    return {"aalen_johansen": "rate", "clopper_pearson": "proportion"}.get(primary)  # type: ignore[return-value]


def rates() -> tuple[str, ...]:
    """Endpoints that are cumulative incidences."""
    return tuple(name for name, entry in ENDPOINTS.items() if variable_of(entry) == "rate")


def compared_by(entry: Endpoint) -> tuple[str, ...]:
    """Ids of the comparisons that a design can decide an endpoint by; none where arms are not compared by it."""
    kind = variable_of(entry)
    return tuple(name for name, item in COMPARISONS.items() if kind in item.of and name not in TESTS)


def comparison_choice(entry: Endpoint, name: str) -> EstimatorChoice:
    """A comparison as an estimator of the endpoint; its plan names the arms."""
    item = COMPARISONS[name]

    def estimate(derived: Grouped, plan: AnalysisSpec, sizes: Sizes) -> dict[str, Estimates]:
        return {item.term(derived.groups): item.compare(derived, plan, sizes)}

    return EstimatorChoice(
        name,
        item.label,
        estimate,
        scale=item.scale,
        derive=by_arm(entry),
        terms=lambda plan: (item.term(plan.arms),),
        note=item.note,
    )


def incidence_by_arm(entry: Endpoint) -> EstimatorChoice:
    """The primary estimator in each arm."""

    def estimate(derived: Grouped, plan: AnalysisSpec, sizes: Sizes) -> dict[str, Estimates]:
        if isinstance(derived, GroupedTimeToEvent):
            return {name: aalen_johansen_at_window(derived.only(g), plan, sizes) for g, name in enumerate(derived.groups)}
        from cmvsim.estimators.proportions import proportion

        found = _counts(derived, sizes)
        pairs = {CONTROL: found[2:], EXPERIMENTAL: found[:2]}
        return {
            name: proportion(*pairs[g], method="clopper-pearson", level=plan.level) for g, name in enumerate(derived.groups)
        }

    return EstimatorChoice(
        "by_arm", f"{entry.estimators[0].label}, by arm", estimate, derive=by_arm(entry), terms=lambda plan: plan.arms
    )


def of_arms(entry: Endpoint, plan: AnalysisSpec) -> tuple[EstimatorChoice, ...]:
    """All that is said of two arms in the analysis of one study; stratified comparisons where the plan names strata."""
    kind = variable_of(entry)
    names = [name for name, item in COMPARISONS.items() if kind in item.of and (plan.strata or not item.stratified)]
    return (incidence_by_arm(entry), *(comparison_choice(entry, name) for name in names)) if names else ()
