"""Cases of this installation: value sets, random streams, and a small study from end to end."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from cmvsim.core.records import FloatArray, IntArray
from cmvsim.core.streams import STREAMS, Role, draw, generator
from cmvsim.data import read_study, write_study
from cmvsim.endpoints.analyse import analyse
from cmvsim.models.baseline import Baseline
from cmvsim.qualification.cases import Case, Comparison
from cmvsim.scenarios import resolve
from cmvsim.simulation.cohort import simulate
from cmvsim.simulation.draws import ChunkDraws
from cmvsim.simulation.model import Model
from cmvsim.simulation.recording import record
from cmvsim.valuation import ValueSet, levels_of, value_set

ROW_NUMBERS = ("estimate", "se", "ci_low", "ci_high")
ROW_COUNTS = ("n", "events")


def all_states(values: ValueSet) -> IntArray:
    """Every profile of the instrument in order, 11111 first: (levels ** 5, 5)."""
    levels = values.decrements.shape[1]
    return np.array(list(itertools.product(range(1, levels + 1), repeat=5)), dtype=np.int64)


def profiles(case: Case) -> Iterator[Comparison]:
    """Single profiles of a value set."""
    values = value_set(case.args["set"])
    for profile, utility in case.expected.items():
        yield case.compare(profile, utility, values.index(levels_of(int(profile))))


def whole_set(case: Case) -> Iterator[Comparison]:
    """All states of a value set: count, sum, extremes, those below 0, and the SHA-256 of the list."""
    values = value_set(case.args["set"])
    index = values.index(all_states(values))
    got: dict[str, float] = {
        "states": index.size,
        "sum": float(index.sum()),
        "minimum": float(index.min()),
        "second best": float(np.sort(index)[-2]),
        "states below 0": int((index < 0).sum()),
    }
    for name, value in got.items():
        yield case.compare(name, case.expected[name], value)
    yield Comparison("SHA-256", case.expected["sha256"], text_digest(index))


def text_digest(values: FloatArray) -> str:
    """SHA-256 of numbers written with eight decimals, one to a line."""
    return hashlib.sha256("".join(f"{value:.8f}\n" for value in values).encode()).hexdigest()


def stream(case: Case) -> Iterator[Comparison]:
    """The first numbers of a named stream, and the SHA-256 of many."""
    got = stream_numbers(case.args)
    first = case.expected["first"]
    yield case.compare("first numbers", first, got[: len(first)])
    yield Comparison("SHA-256 of all bytes", case.expected["sha256"], bytes_digest(got))


def stream_numbers(args: Mapping[str, Any]) -> FloatArray:
    """Numbers of the stream that a case names."""
    name = args["stream"]
    source = generator(int(args["seed"]), Role[args["role"]], int(args["chunk"]), name, int(args["index"]))
    return draw(source, STREAMS[name], int(args["count"]))


def bytes_digest(values: FloatArray) -> str:
    """SHA-256 of the bytes, little-endian."""
    return hashlib.sha256(values.astype("<f8").tobytes()).hexdigest()


def small_study(case: Case) -> Iterator[Comparison]:
    """Simulate, write the tables, read them, analyse: every row of the analysis."""
    expected, rows = case.expected, study_rows(case.args)
    yield case.same("rows", len(expected), len(rows))
    for name, row in expected.items():
        ours = rows.get(name, {})
        # a missing row is shown as NaN, which agrees with no count
        counts = [ours.get(key, float("nan")) for key in ROW_COUNTS]
        yield Comparison(f"{name}: status", row["status"], ours.get("status", "no such row"))
        yield case.same(f"{name}: n, events", [row[key] for key in ROW_COUNTS], counts)
        values = [ours.get(key, float("nan")) for key in ROW_NUMBERS]
        yield case.compare(f"{name}: estimate, se, limits", [row[key] for key in ROW_NUMBERS], values)


def study_rows(args: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Rows of the analysis, by endpoint, estimator and term."""
    scenario = resolve(args["scenario"])
    model = Model.of(scenario.spec, Baseline.of_dict(args["baseline"]))
    draws = ChunkDraws(int(args["seed"]), Role.STUDY, 0, int(args["patients"]))
    study = record(simulate(model, draws))
    with tempfile.TemporaryDirectory(prefix="cmvsim-") as folder:
        write_study(study, 0, Path(folder))
        again = read_study(Path(folder))
    analysed = analyse(again, scenario.spec.analysis, tuple(args["endpoints"]))
    rows = {}
    for row in analysed.rows:
        name = " / ".join(part for part in (row.endpoint, row.estimator, row.term, row.stratum) if part)
        rows[name] = {key: getattr(row, key) for key in ("status", *ROW_COUNTS, *ROW_NUMBERS)}
    return rows


COMPUTE: dict[str, Callable[[Case], Iterator[Comparison]]] = {
    "eq5d_profiles": profiles,
    "eq5d_all_states": whole_set,
    "stream": stream,
    "small_study": small_study,
}
