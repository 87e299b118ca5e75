"""Black-box checks of an evaluation, after TECH-VER and AdViSHE: what must hold whatever the numbers are.

Each check runs the scenario with something pushed to an extreme, taken away or made equal, and compares what comes out with
what must. They look at the model from outside: none knows how it is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from cmvsim.calibration import Calibration
from cmvsim.core.ledger import Component, Item
from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role
from cmvsim.economics.cohort import evaluate_cohort, model_of
from cmvsim.economics.evaluate import Outcomes
from cmvsim.economics.settings import EvaluationSettings
from cmvsim.models.quality_of_life import DAYS_PER_YEAR
from cmvsim.scenarios import ResolvedScenario
from cmvsim.simulation.model import Model
from cmvsim.valuation.eq5d import ValueSet

EXACT = 1e-12
MONEY = 1e-6


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check and its verdict.

    Attributes
    ----------
    kind
        Which checklist asks for it.
    difference
        What should be 0 (or what should not, where `expected` says so).
    """

    check: str
    kind: str
    expected: str
    found: str
    difference: float
    passed: bool


class Checker:
    """The scenario under test, and the cohort it is tested on."""

    def __init__(
        self, scenario: ResolvedScenario, calibration: Calibration, strategies: tuple[str, ...], patients: int, seed: int
    ):
        self.scenario, self.calibration = scenario, calibration
        self.strategies, self.patients, self.seed = strategies, patients, seed
        self.model = model_of(scenario.spec, calibration.baseline)
        self.settings = EvaluationSettings.of(scenario.spec, strategies)
        self.base = self.run(self.model, self.settings)

    def run(self, model: Model, settings: EvaluationSettings, *, cmv: bool = True) -> Outcomes:
        """The same patients under a changed model or valuation."""
        return evaluate_cohort(model, settings, self.patients, self.seed, cmv=cmv)

    def rows(self, tick: Callable[[int, int], None] = lambda *_: None) -> tuple[CheckRow, ...]:
        """All checks, in their order; `tick` hears how many groups of them are done."""
        found: list[CheckRow] = []
        for done, check in enumerate(CHECKS, 1):
            found += check(self)
            tick(done, len(CHECKS))
        return tuple(found)


def _row(check: str, kind: str, expected: str, difference: float, tolerance: float = 0.0) -> CheckRow:
    return CheckRow(check, kind, expected, f"{difference:.3g}", float(difference), bool(difference <= tolerance))


def _apart(one: FloatArray, other: FloatArray) -> float:
    """Largest relative difference."""
    scale = max(float(np.abs(other).max(initial=0.0)), 1e-300)
    return float(np.abs(one - other).max(initial=0.0)) / scale


def sums(c: Checker) -> Iterator[CheckRow]:
    """Totals are the sums of their parts."""
    o, kind = c.base, "TECH-VER: sum checks"
    by_item = np.einsum("sip,si->sp", o.quantity, c.settings.unit_costs)
    days = o.quantity[:, Item.LETERMOVIR_DAY.code]
    by_item += o.cost[:, Component.PROPHYLAXIS.code] - days * c.settings.day_prices[:, None]  # packs
    yield _row("cost of components against cost of items", kind, "equal", _apart(by_item, o.total), EXACT)
    whole = sum(o.of_stratum(k).total.sum() for k in range(int(o.stratum.max()) + 1))
    yield _row("cost of strata against cost of all", kind, "equal", abs(float(whole) / float(o.total.sum()) - 1), EXACT)
    yield _row("QALYs above life-years", kind, "none", max(float((o.qaly - o.life_years).max()), 0.0), EXACT)
    if c.settings.tail is None:
        beyond = float(o.life_years.max() - c.model.horizon / DAYS_PER_YEAR)
        yield _row("life-years beyond the horizon", kind, "none", max(beyond, 0.0), EXACT)
    negative = max(0.0, -float(min(o.cost.min(), o.quantity.min())))
    yield _row("negative costs or quantities", kind, "none", negative)
    shares = [values for name, values in o.events.items() if name != "drug_days"]
    wrong = sum(int(((values != 0) & (values != 1)).sum()) for values in shares)
    yield _row("events that are neither 0 nor 1", kind, "none", wrong)


def equal_arms(c: Checker) -> Iterator[CheckRow]:
    """A strategy compared with itself, and with another name of the comparator."""
    kind = "TECH-VER: equal arms"
    for name in c.strategies:
        twin = {**c.model.strategies, "twin": c.model.strategies[name]}
        k = c.strategies.index(name)
        settings = replace(c.settings, strategies=(c.strategies[0], name, "twin"), unit_costs=c.settings.unit_costs[[0, k, k]])
        o = c.run(replace(c.model, strategies=twin), settings)
        apart = float(np.abs(o.cost[1] - o.cost[2]).max() + np.abs(o.qaly[1] - o.qaly[2]).max())
        yield _row(f"{name} against itself", kind, "increments exactly 0", apart)


def null_effects(c: Checker) -> Iterator[CheckRow]:
    """A drug that does nothing, and a disease that is not there."""
    kind = "TECH-VER: null effects"
    none = c.model.letermovir.model_copy(update={"effect": "none"})
    o = c.run(replace(c.model, letermovir=none), c.settings)
    yield _row("a drug without effect: QALYs", kind, "increments exactly 0", float(np.abs(o.qaly - o.qaly[0]).max()))
    rest = [part.code for part in Component if part is not Component.PROPHYLAXIS]
    if c.settings.tested_on_drug:
        more = float(np.abs(o.cost[:, rest] - o.cost[:1, rest]).max())
        yield _row("a drug without effect: other costs", kind, "increments exactly 0", more)
    off = c.run(c.model, c.settings, cmv=False)
    yield _row("no CMV: clinically significant infections", kind, "none", float(off.events["clinically_significant"].sum()))
    treated = off.cost[:, [Component.TREATMENTS.code, Component.SURVEILLANCE_EXTRA.code]]
    yield _row("no CMV: cost of its treatment and extra tests", kind, "none", float(treated.sum()))
    lost = float(np.maximum(off.qaly[0] - off.qaly, 0).max())
    yield _row("no CMV: QALYs that letermovir changes", kind, "none", lost + float(np.abs(off.qaly - off.qaly[0]).max()))


def extreme_prices(c: Checker) -> Iterator[CheckRow]:
    """Prices of 0 and many times today's."""
    kind = "TECH-VER: extreme values"
    free = c.run(c.model, c.settings.with_prices(dict.fromkeys(Item, 0.0)))
    yield _row("all prices 0: cost", kind, "0", float(np.abs(free.total).max()))
    tenfold = c.run(c.model, replace(c.settings, unit_costs=10 * c.settings.unit_costs))
    yield _row("all prices tenfold: cost", kind, "tenfold", _apart(tenfold.total, 10 * c.base.total), EXACT)
    yield _row("all prices tenfold: QALYs", kind, "unchanged", float(np.abs(tenfold.qaly - c.base.qaly).max()))
    dear, price = c.run(c.model, c.settings.with_letermovir_price(1e6)), 1e6
    nothing = c.run(c.model, c.settings.with_letermovir_price(0.0))
    days = dear.cost[:, Component.PROPHYLAXIS.code].sum(axis=1) / price
    more = (dear.total - nothing.total).sum(axis=1)
    yield _row("price of the drug: cost", kind, "price x days", _apart(more, price * days), EXACT)


def extreme_utilities(c: Checker) -> Iterator[CheckRow]:
    """Value sets by which every health is perfect."""
    kind = "TECH-VER: extreme values"
    youth = c.settings.youth
    settings = replace(c.settings, adult=_perfect(c.settings.adult), youth=_perfect(youth) if youth is not None else None)
    if settings.tail is None:
        o = c.run(c.model, settings)
        yield _row("every health perfect: QALYs", kind, "life-years", float(np.abs(o.qaly - o.life_years).max()), EXACT)


def _perfect(values: ValueSet) -> ValueSet:
    return replace(values, decrements=np.zeros_like(values.decrements))


def extreme_efficacy(c: Checker) -> Iterator[CheckRow]:
    """A drug that all but stops onset prevents more than today's."""
    from cmvsim.models.strategies import LetermovirEffect

    kind = "TECH-VER: extreme values"
    solved = c.model.letermovir.model_copy(update={"effect": "solved"})
    perfect = replace(c.model.baseline, letermovir=LetermovirEffect(1e-6, -3.0))
    o = c.run(replace(c.model, letermovir=solved, baseline=perfect), c.settings)
    name = "clinically_significant"
    short = max(float((o.events[name].mean(axis=1) - c.base.events[name].mean(axis=1))[1:].max()), 0.0)
    yield _row("a perfect drug: infections", kind, "no more than with today's drug", short)
    worse = max(float((c.base.qaly.mean(axis=1) - o.qaly.mean(axis=1))[1:].max()), 0.0)
    yield _row("a perfect drug: QALYs", kind, "no fewer than with today's drug", worse)


def chance(c: Checker) -> Iterator[CheckRow]:
    """The same chance gives the same patients; other chance gives others that agree."""
    kind = "AdViSHE: computerised model"
    again = c.run(c.model, c.settings)
    yield _row("the same seed", kind, "the same outcomes", float(np.abs(again.total - c.base.total).max()))
    half = c.run(c.model, c.settings).first(c.patients // 2)
    small = evaluate_cohort(c.model, c.settings, c.patients // 2, c.seed)
    yield _row("half of the patients", kind, "the first half of all", float(np.abs(half.total - small.total).max()))
    other = evaluate_cohort(c.model, c.settings, c.patients, c.seed, role=Role.TRUTH)
    se = np.hypot(other.total.std(axis=1), c.base.total.std(axis=1)) / np.sqrt(c.patients)
    apart = float((np.abs(other.total.mean(axis=1) - c.base.total.mean(axis=1)) / se).max())
    yield CheckRow(
        "other patients", kind, "costs within 4 standard errors", f"{apart:.2f} standard errors", apart, bool(apart < 4)
    )


def calibrated(c: Checker) -> Iterator[CheckRow]:
    """The model meets the figures it is solved for."""
    missed = [target.measure for target in c.calibration.targets if target.verdict == "out of reach"]
    yield _row("targets that the solved model misses", "AdViSHE: validation of data", "none", len(missed))


CHECKS: tuple[Callable[[Checker], Iterator[CheckRow]], ...] = (
    sums,
    equal_arms,
    null_effects,
    extreme_prices,
    extreme_utilities,
    extreme_efficacy,
    chance,
    calibrated,
)
"""Every check that there is."""

ADVISHE = (
    ("A1 Face validity of the conceptual model", "for experts: docs/model.md, `cmvsim scenarios explain`"),
    (
        "A2 Cross validity of the conceptual model",
        "two engines written apart agree event by event: docs/verification/engines.md",
    ),
    ("B1 Face validity of input data", "for experts: `cmvsim scenarios cite`"),
    ("B2 Model fit", "`cmvsim scenarios calibrate`: targets achieved, with their standard errors"),
    ("C1 External review", "for reviewers"),
    ("C2 Extreme values", "`cmvsim economics check`"),
    ("C3 Traces of patients", "`cmvsim trace`"),
    ("C4 Unit testing", "`make test`"),
    ("D1 Face validity of outcomes", "for experts: summary.md of `cmvsim economics run`"),
    ("D2 Cross validation", "no other model of CMV after CAR-T cells was found"),
    ("D3 Validation against alternative input", "structural choices and other incidences in `cmvsim economics run`"),
    ("D4 Validation against empirical data", "`cmvsim scenarios calibrate --all`: published cohorts, with their distances"),
)
"""The items of AdViSHE (Vemer et al. 2016) in short, and where each is answered."""
