"""Commands of economic evaluation: table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cmvsim.app import Terminal
from cmvsim.cli.base import cli, finish, force_option, json_option, output_option, quiet_option, say, say_json, shown


@cli.group()
def economics() -> None:
    """Economic evaluation: decision tables, acceptability, value of information."""


@economics.command()
@click.argument("file", metavar="PSA.csv", type=click.Path(path_type=Path))
@click.option("--threshold", "thresholds", type=float, multiple=True, help="Worth of a unit of effect; repeatable.")
@click.option("--wtp", default="0:100000:5000", show_default=True, metavar="RANGE", help="Thresholds of the curves.")
@click.option("--comparator", help="Strategy that the others are compared with [default: the first in the file].")
@click.option("--group", "groups", multiple=True, metavar="NAME=A,B", help="Inputs to be learned together; repeatable.")
@click.option("--currency", default="", help="Unit of cost, for labels (such as EUR).")
@click.option("--effect", default="", help="Unit of effect, for labels (such as QALY).")
@output_option
@force_option
@json_option
@quiet_option
def table(output: Path | None, force: bool, as_json: bool, quiet: bool, **options: Any) -> None:
    """Decision table, acceptability and value of information of PSA samples, from this program or any other.

    PSA.csv has one row for each strategy and draw with the columns strategy, draw, cost, effect and one for each input; or one
    row for each draw with cost_NAME and effect_NAME for each strategy. There is no default threshold: without --threshold the
    range is shown.
    """

    def work() -> None:
        from cmvsim.report import economics_text
        from cmvsim.verbs.economics_table import TableOptions
        from cmvsim.verbs.economics_table import table as verb
        from cmvsim.verbs.place import Place

        outcome = verb(TableOptions(**options), Place(output=output, force=force), Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
            return
        if quiet:
            say(economics_text.sentence(outcome.results))
            return
        say(economics_text.plain(outcome.results))
        say(f"\nRun folder: {shown(outcome.folder)}{' (finished before)' if outcome.found else ''}")

    finish(work)
