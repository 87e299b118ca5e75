"""The report of an installation qualification: a page for a validation file, a summary, a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from cmvsim.report.power_text import markdown_table, plain_table

Results = Mapping[str, Any]

TEMPLATE = "qualification.html.jinja"
MOST_NUMBERS = 40
"""Numbers of one quantity that the page shows; all of them are in ``results.json``."""
ENVIRONMENT = {
    "cmvsim": "cmvsim",
    "python": "Python",
    "numpy": "NumPy",
    "scipy": "SciPy",
    "numba": "Numba",
    "system": "Operating system",
    "machine": "Machine type",
}


def verdict(results: Results) -> str:
    """One sentence."""
    cases = sum(row["cases"] for row in results["topics"])
    failed = cases - sum(row["passed"] for row in results["topics"])
    if results["verdict"] == "pass":
        return f"Passed: this installation gives the expected numbers in all {cases} reference cases."
    return f"Failed: {failed} of {cases} reference cases do not give the expected numbers."


def environment_rows(results: Results) -> list[tuple[str, str]]:
    """What was installed where, with the day of the computation."""
    known = {"cmvsim": results["software_version"], **results["environment"]}
    return [*((label, known[key]) for key, label in ENVIRONMENT.items() if key in known), ("Date (UTC)", results["date"])]


def topic_table(results: Results) -> list[list[str]]:
    """Cases, passed and the largest relative error by topic, with a head."""
    rows = [["topic", "cases", "passed", "numbers", "largest relative error"]]
    for row in results["topics"]:
        counts = [f"{row[key]:,}" for key in ("cases", "passed", "numbers")]
        rows.append([row["label"], *counts, error_text(row["largest_relative_error"])])
    return rows


def failures(results: Results) -> list[str]:
    """Every case that failed, with what is wrong with it."""
    lines = []
    for case in results["cases"]:
        if case["verdict"] == "fail":
            lines.append(f"{case['topic']}: {case['id']} ({case['what']})")
            lines += [f"  {line}" for line in case["failures"]]
            lines += [f"  {case['error']}"] if case["error"] else []
            lines += [] if case["failures"] or case["error"] else ["  nothing was compared"]
            lines.append(f"  source: {case['source']}")
    return lines


def terminal_text(results: Results) -> str:
    """What the command prints."""
    parts = [verdict(results), plain_table(topic_table(results)), "\n".join(failures(results))]
    return "\n\n".join(part for part in parts if part)


def summary(results: Results) -> str:
    """``summary.md``."""
    lines = ["# Installation qualification", "", verdict(results), ""]
    lines += [f"- {label}: {value}" for label, value in environment_rows(results)]
    lines += ["", markdown_table(topic_table(results)), ""]
    wrong = failures(results)
    lines += ["## Failures", "", "```", *wrong, "```", ""] if wrong else []
    lines += ["Every case with expected and computed numbers, tolerance and source: `qualification.html`, and `results.json`."]
    return "\n".join(lines) + "\n"


def html(results: Results) -> str:
    """``qualification.html``: one file that needs nothing else."""
    pages = Environment(
        loader=PackageLoader("cmvsim.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters |= {"error": error_text, "numbers": numbers_text, "tolerance": tolerance_text}
    return pages.get_template(TEMPLATE).render(
        results=results,
        verdict=verdict(results),
        environment=environment_rows(results),
        failed=[case for case in results["cases"] if case["verdict"] == "fail"],
        sections=[(topic, [c for c in results["cases"] if c["topic"] == topic["topic"]]) for topic in results["topics"]],
    )


def error_text(error: float | None) -> str:
    """A relative error with one digit; a dash where there is none."""
    if error is None:
        return "-"
    return "0" if error == 0 else f"{error:.0e}"


def tolerance_text(item: Mapping[str, Any]) -> str:
    """Both tolerances in words."""
    parts = [f"{item[key]:.2g} {word}" for key, word in (("rtol", "relative"), ("atol", "absolute")) if item[key]]
    return " + ".join(parts) or "equal"


def numbers_text(values: Any) -> str:
    """Numbers in a row, the first ones of many; rows of a matrix by semicolons."""
    if isinstance(values, str):
        return values
    if not isinstance(values, list):
        return f"{values:.10g}"
    many = _size(values) > MOST_NUMBERS
    matrix = bool(values) and isinstance(values[0], list)
    shown = _first(values, MOST_NUMBERS) if many else values
    text = ("; " if matrix else ", ").join(numbers_text(value) for value in shown)
    return f"{text}, … ({_size(values):,} numbers)" if many else text


def _size(values: Any) -> int:
    return sum(_size(value) for value in values) if isinstance(values, list) else 1


def _first(values: Sequence[Any], most: int) -> list[Any]:
    """Leading rows or numbers with at most so many numbers in all, but never nothing."""
    shown: list[Any] = []
    for value in values:
        if shown and _size(shown) + _size(value) > most:
            break
        shown.append(value)
    return shown
