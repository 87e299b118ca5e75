"""What the draws say, in one tree: means beside the deterministic ones, acceptability, value of perfect information, noise.

A draw of few patients is noisy. Means need no correction; variances have the patients' noise subtracted; acceptability, losses
and the value of perfect information, which are biased by noise, are given on net benefit smoothed by regression beside the raw.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.economics.evppi import evppi, regression_size
from cmvsim.economics.fieller import fieller
from cmvsim.economics.frontier import frontier
from cmvsim.economics.nested import between_draw_moments, patients_per_draw
from cmvsim.economics.net_benefit import DecisionCurves, decision_curves, net_monetary_benefit
from cmvsim.economics.probabilistic import PsaDraws
from cmvsim.economics.regression import DRAWS_PER_COLUMN, MIN_DRAWS, design_of
from cmvsim.economics.samples import PsaSamples

LEVEL = (0.025, 0.975)
OVERHEAD = 400.0
"""Time that a draw takes whatever its patients, in patients (measured: benchmarks/economics.py)."""
FEWEST_DAYS = 0.02
"""Of the mean: a draw in which hardly a patient gets the drug would have any price."""


def samples_of(psa: PsaDraws) -> PsaSamples:
    """The draws for interchange: inputs by their ids."""
    labels = tuple(str(draw + 1) for draw in psa.draws)
    inputs = {item.id: psa.parameters[:, k] for k, item in enumerate(psa.inputs)}
    return PsaSamples(psa.strategies, labels, psa.cost, psa.qaly, inputs)


def varied(psa: PsaDraws) -> FloatArray:
    """(D, k) inputs that are not the same in all draws."""
    return psa.parameters[:, np.ptp(psa.parameters, axis=0) > 0]


def psa_tree(
    psa: PsaDraws, thresholds: tuple[float, ...], shown: int, day_prices: FloatArray, fixed: list[dict[str, Any]]
) -> dict[str, Any]:
    """All tables of a probabilistic analysis.

    Parameters
    ----------
    shown
        Place of the threshold that single numbers are given at.
    day_prices
        (strategies,) today's price of a day of letermovir.
    fixed
        Rows of the deterministic strategies.
    """
    inputs = varied(psa)
    raw = decision_curves(psa.cost, psa.qaly, thresholds)
    smooth = decision_curves(psa.cost, psa.qaly, thresholds, inputs)
    return {
        "draws": int(psa.draws.size),
        "failed": len(psa.failed),
        "unreached": psa.unreached,
        "failures": [failure.as_dict() for failure in psa.failed[:5]],
        "patients": psa.patients,
        "inputs": len(psa.inputs),
        "regression": regression_size(evppi(net_monetary_benefit(psa.cost, psa.qaly, thresholds[shown]), inputs), inputs),
        "input_list": [{"id": i.id, "key": i.key, "kind": i.kind, "group": i.group} for i in psa.inputs],
        "strategies": _strategies(psa, fixed),
        "frontier": [asdict(row) for row in frontier(psa.strategies, psa.cost.mean(axis=0), psa.qaly.mean(axis=0))],
        "increments": [
            _increment(psa, place, thresholds, shown, float(day_prices[place]), inputs, raw, smooth)
            for place in range(1, len(psa.strategies))
        ],
        "reached": reached(psa, thresholds, day_prices),
        "curves": {"raw": _curves(raw, psa.strategies), "smoothed": _curves(smooth, psa.strategies)},
    }


def reached(psa: PsaDraws, thresholds: tuple[float, ...], day_prices: FloatArray) -> dict[str, Any]:
    """The increments among the draws whose targets are met, beside those of all: how much the answer hangs on the others.

    Without rows where all draws are such, or too few are.
    """
    count = int(psa.met.sum())
    tree: dict[str, Any] = {"draws": count, "increments": []}
    if not MIN_DRAWS <= count < psa.met.size:
        return tree
    arrays = ("draws", "parameters", "cost", "qaly", "drug_days", "clinically_significant", "within", "met")
    part = replace(psa, **{name: getattr(psa, name)[psa.met] for name in arrays})
    inputs = varied(part)
    for place in range(1, len(part.strategies)):
        more, gain, days = (x[:, place] - x[:, 0] for x in (part.cost, part.qaly, part.drug_days))
        prices = _break_even(more - float(day_prices[place]) * days, days, gain, thresholds, inputs)
        averted = part.clinically_significant[:, 0] - part.clinically_significant[:, place]
        tree["increments"].append(
            {
                "strategy": part.strategies[place],
                "cost": _mean(more),
                "qaly": _mean(gain),
                "infections_averted": _mean(averted),
                "infections_averted_all": _mean(psa.clinically_significant[:, 0] - psa.clinically_significant[:, place]),
                "break_even_price": prices[0],
                "break_even_price_95": prices[1],
                "acceptable_raw": [float((t * gain - more > 0).mean()) for t in thresholds],
            }
        )
    return tree


def _mean(values: FloatArray) -> dict[str, float]:
    return {"value": float(values.mean()), "se": float(values.std(ddof=1)) / values.size**0.5}


def _strategies(psa: PsaDraws, fixed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Probabilistic means, the deterministic ones, and the gap between them."""
    rows = []
    root = psa.draws.size**0.5
    for place, (name, alone) in enumerate(zip(psa.strategies, fixed, strict=True)):
        row: dict[str, Any] = {"strategy": name}
        for measure, values in (("cost", psa.cost[:, place]), ("qaly", psa.qaly[:, place])):
            mean, error = float(values.mean()), float(values.std(ddof=1)) / root
            row[measure] = {"value": mean, "se": error}
            row[f"{measure}_deterministic"] = alone[measure]["value"]
            row[f"{measure}_gap"] = mean - alone[measure]["value"]
        rows.append(row)
    return rows


def _increment(
    psa: PsaDraws,
    place: int,
    thresholds: tuple[float, ...],
    shown: int,
    today: float,
    inputs: FloatArray,
    raw: DecisionCurves,
    smooth: DecisionCurves,
) -> dict[str, Any]:
    more, gain = (x[:, place] - x[:, 0] for x in (psa.cost, psa.qaly))
    days = psa.drug_days[:, place] - psa.drug_days[:, 0]
    moments = between_draw_moments(np.column_stack([more, gain]), psa.within[:, place])
    k = thresholds[shown]
    weights = np.array([-1.0, k])
    between = float(weights @ moments.covariance @ weights)
    noise = float(weights @ moments.noise @ weights)
    interval = fieller(moments.mean, moments.covariance if moments.resolved else moments.seen)
    prices, price_ranges, smooth_range = _break_even(more - today * days, days, gain, thresholds, inputs)
    return {
        "strategy": psa.strategies[place],
        "against": psa.strategies[0],
        "cost": {"value": moments.mean[0], "se": moments.mcse[0], "sd": moments.covariance[0, 0] ** 0.5},
        "qaly": {"value": moments.mean[1], "se": moments.mcse[1], "sd": moments.covariance[1, 1] ** 0.5},
        "noise_share": moments.noise_share.tolist(),
        "resolved": moments.resolved,
        "icer": interval.ratio,
        "icer_low": interval.low,
        "icer_high": interval.high,
        "icer_refused": interval.refused,
        "break_even_price": prices,
        "break_even_price_95": price_ranges,
        "smoothed_range": smooth_range,
        "acceptable": _better(more, gain, thresholds, inputs),
        "acceptable_raw": [float((t * gain - more > 0).mean()) for t in thresholds],
        "advice": asdict(patients_per_draw(between, noise * psa.patients, psa.patients, overhead=OVERHEAD)),
        "evpi_threshold": k,
        "net_benefit": [float(v) for v in raw.net_benefit[:, place] - raw.net_benefit[:, 0]],
        "expected_loss": [float(v) for v in smooth.expected_loss[:, place]],
    }


def _better(more: FloatArray, gain: FloatArray, thresholds: tuple[float, ...], inputs: FloatArray) -> list[float]:
    """Probability that the strategy is better than the comparator, on net benefit as the inputs explain it."""
    both = np.column_stack([more, gain])
    fitted = design_of(inputs, both).fit(both).fitted
    return [float((t * fitted[:, 1] - fitted[:, 0] > 0).mean()) for t in thresholds]


def _break_even(
    other: FloatArray, days: FloatArray, gain: FloatArray, thresholds: tuple[float, ...], inputs: FloatArray
) -> tuple[list[float], list[list[float]], bool]:
    """Break-even price at the means, its central 95% over the draws, and whether that is free of the patients' noise.

    It is where there are draws enough for increments as all inputs explain them. Else the increments are those of the draws'
    own patients, whose noise makes the range too wide; a regression that cannot hold all inputs would make it too narrow.
    """
    if not days.mean() > 0:
        nothing = float("nan")
        return [nothing for _ in thresholds], [[nothing, nothing] for _ in thresholds], True
    columns = np.column_stack([other, days, gain])
    smooth = inputs.shape[0] >= DRAWS_PER_COLUMN * inputs.shape[1]
    used = design_of(inputs, columns).fit(columns).fitted if smooth else columns
    if not np.ptp(used, axis=0).any():
        smooth, used = False, columns
    prices = [float((t * gain.mean() - other.mean()) / days.mean()) for t in thresholds]
    least = np.maximum(used[:, 1], FEWEST_DAYS * days.mean())
    ranges = [[float(q) for q in np.quantile((t * used[:, 2] - used[:, 0]) / least, LEVEL)] for t in thresholds]
    return prices, ranges, smooth


def _curves(curves: DecisionCurves, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "thresholds": curves.thresholds.tolist(),
        "ceac": {name: curves.ceac[:, k].tolist() for k, name in enumerate(names)},
        "chosen": [names[k] for k in curves.chosen],
        "ceaf": curves.ceaf.tolist(),
        "ceaf_mcse": curves.ceaf_mcse.tolist(),
        "expected_loss": {name: curves.expected_loss[:, k].tolist() for k, name in enumerate(names)},
        "evpi": curves.evpi.tolist(),
        "evpi_mcse": curves.evpi_mcse.tolist(),
    }
