"""Two groups compared by their cumulative incidences: difference at the window, Gray's test."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cmvsim.core.records import Estimates, IntArray, Status
from cmvsim.data.study import Study
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import EstimatorChoice, Sizes
from cmvsim.endpoints.derived import EXCLUDED, GroupedTimeToEvent
from cmvsim.endpoints.incidence import Derive, aalen_johansen_at_window
from cmvsim.endpoints.population import also

DISEASES = ("leukaemia", "lymphoma")
DIFFERENCE, P_VALUE = "leukaemia - lymphoma", "Gray's test"


def by_disease(derive: Derive) -> Callable[[Study, AnalysisSpec], GroupedTimeToEvent]:
    """A derivation that keeps leukaemia and lymphoma apart, from one of all patients."""

    def grouped(study: Study, plan: AnalysisSpec) -> GroupedTimeToEvent:
        whole = derive(study, plan)
        code = [DISEASES.index(name) if name in DISEASES else -1 for name in study.subjects.diseases]
        group = np.array(code, dtype=np.int64)[study.subjects.stratum]
        excluded = also(dict(whole.excluded), "neither leukaemia nor lymphoma", group < 0, study)
        cause = np.where(group < 0, np.int8(EXCLUDED), whole.cause).astype(np.int8)
        return GroupedTimeToEvent(whole.time, cause, np.where(cause < 0, -1, group), DISEASES, excluded)

    return grouped


def risk_difference(derived: GroupedTimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> dict[str, Estimates]:
    """First group minus second, from two independent Aalen-Johansen estimates."""
    from cmvsim.estimators.contrasts import difference_of_risks

    first, second = (aalen_johansen_at_window(derived.only(g), plan, sizes) for g in range(2))
    return {DIFFERENCE: difference_of_risks(first, second, level=plan.level)}


def gray_test(derived: GroupedTimeToEvent, plan: AnalysisSpec, sizes: Sizes) -> dict[str, Estimates]:
    """p-value of Gray's test, unweighted (rho = 0)."""
    from cmvsim.estimators.group_tests import gray

    cause = derived.cause.astype(np.int64)
    test = gray(derived.time, cause, derived.group, n_groups=len(derived.groups), nested=sizes)
    return {P_VALUE: p_value_as_estimates(test.p_value, test.n, test.events, test.status, plan.level, test.method)}


def p_value_as_estimates(
    p: np.ndarray, n: IntArray, events: IntArray, status: IntArray, level: float, method: str
) -> Estimates:
    """A p-value in the form of all results: no standard error, no interval; none where the test is not defined."""
    fine = status == Status.OK
    code = np.where(fine | (status == Status.EMPTY), status, int(Status.NOT_ESTIMABLE)).astype(np.int64)
    value = np.where(fine, p, np.nan)
    nothing = np.full(value.shape, np.nan)
    return Estimates(value, nothing, nothing.copy(), nothing.copy(), n, events, code, level, method)


def of_diseases(derive: Derive) -> tuple[EstimatorChoice, ...]:
    """Comparisons that stand beside the rates by disease."""
    grouped = by_disease(derive)
    return (
        EstimatorChoice(
            "risk_difference",
            "Difference of cumulative incidences, leukaemia minus lymphoma",
            risk_difference,
            scale="risk_difference",
            derive=grouped,
            terms=lambda _: (DIFFERENCE,),
        ),
        EstimatorChoice(
            "gray_test",
            "Leukaemia against lymphoma, Gray's test",
            gray_test,
            scale="p_value",
            derive=grouped,
            terms=lambda _: (P_VALUE,),
        ),
    )
