"""One page for any run: the answer, what it rests on, tables, figures and where it came from, in a file that needs no other."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

TEMPLATE = "run.html.jinja"
MARK = "<!-- cmvsim report -->"
"""In every page: a file with it may be replaced by another report."""
RESTS_ON = "What this rests on"
MOST_TABLES = 40
MOST_ROWS = 100
"""Rows of a table that the page shows; all of them are in the run folder."""
DIGITS = 4
KINDS = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class RunFiles:
    """What a run folder holds.

    Attributes
    ----------
    run, results
        ``run.json`` and ``results.json``.
    text
        Its summary in Markdown; "" where the verb writes none.
    figures
        Images by name.
    tables
        CSV texts by name.
    edited
        Outputs that are no longer what the run wrote.
    """

    run: Mapping[str, Any]
    results: Mapping[str, Any]
    text: str
    figures: Mapping[str, bytes]
    tables: Mapping[str, str]
    edited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """Part of a summary: its heading, and what stands below as HTML."""

    heading: str
    body: Markup
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The first rows of a CSV file."""

    name: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: int


def page(files: RunFiles) -> str:
    """The report of a run as HTML."""
    title, head, sections = _parts(files)
    used = set(re.findall(r"!\[[^\]]*\]\(([^)]+)\)", files.text))
    pages = Environment(
        loader=PackageLoader("cmvsim.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return pages.get_template(
        TEMPLATE
    ).render(
        mark=Markup(MARK),  # noqa: S704 -- a constant
        title=title,
        head=head,
        sections=sections,
        warnings=[text for text in files.results.get("warnings", []) if text not in files.text],
        failures=files.results.get("failures", []) if files.run["request"]["verb"] != "qualify" else [],
        figures=[(name, data_uri(name, content)) for name, content in files.figures.items() if name not in used],
        tables=[_table(name, text) for name, text in list(files.tables.items())[:MOST_TABLES]],
        more_tables=max(len(files.tables) - MOST_TABLES, 0),
        asked=list(flat(_asked(files.run["request"]))),
        run=files.run,
        edited=files.edited,
    )


def _parts(files: RunFiles) -> tuple[str, Markup, list[Section]]:
    """Title, opening and sections of the summary; what the answer rests on comes right after the opening."""
    request = files.run["request"]
    text = files.text or f"# {request['scenario']}: {request['verb']}\n\n{_plain_answer(files)}\n"
    opening, *rest = re.split(r"^## +", text, flags=re.MULTILINE)
    found = re.match(r"\s*# +(.+)\n", opening)
    title = found[1].strip() if found else f"{request['scenario']}: {request['verb']}"
    opening = opening[found.end() :] if found else opening
    pieces = [part.partition("\n")[::2] for part in rest]
    leads = bool(pieces) and pieces[0][0].startswith(RESTS_ON)
    pieces.sort(key=lambda piece: not piece[0].startswith(RESTS_ON))
    read = _reader(files.figures)
    sections = [
        Section(heading.strip(), _rendered(read, body), folded=heading.startswith(RESTS_ON) and not leads)
        for heading, body in pieces
    ]
    return title, _rendered(read, opening), sections


def _plain_answer(files: RunFiles) -> str:
    """Of a verb that writes no summary."""
    results = files.results
    if files.run["request"]["verb"] == "simulate":
        studies = "1 simulated study" if results["replicates"] == 1 else f"{results['replicates']:,} simulated studies"
        strategy = f" under the strategy `{results['strategy']}`" if results["strategy"] else ""
        strategy += f", randomised by the design `{results['design']}`" if results.get("design") else ""
        cmv = "" if results["cmv"] else ", in which nobody's CMV replicates"
        return f"{studies} of {results['patients']:,} patients of `{results['scenario']}`{strategy}{cmv}."
    return f"A run of `cmvsim {files.run['request']['verb']}`."


def _reader(figures: Mapping[str, bytes]) -> MarkdownIt:
    """Markdown as the summaries use it; HTML in it is text, and an image is the figure itself."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table")

    def image(_renderer: Any, tokens: Any, index: int, _options: Any, _env: Any) -> str:
        name, words = str(tokens[index].attrs["src"]), tokens[index].content
        if name not in figures:
            return str(Markup("<em>{} ({})</em>").format(words, name))
        return str(Markup('<img src="{}" alt="{}">').format(data_uri(name, figures[name]), words))

    reader.add_render_rule("image", image)
    return reader


def _rendered(reader: MarkdownIt, text: str) -> Markup:
    made = reader.render(text).replace("<table>", '<div class="scroll"><table>').replace("</table>", "</table></div>")
    return Markup(made)  # noqa: S704 -- the reader escapes what is no Markdown


def data_uri(name: str, content: bytes) -> str:
    """An image as an address that holds it."""
    return f"data:{KINDS[PurePosixPath(name).suffix]};base64,{base64.b64encode(content).decode()}"


def _table(name: str, text: str) -> Table:
    head, *rows = [*csv.reader(io.StringIO(text))] or [[]]
    return Table(name, head, [[_short(cell) for cell in row] for row in rows[:MOST_ROWS]], len(rows))


def _short(cell: str) -> str:
    """A number with few digits, anything else as it is."""
    if not re.fullmatch(r"-?\d+\.\d*(e[-+]?\d+)?|-?\d+e[-+]?\d+", cell):
        return cell
    value = float(cell)
    return f"{value:.0f}" if 10**DIGITS <= abs(value) < 10**12 else f"{value:.{DIGITS}g}"


def _asked(request: Mapping[str, Any]) -> dict[str, Any]:
    """The request without what stands elsewhere on the page."""
    return {key: value for key, value in request.items() if key not in {"seed", "numbers_version"}}


def flat(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Leaves of a JSON tree by dotted path; lists of plain values are one leaf."""
    if isinstance(tree, Mapping) and tree:
        for key, value in tree.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(tree, list) and any(isinstance(item, Mapping | list) for item in tree):
        for index, item in enumerate(tree):
            yield from flat(item, f"{path}[{index}]")
    else:
        yield path, _leaf(tree)


def _leaf(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_leaf(item) for item in value) or "none"
    if value is None or isinstance(value, Mapping):
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)
