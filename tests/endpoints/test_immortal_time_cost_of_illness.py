"""Immortal time: infection and cost are independent, some die early. Ever against never is wrong, matching is right."""

from __future__ import annotations

import numpy as np

from cmvsim.core.records import Status
from cmvsim.data.study import COMPONENTS
from cmvsim.endpoints import AnalysisSpec, endpoint
from cmvsim.endpoints.base import by_term
from cmvsim.endpoints.derived import Cost

REPLICATES, PATIENTS, DAYS = 200, 80, 90
PLAN = AnalysisSpec(endpoints=("cost_of_illness",), resamples=0)


def _cohorts(seed: int) -> Cost:
    """Cost per day varies between patients, with time and with the state; CMV comes at a rate of its own; a third dies."""
    rng = np.random.default_rng(seed)
    shape = (REPLICATES, PATIENTS)
    onset = np.ceil(rng.exponential(60, shape))
    death = np.ceil(rng.exponential(200, shape))
    lost = np.ceil(rng.exponential(400, shape))
    days = np.arange(1, DAYS + 1)
    state = (rng.random((*shape, 1)) < 0.5) & (days < 30)
    rate = rng.gamma(2.0, 50.0, (*shape, 1)) * (1.0 + 2.0 * (days < 20) + 3.0 * state)
    exit_day = np.minimum(lost, DAYS)
    observed = days <= np.minimum(exit_day, death)[..., None]
    daily = np.zeros((*shape, DAYS, len(COMPONENTS)))
    daily[..., COMPONENTS.index("additional_stays")] = rate * observed
    seen = onset <= np.minimum(np.minimum(exit_day, death), DAYS)
    return Cost(
        daily=daily,
        index=np.where(seen, onset, np.nan),
        exit=exit_day,
        death=np.where(death <= exit_day, death, np.nan),
        monitored=exit_day,
        key=(2 * state).astype(np.int16),
        inside=np.ones(shape, dtype=bool),
        components=COMPONENTS,
    )


def test_ever_against_never_is_biased_and_matching_is_not() -> None:
    """Null effect: |mean| of matching within 4 MCSE of 0, which would reject a bias of a tenth of the naive one's."""
    derived = _cohorts(1)
    choices = {c.id: c for c in endpoint("cost_of_illness").estimators}
    means, errors = {}, {}
    for name in ("matching", "ever_never", "poisson"):
        got = by_term(choices[name].estimate(derived, PLAN, (PATIENTS,)))["total"]
        fine = got.status[:, 0] == Status.OK
        assert fine.mean() > 0.97, name
        values = got.estimate[fine, 0]
        means[name], errors[name] = values.mean(), values.std(ddof=1) / np.sqrt(fine.sum())
    assert abs(means["matching"]) < 4 * errors["matching"]
    assert means["ever_never"] > 20 * errors["ever_never"], "they lived to have it"
    assert means["ever_never"] > 8 * 4 * errors["matching"], "the tolerance is narrow beside the bias"
    assert means["poisson"] > 10 * errors["poisson"], "weights for censoring do not mend immortal time"


def test_the_interval_of_matching_covers_nothing_as_often_as_it_says() -> None:
    got = by_term(endpoint("cost_of_illness").estimators[0].estimate(_cohorts(2), PLAN, (PATIENTS,)))["total"]
    fine = got.status[:, 0] == Status.OK
    inside = (got.ci_low[fine, 0] <= 0) & (got.ci_high[fine, 0] >= 0)
    # 0.95 +- 4 MCSE at 200 replicates; 0.85 would be rejected
    assert 0.885 < inside.mean() <= 1.0
