"""Value of information from the draws: EVPI by price, EVPPI of inputs and groups, EVSI and ENBS of the study by size."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cmvsim.core.records import FloatArray
from cmvsim.economics.enbs import Beneficiaries, enbs
from cmvsim.economics.evppi import Evppi, evppi, regression_size
from cmvsim.economics.evsi import Evsi, evsi
from cmvsim.economics.net_benefit import evpi, net_monetary_benefit, smooth_net_benefit
from cmvsim.economics.noise_floor import PERMUTATIONS, noise_floor
from cmvsim.economics.probabilistic import PsaDraws
from cmvsim.economics.psa_tables import varied
from cmvsim.economics.regression import design_of
from cmvsim.economics.study_summaries import INFORMS, SUMMARIES, informed
from cmvsim.valuation.discounting import Discounting
from cmvsim.valuation.economics import EconomicsSpec

GROUPS: dict[str, tuple[str, ...]] = {
    "incidence and timing of CMV": ("cmv.targets",),
    "CMV load, disease and resistance": ("cmv.load", "cmv.disease", "cmv.onset", "cmv.matrices", "resistance."),
    "patients, product and toxicity": ("population.", "kinetics.", "toxicity.", "virome."),
    "letermovir": ("letermovir.",),
    "pre-emptive therapy and monitoring": ("preemptive_therapy.", "monitoring."),
    "death, relapse, infections": ("follow_up.", "infections."),
    "quality of life": ("quality_of_life.",),
    "resource use": ("resources.",),
    "prices": ("prices.",),
}
"""Inputs learned together, by the beginning of their keys."""
FLOOR_INPUTS = 24
"""Inputs that the noise floor of single inputs is the mean of."""
PRICES = np.linspace(0.0, 1.5, 31)
"""Shares of today's price at which EVPI is shown, beside the break-even price."""


@dataclass(frozen=True, eq=False, slots=True)
class Decision:
    """The decision whose information is valued.

    Attributes
    ----------
    price
        Of a day of letermovir; `today` is that of the draws.
    threshold
        Per QALY.
    """

    psa: PsaDraws
    today: float
    price: float
    threshold: float

    def net_benefit(self, price: float | None = None) -> FloatArray:
        """(draws, strategies)."""
        at = self.price if price is None else price
        found: FloatArray = net_monetary_benefit(self.psa.at_price(self.today, at), self.psa.qaly, self.threshold)
        return found


def break_even(psa: PsaDraws, today: float, threshold: float) -> tuple[str, float]:
    """The strategy with the highest break-even price, and that price: where its expected net benefit is the comparator's."""
    best, highest = psa.strategies[0], 0.0
    for place in range(1, len(psa.strategies)):
        more, gain = (x[:, place].mean() - x[:, 0].mean() for x in (psa.cost, psa.qaly))
        days = psa.drug_days[:, place].mean() - psa.drug_days[:, 0].mean()
        if days > 0 and (price := (threshold * gain - (more - today * days)) / days) > highest:
            best, highest = psa.strategies[place], float(price)
    return best, highest


def highest_price(decision: Decision, inputs: FloatArray) -> float:
    """Highest price at which some draw, as the inputs explain it, makes a strategy with the drug better: above it EVPI is 0."""
    psa, highest = decision.psa, 0.0
    for place in range(1, len(psa.strategies)):
        days = psa.drug_days[:, place] - psa.drug_days[:, 0]
        if not days.mean() > 0:
            continue
        free = psa.at_price(decision.today, 0.0)
        gain = decision.threshold * (psa.qaly[:, place] - psa.qaly[:, 0]) - (free[:, place] - free[:, 0])
        columns = np.column_stack([gain, days])
        fitted = design_of(inputs, columns).fit(columns).fitted
        highest = max(highest, float((fitted[:, 0] / np.maximum(fitted[:, 1], 1e-9 * days.mean())).max()))
    return highest


def perfect_by_price(decision: Decision, inputs: FloatArray) -> list[dict[str, float]]:
    """EVPI by price of a day, raw and smoothed; the break-even price, where it has its peak, is one of them."""
    _, peak = break_even(decision.psa, decision.today, decision.threshold)
    rows = []
    for price in np.union1d(PRICES * decision.today, [peak]):
        nb = decision.net_benefit(float(price))
        smooth = evppi(nb, inputs)
        rows.append(
            {
                "price": float(price),
                "raw": evpi(nb).value,
                "raw_mcse": evpi(nb).mcse,
                "smoothed": float(smooth.value),
                "smoothed_se": float(smooth.se),
                "chosen": float(nb.mean(axis=0).argmax()),
            }
        )
    return rows


def information_tree(
    decision: Decision, studies: FloatArray, sizes: tuple[int, ...], plan: EconomicsSpec, design: str = "single_arm"
) -> dict[str, Any]:
    """EVPI, EVPPI, EVSI and ENBS of one decision.

    Parameters
    ----------
    studies
        (draws, sizes, summaries).
    design
        Kind of study: says which inputs it informs.
    """
    psa, nb, inputs = decision.psa, decision.net_benefit(), varied(decision.psa)
    raw, smooth = evpi(nb), evppi(nb, inputs)
    singles = [_single(nb, psa, k) for k in range(len(psa.inputs)) if np.ptp(psa.parameters[:, k]) > 0]
    groups, group_values = _groups(nb, psa)
    known = [k for k, i in enumerate(psa.inputs) if informed(design, i.key) and np.ptp(psa.parameters[:, k]) > 0]
    bound = evppi(nb, psa.parameters[:, known])
    study = evsi(nb, studies, sizes)
    return {
        "price": decision.price,
        "threshold": decision.threshold,
        "evpi": {
            "raw": raw.value,
            "raw_mcse": raw.mcse,
            "smoothed": float(smooth.value),
            "se": float(smooth.se),
            "floor": noise_floor(nb, inputs),
        },
        "regression": regression_size(smooth, inputs),
        "noise_floor": single_floor(nb, psa),
        "floor_permutations": PERMUTATIONS,
        "singles": sorted(singles, key=lambda row: -row["value"]),
        "groups": sorted(groups, key=lambda row: -row["value"]),
        "informed": {
            "design": design,
            "prefixes": list(INFORMS[design]),
            "summaries": list(SUMMARIES),
            "inputs": [psa.inputs[k].id for k in known],
            "value": float(bound.value),
            "se": float(bound.se),
            "floor": noise_floor(nb, psa.parameters[:, known]),
        },
        "evsi": [
            {"patients": int(n), "value": float(v), "se": float(e), "rising": float(r), "floor": noise_floor(nb, studies[:, k])}
            for k, (n, v, e, r) in enumerate(zip(study.sizes, study.value, study.se, study.rising, strict=True))
        ],
        **_net_of_cost(study, plan),
        "identities": _identities(singles, group_values, smooth, study, bound),
    }


def _identities(
    singles: list[dict[str, Any]], groups: dict[str, Evppi], joint: Evppi, study: Evsi, bound: Evppi
) -> dict[str, Any]:
    """Where parts came out above their whole, beyond 3 standard errors: the regressions are not to be trusted there."""
    return {
        "singles_above_joint": [
            row["input"] for row in singles if _above(row["value"], row["se"], float(joint.value), float(joint.se))
        ],
        "groups_above_joint": [
            name for name, got in groups.items() if _above(float(got.value), float(got.se), float(joint.value), float(joint.se))
        ],
        "evsi_falls_after": list(study.falls),
        "evsi_above_informed": list(study.exceeds(bound)),
    }


def _above(value: float, se: float, bound: float, bound_se: float) -> bool:
    """Whether a part is worth more than the whole, beyond 3 standard errors."""
    return bool(value > bound + 3 * np.hypot(se, bound_se))


def _net_of_cost(study: Evsi, plan: EconomicsSpec) -> dict[str, Any]:
    """What the study is worth to those the decision applies to, less what it costs, by size."""
    who = Beneficiaries(
        float(plan.budget.eligible),
        float(plan.information.years),
        float(plan.information.delay),
        Discounting("scenario", float(plan.discount_costs)),  # what information is worth is money
        float(plan.information.enrolled_per_year),
    )
    net = enbs(study, who, fixed=float(plan.information.fixed), per_patient=float(plan.information.per_patient))
    columns = (net.sizes, net.people, net.population, net.cost, net.value, net.se)
    return {
        "enbs": [
            {
                "patients": int(n),
                "reports": who.reports(int(n)),
                "people": float(p),
                "population": float(w),
                "cost": float(c),
                "value": float(v),
                "se": float(e),
            }
            for n, p, w, c, v, e in zip(*columns, strict=True)
        ],
        "best_size": net.best,
        "as_good": list(net.as_good),
        "beneficiaries": {key: value for key, value in asdict(who).items() if key != "discounting"},
    }


def _single(nb: FloatArray, psa: PsaDraws, k: int) -> dict[str, Any]:
    got = evppi(nb, psa.parameters[:, k])
    item = psa.inputs[k]
    return {"input": item.id, "key": item.key, "kind": item.kind, "value": float(got.value), "se": float(got.se)}


def single_floor(nb: FloatArray, psa: PsaDraws) -> float:
    """Mean value of single inputs that tell nothing: those of other draws, half of the series further on.

    A maximum over fitted values is biased up, most where strategies are equally good; this is by how much.
    """
    columns = [k for k in range(len(psa.inputs)) if np.ptp(psa.parameters[:, k]) > 0][:FLOOR_INPUTS]
    shifted = [float(evppi(nb, np.roll(psa.parameters[:, k], psa.draws.size // 2)).value) for k in columns]
    return float(np.mean(shifted)) if shifted else 0.0


def _groups(nb: FloatArray, psa: PsaDraws) -> tuple[list[dict[str, Any]], dict[str, Evppi]]:
    rows, found = [], {}
    for name, starts in GROUPS.items():
        members = [k for k, i in enumerate(psa.inputs) if i.key.startswith(starts) and np.ptp(psa.parameters[:, k]) > 0]
        if members:
            found[name] = evppi(nb, psa.parameters[:, members])
            got = found[name]
            floor = noise_floor(nb, psa.parameters[:, members])
            rows.append({"group": name, "inputs": len(members), "value": float(got.value), "se": float(got.se), "floor": floor})
    return rows, found


def smoothed(decision: Decision, inputs: FloatArray) -> FloatArray:
    """(draws, strategies) net benefit as the inputs explain it."""
    return smooth_net_benefit(decision.net_benefit(), inputs)
