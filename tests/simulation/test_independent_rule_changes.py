"""A rule changed in one engine must show: each change of the pathway engine makes the comparison of the two fail."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import pytest

from cmvsim.data.study import Change, EndReason, Questionnaires
from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway import engine, factors, health, monitoring, stays, strain, treatment
from cmvsim.simulation.pathway.compare import compare
from cmvsim.simulation.pathway.conditions import Condition
from cmvsim.simulation.pathway.death import Death
from cmvsim.simulation.pathway.disease import CmvDisease
from cmvsim.simulation.pathway.factors import Factor
from cmvsim.simulation.pathway.infections import InfectionHazard
from cmvsim.simulation.pathway.monitoring import ClinicianTesting, Laboratory
from cmvsim.simulation.pathway.prophylaxis import LetermovirCourse
from cmvsim.simulation.pathway.recorded import Ending, clinical, core, research
from cmvsim.simulation.pathway.recorded.case import Case
from cmvsim.simulation.pathway.records import Reported, SampleRecord
from cmvsim.simulation.pathway.replication import Replication
from cmvsim.simulation.pathway.treatment import PreemptiveTherapy
from tests.simulation.pathway_build import Both, both, catalogue_model
from tests.simulation.pathway_stress import stress_set

Patch = pytest.MonkeyPatch
STRESS = tuple(range(12))
PATIENTS = 12
ON_THE_EDGE = (
    "study.horizon=120",
    "cmv.load.set_point={ mean = 3, varies = { sd = 0 } }",
    "cmv.load.set_point_shift={ corticosteroids = 0, score = 0 }",
    "cmv.load.self_limited={ share = 0.5, slope = 0 }",
    "monitoring.assay_sd_log10=0",
    "monitoring.attendance=1",
)
"""Every episode has a plateau of exactly 1,000 IU/mL, and the laboratory makes no error."""


def edge_model(threshold: float, lloq: float) -> Model:
    """The limits lie on the plateau, so that at least and above it are not the same."""
    limits = (f"monitoring.lod={lloq}", f"monitoring.lloq={lloq}", f"preemptive_therapy.start_at={threshold}")
    return catalogue_model("cmv-cart", *ON_THE_EDGE, *limits, amplitude=5.0)


@lru_cache(maxsize=1)
def honest() -> tuple[tuple[Both, Model], ...]:
    """Both engines on random parameter sets, and where the limits are on the load."""
    made = []
    for number in STRESS:
        random = stress_set(number)
        made.append((both(random.model, number, PATIENTS, replicates=1, strategy=random.strategy), random.model))
    for threshold, lloq in ((1000.0, 35.0), (2000.0, 1000.0)):
        model = edge_model(threshold, lloq)
        made.append((both(model, 7, PATIENTS, replicates=1), model))
    return tuple(made)


def test_without_a_change_nothing_differs() -> None:
    for made, _ in honest():
        assert not compare(made.history, made.all_stories).mismatches
        assert made.differing_tables()[1] == []


# --- the changes ------------------------------------------------------------------------------------------------------


def treated_above_the_threshold(patch: Patch) -> None:
    """A result must exceed the threshold, not reach it."""
    read = PreemptiveTherapy.read

    def wrong(self: PreemptiveTherapy, sample: SampleRecord) -> None:
        at = sample.reported is Reported.QUANTIFIED and sample.load == float(self.spec.start_at)
        read(self, replace(sample, load=math.nextafter(sample.load, 0.0)) if at and not self.treated else sample)

    patch.setattr(PreemptiveTherapy, "read", wrong)


def quantified_above_the_limit(patch: Patch) -> None:
    """A load at the limit of quantification is below it."""
    read = Laboratory._read

    def wrong(self: Laboratory, load: float) -> tuple[Reported, float]:
        return (Reported.BELOW_LIMIT, math.nan) if load == float(self.spec.lloq) else read(self, load)

    patch.setattr(Laboratory, "_read", wrong)


def not_rounded(patch: Patch) -> None:
    """The laboratory reports all digits."""
    patch.setattr(monitoring, "three_digits", lambda y: y)


def truncated(patch: Patch) -> None:
    """Three digits, but cut off."""
    honest_one = monitoring.three_digits
    patch.setattr(monitoring, "three_digits", lambda y: honest_one(y * (1 - 1e-3)))


def no_washout(patch: Patch) -> None:
    """A factor ends with its window."""
    patch.setattr(Factor, "log_ratio", lambda self, t: self.within if self.window.contains(t) else 0.0)


def washout_without_steps(patch: Patch) -> None:
    """The ratio declines by the day, whatever the step."""
    fading = factors.standing_factors
    patch.setattr(factors, "standing_factors", lambda *args: tuple(replace(f, step=1.0) for f in fading(*args)))


def second_drug_starts_anew(patch: Patch) -> None:
    """A later drug waits for its lag although an earlier one acts."""
    honest_one = Replication.drug_switched

    def wrong(self: Replication) -> None:
        honest_one(self)
        if self.running is not None and self.running.falls_under_control:
            self._bend(self.running, 0.0)
            self._no_drug_acts(self.running)
            self._drug_will_act(self.clock.now + self.lag)

    patch.setattr(Replication, "drug_switched", wrong)


def switch_a_day_late(patch: Patch) -> None:
    """A load that has not fallen means a switch a day later than planned."""
    honest_one = PreemptiveTherapy._read_on_treatment

    def wrong(self: PreemptiveTherapy, sample: SampleRecord) -> None:
        spell, kept = self.spells[-1], self._reference
        young = self.clock.now - spell.start < float(self.spec.refractory_after) + 1
        if young and sample.reported is Reported.QUANTIFIED:
            self._reference = math.inf
        honest_one(self, sample)
        if young and self._reference == math.inf:
            self._reference = kept

    patch.setattr(PreemptiveTherapy, "_read_on_treatment", wrong)


def one_negative_counts_twice(patch: Patch) -> None:
    """Treatment stops one negative result too early."""
    honest_one = PreemptiveTherapy._read_on_treatment

    def wrong(self: PreemptiveTherapy, sample: SampleRecord) -> None:
        if sample.reported is not Reported.QUANTIFIED:
            self._negatives += 1
        honest_one(self, sample)

    patch.setattr(PreemptiveTherapy, "_read_on_treatment", wrong)


def no_regrowth(patch: Patch) -> None:
    """A load that was treated goes on falling after a stop."""
    honest_one = engine.Patient.__init__

    def wrong(self: Any, *args: Any, **named: Any) -> None:
        honest_one(self, *args, **named)
        begins = self.replication._expect_clearance

        def tamed(episode: Any) -> None:
            episode.regrows = False
            begins(episode)

        self.replication._expect_clearance = tamed

    patch.setattr(engine.Patient, "__init__", wrong)


def disease_waits_for_a_result(patch: Patch) -> None:
    """CMV disease brings no treatment of its own."""
    patch.setattr(PreemptiveTherapy, "cmv_disease", lambda self, episode: None)


def disease_of_the_first_load(patch: Patch) -> None:
    """The hazard of disease does not follow the load when a drug acts."""
    honest_one = CmvDisease._book

    def wrong(self: CmvDisease, episode: Any) -> None:
        if self._event is None and not episode.knots:
            honest_one(self, episode)

    patch.setattr(CmvDisease, "_book", wrong)


def letermovir_goes_on(patch: Patch) -> None:
    """Pre-emptive therapy does not end letermovir."""
    patch.setattr(LetermovirCourse, "end", lambda self, t: None)


def letermovir_a_day_short(patch: Patch) -> None:
    """It ends a day before treatment begins."""
    honest_one = LetermovirCourse.end
    patch.setattr(LetermovirCourse, "end", lambda self, t: honest_one(self, t - 1))


def cmv_spares_from_infections(patch: Patch) -> None:
    """The ratio of CMV on infections is missed."""
    honest_one = InfectionHazard.__init__

    def wrong(self: InfectionHazard, *args: Any) -> None:
        honest_one(self, *args)
        del self.by_state[Condition.CMV]

    patch.setattr(InfectionHazard, "__init__", wrong)


def severe_infections_do_not_kill(patch: Patch) -> None:
    """Their ratio on death is missed."""
    honest_one = Death.__init__

    def wrong(self: Death, *args: Any) -> None:
        honest_one(self, *args)
        del self.by_state[Condition.SEVERE_INFECTION]

    patch.setattr(Death, "__init__", wrong)


def stays_outlast_death(patch: Patch) -> None:
    """Death does not cut stays."""
    patch.setattr(engine, "end_of_use", lambda model, death: model.horizon)


def discharged_as_planned(patch: Patch) -> None:
    """Treatment does not prolong the initial stay."""
    patch.setattr(stays, "discharge", lambda model, facts, chance, illness: facts.planned_stay.stop)


def results_last(patch: Patch) -> None:
    """Of what happens at once, a result is read after a sample."""
    ranks = {rank.name: rank for rank in monitoring.Rank}
    patch.setattr(monitoring, "Rank", SimpleNamespace(**{**ranks, "RESULT": 99}))


def treatment_half_a_day_late(patch: Patch) -> None:
    """Treatment starts half a day after its delay."""
    honest_one = PreemptiveTherapy._decide

    def wrong(self: PreemptiveTherapy, time: float, episode: int, reference: float) -> None:
        honest_one(self, time + 0.5, episode, reference)

    patch.setattr(PreemptiveTherapy, "_decide", wrong)


def follow_up_ends_at_once(patch: Patch) -> None:
    """One result that is not detected ends the tests after a detection."""
    honest_one = ClinicianTesting.hear

    def wrong(self: ClinicianTesting, sample: SampleRecord) -> None:
        honest_one(self, sample)
        self.following_up = self.following_up and sample.reported is not Reported.NOT_DETECTED

    patch.setattr(ClinicianTesting, "hear", wrong)


def resistance_on_one_drug(patch: Patch) -> None:
    """Valganciclovir brings no resistance."""
    patch.setattr(strain, "GANCICLOVIRS", ("ganciclovir",))


def neutropenia_goes_unnoticed(patch: Patch) -> None:
    """The marrow suffers on intravenous ganciclovir only."""
    patch.setattr(treatment, "GANCICLOVIRS", ("ganciclovir",))


def states_add_up(patch: Patch) -> None:
    """Quality of life: states that come together all count."""
    patch.setattr(health, "WORST_OF", tuple((state,) for group in health.WORST_OF for state in group))


CHANGES: dict[str, Callable[[Patch], None]] = {
    change.__name__: change
    for change in (
        treated_above_the_threshold,
        quantified_above_the_limit,
        not_rounded,
        truncated,
        no_washout,
        washout_without_steps,
        second_drug_starts_anew,
        switch_a_day_late,
        one_negative_counts_twice,
        no_regrowth,
        disease_waits_for_a_result,
        disease_of_the_first_load,
        letermovir_goes_on,
        letermovir_a_day_short,
        cmv_spares_from_infections,
        severe_infections_do_not_kill,
        stays_outlast_death,
        discharged_as_planned,
        results_last,
        treatment_half_a_day_late,
        follow_up_ends_at_once,
        resistance_on_one_drug,
        neutropenia_goes_unnoticed,
        states_add_up,
    )
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_rule_shows(name: str, monkeypatch: Patch) -> None:
    before = honest()
    CHANGES[name](monkeypatch)
    for made, _ in before:
        changed = list(engine.stories_of(made.background, range(PATIENTS), 0))
        if compare(made.history, changed).mismatches:
            return
    pytest.fail(f"{CHANGES[name].__doc__} nobody noticed")


# --- the record -------------------------------------------------------------------------------------------------------


def dated_like_a_death(patch: Patch) -> None:
    """An end by new therapy is dated by the day that contains it."""
    honest_one = core.ending_of

    def wrong(model: Model, story: Any) -> Ending:
        end = honest_one(model, story)
        return replace(end, day=end.day + (end.reason is EndReason.NEW_THERAPY))

    patch.setattr(core, "ending_of", wrong)


def the_lost_are_known_of(patch: Patch) -> None:
    """What befalls a lost patient between the last sample and the loss is known."""
    honest_one = core.ending_of

    def wrong(model: Model, story: Any) -> Ending:
        end = honest_one(model, story)
        lost = end.reason is EndReason.LOST
        return replace(end, known=story.follow_up.lost, day=math.floor(story.follow_up.lost)) if lost else end

    patch.setattr(core, "ending_of", wrong)


def samples_of_the_dead(patch: Patch) -> None:
    """Death does not end sampling."""
    honest_one = core._of_patient
    patch.setattr(core, "_of_patient", lambda days, story, late: honest_one(days, replace(story, death=math.inf), late))


def infections_are_alike(patch: Patch) -> None:
    """All infections are written down with one grade."""
    patch.setattr(clinical, "GRADE_OF_SEVERE", clinical.GRADE_OF_OTHERS)


def moves_at_midnight(patch: Patch) -> None:
    """What begins at the very end of a day begins on that day."""
    patch.setattr(clinical, "first_day", lambda span: math.ceil(span.start))


def discharge_is_told(patch: Patch) -> None:
    """Days in hospital are cut where the planned stay would have ended."""
    patch.setattr(clinical, "HOSPITAL", ())


def research_on_its_own_day(patch: Patch) -> None:
    """Research samples have visits of their own."""
    patch.setattr(research, "NEAR", -1)


def mildest_change(patch: Patch) -> None:
    """A known polymorphism hides what else a gene shows."""
    patch.setattr(research, "WRITTEN", {**research.WRITTEN, "known_resistance": Change.POLYMORPHISM})


def missing_questionnaires_are_forgotten(patch: Patch) -> None:
    """A questionnaire that was not filled in is no row."""
    honest_one = research.questionnaires

    def wrong(case: Case) -> Questionnaires | None:
        filled = [replace(s, questionnaires=tuple(q for q in s.questionnaires if q.levels)) for s in case.stories]
        return honest_one(replace(case, stories=filled))

    patch.setattr(research, "questionnaires", wrong)


RECORDS = (
    dated_like_a_death,
    the_lost_are_known_of,
    samples_of_the_dead,
    infections_are_alike,
    moves_at_midnight,
    discharge_is_told,
    research_on_its_own_day,
    mildest_change,
    missing_questionnaires_are_forgotten,
)


@pytest.mark.parametrize("change", RECORDS, ids=lambda change: change.__name__)
def test_a_changed_record_shows_in_the_tables(change: Callable[[Patch], None], monkeypatch: Patch) -> None:
    before = honest()
    change(monkeypatch)
    assert any(made.differing_tables()[1] for made, _ in before)
