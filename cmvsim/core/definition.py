"""What counts as CMV reactivation: one grammar for the analysis and for the figures that the disease is held against."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from cmvsim.core.errors import did_you_mean, shown
from cmvsim.core.spec import Spec

NAMED_DEFINITIONS = ("detected", "quantifiable", "clinically_significant")


class Definition(Spec):
    """What counts as reactivation.

    Attributes
    ----------
    name
        "detected" (any DNAemia), "quantifiable" (at or above the lower limit of quantification), "at_least" (a level),
        or "clinically_significant" (treated, or disease).
    level
        IU/mL of the sampled matrix, for "at_least".
    """

    name: Literal["detected", "quantifiable", "at_least", "clinically_significant"]
    level: float | None = None

    def __str__(self) -> str:
        return f"at least {self.level:g} IU/mL" if self.level is not None else self.name.replace("_", " ")

    def human(self) -> Any:
        """The form of scenario files."""
        return {"at_least": self.level} if self.name == "at_least" else self.name


def _definition(raw: Any) -> Any:
    allowed = 'allowed: "detected", "quantifiable", "clinically_significant", or { at_least = 1000 }'
    if isinstance(raw, Definition):
        return raw
    if isinstance(raw, dict) and set(raw) == {"name", "level"}:  # the resolved form
        raw = {"at_least": raw["level"]} if raw["name"] == "at_least" else raw["name"]
    if isinstance(raw, str):
        if raw in NAMED_DEFINITIONS:
            return Definition(name=raw)  # type: ignore[arg-type]
        raise PydanticCustomError(
            "value",
            "{message}",
            {"message": f"there is no definition '{raw}'", "allowed": did_you_mean(raw, NAMED_DEFINITIONS)},
        )
    level = raw.get("at_least") if isinstance(raw, dict) and set(raw) == {"at_least"} else None
    if isinstance(level, int | float) and not isinstance(level, bool) and level > 0:
        return Definition(name="at_least", level=float(level))
    raise PydanticCustomError("value", "{message}", {"message": f"{shown(raw)} is no definition", "allowed": allowed})


HumanDefinition = Annotated[
    Definition,
    BeforeValidator(_definition),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(NAMED_DEFINITIONS)},
                {
                    "type": "object",
                    "properties": {"at_least": {"type": "number", "exclusiveMinimum": 0}},
                    "required": ["at_least"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
