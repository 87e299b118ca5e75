"""Commands that read finished runs: report, compare, replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cmvsim.app import Terminal
from cmvsim.cli.base import (
    backend_option,
    cli,
    examples,
    finish,
    jobs_option,
    json_option,
    quiet_option,
    say,
    say_json,
    shown,
)
from cmvsim.core.errors import ExitCode

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


@cli.command(epilog=examples("cmvsim replay outputs/demo --check"))
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--check", is_flag=True, help="Exit with 3 when a number differs by more than 1e-9.")
@jobs_option
@backend_option
@json_option
@quiet_option
def replay(folder: Path, check: bool, jobs: int, backend: Any, as_json: bool, quiet: bool) -> None:
    """Compute the finished run in RUN again and compare its numbers; RUN is not touched."""

    def work() -> ExitCode:
        from cmvsim.verbs.place import Place
        from cmvsim.verbs.replay import replay as verb

        outcome = verb(folder, Place(jobs=jobs or -1, backend=backend), Terminal(quiet=quiet))
        if as_json:
            say_json(
                {
                    "run": str(outcome.folder),
                    "verdict": outcome.verdict,
                    "differences": list(outcome.differences),
                    "edited": list(outcome.edited),
                }
            )
        else:
            say(f"{shown(outcome.folder)}: {outcome.verdict}")
            for line in outcome.differences:
                say(f"  {line}")
            for name in outcome.edited:
                say(f"  {name} was changed after the run")
        failed = outcome.verdict == "different" or bool(outcome.edited)
        return ExitCode.VERDICT_NO if check and failed else ExitCode.OK

    finish(work)
