"""Which tests claim their level where there is no effect, and which do not: one list, for verdicts and for the verified table.

In the scenario ``null`` no factor acts on CMV, infections or death and no cause is shared: a test that is valid there rejects
in 5% of studies. In ``null-confounded`` CMV acts on nothing, but shares causes with what is compared: rejection is confounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

NULL, CONFOUNDED = "null", "null-confounded"
NULL_SCENARIOS = frozenset({NULL, CONFOUNDED})
LEVEL: Final = "its level"
NOT_ABOVE: Final = "not above its level"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a test says of its type I error on ``null``.

    Attributes
    ----------
    claims
        Its level, not to exceed it (exact tests), or None: reported, not claimed.
    why
        Where it is claimed, or why not.
    """

    claims: Literal["its level", "not above its level"] | None
    why: str


_EVER = "naive: compares who ever had CMV with who never had it, and whoever lives longer has more time for both"
_DEATH = "death competes and differs by disease and age, so incidences differ without any effect on CMV"
_TIMED = "docs/analysis.md: cause-specific Cox, status as it changes; nobody is classed by the future"
_LANDMARK = "docs/analysis.md: landmark; groups are made by what was known then"
_RELAPSE = (
    "relapse ends monitoring and lowers quality of life: who has no CMV found includes who relapsed and is looked at no longer"
)
CLAIMS: dict[tuple[str, str], Claim] = {
    ("cmv_leukaemia", "gray_test"): Claim(None, _DEATH),
    ("cmv_leukaemia", "risk_difference"): Claim(None, _DEATH),
    ("cmv_lymphoma", "gray_test"): Claim(None, _DEATH),
    ("cmv_lymphoma", "risk_difference"): Claim(None, _DEATH),
    ("cmv_infections", "time_dependent_cox"): Claim(LEVEL, _TIMED),
    ("cmv_infections", "landmark_cox"): Claim(LEVEL, _LANDMARK),
    ("cmv_infections", "mean_count"): Claim(LEVEL, _LANDMARK),
    ("cmv_infections", "odds_ratio"): Claim(None, _EVER),
    ("cmv_infections", "phi"): Claim(None, _EVER),
    ("cmv_virome", "time_dependent_cox"): Claim(LEVEL, _TIMED),
    ("cmv_virome", "landmark_cox"): Claim(LEVEL, _LANDMARK),
    ("cmv_virome", "odds_ratio"): Claim(None, _EVER),
    ("cmv_virome", "phi"): Claim(None, _EVER),
    ("cmv_expansion", "landmark_cox"): Claim(LEVEL, _LANDMARK),
    ("cmv_expansion", "spearman"): Claim(None, _EVER),
    ("cmv_expansion", "point_biserial"): Claim(None, _EVER),
    ("cmv_expansion", "mann_whitney_cmax"): Claim(None, _EVER),
    ("cmv_expansion", "mann_whitney_auc"): Claim(None, _EVER),
    ("cmv_expansion", "mann_whitney_test"): Claim(None, _EVER),
    ("risk_factors", "cox"): Claim(LEVEL, "docs/analysis.md: cause-specific Cox, covariates after infusion as start-stop"),
    ("risk_factors", "cox_unadjusted"): Claim(LEVEL, "docs/analysis.md: the same, one covariate at a time"),
    ("risk_factors", "fine_gray"): Claim(None, _DEATH),
    ("risk_factors", "logistic"): Claim(None, _DEATH),
    ("risk_factors", "logistic_firth"): Claim(None, _DEATH),
    ("risk_factors", "landmark_fine_gray"): Claim(None, _DEATH),
    ("risk_factors", "landmark_logistic"): Claim(None, _DEATH),
    ("risk_factors", "landmark_logistic_firth"): Claim(None, _DEATH),
    ("hrql", "gee"): Claim(None, _RELAPSE),
    ("hrql", "gee_vas"): Claim(None, _RELAPSE),
    ("hrql", "area"): Claim(None, _EVER),
    ("hrql", "death_as_zero"): Claim(None, _EVER),
    ("hrql", "mixed_model"): Claim(None, _RELAPSE),
    **{
        ("hrql", f"problems_{dimension}"): Claim(None, _RELAPSE)
        for dimension in ("mobility", "self_care", "usual_activities", "pain", "anxiety")
    },
}
"""(endpoint, estimator) -> its claim, of every estimator that compares."""


def claim_of(endpoint: str, estimator: str) -> Claim:
    """The claim of a test; one that is not listed claims nothing."""
    return CLAIMS.get((endpoint, estimator), Claim(None, "not listed"))
