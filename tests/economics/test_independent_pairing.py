"""The sick-sicker microsimulation: our pairing audit finds the exact variance reduction of common random numbers.

Krijkamp EM et al., Med Decis Making 2018;38:400-422; exact means and standard deviations of a patient by matrix recursion
(reference case 16_microsim_sick_sicker_exact).
"""

from __future__ import annotations

import numpy as np
import pytest

from cmvsim.economics import acceptability_with_noise, pairing_audit
from tests.economics.economics_reference import SHARED, expected, needs_shared

CASE = "16_microsim_sick_sicker_exact"
TRANSITIONS = np.array(
    [
        [0.845, 0.15, 0, 0.005],
        [0.5, 0.380074875, 0.105, 0.014925125],
        [0, 0, 0.951110130465772, 0.0488898695342281],
        [0, 0, 0, 1],
    ]
)
COST = np.array([[2000, 4000, 15000, 0], [2000, 16000, 27000, 0]], dtype=float)
QALY = np.array([[1, 0.75, 0.5, 0], [1, 0.95, 0.5, 0]])
EXACT_MEAN = {"cost": (75976.1491401425, 141623.028188344), "qaly": (15.8388478145427, 16.4004055892414)}
EXACT_SD = {"cost": (57903.0695840203, 108371.268341229), "qaly": (4.94890626050631, 5.09781559653701)}
PAIRED = {"cost": 51857.0928108718, "qaly": 0.356280013495818}
APART = {"cost": 122870.2456624, "qaly": 7.10488543409213}
PATIENTS = 40_000


def walk(seed: int) -> dict[str, np.ndarray]:
    """Discounted cost and QALYs of patients without and with treatment, on the same transitions: (2, patients)."""
    rng = np.random.default_rng(seed)
    edges = TRANSITIONS.cumsum(axis=1)
    edges[:, -1] = 1.0
    state = np.zeros(PATIENTS, dtype=np.int64)
    total = {"cost": np.zeros((2, PATIENTS)), "qaly": np.zeros((2, PATIENTS))}
    for cycle in range(31):
        for name, reward in (("cost", COST), ("qaly", QALY)):
            total[name] += reward[:, state] * 1.03**-cycle
        state = (rng.random(PATIENTS)[:, None] >= edges[state]).sum(axis=1)
    return total


@pytest.fixture(scope="module")
def same() -> dict[str, np.ndarray]:
    return walk(1)


@needs_shared
def test_numbers_here_are_those_of_the_case() -> None:
    told = expected(CASE)
    for name in ("cost", "qaly"):
        assert EXACT_MEAN[name] == (told["mean"]["no_treatment"][name], told["mean"]["treatment"][name])
        assert PAIRED[name] == told["incremental_sd_with_common_random_numbers"][name]
        assert APART[name] == told["incremental_sd_if_independent"][name]
    np.testing.assert_array_equal(TRANSITIONS, told["transition_matrix"])
    assert (SHARED / CASE).is_dir()


@pytest.mark.parametrize("name", ["cost", "qaly"])
def test_independent_means_of_the_microsimulation(same: dict[str, np.ndarray], name: str) -> None:
    for arm in (0, 1):
        assert abs(same[name][arm].mean() - EXACT_MEAN[name][arm]) < 4 * EXACT_SD[name][arm] / np.sqrt(PATIENTS)
        assert same[name][arm].std() == pytest.approx(EXACT_SD[name][arm], rel=0.03)


@pytest.mark.parametrize("name", ["cost", "qaly"])
def test_independent_pairing_audit_finds_the_exact_variance_reduction(same: dict[str, np.ndarray], name: str) -> None:
    (row,) = pairing_audit(("none", "treatment"), same[name], outcome=name)
    exact = EXACT_MEAN[name][1] - EXACT_MEAN[name][0]
    assert row.sd == pytest.approx(PAIRED[name], rel=0.03)
    assert row.sd_independent == pytest.approx(APART[name], rel=0.03)
    assert row.variance_reduction == pytest.approx((APART[name] / PAIRED[name]) ** 2, rel=0.06)
    assert abs(row.increment - exact) < 4 * PAIRED[name] / np.sqrt(PATIENTS)
    assert row.mcse == pytest.approx(PAIRED[name] / np.sqrt(PATIENTS), rel=0.03)
    correlation = (sum(sd**2 for sd in EXACT_SD[name]) - PAIRED[name] ** 2) / (2 * np.prod(EXACT_SD[name]))
    assert row.correlation == pytest.approx(correlation, abs=0.01)


def test_without_pairing_the_audit_finds_no_reduction(same: dict[str, np.ndarray]) -> None:
    other = walk(2)
    apart = np.stack([same["qaly"][0], other["qaly"][1]])
    (row,) = pairing_audit(("none", "treatment"), apart)
    assert row.variance_reduction == pytest.approx(1, abs=0.05)
    assert abs(row.correlation) < 4 / np.sqrt(PATIENTS)


def test_what_pairing_does_to_acceptability() -> None:
    """Draws of 100 patients: with pairing their noise is small beside the inputs' spread; without it nothing is seen."""
    spread = 0.2**2
    paired = acceptability_with_noise(0.3, spread, PAIRED["qaly"] ** 2, 100, 1000)
    apart = acceptability_with_noise(0.3, spread, APART["qaly"] ** 2, 100, 1000)
    rng = np.random.default_rng(3)
    for got, sd in ((paired, PAIRED["qaly"]), (apart, APART["qaly"])):
        draws = 0.3 + 0.2 * rng.standard_normal(200_000) + sd / 10 * rng.standard_normal(200_000)
        assert (draws > 0).mean() == pytest.approx(got.seen, abs=4 * np.sqrt(0.25 / 200_000))
        assert got.mcse == pytest.approx(np.sqrt(got.seen * (1 - got.seen) / 1000))
    assert paired.probability == apart.probability == pytest.approx(0.933193, abs=1e-6)
    assert paired.probability - paired.seen < 0.005
    assert apart.probability - apart.seen > 0.25
