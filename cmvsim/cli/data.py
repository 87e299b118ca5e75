"""Commands that work on study tables: template, check, dictionary, convert, export."""

from __future__ import annotations

from pathlib import Path

import click

from cmvsim.cli.base import cli, finish, format_option, json_option, say, say_json, shown
from cmvsim.core.errors import ExitCode, InputError, Problem


@cli.group()
def data() -> None:
    """Study tables: empty ones, checks, the dictionary, other formats, derived datasets."""


folder_argument = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))


@data.command()
@folder_argument
def template(folder: Path) -> None:
    """Write empty tables, their dictionary and a commented analysis.toml to the new folder DIR."""

    def work() -> None:
        from cmvsim.verbs.data import template as verb

        paths = verb(folder)
        say(f"{len(paths)} files in {shown(folder)}; README.txt says how to go on")

    finish(work)


@data.command()
@folder_argument
@json_option
def check(folder: Path, as_json: bool) -> None:
    """Find every problem of the study tables in DIR; exit code 2 if there is any."""

    def work() -> ExitCode:
        from cmvsim.verbs.data import check as verb

        outcome = verb(folder)
        if as_json:
            say_json(outcome.as_dict())
        else:
            for problem in outcome.problems:
                say(str(problem))
            for note in outcome.notes:
                say(f"Note: {note}")
            count = len(outcome.problems)
            rows = ", ".join(f"{name} {number}" for name, number in outcome.tables.items())
            say(f"{count} problem{'s' * (count != 1)}" if count else f"No problem. Rows: {rows}")
        return ExitCode.USAGE if outcome.problems else ExitCode.OK

    finish(work)


@data.command()
@json_option
@click.option("--format", "form", type=click.Choice(["text", "md", "csv"]), default="text", show_default=True, help="Form.")
def dictionary(as_json: bool, form: str) -> None:
    """Describe every column of every table."""

    def work() -> None:
        from cmvsim.data import dictionary as rows
        from cmvsim.verbs.data import dictionary_text

        if as_json:
            say_json([row._asdict() for row in rows()])
        else:
            say(dictionary_text(form).rstrip("\n"))

    finish(work)


@data.command()
@click.argument("folder", metavar="IN", type=click.Path(path_type=Path))
@click.argument("place", metavar="OUT", type=click.Path(path_type=Path))
@format_option
def convert(folder: Path, place: Path, form: str) -> None:
    """Write the study tables in IN to the folder OUT in another format; nothing is lost."""

    def work() -> None:
        from cmvsim.verbs.data import convert as verb

        paths = verb(folder, place, form)
        say(f"{len(paths)} files in {shown(place)}: {', '.join(path.name for path in paths)}")

    finish(work)


@data.command()
@folder_argument
@click.option("--adam", is_flag=True, help="ADSL, ADTTE, ADLB and ADQS, in the manner of CDISC ADaM.")
@click.option("--study-id", help="STUDYID [default: the folder's name].")
@click.option("-o", "--output", "place", type=click.Path(path_type=Path), help="Folder [default: adam, in DIR].")
@format_option
@json_option
def export(folder: Path, adam: bool, study_id: str | None, place: Path | None, form: str, as_json: bool) -> None:
    """Derive analysis datasets from the study tables in DIR."""

    def work() -> None:
        from cmvsim.verbs.data import export_adam

        if not adam:
            raise InputError(Problem("say what to export", "data export", allowed="--adam"))
        target = place or folder / "adam"
        outcome = export_adam(folder, target, form, study_id)
        if as_json:
            say_json({"folder": str(target), "rows": outcome.files, "notes": list(outcome.notes)})
            return
        for note in outcome.notes:
            say(f"Note: {note}")
        say(f"{shown(target)}: {', '.join(f'{name} ({rows} rows)' for name, rows in outcome.files.items())}")

    finish(work)
