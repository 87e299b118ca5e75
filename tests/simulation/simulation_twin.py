"""A slow second account of one patient's CMV course, event by event, written from the statement of the model.

It shares with the engine the specifications, the random variates and the inverse-CDF maps of `Between`; everything that
unfolds in time is written here again, with an agenda of absolute times and ranks instead of one state vector.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

INF = math.inf
RESULT, STOP, START, ACT, CLEAR, ONSET, SAMPLE = range(7)  # ranks of simultaneous events
MISSED, UNDETECTED, LOW, NUMBER = range(4)


@dataclass(frozen=True)
class Course:
    """A course of a toxicity drug and what it does to the hazard of onset."""

    start: float
    stop: float
    ratio: float
    washout: float
    step: float

    def changes(self) -> list[float]:
        """All times at which the ratio may change."""
        if math.isinf(self.start):
            return []
        steps = []
        k = 1
        while k * self.step < self.washout:
            steps.append(self.stop + k * self.step)
            k += 1
        return [self.start, self.stop, *steps, self.stop + self.washout]

    def factor(self, low: float, high: float) -> float:
        """Ratio on a piece between two neighbouring changes, looked up at its middle."""
        middle = (low + high) / 2
        if middle < self.start or middle > self.stop + self.washout:
            return 1.0
        if middle < self.stop:
            return self.ratio
        whole_steps = math.floor((middle - self.stop) / self.step)
        return self.ratio ** (1 - whole_steps * self.step / self.washout)


@dataclass(frozen=True)
class Law:
    """The onset hazard of one patient: amplitude x Weibull density x courses."""

    amplitude: float
    origin: float
    median: float
    shape: float
    courses: tuple[Course, ...]

    @property
    def scale(self) -> float:
        return self.median / math.log(2) ** (1 / self.shape)

    def cumulative_share(self, t: float) -> float:
        """F(t) of the onset-time law."""
        return -math.expm1(-((max(t - self.origin, 0.0) / self.scale) ** self.shape))

    def pieces(self, low: float, high: float) -> list[tuple[float, float, float]]:
        """(from, to, ratio) between changes."""
        cuts = sorted({low, high, *(c for course in self.courses for c in course.changes() if low < c < high)})
        return [(a, b, math.prod(course.factor(a, b) for course in self.courses)) for a, b in itertools.pairwise(cuts)]

    def spent(self, low: float, high: float, factor: float) -> float:
        """Cumulative hazard."""
        return math.fsum(
            factor * self.amplitude * ratio * (self.cumulative_share(b) - self.cumulative_share(a))
            for a, b, ratio in self.pieces(low, high)
        )

    def reach(self, low: float, high: float, factor: float, clock: float) -> float:
        """Time at which the clock is spent, +inf if not before `high`."""
        left = clock
        for a, b, ratio in self.pieces(low, high):
            rate = factor * self.amplitude * ratio
            whole = rate * (self.cumulative_share(b) - self.cumulative_share(a))
            if whole >= left and rate > 0:
                share = min(self.cumulative_share(a) + left / rate, 1.0)
                if share == 1.0:
                    return b
                return min(max(self.origin + self.scale * (-math.log1p(-share)) ** (1 / self.shape), a), b)
            left -= whole
        return INF


@dataclass
class Episode:
    """One episode: its natural course and the bounds that treatment sets."""

    onset: float
    start: float
    growth: float
    peak: float
    plateau_end: float
    decay: float
    treated_decay: float
    regrows: bool
    clear: float = INF
    bounds: list[tuple[float, float, float]] = field(default_factory=list)

    def natural(self, t: float) -> float:
        up = min(self.start + self.growth * (t - self.onset), self.peak)
        return up if t <= self.plateau_end else min(up, self.peak - self.decay * (t - self.plateau_end))

    def load(self, t: float) -> float:
        free = self.natural(t)
        bound = [b for b in self.bounds if b[0] <= t]
        return min(free, bound[-1][1] + bound[-1][2] * (t - bound[-1][0])) if bound else free

    def end(self) -> float:
        """Clearance if nothing else happens."""
        ends = [self.plateau_end + (self.peak - self.start) / self.decay] if math.isfinite(self.plateau_end) else [INF]
        if self.bounds and self.bounds[-1][2] < 0:
            t, value, slope = self.bounds[-1]
            ends.append(t + max(value - self.start, 0.0) / -slope)
        return min(ends)


@dataclass
class Traits:
    """Everything chance decides for one patient."""

    law: Law
    first_onset: float
    growth: float
    offset: float
    steroids_from: float
    monitored_until: float
    clocks: list[float]
    set_points: list[float]
    plateaus: list[float]
    self_limited: list[float]
    decays: list[float]
    treated_decays: list[float]
    accepted: list[bool]
    regrows: list[bool]
    visits: list[float]
    noise: list[float]


@dataclass
class Told:
    """What the twin says happened."""

    episodes: list[Episode] = field(default_factory=list)
    courses: list[list[float]] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    margins: list[float] = field(default_factory=list)
    branches: set[str] = field(default_factory=set)


class Patient:
    """One patient walking through an agenda."""

    def __init__(self, model: Model, x: Traits) -> None:
        self.m, self.x, self.told = model, x, Told()
        self.agenda: dict[int, float] = {}
        self.results: list[tuple[float, int, float, int]] = []
        self.on_drug = False
        self.drug_since = 0.0
        self.negatives = 0
        self.open: Episode | None = None
        self.waiting_since, self.clock = 0.0, INF
        self.visit = 0
        if x.first_onset < INF:
            self.agenda[ONSET] = x.first_onset

    def run(self) -> Told:
        horizon = self.m.horizon
        while True:
            while self.visit < len(self.x.visits) and math.isnan(self.x.visits[self.visit]):
                self.told.codes.append(MISSED)
                self.told.loads.append(math.nan)
                self.visit += 1
            events = [(t, rank) for rank, t in self.agenda.items()]
            if self.results:
                events.append((self.results[0][0], RESULT))
            if self.visit < len(self.x.visits):
                events.append((self.x.visits[self.visit], SAMPLE))
            events = [event for event in events if event[0] <= horizon]
            if not events:
                return self.told
            t, rank = min(events)
            self.agenda.pop(rank, None)
            (self.result, self.stop, self.start, self.act, self.clear, self.onset, self.sample)[rank](t)

    # -- CMV ---------------------------------------------------------------------------------------------------
    def onset(self, t: float) -> None:
        k, load, x = len(self.told.episodes), self.m.cmv.load, self.x
        v0 = float(load.start_log10)
        level = x.set_points[k]
        if x.steroids_from < t + max(level - v0, 0.0) / x.growth:
            level += float(load.set_point_shift.corticosteroids)
            self.told.branches.add("shifted")
        share, slope = float(load.self_limited.share), float(load.self_limited.slope)
        p = 1 / (1 + (1 - share) / share * math.exp(-slope * (level - load.set_point.centre)))
        peak = max(level, v0)
        ends = x.self_limited[k] < p
        self.told.margins.append(abs(x.self_limited[k] - p))
        top = t + (peak - v0) / x.growth
        episode = Episode(
            t, v0, x.growth, peak, top + x.plateaus[k] if ends else INF, x.decays[k], x.treated_decays[k], x.regrows[k]
        )
        self.told.episodes.append(episode)
        self.open = episode
        if self.on_drug:
            self.told.branches.add("breakthrough")
            self.agenda[ACT] = t + float(load.treated.lag)
        self.agenda[CLEAR] = episode.end()

    def clear(self, t: float) -> None:
        assert self.open is not None
        self.told.branches.add("cleared on drug" if self.on_drug else "cleared off drug")
        self.open.clear, self.open = t, None
        self.agenda.pop(ACT, None)
        k = len(self.told.episodes)
        self.waiting_since, self.clock = t, INF
        if k < len(self.x.clocks):
            self.clock = self.x.clocks[k]
            self.await_onset()

    def factor(self) -> float:
        onset = self.m.cmv.onset
        return float(onset.re_episode) * (float(onset.ratios.antiviral) if self.on_drug else 1.0)

    def await_onset(self) -> None:
        t = self.x.law.reach(self.waiting_since, self.m.horizon, self.factor(), self.clock)
        self.agenda[ONSET] = t

    def switch(self, t: float, on: bool) -> None:
        """A patient between episodes has spent part of the clock; the rest is spent at the new rate."""
        waits = self.open is None and self.clock < INF
        if waits:
            self.clock -= self.x.law.spent(self.waiting_since, t, self.factor())
            self.waiting_since = t
        self.on_drug = on
        if waits:
            self.told.branches.add("waits through a switch")
            self.await_onset()

    # -- care --------------------------------------------------------------------------------------------------
    def sample(self, t: float) -> None:
        plan = self.m.monitoring
        code, value = UNDETECTED, math.nan
        if self.open is not None:
            log10 = self.open.load(t) + self.x.offset + float(plan.assay_sd_log10) * self.x.noise[self.visit]
            rounded = float(f"{10**log10:.2e}")
            for cut in (float(plan.lod), float(plan.lloq), float(self.m.treatment.start_at)):
                self.told.margins.append(abs(rounded - cut) / cut if rounded != cut else INF)
            if rounded >= float(plan.lloq):
                code, value = NUMBER, rounded
            elif rounded >= float(plan.lod):
                code = LOW
        self.told.codes.append(code)
        self.told.loads.append(value)
        after = self.results[-1][0] if self.results else -INF
        self.results.append((max(t + float(plan.turnaround), after), code, value, len(self.told.episodes) - 1))
        self.visit += 1

    def result(self, t: float) -> None:
        _, code, value, k = self.results.pop(0)
        if t > self.x.monitored_until:
            self.told.branches.add("result after the end of monitoring")
            return
        care = self.m.treatment
        if self.on_drug:
            self.negatives = self.negatives + 1 if code != NUMBER else 0
            enough = self.negatives >= float(care.stop_after.negatives)
            if enough and t - self.drug_since >= float(care.stop_after.minimum_days):
                self.told.branches.add("stopped on results")
                self.stop(t)
        elif START not in self.agenda and code == NUMBER and value >= float(care.start_at):
            if self.x.accepted[k]:
                self.agenda[START] = t + float(care.delay)
            else:
                self.told.branches.add("not accepted")

    def start(self, t: float) -> None:
        self.switch(t, True)
        self.drug_since, self.negatives = t, 0
        self.told.courses.append([t, math.nan])
        self.told.branches.add("restart" if len(self.told.courses) > 1 else "start")
        self.agenda[STOP] = t + float(self.m.treatment.stop_after.maximum_days)
        if self.open is not None:
            self.agenda[ACT] = t + float(self.m.cmv.load.treated.lag)
        else:
            self.told.branches.add("started when cleared")

    def act(self, t: float) -> None:
        assert self.open is not None
        self.open.bounds.append((t, self.open.load(t), -self.open.treated_decay))
        self.agenda[CLEAR] = self.open.end()

    def stop(self, t: float) -> None:
        self.switch(t, False)
        self.told.courses[-1][1] = t
        self.agenda.pop(STOP, None)
        if self.agenda.pop(ACT, None) is not None:
            self.told.branches.add("stopped before it acted")
        if self.open is not None and self.open.bounds and self.open.bounds[-1][2] < 0:
            if self.open.regrows:
                self.told.branches.add("regrowth")
                self.open.bounds.append((t, self.open.load(t), self.open.growth))
                self.agenda[CLEAR] = self.open.end()
            else:
                self.told.branches.add("stopped while replicating, decays")


def traits(
    model: Model,
    draws: ChunkDraws,
    i: int,
    windows: dict[str, tuple[float, float]],
    score: float,
    prior_hct: bool,
    monitored_until: float,
) -> Traits:
    """What chance gives patient `i` (flat index), from the named draws."""
    onset, load, plan = model.cmv.onset, model.cmv.load, model.monitoring
    episodes = int(float(onset.episodes))
    ln2 = math.log10(2.0)

    def normal(law: object, name: str, k: int = 0) -> float:
        return float(law.of_normal(draws(name, k))[i])  # type: ignore[attr-defined]

    ratios = onset.ratios
    amplitude = model.baseline.onset_amplitude * float(ratios.score) ** score
    amplitude *= float(ratios.prior_allogeneic_hct) if prior_hct else 1.0
    courses = tuple(
        Course(
            *windows[drug],
            float(getattr(ratios, drug)),
            float(getattr(model.toxicity, drug).washout),
            float(model.toxicity.washout_step),
        )
        for drug in ("corticosteroids", "tocilizumab")
    )
    law = Law(amplitude, model.inclusion_day, model.baseline.onset_median, float(onset.shape), courses)
    if draws("cmv.prevalent")[i] < float(onset.prevalent):
        first = model.inclusion_day - float(onset.prevalent_age) * float(draws("cmv.prevalent_age")[i])
    else:
        first = law.reach(model.inclusion_day, model.horizon, 1.0, float(draws("cmv.onset", 0)[i]))
    matrix = model.cmv.matrices[plan.matrix.value].offset
    visits = []
    for day in plan.days:
        when = float(day)
        if day > 0:
            j = float(plan.jitter)
            when += math.floor(draws("monitoring.jitter", day % 2**32)[i] * (2 * j + 1)) - j if j else 0.0
            missed = draws("monitoring.attendance", day % 2**32)[i] >= float(plan.attendance)
            when = math.nan if missed or when > monitored_until else when
        visits.append(when)
    by_score = float(load.set_point_shift.score) * score
    each = range(episodes)
    return Traits(
        law=law,
        first_onset=first,
        growth=ln2 / normal(load.doubling_time, "cmv.doubling_time"),
        offset=normal(matrix, "cmv.matrix_offset"),
        steroids_from=windows["corticosteroids"][0],
        monitored_until=monitored_until,
        clocks=[float(draws("cmv.onset", k)[i]) for k in each],
        set_points=[normal(load.set_point, "cmv.set_point", k) + by_score for k in each],
        plateaus=[normal(load.plateau, "cmv.plateau", k) for k in each],
        self_limited=[float(draws("cmv.self_limited", k)[i]) for k in each],
        decays=[ln2 / normal(load.decay_half_life, "cmv.decay", k) for k in each],
        treated_decays=[ln2 / normal(load.treated.half_life, "treatment.half_life", k) for k in each],
        accepted=[bool(draws("treatment.accepted", k)[i] < float(model.treatment.accepted)) for k in each],
        regrows=[bool(draws("treatment.regrowth", k)[i] < float(load.treated.regrowth)) for k in each],
        visits=visits,
        noise=[float(draws("monitoring.noise", day % 2**32)[i]) for day in plan.days],
    )


def first_reaching(told: Told, level: float, horizon: float) -> float:
    """First time at which the load is at or above a level, by looking at every bend of the realised course."""
    for episode in told.episodes:
        end = min(episode.clear, horizon)
        top = episode.onset + (episode.peak - episode.start) / episode.growth
        bends = {episode.onset, top, episode.plateau_end, end, *(b[0] for b in episode.bounds)}
        for t, value, slope in episode.bounds:  # where a bound crosses a piece of the natural course
            for a_t, a_value, a_slope in (
                (episode.onset, episode.start, episode.growth),
                (top, episode.peak, 0.0),
                (episode.plateau_end, episode.peak, -episode.decay),
            ):
                if math.isfinite(a_t) and slope != a_slope:
                    bends.add(((a_value - a_slope * a_t) - (value - slope * t)) / (slope - a_slope))
        cuts = sorted(b for b in bends if episode.onset <= b <= end)
        for a, b in zip(cuts, cuts[1:] or cuts, strict=False):
            low, high = episode.load(a), episode.load(b)
            if low >= level:
                return a
            if high >= level:
                return a + (level - low) / (high - low) * (b - a)
    return INF


def compare_arrays(mine: float, engine: float) -> bool:
    """Equal to 1e-9 days, both absent, or both infinite."""
    if math.isnan(mine) or math.isnan(engine):
        return math.isnan(mine) and math.isnan(engine)
    if math.isinf(mine) or math.isinf(engine):
        return mine == engine
    return abs(mine - engine) <= 1e-9


def flat(view: np.ndarray) -> np.ndarray:
    """(R, N, ...) to patient-major (P, ...)."""
    swapped = np.swapaxes(view, 0, 1)
    return swapped.reshape(-1, *swapped.shape[2:])
