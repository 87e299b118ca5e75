"""Whether a run folder holds what the published schemas say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cmvsim.runs.schemas import schema
from tests.scenarios.schema_check import errors


def unmet(tree: dict[str, Any], name: str) -> list[str]:
    """Places at which a tree breaks the published schema `name`."""
    published = schema(name)
    return errors(tree, published, published)


def unmet_by_run(folder: Path, name: str) -> list[str]:
    """The same for `results.json` and `run.json` of a run."""
    found = []
    for file, kind in (("results.json", name), ("run.json", "run")):
        tree = json.loads((folder / file).read_text(encoding="utf-8"))
        found += [f"{file} {at}" for at in unmet(tree, kind)]
    return found
