"""What all commands share: the group, common options, printing, exit codes."""

from __future__ import annotations

import functools
import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from cmvsim.app import run
from cmvsim.core.errors import ExitCode

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="cmvsim")
def cli() -> None:
    """Simulation and sample-size planning for CMV reactivation after CAR-T cell infusion.

    Start with `cmvsim scenarios explain cmv-cart`, then `cmvsim power cmv-cart -n 250`.
    """


def examples(*lines: str) -> str:
    """The end of a command's help: command lines that work as they stand, in a folder of the user's."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def finish(work: Callable[[], ExitCode | None], *, resume: bool = False) -> None:
    """Run the work and exit with its code."""
    again = shlex.join(["cmvsim", *sys.argv[1:]]) if resume and "--force" not in sys.argv else ""
    sys.exit(run(work, resume=again))


def say(text: str) -> None:
    """Print to stdout."""
    click.echo(text)


def say_json(tree: Any) -> None:
    """Print JSON to stdout."""
    click.echo(json.dumps(tree, indent=2, ensure_ascii=False))


def shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change one key of the scenario, such as monitoring.attendance=0.8; VALUE as in TOML; repeatable.",
)
seed_option = click.option(
    "--seed",
    type=int,
    default=1,
    show_default=True,
    help="Seed of the random streams, from 0; the same seed gives the same bytes.",
)
output_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Run folder to write [default: one under outputs/, named after what was asked].",
)
force_option = click.option("--force", is_flag=True, help="Compute afresh; the old results are replaced at the end.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress and notes; the answer stays.")
jobs_option = click.option(
    "--jobs", type=click.IntRange(min=-1), default=-1, help="Worker processes, from 1; -1: all cores [default: -1]."
)
_SCHEDULER = "cmvsim.scheduler"


def _keep_scheduler(context: click.Context, _parameter: click.Parameter, address: str | None) -> None:
    context.meta[_SCHEDULER] = address


def _workers(context: click.Context, parameter: click.Parameter, backend: str) -> Any:
    """Kind of workers, with the address where there is one."""
    address = context.meta.get(_SCHEDULER)
    given = context.get_parameter_source(parameter.name or "") is not ParameterSource.DEFAULT
    if address is not None and given and backend != "dask":
        raise click.UsageError("--scheduler goes with --backend dask")
    if backend != "dask" and address is None:
        return backend
    from cmvsim.verbs.place import Dask

    return Dask(address)


def backend_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--backend` and `--scheduler`, which the command gets as one value."""
    command = click.option(
        "--scheduler",
        metavar="ADDRESS",
        is_eager=True,
        expose_value=False,
        callback=_keep_scheduler,
        help="Scheduler of a dask cluster, tcp://HOST:8786 [default with dask: local processes].",
    )(command)
    return click.option(
        "--backend",
        type=click.Choice(["loky", "threading", "dask"]),
        default="loky",
        show_default=True,
        callback=_workers,
        help="Kind of workers; the numbers do not depend on it.",
    )(command)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what all commands take that keep a Monte Carlo run: seed, workers, folder, JSON, quiet.

    The command gets `place` for workers and folder; the seed is among its other options.
    """

    @functools.wraps(command)
    def placed(*, output: Path | None, jobs: int, backend: Any, force: bool, **rest: Any) -> Any:
        from cmvsim.verbs.place import Place

        return command(place=Place(output, jobs or -1, backend, force), **rest)

    options = (seed_option, jobs_option, backend_option, output_option, force_option, json_option, quiet_option)
    decorated: Callable[..., Any] = placed
    for option in reversed(options):
        decorated = option(decorated)
    return decorated


format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet", "xpt", "dataset-json"]),
    default="csv",
    show_default=True,
    help="File format of the study tables.",
)
scenario_argument = click.argument("scenario")
