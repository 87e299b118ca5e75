"""CMV in the patient: waiting for an episode, its onset, its clearance, and what drugs do to it (model.md 5, 6, 8)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.clock import Appointment, Clock, Rank
from cmvsim.simulation.pathway.conditions import Condition, Conditions
from cmvsim.simulation.pathway.disease import CmvDisease
from cmvsim.simulation.pathway.episode import Episode, new_episode
from cmvsim.simulation.pathway.factors import OnsetHazard
from cmvsim.simulation.pathway.facts import Chance, Facts
from cmvsim.simulation.pathway.prophylaxis import LetermovirCourse


class Replication:
    """The CMV of one patient.

    Attributes
    ----------
    episodes
        All so far; the last one may be running.
    disease
        Spent while an episode runs.
    """

    def __init__(
        self,
        model: Model,
        facts: Facts,
        chance: Chance,
        clock: Clock,
        conditions: Conditions,
        letermovir: LetermovirCourse,
        disease: CmvDisease,
    ) -> None:
        self.model = model
        self.facts = facts
        self.chance = chance
        self.clock = clock
        self.conditions = conditions
        self.letermovir = letermovir
        self.disease = disease
        self.episodes: list[Episode] = []
        self.hazard = OnsetHazard(model, facts)
        self.lag = float(model.cmv.load.treated.lag)
        self.on_antiviral = False
        self.first_spell = False
        self._left: float | None = None  # of the exponential of the episode waited for; None: not waiting
        self._since = -math.inf
        self._onset: Appointment | None = None
        self._action: Appointment | None = None
        self._clearance: Appointment | None = None

    @property
    def running(self) -> Episode | None:
        """The episode that runs now."""
        last = self.episodes[-1] if self.episodes else None
        return last if last is not None and last.cleared == math.inf else None

    # Waiting ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to wait at inclusion, unless an episode was open by then already."""
        spec = self.model.cmv.onset
        if not self.facts.seropositive:
            return
        inclusion = self.model.inclusion_day
        if self.chance("cmv.prevalent") < float(spec.prevalent):
            begun = inclusion - float(spec.prevalent_age) * self.chance("cmv.prevalent_age")
            self.clock.book(begun, Rank.ONSET, self._begins)
        elif float(spec.episodes) > 0:
            self._wait(inclusion)

    def _wait(self, since: float) -> None:
        self._left = self.chance("cmv.onset", len(self.episodes))
        self._since = since
        self._expect()

    def _ratio(self) -> float:
        """What multiplies the hazard of a further episode, and of it alone."""
        spec = self.model.cmv.onset
        if not self.episodes:
            return 1.0
        return float(spec.re_episode) * (float(spec.ratios.antiviral) if self.on_antiviral else 1.0)

    def _expect(self) -> None:
        assert self._left is not None
        time = self.hazard.when_spent(self._left, self._since, self.letermovir.factors, self._ratio())
        self._onset = self.clock.book(time, Rank.ONSET, self._begins) if math.isfinite(time) else None

    @contextmanager
    def _rate_changes(self) -> Iterator[None]:
        """What was spent until now is taken off at the old rate; the rest is spent at the new one."""
        waiting, now = self._left is not None, self.clock.now
        if waiting:
            assert self._left is not None
            spent = self.hazard.spent(self._since, now, self.letermovir.factors, self._ratio())
            self._left, self._since = max(self._left - spent, 0.0), max(now, self._since)
            if self._onset is not None:
                self._onset.cancel()
        yield
        if waiting:
            self._expect()

    # Onset and clearance ----------------------------------------------------------------------------------------------

    def _begins(self) -> None:
        now = self.clock.now
        self._left = self._onset = None
        shift = self.letermovir.set_point_shift(now)
        episode = new_episode(self.model, self.facts, self.chance, len(self.episodes), now, shift)
        self.episodes.append(episode)
        self.conditions.begin(Condition.CMV)
        if self.on_antiviral and not (self.first_spell and episode.refractory):
            self._drug_will_act(now + self.lag)
        self._expect_clearance(episode)
        self.disease.expect(episode)

    def _expect_clearance(self, episode: Episode) -> None:
        if self._clearance is not None:
            self._clearance.cancel()
        time = episode.clearance()
        self._clearance = self.clock.book(time, Rank.CLEARANCE, self._clears) if math.isfinite(time) else None

    def _clears(self) -> None:
        episode = self.running
        assert episode is not None
        self.disease.pause(episode)
        episode.cleared = self.clock.now
        self._clearance = None
        self._no_drug_acts(episode)
        self.conditions.end(Condition.CMV)
        if len(self.episodes) < float(self.model.cmv.onset.episodes):
            self._wait(self.clock.now)

    # What treatment does ----------------------------------------------------------------------------------------------

    def treatment_starts(self, *, ends_letermovir: bool) -> None:
        """The first spell of a treatment begins, and letermovir may end with it."""
        with self._rate_changes(), self.disease.rate_changes(self.running):
            self.on_antiviral = self.first_spell = True
            if ends_letermovir:
                self.letermovir.end(self.clock.now)
        episode = self.running
        if episode is not None and not episode.refractory:
            self._drug_will_act(self.clock.now + self.lag)

    def drug_switched(self) -> None:
        """A later spell of the treatment begins: it acts unless the load falls under control or a drug will act."""
        self.first_spell = False
        episode = self.running
        if episode is not None and not episode.falls_under_control and episode.acts_from == math.inf:
            self._drug_will_act(self.clock.now + self.lag)

    def treatment_stops(self) -> None:
        """No drug any more: a load under control regrows, or goes on falling."""
        with self._rate_changes():
            self.on_antiviral = self.first_spell = False
        episode = self.running
        if episode is None:
            return
        self._no_drug_acts(episode)
        if episode.falls_under_control and episode.regrows:
            self._bend(episode, episode.growth)

    def _drug_will_act(self, time: float) -> None:
        episode = self.running
        assert episode is not None
        episode.acts_from = time
        self._action = self.clock.book(time, Rank.DRUG_ACTS, lambda: self._bend(episode, -episode.decay_treated))

    def _no_drug_acts(self, episode: Episode) -> None:
        episode.acts_from = math.inf
        if self._action is not None:
            self._action.cancel()
            self._action = None

    def _bend(self, episode: Episode, slope: float) -> None:
        with self.disease.rate_changes(episode):
            episode.bend(self.clock.now, slope)
        self._expect_clearance(episode)
