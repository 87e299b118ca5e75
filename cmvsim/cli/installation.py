"""Commands about this installation and its files: qualify, schema."""

from __future__ import annotations

from pathlib import Path

import click

from cmvsim.app import Terminal
from cmvsim.cli.base import cli, finish, json_option, output_option, quiet_option, say, say_json, shown
from cmvsim.core.errors import ExitCode


@cli.command()
@click.option("--topic", metavar="NAME", help="One topic only, e.g. regression [default: all].")
@output_option
@json_option
@quiet_option
def qualify(topic: str | None, output: Path | None, as_json: bool, quiet: bool) -> None:
    """Installation qualification: every reference case that ships, expected and got; exit code 3 if one fails."""

    def work() -> ExitCode:
        from cmvsim.report import qualification_page as page
        from cmvsim.verbs.place import Place
        from cmvsim.verbs.qualify import QualifyOptions
        from cmvsim.verbs.qualify import qualify as verb

        outcome = verb(QualifyOptions(topic), Place(output), Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
        else:
            say(page.verdict(outcome.results) if quiet else page.terminal_text(outcome.results))
            say(f"\nReport: {shown(outcome.folder / 'qualification.html')}")
        return ExitCode.OK if outcome.results["verdict"] == "pass" else ExitCode.VERDICT_NO

    finish(work)


@cli.command()
@click.argument("name", required=False)
def schema(name: str | None) -> None:
    """JSON Schema of run.json (NAME run), results.json (NAME is the verb) or `compare --json`; without NAME their list."""

    def work() -> None:
        from cmvsim.runs.schemas import schema as published
        from cmvsim.runs.schemas import schema_names

        if name is None:
            say("\n".join(schema_names()))
        else:
            say_json(published(name))

    finish(work)
