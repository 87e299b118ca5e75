"""The AnalysisSpec: how a study is analysed. It holds no parameter of the disease.

It is the ``[analysis]`` section of a scenario, and ``analysis.toml`` beside study tables: `simulate` writes it,
`estimate` reads it, `power` uses it.
"""

from __future__ import annotations

import inspect
import re
import textwrap
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from cmvsim.core.definition import Definition, HumanDefinition
from cmvsim.core.errors import InputError, Problem, shown
from cmvsim.core.spec import Spec

FORMAT = 1


class AnalysisSpec(Spec):
    """How the endpoints are derived and estimated.

    Attributes
    ----------
    endpoints
        Ids, the primary one first.
    window
        Events count on study days 1 to this day.
    closing_window
        The closing visit (planned on the last day of the window) counts when made within so many days of it, at
        min(day, window).
    definition
        What counts as an event: "detected", "quantifiable", { at_least = IU/mL } or "clinically_significant".
    prevalent
        DNAemia at or before infusion: leave the patient out of incidence ("exclude"), or count an event at day 0.
    relapse
        "treatment_policy" follows patients through relapse; "competing" ends follow-up by an event; "censor" censors.
    hct
        Allogeneic transplantation ends CMV follow-up as a competing event or as censoring.
    level
        Confidence level.
    variance, interval
        Of the cumulative incidence, by name.
    parts
        Which part of a study with a retrospective and a prospective part: both as one ("pooled"), or one alone.
    landmarks
        Days of landmark analyses: patients event-free and under observation then, by what was known then.
    conversion_rise
        A rise of the anellovirus load by so many log10 copies/mL over a baseline sample counts as an infection.
    risk_factors
        Covariates of the risk-factor model, in their order; see :mod:`cmvsim.endpoints.covariates`.
    value_set, value_set_youth
        Names of the EQ-5D-5L and EQ-5D-Y-3L value sets.
    price_list
        Name of the unit costs (:mod:`cmvsim.valuation.prices`); "study" uses the study's own table.
    resamples
        Bootstrap resamples of patients for the interval of the attributable cost; 0: its interval from influences.
    bootstrap_seed
        Seed of those resamples.
    arms
        The two arms of a comparative study, the control first, as the column ``arm`` of ``subjects`` names them; without it,
        in the order in which they first appear there.
    strata
        Baseline factors of stratified comparisons: those of the randomisation.
    """

    endpoints: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    window: Annotated[int, Field(ge=1, le=365)] = 90
    closing_window: Annotated[int, Field(ge=0, le=60)] = 7
    definition: HumanDefinition = Definition(name="quantifiable")
    prevalent: Literal["exclude", "count"] = "exclude"
    relapse: Literal["treatment_policy", "competing", "censor"] = "treatment_policy"
    hct: Literal["competing", "censor"] = "competing"
    level: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    variance: Literal["aalen", "ij", "greenwood"] = "aalen"
    interval: Literal["cloglog", "log", "plain"] = "cloglog"
    parts: Literal["pooled", "prospective", "retrospective"] = "pooled"
    landmarks: Annotated[tuple[Annotated[int, Field(ge=0, le=365)], ...], Field(strict=False)] = (14, 28)
    conversion_rise: Annotated[float, Field(gt=0, le=10)] = 1.0
    risk_factors: Annotated[tuple[str, ...], Field(strict=False)] = (
        "age",
        "leukaemia",
        "prior_allogeneic_hct",
        "corticosteroids",
        "tocilizumab",
        "severe_crs",
        "severe_icans",
        "icu",
    )
    value_set: str = "france_5l"
    value_set_youth: str = "belgium_y3l"
    price_list: str = "france_2025"
    resamples: Annotated[int, Field(ge=0, le=100_000)] = 400
    bootstrap_seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    arms: Annotated[tuple[str, ...], Field(strict=False, max_length=2)] = ()
    strata: Annotated[tuple[Literal["stratum", "disease", "site", "sex"], ...], Field(strict=False)] = ()

    @model_serializer(mode="wrap")
    def _without_arms(self, standard: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What belongs to comparative studies alone is no part of the plan of others, nor of its digest."""
        tree: dict[str, Any] = standard(self)
        return {key: value for key, value in tree.items() if key not in {"arms", "strata"} or value}

    @property
    def primary(self) -> str:
        """Id of the primary endpoint."""
        return self.endpoints[0]

    @property
    def truth(self) -> AnalysisSpec:
        """The plan whose population value this one is judged against.

        Censoring is an estimator, not an estimand: censoring at relapse is judged against the value under treatment
        policy, and censoring at transplantation against the value with transplantation competing.
        """
        relapse = "treatment_policy" if self.relapse == "censor" else self.relapse
        return self.model_copy(update={"relapse": relapse, "hct": "competing"})

    def human(self) -> dict[str, Any]:
        """The form of ``analysis.toml``, every choice explicit."""
        tree = self.model_dump(mode="json")
        tree["definition"] = self.definition.human()
        return tree


def write_analysis(plan: AnalysisSpec, path: Path) -> None:
    """Write ``analysis.toml``."""
    text = tomli_w.dumps({"format": FORMAT, "analysis": plan.human()})
    path.write_text("# How this study is analysed: read by `cmvsim estimate`.\n" + text, encoding="utf-8", newline="\n")


def commented_analysis(plan: AnalysisSpec) -> str:
    """``analysis.toml`` with what each key means beside it, in the words of :class:`AnalysisSpec`."""
    meanings = _meanings()
    lines = ["# How this study is analysed: read by `cmvsim estimate`. Every key but endpoints may be left out.", ""]
    lines += [f"format = {FORMAT}", "", "[analysis]"]
    for key, value in plan.human().items():
        if key in meanings:
            lines += ["", *(f"# {line}" for line in textwrap.wrap(meanings[key], 110))]
        lines.append(f"{key} = {_inline(value)}")
    return "\n".join(lines) + "\n"


def _inline(value: Any) -> str:
    """A value on one line, which tomli_w does not do for arrays and tables."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return tomli_w.dumps({"": value}).split("=", 1)[1].strip()


def _meanings() -> dict[str, str]:
    """What the docstring says of each attribute."""
    text = (inspect.getdoc(AnalysisSpec) or "").split("----------\n", 1)[-1]
    found: dict[str, str] = {}
    for part in re.split(r"\n(?=\S)", text):
        names, _, meaning = part.partition("\n")
        words = " ".join(line.strip() for line in meaning.splitlines())
        for name in names.split(","):
            found[name.strip()] = re.sub(r"; see :mod:`[^`]*`", "", words)
    return found


def read_analysis(path: Path) -> AnalysisSpec:
    """Read ``analysis.toml``, or the ``[analysis]`` section of a scenario file.

    Raises
    ------
    InputError
        If the file is missing, no TOML, or holds a mistake.
    """
    try:
        tree = tomllib.loads(path.read_bytes().decode("utf-8"))
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise InputError(Problem(f"cannot be read: {error.strerror}", str(path))) from None
    except UnicodeDecodeError:
        raise InputError(Problem("is not a text file", str(path))) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(Problem(f"is not valid TOML: {error}", str(path))) from None
    if "format" in tree and (type(tree["format"]) is not int or tree["format"] != FORMAT):
        raise InputError(Problem(f"{shown(tree['format'])}: this version reads format = {FORMAT}", str(path), "format"))
    if not isinstance(tree.get("analysis"), dict):
        raise InputError(Problem("has no [analysis] section", str(path), allowed="`cmvsim simulate` writes one"))
    return AnalysisSpec.parse(tree["analysis"], where=str(path))
