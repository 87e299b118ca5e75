"""PSA samples as CSV: draws of cost, effect and inputs, written by this package or any other.

Long: one row for each strategy and draw, with the columns ``strategy``, ``draw``, ``cost`` and ``effect``; every other column
is an input, equal in all rows of its draw. Wide: one row for each draw, with ``cost_NAME`` and ``effect_NAME`` for each
strategy; every other column but ``draw`` is an input.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cmvsim.core.errors import InputError, Problem, did_you_mean
from cmvsim.core.records import FloatArray

LONG = ("strategy", "draw", "cost", "effect")
LAYOUTS = (
    "either the columns strategy, draw, cost, effect, and one for each input; "
    "or one row for each draw with cost_NAME and effect_NAME for each strategy"
)
MOST_PROBLEMS = 20


@dataclass(frozen=True, eq=False, slots=True)
class PsaSamples:
    """Draws of a probabilistic sensitivity analysis.

    Attributes
    ----------
    strategies
        Names; the first is the comparator.
    draws
        Labels, in the order of the file.
    cost, effect
        (draws, strategies).
    inputs
        By name: (draws,).
    """

    strategies: tuple[str, ...]
    draws: tuple[str, ...]
    cost: FloatArray
    effect: FloatArray
    inputs: Mapping[str, FloatArray]

    @property
    def varied(self) -> dict[str, FloatArray]:
        """The inputs that are not the same in all draws."""
        return {name: values for name, values in self.inputs.items() if np.ptp(values) > 0}

    def against(self, comparator: str) -> PsaSamples:
        """The same draws with another strategy as comparator.

        Raises
        ------
        InputError
            If there is no such strategy.
        """
        if comparator not in self.strategies:
            raise InputError(
                Problem(
                    f"there is no strategy '{comparator}'", "--comparator", allowed=did_you_mean(comparator, self.strategies)
                )
            )
        first = self.strategies.index(comparator)
        order = [first, *(k for k in range(len(self.strategies)) if k != first)]
        names = tuple(self.strategies[k] for k in order)
        return PsaSamples(names, self.draws, self.cost[:, order], self.effect[:, order], self.inputs)


def psa_csv(samples: PsaSamples) -> str:
    """The long form, every number in full."""
    draws, strategies = samples.cost.shape
    columns: dict[str, object] = {
        "strategy": np.tile(np.array(samples.strategies, dtype=object), draws),
        "draw": np.repeat(np.array(samples.draws, dtype=object), strategies),
        "cost": samples.cost.ravel(),
        "effect": samples.effect.ravel(),
    }
    columns |= {name: np.repeat(values, strategies) for name, values in samples.inputs.items()}
    text: str = pd.DataFrame(columns).to_csv(index=False, lineterminator="\n", float_format="%.17g")
    return text


def read_psa(path: Path) -> PsaSamples:
    """Read PSA samples in either layout.

    Raises
    ------
    InputError
        With every problem found: columns, cells that are no finite number, strategies without a draw, inputs that differ
        between the strategies of a draw.
    """
    cells = _cells(path)
    if set(LONG) <= set(cells.columns):
        return _long(cells, str(path))
    if any(name.startswith("cost_") for name in cells.columns) and "strategy" not in cells.columns:
        return _wide(cells, str(path))
    missing = ", ".join(f"'{name}'" for name in LONG if name not in cells.columns)
    found = ", ".join(list(cells.columns)[:12])
    raise InputError(Problem(f"has no column {missing}; it has: {found}", str(path), allowed=LAYOUTS))


def _cells(path: Path) -> pd.DataFrame:
    """All cells as text."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(Problem(f"cannot be read ({error.strerror})", str(path))) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(
            Problem("is not UTF-8 text", str(path), allowed="save the table as CSV, comma-separated, UTF-8")
        ) from None
    header = text.partition("\n")[0]
    if "," not in header and any(mark in header for mark in ";\t"):
        raise InputError(
            Problem("its columns are not separated by commas", str(path), allowed="save it as CSV, comma-separated")
        )
    try:
        cells = pd.read_csv(
            io.StringIO(text), dtype=str, keep_default_na=False, skip_blank_lines=True, header=None, index_col=False
        )
    except (pd.errors.ParserError, pd.errors.EmptyDataError, pd.errors.ParserWarning) as error:
        reason = "is empty" if isinstance(error, pd.errors.EmptyDataError) else f"is no table: {str(error).strip()}"
        raise InputError(Problem(reason, str(path), allowed=LAYOUTS)) from None
    names = [str(name).strip() for name in cells.iloc[0]]
    if len(set(names)) < len(names):
        twice = next(name for k, name in enumerate(names) if name in names[:k])
        raise InputError(Problem(f"has two columns '{twice}'", str(path)))
    cells = cells.iloc[1:].fillna("").set_axis(names, axis=1).reset_index(drop=True)
    if cells.empty:
        raise InputError(Problem("has no rows", str(path), allowed=LAYOUTS))
    return cells


def _numbers(cells: pd.DataFrame, names: Sequence[str], where: str) -> dict[str, FloatArray]:
    """Columns as finite numbers."""
    problems, columns = [], {}
    for name in names:
        values = pd.to_numeric(cells[name].str.strip(), errors="coerce").to_numpy(dtype=np.float64, copy=True)
        columns[name] = values
        for row in np.flatnonzero(~np.isfinite(values))[: MOST_PROBLEMS + 1]:
            cell = str(cells[name].iloc[row])
            message = f"'{cell}' is no finite number" if cell.strip() else "the cell is empty"
            allowed = "a decimal point, not a comma" if "," in cell else ""
            problems.append(Problem(message, where, f"row {row + 2}, column '{name}'", allowed))
    _raise(problems)
    return columns


def _raise(problems: Sequence[Problem]) -> None:
    if problems:
        more = len(problems) - MOST_PROBLEMS
        rest = [Problem(f"and more problems ({more} or more)")] if more > 0 else []
        raise InputError([*problems[:MOST_PROBLEMS], *rest])


def _checked(samples: PsaSamples, where: str) -> PsaSamples:
    if len(samples.strategies) < 2:
        raise InputError(Problem(f"holds one strategy ('{samples.strategies[0]}')", where, allowed="two or more"))
    if len(samples.draws) < 2:
        raise InputError(Problem("holds one draw", where, allowed="two or more; hundreds for any precision"))
    return samples


def _long(cells: pd.DataFrame, where: str) -> PsaSamples:
    strategy, draw = cells["strategy"].str.strip(), cells["draw"].str.strip()
    empty = [
        Problem("the cell is empty", where, f"row {row + 2}, column '{column.name}'")
        for column in (strategy, draw)
        for row in np.flatnonzero(column == "")
    ]
    _raise(empty)
    names, draws = tuple(pd.unique(strategy)), tuple(pd.unique(draw))
    place = {name: k for k, name in enumerate(names)}
    at = {label: k for k, label in enumerate(draws)}
    columns, rows = strategy.map(place).to_numpy(), draw.map(at).to_numpy()
    source = np.full((len(draws), len(names)), -1)
    problems = []
    for k, (row, column) in enumerate(zip(rows, columns, strict=True)):
        if source[row, column] >= 0:
            first = int(source[row, column]) + 2
            problems.append(
                Problem(f"strategy '{names[column]}' has draw {draws[row]} twice, also in row {first}", where, f"row {k + 2}")
            )
        source[row, column] = k
    problems += [
        Problem(f"strategy '{names[column]}' has no draw {draws[row]}", where, allowed="every strategy has every draw")
        for row, column in np.argwhere(source < 0)
    ]
    _raise(problems)
    numbers = _numbers(cells, [name for name in cells.columns if name not in LONG[:2]], where)
    inputs = {}
    for name in [name for name in numbers if name not in LONG]:
        values = numbers[name][source]
        differs = np.flatnonzero(np.ptp(values, axis=1) > 0)
        if differs.size:
            problems.append(
                Problem(
                    f"differs between the strategies of draw {draws[differs[0]]}",
                    where,
                    f"column '{name}'",
                    "an input is the same for all strategies of a draw; leave other columns out",
                )
            )
        inputs[name] = values[:, 0]
    _raise(problems)
    return _checked(PsaSamples(names, draws, numbers["cost"][source], numbers["effect"][source], inputs), where)


def _wide(cells: pd.DataFrame, where: str) -> PsaSamples:
    costs = {name.removeprefix("cost_") for name in cells.columns if name.startswith("cost_")}
    effects = {name.removeprefix("effect_") for name in cells.columns if name.startswith("effect_")}
    _raise([Problem(f"has no column 'effect_{name}' beside 'cost_{name}'", where) for name in sorted(costs - effects)])
    _raise([Problem(f"has no column 'cost_{name}' beside 'effect_{name}'", where) for name in sorted(effects - costs)])
    names = tuple(name.removeprefix("cost_") for name in cells.columns if name.startswith("cost_"))
    numbers = _numbers(cells, [name for name in cells.columns if name != "draw"], where)
    labels = cells["draw"].str.strip() if "draw" in cells.columns else pd.Series([str(k + 1) for k in range(len(cells))])
    twice = np.flatnonzero(labels.duplicated())
    _raise([Problem(f"draw {labels.iloc[row]} comes twice", where, f"row {row + 2}") for row in twice])
    cost, effect = (np.column_stack([numbers[f"{kind}_{name}"] for name in names]) for kind in ("cost", "effect"))
    inputs = {name: values for name, values in numbers.items() if not name.startswith(("cost_", "effect_"))}
    return _checked(PsaSamples(names, tuple(labels), cost, effect, inputs), where)


def parse_thresholds(text: str) -> tuple[float, ...]:
    """Read ``30000``, ``20000,50000`` or ``0:100000:5000`` (both ends included).

    Raises
    ------
    InputError
        If it is none of these, a threshold is below 0, or there are more than 1,000.
    """
    values: set[float] = set()
    for part in text.split(","):
        try:
            numbers = [float(number) for number in part.split(":")]
        except ValueError:
            numbers = []
        fine = len(numbers) in (1, 3) and all(math.isfinite(number) and number >= 0 for number in numbers)
        if fine and len(numbers) == 3:
            first, last, step = numbers
            fine = step > 0 and last >= first and (last - first) / step < 1000
            if fine:
                values.update(first + step * k for k in range(int((last - first) / step + 1e-9) + 1))
        elif fine:
            values.add(numbers[0])
        if not fine:
            raise InputError(
                Problem(
                    f"'{part}' is no threshold or range of them",
                    "--wtp",
                    allowed="such as 0:100000:5000 (first, last, step) or 20000,50000; at least 0, at most 1,000 of them",
                )
            )
    return tuple(sorted(values))
