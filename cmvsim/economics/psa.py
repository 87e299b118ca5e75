"""Everything that draws of cost and effect say about a decision: table, curves, value of information, tornado."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.records import FloatArray
from cmvsim.economics.evppi import Evppi, evppi
from cmvsim.economics.fieller import Fieller, fieller_of_draws
from cmvsim.economics.frontier import FrontierRow, frontier
from cmvsim.economics.net_benefit import DecisionCurves, decision_curves, net_monetary_benefit
from cmvsim.economics.regression import MIN_DRAWS, design_of
from cmvsim.economics.samples import PsaSamples

TORNADO_LEVELS = (0.025, 0.975)
"""Quantiles of an input between which a bar of the tornado reaches."""


@dataclass(frozen=True, slots=True)
class TornadoBar:
    """What one input does to the increment of net benefit, the others averaged over.

    Attributes
    ----------
    strategy, against
        Whose increment.
    at
        2.5% and 97.5% quantiles of the input.
    net_benefit
        Expected increment given the input at these.
    """

    threshold: float
    strategy: str
    against: str
    parameter: str
    at: tuple[float, float]
    net_benefit: tuple[float, float]
    mean: float

    @property
    def width(self) -> float:
        """Length of the bar."""
        return abs(self.net_benefit[1] - self.net_benefit[0])


@dataclass(frozen=True, eq=False, slots=True)
class PsaAnalysis:
    """Analysis of PSA samples.

    Attributes
    ----------
    table
        Decision table of the means, in order of cost.
    intervals
        Fieller's, by strategy with a ratio; the uncertainty is that of the inputs.
    raw, smoothed
        Curves; `smoothed` is None without inputs or with fewer than 20 draws.
    partial
        EVPPI by input or group, over all thresholds.
    tornado
        Bars at the thresholds of interest, the longest first at each.
    """

    samples: PsaSamples
    table: tuple[FrontierRow, ...]
    intervals: Mapping[str, Fieller]
    raw: DecisionCurves
    smoothed: DecisionCurves | None
    partial: Mapping[str, Evppi]
    tornado: tuple[TornadoBar, ...]


def analyse_psa(
    samples: PsaSamples,
    thresholds: Sequence[float],
    *,
    of_interest: Sequence[float] = (),
    groups: Mapping[str, Sequence[str]] | None = None,
    level: float = 0.95,
) -> PsaAnalysis:
    """Analyse draws at a range of thresholds.

    Parameters
    ----------
    of_interest
        Thresholds of the tornado.
    groups
        Inputs to be learned together, by the name of the group.
    level
        Of Fieller's intervals.

    Raises
    ------
    InputError
        If a group names an input that there is not, or one that does not vary.
    """
    varied = samples.varied if len(samples.draws) >= MIN_DRAWS else {}
    table = frontier(samples.strategies, samples.cost.mean(axis=0), samples.effect.mean(axis=0))
    place = {name: k for k, name in enumerate(samples.strategies)}
    intervals = {}
    for row in table:
        if row.against:
            one, other = place[row.strategy], place[row.against]
            more, gain = (x[:, one] - x[:, other] for x in (samples.cost, samples.effect))
            intervals[row.strategy] = fieller_of_draws(more, gain, level)
    cube = net_monetary_benefit(samples.cost, samples.effect, list(thresholds))
    columns = {name: values[:, None] for name, values in varied.items()}
    for name, members in (groups or {}).items():
        columns[name] = _group(name, members, samples, varied)
    every = np.column_stack(list(varied.values())) if varied else None
    return PsaAnalysis(
        samples,
        table,
        intervals,
        decision_curves(samples.cost, samples.effect, thresholds),
        None if every is None else decision_curves(samples.cost, samples.effect, thresholds, every),
        {name: evppi(cube, inputs) for name, inputs in columns.items()},
        tuple(bar for threshold in of_interest for bar in tornado(samples, varied, threshold)),
    )


def _group(name: str, members: Sequence[str], samples: PsaSamples, varied: Mapping[str, FloatArray]) -> FloatArray:
    for member in members:
        if member not in samples.inputs:
            allowed = did_you_mean(member, samples.inputs)
            raise InputError(Problem(f"there is no input '{member}'", f"--group {name}", allowed=allowed))
    if name in samples.inputs:
        raise InputError(Problem("a group has a name of its own, and this is an input", f"--group {name}"))
    kept = [varied[member] for member in members if member in varied]
    if not kept:
        raise InputError(Problem("none of its inputs varies, or there are fewer than 20 draws", f"--group {name}"))
    return np.column_stack(kept)


def tornado(samples: PsaSamples, varied: Mapping[str, FloatArray], threshold: float) -> list[TornadoBar]:
    """Expected increment of net benefit at low and high values of each input, the longest bar first.

    The increment is that of the best strategy against the comparator (the first), or of the second best where the comparator is
    the best; expectations given an input are those of the regression of EVPPI.
    """
    nb = net_monetary_benefit(samples.cost, samples.effect, threshold)
    strategy = 1 + int(nb[:, 1:].mean(axis=0).argmax())
    gain = nb[:, [strategy]] - nb[:, [0]]
    bars = []
    for name, values in varied.items():
        design = design_of(values, gain)
        low, high = (float(x) for x in np.quantile(values, TORNADO_LEVELS))
        at = design.fit(gain).at(design.at(np.array([low, high])))[:, 0]
        ends = (float(at[0]), float(at[1]))
        bars.append(
            TornadoBar(
                threshold, samples.strategies[strategy], samples.strategies[0], name, (low, high), ends, float(gain.mean())
            )
        )
    return sorted(bars, key=lambda bar: -bar.width)
