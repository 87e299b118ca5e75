"""The papers a scenario relies on, each with the reasons, and then what no paper stands behind."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from cmvsim.evidence import Parameter, parameter, sources
from cmvsim.scenarios.inputs import Input, inputs
from cmvsim.scenarios.scenario import ResolvedScenario
from cmvsim.scenarios.words import in_words

WIDTH = 110


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a paper is relied on.

    Attributes
    ----------
    inputs
        Key paths that take the number.
    value
        In words.
    entry
        Id of the evidence entry that states the number.
    measures
        What exactly the number is.
    grade
        found, recalled or derived, with the confidence of a recollection.
    locator
        Where in the source.
    why
        Why this number for this use.
    via
        The entry that was computed from this one, if the scenario does not name it itself.
    """

    inputs: tuple[str, ...]
    value: str
    entry: str
    measures: str
    grade: str
    locator: str
    why: str
    via: str = ""


@dataclass(frozen=True, slots=True)
class Citation:
    """A paper, with a short name for running text, and the reasons it is relied on."""

    source: str
    name: str
    text: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Assumption:
    """An input with no paper behind it, and the sources that bear on it without stating it."""

    input: str
    value: str
    why: str
    see: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Citations:
    """What a scenario rests on: papers first used first, then assumptions, then the user's own numbers."""

    scenario: str
    papers: tuple[Citation, ...]
    assumptions: tuple[Assumption, ...]
    own: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self)

    def behind(self) -> dict[str, Any]:
        """What the results of a run hold of it: assumptions, and papers with the entries of the catalogue that they state."""
        return {
            "assumptions": [{"input": item.input, "value": item.value, "why": item.why} for item in self.assumptions],
            "sources": [
                {"source": paper.source, "citation": paper.text, "entries": [reason.entry for reason in paper.reasons]}
                for paper in self.papers
            ],
        }

    def as_text(self) -> str:
        """For people."""
        lines = [f"{self.scenario} relies on {len(self.papers)} papers and {len(self.assumptions)} assumptions.", ""]
        for paper in self.papers:
            lines += _wrapped(paper.text, "")
            for reason in paper.reasons:
                lines += _wrapped(f"{', '.join(reason.inputs)} = {reason.value}", "    ")
                place = f"; {reason.locator}" if reason.locator else ""
                via = f", through @{reason.via}" if reason.via else ""
                lines += _wrapped(
                    f"@{reason.entry}{via} ({reason.grade}{place}): {reason.measures}. {reason.why}".strip(), "        "
                )
            lines.append("")
        lines.append("Assumed, with no paper behind it")
        for item in self.assumptions:
            lines += _wrapped(f"{item.input} = {item.value}", "    ")
            bearing = f" (see {', '.join(item.see)})" if item.see else ""
            lines += _wrapped(f"{item.why}{bearing}", "        ")
        if self.own:
            lines += ["", *_wrapped("Stated by the file itself, without a source: " + ", ".join(self.own), "")]
        return "\n".join(lines) + "\n"


def cite(scenario: ResolvedScenario, bears: Callable[[str], bool] | None = None) -> Citations:
    """Collect what a scenario rests on.

    Parameters
    ----------
    scenario
        Resolved.
    bears
        Whether an input, by its key path, bears on the result at hand; without it, all that concern the scenario count.
    """
    reasons: dict[str, list[Reason]] = {}
    assumed, own = [], []
    entries: dict[str, list[Input]] = {}
    for item in inputs(scenario.spec):
        if bears is not None and not bears(item.path):
            continue
        if item.assumed is not None:
            see = parameter(item.evidence).see if item.evidence is not None else ()
            assumed.append(Assumption(item.path, in_words(item), item.assumed, tuple(map(_name, see))))
        elif item.evidence is not None:
            entries.setdefault(item.evidence, []).append(item)
        else:
            own.append(item.path)
    for name, used in entries.items():
        for entry, via in _vouching(parameter(name), ""):
            reason = Reason(
                tuple(item.path for item in used),
                in_words(used[0]),
                entry.id,
                entry.measures,
                _grade(entry),
                entry.locator,
                entry.reason,
                via,
            )
            for key in entry.source:
                reasons.setdefault(key, []).append(reason)
    known = sources()
    papers = tuple(Citation(key, _name(key), known[key].cite(), tuple(found)) for key, found in reasons.items())
    return Citations(scenario.id, papers, tuple(assumed), tuple(own))


def _vouching(entry: Parameter, via: str) -> Iterator[tuple[Parameter, str]]:
    """The entry, and the entries that it was computed from, down to those that a paper states."""
    yield entry, via
    for name in entry.inputs:
        yield from _vouching(parameter(name), entry.id)


def _grade(entry: Parameter) -> str:
    return f"{entry.grade}, {entry.confidence} confidence" if entry.confidence else entry.grade


def _name(key: str) -> str:
    """Short name of a source: first author and year, or its title, or an identifier."""
    source = sources()[key]
    author = source.authors.removesuffix(" et al.").split(",")[0]
    if not author:
        return source.title or " ".join([textwrap.shorten(source.what, 40, placeholder=" ..."), *source.ids[:1]])
    words = author.split()
    if len(words) > 1 and words[-1].isupper():  # "Lin RY": initials are no part of a short name
        words = words[:-1]
    return " ".join([*words, *([str(source.year)] if source.year else [])])


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
