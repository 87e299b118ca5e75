"""The whole model for tests: a scenario in which everything happens often, and histories as comparable tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

import numpy as np
from simulation_build import STRESS

from cmvsim.calibration.quality_of_life import convert
from cmvsim.core.ledger import Ledger
from cmvsim.core.streams import Role
from cmvsim.models.baseline import Baseline
from cmvsim.models.history import History
from cmvsim.models.strategies import LetermovirEffect
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import ALL, simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model

REPLICATES = 64
CLINICAL = (
    "monitoring.clinical={ phases = [{ start = -5, odds = 0.03 }, { start = 30, odds = 0.02 }], inpatient = 3, "
    "corticosteroids = 2, crs = 2, neutropenia = 1.5, score = 1.5, follow_up_every = 7, between_visits = true }"
)
RICH = (  # every process has something to do, in nearly everybody
    *STRESS,
    "monitoring.schedule=[{ every = 7, to = 42 }, { every = 14, to = 84 }, { at = 90 }, { every = 14, to = 174 }]",
    "monitoring.baseline=[0]",
    "monitoring.assay_sd_between_sites=0.2",
    CLINICAL,
    "population.retrospective_share=0.3",
    "population.seropositive_enrolled=0.8",
    "population.sites=3",
    "cmv.load.treated.refractory=0.3",
    "cmv.disease.hazard=0.01",
    "preemptive_therapy.accepted=0.8",
    "preemptive_therapy.confirmations=0",
    "preemptive_therapy.first_line={ valganciclovir = 0.5, ganciclovir = 0.3, foscarnet = 0.2 }",
    "preemptive_therapy.refractory_after=7",
    "preemptive_therapy.stop_after={ negatives = 2, minimum_days = 7, maximum_days = 40 }",
    "preemptive_therapy.toxicity.neutropenia.probability=0.5",
    "preemptive_therapy.toxicity.kidney_injury.probability=0.5",
    "resistance.ganciclovir.change=0.3",
    "resistance.letermovir=0.4",
    "letermovir.disease_ratio=0.5",
    "follow_up.lost_by_90=0.1",
    "follow_up.withdrawn_by_90=0.1",
    "follow_up.death_ratios={ clinically_significant = 1.5, disease = 4, severe_infection = 10 }",
    "follow_up.death_ratios={ severe_toxicity = 2, score = 1.3 }",
)
CMV_ACTS_ON_NOTHING = (
    *(f"infections.{kind}.ratios.{name}=1" for kind in ("bacterial", "fungal") for name in ("cmv", "neutropenia")),
    "follow_up.death_ratios.clinically_significant=1",
    "follow_up.death_ratios.disease=1",
)
STRATEGIES = ("preemptive", "universal", "risk_selected", "steroid_triggered", "ttv_guided")
BASELINE = Baseline(3.0, 20.0, (1e-3,) * 3, (8e-3,) * 3, (0.02, 0.008), (0.004, 0.002), letermovir=LetermovirEffect(0.3, -0.8))


@cache
def rich(*overrides: str, scenario: str = "letermovir-strategies") -> Model:
    """The model, with quality of life."""
    spec = resolve(scenario, (*RICH, *overrides)).spec
    return Model.of(spec, BASELINE, convert(spec.quality_of_life))


def chance(patients: int, seed: int = 3) -> ChunkDraws:
    """One chunk."""
    return ChunkDraws(seed, Role.STUDY, 0, patients)


def whole(of: Model, patients: int, **more: Any) -> History:
    """All processes, with the path."""
    return simulate(of, more.pop("draws", None) or chance(patients), needs=more.pop("needs", ALL), path=True, **more)


# -- tables ------------------------------------------------------------------------------------------------------
LAZY = {
    "population": (
        "stratum product age female score prior_allogeneic_hct lymphocytes hematotox_high seropositive aciclovir "
        "retrospective site"
    ),
    "kinetics": "expansion cmax tmax fold contraction persistent_share persistence",
    "toxicity": "crs_grade icans_grade crs icans severe_crs severe_icans neutropenia courses",
    "virome": "anellovirus pegivirus redondovirus",
}
PER_PATIENT = ("observation", "episodes", "samples", "treatment", "disease", "death")
ABSENT = {"treatment.drug": 0, "episodes.knot_episode": -1}  # codes of what there is none of
MOST = 48  # rows to which what is as long as the chunk's longest is filled up


def facts(h: History) -> dict[str, np.ndarray]:
    """Everything in a history as arrays with the patients (P = N x R, patient-major) last."""
    found: dict[str, np.ndarray] = {}
    size = h.patients * h.replicates
    for part, names in LAZY.items():
        for name in names.split():
            found |= _flat(f"{part}.{name}", getattr(getattr(h, part), name), size)
    found["virome.first_high"] = h.virome.first_high()
    found["virome.acquired"] = np.stack([h.virome.acquired(virus) for virus in ("anellovirus", "pegivirus")])
    for part in (f.name for f in fields(h)):
        value = getattr(h, part)
        if part in LAZY or value is None:
            continue
        if part in PER_PATIENT:
            for key, raw in _arrays(part, value):
                array = np.where(raw == ABSENT[key], np.inf, raw) if key in ABSENT else raw
                if array.ndim >= 2 and array.shape[:2] == (h.replicates, h.patients):
                    found[key] = _padded(np.moveaxis(array, (0, 1), (-1, -2)).reshape(*array.shape[2:], size))
        elif isinstance(value, Ledger):
            for component, totals in enumerate(value.totals_by_item()):
                found[f"ledger.{component}"] = totals
        else:
            found |= _flat(part, value, size)
    return found


def _flat(part: str, value: Any, size: int) -> dict[str, np.ndarray]:
    return {key: _padded(array) for key, array in _arrays(part, value) if array.shape and array.shape[-1] == size}


def _arrays(part: str, value: Any) -> Iterator[tuple[str, np.ndarray]]:
    if isinstance(value, np.ndarray):
        yield part, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _arrays(f"{part}.{name}", inner)
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            inner = getattr(value, f.name, None)
            if isinstance(inner, np.ndarray) or (is_dataclass(inner) and "spec" not in f.name):
                yield from _arrays(f"{part}.{f.name}", inner)


def _padded(array: np.ndarray) -> np.ndarray:
    """Missing values in one form, and rows as many as in any other chunk."""
    array = array.astype(np.float64)
    array = np.where(np.isfinite(array), array, np.inf)
    if array.ndim == 2 and array.shape[0] < MOST:
        array = np.concatenate([array, np.full((MOST - array.shape[0], array.shape[1]), np.inf)])
    return array


def differing(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], who: np.ndarray | slice = slice(None)) -> set[str]:
    """Names of what is not the same, bit for bit, in both histories, for the patients `who`."""
    return {key for key in a.keys() & b.keys() if not _same(a[key][..., who], b[key][..., who])}


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and bool(np.array_equal(a, b))


def parts(names: set[str]) -> set[str]:
    """Sections of the names."""
    return {name.split(".")[0] for name in names}
