"""What is asked of a scenario, and what is answered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from cmvsim.designs import PrecisionTarget
from cmvsim.montecarlo.estimand_values import EstimandValue
from cmvsim.montecarlo.experiment import Experiment, Failure
from cmvsim.montecarlo.run import Backend
from cmvsim.planning.characteristics import Row
from cmvsim.runs.chunk_store import ChunkStore
from cmvsim.scenarios import ResolvedScenario


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a scenario.

    Attributes
    ----------
    sizes
        Sample sizes to report; None with `search` lets the closed form choose the grid.
    target
        Precision wanted; None reports without a criterion.
    search
        Whether the smallest N for the target is looked for.
    replicates
        Exact number, or the maximum with `mcse_target`.
    mcse_target
        Stop when the criterion's Monte Carlo SE is this small.
    sensitivity
        All estimators of each endpoint.
    power
        Power wanted of a design that decides; with `search` the smallest N for it is looked for.
    detectable
        Look for the smallest effect that the sample size detects with `power`, instead.
    type1
        Also how often the trial concludes where the truth is on the edge of what it tests.
    """

    design: str
    endpoints: tuple[str, ...]
    sizes: tuple[int, ...] | None
    target: PrecisionTarget | None
    search: bool
    replicates: int
    mcse_target: float | None
    sensitivity: bool
    seed: int
    power: float | None = None
    detectable: bool = False
    type1: bool = False

    def as_dict(self) -> dict[str, Any]:
        """What goes into the request: everything that may change a number."""
        more: dict[str, Any] = {"power": self.power} if self.power is not None else {}
        if self.detectable:
            more["detectable"] = True
        if self.type1:
            more["type1"] = True
        return {
            "design": self.design,
            "endpoints": list(self.endpoints),
            "sizes": list(self.sizes) if self.sizes is not None else None,
            "target": self.target.model_dump() if self.target is not None else None,
            "search": self.search,
            "replicates": self.replicates,
            "mcse_target": self.mcse_target,
            "sensitivity": self.sensitivity,
            **more,
        }


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the criterion's curve."""

    n: int
    value: float
    mcse: float


@dataclass(frozen=True, slots=True)
class Answer:
    """The sample size that was looked for.

    Attributes
    ----------
    n
        The sample size: `found`, moved up where the confirmation asked for it. None if not reached.
    found, ci_low, ci_high
        Smallest N of the search, and the interval of the crossing (Monte Carlo error only).
    status
        "confirmed", "not reached" or "not confirmed".
    confirmation
        The criterion at N - step, N and N + step on new streams: the figures to report.
    """

    endpoint: str
    criterion: dict[str, Any]
    n: int | None
    found: int | None
    ci_low: float | None
    ci_high: float | None
    interval_method: str
    status: str
    confirmation: tuple[Point, ...]
    closed_form: dict[str, Any]
    why_different: tuple[str, ...]
    enrolled: int | None
    screened: int | None


@dataclass(frozen=True, slots=True)
class PowerResult:
    """Everything that ``power`` reports."""

    question: Question
    sizes: tuple[int, ...]
    rows: tuple[Row, ...]
    estimands: tuple[EstimandValue, ...]
    answers: tuple[Answer, ...]
    curve: tuple[Point, ...]
    replicates: int
    stopped: str
    failures: tuple[Failure, ...]
    what_if: tuple[Any, ...]
    chunks: int
    detectable: Any = None
    type1: Any = None

    @property
    def mark(self) -> tuple[int, float, float] | None:
        """The first answer with the ends of its Monte Carlo interval, where a size was looked for and found."""
        found = self.answers[0] if self.answers else None
        if found is None or found.n is None or found.ci_low is None or found.ci_high is None:
            return None
        return found.n, found.ci_low, found.ci_high

    @property
    def confirmed(self) -> tuple[tuple[int, float, float], ...]:
        """Size, value and MCSE of the confirmation of the first answer."""
        return tuple((point.n, point.value, point.mcse) for answer in self.answers[:1] for point in answer.confirmation)


class Work(Protocol):
    """What the planner needs of its caller: chunk stores by name, workers, and a voice."""

    jobs: int
    backend: Backend

    def store(self, name: str, experiment: Experiment) -> ChunkStore:
        """The store of a stage."""
        ...

    def progress(self, label: str) -> AbstractContextManager[Callable[[int, int], None]]:
        """A context that yields a function (done, total)."""
        ...


def why_different(scenario: ResolvedScenario) -> tuple[str, ...]:
    """What the closed form does not know and this scenario has."""
    spec = scenario.spec
    reasons: list[tuple[bool, str]] = [
        (any(float(v) > 0 for v in spec.follow_up.death_by_90.values()), "death competes with reactivation"),
        (
            any(float(v) > 0 for v in spec.follow_up.monitoring_stop.values()),
            "monitoring ends early in patients who relapse and are treated anew, so the risk set shrinks",
        ),
        (float(spec.follow_up.lost_by_90) + float(spec.follow_up.withdrawn_by_90) > 0, "patients are lost or withdraw"),
        (float(spec.monitoring.attendance) < 1, "visits are missed, so episodes are found late or never"),
        (float(spec.cmv.onset.prevalent) > 0, "patients with DNAemia at infusion are enrolled but not at risk"),
        (True, "the interval is that of the estimator (complementary log-log), not Wald's"),
    ]
    return tuple(text for holds, text in reasons if holds)
