"""Behind the quantities of scenario files: one hand-written validator for all units and ranges, and their JSON Schema.

A validator takes the human form or the resolved form and gives one message per mistake: what is wrong, what is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import WithJsonSchema
from pydantic_core import PydanticCustomError

from cmvsim.core.errors import did_you_mean, shown
from cmvsim.core.value import PROVENANCE, Between, Uncertain, Value


def _fail(message: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("value", "{message}", {"message": message, "allowed": allowed})


def _number(raw: Any, unit: str, low: float, high: float, open_low: bool, whole: bool) -> float:
    allowed = _allowed(unit, low, high, open_low, whole)
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        raise _fail(f"{shown(raw)} is not a number", f"allowed: {allowed}")
    outside = not _finite(raw) or raw < low or raw > high or (open_low and raw == low)
    if outside or (whole and raw != int(raw)):
        raise _fail(f"{shown(raw)} is not allowed", f"allowed: {allowed}")
    return float(raw)


def _finite(raw: float) -> bool:
    """Whether it is a number that float64 holds; TOML's integers have no limit."""
    try:
        return math.isfinite(raw)
    except OverflowError:
        return False


def _allowed(unit: str, low: float, high: float, open_low: bool, whole: bool) -> str:
    noun = "a whole number" if whole else "a number"
    if math.isinf(low) and math.isinf(high):
        span = ""
    elif math.isinf(high):
        span = f" above {low:g}" if open_low else f" of at least {low:g}"
    else:
        span = f" {'above' if open_low else 'from'} {low:g} to {high:g}"
    return f"{noun}{span}{', ' + unit if unit else ''}"


def _unknown_keys(raw: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in raw:
        if key not in known:
            raise _fail(f"unknown key '{key}' in a value", did_you_mean(str(key), known))


def _provenance(raw: Mapping[str, Any]) -> dict[str, Any]:
    found = {key: raw[key] for key in PROVENANCE if raw.get(key) is not None}
    if not isinstance(found.get("assumed", ""), str):
        raise _fail("'assumed' must say why, in words", 'allowed: assumed = "reason"')
    if "uncertain" in found:
        found["uncertain"] = _uncertain(found["uncertain"])
    return found


def _uncertain(raw: Any) -> Any:
    if isinstance(raw, Uncertain):
        return raw
    tied: dict[str, Any] = {}
    if isinstance(raw, Mapping):
        tied = _tied(raw)
        raw = {key: value for key, value in raw.items() if key not in ("group", "correlation")}
    if isinstance(raw, Mapping) and set(raw) == {"kind", "parameters"}:  # the resolved form
        raw = {raw["kind"]: raw["parameters"]}
    kinds = _KINDS
    if not isinstance(raw, Mapping) or len(raw) != 1:
        raise _fail("'uncertain' names one distribution", f"allowed: {', '.join(kinds)}, each with two numbers")
    ((kind, pair),) = raw.items()
    if kind not in kinds:
        raise _fail(f"unknown distribution '{kind}'", did_you_mean(str(kind), kinds))
    if isinstance(pair, Mapping) and set(pair) == {"median", "sdlog"} and kind == "lognormal":
        pair = [pair["median"], pair["sdlog"]]
    numbers = (
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and all(isinstance(x, int | float) and not isinstance(x, bool) and _finite(x) for x in pair)
    )
    if not numbers:
        raise _fail(f"'{kind}' takes two numbers, not {shown(pair)}", "e.g. beta = [24, 55]")
    a, b = (float(x) for x in pair)
    positive = {
        "beta": a > 0 and b > 0,
        "gamma": a > 0 and b > 0,
        "normal": b >= 0,
        "lognormal": a > 0 and b >= 0,
        "interval95": a <= b,
    }[kind]
    if not positive:
        raise _fail(f"{kind} = [{a:g}, {b:g}] is no distribution", "positive spread, low before high")
    return Uncertain(kind=kind, parameters=(a, b), **tied)


def _tied(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Group and correlation of an uncertain value: both or neither."""
    group, correlation = raw.get("group"), raw.get("correlation")
    if group is None and correlation is None:
        return {}
    example = 'e.g. uncertain = { beta = [24, 55], group = "incidence", correlation = 0.5 }'
    if not isinstance(group, str) or not group:
        raise _fail("'correlation' is that of a group, which needs a name", example)
    if isinstance(correlation, bool) or not isinstance(correlation, int | float) or not 0 <= correlation <= 1:
        raise _fail(f"group '{group}' needs a correlation from 0 to 1, not {shown(correlation)}", example)
    return {"group": group, "correlation": float(correlation)}


def value_validator(unit: str, low: float, high: float, open_low: bool, whole: bool) -> Callable[[Any], Any]:
    """Validator of a single number with its provenance."""

    def parse(raw: Any) -> Any:
        if isinstance(raw, Value):
            return raw
        if not isinstance(raw, Mapping):
            return Value(value=_number(raw, unit, low, high, open_low, whole))
        if "varies" in raw or "median" in raw or "mean" in raw:
            raise _fail(
                "one value is needed here, not a quantity that differs between patients",
                f"allowed: {_allowed(unit, low, high, open_low, whole)}",
            )
        _unknown_keys(raw, ("value", *PROVENANCE))
        if "value" not in raw:
            raise _fail("the key 'value' is missing", 'e.g. { value = 7, assumed = "why" }')
        return Value(value=_number(raw["value"], unit, low, high, open_low, whole), **_provenance(raw))

    return parse


def between_validator(unit: str, low: float, open_low: bool) -> Callable[[Any], Any]:
    """Validator of a quantity that may differ between patients."""

    def parse(raw: Any) -> Any:
        if isinstance(raw, Between):
            return raw
        if not isinstance(raw, Mapping):
            return Between(law="normal", centre=_number(raw, unit, low, math.inf, open_low, False), spread=0.0)
        if "law" in raw:  # the resolved form
            _unknown_keys(raw, ("law", "centre", "spread", "low", "high", *PROVENANCE))
            raw = {
                "median" if raw["law"] == "lognormal" else "mean": raw.get("centre"),
                "varies": {
                    "sdlog" if raw["law"] == "lognormal" else "sd": raw.get("spread"),
                    **{key: raw[key] for key in ("low", "high") if raw.get(key) is not None},
                },
                **{key: raw[key] for key in PROVENANCE if key in raw},
            }
        if "value" in raw:  # the same in all patients
            _unknown_keys(raw, ("value", *PROVENANCE))
            return Between(
                law="normal", centre=_number(raw["value"], unit, low, math.inf, open_low, False), spread=0.0, **_provenance(raw)
            )
        _unknown_keys(raw, ("median", "mean", "varies", *PROVENANCE))
        return _between(raw, unit, low, open_low)

    return parse


def _between(raw: Mapping[str, Any], unit: str, low: float, open_low: bool) -> Between:
    example = "e.g. { median = 4.3, varies = { sdlog = 0.84 } } or { mean = 1.2, varies = { sd = 0.6 } }"
    centre_key = "median" if "median" in raw else "mean"
    if centre_key not in raw or not isinstance(raw.get("varies"), Mapping):
        raise _fail("a quantity that differs between patients needs a centre and 'varies'", example)
    spread_key = "sdlog" if centre_key == "median" else "sd"
    varies = raw["varies"]
    _unknown_keys(varies, (spread_key, "low", "high"))
    if spread_key not in varies:
        raise _fail(f"'varies' needs '{spread_key}' beside '{centre_key}'", example)
    bounds = {key: _number(varies[key], unit, -math.inf, math.inf, False, False) for key in ("low", "high") if key in varies}
    if len(bounds) == 2 and bounds["low"] >= bounds["high"]:
        raise _fail("the truncation is empty", "low must be below high")
    lognormal = centre_key == "median"
    if not lognormal and low > -math.inf and varies[spread_key] and bounds.get("low", -math.inf) < low:
        raise _fail(
            f"a normal law without a lower end goes below {low:g} {unit}".rstrip(),
            f"add low = {low:g} to 'varies', or give a median with sdlog",
        )
    return Between(
        law="lognormal" if lognormal else "normal",
        centre=_number(raw[centre_key], unit, 0.0 if lognormal else low, math.inf, lognormal or open_low, False),
        spread=_number(varies[spread_key], "", 0.0, math.inf, False, False),
        low=bounds.get("low"),
        high=bounds.get("high"),
        **_provenance(raw),
    )


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit that a type fixes, kept beside it so that a value can be read back in words."""

    name: str


_KINDS = ("beta", "normal", "lognormal", "interval95", "gamma")
_PAIR: dict[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
_MEDIAN: dict[str, Any] = {
    "type": "object",
    "properties": {"median": {"type": "number"}, "sdlog": {"type": "number"}},
    "required": ["median", "sdlog"],
    "additionalProperties": False,
}
_LAWS: dict[str, Any] = {**dict.fromkeys(_KINDS, _PAIR), "lognormal": {"anyOf": [_PAIR, _MEDIAN]}}
_TIE: dict[str, Any] = {
    "group": {"type": "string", "pattern": "."},
    "correlation": {"type": "number", "minimum": 0, "maximum": 1},
}
_ALONE: dict[str, Any] = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": _LAWS,
}
_GROUPED = {
    **_ALONE,
    "minProperties": 3,
    "maxProperties": 3,
    "required": ["group", "correlation"],
    "properties": {**_LAWS, **_TIE},
}
_UNCERTAIN_SCHEMA: dict[str, Any] = {"anyOf": [_ALONE, _GROUPED]}
REFERENCE_SCHEMA: dict[str, Any] = {"type": "string", "pattern": "^@"}
PROVENANCE_SCHEMA: dict[str, Any] = {"assumed": {"type": "string"}, "evidence": {"type": "string"}}


def _table(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": required,
        "additionalProperties": False,
        "properties": {**properties, **PROVENANCE_SCHEMA, "uncertain": _UNCERTAIN_SCHEMA},
    }


def schema(description: str, **limits: float) -> WithJsonSchema:
    """The human form of a value in the JSON Schema: number, evidence id, or table."""
    number = {"type": "number", **limits}
    return WithJsonSchema({"description": description, "anyOf": [number, REFERENCE_SCHEMA, _table(["value"], value=number)]})


def varying_schema(description: str) -> WithJsonSchema:
    """The same for a quantity that differs between patients."""
    number: dict[str, Any] = {"type": "number"}
    bounds = {"low": number, "high": number}

    def varies(spread: str) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {spread: {"type": "number", "minimum": 0}, **bounds},
            "required": [spread],
            "additionalProperties": False,
        }

    return WithJsonSchema(
        {
            "description": description,
            "anyOf": [
                number,
                REFERENCE_SCHEMA,
                _table(["value"], value=number),
                _table(["median", "varies"], median={"type": "number", "exclusiveMinimum": 0}, varies=varies("sdlog")),
                _table(["mean", "varies"], mean=number, varies=varies("sd")),
            ],
        }
    )
