"""A scenario file to start from: it extends another one and lists what is most often changed, commented out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cmvsim.scenarios.inputs import all_inputs
from cmvsim.scenarios.load import load_tree
from cmvsim.scenarios.resolve import resolve
from cmvsim.scenarios.scenario import FORMAT
from cmvsim.scenarios.words import in_words

SECTIONS = {
    "monitoring": "how CMV is looked for: change this to your protocol",
    "preemptive_therapy": "what starts and stops treatment",
    "analysis": "what counts, and how it is estimated",
}
"""What is changed most often, and why one would."""


def new(from_id: str, new_id: str = "my-study", *, base: str | None = None) -> str:
    """Write the text of a scenario that extends another one.

    Parameters
    ----------
    from_id
        Catalogue id or file.
    new_id
        Id of the new scenario.
    base
        What the file writes after ``extends``, where a relative path must be seen from elsewhere.

    Returns
    -------
    str
        TOML; every line that would change a number is commented out, with the value it has now.

    Raises
    ------
    InputError
        If there is no such scenario, or it holds a mistake.
    """
    scenario = resolve(from_id)
    tree = load_tree(from_id)
    words = {item.path: in_words(item) for item in all_inputs(scenario.spec)}
    plan = {**scenario.spec.analysis.human(), **tree["analysis"]}
    lines = [
        f"# Extends {scenario.id}: everything not named here is as there; a section replaces key by key.",
        "# To change something, take the # off its line and edit the value. Values:",
        "#   0.9                                        your own number",
        '#   "@id"                                      an entry of the evidence catalogue',
        '#   { value = 0.9, assumed = "why" }           an assumption: listed first in every report',
        "#   { value = 0.3, uncertain = { beta = [24, 55] } }   what is not known of it",
        "# Units are fixed: days from infusion, IU/mL, proportions from 0 to 1.",
        "# `cmvsim scenarios check FILE` finds mistakes, `cmvsim scenarios explain FILE` reads it back.",
        f"format  = {FORMAT}",
        f"id      = {inline(new_id)}",
        f"title   = {inline(scenario.spec.title + ', changed')}",
        f"extends = {inline(base or from_id)}",
        "",
        "[study]",
        f"# patients = {scenario.spec.study.patients}",
    ]
    for section, purpose in SECTIONS.items():
        lines += ["", f"[{section}]  # {purpose}"]
        lines += _keys(section, plan if section == "analysis" else tree[section], words)
    for name, design in tree["designs"].items():
        lines += ["", f"[designs.{name}]", *(f"# {key} = {inline(value)}" for key, value in design.items())]
    return "\n".join(lines) + "\n"


def _keys(section: str, table: Mapping[str, Any], words: Mapping[str, str]) -> list[str]:
    lines = []
    for key, value in table.items():
        line = f"# {key} = {inline(value)}"
        now = words.get(f"{section}.{key}")
        lines.append(f"{line}  # now {now}" if now is not None else line)
    return lines


def inline(value: Any) -> str:
    """Write a value on one line of TOML.

    Parameters
    ----------
    value
        Read from TOML: text, number, truth value, list or table.
    """
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {inline(item)}" for key, item in value.items()) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(inline(item) for item in value) + "]"
    if isinstance(value, str):
        return _quoted(value)
    return repr(value)


def _key(name: str) -> str:
    bare = name.isascii() and bool(name) and all(letter.isalnum() or letter in "-_" for letter in name)
    return name if bare else _quoted(name)


def _quoted(text: str) -> str:
    """Quote as TOML does: as JSON, but DEL is a control character too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
