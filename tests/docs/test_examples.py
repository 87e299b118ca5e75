"""Every command line that the documentation and the helps show is one that the program takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cmvsim.cli import cli
from cmvsim.endpoints import endpoint
from cmvsim.planning.sizes import parse_sizes
from cmvsim.scenarios import resolve
from cmvsim.verbs import formula as formula_verb

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), ROOT / "docs" / "example" / "README.md"])


def shown_in_pages() -> Iterator[str]:
    """Lines of code blocks that begin with the program's name, as their readers would paste them."""
    for page in PAGES:
        blocks = re.findall(r"^```\w*\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for block in blocks:
            yield from (line.strip() for line in block.replace("\\\n", " ").splitlines() if line.strip().startswith("cmvsim "))


def commands(group: click.Group, name: str = "cmvsim") -> Iterator[tuple[str, click.Command]]:
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def shown_in_helps() -> Iterator[str]:
    for _, command in commands(cli):
        yield from (line.strip() for line in (command.epilog or "").splitlines() if line.strip().startswith("cmvsim "))


EXAMPLES = sorted({*shown_in_pages(), *shown_in_helps()})


def parsed(line: str) -> tuple[str, dict[str, object]]:
    """Name of the command and what it would get."""
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    name = "cmvsim"
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        assert name in command.commands, f"there is no command '{name}'"
        command = command.commands[name]
    with command.make_context(name, words) as context:
        return name, dict(context.params)


def test_there_are_examples_of_the_commands_of_planning() -> None:
    named = {line.split()[1] for line in shown_in_helps()}
    assert named >= {"power", "validate", "sensitivity", "formula", "compare", "report", "accrual", "simulate", "estimate"}
    assert len(list(shown_in_pages())) > 30


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    name, given = parsed(line)
    scenario, sizes, endpoints = given.get("scenario"), given.get("sizes"), given.get("endpoints")
    if isinstance(scenario, str) and (not scenario.endswith(".toml") or Path(scenario).exists()):
        overrides = given.get("overrides") or ()
        assert isinstance(overrides, tuple)
        found = resolve(scenario, overrides)
        assert given.get("design") in {None, *found.spec.designs}
        assert given.get("strategy") in {None, *found.spec.strategies}
    if isinstance(sizes, str):
        assert parse_sizes(sizes)
    if isinstance(endpoints, tuple):
        assert all(endpoint(item) for item in endpoints)
    if name == "formula" and isinstance(given["name"], str):
        values = given["values"]
        assert isinstance(values, tuple)
        assert (
            formula_verb.formula(given["name"], formula_verb.read_pairs(values))
            if values
            else formula_verb.describe(given["name"])
        )


@pytest.mark.parametrize(("name", "command"), list(commands(cli)), ids=[name for name, _ in commands(cli)])
def test_every_option_says_what_it_is(name: str, command: click.Command) -> None:
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]}"
            assert option.help[0].isupper() or option.help.startswith("..."), f"{name} {option.opts[0]}"
            hidden = isinstance(option.default, int | float) and not option.is_flag and not option.show_default
            assert not hidden or "default" in option.help, f"{name} {option.opts[0]} hides its default"
