"""The command line: parse, call one function of ``verbs``, print."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cmvsim.app import Terminal, run
from cmvsim.core.errors import ExitCode, InputError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="cmvsim")
def cli() -> None:
    """Simulation and sample-size planning for CMV reactivation after CAR-T cell infusion.

    Start with `cmvsim scenarios explain cmv-cart`, then `cmvsim power cmv-cart -n 250`.
    """


def main() -> None:
    """Entry point: usage mistakes exit with 2, as click does; everything else through :func:`cmvsim.app.run`."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # the workers are the parallelism; a threaded BLAS may change last bits
    cli(prog_name="cmvsim")


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


set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change one key of the scenario; repeatable."
)
seed_option = click.option("--seed", type=int, default=1, show_default=True, help="Seed of the random streams.")
output_option = click.option("-o", "--output", type=click.Path(path_type=Path), help="Run folder [default: under outputs/].")
force_option = click.option("--force", is_flag=True, help="Compute afresh; the old results are replaced at the end.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the results as JSON on stdout.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress and notes; the answer stays.")
jobs_option = click.option("--jobs", type=click.IntRange(min=-1), default=-1, help="Worker processes [default: all cores].")
backend_option = click.option(
    "--backend",
    type=click.Choice(["loky", "threading"]),
    default="loky",
    show_default=True,
    help="Kind of workers; the numbers do not depend on it.",
)
scenario_argument = click.argument("scenario")


@cli.command()
@scenario_argument
@set_option
@click.option("--design", help="Design of the scenario [default: its first].")
@click.option("--endpoint", "endpoints", multiple=True, help="Endpoint id; repeatable [default: those of the analysis].")
@click.option("-n", "sizes", metavar="N", help="Patients: 250, or 100,150, or 60:300:10 [default: the scenario's].")
@click.option("--half-width", type=float, help="Find the smallest N with this half-width of the confidence interval.")
@click.option("--probability", type=float, help="... reached with this probability [default: 0.8].")
@click.option("--replicates", type=int, default=10_000, show_default=True, help="Simulated studies (the maximum with --mcse).")
@click.option("--mcse", type=float, help="Stop when the criterion's Monte Carlo standard error is this small.")
@click.option("--sensitivity", is_flag=True, help="All estimators of each endpoint, not only the primary one.")
@seed_option
@jobs_option
@backend_option
@output_option
@force_option
@json_option
@quiet_option
def power(
    scenario: str,
    overrides: tuple[str, ...],
    output: Path | None,
    jobs: int,
    backend: Any,
    force: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Feasibility, precision and sample size of SCENARIO (a catalogue id or a TOML file)."""

    def work() -> None:
        from cmvsim.report import power_text
        from cmvsim.verbs.place import Place
        from cmvsim.verbs.power import PowerOptions
        from cmvsim.verbs.power import power as verb

        terminal = Terminal(quiet=quiet)
        outcome = verb(PowerOptions(scenario, overrides, **options), Place(output, jobs or -1, backend, force), terminal)
        if as_json:
            say_json(outcome.results)
            return
        say(power_text.sentence(outcome.results))
        if not quiet:
            say("\n" + power_text.plain_table(power_text.table(outcome.results, brief=True)))
            say("\n" + "\n".join(power_text.truth_lines(outcome.results)))
            say(f"\nRun folder: {shown(outcome.folder)}{' (finished before)' if outcome.found else ''}")

    finish(work, resume=True)


@cli.command()
@scenario_argument
@set_option
@click.option("-n", "patients", type=int, help="Patients per study [default: the scenario's].")
@click.option("--replicates", type=int, default=1, show_default=True, help="Studies to simulate.")
@click.option("--strategy", help="Strategy id [default: the scenario's first].")
@click.option("--history", is_flag=True, help="Also write what truly happened, beside what the study recorded.")
@seed_option
@output_option
@force_option
@json_option
@quiet_option
def simulate(
    scenario: str, overrides: tuple[str, ...], output: Path | None, force: bool, as_json: bool, quiet: bool, **options: Any
) -> None:
    """Simulate studies of SCENARIO: tables as the study would record them, with analysis.toml."""

    def work() -> None:
        from cmvsim.verbs.place import Place
        from cmvsim.verbs.simulate import SimulateOptions
        from cmvsim.verbs.simulate import simulate as verb

        outcome = verb(SimulateOptions(scenario, overrides, **options), Place(output, force=force), Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
        else:
            say(
                f"{outcome.results['replicates']} simulated stud{'y' if outcome.results['replicates'] == 1 else 'ies'} of "
                f"{outcome.results['patients']} patients in {shown(outcome.folder)}"
            )

    finish(work)


@cli.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--analysis", type=click.Path(path_type=Path), help="Analysis file [default: analysis.toml beside the tables].")
@click.option("--endpoint", "endpoints", multiple=True, help="Endpoint id; repeatable [default: those of the analysis].")
@output_option
@force_option
@json_option
@quiet_option
def estimate(
    folder: Path,
    analysis: Path | None,
    endpoints: tuple[str, ...],
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Estimate the endpoints on the study tables in DIR, real or simulated."""

    def work() -> None:
        from cmvsim.report import estimate_text, power_text
        from cmvsim.verbs.estimate import EstimateOptions
        from cmvsim.verbs.estimate import estimate as verb
        from cmvsim.verbs.place import Place

        outcome = verb(EstimateOptions(folder, analysis, endpoints), Place(output, force=force))
        if as_json:
            say_json(outcome.results)
            return
        say(estimate_text.estimate_sentence(outcome.results))
        for warning in outcome.results["warnings"]:
            say(f"Note: {warning}")
        if not quiet:
            say("\n" + power_text.plain_table(estimate_text.estimate_table(outcome.results)))
            say(f"\nRun folder: {shown(outcome.folder)}")

    finish(work)


@cli.command()
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


@cli.group(context_settings=CONTEXT)
def scenarios() -> None:
    """The catalogue of scenarios, and scenario files of your own."""


@scenarios.command("list")
@json_option
def list_(as_json: bool) -> None:
    """Ids and titles of the catalogue."""

    def work() -> None:
        from cmvsim.verbs import scenarios as verb

        found = verb.list_scenarios()
        width = max(len(name) for name, _ in found)
        if as_json:
            say_json([{"id": name, "title": title} for name, title in found])
        else:
            say("\n".join(f"{name:<{width}}  {title}" for name, title in found))

    finish(work)


@scenarios.command()
@scenario_argument
@click.option("--resolved", is_flag=True, help="Everything explicit, references followed, as JSON.")
@set_option
def show(scenario: str, resolved: bool, overrides: tuple[str, ...]) -> None:
    """A scenario as written, or its resolved form."""

    def work() -> None:
        from cmvsim.verbs import scenarios as verb

        say(verb.show(scenario, resolved=resolved, overrides=overrides))

    finish(work)


@scenarios.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@json_option
def check(files: tuple[str, ...], as_json: bool) -> None:
    """Every mistake of every FILE."""

    def work() -> ExitCode:
        from cmvsim.verbs import scenarios as verb

        found = verb.check(files)
        if as_json:
            say_json(
                [
                    {"file": item.file, "ok": item.ok, "digest": item.digest, "problems": [str(p) for p in item.problems]}
                    for item in found
                ]
            )
        for item in found if not as_json else ():
            say(f"{item.file}: " + ("ok" if item.ok else f"{len(item.problems)} problem{'s' * (len(item.problems) > 1)}"))
            for problem in item.problems:
                say(f"  {problem}")
        return ExitCode.OK if all(item.ok for item in found) else ExitCode.USAGE

    finish(work)


@scenarios.command()
@scenario_argument
@click.option("--all", "show_all", is_flag=True, help="All assumptions, not the most important ones only.")
@set_option
def explain(scenario: str, show_all: bool, overrides: tuple[str, ...]) -> None:
    """A scenario in plain English: assumptions first, then the disease, what is seen, treated, asked, planned."""

    def work() -> None:
        from cmvsim.verbs import scenarios as verb

        say(verb.explain(scenario, overrides, show_all=show_all))

    finish(work)


@scenarios.command()
@scenario_argument
@set_option
@json_option
def cite(scenario: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """The papers behind a scenario, each with what it is used for."""

    def work() -> None:
        from cmvsim.verbs import scenarios as verb

        found = verb.cite(scenario, overrides)
        if as_json:
            say_json(found.as_dict())
        else:
            say(found.as_text())

    finish(work)


@scenarios.command()
@click.argument("scenario", required=False)
@click.option(
    "--all", "every", is_flag=True, help="All published cohorts under the one virology (the default without SCENARIO)."
)
@set_option
@json_option
@quiet_option
def calibrate(scenario: str | None, every: bool, overrides: tuple[str, ...], as_json: bool, quiet: bool) -> None:
    """Solve the baseline hazards of SCENARIO: published, achieved, Monte Carlo error, verdict; or the joint misfit of all."""

    def work() -> None:
        from cmvsim.core.canonical import rounded
        from cmvsim.report import calibration_text as text
        from cmvsim.verbs import scenarios as verb

        if scenario is not None and not every:
            found = verb.calibrate(scenario, overrides)
            return say_json(rounded(found.as_dict())) if as_json else say(text.calibration_table(found))
        if scenario is not None or overrides:
            raise InputError("--all takes all published cohorts as the catalogue has them: no SCENARIO and no --set")
        misfit = verb.calibrate_all(Terminal(quiet=quiet))
        return say_json(rounded(misfit.as_dict())) if as_json else say(text.misfit_table(misfit))

    finish(work)


@scenarios.command()
@click.option("--from", "from_id", required=True, metavar="ID", help="Scenario to start from.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def new(from_id: str, file: Path, force: bool) -> None:
    """Write FILE, a scenario that extends ID, with the keys that studies change most."""

    def work() -> None:
        from cmvsim.verbs import scenarios as verb

        say(f"wrote {verb.new(from_id, file, force=force)}")

    finish(work)


@scenarios.command()
def schema() -> None:
    """JSON Schema of scenario files, for editors that check while one types."""

    def work() -> None:
        from cmvsim.verbs import scenarios as verb

        say_json(verb.schema())

    finish(work)


@scenarios.command()
@click.argument("left")
@click.argument("right")
def diff(left: str, right: str) -> None:
    """Where two scenarios differ, key by key."""

    def work() -> None:
        from cmvsim.verbs import scenarios as verb

        say(verb.diff_text(left, right))

    finish(work)


@cli.command()
@click.argument("name", required=False)
@click.argument("values", nargs=-1, metavar="[KEY=VALUE]...")
@json_option
def formula(name: str | None, values: tuple[str, ...], as_json: bool) -> None:
    """Closed forms and exact methods: NAME KEY=VALUE...; without NAME their list, with NAME alone its parameters."""

    def work() -> None:
        from cmvsim.verbs import formula as verb

        if name is None:
            say(verb.listing())
        elif not values:
            say(verb.describe(name))
        else:
            result = verb.formula(name, verb.read_pairs(values))
            if as_json:
                say_json(result.as_dict())
            else:
                say(result.text())

    finish(work)


def shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


if __name__ == "__main__":
    main()
