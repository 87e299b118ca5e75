"""Words and numbers of one study's results: what a status, a scale and a term are called."""

from __future__ import annotations

from cmvsim.report.power_text import percent

STATUS_NOTES = {
    "no_events": "no event: exact bound",
    "all_events": "all had the event: exact bound",
    "empty": "nobody in the analysis",
    "not_estimable": "not estimable",
    "separation": "separation: no finite maximum",
    "not_converged": "did not converge",
}

SCALES = {
    "probability": "probability",
    "risk_difference": "risk difference",
    "hazard_ratio": "cause-specific hazard ratio",
    "subdistribution_hazard_ratio": "subdistribution hazard ratio",
    "odds_ratio": "odds ratio",
    "risk_ratio": "risk ratio",
    "correlation": "correlation",
    "mean": "mean",
    "mean_difference": "mean difference",
    "cost": "cost",
    "count": "count",
    "p_value": "p-value",
}


def shown(value: float | None, scale: str) -> str:
    """A number as its scale is read: percent, points, ratio, money."""
    if value is None or value != value:
        return "-"
    if scale == "probability":
        return percent(value)
    if scale == "risk_difference":
        return f"{100 * value:+.1f} points"
    if scale.endswith("ratio"):
        return f"{value:.2f}"
    if scale == "cost":
        return f"{value:,.0f}"
    if scale == "p_value":
        return f"{value:.3f}" if value >= 0.001 else "< 0.001"
    return f"{value:.3g}" if scale == "count" else f"{value:.3f}"


_TERMS = {
    "age": "age (per 10 years)",
    "leukaemia": "leukaemia (against lymphoma)",
    "prior_allogeneic_hct": "prior allogeneic HCT",
    "severe_crs": "severe CRS",
    "severe_icans": "severe ICANS",
    "icu": "intensive care",
    "cmax": "Cmax (per SD)",
    "auc": "AUC (per SD)",
}


def term_words(term: str) -> str:
    """A term as it is read: ``icu, day 14`` is "intensive care, day 14"."""
    name, comma, rest = term.partition(", ")
    return _TERMS.get(name, name.replace("_", " ")) + comma + rest


def with_unit(term: str, scale: str) -> str:
    """A term of a regression with its unit, of anything else as it stands."""
    return term_words(term) if scale.endswith("ratio") else term.replace("_", " ")
