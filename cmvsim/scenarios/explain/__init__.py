"""A scenario read back in plain English: what is assumed first, then the patients, CMV, care, the question, the sources."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from cmvsim.scenarios.cite import cite
from cmvsim.scenarios.explain.capacity import capacity
from cmvsim.scenarios.explain.care import prophylaxis, resources, seen, treated
from cmvsim.scenarios.explain.disease import course, infections, outcome
from cmvsim.scenarios.explain.patients import toxicity, virome, who
from cmvsim.scenarios.explain.question import asked, plan_, quality_of_life, recruitment
from cmvsim.scenarios.explain.sentences import Section
from cmvsim.scenarios.inputs import Input, inputs
from cmvsim.scenarios.scenario import ResolvedScenario
from cmvsim.scenarios.words import in_words, percent

WIDTH = 118
INDENT = 12
HANDFUL = 9
PAPERS = 5
FIRST = ("monitoring.", "preemptive_therapy.", "study.", "accrual.")
"""What a protocol can change: these assumptions come first."""
TOPICS = {
    "cmv.targets": "incidence and timing",
    "cmv.onset": "onset",
    "cmv.load": "viral load",
    "cmv.matrices": "matrix",
    "cmv.disease": "CMV disease",
    "kinetics": "CAR-T kinetics",
    "toxicity": "toxicity and its treatment",
    "virome": "virome",
    "population": "patients",
    "accrual": "recruitment",
    "monitoring": "assay",
    "preemptive_therapy": "treatment",
    "infections": "infections",
    "resistance": "resistance",
    "follow_up": "death and relapse",
    "letermovir": "letermovir",
    "resources": "resource use",
    "capacity": "shared resources",
    "quality_of_life": "quality of life",
    "strategies": "strategies",
    "study": "study",
    "economics": "economic evaluation",
}
"""What an input is about, by the beginning of its key path."""


def explain(
    scenario: ResolvedScenario, *, observed: float | None = None, mcse: float | None = None, show_all: bool = False
) -> str:
    """Read a scenario back.

    Parameters
    ----------
    scenario
        Resolved.
    observed
        Incidence that the scenario's own monitoring finds, computed by the caller; left out where it is not known.
    mcse
        Its Monte Carlo standard error.
    show_all
        All assumptions and papers with their whole reasons, and the details of every section.
    """
    spec = scenario.spec
    registry = f" ({spec.study.registry})" if spec.study.registry else ""
    lines = [f"{spec.id}  {spec.title}{registry}      resolved {scenario.digest[:8]}", "", *_assumed(scenario, show_all)]
    sections = (
        who(spec),
        toxicity(spec),
        course(spec),
        virome(spec),
        seen(spec, observed, mcse),
        treated(spec),
        prophylaxis(spec),
        infections(spec),
        outcome(spec),
        quality_of_life(spec),
        resources(spec),
        asked(spec),
        plan_(spec),
        recruitment(spec),
        capacity(spec),
        Section("SOURCES", _sources(scenario, show_all)),
    )
    for section in sections:
        if section is not None:
            lines += _wrapped(section.name, section.text(show_all))
    return "\n".join(lines) + "\n"


def _wrapped(name: str, text: str) -> list[str]:
    head = f"{name:<{INDENT}}" if len(name) < INDENT else f"{name} "
    return textwrap.wrap(text, WIDTH, initial_indent=head, subsequent_indent=" " * INDENT, break_on_hyphens=False)


def _assumed(scenario: ResolvedScenario, show_all: bool) -> list[str]:
    everything = inputs(scenario.spec)
    rows = [item for item in everything if item.assumed is not None]
    rows.sort(key=lambda item: next((rank for rank, start in enumerate(FIRST) if item.path.startswith(start)), len(FIRST)))
    if not rows:
        return [f"ASSUMED, with no paper behind it: none of {len(everything)} inputs"]
    share = percent(len(rows) / len(everything))
    lines = [f"ASSUMED, with no paper behind it ({len(rows)} of {len(everything)} inputs, {share}; change them first)"]
    listed = rows if show_all else rows[:HANDFUL]
    path_width = max(len(item.path) for item in listed) + 2
    value_width = min(max(len(in_words(item)) for item in listed), 44) + 2
    for item in listed:
        lines += _row(item, path_width, value_width, show_all)
    if len(rows) > len(listed):
        lines.append(f"  ... {len(rows) - len(listed)} more: `cmvsim scenarios explain {scenario.source} --all`")
    return lines


def _row(item: Input, path_width: int, value_width: int, whole: bool) -> list[str]:
    head = f"  {item.path:<{path_width}}{in_words(item):<{value_width - 2}}  "
    reason = item.assumed or ""
    if not whole:
        return [head + textwrap.shorten(reason, max(WIDTH - len(head), 30), placeholder=" ...")]
    # where the table leaves no room for a reason, it goes on the next line
    if len(head) > WIDTH - 40:
        return [head.rstrip(), *textwrap.wrap(reason, WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8)]
    return textwrap.wrap(reason, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or [head]


def _sources(scenario: ResolvedScenario, show_all: bool) -> list[str]:
    papers = sorted(cite(scenario).papers, key=lambda paper: -sum(len(reason.inputs) for reason in paper.reasons))
    listed = papers if show_all else papers[:PAPERS]
    text = "; ".join(
        f"{paper.name} ({', '.join(_topics(path for reason in paper.reasons for path in reason.inputs))})" for paper in listed
    )
    more = f"; {len(papers) - len(listed)} more" if len(papers) > len(listed) else ""
    return [f"{text}{more}: `cmvsim scenarios cite {scenario.source}`"] if papers else ["none"]


def _topics(paths: Iterable[str]) -> list[str]:
    return list(
        dict.fromkeys(
            next((topic for start, topic in TOPICS.items() if path.startswith(start)), path.split(".")[0]) for path in paths
        )
    )
