"""``cmvsim compare``: two finished runs side by side: what was asked that differs, and what differs in the results."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmvsim.core.errors import InputError, Problem
from cmvsim.report.run_page import flat
from cmvsim.runs.folder import changed_files, read_run, request_of
from cmvsim.scenarios.diff import diff
from cmvsim.verbs.compare_economics import economics_of
from cmvsim.verbs.place import read_results
from cmvsim.verbs.replay import stored_scenario

FORMAT = 1
BEYOND = 3.0
"""A difference of so many Monte Carlo standard errors is hardly the luck of the draw."""
ABSENT = "-"
_MEASURED = frozenset(
    {"value", "mcse", "n_ok", "n_failed", "low", "high", "difference", "difference_mcse", "same", "replicates"}
)
_ESTIMATED = frozenset(
    {"estimate", "se", "ci_low", "ci_high", "level", "n", "events", "status", "excluded", "scale", "method", "note"}
)
_ELSEWHERE = ("scenario", "scenario_digest", "verb")
_NO_RESULTS = frozenset({"format", "request", "seed", "assumptions", "sources"})
_NAMES = (
    "strategy",
    "name",
    "id",
    "component",
    "item",
    "stratum",
    "measure",
    "parameter",
    "input",
    "group",
    "endpoint",
    "label",
    "check",
)
"""What tells entries of a list apart, where a verb's results are no rows."""


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What the user typed.

    Attributes
    ----------
    ignore
        Keys of rows that may differ between the runs, such as "n".
    beyond
        Monte Carlo standard errors from which on a difference is marked.
    """

    left: Path
    right: Path
    ignore: tuple[str, ...] = ()
    beyond: float = BEYOND


def compare(options: CompareOptions) -> dict[str, Any]:
    """Both runs as one tree: what was asked that differs, answers and rows joined on their keys.

    The standard error of a difference takes the runs as independent. Runs with the same seed share random numbers, so
    that theirs is smaller as a rule: what is marked then differs all the more, and what is not may differ too.

    Raises
    ------
    InputError
        If a folder is no finished run, the verbs differ, or `ignore` leaves rows that cannot be told apart.
    """
    if not options.beyond > 0:
        raise InputError(Problem(f"{options.beyond:g} standard errors", "--beyond", allowed="above 0"))
    runs = [read_run(folder) for folder in (options.left, options.right)]
    one, other = (request_of(run) for run in runs)
    if one.verb != other.verb:
        raise InputError(
            f"{options.left} is a run of '{one.verb}', {options.right} of '{other.verb}': rows have nothing in common"
        )
    results = [read_results(folder) for folder in (options.left, options.right)]
    rows = joined_rows(results, options)
    return {
        "format": FORMAT,
        "verb": "compare",
        "of": one.verb,
        "runs": [
            {
                "scenario": request.scenario,
                "digest": request.digest,
                "software_version": run["software_version"],
                "changed": list(changed_files(folder)),
            }
            for request, run, folder in zip((one, other), runs, (options.left, options.right), strict=True)
        ],
        "asked": _asked(one.as_dict(), other.as_dict()),
        "scenario": _scenario(options),
        "same_seed": one.seed == other.seed and all("seed" in tree for tree in results),
        "beyond": options.beyond,
        "answers": _answers(results),
        "economics": economics_of(one.verb, results, options.beyond),
        **rows,
    }


def _asked(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Leaves of the requests that differ; the scenario is compared by itself."""
    left, right = ({k: v for k, v in flat(dict(tree)) if k not in _ELSEWHERE} for tree in (one, other))
    return [
        {"key": key, "left": left.get(key, ABSENT), "right": right.get(key, ABSENT)}
        for key in (*left, *(key for key in right if key not in left))
        if left.get(key) != right.get(key)
    ]


def _scenario(options: CompareOptions) -> list[dict[str, Any]]:
    """Where the scenarios differ, for runs of one scenario each."""
    folders = (options.left, options.right)
    if not all((folder / "scenario.resolved.json").is_file() for folder in folders):
        return []
    try:
        left, right = (stored_scenario(folder, request_of(read_run(folder))) for folder in folders)
    except InputError:  # of another version of cmvsim: word by word, then
        trees = [json.loads((folder / "scenario.resolved.json").read_text(encoding="utf-8")) for folder in folders]
        return [{**item, "words_only": False} for item in _asked(*trees)]
    return [
        {"key": item.path, "left": item.left, "right": item.right, "words_only": item.words_only} for item in diff(left, right)
    ]


def _answers(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sample sizes and the like by endpoint, where both runs looked for one."""
    by_endpoint = [
        {(item.get("endpoint", ""), place): item for place, item in enumerate(tree.get("answers", ()))} for tree in results
    ]
    found = []
    for key in (key for key in by_endpoint[0] if key in by_endpoint[1]):
        left, right = (answers[key] for answers in by_endpoint)
        if "n" in left and "n" in right:
            both = left["n"] is not None and right["n"] is not None
            ends = {
                f"{side}_{end}": item.get(end)
                for side, item in (("left", left), ("right", right))
                for end in ("ci_low", "ci_high")
            }
            difference = right["n"] - left["n"] if both else None
            found.append({"endpoint": key[0], "left": left["n"], "right": right["n"], **ends, "difference": difference})
    return found


def joined_rows(results: Sequence[Mapping[str, Any]], options: CompareOptions) -> dict[str, Any]:
    """Rows in both runs with their difference, and how many are in one only."""
    left, right = (_by_key(_list_of_rows(tree), options.ignore) for tree in results)
    rows = [
        {
            "key": {name: value for name, value in key if value not in ("", None)},
            **_difference(left[key], right[key], options.beyond),
        }
        for key in left
        if key in right
    ]
    return {
        "rows": rows,
        "only_left": [dict(key) for key in left if key not in right],
        "only_right": [dict(key) for key in right if key not in left],
    }


def _list_of_rows(tree: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [row for row in tree.get("rows", []) if isinstance(row, dict) and ("value" in row or "estimate" in row)]
    return rows or [
        {"number": path, "value": value, "mcse": error}
        for name, part in tree.items()
        if name not in _NO_RESULTS
        for path, value, error in _numbers(part, name)
    ]


def _numbers(tree: Any, path: str) -> Iterator[tuple[str, float, float | None]]:
    """Every number of a tree by its path, with its standard error where that stands beside it."""
    if isinstance(tree, dict):
        error = tree.get("mcse", tree.get("se")) if "value" in tree else None
        for name, part in tree.items():
            if name == "value" and _number(part):
                yield path, part, error
            elif not (error is not None and name in {"mcse", "se"}):
                yield from _numbers(part, f"{path}.{name}")
    elif isinstance(tree, list):
        for place, part in enumerate(tree):
            names = [str(part[key]) for key in _NAMES if isinstance(part.get(key), str)] if isinstance(part, dict) else []
            yield from _numbers(part, f"{path}[{' '.join([*names[:1], *([] if names else [str(place)])])}]")
    elif _number(tree):
        yield path, tree, None


_Key = tuple[tuple[str, Any], ...]


def _by_key(rows: Iterable[Mapping[str, Any]], ignore: Sequence[str]) -> dict[_Key, Mapping[str, Any]]:
    found: dict[_Key, Mapping[str, Any]] = {}
    for row in rows:
        numbers = _MEASURED if "value" in row else _ESTIMATED
        key = tuple(
            (name, value)
            for name, value in row.items()
            if name not in numbers and name not in ignore and not isinstance(value, list | dict)
        )
        key += tuple(leaf for name, value in row.items() if isinstance(value, dict) and value for leaf in flat(value, name))
        if key in found and "number" in row:
            continue  # entries of a list that nothing tells apart: the first stands for them
        if key in found:
            told = ", ".join(f"{name} {value}" for name, value in key if value not in ("", None))
            raise InputError(Problem(f"several rows are left for {told}", "--ignore", allowed="keys that are one in each run"))
        found[key] = row
    return found


def _difference(left: Mapping[str, Any], right: Mapping[str, Any], beyond: float) -> dict[str, Any]:
    name, error = ("value", "mcse") if "value" in left else ("estimate", "se")
    a, b = left[name], right[name]
    known = _number(a) and _number(b)
    difference = b - a if known else None
    told: dict[str, Any] = {"left": a, "right": b, f"left_{error}": left.get(error), f"right_{error}": right.get(error)}
    told["difference"] = difference
    if error == "mcse":
        told["mcse"] = mcse = (
            math.hypot(left["mcse"], right["mcse"]) if _number(left["mcse"]) and _number(right["mcse"]) else None
        )
        told["beyond"] = None if difference is None or mcse is None else bool(abs(difference) > beyond * mcse)
    return told


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
