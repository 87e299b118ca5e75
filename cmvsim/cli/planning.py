"""Commands of planning: validate, sensitivity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cmvsim.app import Terminal
from cmvsim.cli.base import (
    cli,
    examples,
    finish,
    run_options,
    say,
    say_json,
    scenario_argument,
    set_option,
    shown,
)
from cmvsim.core.errors import ExitCode

if TYPE_CHECKING:
    from cmvsim.verbs.place import Place


@cli.command(
    epilog=examples(
        "cmvsim validate cmv-cart null -n 60,120,250",
        "cmvsim validate null -n 120 --endpoint cmv_infections --estimator time_dependent_cox --strict",
    )
)
@click.argument("scenarios", metavar="SCENARIO...", nargs=-1, required=True)
@set_option
@click.option(
    "--endpoint", "endpoints", metavar="ID", multiple=True, help="Endpoint; repeatable [default: those of the analysis]."
)
@click.option(
    "--estimator", "estimators", metavar="ID", multiple=True, help="Estimator; repeatable [default: all that are fast]."
)
@click.option(
    "-n",
    "sizes",
    metavar="N",
    help="Patients enrolled: 250, or 60,120,250, or 60:300:10 (300 included) [default: the scenario's].",
)
@click.option("-r", "--replicates", type=int, default=2_000, show_default=True, help="Simulated studies of each scenario.")
@click.option("--strict", is_flag=True, help="Exit with 3 if an estimator is beyond its tolerance.")
@run_options
def validate(
    scenarios: tuple[str, ...],
    overrides: tuple[str, ...],
    strict: bool,
    place: Place,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """How the estimators do where the truth is known: bias, standard errors, coverage, tests, failures.

    Each SCENARIO (a catalogue id or a TOML file) is simulated, and the estimators are judged against tolerances that are
    printed with the result. On `null` tests are held to their level; on `null-confounded` what they find is confounding.
    """

    def work() -> ExitCode:
        from cmvsim.report import validation_verdicts as told
        from cmvsim.report.power_text import plain_table
        from cmvsim.verbs.validate import ValidateOptions
        from cmvsim.verbs.validate import validate as verb

        asked = ValidateOptions(scenarios, overrides, **options)
        outcome = verb(asked, place, Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
        else:
            say(told.sentence(outcome.results))
            if not quiet:
                say("\n" + plain_table(told.brief_table(outcome.results), most=25, rest="summary.md"))
                say("\nTolerances: " + told.tolerance_line(outcome.results) + ".")
                say(f"\nRun folder: {shown(outcome.folder)}{' (finished before)' if outcome.found else ''}")
        return ExitCode.VERDICT_NO if strict and outcome.results["verdict"] == "fails" else ExitCode.OK

    finish(work, resume=True)


@cli.command(
    epilog=examples(
        "cmvsim sensitivity cmv-cart",
        "cmvsim sensitivity cmv-cart --vary monitoring.attendance=0.7,0.85,1",
        'cmvsim sensitivity cmv-cart --vary "cmv.targets[0].value=0.2,0.3,0.4" --vary monitoring.attendance=0.7,0.85,1',
    )
)
@scenario_argument
@set_option
@click.option(
    "--vary",
    "variations",
    multiple=True,
    metavar="KEY=A,B,C",
    help="Vary one key over these values, or KEY alone over its 95% range; one is a curve, two a grid, more one at a time "
    "[default: all uncertain inputs at their 95% limits].",
)
@click.option("--design", metavar="ID", help="Design of the scenario, a key of its [designs] [default: its first].")
@click.option("--endpoint", metavar="ID", help="Endpoint [default: the first of the analysis].")
@click.option("-n", "size", metavar="N", help="Patients enrolled, one number [default: the scenario's].")
@click.option(
    "--measure",
    "measures",
    multiple=True,
    metavar="ID",
    help="Measure: power, half_width, mean_estimate, p_half_width_le, expected_events, expected_evaluable or p_not_estimable; "
    "repeatable, the first one orders the inputs [default: those of the design].",
)
@click.option("-r", "--replicates", type=int, default=640, show_default=True, help="Simulated studies of each setting.")
@run_options
def sensitivity(
    scenario: str,
    overrides: tuple[str, ...],
    place: Place,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """How the study of SCENARIO depends on its inputs: a tornado of all that is uncertain, a curve, or a grid.

    All settings are simulated with the same random numbers. Hazards are held fixed unless a target is varied: changing how CMV
    is looked for changes what is seen, not the disease.
    """

    def work() -> None:
        from cmvsim.report import sensitivity_text
        from cmvsim.report.power_text import plain_table
        from cmvsim.verbs.sensitivity import SensitivityOptions
        from cmvsim.verbs.sensitivity import sensitivity as verb

        asked = SensitivityOptions(scenario, overrides, **options)
        outcome = verb(asked, place, Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
            return
        say(sensitivity_text.sentence(outcome.results))
        if not quiet:
            say("\n" + plain_table(sensitivity_text.brief(outcome.results), most=40))
            for text in outcome.results["warnings"]:
                say(f"\nWarning: {text}.")
            say(f"\nRun folder: {shown(outcome.folder)}{' (finished before)' if outcome.found else ''}")

    finish(work, resume=True)
