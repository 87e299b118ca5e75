"""Commands of the economic evaluation: run, table, check and voi."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cmvsim.app import Terminal
from cmvsim.cli.base import (
    cli,
    examples,
    finish,
    force_option,
    json_option,
    output_option,
    quiet_option,
    run_options,
    say,
    say_json,
    scenario_argument,
    seed_option,
    set_option,
    shown,
)
from cmvsim.core.errors import ExitCode

if TYPE_CHECKING:
    from cmvsim.verbs.place import Place


@cli.group()
def economics() -> None:
    """Economic evaluation of strategies: costs, QALYs, break-even prices, decision tables, value of information."""


def _names(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, ...]:
    """Names between commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


strategies_option = click.option(
    "--strategies",
    metavar="ID,ID",
    default="",
    callback=_names,
    help="Strategies to compare with the one without a drug [default: all].",
)


@economics.command(
    "run",
    epilog=examples(
        "cmvsim economics run letermovir-strategies",
        "cmvsim economics run letermovir-strategies --psa 1000",
        "cmvsim economics run letermovir-strategies --quick -n 10000 --strategies universal,steroid_triggered",
    ),
)
@scenario_argument
@set_option
@strategies_option
@click.option("-n", "patients", type=int, default=50_000, show_default=True, help="Patients of the base case.")
@click.option(
    "--threshold", "thresholds", type=float, multiple=True, help="Euros per QALY; repeatable [default: the scenario's]."
)
@click.option(
    "--psa", metavar="DRAWS", type=int, default=0, show_default=True, help="Draws of all inputs whose uncertainty is stated."
)
@click.option("--per-draw", type=int, default=1_000, show_default=True, help="Patients in each draw.")
@click.option("--quick", is_flag=True, help="Base case only: no structural choices, other incidences, cost of illness.")
@run_options
def economics_run(
    scenario: str,
    overrides: tuple[str, ...],
    strategies: tuple[str, ...],
    place: Place,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Compare the strategies of SCENARIO on the same patients: at what price, at what incidence, for which patients."""

    def work() -> None:
        from cmvsim.report import economics_run_text, power_text
        from cmvsim.verbs.economics import EconomicsOptions
        from cmvsim.verbs.economics import economics as verb

        asked = EconomicsOptions(scenario, overrides, strategies, **options)
        outcome = verb(asked, place, Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
            return
        say("\n".join(economics_run_text.answer(outcome.results)).replace("**", "").rstrip())
        if not quiet:
            say("\n" + power_text.plain_table(economics_run_text.cells(economics_run_text.price_table(outcome.results))))
            say("\nEUR for a day of letermovir. What it rests on stands first in summary.md; the decision table after this.")
            say(f"\nRun folder: {shown(outcome.folder)}{' (finished before)' if outcome.found else ''}")

    finish(work, resume=True)


@economics.command(epilog=examples("cmvsim economics table psa.csv --threshold 30000 --currency EUR --effect QALY"))
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


@economics.command("check", epilog=examples("cmvsim economics check letermovir-strategies"))
@scenario_argument
@set_option
@strategies_option
@click.option("-n", "patients", type=int, default=4_096, show_default=True, help="Patients of each check.")
@seed_option
@output_option
@json_option
@quiet_option
def economics_check(
    scenario: str,
    overrides: tuple[str, ...],
    strategies: tuple[str, ...],
    output: Path | None,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Black-box checks of SCENARIO's evaluation (TECH-VER, AdViSHE): sums, equal arms, null effects, extreme values.

    They are run afresh each time. Exits with 3 if one fails.
    """

    def work() -> ExitCode:
        from cmvsim.report import economics_check_text, power_text
        from cmvsim.verbs.economics_check import CheckOptions, check
        from cmvsim.verbs.place import Place

        asked = CheckOptions(scenario, overrides, strategies, **options)
        outcome = check(asked, Place(output), Terminal(quiet=quiet))
        passed = outcome.results["passed"]
        if as_json:
            say_json(outcome.results)
        else:
            say(economics_check_text.verdict(outcome.results))
            if not quiet or not passed:
                say("\n" + power_text.plain_table(economics_check_text.table(outcome.results)))
            if not quiet:
                say("\nAdViSHE, and where each item is answered:\n")
                say(power_text.plain_table(economics_check_text.items(outcome.results)))
                say(f"\nRun folder: {shown(outcome.folder)}")
        return ExitCode.OK if passed else ExitCode.VERDICT_NO

    finish(work)


@economics.command(
    "voi",
    epilog=examples(
        "cmvsim economics voi letermovir-breakeven",
        "cmvsim economics voi letermovir-breakeven -n 60,120,250 --price 60 --threshold 50000",
    ),
)
@scenario_argument
@set_option
@strategies_option
@click.option("--draws", type=int, default=1_000, show_default=True, help="Draws of all inputs whose uncertainty is stated.")
@click.option("--per-draw", type=int, default=1_000, show_default=True, help="Patients in each draw.")
@click.option("-n", "sizes", metavar="N", help="Sizes of the study: 250, or 60,120,250 [default: 60 to 1,000].")
@click.option("--price", type=float, help="Euros for a day of letermovir [default: the break-even price].")
@click.option("--threshold", type=float, help="Euros per QALY [default: the middle of the scenario's range].")
@run_options
def economics_voi(
    scenario: str,
    overrides: tuple[str, ...],
    strategies: tuple[str, ...],
    place: Place,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """What more knowledge would be worth for the strategies of SCENARIO, and what its study would tell, by size."""

    def work() -> None:
        from cmvsim.report import economics_voi_text, power_text
        from cmvsim.verbs.economics_voi import VoiOptions
        from cmvsim.verbs.economics_voi import voi as verb

        asked = VoiOptions(scenario, overrides, strategies, **options)
        outcome = verb(asked, place, Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
            return
        say("\n".join(economics_voi_text.answer(outcome.results)).replace("**", "").rstrip())
        if not quiet:
            say("\n" + power_text.plain_table(economics_voi_text.study_table(outcome.results)))
            say(f"\nRun folder: {shown(outcome.folder)}{' (finished before)' if outcome.found else ''}")

    finish(work, resume=True)
