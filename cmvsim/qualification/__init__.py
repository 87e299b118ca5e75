"""Installation qualification: the reference cases that ship with the package, and what this installation gives for them."""

from collections.abc import Callable, Iterable, Iterator

from cmvsim.qualification import closed_forms, comparisons, economics, event_times, installation, regressions
from cmvsim.qualification.cases import TOPICS, Case, Comparison, Outcome, load_cases

__all__ = ["COMPUTE", "TOPICS", "Case", "Comparison", "Outcome", "load_cases", "run_case", "run_cases"]

COMPUTE: dict[str, Callable[[Case], Iterator[Comparison]]] = {
    **event_times.COMPUTE,
    **regressions.COMPUTE,
    **comparisons.COMPUTE,
    **closed_forms.COMPUTE,
    **economics.COMPUTE,
    **installation.COMPUTE,
}
"""What computes the answer of each kind of case."""


def run_case(case: Case) -> Outcome:
    """Compute a case and compare it; whatever the computation raises is a failure of the case."""
    try:
        return Outcome(case, tuple(COMPUTE[case.kind](case)))
    except Exception as error:  # noqa: BLE001 -- a broken installation may raise anything, and all is to be reported
        return Outcome(case, (), f"{type(error).__name__}: {error}")


def run_cases(cases: Iterable[Case]) -> Iterator[Outcome]:
    """Each case in turn."""
    return (run_case(case) for case in cases)
