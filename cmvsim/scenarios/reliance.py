"""What a result rests on: the assumptions of a scenario, then its papers."""

from __future__ import annotations

from typing import Any

from cmvsim.evidence import parameter, sources
from cmvsim.scenarios.inputs import inputs
from cmvsim.scenarios.scenario import Scenario


def assumptions(scenario: Scenario) -> list[dict[str, Any]]:
    """Inputs without a paper behind them: key path and reason."""
    return [{"input": item.path, "why": item.assumed} for item in inputs(scenario) if item.assumed is not None]


def papers(scenario: Scenario) -> list[dict[str, Any]]:
    """Sources of the scenario's inputs, each with the evidence entries taken from it, in order of first use."""
    used: dict[str, list[str]] = {}
    for item in inputs(scenario):
        if item.evidence is not None:
            for key in parameter(item.evidence).source:
                entries = used.setdefault(key, [])
                if item.evidence not in entries:
                    entries.append(item.evidence)
    known = sources()
    return [{"source": key, "citation": known[key].cite(), "entries": entries} for key, entries in used.items()]
