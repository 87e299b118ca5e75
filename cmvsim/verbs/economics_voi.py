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
from cmvsim.economics.analysis import FEW, Asked, worth_from
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
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.verbs.economics import EconomicsOptions, ask, draws_of, head, rests_on
from cmvsim.verbs.place import Place, RunOutcome
from cmvsim.verbs.power import reachable
from cmvsim.verbs.running import FolderWork, kept_run
from cmvsim.verbs.ui import Ui

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
    request = request_of(scenario, options, *checked(scenario, options))
    return kept_run(
        request,
        place,
        ui,
        solve=lambda: reachable(scenario),
        make=lambda calibration, work: (
            compute(scenario, calibration, request, work),
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


def again(scenario: ResolvedScenario, request: Request, work: FolderWork) -> str:
    """``results.json`` of the same request, computed once more."""
    return pretty_json(results_of(scenario, reachable(scenario), request, work)[0])


def compute(scenario: ResolvedScenario, calibration: Calibration, request: Request, work: FolderWork) -> dict[str, str | bytes]:
    """All files of the run, by name."""
    from cmvsim.report import economics_voi_figures, economics_voi_text

    results, psa = results_of(scenario, calibration, request, work)
    return {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "calibration.json": pretty_json(calibration.as_dict()),
        "results.json": pretty_json(results),
        "PSA.csv": psa_csv(samples_of(psa)),
        "summary.md": economics_voi_text.summary(results),
        **economics_voi_figures.figures(results),
    }


def results_of(
    scenario: ResolvedScenario, calibration: Calibration, request: Request, work: FolderWork
) -> tuple[dict[str, Any], PsaDraws]:
    """``results.json``, and the draws."""
    stored = request.content
    strategies, sizes, threshold = tuple(stored["strategies"]), tuple(stored["sizes"]), float(stored["threshold"])
    asked = Asked(strategies, (threshold,), FEW, request.seed)
    redraw = Redraw(scenario, calibration).prepare()
    psa = draws_of(scenario, redraw, asked, stored["draws"], stored["per_draw"], work)
    experiment = StudyExperiment(PsaExperiment(scenario, redraw, strategies, stored["per_draw"], asked.seed), sizes)
    studies = _studies(experiment, psa, stored["draws"], work)
    plan = economics_of(scenario.spec)
    today = float(EvaluationSettings.of(scenario.spec, strategies).day_prices[-1])
    name, own = break_even(psa, today, threshold)
    price = own if stored["price"] is None else stored["price"]
    at_today, inputs = Decision(psa, today, today, threshold), varied(psa)
    incidences = incidence_rows(scenario, redraw, strategies, (threshold,), FEW, asked.seed, lambda *_: None)
    with work.progress("value of information") as tick:
        results: dict[str, Any] = {
            **head(VERB, scenario, request),
            "labels": {key: scenario.spec.strategies[key].label for key in strategies},
            "strategies": list(strategies),
            "draws": int(psa.draws.size),
            "failed": len(psa.failed),
            "unreached": psa.unreached,
            "patients": psa.patients,
            "today": today,
            "threshold": threshold,
            "break_even": {"strategy": name, "price": own},
            "today_evpi": _perfect(at_today, inputs),
            "evpi_stops_being_0": highest_price(at_today, inputs),
            "worth_from_incidence": worth_from(incidences, asked),
            "by_price": perfect_by_price(at_today, inputs),
            **information_tree(Decision(psa, today, price, threshold), studies, sizes, plan),
            **rests_on(scenario),
        }
        tick(1, 1)
    return results, psa


def _perfect(decision: Decision, inputs: np.ndarray) -> dict[str, float]:
    rows = perfect_by_price(decision, inputs)
    nearest = min(rows, key=lambda row: abs(row["price"] - decision.today))
    return {key: nearest[key] for key in ("raw", "raw_mcse", "smoothed", "smoothed_se")}


def _studies(experiment: StudyExperiment, drawn: PsaDraws, draws: int, work: FolderWork) -> np.ndarray:
    with work.progress(f"{draws:,} studies of up to {experiment.sizes[-1]:,} patients") as tick:
        result = run_experiment(
            experiment,
            replicates=draws,
            store=open_store(work.chunks / "study", experiment),
            jobs=work.jobs,
            backend=work.backend,
            progress=lambda done, total, _: tick(done, total),
        )
    return summaries(result, experiment, drawn.draws)
