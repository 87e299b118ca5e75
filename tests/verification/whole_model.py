"""Checks of the whole clinical model: what it was told (targets, margins, means, ratios) against what patients show."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from cmvsim.calibration.cohort import as_measured
from cmvsim.calibration.quality_of_life import achieved, convert
from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Role
from cmvsim.models.history import Episodes, History
from cmvsim.models.quality_of_life import STATES, Instrument
from cmvsim.models.toxicity import DRUGS
from cmvsim.models.virome import VIRUSES
from cmvsim.scenarios.scenario import Scenario
from cmvsim.simulation.cohort import ALL, FOUNDATION, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.valuation import value_set
from tests.verification.common import (
    SEED,
    CheckRow,
    Size,
    baseline_of,
    mean_and_error,
    model_of,
    near,
    scenario,
    share,
)

PATIENTS = 250  # of a replicate; a chunk has 16,000
Counts = dict[tuple[str, ...], tuple[float, float]]
"""Events and patients by what was counted."""


def chance(chunk: int, patients: int = PATIENTS) -> ChunkDraws:
    """Patients of no other check, and none that anything was solved on."""
    return ChunkDraws(SEED, Role.STUDY, 1000 + chunk, patients)


# --- what the model was told of all patients -------------------------------------------------------------------------


@lru_cache(maxsize=4)
def counted(chunks: int, cohort: int) -> Counts:
    """The registered cohort with all processes, everybody followed as the targets measure."""
    spec = scenario("cmv-cart").spec
    model = as_measured(model_of("cmv-cart", (), cohort), spec.cmv.incidence)
    total: dict[tuple[str, ...], np.ndarray] = defaultdict(lambda: np.zeros(2))
    for chunk in range(chunks):
        history = simulate(model, chance(chunk), needs=ALL, never_lost=True)
        for count in (_infected, _dead, _toxicity, _virome):
            for key, events, among in count(history, spec):
                total[key] += (np.count_nonzero(events & among), np.count_nonzero(among))
    return {key: (float(events), float(patients)) for key, (events, patients) in total.items()}


Count = Iterator[tuple[tuple[str, ...], np.ndarray, np.ndarray]]


def flat(array: np.ndarray) -> np.ndarray:
    """(R, N) of a history as its flat arrays are: the replicates of a patient side by side."""
    return array.T.ravel()


def _infected(history: History, spec: Scenario) -> Count:
    found, law = history.infections, spec.infections
    assert found is not None
    end = np.minimum(flat(history.death), flat(history.observation.hct))
    everybody, early, late = np.ones(end.size, dtype=bool), float(law.early_until), float(law.late_until)
    bacterial = np.where(found.bacterial.start <= end, found.bacterial.start, np.inf)
    fungal = np.where(found.fungal.start <= end, found.fungal.start, np.inf)
    yield ("bacterial by day 28",), (bacterial <= early).any(axis=0), everybody
    yield ("bacterial, days 29 to 90",), ((bacterial > early) & (bacterial <= late)).any(axis=0), end > early
    yield ("fungal by day 90",), fungal <= late, everybody


def _dead(history: History, _: Scenario) -> Count:
    died, relapse = flat(history.death), flat(history.observation.relapse)
    for index, stratum in enumerate(history.strata):
        mine = history.population.stratum == index
        yield ("death by day 90", stratum), died <= 90, mine
        yield ("death without relapse by day 90", stratum), (died <= 90) & (died <= relapse), mine


def _toxicity(history: History, spec: Scenario) -> Count:
    toxicity, cell = history.toxicity, history.population.cell
    for index, (disease, product) in enumerate(spec.population.cells):
        mine = cell == index
        for name, grade in (("crs", toxicity.crs_grade), ("icans", toxicity.icans_grade)):
            for least in (1, 2, 3, 4):
                yield (f"{name} of grade {least} or more", disease, product), grade >= least, mine
        for drug in DRUGS:
            yield (drug, disease, product), np.isfinite(toxicity.courses[drug].start), mine


def _virome(history: History, _: Scenario) -> Count:
    for virus in VIRUSES:
        carried = history.virome.baseline(virus)
        yield ("carried before infusion", virus), carried, np.ones(carried.size, dtype=bool)
        yield ("acquired by day 90 by the others", virus), history.virome.acquired(virus) <= 90, ~carried


def targets(size: Size) -> Iterator[CheckRow]:
    """Infections, and death by stratum with all factors acting; fresh patients and patients solved on both err."""
    spec, found = scenario("cmv-cart").spec, counted(size.chunks, size.cohort)
    infected, follow_up = spec.infections, spec.follow_up
    wanted: dict[tuple[str, ...], float] = {
        ("bacterial by day 28",): float(infected.bacterial.early),
        ("bacterial, days 29 to 90",): float(infected.bacterial.late),
        ("fungal by day 90",): float(infected.fungal.whole),
    }
    for stratum in spec.population.strata:
        wanted["death by day 90", stratum] = float(follow_up.death_by_90[stratum])
        wanted["death without relapse by day 90", stratum] = float(follow_up.non_relapse_mortality_by_90[stratum])
    everybody = found["bacterial by day 28",][1]
    for key, target in wanted.items():
        events, patients = found[key]
        solved_on = size.cohort * patients / everybody
        error = np.sqrt(target * (1 - target) * (1 / patients + 1 / solved_on))
        yield near(", ".join(key), target, events / patients, float(error), "the scenario's target")


def toxicity_and_virome(size: Size) -> Iterator[CheckRow]:
    """Margins by disease and product, which hold exactly whatever the expansion; carriage and acquisition of viruses."""
    spec, found = scenario("cmv-cart").spec, counted(size.chunks, size.cohort)
    for cell in spec.population.cells:
        for name in ("crs", "icans"):
            grades = getattr(spec.toxicity, name).exceedance(*cell)
            for least, p in enumerate(grades, start=1):
                key = (f"{name} of grade {least} or more", *cell)
                yield share(", ".join(key), p, *found[key], "published margin (grades 2 and 4: assumed split)")
        for drug in DRUGS:
            p = float(getattr(spec.toxicity, drug).use[cell[0]][cell[1]])
            yield share(", ".join((drug, *cell)), p, *found[drug, *cell], "published use")
    for virus in VIRUSES:
        law = getattr(spec.virome, virus)
        site = law.sampled.value
        for key, p in (
            (("carried before infusion", virus), float(law.baseline[site])),
            (("acquired by day 90 by the others", virus), float(law.incident.by_90[site])),
        ):
            yield share(", ".join(key), p, *found[key], f"the scenario, {site}")


# --- CMV disease: events against the hazard that was spent ------------------------------------------------------------


def load_at(episodes: Episodes, k: int, r: np.ndarray, n: np.ndarray, t: float) -> FloatArray:
    """Log10 load in plasma at t in the k-th episode of patients (r, n) in whom it runs, read off the kept course."""
    onset, peak, end = episodes.onset[r, n, k], episodes.peak[r, n, k], episodes.plateau_end[r, n, k]
    rising = np.minimum(episodes.start_log10 + episodes.growth[r, n] * (t - onset), peak)
    with np.errstate(invalid="ignore"):
        natural = np.where(t > end, peak - episodes.decay[r, n, k] * (t - end), rising)
    controlled = np.full(onset.shape, np.inf)
    for j in range(episodes.knot_time.shape[-1]):  # in the order of time
        time = episodes.knot_time[r, n, j]
        with np.errstate(invalid="ignore"):
            mine = (episodes.knot_episode[r, n, j] == k) & (time <= t)
            line = episodes.knot_log10[r, n, j] + episodes.knot_slope[r, n, j] * (t - time)
        controlled = np.where(mine, line, controlled)
    return np.minimum(natural, controlled)


def hazard_spent(model: Model, history: History, step: float) -> float:
    """Hazard of CMV disease summed over patients, until their disease or the horizon; midpoint rule."""
    law, episodes, disease = model.cmv.disease, history.episodes, history.disease
    assert episodes is not None
    assert disease is not None
    total = 0.0
    first = float(np.nanmin(episodes.onset))
    for t in np.arange(np.floor(first) + step / 2, history.horizon, step):
        for k in range(episodes.onset.shape[-1]):
            with np.errstate(invalid="ignore"):
                runs = (episodes.onset[..., k] <= t) & (t < episodes.clear[..., k]) & (t < disease.time)
            load = load_at(episodes, k, *np.nonzero(runs), float(t))
            total += step * float(law.hazard) * float((10 ** (float(law.slope) * (load - float(law.reference_log10)))).sum())
    return total


def disease(size: Size) -> Iterator[CheckRow]:
    """The number of diseases is, on average, the hazard spent (a martingale), whatever treatment did to the load."""
    for label, overrides, chunks in (
        ("the scenario's hazard", (), max(1, size.chunks // 2)),
        ("thirty times the hazard", (f"cmv.disease.hazard={30 * float(scenario('cmv-cart').spec.cmv.disease.hazard)!r}",), 1),
    ):
        spec = scenario("cmv-cart", overrides).spec
        model = Model.of(spec, baseline_of("cmv-cart", (), size.cohort))
        events = spent = 0.0
        for chunk in range(chunks):
            history = simulate(model, chance(chunk), needs=FOUNDATION, path=True)
            assert history.disease is not None
            events += float((history.disease.time <= history.horizon).sum())
            spent += hazard_spent(model, history, 0.25)
        yield near(
            f"CMV disease per hazard spent, {label} ({events:.0f} events)",
            1.0,
            events / spent,
            1 / np.sqrt(spent),
            "integral of the hazard over the simulated load; 0.002 for steps of 6 hours",
            more=0.002,
        )


# --- health-related quality of life -----------------------------------------------------------------------------------

NO_CHANGES = tuple(f"quality_of_life.changes.{state}=0" for state in STATES if state != "relapse")
ASKED_OF_ALL = (*NO_CHANGES, "quality_of_life.missing.share=[0, 0, 0]")


def index_of_adults(model: Model, chunks: int) -> Iterator[tuple[int, int, str, FloatArray]]:
    """Stratum, visit, "" or "relapse", and the index of adults who answered."""
    kept: dict[tuple[int, int, str], list[FloatArray]] = defaultdict(list)
    values = value_set(model.quality_of_life.value_set.value)
    for chunk in range(chunks):
        history = simulate(model, chance(chunk), needs=ALL)
        answers = history.questionnaires
        assert answers is not None
        relapse = flat(history.observation.relapse)
        for v, day in enumerate(answers.days):
            adult = answers.answered[v] & (answers.instrument[v] == Instrument.ADULT)
            for s in range(len(history.strata)):
                for state, so in (("", relapse > day), ("relapse", relapse <= day)):
                    levels = answers.levels[v][:, adult & so & (history.population.stratum == s)]
                    if levels.shape[1] > 500:
                        kept[s, v, state].append(values.index(levels, axis=0))
    yield from ((*key, np.concatenate(parts)) for key, parts in kept.items())


def quality_of_life(size: Size) -> Iterator[CheckRow]:
    """Mean indices and their changes, stated on the index and simulated on the latent scale."""
    spec = scenario("cmv-cart").spec.quality_of_life
    reached = achieved(spec, convert(spec))
    worst = max(abs(row.achieved - row.stated) for row in reached)
    yield near(f"largest of {len(reached)} deviations of a mean index", 0.0, worst, 0.0, "formula; bisection", more=1e-8)
    chunks = max(1, size.chunks // 2)
    for name, overrides, last in (("null", ASKED_OF_ALL, 3), ("cmv-cart", (), 1)):
        spec = scenario(name, overrides).spec.quality_of_life
        change = float(spec.changes.relapse)
        for s, v, state, index in index_of_adults(model_of(name, overrides, size.cohort), chunks):
            if v >= last:  # selection: those who are left and answer are not everybody
                continue
            stratum, day = list(spec.mean_index)[s], spec.visits.value[v]
            stated = float(spec.mean_index[stratum][spec.days.value.index(day)]) + (change if state else 0.0)
            got, error = mean_and_error(index)
            label = f"{name}, {stratum}, day {day}{', after relapse' if state else ''}"
            yield near(f"{label}: mean index", stated, got, error, "stated; nobody misses a questionnaire")
            if v == 0 and not state:
                centred = (index - got) ** 2
                error = float(centred.std() / np.sqrt(index.size) / (2 * index.std()))
                sd = float(spec.spread.sd)
                yield near(f"{label}: SD of the index", sd, float(index.std(ddof=1)), error, "stated at this mean")
