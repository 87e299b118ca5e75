"""Changes in the CMV DNA polymerase gene (UL54) in patients on (val)aciclovir.

The sample that counts is the first one, taken after (val)aciclovir was begun and before any (val)ganciclovir, foscarnet or
cidofovir, in which the gene was sequenced with success; within a day a sample comes before treatment. Samples count up to the
end of the window, the closing sample as in the primary endpoint. DNAemia at infusion is no reason to leave a patient out: the
question is about the virus, not about its reappearance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from cmvsim.core.errors import InputError, Problem
from cmvsim.core.records import BoolArray, Estimates, FloatArray
from cmvsim.data.study import Change, Courses, Sequencing, Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimand, EstimatorChoice, Sizes
from cmvsim.endpoints.derived import Binary
from cmvsim.endpoints.population import also, anybody, left_out
from cmvsim.models.history import History, Process

ACICLOVIR = ("aciclovir", "valaciclovir")
SELECTING = ("valganciclovir", "ganciclovir", "foscarnet", "cidofovir")
"""Drugs that select changes of the polymerase, after which a sample tells nothing of aciclovir."""
POLYMERASE, KINASE = "UL54", "UL97"
SELECTING_OF = {POLYMERASE: SELECTING, KINASE: (*SELECTING, "maribavir")}
"""By gene: maribavir acts on the kinase, and selects changes of it."""


def changes(
    gene: str = POLYMERASE, *, from_class: Change = Change.KNOWN_RESISTANCE, unsequenced: bool = False
) -> Callable[[Study, AnalysisSpec], Binary]:
    """Derivation: whether the first sample that counts has a change of a gene.

    Parameters
    ----------
    gene
        Which gene.
    from_class
        The least grave class that counts as a change.
    unsequenced
        Keep the exposed without a sequenced sample, as without a change.
    """

    def derive(study: Study, plan: AnalysisSpec) -> Binary:
        seen, begun = _sequencing(study, gene), _begun(study)
        found = seen.change[..., seen.genes.index(gene)]
        stop = _first(study.exposures, SELECTING_OF[gene])
        sent = _inside(study, plan, seen.day) & (seen.day > begun[..., None]) & (seen.day <= stop[..., None])
        # what was sequenced without success is followed by a later sample, if there is one
        read = sent & (found >= Change.NO_CHANGE)
        days = np.where(read, seen.day, np.inf)
        at = days.argmin(axis=-1)[..., None] if days.shape[-1] else None
        first = np.take_along_axis(found, at, axis=-1)[..., 0] if at is not None else np.zeros(begun.shape, dtype=np.int8)
        some = np.asarray(read.any(axis=-1))
        excluded = also(left_out(study, plan), "not on (val)aciclovir", ~_exposed(study, plan, begun), study)
        if not unsequenced:
            failed = np.asarray((sent & (found == Change.FAILED)).any(axis=-1))
            excluded = also(excluded, f"sequencing of {gene} failed", failed & ~some, study)
            excluded = also(excluded, f"no sample sequenced for {gene} before other antivirals", ~some, study)
        value = (some & (first >= from_class)).astype(np.int8)
        return Binary(np.where(anybody(excluded, study), np.int8(-1), value), excluded=excluded)

    return derive


def _sequencing(study: Study, gene: str) -> Sequencing:
    if study.sequencing is None:
        raise InputError(
            Problem("no sample was sequenced", "analysis", "endpoints", "a table sequencing.csv for cmv_polymerase_mutation")
        )
    if gene not in study.sequencing.genes:
        known = ", ".join(study.sequencing.genes) or "none"
        raise InputError(Problem(f"gene {gene} was not sequenced", "analysis", "endpoints", f"sequenced: {known}"))
    return study.sequencing


def _begun(study: Study) -> FloatArray:
    """(R, N) day on which (val)aciclovir was begun, +inf if never."""
    if not any(drug in study.exposures for drug in ACICLOVIR):
        raise InputError(
            Problem(
                "(val)aciclovir was not recorded", "analysis", "endpoints", "a table exposures.csv for cmv_polymerase_mutation"
            )
        )
    return _first(study.exposures, ACICLOVIR) + np.zeros(study.disposition.end.shape)


def _first(exposures: Mapping[str, Courses], drugs: tuple[str, ...]) -> FloatArray:
    """First day of any of the drugs, +inf if none; () where no table has one."""
    first: FloatArray = np.array(np.inf)
    for drug in drugs:
        if drug in exposures:
            first = np.fmin(first, np.fmin.reduce(exposures[drug].start, axis=-1, initial=np.inf))
    return first


def _exposed(study: Study, plan: AnalysisSpec, begun: FloatArray) -> BoolArray:
    """On (val)aciclovir before the end of monitoring and of the window."""
    return np.asarray(begun < np.minimum(study.disposition.end, plan.window))


def _inside(study: Study, plan: AnalysisSpec, day: FloatArray) -> BoolArray:
    """Whether samples were taken in the window, and under monitoring."""
    inside = np.asarray(day <= plan.window)
    late = (day > plan.window) & (day <= plan.window + plan.closing_window)
    for r, n, s in zip(*np.nonzero(late), strict=True):  # few
        taken = study.samples.day[r, n] == day[r, n, s]
        inside[r, n, s] = bool((taken & (study.samples.nominal[r, n] == plan.window)).any())
    return inside & (day <= study.disposition.end[..., None])


def exact(derived: Binary, plan: AnalysisSpec, sizes: Sizes) -> Estimates:
    """Proportion with Clopper-Pearson limits."""
    from cmvsim.estimators.proportions import proportion

    last = [n - 1 for n in sizes]
    yes = np.cumsum(derived.value == 1, axis=1)[:, last]
    entered = np.cumsum(derived.value >= 0, axis=1)[:, last]
    return proportion(yes, entered, method="clopper-pearson", level=plan.level)


ESTIMATORS = (
    EstimatorChoice("clopper_pearson", "Known resistance in UL54, of those sequenced", exact),
    EstimatorChoice(
        "unknown_included",
        "Known resistance or unknown change in UL54, of those sequenced",
        exact,
        derive=changes(from_class=Change.UNKNOWN),
        note="counts changes of unknown meaning",
    ),
    EstimatorChoice(
        "all_exposed",
        "Known resistance in UL54, of all on (val)aciclovir",
        exact,
        derive=changes(unsequenced=True),
        note="counts those never sequenced as without a change",
    ),
    EstimatorChoice(
        "kinase",
        "Known resistance in UL97, of those sequenced",
        exact,
        derive=changes(KINASE),
        note="the kinase, not the polymerase",
    ),
)


@dataclass(frozen=True, slots=True)
class PolymeraseMutation:
    """Known resistance in UL54 under (val)aciclovir, before other drugs could have selected it."""

    id: str = "cmv_polymerase_mutation"
    label: str = "CMV polymerase mutation under (val)aciclovir"
    label_fr: str = "mutation de la polymérase du CMV sous (val)aciclovir"
    objective: str = "mutations in the CMV DNA polymerase gene under (val)aciclovir"

    @property
    def estimand(self) -> Estimand:
        """ICH E9(R1) attributes."""
        return Estimand(
            population="CAR-T recipients on (val)aciclovir whose CMV was sequenced",
            variable="a known resistance change in UL54 in the first sequenced sample before other antivirals",
            intercurrent_events="samples after (val)ganciclovir, foscarnet or cidofovir do not count",
            summary="proportion",
        )

    @property
    def needs(self) -> frozenset[Process]:
        """CMV, its treatment, and its changes."""
        return frozenset({Process.CMV, Process.RESISTANCE, Process.FOLLOW_UP, Process.DEATH})

    @property
    def reads(self) -> frozenset[Topic]:
        """Sequencing."""
        return frozenset({Topic.SEQUENCING})

    @property
    def estimators(self) -> tuple[EstimatorChoice, ...]:
        """Clopper-Pearson among those sequenced first."""
        return ESTIMATORS

    def derive(self, study: Study, plan: AnalysisSpec) -> Binary:
        """Whether the first sample that counts has a known resistance change in UL54."""
        return changes()(study, plan)

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray:
        """Whether the first episode of a patient on (val)aciclovir bears known resistance in UL54 from its onset on.

        Of those with an episode by the end of the window and of life, be it sequenced or not: sequencing chooses episodes
        by their load, on which resistance does not depend. What (val)ganciclovir selects comes later than the onset.
        """
        strains = history.resistance
        assert strains is not None
        onset = np.asarray(history.view(strains.onset), dtype=np.float64)
        known = np.asarray(history.view(strains.known[0]), dtype=np.float64)  # genes are in the order UL54, UL97, UL56
        there = np.where(np.isnan(onset), np.inf, onset)
        at = there.argmin(axis=-1)[..., None]
        first = np.take_along_axis(there, at, axis=-1)[..., 0]
        bears = np.take_along_axis(known, at, axis=-1)[..., 0] <= first
        treated = np.asarray(history.view(history.population.aciclovir), dtype=bool)
        asked = treated & (first <= plan.window) & (first <= history.death)
        return np.where(asked, bears.astype(np.float64), np.nan)
