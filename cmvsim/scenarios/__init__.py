"""Scenarios: the human form, the resolved form, the catalogue, and reading them back in words."""

from cmvsim.scenarios.load import catalogue_ids, catalogue_text
from cmvsim.scenarios.resolve import resolve
from cmvsim.scenarios.scenario import ResolvedScenario, Scenario

__all__ = ["ResolvedScenario", "Scenario", "catalogue_ids", "catalogue_text", "resolve"]
