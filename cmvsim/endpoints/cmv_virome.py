"""Do anellovirus, pegivirus and redondovirus precede CMV? CMV by the status of each virus as it changes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from cmvsim.core.records import Estimates, FloatArray
from cmvsim.data.study import Study, Topic
from cmvsim.endpoints.analysis import AnalysisSpec
from cmvsim.endpoints.base import Estimand, EstimatorChoice, Sizes
from cmvsim.endpoints.cmv_status import end_of_follow_up, first_qualifying
from cmvsim.endpoints.derived import DEATH, Binary
from cmvsim.endpoints.population import also, anybody, left_out
from cmvsim.endpoints.time_dependent import Onsets, estimators
from cmvsim.endpoints.virome import RISING, VIRUSES, first_infection, proportion_of
from cmvsim.models.history import History, Process


def cmv_after_viruses(study: Study, plan: AnalysisSpec) -> Onsets:
    """Status of the three viruses, and first CMV reactivation.

    A carrier at baseline has the status from infusion on, anybody else from the first positive sample. Nearly everybody
    carries anellovirus: its status is the infection of the endpoint of that name, conversion or a rise over the baseline
    sample. A virus found on the day of the qualifying CMV sample does not precede it. DNAemia at or before infusion leaves
    nobody to follow, so that those patients are left out whatever the plan says.
    """
    found = {virus: first_infection(study, plan, virus) for virus in VIRUSES}
    end, cause = end_of_follow_up(study, plan)
    first, at_baseline = first_qualifying(study, plan)
    since = [
        found[virus].day if virus == RISING else np.where(found[virus].positive, 0.0, found[virus].day) for virus in VIRUSES
    ]
    exposed = np.stack([np.where(day <= end, day, np.inf) for day in since], axis=-1)
    outcome = np.where(first <= end, first, np.inf)[..., None]
    unsampled = np.zeros(end.shape, dtype=bool)
    for virus in VIRUSES:
        unsampled |= ~found[virus].sampled
    excluded = also(left_out(study, plan), "DNAemia at or before infusion", at_baseline, study)
    excluded = also(excluded, "no sample for a virus on or before infusion", unsampled, study)
    excluded = also(excluded, f"baseline load of {RISING} not quantified", found[RISING].unquantified, study)
    excluded = also(excluded, "no follow-up after infusion", end <= 0, study)
    return Onsets(
        exposed=exposed,
        outcome=outcome,
        repeats=np.where(np.isfinite(outcome), outcome, np.nan)[..., None],
        exit=end,
        died=cause == DEATH,
        inside=~anybody(excluded, study),
        exposures=VIRUSES,
        outcomes=("cmv",),
        excluded=excluded,
    )


def came_first(study: Study, plan: AnalysisSpec, virus: str) -> Binary:
    """Among patients in whom both began after infusion, on different days: whether the virus was found before CMV."""
    whole = cmv_after_viruses(study, plan)
    theirs, cmv = whole.exposed[..., VIRUSES.index(virus)], whole.outcome[..., 0]
    pair = (theirs > 0) & np.isfinite(theirs) & np.isfinite(cmv)
    excluded = also(dict(whole.excluded), f"not both {virus} and CMV after infusion", ~pair, study)
    excluded = also(excluded, "both on the same day", pair & (theirs == cmv), study)
    return Binary(np.where(anybody(excluded, study), -1, theirs < cmv).astype(np.int8), excluded=excluded)


def share_first(virus: str) -> EstimatorChoice:
    """Share of pairs in which the virus came first."""
    term = f"{virus} first"

    def estimate(derived: Binary, plan: AnalysisSpec, sizes: Sizes) -> dict[str, Estimates]:
        return {term: proportion_of(derived.value, plan, sizes)}

    return EstimatorChoice(
        f"{virus}_first",
        f"Share of pairs in which {virus} came before CMV",
        estimate,
        derive=partial(came_first, virus=virus),
        terms=lambda _: (term,),
        note="among patients with both after infusion; rarer research samples find a virus late",
    )


ESTIMATORS = (
    *estimators(VIRUSES, ("cmv",), counts=False),
    *(share_first(virus) for virus in VIRUSES),
)


@dataclass(frozen=True, slots=True)
class CmvVirome:
    """First CMV reactivation by virus status; death and the end of follow-up censor."""

    id: str = "cmv_virome"
    label: str = "CMV after other viruses"
    label_fr: str = "réactivation du CMV après d'autres virus"
    objective: str = "correlation of CMV reactivation with anellovirus, pegivirus and redondovirus, and which comes first"

    @property
    def estimand(self) -> Estimand:
        """ICH E9(R1) attributes."""
        return Estimand(
            population="CMV-seropositive CAR-T recipients without DNAemia at infusion, with research samples before it",
            variable="day of the first qualifying CMV sample within the window",
            intercurrent_events="while alive and followed: death and transplantation end the time at risk",
            summary="cause-specific hazard ratio of each virus, after its detection against before it or never",
        )

    @property
    def needs(self) -> frozenset[Process]:
        """The foundation and the virome."""
        return frozenset({Process.TOXICITY, Process.CMV, Process.VIROME, Process.FOLLOW_UP, Process.DEATH})

    @property
    def reads(self) -> frozenset[Topic]:
        """Samples tested for the viruses."""
        return frozenset({Topic.VIROME})

    @property
    def estimators(self) -> tuple[EstimatorChoice, ...]:
        """Time-dependent Cox first."""
        return ESTIMATORS

    def derive(self, study: Study, plan: AnalysisSpec) -> Onsets:
        """Virus status and CMV; see :func:`cmv_after_viruses`."""
        return cmv_after_viruses(study, plan)

    def latent(self, history: History, plan: AnalysisSpec) -> FloatArray | None:  # noqa: ARG002 -- no mean of patients
        """None: a hazard ratio is no mean of patients."""
        return None
