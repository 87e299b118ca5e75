"""``cmvsim economics voi``: what it would be worth to know more, and what this study would tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cmvsim.calibration import Calibration
from cmvsim.calibration.redraw import Redraw
from cmvsim.core.canonical import pretty_json
from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import Request
from cmvsim.economics.analysis import Asked, worth_from
from cmvsim.economics.information import Decision, break_even, highest_price, information_tree, perfect_by_price
from cmvsim.economics.probabilistic import PsaDraws, PsaExperiment
from cmvsim.economics.psa_tables import samples_of, varied
from cmvsim.economics.samples import psa_csv
from cmvsim.economics.settings import EvaluationSettings, economics_of
from cmvsim.economics.study_summaries import StudyExperiment, summaries
from cmvsim.economics.variants import incidence_rows
from cmvsim.montecarlo.run import chunks_for, open_store
from cmvsim.montecarlo.run import run as run_experiment
from cmvsim.planning.sizes import parse_sizes
from cmvsim.runs.provenance import software_version
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.verbs.economics import EconomicsOptions, ask, draws_of, rests_on
from cmvsim.verbs.place import Place, RunOutcome
from cmvsim.verbs.power import reachable
from cmvsim.verbs.running import FolderWork, kept_run
from cmvsim.verbs.ui import Ui

FORMAT = 1
VERB = "economics-voi"
SIZES = (60, 120, 250, 500, 1000)
LEAST_DRAWS = 100


@dataclass(frozen=True, slots=True)
class VoiOptions:
    """What the user typed.

    Attributes
    ----------
    draws, per_draw
        Of the probabilistic analysis, and patients in each.
    sizes
        Of the study.
    price
        Of a day of letermovir; None: the break-even price of the strategy nearest to being worth it.
    threshold
        Per QALY; None: the middle of the scenario's range.
    """

    scenario: str
    overrides: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    draws: int = 1_000
    per_draw: int = 1_000
    sizes: str | None = None
    price: float | None = None
    threshold: float | None = None
    seed: int = 1


def voi(options: VoiOptions, place: Place, ui: Ui) -> RunOutcome:
    """Value information and keep the answer in a run folder.

    Raises
    ------
    InputError
        If scenario or options hold a mistake; nothing is written then.
    """
    scenario = resolve(options.scenario, options.overrides)
    asked, sizes = checked(scenario, options)
    request = request_of(scenario, options, asked, sizes)
    return kept_run(
        request,
        place,
        ui,
        solve=lambda: reachable(scenario),
        make=lambda calibration, work: (
            compute(scenario, calibration, request, options, asked, sizes, work),
            2 * chunks_for(options.draws),  # draws and studies
        ),
    )


def checked(scenario: ResolvedScenario, options: VoiOptions) -> tuple[Asked, tuple[int, ...]]:
    """The question behind the options; every mistake in them is found here."""
    if options.draws < LEAST_DRAWS:
        problem = Problem(f"{options.draws} draws tell nothing", "--draws", allowed=f"{LEAST_DRAWS} and more")
        raise InputError(problem)
    if options.price is not None and not options.price >= 0:
        raise InputError(Problem(f"{options.price:g} for a day", "--price", allowed="0 or more"))
    asked = ask(
        scenario,
        EconomicsOptions(
            options.scenario,
            options.overrides,
            options.strategies,
            thresholds=() if options.threshold is None else (options.threshold,),
            psa=options.draws,
            per_draw=options.per_draw,
            seed=options.seed,
        ),
    )
    today = set(EvaluationSettings.of(scenario.spec, asked.strategies).day_prices[1:].tolist())
    if len(today) > 1:
        problem = Problem("strategies with different prices of a day", scenario.id, "strategies", "doses of one price")
        raise InputError(problem)
    return asked, parse_sizes(options.sizes) if options.sizes else SIZES


def request_of(scenario: ResolvedScenario, options: VoiOptions, asked: Asked, sizes: tuple[int, ...]) -> Request:
    """The request whose digest names the run."""
    content = {
        "strategies": list(asked.strategies),
        "draws": options.draws,
        "per_draw": options.per_draw,
        "sizes": list(sizes),
        "price": options.price,
        "threshold": asked.thresholds[asked.middle],
        "economics": economics_of(scenario.spec).model_dump(mode="json"),
        "set": list(scenario.overrides),
    }
    return Request(VERB, scenario.id, scenario.digest, content, options.seed)


def compute(
    scenario: ResolvedScenario,
    calibration: Calibration,
    request: Request,
    options: VoiOptions,
    asked: Asked,
    sizes: tuple[int, ...],
    work: FolderWork,
) -> dict[str, str | bytes]:
    """All files of the run, by name."""
    from cmvsim.report import economics_voi_figures, economics_voi_text

    redraw = Redraw(scenario, calibration).prepare()
    psa = draws_of(scenario, redraw, asked, options.draws, options.per_draw, work)
    studies = _studies(
        PsaExperiment(scenario, redraw, asked.strategies, options.per_draw, asked.seed), psa, options, sizes, work
    )
    plan, threshold = economics_of(scenario.spec), asked.thresholds[asked.middle]
    today = float(EvaluationSettings.of(scenario.spec, asked.strategies).day_prices[-1])
    name, own = break_even(psa, today, threshold)
    price = own if options.price is None else options.price
    at_today, inputs = Decision(psa, today, today, threshold), varied(psa)
    incidences = incidence_rows(scenario, redraw, asked.strategies, (threshold,), 16_384, asked.seed, lambda *_: None)
    one = Asked(asked.strategies, (threshold,), 16_384, asked.seed)
    with work.progress("value of information") as tick:
        results: dict[str, Any] = {
            "format": FORMAT,
            "verb": VERB,
            "scenario": scenario.id,
            "title": scenario.spec.title,
            "digest": request.digest,
            "request": request.as_dict(),
            "software_version": software_version(),
            "seed": request.seed,
            "labels": {key: scenario.spec.strategies[key].label for key in asked.strategies},
            "strategies": list(asked.strategies),
            "draws": int(psa.draws.size),
            "failed": len(psa.failed),
            "unreached": psa.unreached,
            "patients": psa.patients,
            "today": today,
            "threshold": threshold,
            "break_even": {"strategy": name, "price": own},
            "today_evpi": _perfect(at_today, inputs),
            "evpi_stops_being_0": highest_price(at_today, inputs),
            "worth_from_incidence": worth_from(incidences, one),
            "by_price": perfect_by_price(at_today, inputs),
            **information_tree(Decision(psa, today, price, threshold), studies, sizes, plan),
            **rests_on(scenario),
        }
        tick(1, 1)
    return {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "calibration.json": pretty_json(calibration.as_dict()),
        "results.json": pretty_json(results),
        "PSA.csv": psa_csv(samples_of(psa)),
        "summary.md": economics_voi_text.summary(results),
        **economics_voi_figures.figures(results),
    }


def _perfect(decision: Decision, inputs: np.ndarray) -> dict[str, float]:
    rows = perfect_by_price(decision, inputs)
    nearest = min(rows, key=lambda row: abs(row["price"] - decision.today))
    return {key: nearest[key] for key in ("raw", "raw_mcse", "smoothed", "smoothed_se")}


def _studies(psa: PsaExperiment, drawn: PsaDraws, options: VoiOptions, sizes: tuple[int, ...], work: FolderWork) -> np.ndarray:
    experiment = StudyExperiment(psa, sizes)
    with work.progress(f"{options.draws:,} studies of up to {sizes[-1]:,} patients") as tick:
        result = run_experiment(
            experiment,
            replicates=options.draws,
            store=open_store(work.chunks / "study", experiment),
            jobs=work.jobs,
            backend=work.backend,
            progress=lambda done, total, _: tick(done, total),
        )
    return summaries(result, experiment, drawn.draws)
