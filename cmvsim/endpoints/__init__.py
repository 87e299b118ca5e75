"""Endpoints of the protocol, one registry. Adding one costs a file, a line here, a test file, an evidence entry."""

from __future__ import annotations

from cmvsim.core.definition import Definition
from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.endpoints.analysis import AnalysisSpec, read_analysis, write_analysis
from cmvsim.endpoints.base import Endpoint, Estimand, EstimatorChoice
from cmvsim.endpoints.cmv_disease import CmvDisease
from cmvsim.endpoints.cmv_expansion import CmvExpansion
from cmvsim.endpoints.cmv_infections import CmvInfections
from cmvsim.endpoints.cmv_virome import CmvVirome
from cmvsim.endpoints.cost_of_illness import CostOfIllness
from cmvsim.endpoints.derived import Derived, TimeToEvent
from cmvsim.endpoints.polymerase_mutation import PolymeraseMutation
from cmvsim.endpoints.quality_of_life import QualityOfLife
from cmvsim.endpoints.reactivation import Reactivation
from cmvsim.endpoints.risk_factors import RiskFactors
from cmvsim.endpoints.virome import VirusInfection

ENDPOINTS: dict[str, Endpoint] = {
    "cmv_reactivation": Reactivation(
        "cmv_reactivation", "CMV reactivation", "rate of CMV reactivation within 3 months", label_fr="réactivation du CMV"
    ),
    "cmv_leukaemia": Reactivation(
        "cmv_leukaemia",
        "CMV reactivation, leukaemia",
        "rate of CMV reactivation in B-cell acute lymphoblastic leukaemia",
        "leukaemia",
        "réactivation du CMV, leucémie",
    ),
    "cmv_lymphoma": Reactivation(
        "cmv_lymphoma",
        "CMV reactivation, lymphoma",
        "rate of CMV reactivation in diffuse large B-cell lymphoma",
        "lymphoma",
        "réactivation du CMV, lymphome",
    ),
    "cmv_disease": CmvDisease(),
    "anellovirus": VirusInfection("anellovirus"),
    "pegivirus": VirusInfection("pegivirus"),
    "redondovirus": VirusInfection("redondovirus"),
    "cmv_infections": CmvInfections(),
    "cmv_virome": CmvVirome(),
    "cmv_expansion": CmvExpansion(),
    "risk_factors": RiskFactors(),
    "cmv_polymerase_mutation": PolymeraseMutation(),
    "hrql": QualityOfLife(),
    "cost_of_illness": CostOfIllness(),
}


def endpoint(name: str) -> Endpoint:
    """Look up an endpoint by id.

    Raises
    ------
    InputError
        If there is none of that id.
    """
    if name not in ENDPOINTS:
        raise InputError(Problem(f"there is no endpoint '{name}'", allowed=did_you_mean(name, ENDPOINTS)))
    return ENDPOINTS[name]


def label_of(name: str, plan: AnalysisSpec) -> str:
    """What an endpoint is called under a plan: reactivation that counts when treated is clinically significant infection."""
    label = endpoint(name).label
    if plan.definition.name == "clinically_significant":
        return label.replace("CMV reactivation", "Clinically significant CMV infection")
    return label


__all__ = [
    "ENDPOINTS",
    "AnalysisSpec",
    "Definition",
    "Derived",
    "Endpoint",
    "Estimand",
    "EstimatorChoice",
    "TimeToEvent",
    "endpoint",
    "label_of",
    "read_analysis",
    "write_analysis",
]
