"""The joint misfit: one virology against all published cohorts, and where their figures pull it in opposite directions.

A *law* is a mapping from evidence ids to what stands for them, in the form of scenario files:
``{"set_point_shift_steroids": 1.0, "cmv_set_point_plasma": {"mean": 1.1, "varies": {"sd": 0.7}}}``. It replaces the
entries in every cohort at once, so that no cohort can have a virology of its own.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np

from cmvsim.calibration.checks import PATIENTS, measure
from cmvsim.calibration.cohort import FRESH, PATIENTS_PER_REPLICATE, Cohort, chunk_draws
from cmvsim.calibration.levers import LEVERS, Law, moved
from cmvsim.calibration.reporting import report_onset
from cmvsim.calibration.solve import Solver, basis_of
from cmvsim.calibration.targets import TargetResult, result_of
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.models.baseline import Baseline
from cmvsim.scenarios import catalogue_ids
from cmvsim.scenarios.load import catalogue_text, load_tree
from cmvsim.scenarios.resolve import OWN, resolve_tree
from cmvsim.scenarios.scenario import ResolvedScenario

Tick = Callable[[int, int], None]
SENSITIVITY_PATIENTS = 32_768
MISSED, OFF = 0.5, 0.2
"""Published standard errors by which one figure of a pair is missed at least, and the other off."""
OPPOSED = -0.5
"""Cosine from which two figures pull in opposite directions."""


def _silent(*_: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class JointRow:
    """A published figure of a cohort.

    Attributes
    ----------
    cohort
        Catalogue id.
    solved
        Whether the cohort's baseline hazard was solved on it; else it is a check of the virology.
    figure
        Published, achieved, verdict, distance.
    """

    cohort: str
    solved: bool
    figure: TargetResult

    @property
    def label(self) -> str:
        """Cohort and measure."""
        return f"{self.cohort}: {self.figure.label}"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two figures that ask for opposite changes of the virology.

    Attributes
    ----------
    cosine
        Of the two directions in which the squared distances fall, over the levers of the law.
    """

    first: str
    second: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Misfit:
    """One virology against all published cohorts."""

    rows: tuple[JointRow, ...]
    conflicts: tuple[Conflict, ...]
    patients: int

    @property
    def sum_of_squares(self) -> float:
        """Sum of squared standardised distances over all figures that are simulated."""
        return sum_of_squares(self.rows)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        rows = [{"cohort": row.cohort, "solved": row.solved, **asdict(row.figure)} for row in self.rows]
        return {
            "figures": rows,
            "sum_of_squares": self.sum_of_squares,
            "conflicts": [asdict(conflict) for conflict in self.conflicts],
            "patients": self.patients,
        }


@cache
def cohorts() -> tuple[str, ...]:
    """Catalogue scenarios that state published figures of their own."""
    return tuple(name for name in catalogue_ids() if "checks" in tomllib.loads(catalogue_text(name)).get("cmv", {}))


def sum_of_squares(rows: Sequence[JointRow]) -> float:
    """Sum of squared standardised distances."""
    found = np.array([row.figure.distance for row in rows])
    return float(np.nansum(found**2))


class Bench:
    """Evaluates candidate laws on the same patients, each solution starting from the last.

    Parameters
    ----------
    patients
        Of each cohort, rounded to chunks of 16,384; solved on, and as many others reported on.
    names
        Catalogue scenarios; default all cohorts.
    fresh
        Report on other patients than those solved on. A search does without: it is twice as fast, and compares laws on the
        same patients anyway.
    """

    def __init__(self, patients: int = PATIENTS, names: Sequence[str] | None = None, *, fresh: bool = True) -> None:
        self.names = tuple(names) if names is not None else cohorts()
        chunks = max(1, round(patients / (PATIENTS_PER_REPLICATE * CHUNK_REPLICATES)))
        self.patients = chunks * PATIENTS_PER_REPLICATE * CHUNK_REPLICATES
        self._chunks = range(chunks)
        self._draws = chunk_draws(self._chunks)
        self._reported = chunk_draws(range(FRESH, FRESH + chunks)) if fresh else self._draws
        self._starts: dict[str, Baseline] = {}

    def rows(self, law: Law | None = None, tick: Tick = _silent) -> tuple[JointRow, ...]:
        """Solve each cohort's own targets under a law, and hold it against its figures.

        Raises
        ------
        CalibrationError
            If the law puts the targets of a cohort out of reach.
        """
        found: list[JointRow] = []
        for done, name in enumerate(self.names):
            tick(done, len(self.names))
            found += self._cohort(name, law or {})
        tick(len(self.names), len(self.names))
        return tuple(found)

    def baseline(self, name: str) -> Baseline:
        """Hazards of the last law evaluated."""
        return self._starts[name]

    def _cohort(self, name: str, law: Law) -> list[JointRow]:
        scenario = resolve_under(name, law)
        basis, reported = basis_of(scenario), self._reported
        solver = Solver(basis, Cohort(basis, self._chunks, self._draws))
        baseline = solver.solve(self._starts.get(name))
        if scenario.basis is not None:
            baseline = Solver(scenario.spec, Cohort(scenario.spec, self._chunks, self._draws)).solve_rest(baseline)
        self._starts[name] = baseline
        checks = scenario.spec.cmv.checks
        found = measure(scenario.spec, baseline, checks, reported) if checks else []
        rows = [JointRow(name, False, result_of(spec, *pair)) for spec, pair in zip(checks, found, strict=True)]
        if scenario.spec.cmv.calibrated_on not in (OWN, name):  # the targets are those of another cohort
            return rows
        seen = Cohort(basis, self._chunks, reported).see(solver.incidence, baseline)
        return [*(JointRow(name, True, row) for row in report_onset(basis, baseline, seen, reported)), *rows]


def joint(patients: int = PATIENTS, tick: Tick = _silent) -> Misfit:
    """One virology, that of the evidence catalogue, against all published cohorts.

    Parameters
    ----------
    patients
        Of each cohort.
    tick
        Told what is done, and what there is in all.
    """
    return evaluate({}, patients, tick=tick)


def evaluate(
    law: Law,
    patients: int = SENSITIVITY_PATIENTS,
    names: Sequence[str] | None = None,
    tick: Tick = _silent,
) -> Misfit:
    """A candidate virology against published cohorts, with the conflicts among them.

    Parameters
    ----------
    law
        What stands for entries of the evidence catalogue; empty for the catalogue's own.
    patients
        Of each cohort, for the table; the conflicts take at most 32,768.
    names
        Cohorts; default all.
    tick
        Told what is done, and what there is in all.

    Raises
    ------
    CalibrationError
        If the law puts the targets of a cohort out of reach.
    """
    bench = Bench(patients, names)
    steps = len(bench.names) * (len(LEVERS) + 2)
    rows = bench.rows(law, lambda done, _: tick(done, steps))
    small = Bench(min(patients, SENSITIVITY_PATIENTS), bench.names, fresh=False)
    opposed = conflicts(small, law, lambda done: tick(len(bench.names) + done, steps))
    return Misfit(rows, opposed, bench.patients)


def conflicts(bench: Bench, law: Law, tick: Callable[..., None] = _silent) -> tuple[Conflict, ...]:
    """Pairs of figures that pull the law in opposite directions.

    The squared distance of figure i falls fastest along -z_i dz_i/dx, x being the levers, each in its own step. Two
    figures conflict when one is missed by half a published standard error or more, the other off by a fifth or more, and
    the cosine of these directions is at most -0.5: what serves one harms the other. Under the best law such pulls balance.
    """
    n = len(bench.names)
    here = bench.rows(law)
    tick(n)
    z = np.array([row.figure.distance for row in here])
    gradient = np.empty((z.size, len(LEVERS)))
    for index, lever in enumerate(LEVERS):
        there = bench.rows(moved(law, lever, 0.5))
        gradient[:, index] = (np.array([row.figure.distance for row in there]) - z) / 0.5
        tick(n * (index + 2))
    pull = -z[:, None] * gradient
    length = np.linalg.norm(pull, axis=1)
    off = [i for i, row in enumerate(here) if not row.solved and abs(z[i]) >= OFF and length[i] > 0]
    found = []
    for i, j in combinations(off, 2):
        cosine = float(pull[i] @ pull[j] / (length[i] * length[j]))
        if cosine <= OPPOSED and max(abs(z[i]), abs(z[j])) >= MISSED:
            found.append(Conflict(here[i].label, here[j].label, cosine))
    return tuple(sorted(found, key=lambda conflict: conflict.cosine))


def resolve_under(name: str, law: Law) -> ResolvedScenario:
    """A catalogue scenario with a law in place of the catalogue's entries, wherever they are cited."""
    spec = resolve_tree(_under(load_tree(name), law), name)
    basis = None
    if spec.cmv.calibrated_on != OWN:
        basis = resolve_tree(_under(load_tree(spec.cmv.calibrated_on), law), spec.cmv.calibrated_on)
    return ResolvedScenario(spec, name, (), basis)


def _under(tree: Any, law: Law) -> Any:
    if isinstance(tree, Mapping):
        return {key: _under(value, law) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_under(item, law) for item in tree]
    return law.get(tree[1:], tree) if isinstance(tree, str) and tree.startswith("@") else tree
