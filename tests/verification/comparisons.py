"""Checks of comparisons: letermovir against none, published cohorts, dependent censoring, pairing of strategies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from cmvsim.calibration import letermovir as letermovir_module
from cmvsim.calibration.cohort import as_measured
from cmvsim.calibration.joint import Bench
from cmvsim.calibration.letermovir import DAYS_ON_DRUG, UNIVERSAL
from cmvsim.core.ledger import Item
from cmvsim.core.records import BoolArray, FloatArray
from cmvsim.data.study import Result
from cmvsim.models.history import History, Process
from cmvsim.simulation.cohort import FOUNDATION, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from tests.verification.common import (
    NO_LOSS,
    SIZES,
    CheckRow,
    Size,
    field,
    mean_and_error,
    model_of,
    near,
    scenario,
    share_and_error,
    simulated,
    solved,
    truth,
    within,
)
from tests.verification.whole_model import chance, flat

# --- letermovir ---------------------------------------------------------------------------------------------------------


def outcomes(taking: Model, without: Model, detected_by: float, draws: ChunkDraws) -> FloatArray:
    """First time and end of risk by event and group: (any DNAemia, clinically significant) x (with, without) x (time, end),
    each (replicates, patients); NaN where the patient is not at risk at the first dose.
    """
    made = [simulate(m, draws, path=True, never_lost=True, strategy=s) for m, s in ((taking, UNIVERSAL), (without, None))]
    assert made[1].samples is not None
    assert made[1].episodes is not None
    with np.errstate(invalid="ignore"):
        running = ((made[1].episodes.onset <= 0) & (made[1].episodes.clear > 0)).any(axis=-1)
        seen = ((made[1].samples.result >= Result.BELOW_LLOQ) & (made[1].samples.time <= 0)).any(axis=-1)

    def first(history: History, event: str) -> FloatArray:
        if event == "significant":
            return history.clinically_significant
        assert history.samples is not None
        positive = (history.samples.result >= Result.BELOW_LLOQ) & (history.samples.time > 0)
        time: FloatArray = np.where(positive, history.samples.time, np.inf).min(axis=-1)
        return np.where(time <= detected_by, time, np.inf)

    return np.array(
        [
            [
                (np.where(running | seen, np.nan, first(history, event)), np.minimum(history.death, history.observation.hct))
                for history in made
            ]
            for event in ("any", "significant")
        ]
    )


def nelson_aalen(time: FloatArray, end: FloatArray, day: float) -> float:
    """Cumulative hazard by a day; NaN: not at risk."""
    keep = ~np.isnan(time)
    time, end = time[keep], end[keep]
    leaves, hazard = np.sort(np.minimum(time, end)), 0.0
    for t, events in zip(*np.unique(time[(time <= end) & (time <= day)], return_counts=True), strict=True):
        hazard += events / (leaves.size - np.searchsorted(leaves, t))
    return hazard


def letermovir(size: Size) -> Iterator[CheckRow]:
    """Solved effects give the published ratios between groups again, in patients other than those solved on."""
    found = solved("letermovir-strategies", (), size.cohort)
    drug, basis = found.letermovir, scenario("letermovir-strategies").basis
    assert drug is not None
    assert basis is not None
    target, law = basis.cmv.incidence, scenario("letermovir-strategies").spec.letermovir
    onset = solved("cmv-cart", (), size.cohort).baseline
    model = letermovir_module._universal(as_measured(Model.of(basis, onset), target), law)
    taking = replace(model, baseline=replace(onset, letermovir=drug.effect))
    chunks = range(size.cohort // 16_384)
    groups = np.concatenate([outcomes(taking, model, float(target.day), chance(c, 256)) for c in chunks], axis=3)
    everything = np.arange(groups.shape[3])
    batches = np.array_split(everything, 32)
    for e, (name, wanted) in enumerate((("any DNAemia", drug.wanted[0]), ("clinically significant infection", drug.wanted[1]))):

        def log_ratio(rows: np.ndarray, e: int = e) -> float:
            hazards = [nelson_aalen(*(groups[e, g, x, rows].ravel() for x in (0, 1)), DAYS_ON_DRUG) for g in (0, 1)]
            return float(np.log(hazards[0] / hazards[1]))

        got = log_ratio(everything)
        left_out = np.array([log_ratio(np.setdiff1d(everything, batch)) for batch in batches])
        error = float(np.sqrt((len(batches) - 1) * left_out.var()))  # jackknife over groups of replicates
        yield near(
            f"log of the marginal hazard ratio, {name} (ratio {np.exp(got):.3f}, wanted {wanted:g})",
            float(np.log(wanted)),
            got,
            float(np.sqrt(2)) * error,
            "published; solved on as many others; 0.002: the solver",
            more=0.002,
        )


# --- published cohorts ----------------------------------------------------------------------------------------------------


def cohorts(size: Size) -> Iterator[CheckRow]:
    """One virology against the published cohorts: figures nothing was solved on, beside their published intervals."""
    for row in Bench(size.cohort).rows():
        figure = row.figure
        if row.solved:
            yield near(
                f"{row.label} (solved)",
                figure.wanted,
                figure.achieved,
                float(np.sqrt(2)) * figure.mcse,
                "the cohort's own target",
                more=5e-4 * figure.wanted,
            )
        else:
            assert figure.published is not None
            yield within(
                row.label, *figure.published, figure.achieved, figure.mcse, f"published {figure.wanted:.3g} and interval"
            )


# --- dependent censoring --------------------------------------------------------------------------------------------------

WATCHED = NO_LOSS[:3]  # every visit is made, nobody is lost: monitoring ends by new therapy after relapse only
FOLLOWED_ON = NO_LOSS[3]
HIGH_RISK = ("cmv.onset.ratios.score=2", 'cmv.calibrated_on="own"')
BIAS = {
    1: (0.0, 0.006, "deaths after a new therapy are not seen: a little upwards"),
    2: (-0.010, -0.002, "those at high risk of CMV leave first: downwards"),
}


def dependent_censoring(size: Size) -> Iterator[CheckRow]:
    """The immunosuppressed relapse early, are censored at the new therapy, and are those in whom CMV would have been seen.

    The same studies with everybody followed on after relapse estimate the treatment-policy estimand without bias.
    """
    last, replicates = SIZES.index(250), size.replicates if size.long else size.replicates // 3
    for ratio, (low, high, source) in BIAS.items():
        overrides = (*WATCHED, *HIGH_RISK, f"follow_up.relapse_ratios.score={ratio}")
        stopped, followed = (
            simulated("cmv-cart", (*overrides, *more), replicates, False, size.cohort)["aalen_johansen"][:, last]
            for more in ((), (FOLLOWED_ON,))
        )
        label = f"relapse ratio {ratio} per SD of the score"
        got, error = mean_and_error(field(stopped, "estimate") - field(followed, "estimate"))
        yield within(f"bias, {label}: the same studies, followed on", low, high, got, error, source)
        value = float(field(followed, "estimate").mean())
        if size.long:
            known = truth("cmv-cart", overrides, size.truth_chunks, size.cohort)["protocol"]
            got, error = mean_and_error(field(followed, "estimate"))
            error = float(np.hypot(error, known.mcse))
            yield near(f"{label}: mean of the studies followed on", known.value, got, error, "the estimand's own value")
            value = known.value
        covered = share_and_error((field(stopped, "ci_low") <= value) & (value <= field(stopped, "ci_high")))
        yield within(f"coverage at N=250, {label}", 0.93, 0.965, *covered, "nominal 0.95; a bias of a tenth of the half-width")


# --- pairing --------------------------------------------------------------------------------------------------------------

OTHER = {"CMV off": {"cmv": False}, "letermovir for all": {"strategy": "universal"}}


def outcomes_of(history: History) -> dict[str, FloatArray]:
    """Flat."""
    assert history.ledger is not None
    days: FloatArray = history.ledger.totals(Item.WARD_DAY) + history.ledger.totals(Item.ICU_DAY)
    return {"death by day 90": (flat(history.death) <= 90).astype(np.float64), "hospital days": days}


def without_episode(history: History) -> BoolArray:
    """Flat."""
    assert history.episodes is not None
    return flat(np.isnan(history.episodes.onset).all(axis=-1))


def pairing(size: Size) -> Iterator[CheckRow]:
    """The same patients with and without CMV, and under two strategies: differences beyond those that CMV made are none."""
    model, needs = model_of("letermovir-strategies", (), size.cohort), FOUNDATION | {Process.RESOURCES}
    for label, other in OTHER.items():
        means: dict[str, list[FloatArray]] = {"death by day 90": [], "hospital days": []}
        touched = 0
        for chunk in range(max(4, size.chunks // 2)):
            usual = simulate(model, chance(chunk, 150), needs=needs, path=True)
            changed = simulate(model, chance(chunk, 150), needs=needs, path=True, **other)  # type: ignore[arg-type]
            untouched = without_episode(usual) & without_episode(changed)  # the end of the drug may bring one
            first, second = outcomes_of(usual), outcomes_of(changed)
            for name, kept in means.items():
                touched += int((first[name] != second[name])[untouched].sum())
                kept.append(np.array([np.asarray(usual.view(each[name])).mean(axis=1) for each in (first, second)]))
        yield near(f"{label}: patients without an episode who differ", 0.0, touched, 0.0, "same chance, to the byte")
        for name, kept in means.items():
            a, b = np.array(kept)[:, 0], np.array(kept)[:, 1]  # chunks x replicates
            paired, unpaired = (a - b).ravel(), (a - np.roll(b, 1, axis=0)).ravel()
            ratio = float(paired.var(ddof=1) / unpaired.var(ddof=1))
            error = ratio * float(np.sqrt(4 / paired.size))
            yield within(
                f"{label}: variance of the difference in {name}, paired over not", 0.0, 0.5, ratio, error, "far below 1", k=0
            )
            got, error = mean_and_error(paired)
            low, high = EXPECTED[label, name]
            yield within(f"{label}: fall of {name}, N=150, paired", low, high, got, error, "sign and size; reported", k=4)


EXPECTED = {
    ("CMV off", "death by day 90"): (0.0, 0.02),
    ("CMV off", "hospital days"): (0.2, 5.0),
    ("letermovir for all", "death by day 90"): (0.0, 0.02),
    ("letermovir for all", "hospital days"): (0.05, 5.0),
}
