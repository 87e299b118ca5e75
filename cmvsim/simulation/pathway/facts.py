"""What is given about a patient before CMV: traits and windows that both engines share, and the patient's own chance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import Draws, day_index
from cmvsim.core.value import Between
from cmvsim.models.toxicity import DRUGS
from cmvsim.models.virome import VirusName
from cmvsim.models.windows import Windows
from cmvsim.simulation.background import Background
from cmvsim.simulation.draws import ChunkDraws

MODERATE_CRS = 2
"""Grade of CRS from which clinicians test more often."""
INCIDENT_VIRUSES: tuple[VirusName, ...] = ("anellovirus", "pegivirus")
"""Whose first acquisition is a factor of the onset of CMV."""


@dataclass(frozen=True, slots=True)
class Window:
    """[start, stop); +inf where there is none."""

    start: float = math.inf
    stop: float = math.inf

    def contains(self, t: float) -> bool:
        """Whether it is so at t."""
        return self.start <= t < self.stop

    @property
    def exists(self) -> bool:
        """Whether there is any."""
        return self.start < self.stop


class Chance:
    """One patient's variates, by the names of model.md."""

    def __init__(self, draws: Draws, row: int, replicate: int) -> None:
        self.draws = draws
        self.row = row
        self.replicate = replicate

    def __call__(self, name: str, index: int = 0) -> float:
        """The standard variate of a decision."""
        return float(self.draws(name, index)[self.row])

    def on_day(self, name: str, day: int) -> float:
        """The standard variate of a decision of a study day."""
        return self(name, day_index(day))

    def of(self, law: Between, name: str, index: int = 0) -> float:
        """A quantity that differs between patients, at the normal variate of its stream."""
        return float(law.of_normal(np.asarray(self(name, index))))

    def of_laboratory(self, site: int) -> float:
        """The variate that a site's laboratory shares over all patients of the replicate."""
        assert isinstance(self.draws, ChunkDraws)
        return float(self.draws.shared("monitoring.site", site)[self.replicate])


@dataclass(frozen=True, slots=True)
class Letermovir:
    """The course of prophylaxis as planned, and what it does to this patient (section 15)."""

    course: Window
    adherence: float = 0.0
    log_ratio: float = 0.0
    set_point_shift: float = 0.0
    log_rebound: float = 0.0
    log_disease: float = 0.0

    @property
    def acts(self) -> bool:
        """Whether it changes anything; otherwise it must not even cut a hazard into pieces."""
        return any(effect != 0 for effect in (self.log_ratio, self.set_point_shift, self.log_rebound, self.log_disease))


@dataclass(frozen=True, slots=True)
class FollowUpTimes:
    """Section 12 without death; +inf where it does not happen."""

    relapse: float
    new_therapy: float
    hct: float
    withdrawn: float
    lost: float

    @property
    def monitoring_end(self) -> float:
        """The first that ends visits and decisions."""
        return min(self.new_therapy, self.hct, self.withdrawn, self.lost)

    @property
    def asked_until(self) -> float:
        """The first that ends questionnaires."""
        return min(self.withdrawn, self.lost)


@dataclass(frozen=True, slots=True)
class Facts:
    """A patient before CMV.

    Attributes
    ----------
    row
        Flat index in the chunk.
    score
        Immunosuppression score Z.
    log2_expansion, tmax
        Peak of CAR-T cells in doublings over the median of the product, and its day.
    drugs
        Courses against toxicity, by drug.
    first_high_ttv, first_new_virus
        When anellovirus was first high; when anellovirus or pegivirus was first acquired.
    planned_stay, planned_icu
        The initial stay as it would be without CMV.
    """

    row: int
    stratum: int
    leukaemia: bool
    age: float
    score: float
    prior_allogeneic_hct: bool
    lymphocytes: float
    seropositive: bool
    aciclovir: bool
    retrospective: bool
    site: int
    log2_expansion: float
    tmax: float
    drugs: dict[str, Window]
    moderate_crs: Window
    severe_crs: Window
    severe_icans: Window
    neutropenia: Window
    first_high_ttv: float
    first_new_virus: float
    planned_stay: Window
    planned_icu: Window
    follow_up: FollowUpTimes
    letermovir: Letermovir | None


@dataclass(frozen=True)
class Shared:
    """What both engines take from the same maps, for a whole chunk; made when first asked for."""

    background: Background

    @cached_property
    def moderate_crs(self) -> Windows:
        """CRS of the grade from which clinicians test more often."""
        return self.background.toxicity.from_grade("crs", MODERATE_CRS)

    @cached_property
    def first_high_ttv(self) -> FloatArray:
        """When anellovirus is first high."""
        return self.background.virome.first_high()

    def facts(self, row: int) -> Facts:
        """The facts of one patient."""
        b, p, t = self.background, self.background.population, self.background.toxicity
        stratum = int(p.stratum[row])
        return Facts(
            row=row,
            stratum=stratum,
            leukaemia=tuple(b.model.population.strata.values())[stratum].disease == "leukaemia",
            age=_at(p.age, row),
            score=_at(p.score, row),
            prior_allogeneic_hct=bool(p.prior_allogeneic_hct[row]),
            lymphocytes=_at(p.lymphocytes, row),
            seropositive=bool(p.seropositive[row]),
            aciclovir=bool(p.aciclovir[row]),
            retrospective=bool(p.retrospective[row]),
            site=int(p.site[row]),
            log2_expansion=_at(b.kinetics.expansion, row) / math.log(2.0),
            tmax=_at(b.kinetics.tmax, row),
            drugs={drug: _window(t.courses[drug], row) for drug in DRUGS},
            moderate_crs=_window(self.moderate_crs, row),
            severe_crs=_window(t.severe_crs, row),
            severe_icans=_window(t.severe_icans, row),
            neutropenia=_window(t.neutropenia, row),
            first_high_ttv=_at(self.first_high_ttv, row),
            first_new_virus=min(_at(b.virome.acquired(virus), row) for virus in INCIDENT_VIRUSES),
            planned_stay=_window(b.stay.hospital, row),
            planned_icu=_window(b.stay.icu, row),
            follow_up=_follow_up(b, row),
            letermovir=_letermovir(b, row),
        )


def _at(array: NDArray[np.floating], row: int) -> float:
    return float(array[row])


def _window(windows: Windows, row: int) -> Window:
    return Window(float(windows.start[row]), float(windows.stop[row]))


def _follow_up(background: Background, row: int) -> FollowUpTimes:
    f = background.follow_up
    return FollowUpTimes(*(_at(times, row) for times in (f.relapse, f.new_therapy, f.hct, f.withdrawn, f.lost)))


def _letermovir(background: Background, row: int) -> Letermovir | None:
    courses = background.prophylaxis
    if courses is None or not math.isfinite(courses.start[row]):
        return None
    return Letermovir(
        Window(_at(courses.start, row), _at(courses.stop, row)),
        _at(courses.adherence, row),
        _at(courses.log_ratio, row),
        _at(courses.shift, row),
        _at(courses.log_rebound, row),
        _at(courses.log_disease, row),
    )
