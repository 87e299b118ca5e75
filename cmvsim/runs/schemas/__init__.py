"""Published JSON Schemas (draft 2020-12) of ``run.json`` and of ``results.json`` by verb."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from cmvsim.core.errors import InputError, Problem, did_you_mean

_SUFFIX = ".schema.json"


def schema_names() -> tuple[str, ...]:
    """``run``, and the verbs that leave a ``results.json``."""
    files = resources.files("cmvsim.runs.schemas").iterdir()
    return tuple(sorted(file.name.removesuffix(_SUFFIX) for file in files if file.name.endswith(_SUFFIX)))


def schema(name: str) -> dict[str, Any]:
    """Look a schema up.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    known = schema_names()
    if name not in known:
        raise InputError(Problem(f"there is no schema '{name}'", allowed=did_you_mean(name, known)))
    text = resources.files("cmvsim.runs.schemas").joinpath(f"{name}{_SUFFIX}").read_text(encoding="utf-8")
    tree: dict[str, Any] = json.loads(text)
    return tree
