"""Both engines on the same patients, and which branches of the model the patients went through."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.streams import Role
from cmvsim.data import write_study
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import History, Process
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.scenarios import resolve
from cmvsim.simulation.background import Background
from cmvsim.simulation.cohort import ALL, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.compare import Comparison, compare
from cmvsim.simulation.pathway.engine import background_of, stories_of
from cmvsim.simulation.pathway.recorded import recorded
from cmvsim.simulation.pathway.records import EpisodeRecord, PatientHistory, Reported, SpellRecord, TreatmentRecord
from cmvsim.simulation.recording import record

NEEDS = ALL
WITHOUT_HEALTH = ALL - {Process.QUALITY_OF_LIFE}


def given_baseline(strata: int, amplitude: float) -> Baseline:
    """Hazards that nobody solved, high enough for much to happen."""
    return Baseline(
        amplitude,
        13.0,
        (2.8e-4,) * strata,
        (4e-3,) * strata,
        (0.0036, 0.0011),
        (0.0003, 0.00018),
        LetermovirEffect(0.7, -0.6),
    )


def catalogue_model(scenario: str, *overrides: str, amplitude: float = 2.0, health: bool = False) -> Model:
    """A catalogue scenario with given hazards, and with quality of life if that is asked for."""
    spec = resolve(scenario, overrides).spec
    return Model.of(
        spec, given_baseline(len(spec.population.strata), amplitude), convert(spec.quality_of_life) if health else None
    )


@dataclass(frozen=True)
class Both:
    """The same patients from both engines; stories replicate by replicate."""

    history: History
    background: Background
    stories: tuple[list[PatientHistory], ...]

    @property
    def all_stories(self) -> list[PatientHistory]:
        return [story for several in self.stories for story in several]

    def differing_tables(self) -> tuple[int, list[str]]:
        """How many study tables were written from each, and the names of those that are not the same bytes."""
        compared, differ = 0, []
        study = record(self.history)
        for replicate, stories in enumerate(self.stories):
            with tempfile.TemporaryDirectory() as folder:
                one = write_study(study, replicate, Path(folder) / "cohort")
                other = write_study(recorded(self.background, stories), 0, Path(folder) / "pathway")
                assert [path.name for path in one] == [path.name for path in other]
                compared += len(one)
                differ += [a.name for a, b in zip(one, other, strict=True) if a.read_bytes() != b.read_bytes()]
        return compared, differ


def both(
    model: Model,
    seed: int,
    patients: int,
    *,
    replicates: int = 2,
    strategy: str | None = None,
    never_lost: bool = False,
    cmv: bool = True,
) -> Both:
    """Run both engines on all patients of a small chunk."""
    draws = ChunkDraws(seed, Role.STUDY, 0, patients, replicates)
    needs = WITHOUT_HEALTH if model.latent_health is None else NEEDS
    history = simulate(model, draws, needs=needs, path=True, strategy=strategy, never_lost=never_lost, cmv=cmv)
    background = background_of(model, draws, never_lost=never_lost, strategy=strategy)
    stories = tuple(list(stories_of(background, range(patients), r, cmv=cmv)) for r in range(replicates))
    return Both(history, background, stories)


def both_engines(model: Model, seed: int, patients: int, **how: Any) -> tuple[Comparison, list[PatientHistory]]:
    """Run both engines as :func:`both` does and compare them."""
    made = both(model, seed, patients, **how)
    return compare(made.history, made.all_stories), made.all_stories


def branches(stories: Iterable[PatientHistory], model: Model) -> Counter[str]:
    """How many patients went through each branch."""
    seen: Counter[str] = Counter()
    for story in stories:
        seen.update({*_of_cmv(story, model), *_of_care(story), *_of_the_rest(story)})
    return seen


def _of_cmv(story: PatientHistory, model: Model) -> set[str]:
    seen, course, letermovir = set(), story.treatment.courses, story.letermovir
    later = [b for a, b in itertools.pairwise(story.treatment.spells) if a.course == b.course]
    for k, e in enumerate(story.episodes):
        slopes = [slope for _, _, slope in e.knots]
        by_itself = e.plateau_end + (e.peak - float(model.cmv.load.start_log10)) / e.decay
        branch = {
            "open at inclusion": e.onset < model.inclusion_day,
            "further episode": k > 0,
            "onset during treatment": any(c.contains(e.onset) for c in course),
            "regrows after a stop": any(slope > 0 for slope in slopes),
            "acts again after regrowth": any(a > 0 > b for a, b in itertools.pairwise(slopes)),
            "clears by itself": abs(e.cleared - by_itself) < 1e-6,
            "clears on treatment": e.cleared < by_itself - 1e-6,
            "runs at the horizon": e.cleared > model.horizon,
            "later drug on a load that falls after a stop": any(_falls_after_a_stop(e, story.treatment, s) for s in later),
            "refractory and treated": e.refractory and any(c.start < e.cleared and c.stop > e.onset for c in course),
            "breakthrough on letermovir": letermovir.contains(e.onset),
            "onset after letermovir": e.onset >= letermovir.stop,
        }
        seen |= {name for name, so in branch.items() if so}
    return seen


def _falls_after_a_stop(episode: EpisodeRecord, treatment: TreatmentRecord, spell: SpellRecord) -> bool:
    """Whether the load falls on the line of an earlier treatment when the spell begins."""
    knots = [(time, slope) for time, _, slope in episode.knots if time <= spell.start]
    if not knots or not episode.onset <= spell.start < episode.cleared:
        return False
    time, slope = knots[-1]
    return slope < 0 and time < treatment.courses[spell.course].start


def _of_care(story: PatientHistory) -> set[str]:
    t, reported = story.treatment, {s.reported for s in story.samples}
    sizes = Counter(spell.course for spell in t.spells)
    branch = {
        "CMV disease": story.disease < float("inf"),
        "disease after the end of monitoring": story.follow_up.monitoring_end < story.disease < float("inf"),
        "CMV disease before any treatment": story.disease < min((c.start for c in t.courses), default=float("inf")),
        "treated more than once": len(t.courses) > 1,
        "drug switched": any(n > 1 for n in sizes.values()),
        "drug switched twice": any(n > 2 for n in sizes.values()),
        "treated at the horizon": any(c.stop == float("inf") for c in t.courses),
        "neutropenia on treatment": t.neutropenia.exists,
        "kidney injury": t.kidney_injury < float("inf"),
        "letermovir ended by treatment": any(c.start == story.letermovir.stop for c in t.courses),
        "test asked for": any(s.planned is None for s in story.samples),
        "test because of CMV": any(s.extra for s in story.samples),
        "no visits": all(s.planned is None or s.planned <= 0 for s in story.samples),
        "visits and tests": {s.planned is None for s in story.samples if s.time > 0} == {True, False},
        "below the limit": Reported.BELOW_LIMIT in reported,
    }
    return {name for name, so in branch.items() if so} | {spell.drug for spell in t.spells}


def _of_the_rest(story: PatientHistory) -> set[str]:
    branch = {
        "several bacterial infections": len(story.bacterial) > 1,
        "severe infection": any(i.severe for i in story.bacterial),
        "fungal infection": story.fungal is not None,
        "death without relapse": story.death < story.follow_up.relapse,
        "death after relapse": story.follow_up.relapse < story.death < float("inf"),
        "monitoring ends early": story.follow_up.monitoring_end < 90,
        "resistance": any(time < float("inf") for times in story.strain.known for time in times),
        "sequenced": any(sent.succeeded for sent in story.strain.sent),
        "sequencing fails": any(not sent.succeeded for sent in story.strain.sent),
        "asked after the end of monitoring": any(q.day > story.follow_up.monitoring_end for q in story.questionnaires),
        "further stay": len(story.stays.hospital) > 1,
        "two stays in intensive care": len(story.stays.icu) > 1,
    }
    components = {row.component for row in story.ledger}
    return {name for name, so in branch.items() if so} | components
