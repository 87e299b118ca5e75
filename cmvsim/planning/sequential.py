"""Group-sequential studies simulated look by look: what was known on each look's date is analysed, then the rules decide.

The rules are applied afterwards to the stored statistics, so power, stopping and expected size are of the boundaries that the
information at each look asks for. Whether the level holds is simulated and not assumed: only the log-rank statistic of one
cause has independent increments; Gray's and weighted statistics look back on risk sets that later censoring changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from cmvsim.core.records import BoolArray, Estimates, FloatArray, Measure, Request, Status
from cmvsim.core.streams import CHUNK_REPLICATES, Role
from cmvsim.designs.closed_forms.group_sequential import Crossing
from cmvsim.designs.sequential_rules import Rules, Stopped
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.experiment import FIELDS, Failure, Replicates, RowKey
from cmvsim.montecarlo.mcse import Summary
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.planning.characteristics import Row
from cmvsim.planning.nested import ROLE_CHUNKS, isolated
from cmvsim.simulation.draws import ChunkDraws

COUNTS = ("events", "day", "enrolled", "complete")
"""What is kept of each look beside the analyses, see :class:`Looked`."""
OVERRULED = "futility overruled"
"""Term of the type I error of studies that go on whatever the futility boundary advises: the level is to hold there too."""
INTEGRATION = "integration"
"""Rows that are not simulated: boundaries crossed by a process of independent increments."""


@dataclass(frozen=True, slots=True)
class Looked:
    """A batch of studies as known at one look, arrays (R,).

    Attributes
    ----------
    z
        By analysis, positive in favour of the experimental arm.
    estimates
        By analysis.
    events
        Events of interest.
    day
        Calendar day of the look, from the first day of the study.
    enrolled
        Patients enrolled by the time of the decision.
    complete
        Patients of these whose follow-up was complete for the analysis: the others are the overrun.
    """

    z: dict[str, FloatArray]
    estimates: dict[str, Estimates]
    events: FloatArray
    day: FloatArray
    enrolled: FloatArray
    complete: FloatArray


class LookedTrial(Protocol):
    """A frozen, picklable trial that can be looked at."""

    @property
    def endpoint(self) -> str:
        """Id in the rows."""
        ...

    @property
    def n(self) -> int:
        """Patients of a study that is never stopped, all arms."""
        ...

    @property
    def analyses(self) -> tuple[str, ...]:
        """Ids of the analyses, the deciding one first."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the looks, in order."""
        ...

    @property
    def content(self) -> dict[str, Any]:
        """What may change a number, for the request."""
        ...

    @property
    def about(self) -> tuple[str, str]:
        """Name of the scenario and its digest."""
        ...

    def data(self, draws: ChunkDraws) -> Any:
        """A batch of studies, whole."""
        ...

    def looked(self, data: Any, part: slice) -> tuple[Looked, ...]:
        """Some replicates of a batch at each look."""
        ...


@dataclass(frozen=True)
class SequentialExperiment:
    """The studies of a trial at all looks, whatever would have been decided before.

    Attributes
    ----------
    trial
        What is looked at.
    role, attempt
        Which streams: the study's own, or those of a confirmation; attempts share none.
    replicates
        Studies of a chunk; fewer than 64 only where each few have parameters of their own.
    """

    trial: LookedTrial
    seed: int = 1
    role: Role = Role.STUDY
    attempt: int = 0
    replicates: int = CHUNK_REPLICATES

    @property
    def sizes(self) -> tuple[int, ...]:
        """One: the looks go with the size."""
        return (self.trial.n,)

    @cached_property
    def rows(self) -> tuple[RowKey, ...]:
        """One per analysis and look."""
        return tuple(
            RowKey(self.trial.endpoint, estimator=a, term=name) for a in self.trial.analyses for name in self.trial.names
        )

    @cached_property
    def extras(self) -> tuple[str, ...]:
        """Z of each analysis, and the counts, by look."""
        names = (*(f"z.{a}" for a in self.trial.analyses), *COUNTS)
        return tuple(f"{name}.{k}" for name in names for k in range(len(self.trial.names)))

    @cached_property
    def request(self) -> Request:
        """What may change a number of these chunks."""
        name, digest = self.trial.about
        streams: dict[str, Any] = {"role": self.role.name, **({"attempt": self.attempt} if self.attempt else {})}
        return Request("chunks", name, digest, {**self.trial.content, "sequential": True, **streams}, self.seed)

    def chunk(self, index: int) -> Replicates:
        """Compute 64 replicates; one that raises fails alone."""
        looks, analyses = len(self.trial.names), self.trial.analyses
        result = Replicates.empty(1, len(self.rows), len(self.extras))
        values, extras = result.values[: self.replicates], result.extras[: self.replicates]
        chunk = self.attempt * ROLE_CHUNKS + index
        data = self.trial.data(ChunkDraws(self.seed, self.role, chunk, self.trial.n, self.replicates))
        failures: dict[int, Failure] = {}
        found = isolated(lambda part: self.trial.looked(data, part), self.replicates, index, self.seed, failures)
        for part, seen in found:
            for k, looked in enumerate(seen):
                for a, name in enumerate(analyses):
                    for column, field in enumerate(FIELDS):
                        values[part, 0, a * looks + k, column] = getattr(looked.estimates[name], field)
                    extras[part, 0, a * looks + k] = looked.z[name]
                for c, name in enumerate(COUNTS):
                    extras[part, 0, (len(analyses) + c) * looks + k] = getattr(looked, name)
        return Replicates(values, extras, tuple(failures.values()))


def by_look(result: MonteCarloResult, name: str, size: int | None = None) -> FloatArray:
    """An extra of all looks, (R, looks), of studies of a size; without one, of the first."""
    experiment = result.experiment
    looks, n = sum(extra.startswith(f"{COUNTS[0]}.") for extra in experiment.extras), size or experiment.sizes[0]
    return np.column_stack([result.extra_column(n, f"{name}.{k}") for k in range(looks)])


def stopped(result: MonteCarloResult, rules: Rules, analysis: str, size: int | None = None) -> Stopped:
    """How each replicate ended if an analysis decides; a replicate that failed goes on to the end and claims nothing."""
    events = by_look(result, "events", size)
    return rules.decide(by_look(result, f"z.{analysis}", size), np.where(np.isnan(events), 0.0, events))


def status_of(result: MonteCarloResult, size: int | None = None) -> FloatArray:
    """(replicates,) whether each could be looked at."""
    raised = np.isnan(by_look(result, "events", size)).any(axis=1)
    return np.where(raised, float(Status.RAISED), float(Status.OK))


def sequential_rows(result: MonteCarloResult, rules: Rules, analysis: str, *, measure: Measure = Measure.POWER) -> list[Row]:
    """Operating characteristics of a design that decides by one analysis.

    Parameters
    ----------
    measure
        What a rejection is called: power, or type I error of a trial in which the arms do not differ. Power counts claims of a
        benefit; the type I error all rejections.
    """
    found = stopped(result, rules, analysis)
    n, key = result.experiment.sizes[0], result.experiment.rows[0]
    status = status_of(result)
    names = [row.term for row in result.experiment.rows if row.estimator == analysis]

    def row(measure: Measure, summary: Summary, term: str = "", at: float = 0.0) -> Row:
        figures = (summary.value, summary.mcse, summary.n_ok, summary.n_failed, summary.low, summary.high)
        return Row(n, key.endpoint, "", "", analysis, term, measure.value, at, *figures)

    met = found.rejected if measure is Measure.TYPE1 else found.claim
    rows = [row(measure, mcse.proportion(met, status))]
    if measure is Measure.TYPE1:
        if rules.futility is not None and not rules.binding:
            overruled = stopped(result, replace(rules, futility=None), analysis).rejected
            rows.append(row(measure, mcse.proportion(overruled, status), OVERRULED))
        return rows
    rows += [row(*item) for item in _stops(found, names, status, rules)]
    at_stop = {name: _at(by_look(result, name), found.look) for name in COUNTS}
    rows.append(row(Measure.EXPECTED_N, bounded(at_stop["enrolled"], status)))
    rows.append(row(Measure.EXPECTED_DURATION, bounded(at_stop["day"], status)))
    rows.append(row(Measure.EXPECTED_EVENTS, bounded(at_stop["events"], status)))
    rows.append(row(Measure.EXPECTED_OVERRUN, bounded(at_stop["enrolled"] - at_stop["complete"], status)))
    for k, name in enumerate(names):
        rows.append(row(Measure.LOOK_DAY, bounded(by_look(result, "day")[:, k], status), name))
        rows.append(row(Measure.LOOK_EVENTS, bounded(by_look(result, "events")[:, k], status), name))
    return rows


def bounded(column: FloatArray, status: FloatArray) -> Summary:
    """Mean of a count, with its bounds over all replicates, failed ones at their worst and best plausible value."""
    low, high = mcse.plausible_range(column, status)
    return mcse.mean(column, status, plausible=(max(low, 0.0), high))


def _stops(found: Stopped, names: list[str], status: FloatArray, rules: Rules) -> Iterator[tuple[Measure, Summary, str]]:
    for k, name in enumerate(names):
        here: BoolArray = found.look == k
        yield Measure.P_STOP_EFFICACY, mcse.proportion(here & found.claim, status), name
        if rules.sides == 2:
            yield Measure.P_STOP_HARM, mcse.proportion(here & found.against, status), name
        if rules.futility is not None and k < len(names) - 1:
            yield Measure.P_STOP_FUTILITY, mcse.proportion(here & found.futile, status), name


def _at(values: FloatArray, look: Any) -> FloatArray:
    chosen: FloatArray = np.take_along_axis(values, np.asarray(look)[:, None], axis=1)[:, 0]
    return chosen


def integrated_rows(rules: Rules, theory: Crossing, n: int, endpoint: str, names: tuple[str, ...]) -> list[Row]:
    """The same characteristics for a process of independent increments at the planned information."""

    def row(measure: Measure, value: float, term: str = "") -> Row:
        return Row(n, endpoint, "", "", INTEGRATION, term, measure.value, 0.0, value, 0.0, 0, 0)

    rows = [row(Measure.POWER, theory.power)]
    for k, name in enumerate(names):
        rows.append(row(Measure.P_STOP_EFFICACY, theory.upper[k], name))
        if rules.futility is not None and k < len(names) - 1:
            rows.append(row(Measure.P_STOP_FUTILITY, theory.lower[k], name))
        rows.append(row(Measure.BOUNDARY, rules.design.efficacy[k], name))
        if rules.futility is not None and k < len(names) - 1:
            rows.append(row(Measure.BOUNDARY_FUTILITY, rules.design.futility[k], name))
    rows.append(row(Measure.EXPECTED_EVENTS, theory.expected([rules.planned * t for t in rules.fractions])))
    return rows
