"""Commands that read finished runs: report, compare."""

from __future__ import annotations

from pathlib import Path

import click

from cmvsim.cli.base import cli, examples, finish, json_option, say, say_json, shown

run_argument = click.Path(path_type=Path)


@cli.command(epilog=examples("cmvsim report outputs/demo -o demo.html"))
@click.argument("folder", metavar="RUN", type=run_argument)
@click.option("-o", "--output", type=run_argument, metavar="FILE", help="HTML file [default: report.html in the run folder].")
@click.option("--force", is_flag=True, help="Replace a file that is no report.")
def report(folder: Path, output: Path | None, force: bool) -> None:
    """Write one HTML page of the finished run in RUN: answer, assumptions, tables, figures, provenance.

    The page needs no other file and no network: send it as it is.
    """

    def work() -> None:
        from cmvsim.verbs.report import report as verb

        made = verb(folder, output, force=force)
        say(f"{shown(made.absolute())} ({made.stat().st_size / 1e6:.1f} MB)")

    finish(work)


@cli.command(
    epilog=examples("cmvsim compare outputs/demo outputs/other", "cmvsim compare outputs/demo outputs/other --ignore n --all")
)
@click.argument("left", metavar="RUN", type=run_argument)
@click.argument("right", metavar="RUN", type=run_argument)
@click.option(
    "--ignore", metavar="KEY", multiple=True, help="Key of rows that may differ between the runs, such as n; repeatable."
)
@click.option(
    "--beyond",
    type=float,
    default=3.0,
    show_default=True,
    metavar="K",
    help="Mark differences of more than K Monte Carlo standard errors (MCSE).",
)
@click.option("--all", "every_row", is_flag=True, help="All rows, not only those that are marked.")
@json_option
def compare(left: Path, right: Path, ignore: tuple[str, ...], beyond: float, every_row: bool, as_json: bool) -> None:
    """Two finished runs of one verb side by side: what was asked, the scenarios, answers and rows that differ."""

    def work() -> None:
        from cmvsim.report.compare_text import comparison_text
        from cmvsim.verbs.compare import CompareOptions
        from cmvsim.verbs.compare import compare as verb

        tree = verb(CompareOptions(left, right, ignore, beyond))
        if as_json:
            say_json(tree)
        else:
            say(comparison_text(tree, every_row=every_row))

    finish(work)
