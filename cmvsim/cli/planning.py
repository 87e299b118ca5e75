"""Commands of planning: validate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from cmvsim.app import Terminal
from cmvsim.cli.base import (
    backend_option,
    cli,
    finish,
    force_option,
    jobs_option,
    json_option,
    output_option,
    quiet_option,
    say,
    say_json,
    seed_option,
    set_option,
    shown,
)
from cmvsim.core.errors import ExitCode


@cli.command()
@click.argument("scenarios", metavar="SCENARIO...", nargs=-1, required=True)
@set_option
@click.option("--endpoint", "endpoints", multiple=True, help="Endpoint id; repeatable [default: those of the analysis].")
@click.option("--estimator", "estimators", multiple=True, help="Estimator id; repeatable [default: all that are fast].")
@click.option("-n", "sizes", metavar="N", help="Patients: 250, or 60,120,250, or 60:300:10 [default: the scenario's].")
@click.option("--replicates", type=int, default=2_000, show_default=True, help="Simulated studies.")
@click.option("--strict", is_flag=True, help="Exit with 3 if an estimator is beyond its tolerance.")
@seed_option
@jobs_option
@backend_option
@output_option
@force_option
@json_option
@quiet_option
def validate(
    scenarios: tuple[str, ...],
    overrides: tuple[str, ...],
    strict: bool,
    output: Path | None,
    jobs: int,
    backend: Any,
    force: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """How the estimators do where the truth is known: bias, standard errors, coverage, tests, failures.

    Each SCENARIO (a catalogue id or a TOML file) is simulated, and the estimators are judged against tolerances that are
    printed with the result. On `null` tests are held to their level; on `null-confounded` what they find is confounding.
    """

    def work() -> ExitCode:
        from cmvsim.report import validation_text
        from cmvsim.report.power_text import plain_table
        from cmvsim.verbs.place import Place
        from cmvsim.verbs.validate import ValidateOptions
        from cmvsim.verbs.validate import validate as verb

        asked = ValidateOptions(scenarios, overrides, **options)
        outcome = verb(asked, Place(output, jobs or -1, backend, force), Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
        else:
            say(validation_text.sentence(outcome.results))
            if not quiet:
                say("\n" + plain_table(validation_text.verdict_table(outcome.results)))
                say("\nTolerances: " + validation_text.tolerance_line(outcome.results) + ".")
                say(f"\nRun folder: {shown(outcome.folder)}{' (finished before)' if outcome.found else ''}")
        return ExitCode.VERDICT_NO if strict and outcome.results["verdict"] == "fails" else ExitCode.OK

    finish(work, resume=True)
