"""Operating characteristics of designs with one tested arm, Simon's stages or interim looks, beside exact calculations."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from scipy import optimize, special

from cmvsim.core.records import Estimates, FloatArray, Measure, Status
from cmvsim.designs import GroupSequential, SimonTwoStage, SingleArmTest
from cmvsim.designs.closed_forms.group_sequential import crossing
from cmvsim.designs.closed_forms.one_sample import binomial_test
from cmvsim.designs.closed_forms.two_stage import sequential_binomial
from cmvsim.montecarlo import mcse
from cmvsim.montecarlo.experiment import RowKey
from cmvsim.montecarlo.mcse import Summary
from cmvsim.montecarlo.run import MonteCarloResult
from cmvsim.planning.characteristics import Row, row_of
from cmvsim.planning.sequential import bounded, by_look, integrated_rows, sequential_rows, status_of, stopped
from cmvsim.planning.single_arm import PROPORTION
from cmvsim.planning.trial_sequential import CmvLooks

ENUMERATION = "enumeration"
QUANTILES = (0.1, 0.5, 0.9)


def facts_of(design: SingleArmTest | SimonTwoStage) -> dict[str, Any]:
    """What the sentences name of a design of one arm."""
    if isinstance(design, SingleArmTest):
        return {"null_incidence": design.null_incidence, "direction": design.direction}
    found = {**asdict(design.stages), "criterion": design.criterion, "p0": design.p0, "p1": design.p1}
    return {"design": {**found, "success": "event" if design.p1 > design.p0 else "no event"}}


def power_of(result: MonteCarloResult, design: SingleArmTest, size: int, key: RowKey | None = None) -> Summary:
    """Share of studies of a size in which the design shows what it is to show, by one of its analyses or the deciding one."""
    key = key or result.experiment.rows[0]
    fields = {name: result.column(size, key, name) for name in ("estimate", "se", "ci_low", "ci_high", "n", "events", "status")}
    decision = design.decide(Estimates(**fields, level=design.level, method=key.estimator))  # type: ignore[arg-type]
    assert decision.met is not None
    return mcse.proportion(decision.met, fields["status"])


def single_rows(result: MonteCarloResult, design: SingleArmTest, size: int) -> list[Row]:
    """Power of both tests, who is evaluable, and the exact power at the mean number of evaluable patients."""
    rows = []
    for key in result.experiment.rows:
        status = result.column(size, key, "status")
        ran = np.where(status == Status.RAISED, float(Status.RAISED), float(Status.OK))
        rows.append(row_of(size, key, Measure.POWER, power_of(result, design, size, key)))
        estimate = mcse.mean(result.column(size, key, "estimate"), status, plausible=(0.0, 1.0))
        rows.append(row_of(size, key, Measure.MEAN_ESTIMATE, estimate))
        rows.append(row_of(size, key, Measure.EXPECTED_EVALUABLE, bounded(result.column(size, key, "n"), ran)))
        rows.append(row_of(size, key, Measure.EXPECTED_EVENTS, bounded(result.column(size, key, "events"), ran)))
    own = next(key for key in result.experiment.rows if key.estimator == PROPORTION)
    named = {row.measure: row.value for row in rows if row.estimator == PROPORTION}
    evaluable, incidence = round(named["expected_evaluable"]), named["mean_estimate"]
    if evaluable >= 1 and 0 < incidence < 1 and incidence != design.null_incidence:
        exact = binomial_test(evaluable, design.null_incidence, incidence, design.alpha / design.sides)
        right = (exact.side == "less") == (design.direction == "below")
        key = replace(own, estimator=ENUMERATION)
        rows.append(row_of(size, key, Measure.POWER, Summary(exact.power if right else 0.0, 0.0, 0, 0)))
        rows.append(row_of(size, key, Measure.TYPE1, Summary(exact.attained, 0.0, 0, 0)))
        rows.append(row_of(size, key, Measure.CRITICAL_EVENTS, Summary(float(exact.critical), 0.0, 0, 0)))
    return rows


def why_tested(result: MonteCarloResult, size: int) -> tuple[str, ...]:
    """Why the exact power at the mean number of evaluable patients is another."""
    own, other = (next(k for k in result.experiment.rows if (k.estimator == PROPORTION) is plain) for plain in (True, False))
    means = {k: mcse.mean(result.column(size, k, "estimate"), result.column(size, k, "status")).value for k in (own, other)}
    return (
        "the number of evaluable patients varies from study to study, which smooths the sawtooth of the exact test",
        (
            f"among evaluable patients the incidence is {100 * means[own]:.1f}%, with censoring taken into account "
            f"{100 * means[other]:.1f}%: who is lost sight of is not like the others"
        ),
    )


def stage_power(result: MonteCarloResult, design: SimonTwoStage) -> Summary:
    """Share of two-stage studies that claim."""
    size, key = result.experiment.sizes[0], result.experiment.rows[0]
    n, events = result.column(size, key, "n"), result.column(size, key, "events")
    with np.errstate(invalid="ignore"):
        claim = (n >= design.stages.n) & (design.successes(events, n) > design.stages.r)
    return mcse.proportion(np.asarray(claim), result.column(size, key, "status"))


def two_stage_rows(result: MonteCarloResult, design: SimonTwoStage) -> list[Row]:
    """Of the simulated design, then of the boundaries at p0, p1 and the simulated incidence."""
    patients, key = result.experiment.sizes[0], result.experiment.rows[0]
    size, found = design.stages.n, design.stages
    status = result.column(patients, key, "status")
    columns = {name: result.extra_column(patients, name) for name in result.experiment.extras}
    n = result.column(patients, key, "n")
    first = columns["first_events"]
    pooled = float(np.nansum(first) / (np.isfinite(first).sum() * found.n1)) if np.isfinite(first).any() else float("nan")

    def row(measure: Measure, summary: Summary, term: str = "", estimator: str = PROPORTION) -> Row:
        return row_of(size, replace(key, term=term, estimator=estimator), measure, summary)

    share = mcse.mean(first / found.n1, status, plausible=(0.0, 1.0))  # of patients whose number no decision has changed
    rows = [row(Measure.MEAN_ESTIMATE, share, "stage 1")]
    rows.append(row(Measure.POWER, stage_power(result, design)))
    rows.append(row(Measure.P_STOP_FUTILITY, mcse.proportion(columns["continued"] == 0, status), "stage 1"))
    rows.append(row(Measure.EXPECTED_EVALUABLE, mcse.mean(n, status, plausible=(found.n1, found.n))))
    for name, measure in (
        ("enrolled", Measure.EXPECTED_N),
        ("overrun", Measure.EXPECTED_OVERRUN),
        ("day", Measure.EXPECTED_DURATION),
    ):
        rows.append(row(measure, bounded(columns[name], status)))
    for term, p in (("p0", design.p0), ("p1", design.p1), ("simulated incidence", pooled)):
        if not 0 < p < 1:
            continue
        success = p if design.p1 > design.p0 else 1 - p
        exact = sequential_binomial([found.n1, found.n], [found.r1, found.r], [found.n1 + 1, found.r + 1], [success])

        def known(measure: Measure, value: float, term: str = term) -> Row:
            return row(measure, Summary(float(value), 0.0, 0, 0), term, ENUMERATION)

        rows.append(known(Measure.TYPE1 if term == "p0" else Measure.POWER, exact.upper[1, 0]))
        rows.append(known(Measure.P_STOP_FUTILITY, exact.lower[0, 0]))
        rows.append(known(Measure.EXPECTED_EVALUABLE, exact.expected_n[0]))
    return rows


def sequential_answer(
    found: MonteCarloResult, trial: CmvLooks, design: GroupSequential
) -> tuple[list[Row], dict[str, Any], dict[str, list[float]]]:
    """Rows of a trial at its looks, what the sentences name, and what the figure shows."""
    rules = design.rules(trial.planned)
    rows = [row for name in trial.analyses for row in sequential_rows(found, rules, name)]
    z, events = by_look(found, f"z.{trial.analyses[0]}"), by_look(found, "events")
    final = z[:, -1][np.isfinite(z[:, -1])]
    drift = float(final.mean()) if final.size else 0.0
    shares = np.nanmean(events, axis=0) / trial.planned if np.isfinite(events).any() else np.zeros(events.shape[1])
    # the looks as they came on average, so that the integration is of the same information
    typical = replace(rules, fractions=tuple(float(t) for t in _rising(shares)))
    theory = crossing(typical.design, drift / math.sqrt(typical.fractions[-1]))
    rows += integrated_rows(typical, theory, trial.n, trial.endpoint, trial.names)
    critical = -float(special.ndtri(rules.efficacy.total))
    with np.errstate(invalid="ignore"):
        met = z[:, -1] >= critical
    key = replace(found.experiment.rows[0], term="one look", estimator=trial.analyses[0])
    rows.append(row_of(trial.n, key, Measure.POWER, mcse.proportion(met, status_of(found))))
    ended = stopped(found, rules, trial.analyses[0])
    shown = {
        "information": [float(t) for t in typical.fractions],
        "efficacy": list(typical.design.efficacy),
        "futility": list(typical.design.futility) if rules.futility is not None else [],
        **{f"z{round(100 * q)}": _quantiles(z, q) for q in QUANTILES},
        "claim": [float(((ended.look == k) & ended.claim).mean()) for k in range(z.shape[1])],
        "futile": [float(((ended.look == k) & ended.futile).mean()) for k in range(z.shape[1])],
        "against": [float(((ended.look == k) & ended.against).mean()) for k in range(z.shape[1])],
    }
    told = {
        "n": trial.n,
        "planned_events": trial.planned,
        "deciding": trial.analyses[0],
        "information": [float(t) for t in typical.fractions],
        "sides": rules.sides,
        "alpha": rules.efficacy.total * rules.sides,
    }
    return rows, told, shown


def claims(found: MonteCarloResult, trial: CmvLooks, design: GroupSequential) -> Summary:
    """Share of trials that show the benefit."""
    ended = stopped(found, design.rules(trial.planned), trial.analyses[0])
    return mcse.proportion(ended.claim, status_of(found))


def next_size(found: MonteCarloResult, trial: CmvLooks, design: GroupSequential, power: float) -> int | None:
    """Patients that would have the power, foretold from a simulated size; None where there is no effect to show.

    Z grows with the root of the number of patients, at the same shares of information; what integration misses of the
    simulated power (on the scale of the normal quantile) is taken as the same at both sizes.
    """
    rules = design.rules(trial.planned)
    final = by_look(found, f"z.{trial.analyses[0]}")[:, -1]
    drift = float(np.nanmean(final)) if np.isfinite(final).any() else 0.0
    if drift <= 0:
        return None
    bounds = rules.design

    def probit(patients: float) -> float:
        share = crossing(bounds, drift * math.sqrt(patients / trial.n)).power
        return float(special.ndtri(min(max(share, 1e-9), 1 - 1e-9)))

    seen = float(np.clip(claims(found, trial, design).value, 0.001, 0.999))
    wanted = float(special.ndtri(power)) - float(special.ndtri(seen)) + probit(trial.n)
    low, high = 2.0, 64.0 * trial.n
    if probit(high) < wanted:
        return None
    return (
        math.ceil(optimize.brentq(lambda patients: probit(patients) - wanted, low, high)) if probit(low) < wanted else int(low)
    )


def _rising(shares: FloatArray) -> FloatArray:
    """Mean information of the looks; of looks that bring nothing new hardly anything."""
    rising: FloatArray = np.maximum.accumulate(np.maximum(shares, 1e-3))
    return rising + 1e-6 * np.arange(rising.size)


def _quantiles(z: FloatArray, level: float) -> list[float]:
    return [float(np.nanquantile(column, level)) if np.isfinite(column).any() else math.nan for column in z.T]


def why_sequential(design: GroupSequential) -> tuple[str, ...]:
    """Why the integration says otherwise."""
    reasons = [
        (
            "the integration takes the statistics of the looks as a process of independent increments, which Gray's test and "
            "differences of incidences are not: patients short of the horizon enter censored"
        ),
        "information is the number of events seen, which is not exactly that of the comparison",
    ]
    if design.hypothesis == "non_inferiority":
        reasons.append("the type I error on the margin is not simulated over looks: ask a two_arm design for it, with --type1")
    return tuple(reasons)
