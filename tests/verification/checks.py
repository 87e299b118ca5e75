"""Statistical checks of the whole chain, as plain functions of their size.

``check(size)`` returns rows: what was expected, from where, what came out, its Monte Carlo standard error, the
tolerance, and whether it holds. The same code runs small in ``make test`` and long in ``make verify``. Tolerances are
multiples of the MCSE; where a deterministic part is added, the row's source says what it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from scipy import stats

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import STREAMS, Role, draw, generator
from cmvsim.endpoints import endpoint
from cmvsim.endpoints.derived import EVENT
from cmvsim.models.history import Process
from cmvsim.montecarlo import estimand_values as truth_module
from cmvsim.planning.experiment import CohortExperiment
from cmvsim.planning.search import crossing_of, find_crossing, isotonic
from cmvsim.scenarios.load import catalogue_ids
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.recording import record
from tests.planning.planning_twins import Draw, coverage, nested, true_crossing, wavering
from tests.verification import comparisons, endpoints, engines, type1, whole_model
from tests.verification.common import (
    LONG,
    NO_LOSS,
    NONE,
    PRIMARY,
    SEED,
    SIZES,
    SMALL,
    CheckRow,
    Size,
    baseline_of,
    field,
    half_width,
    in_analysis,
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
from tests.verification.exact import cloglog_limits, covers, enumerated, mean_width, narrow, slope

__all__ = ["LONG", "SMALL", "CheckRow", "Size"]

NOTHING_BUT_CMV = (
    *NO_LOSS,
    "cmv.onset.prevalent=0",
    *(f"follow_up.{name}={NONE}" for name in ("relapse_by_90", "hct_by_90", "death_by_90", "non_relapse_mortality_by_90")),
)
NO_DISEASE = "cmv.disease.hazard=1e-12"
FORTNIGHTLY = ("monitoring.schedule=[{every=14,to=84},{at=90}]",)
DAILY_WITHOUT_NOISE = ("monitoring.schedule=[{every=1,to=90}]", "monitoring.jitter=0", "monitoring.assay_sd_log10=0")


# --- the checks -------------------------------------------------------------------------------------------------------


SCENARIOS = ("cmv-cart", "null", "letermovir-strategies")
"""Solved in the small tier; the long one solves all."""


def calibration(size: Size) -> Iterator[CheckRow]:
    """(a) Every target of every built-in scenario is met on patients other than those solved on."""
    for name in catalogue_ids() if size.long else SCENARIOS:
        for target in solved(name, (), size.cohort).targets:
            label = f"{name}: {target.measure} {target.stratum}".strip()
            # both cohorts are finite, so the error of the difference is sqrt(2) times that of one
            row = near(
                label,
                target.wanted,
                target.achieved,
                np.sqrt(2) * target.mcse,
                "the scenario's target",
                more=5e-4 * target.wanted,
            )
            yield CheckRow(
                *(getattr(row, key) for key in ("name", "expected", "got", "mcse", "tolerance", "source")),
                ok=row.ok and target.verdict == "met",
            )


def enumeration(size: Size) -> Iterator[CheckRow]:
    """(b) Without death, transplantation, loss, missed visits and prevalence all is binomial, enumerated exactly."""
    overrides = (*NOTHING_BUT_CMV, "analysis.variance=greenwood")
    known = truth("cmv-cart", overrides, size.truth_chunks, size.cohort)["protocol"]
    entering = in_analysis("cmv-cart", overrides, size.truth_chunks, size.cohort)
    values = simulated("cmv-cart", overrides, size.replicates, False, size.cohort)["aalen_johansen"]
    aalen = simulated("cmv-cart", NOTHING_BUT_CMV, size.replicates, False, size.cohort)["aalen_johansen"]
    for position, n in enumerate(SIZES):
        v = values[:, position]
        source = "exact binomial enumeration"
        x, m = field(v, "events").astype(int), field(v, "n").astype(int)
        bounds = [cloglog_limits(np.array([a]), b) for a, b in zip(x, m, strict=True)]
        worst = max(abs(half_width(v) - np.array([(high - low)[0] / 2 for low, high in bounds])))
        yield near(
            f"N={n}: largest deviation of a half-width from its formula", 0.0, worst, 0.0, "formula, rounding", more=1e-12
        )
        ratio = x.var(ddof=1) / (n * known.value * entering * (1 - known.value * entering))
        yield near(f"N={n}: variance of the events over the binomial one", 1.0, ratio, np.sqrt(2 / x.size), source)
        cut = float(np.median(half_width(v))) + 1e-9
        for label, statistic, column in (
            ("mean half-width", mean_width, half_width(v)),
            (f"P(half-width <= {cut:.4f})", narrow(cut), (half_width(v) <= cut).astype(float)),
            (
                "coverage",
                covers(known.value),
                ((field(v, "ci_low") <= known.value) & (known.value <= field(v, "ci_high"))).astype(float),
            ),
        ):
            expected, (got, error) = enumerated(statistic, n, known.value, entering), mean_and_error(column)
            error = float(np.hypot(error, slope(statistic, n, known.value, entering) * known.mcse))
            yield near(f"N={n}: {label}", expected, got, error, source)
        got, error = mean_and_error(half_width(aalen[:, position]))
        error = float(np.hypot(error, slope(mean_width, n, known.value, entering) * known.mcse))
        expected = enumerated(mean_width, n, known.value, entering)
        yield near(
            f"N={n}: mean half-width, default variance (aalen)",
            expected,
            got,
            error,
            "exact enumeration; 1/N for the finite-sample form",
            more=expected / n,
        )


def coverage_of_the_interval(size: Size) -> Iterator[CheckRow]:
    """(c) The primary interval covers the protocol estimand, on the null and on the registered scenario."""
    for name in ("null", "cmv-cart"):
        known = truth(name, (), size.truth_chunks, size.cohort)["protocol"].value
        entering = in_analysis(name, (), size.truth_chunks, size.cohort)
        values = simulated(name, (), size.replicates, name == "cmv-cart", size.cohort)["aalen_johansen"]
        for position, n in enumerate(SIZES):
            v = values[:, position]
            got, error = share_and_error((field(v, "ci_low") <= known) & (known <= field(v, "ci_high")))
            if n >= 120:
                yield within(f"{name}, N={n}", 0.94, 0.965, got, error, "nominal 0.95; AJ with cloglog limits")
            else:
                exact = enumerated(covers(known), n, known, entering)
                yield near(
                    f"{name}, N={n}",
                    exact,
                    got,
                    error,
                    "exact enumeration without censoring; 0.01 for censoring",
                    k=3,
                    more=0.01,
                )


def half_width_table(size: Size) -> Iterator[CheckRow]:
    """(d) Expected half-width at N = 250, as scheduled and with sources of lost information switched off."""
    last = SIZES.index(250)
    found = {}
    single = {
        "every visit made": NO_LOSS[:1],
        "nobody lost or withdrawn": NO_LOSS[1:3],
        "monitoring goes on after relapse": NO_LOSS[3:],
    }
    for label, overrides in {"as scheduled": (), "all three": NO_LOSS, **single}.items():
        few = size.replicates // 4 if label in single else size.replicates
        values = simulated("cmv-cart", overrides, few, label not in single, size.cohort)["aalen_johansen"]
        found[label] = mean_and_error(half_width(values[:, last]))
    got, error = found["as scheduled"]
    yield near(
        "as scheduled",
        0.0595,
        got,
        error,
        "planning reference; 0.0005 for its rounding, and the cohort solved on",
        more=0.0005 + 3 * 0.05 * 0.0595 * np.sqrt(0.21 / size.cohort) / 0.3,
    )
    got, error = found["all three"]
    yield near("all three switched off", 0.057, got, error, "planning reference; 0.002 for its rounding", more=0.002, k=0)
    known = truth("cmv-cart", NO_LOSS, size.truth_chunks, size.cohort)["protocol"]
    entering = in_analysis("cmv-cart", NO_LOSS, size.truth_chunks, size.cohort)
    expected = enumerated(mean_width, 250, known.value, entering)
    error = float(np.hypot(error, slope(mean_width, 250, known.value, entering) * known.mcse))
    yield near(
        "all three switched off, enumerated",
        expected,
        got,
        error,
        "exact enumeration (death competes, none censored); 1/N for the aalen form",
        more=expected / 250,
    )
    # a missed visit loses events, not patients: making it raises the incidence, and the width with it, a little
    for label in single:
        got, error = found[label]
        more = 0.0005 if label == "every visit made" else 0.0
        yield within(
            label,
            found["all three"][0],
            found["as scheduled"][0] + more,
            got,
            error,
            "between the two" + ("; 0.0005 above for the higher incidence" if more else ""),
        )


def estimands(size: Size) -> Iterator[CheckRow]:
    """(e) The latent estimand knows nothing of the schedule; what is observed does."""
    # watched as planned, half as often, and daily without assay noise; CMV disease brings treatment at any load, so that
    # with it results act on loads that have not yet reached the limit
    plans = ((), FORTNIGHTLY, DAILY_WITHOUT_NOISE)
    usual, rare, daily = (
        truth("cmv-cart", (NO_DISEASE, *plan), size.truth_chunks, size.cohort)  # the cohort of one scenario, solved once
        for plan in plans
    )
    latent, observed = usual["latent"], usual["protocol"]
    for label, other in (("visits halved", rare), ("daily visits without assay noise", daily)):
        yield near(f"latent, {label} (same bytes)", latent.value, other["latent"].value, 0.0, "the disease is the same")
    fall = observed.value - rare["protocol"].value
    error = float(np.hypot(observed.mcse, rare["protocol"].mcse))
    yield within("fall of the protocol estimand, visits halved", 4 * error, 0.10, fall, error, "fewer visits see less", k=0)
    yield near(
        "protocol, daily visits without assay noise",
        latent.value,
        daily["protocol"].value,
        latent.mcse,
        "the latent estimand: same patients, so well within 1 MCSE",
        k=1,
    )
    lifted, error = observed.value - latent.value, float(np.hypot(observed.mcse, latent.mcse))
    source = "sign; reported"
    yield within("protocol less latent as scheduled: low loads lifted by assay noise", 0.0, 0.10, lifted, error, source, k=0)
    with_disease = [truth("cmv-cart", plan, size.truth_chunks, size.cohort)["latent"].value for plan in ((), FORTNIGHTLY)]
    yield near(
        "latent with CMV disease, visits halved",
        *with_disease,
        0.0,
        "as planned; 0.0005 for diseases at loads below the limit, treated for as long as results say",
        more=5e-4,
    )


@lru_cache(maxsize=8)
def kaplan_meier_limit(name: str, overrides: tuple[str, ...], chunks: int, cohort: int) -> float:
    """What 1 - Kaplan-Meier tends to under the protocol plan: product over days, competing events censored."""
    model, plan = model_of(name, overrides, cohort), scenario(name, overrides).spec.analysis
    days = np.arange(plan.window + 1)
    events, leaving = np.zeros(days.size), np.zeros(days.size)
    for chunk in range(chunks):
        draws = ChunkDraws(truth_module.SEED, Role.TRUTH, chunk, truth_module.PATIENTS_PER_REPLICATE)
        derived = endpoint(PRIMARY).derive(record(simulate(model, draws, never_lost=True), frozenset()), plan)
        inside = derived.cause >= 0
        day = derived.time.astype(int)
        events += np.bincount(day[inside & (derived.cause == EVENT)], minlength=days.size)
        leaving += np.bincount(day[inside], minlength=days.size)
    at_risk = leaving[::-1].cumsum()[::-1]
    return float(1 - np.prod(1 - events / at_risk))


def bias(size: Size) -> Iterator[CheckRow]:
    """(f) Bias against the protocol estimand at N = 250: crude downwards, 1 - KM upwards, Aalen-Johansen near 0."""
    last = SIZES.index(250)
    known = truth("cmv-cart", (), size.truth_chunks, size.cohort)["protocol"]
    estimate = {
        name: field(v, "estimate")[:, last] for name, v in simulated("cmv-cart", (), size.replicates, True, size.cohort).items()
    }
    ranges = {"aalen_johansen": (-0.006, 0.0), "crude_wilson": (-0.035, -0.015), "one_minus_km": (-0.003, 0.008)}
    for name, (low, high) in ranges.items():
        got, error = mean_and_error(estimate[name])
        yield within(
            f"{name}: bias as scheduled",
            low,
            high,
            got - known.value,
            float(np.hypot(error, known.mcse)),
            "missed visits and loss find fewer; sign and size",
        )
    got, error = mean_and_error(estimate["one_minus_km"] - estimate["aalen_johansen"])
    yield within(
        "one_minus_km less aalen_johansen, same studies", 0.002, 0.008, got, error, "upwards: deaths are censored", k=0
    )
    watched = simulated("cmv-cart", NO_LOSS, size.replicates, True, size.cohort)
    complete = {name: field(v, "estimate")[:, last] for name, v in watched.items()}
    known = truth("cmv-cart", NO_LOSS, size.truth_chunks, size.cohort)["protocol"]
    limit = kaplan_meier_limit("cmv-cart", NO_LOSS, size.truth_chunks, size.cohort)
    for name, expected, source in (
        ("aalen_johansen", 0.0, "unbiased: nobody is censored"),
        ("crude_wilson", 0.0, "unbiased: nobody is censored"),
        ("one_minus_km", limit - known.value, "product limit of the cohort; 0.0005 for finite N"),
    ):
        got, error = mean_and_error(complete[name])
        yield near(
            f"{name}: bias with monitoring losses off",
            expected,
            got - known.value,
            float(np.hypot(error, known.mcse)),
            source,
            more=0.0005 if name == "one_minus_km" else 0.0,
        )


def sample_size_interval(size: Size) -> Iterator[CheckRow]:
    """(g) The 95% interval of the sample size covers the true crossing; its bias is small beside its error."""
    repetitions = size.repetitions
    if repetitions == 0:
        return
    cases: tuple[tuple[str, Draw, float, float, range, float, int], ...] = (
        ("nested, SD 20", nested(250, 20), 250, 20, range(200, 301, 2), 0.8, 400),
        ("nested, SD 12, target 0.5", nested(250, 12), 250, 12, range(220, 281), 0.5, 400),
        ("nested, SD 12, target 0.9", nested(250, 12), 250, 12, range(220, 291, 2), 0.9, 1000),
        ("wavering", wavering(250, 12, 6), 250, float(np.hypot(12, 6)), range(215, 291, 2), 0.8, 500),
        ("steep (bootstrap)", nested(250, 0.8), 250, 0.8, range(240, 260), 0.8, 500),
    )
    for label, source, mean, sd, grid, target, replicates in cases:
        times = repetitions // 4 if "steep" in label else repetitions
        known = true_crossing(mean, sd, grid, target)
        covered, found, _ = coverage(source, known, grid, target, replicates, times, seed=SEED)
        yield within(
            f"{label}: coverage",
            0.95,
            0.98,
            covered,
            float(np.sqrt(0.95 * 0.05 / times)),
            "nominal; monotone fits are narrower than their interval",
        )
        error = found.std(ddof=1)
        yield near(
            f"{label}: bias of the crossing in units of its SE",
            0.0,
            (found.mean() - known) / error,
            1 / np.sqrt(times),
            "unbiased; 0.1 SE allowed",
            more=0.1,
        )
    yield from _interval_on_real_curves(size)


def _interval_on_real_curves(size: Size) -> Iterator[CheckRow]:
    """Searches of 640 replicates drawn from a pool of simulated studies, whose own crossing is the truth."""
    resolved = scenario("cmv-cart")
    grid = tuple(range(225, 296, 2))
    made = CohortExperiment(resolved, baseline_of("cmv-cart", (), size.cohort), grid, (PRIMARY,), False, SEED)
    values = np.concatenate([made.chunk(index).values for index in range(-(-size.replicates // 64))])[:, :, 0]
    met = half_width(values) <= 0.06
    sizes = np.asarray(grid, dtype=np.float64)
    known = crossing_of(sizes, isotonic(met.mean(axis=0)), 0.8)
    rng = np.random.default_rng(SEED)
    times, covered = size.repetitions // 2, 0
    for k in range(times):
        found = find_crossing(grid, met[rng.integers(0, len(met), 640)], 0.8, seed=k)
        covered += found is not None and found.low <= known <= found.high
    yield within(
        "studies of cmv-cart, half-width 0.06: coverage",
        0.95,
        0.98,
        covered / times,
        float(np.sqrt(0.95 * 0.05 / times)),
        f"crossing of the whole pool ({known:.1f})",
    )


def death(size: Size) -> Iterator[CheckRow]:
    """(h) Death by stratum: simulated, by quadrature of the model's law, and the targets."""
    model = model_of("null", (), size.cohort)
    spec, names = model.follow_up, tuple(model.population.strata)
    dead: dict[float, FloatArray] = {t: np.zeros(len(names)) for t in (30.0, 60.0, 90.0)}
    unrelapsed, count = np.zeros(len(names)), np.zeros(len(names))
    for chunk in range(size.truth_chunks):
        history = simulate(model, ChunkDraws(SEED, Role.STUDY, chunk, 250), needs=frozenset({Process.FOLLOW_UP, Process.DEATH}))
        stratum = history.view(history.population.stratum).ravel()
        died, relapse = history.death.ravel(), history.observation.relapse.ravel()
        count += np.bincount(stratum, minlength=len(names))
        for t in dead:
            dead[t] += np.bincount(stratum[died <= t], minlength=len(names))
        unrelapsed += np.bincount(stratum[(died <= 90) & (died <= relapse)], minlength=len(names))
    for i, name in enumerate(names):
        n = count[i]
        h, after = model.baseline.non_relapse_hazard[i], model.baseline.after_relapse_hazard[i]
        for t, deaths in dead.items():
            expected = death_probability(t, h, after, float(spec.relapse_by_90[name]), float(spec.relapse_shape))
            yield near(
                f"{name}: death by day {t:g}",
                expected,
                deaths[i] / n,
                np.sqrt(expected * (1 - expected) / n),
                "quadrature at the solved hazards",
            )
        exact = death_probability(90.0, h, after, float(spec.relapse_by_90[name]), float(spec.relapse_shape))
        yield near(
            f"{name}: target of death by day 90", float(spec.death_by_90[name]), exact, 0.0, "scenario; solver", more=1e-6
        )
        wanted = float(spec.non_relapse_mortality_by_90[name])
        yield near(
            f"{name}: death without relapse by day 90",
            wanted,
            unrelapsed[i] / n,
            np.sqrt(wanted * (1 - wanted) / n),
            "the scenario's target",
        )


def death_probability(t: float, h: float, after: float, relapse: float, shape: float) -> float:
    """1 - exp(-h t) (S(t) + integral of f(u) exp(-a (t - u))), S Weibull; midpoint rule over the quantiles of relapse."""
    scale = -np.log1p(-relapse)
    free = np.exp(-scale * (t / 90.0) ** shape)
    mass = (np.arange(200_000) + 0.5) / 200_000 * (1 - free)  # P(relapse <= u)
    u = 90.0 * (-np.log1p(-mass) / scale) ** (1 / shape)
    return float(1 - np.exp(-h * t) * (free + (1 - free) * np.exp(-after * (t - u)).mean()))


def streams(size: Size) -> Iterator[CheckRow]:
    """(i) Streams of different names, indices, roles and chunks are uncorrelated, and each follows its law."""
    n = 64 * (250 if size.name == "small" else 2500)
    keys = [(1, Role.STUDY, 0, name, 0) for name in STREAMS]
    keys += [(1, role, 0, "cmv.onset", 0) for role in Role if role is not Role.STUDY]
    keys += [(1, Role.STUDY, chunk, "cmv.onset", 0) for chunk in (1, 2, 2**24, 2**31)]
    keys += [(1, Role.STUDY, 0, "monitoring.noise", day) for day in (1, 7, 14, 2**32 - 7)]
    keys += [(seed, Role.STUDY, 0, "cmv.onset", 0) for seed in (0, 2, 2**64)]
    drawn = np.array(
        [draw(generator(seed, role, chunk, name, index), STREAMS[name], n) for seed, role, chunk, name, index in keys]
    )
    law = {"UNIFORM": stats.uniform, "NORMAL": stats.norm, "EXPONENTIAL": stats.expon}
    uniform = np.array([law[STREAMS[key[3]].name].cdf(row) for key, row in zip(keys, drawn, strict=True)])
    correlation = np.corrcoef(uniform)[np.triu_indices(len(keys), 1)]
    error = 1 / np.sqrt(n)
    yield near(
        f"largest of {correlation.size} correlations between streams", 0.0, np.abs(correlation).max(), error, "independence"
    )
    lagged = [float(np.corrcoef(row[64:], row[:-64])[0, 1]) for row in uniform]
    yield near("largest correlation of a patient with the next", 0.0, np.abs(lagged).max(), error, "independence")
    # the spread of all correlations is that of independence, not merely their largest
    yield near(
        "SD of the correlations times sqrt(n)",
        1.0,
        correlation.std() * np.sqrt(n),
        1 / np.sqrt(2 * correlation.size),
        "independence",
    )
    distance = max(float(stats.kstest(row, "uniform").statistic) for row in uniform)
    yield within(
        "largest Kolmogorov distance from its law times sqrt(n)",
        0.0,
        2.3,
        distance * np.sqrt(n),
        0.0,
        "Kolmogorov: above 2.3 in 5 of 100,000 streams",
        k=0,
    )


SENTENCES = {
    "calibration": (
        "The baseline hazards solved for each built-in scenario give its targets again in a fresh cohort of the same size."
    ),
    "enumeration": (
        "With death, transplantation, relapse, loss, missed visits and prevalent infection switched off, half-width and "
        "coverage of the Aalen-Johansen interval follow the binomial law, enumerated exactly at the simulated incidence."
    ),
    "coverage": (
        "The primary 95% interval covers the protocol estimand (every visit made, nobody lost) between 94% and 96.5% of the "
        "time at N = 120 and 250; at N = 60 the exact figure of the same interval for a binomial proportion is the yardstick."
    ),
    "half-width": ("The expected half-width at N = 250, as scheduled and with each source of lost information switched off."),
    "estimands": (
        "Without CMV disease the latent estimand does not depend on the visit schedule, to the last byte, while the observed "
        "incidence falls with fewer visits; daily visits without assay noise see exactly what happens. As scheduled the "
        "protocol estimand lies above the latent one, because assay noise lifts readings of low loads over the limit."
    ),
    "bias": (
        "Against the protocol estimand the crude proportion is biased downwards, 1 - Kaplan-Meier lies above Aalen-Johansen, "
        "and Aalen-Johansen carries two small biases of opposite sign: missed visits find fewer episodes, and patients "
        "censored at a new therapy die more often than those who stay."
    ),
    "sample-size interval": (
        "The 95% interval of the sample size covers the true crossing of nested curves, and the crossing has no bias worth "
        "naming (long tier only)."
    ),
    "death": ("Death by stratum follows the closed form of the model, and the closed form meets the targets."),
    "targets of the whole model": (
        "Infections, and death by stratum with CMV, severe infections and severe toxicity acting on it, in a cohort with all "
        "processes under the targets' own measurement."
    ),
    "toxicity and virome": (
        "Grades of CRS and ICANS and use of drugs by disease and product, carriage and acquisition of viruses: the published "
        "margins hold whatever correlates with what."
    ),
    "CMV disease": (
        "Diseases are as many as the hazard spent, summed over the simulated loads with all that treatment did to them."
    ),
    "quality of life": (
        "Mean indices and the change by relapse, stated on the index and simulated on the latent scale, and the spread. In the "
        "null scenario with all other changes at 0 nobody is selected; before admission nobody is in cmv-cart either."
    ),
    "letermovir": (
        "The solved effects on one patient give the two published hazard ratios between groups again, on fresh patients."
    ),
    "published cohorts": (
        "One virology against the cohorts that it was read from: solved targets, and figures that nothing was solved on beside "
        "their published 95% intervals."
    ),
    "dependent censoring": (
        "Where immunosuppression doubles the hazards of CMV and of relapse per SD, those censored at a new therapy are those "
        "at risk: bias of the primary estimator against the treatment-policy estimand, every visit made and nobody lost."
    ),
    "pairing": (
        "The same patients with and without CMV, and with and without letermovir: who has no episode has the same history, and "
        "the variance of a difference falls."
    ),
    "streams": ("Random streams of different names, roles, chunks and seeds are uncorrelated and follow their law."),
    "every endpoint": (
        "All endpoints with all batched estimators on small studies: none raises, and numbers exist where the status says so; "
        "[endpoints.md](endpoints.md) has the table of every estimator."
    ),
    "immortal time": (
        "Where CMV acts on nothing and shares no cause, ever/never comparisons of infections and cost find an effect; "
        "time-dependent and landmark Cox regression, and risk-set matching, find none."
    ),
    "confounding": (
        "Where CMV acts on nothing and shares causes with infections, the time-dependent hazard ratio is above 1: confounding."
    ),
    "estimands of all endpoints": (
        "Every term of every primary estimator has a finite population value with its Monte Carlo standard error."
    ),
    "type I error": (
        "Tests that claim their level where CMV has no effect do not reject more often; [type1.md](type1.md) has every test by "
        "sample size, what is reported and not claimed, and what shared causes add."
    ),
    "two engines": (
        "The pathway engine, one patient at a time and written from the model's page alone, gives the events of the cohort "
        "engine and its study tables to the byte; [engines.md](engines.md) has what was compared, and the branches."
    ),
}
CHECKS: dict[str, Callable[[Size], Iterator[CheckRow]]] = {
    "calibration": calibration,
    "enumeration": enumeration,
    "coverage": coverage_of_the_interval,
    "half-width": half_width_table,
    "estimands": estimands,
    "bias": bias,
    "sample-size interval": sample_size_interval,
    "death": death,
    "targets of the whole model": whole_model.targets,
    "toxicity and virome": whole_model.toxicity_and_virome,
    "CMV disease": whole_model.disease,
    "quality of life": whole_model.quality_of_life,
    "letermovir": comparisons.letermovir,
    "published cohorts": comparisons.cohorts,
    "dependent censoring": comparisons.dependent_censoring,
    "pairing": comparisons.pairing,
    "streams": streams,
    "every endpoint": endpoints.every_endpoint,
    "immortal time": endpoints.immortal_time,
    "confounding": endpoints.confounding,
    "estimands of all endpoints": endpoints.estimands_of_all,
    "type I error": type1.type_one,
    "two engines": engines.two_engines,
}


def check(name: str, size: Size) -> list[CheckRow]:
    """Run one check."""
    return list(CHECKS[name](size))
