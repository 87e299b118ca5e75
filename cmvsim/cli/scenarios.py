"""The commands of ``cmvsim scenarios``."""

from __future__ import annotations

from pathlib import Path

import click

from cmvsim.app import Terminal
from cmvsim.cli.base import CONTEXT, cli, finish, json_option, quiet_option, say, say_json, scenario_argument, set_option
from cmvsim.core.errors import ExitCode, InputError


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
            found = verb.calibrate(scenario, overrides, Terminal(quiet=quiet))
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
