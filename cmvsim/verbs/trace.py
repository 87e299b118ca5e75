"""``cmvsim trace``: one simulated patient's story, in words and as a timeline."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmvsim.calibration import calibrate
from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.canonical import pretty_json, rounded
from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.records import FloatArray, Request
from cmvsim.core.streams import CHUNK_REPLICATES, Role, check_seed
from cmvsim.data.schema import END_REASONS
from cmvsim.data.study import Result, Study
from cmvsim.endpoints import endpoint
from cmvsim.endpoints.derived import CENSORED, DEATH, EVENT, HCT, RELAPSE, TimeToEvent
from cmvsim.models.strategies import reference_strategy
from cmvsim.planning.sizes import LARGEST
from cmvsim.scenarios import ResolvedScenario, resolve
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.engine import background_of, stories_of
from cmvsim.simulation.pathway.recorded import ending_of, recorded
from cmvsim.simulation.pathway.records import PatientHistory, Reported
from cmvsim.simulation.pathway.story import story_tree
from cmvsim.simulation.pathway.story_events import StoryEvent, events_of
from cmvsim.verbs.place import Place, RunOutcome, kept_files
from cmvsim.verbs.running import FolderWork
from cmvsim.verbs.ui import Ui, note_compiling

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class TraceOptions:
    """What the user typed.

    Attributes
    ----------
    patient
        Number from 1, or identifier (P012); with `find` where the search begins.
    find
        The first patient with such a course, by a name of :data:`FINDABLE`.
    patients
        Of the study; by default the scenario's. Patient K is the same in every larger study.
    replicate
        Of `simulate` and `power` with the same seed.
    strategy, cmv
        As of `simulate`.
    """

    scenario: str
    overrides: tuple[str, ...] = ()
    patient: str | None = None
    find: str | None = None
    patients: int | None = None
    replicate: int = 0
    strategy: str | None = None
    cmv: bool = True
    seed: int = 1


def trace(options: TraceOptions, place: Place, ui: Ui) -> RunOutcome:
    """Tell one patient's story in a run folder.

    Raises
    ------
    InputError
        If scenario or options hold a mistake, or nobody has the course looked for; nothing is written then.
    """
    scenario = resolve(options.scenario, options.overrides)
    n = options.patients if options.patients is not None else scenario.spec.study.patients
    number = _check(scenario, options, n)
    note_compiling(ui)
    if options.find is not None:
        number = _found(scenario, options, number, n, ui)
    request = _request(scenario, options, number, n)
    return kept_files(request, place, lambda: compute(scenario, request))


def again(scenario: ResolvedScenario, request: Request, _: FolderWork) -> str:
    """``results.json`` of the same request, computed once more."""
    return pretty_json(_results(scenario, request))


def compute(scenario: ResolvedScenario, request: Request) -> dict[str, str | bytes]:
    """All files of the run."""
    from cmvsim.report import trace_figure, trace_text
    from cmvsim.report.style import png

    results = rounded(_results(scenario, request))
    return {
        "scenario.resolved.json": pretty_json(scenario.as_dict()),
        "results.json": pretty_json(results),
        "events.csv": _events_csv(results["events"]),
        "figures/timeline.png": png(trace_figure.timeline(results)),
        "story.md": trace_text.story_page(results),
    }


# --- which patient ----------------------------------------------------------------------------------------------------


def _check(scenario: ResolvedScenario, options: TraceOptions, n: int) -> int:
    """The patient's number; every mistake in the options that needs no simulation is found here."""
    check_seed(options.seed)
    strategies = scenario.spec.strategies
    if options.strategy is not None and options.strategy not in strategies:
        allowed = did_you_mean(options.strategy, strategies)
        raise InputError(Problem(f"the scenario has no strategy '{options.strategy}'", "--strategy", allowed=allowed))
    if not 1 <= n <= LARGEST:
        raise InputError(Problem(f"{n} patients", "-n", allowed=f"1 to {LARGEST:,}"))
    if not 0 <= options.replicate < LARGEST:
        raise InputError(Problem(f"there is no replicate {options.replicate}", "--replicate", allowed=f"0 to {LARGEST - 1:,}"))
    if options.find is not None and options.find not in FINDABLE:
        raise InputError(Problem(f"'{options.find}' cannot be looked for", "--find", allowed=f"known: {', '.join(FINDABLE)}"))
    if options.patient is None and options.find is None:
        allowed = f"--patient 1 to {n}, or --find {' | '.join(FINDABLE)}"
        raise InputError(Problem("which patient?", "--patient", allowed=allowed))
    return 1 if options.patient is None else _number(options.patient, n)


def _number(given: str, n: int) -> int:
    """A patient's number of its number or identifier."""
    digits = given.strip().removeprefix("P").removeprefix("p")
    number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= len(str(LARGEST)) else 0
    if not 1 <= number <= n:
        allowed = f"1 to {n}, or {name_of(1, n)} to {name_of(n, n)}; more with -n"
        raise InputError(Problem(f"there is no patient '{given}' in a study of {n}", "--patient", allowed=allowed))
    return number


def name_of(number: int, n: int) -> str:
    """Identifier of a patient in the tables of a study of n."""
    return f"P{number:0{len(str(n))}d}"


def _found(scenario: ResolvedScenario, options: TraceOptions, first: int, n: int, ui: Ui) -> int:
    """The first patient from `first` on with the course looked for."""
    assert options.find is not None
    so = FINDABLE[options.find]
    draws, background = _given(scenario, options.seed, options.replicate, n, _strategy(scenario, options))
    replicate = options.replicate % draws.replicates
    with ui.progress(f"looking for {options.find}") as tick:
        for story in stories_of(background, range(first - 1, n), replicate, cmv=options.cmv):
            tick(story.patient + 1, n)
            if so(story):
                return story.patient + 1
    raise InputError(
        Problem(
            f"nobody from patient {first} to {n} has such a course: {options.find}",
            "--find",
            allowed="try another --seed or --replicate, or more patients with -n",
        )
    )


def _given(
    scenario: ResolvedScenario, seed: int, replicate: int, n: int, strategy: str | None
) -> tuple[ChunkDraws, Background]:
    """The chunk's chance and what is given before CMV."""
    spec = scenario.spec
    model = Model.of(spec, calibrate(scenario).baseline, convert(spec.quality_of_life))
    draws = ChunkDraws(seed, Role.STUDY, replicate // CHUNK_REPLICATES, n)
    return draws, background_of(model, draws, strategy=strategy)


def _strategy(scenario: ResolvedScenario, options: TraceOptions) -> str | None:
    return options.strategy or reference_strategy(scenario.spec.strategies)


def _request(scenario: ResolvedScenario, options: TraceOptions, number: int, n: int) -> Request:
    """The request whose digest names the run; the same for a patient found and for one named."""
    content = {
        "patient": number,
        "patients": n,
        "replicate": options.replicate,
        "strategy": _strategy(scenario, options),
        "cmv": options.cmv,
        "set": list(scenario.overrides),
    }
    return Request("trace", scenario.id, scenario.digest, content, options.seed)


def _quantified(story: PatientHistory, *, after: bool) -> bool:
    """A quantified sample after infusion, or at or before it."""
    return any(s.reported is Reported.QUANTIFIED and (s.time > 0) == after and s.time <= story.death for s in story.samples)


def _reactivates(story: PatientHistory) -> bool:
    return _quantified(story, after=True) and not _quantified(story, after=False)


def _treated(story: PatientHistory) -> bool:
    return any(course.start <= story.death for course in story.treatment.courses)


def _switched(story: PatientHistory) -> bool:
    lived = [s for s in story.treatment.spells if s.start <= story.death]
    return len(lived) > len({s.course for s in lived})


def _ever(times: Iterable[float], story: PatientHistory) -> bool:
    return any(math.isfinite(time) and time <= story.death for time in times)


FINDABLE: dict[str, Callable[[PatientHistory], bool]] = {
    "reactivation": _reactivates,
    "untreated": lambda story: _reactivates(story) and not _treated(story),
    "treated": _treated,
    "switched": _switched,
    "disease": lambda story: _ever([story.disease], story),
    "resistance": lambda story: _ever([time for times in story.strain.known for time in times], story),
    "relapse": lambda story: _ever([story.follow_up.relapse], story),
    "death": lambda story: _ever([story.death], story),
}
"""Courses that can be looked for: a quantified sample after infusion and none before; that, and no treatment; pre-emptive
therapy; a change of drug; CMV disease; known resistance; relapse; death."""


# --- the story --------------------------------------------------------------------------------------------------------


def _results(scenario: ResolvedScenario, request: Request) -> Tree:
    asked = request.content
    n, replicate = int(asked["patients"]), int(asked["replicate"])
    draws, background = _given(scenario, request.seed, replicate, n, asked["strategy"])
    (story,) = stories_of(background, [int(asked["patient"]) - 1], replicate % draws.replicates, cmv=asked["cmv"])
    tree = story_tree(background, story, asked["strategy"])
    events = events_of(tree, ending_of(background.model, story))
    return {
        "format": 1,
        "verb": "trace",
        "scenario": scenario.id,
        "title": scenario.spec.title,
        "digest": request.digest,
        "request": request.as_dict(),
        "seed": request.seed,
        "replicate": replicate,
        "patient": name_of(int(asked["patient"]), n),
        "strategy": asked["strategy"],
        "strategy_label": scenario.spec.strategies[asked["strategy"]].label if asked["strategy"] else None,
        "cmv": asked["cmv"],
        "story": tree,
        "tables": _tables(scenario, recorded(background, [story])),
        "events": [_event_row(event) for event in events],
    }


def _tables(scenario: ResolvedScenario, study: Study) -> Tree:
    """What the study's tables hold of the patient, and what the primary endpoint makes of it."""
    ended, samples, plan = study.disposition, study.samples, scenario.spec.analysis
    primary = endpoint(plan.primary)
    derived = primary.derive(study, plan)
    if not isinstance(derived, TimeToEvent):
        raise TypeError(f"{primary.id} is not a time to an event")
    due = np.isfinite(samples.nominal[0, 0]) & (samples.nominal[0, 0] <= ended.end[0, 0])
    missed = samples.nominal[0, 0][due & (samples.result[0, 0] == Result.NONE)]
    return {
        "end_day": int(ended.end[0, 0]),
        "end_reason": END_REASONS[int(ended.reason[0, 0])],
        "death_day": _whole(ended.death[0, 0]),
        "samples": {r.name.lower(): int((samples.result[0, 0] == r).sum()) for r in Result if r is not Result.NONE},
        "missed": [int(day) for day in missed],
        "events": sorted(_events(study), key=lambda event: (event[1], event[0])),
        "courses": list(_courses(study)),
        **_further(study),
        "endpoint": {
            "id": primary.id,
            "label": primary.label,
            "window": plan.window,
            "definition": plan.definition.human(),
            "cause": CAUSES.get(int(derived.cause[0, 0]), "excluded"),
            "day": None if derived.cause[0, 0] < 0 else float(derived.time[0, 0]),
            "excluded": next((why for why, who in derived.excluded.items() if who[0, 0]), None),
        },
    }


CAUSES = {CENSORED: "censored", EVENT: "event", DEATH: "death", HCT: "transplantation", RELAPSE: "relapse"}


def _events(study: Study) -> Iterator[list[Any]]:
    """Event, day, last day and grade (None: it has none, or it is not known)."""
    for name, o in study.events.items():
        for k in np.flatnonzero(~np.isnan(o.day[0, 0])):
            more = [None if values is None else _whole(values[0, 0, k]) for values in (o.end, o.grade)]
            yield [name, int(o.day[0, 0, k]), *more]


def _further(study: Study) -> Tree:
    """What is recorded beside CMV, its treatment and events: days, as the tables have them."""
    stays, sent, asked, used = study.stays, study.sequencing, study.questionnaires, study.resources
    assert stays is not None
    assert sent is not None
    assert asked is not None
    assert used is not None
    due = asked.nominal[0, 0] if asked.nominal.shape[-1] else np.empty(0)
    answered = ~np.isnan(asked.day[0, 0])
    virome = next(iter(study.virome.values()))
    return {
        "stays": [
            [int(start), _whole(stop), "icu" if icu else "ward"]
            for start, stop, icu in zip(stays.start[0, 0], stays.stop[0, 0], stays.icu[0, 0], strict=True)
            if not math.isnan(start)
        ],
        "sequenced": [int(day) for day in sent.day[0, 0] if not math.isnan(day)],
        "questionnaires": {"answered": [int(d) for d in due[answered]], "missed": [int(d) for d in due[~answered]]},
        "virome_days": [int(day) for day in virome.day[0, 0] if not math.isnan(day)],
        "car_t_days": [int(day) for day in _cells_of(study) if not math.isnan(day)],
        "resource_rows": int(used.row.size),
    }


def _cells_of(study: Study) -> FloatArray:
    assert study.car_t is not None
    days: FloatArray = study.car_t.day[0, 0]
    return days


def _courses(study: Study) -> Iterator[list[Any]]:
    """Drug, first day, and last day + 1 (None: not known)."""
    for drug, courses in study.exposures.items():
        for start, stop in zip(courses.start[0, 0], courses.stop[0, 0], strict=True):
            if not math.isnan(start):
                yield [drug, int(start), _whole(stop)]


def _whole(day: float) -> int | None:
    return None if math.isnan(day) else int(day)


def _event_row(event: StoryEvent) -> Tree:
    return {
        "day": event.day,
        "study_day": math.ceil(event.day),
        "what": event.what,
        "detail": event.detail,
        "seen_by_study": event.seen,
    }


def _events_csv(rows: list[Tree]) -> str:
    """The same, as a table; days as in the history tables of `simulate`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(rows[0])
    for row in rows:
        writer.writerow(
            [f"{row['day']:.12g}", row["study_day"], row["what"], row["detail"], "yes" if row["seen_by_study"] else "no"]
        )
    return text.getvalue()
