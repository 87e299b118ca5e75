"""The pathway engine, written from docs/model.md alone, against the cohort engine: patient by patient, event by event."""

from __future__ import annotations

import numpy as np

from cmvsim.core.streams import Role
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.pathway.compare import Comparison, compare
from cmvsim.simulation.pathway.engine import simulate_pathway
from tests.simulation.pathway_build import WITHOUT_HEALTH, both, catalogue_model
from tests.verification.engines import REACHED, Laid, of_random_sets, of_the_catalogue

STRESS_SETS = 24


def agree(laid: Laid) -> None:
    """Every event, and every byte of the study tables."""
    assert not laid.comparison.mismatches, laid.comparison.table() + "\n\n" + laid.comparison.mismatches[0]
    assert laid.tables > 0
    assert not laid.tables_differing


def test_catalogue_scenarios_agree() -> None:
    laid = of_the_catalogue(10)
    assert laid.comparison.events > 40_000
    agree(laid)


def test_random_parameter_sets_agree_on_every_branch() -> None:
    laid = of_random_sets(range(STRESS_SETS), 28)
    agree(laid)
    rare = {name: count for name, count in laid.seen.items() if count < REACHED}
    assert not rare
    assert len(laid.seen) >= 45


def test_laboratories_that_differ_change_reports_and_no_load() -> None:
    """Whole blood, many sites: the offset of an episode is that of the matrix, and samples are read with the site's shift."""
    reports: list[dict[tuple[int, int], str]] = []
    offsets: list[set[float]] = []
    for between in (0.4, 0.0):
        sites = ("population.sites=5", f"monitoring.assay_sd_between_sites={between}")
        made = both(catalogue_model("cmv-cart-whole-blood", *sites, amplitude=4.0), 11, 40)
        result = compare(made.history, made.all_stories)
        assert not result.mismatches, result.mismatches[0]
        assert min(result.kinds[f"episode {name}"].compared for name in ("offset", "growth")) > 30
        tables, differing = made.differing_tables()
        assert tables > 0
        assert not differing
        seen = [story for story in made.all_stories if story.episodes]
        offsets.append({story.offset for story in seen})
        reports.append({(s.patient, s.replicate): str([sample.load for sample in s.samples]) for s in seen})
    assert offsets[0] == offsets[1]
    assert len(offsets[0]) > 30
    assert reports[0].keys() == reports[1].keys()
    assert sum(reports[0][who] != reports[1][who] for who in reports[0]) > 20


def test_arms_of_a_cohort_agree_in_any_replicate_of_a_full_chunk() -> None:
    model = catalogue_model("letermovir-strategies", amplitude=4.0)
    names, draws = list(model.strategies), ChunkDraws(9, Role.STUDY, 2, 40)
    arm = np.random.default_rng(1).integers(len(names), size=draws.patients * draws.replicates)
    history = simulate(model, draws, needs=WITHOUT_HEALTH, path=True, strategy=names, arm=arm)
    result = Comparison()
    for replicate in (0, 17, 63):
        some = range(5, 40, 2)
        stories = simulate_pathway(model, draws, patients=some, replicate=replicate, strategy=names, arm=arm)
        result.add(compare(history, stories))
    assert result.kinds["letermovir start"].compared >= 10
    assert not result.mismatches, result.mismatches[0]
