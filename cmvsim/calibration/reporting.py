"""What the solved hazards achieve of the targets, on patients other than those solved on."""

from __future__ import annotations

from collections.abc import Sequence

from cmvsim.calibration.checks import measure
from cmvsim.calibration.cohort import Seen, median_error
from cmvsim.calibration.targets import TargetResult, distance, result_of, se_share, verdict
from cmvsim.models.baseline import Baseline
from cmvsim.scenarios.scenario import Scenario
from cmvsim.simulation.draws import ChunkDraws


def report_onset(scenario: Scenario, baseline: Baseline, seen: Seen, draws: Sequence[ChunkDraws]) -> list[TargetResult]:
    """Incidence and timing in the fresh cohort, with Monte Carlo SEs.

    Parameters
    ----------
    seen
        What the targets' measurement saw in it.
    draws
        Its chance: it is looked at once more where the measurement is the study's own.
    """
    incidence, timing = scenario.cmv.incidence, scenario.cmv.timing
    if incidence.measured_by is None:
        found = measure(scenario, baseline, (incidence, timing), draws)
        return [result_of(spec, *pair) for spec, pair in zip((incidence, timing), found, strict=True)]
    p, median = seen.at(float(incidence.day)), seen.median(float(timing.day))
    return [
        result_of(incidence, p, se_share(p, seen.at_risk)),
        result_of(timing, median, median_error(seen.days, seen.detected, median, float(timing.day), seen.at_risk)),
    ]


def report_death(scenario: Scenario, seen: Seen) -> list[TargetResult]:
    """Death by stratum in the fresh cohort."""
    rows = []
    for i, name in enumerate(scenario.population.strata):
        n = seen.strata_sizes[i]
        if n == 0:
            continue
        for measured, table, got in (
            ("death_by_90", scenario.follow_up.death_by_90, float(seen.death[i])),
            ("non_relapse_mortality_by_90", scenario.follow_up.non_relapse_mortality_by_90, float(seen.non_relapse_death[i])),
        ):
            value = table[name]
            wanted, mcse = float(value), se_share(got, n)
            published = value.uncertain.interval95() if value.uncertain else None
            apart = float("nan") if published is None else distance("death", wanted, published, got)
            rows.append(
                TargetResult(
                    measured,
                    name,
                    wanted,
                    published,
                    got,
                    mcse,
                    verdict(wanted, published, got, mcse),
                    day=90.0,
                    distance=apart,
                )
            )
    return rows
