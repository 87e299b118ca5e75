"""Running both accounts of a chunk, and what differs between them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from simulation_twin import Told
from simulation_twin_care import Patient
from simulation_twin_traits import Chance, traits

from cmvsim.core.streams import Role
from cmvsim.models.history import History
from cmvsim.simulation.background import Background
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

DAY = 1e-9
LOG10 = 1e-9
MARGIN = 1e-11
"""Decisions that hang on less than this may fall either way."""
REPLICATES = 8


def flat(view: np.ndarray) -> np.ndarray:
    """(R, N, ...) to patient-major (P, ...)."""
    swapped = np.swapaxes(view, 0, 1)
    return swapped.reshape(-1, *swapped.shape[2:])


def both(
    model: Model, seed: int, patients: int, *, strategies: Sequence[str] = (), never_lost: bool = False, cmv: bool = True
) -> tuple[History, list[Told]]:
    """The engine's history of a chunk and the twin's account of each of its patients (8 replicates)."""
    draws = ChunkDraws(seed, Role.STUDY, 0, patients, REPLICATES)
    size = patients * REPLICATES
    arm = np.arange(size) % len(strategies) if len(strategies) > 1 else None
    one = strategies[0] if len(strategies) == 1 else (strategies or None)
    engine = simulate(model, draws, path=True, never_lost=never_lost, strategy=one, arm=arm, cmv=cmv)
    plans = tuple(model.strategies[name] for name in strategies)
    with_drug = any(plan.prophylaxis != "none" for plan in plans)
    background = Background(model, draws, never_lost, plans if with_drug else (), arm if with_drug else None)
    chance = Chance(model, draws, background)
    told = [Patient(model, traits(chance, i, full_attendance=never_lost)).run() if cmv else Told() for i in range(size)]
    return engine, told


def _padded(values: Sequence[float], size: int, fill: float) -> list[float]:
    return [*values, *[fill] * (size - len(values))]


def _same(mine: Sequence[float], engine: np.ndarray, fill: float, tolerance: float) -> bool:
    """Equal up to a tolerance, the same in what is missing or infinite, and nothing beyond what the engine holds."""
    if len(mine) > engine.size:
        return False
    ours = np.array(_padded(mine, engine.size, fill), dtype=np.float64)
    finite = np.isfinite(ours)
    if not np.array_equal(finite, np.isfinite(engine)):
        return False
    return bool(np.all(np.abs(ours[finite] - engine[finite]) <= tolerance)) and np.array_equal(
        ours[~finite], engine[~finite], equal_nan=True
    )


def _text(values: Sequence[float] | np.ndarray) -> list[float]:
    return [round(float(t), 9) for t in values if math.isfinite(t)]


class Comparison:
    """The engine's arrays, patient-major, held against the twin's patients."""

    def __init__(self, model: Model, engine: History) -> None:
        e, s, t, d, p = engine.episodes, engine.samples, engine.treatment, engine.disease, engine.prophylaxis
        assert e is not None
        assert s is not None
        assert t is not None
        assert d is not None
        self.model, self.visits, self.letermovir = model, s.visits, p
        self.test_days = model.monitoring.clinical_days(model.inclusion_day)
        self.v0 = e.start_log10
        self.episodes = {
            "onset": (flat(e.onset), math.nan, DAY),
            "peak": (flat(e.peak), math.nan, LOG10),
            "plateau_end": (flat(e.plateau_end), math.nan, DAY),
            "decay": (flat(e.decay), math.nan, LOG10),
            "clear": (flat(e.clear), math.inf, DAY),
        }
        self.knots = [flat(getattr(e, f"knot_{name}")) for name in ("time", "log10", "slope", "episode")]
        self.samples = [flat(getattr(s, name)) for name in ("time", "result", "load", "extra")]
        self.treatments = flat(t.start), flat(t.stop)
        self.spells = flat(t.drug), flat(t.drug_start), flat(t.drug_stop)
        self.alone = {
            "neutropenia": flat(t.neutropenia),
            "neutropenia_stop": flat(t.neutropenia_stop),
            "kidney_injury": flat(t.kidney_injury),
            "disease": flat(d.time),
            "organ": flat(d.organ),
        }

    def differences(self, told: Sequence[Told]) -> list[str]:
        """One text for each patient who differs."""
        found = []
        for i, mine in enumerate(told):
            wrong = [*self._course(i, mine), *self._care(i, mine), *self._samples(i, mine)]
            if wrong and min(mine.margins, default=1.0) >= MARGIN:
                found.append(f"patient {i}: " + "; ".join(wrong))
        return found

    def _course(self, i: int, mine: Told) -> list[str]:
        wrong = []
        for name, (engine, fill, tolerance) in self.episodes.items():
            ours = [getattr(episode, name) for episode in mine.episodes]
            theirs = engine[i][: len(ours)] if name not in {"onset", "clear"} else engine[i]
            if not _same(ours, theirs, fill, tolerance):
                wrong.append(f"{name} twin {_text(ours)} engine {_text(engine[i])}")
        ours = [(*knot, float(k)) for k, episode in enumerate(mine.episodes) for knot in episode.knots]
        for part, name in enumerate(("knot time", "knot value", "knot slope", "knot episode")):
            values = [knot[part] for knot in ours]
            fill = math.nan if part < 3 else -1.0
            if not _same(values, self.knots[part][i].astype(np.float64), fill, DAY):
                wrong.append(f"{name} twin {_text(values)} engine {_text(self.knots[part][i])}")
        return wrong

    def _care(self, i: int, mine: Told) -> list[str]:
        wrong = []
        for part, name in enumerate(("start", "stop")):
            ours = [treatment[part] for treatment in mine.treatments]
            if not _same(ours, self.treatments[part][i], math.nan, DAY):
                wrong.append(f"{name} twin {_text(ours)} engine {_text(self.treatments[part][i])}")
            ours = [spell[part] for _, spell in mine.spells]
            if not _same(ours, self.spells[1 + part][i], math.nan, DAY):
                wrong.append(f"drug {name} twin {_text(ours)} engine {_text(self.spells[1 + part][i])}")
        drugs = [float(drug) for drug, _ in mine.spells]
        if not _same(drugs, self.spells[0][i].astype(np.float64), 0.0, 0.0):
            wrong.append(f"drugs twin {drugs} engine {_text(self.spells[0][i])}")
        alone = (*mine.neutropenia, mine.kidney_injury, mine.disease, float(mine.organ))
        for value, (name, engine) in zip(alone, self.alone.items(), strict=True):
            if not _same([value], engine[i : i + 1].astype(np.float64), math.nan, DAY):
                wrong.append(f"{name} twin {value} engine {engine[i]}")
        if self.letermovir is not None:
            theirs = np.array([self.letermovir.start[i], self.letermovir.stop[i]])
            if not _same(mine.letermovir, theirs, math.inf, DAY):
                wrong.append(f"letermovir twin {mine.letermovir} engine {theirs.tolist()}")
        return wrong

    def _samples(self, i: int, mine: Told) -> list[str]:
        time, result, load, extra = (array[i] for array in self.samples)
        keys = [("visit", v) for v in range(self.visits)] + [("test", day) for day in self.test_days]
        assert len(keys) == time.size
        wrong = []
        for column, key in enumerate(keys):
            t, code, value, more = mine.samples.get(key, (math.nan, 0, math.nan, False))
            theirs = (float(time[column]), int(result[column]), float(load[column]), bool(extra[column]))
            if not np.array_equal([t, code, value, more], theirs, equal_nan=True):
                wrong.append(f"sample {key} twin {(t, code, value, more)} engine {theirs}")
        return wrong[:3]
