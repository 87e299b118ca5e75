"""Commands that work on studies: power, simulate, trace, accrual, estimate, formula."""

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
    format_option,
    jobs_option,
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

if TYPE_CHECKING:
    from cmvsim.verbs.place import Place


@cli.command(
    epilog=examples(
        "cmvsim power cmv-cart -n 250",
        "cmvsim power cmv-cart --half-width 0.06 --probability 0.8",
        "cmvsim power letermovir-trial -n 420,600 --sensitivity -r 1000",
    )
)
@scenario_argument
@set_option
@click.option("--design", metavar="ID", help="Design of the scenario, a key of its [designs] [default: its first].")
@click.option(
    "--endpoint", "endpoints", metavar="ID", multiple=True, help="Endpoint; repeatable [default: those of the analysis]."
)
@click.option(
    "-n",
    "sizes",
    metavar="N",
    help="Patients enrolled: 250, or 100,150, or 60:300:10 (300 included) [default: the scenario's].",
)
@click.option(
    "--half-width",
    type=float,
    help="Find the smallest N whose confidence interval is no wider than ± this, a proportion (0.06).",
)
@click.option("--probability", type=float, help="... reached with this probability, between 0 and 1 [default: 0.8].")
@click.option("--power", type=float, help="Find the smallest N with this power, between 0 and 1, of a design that decides.")
@click.option(
    "--detectable",
    is_flag=True,
    help="Find the smallest effect that N patients detect, instead of N (of the drug; of one arm on the incidence).",
)
@click.option("--type1", is_flag=True, help="Also the type I error: equal arms, or for non-inferiority arms the margin apart.")
@click.option(
    "-r", "--replicates", type=int, default=10_000, show_default=True, help="Simulated studies (the maximum with --mcse)."
)
@click.option(
    "--mcse", type=float, help="Stop when the criterion's Monte Carlo standard error is this small, a proportion (0.005)."
)
@click.option("--sensitivity", is_flag=True, help="All estimators of each endpoint, not only the primary one.")
@run_options
def power(
    scenario: str,
    overrides: tuple[str, ...],
    place: Place,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Feasibility, precision, power and sample size of SCENARIO (a catalogue id or a TOML file)."""

    def work() -> None:
        from cmvsim.report import planning_text
        from cmvsim.verbs.power import PowerOptions
        from cmvsim.verbs.power import power as verb

        terminal = Terminal(quiet=quiet)
        outcome = verb(PowerOptions(scenario, overrides, **options), place, terminal)
        if as_json:
            say_json(outcome.results)
            return
        say(planning_text.sentence(outcome.results))
        if not quiet:
            say("\n" + "\n".join(planning_text.terminal_lines(outcome.results)))
            say(f"\nRun folder: {shown(outcome.folder)}{' (finished before)' if outcome.found else ''}")

    finish(work, resume=True)


@cli.command(
    epilog=examples(
        "cmvsim simulate cmv-cart -n 250 -o outputs/example",
        "cmvsim simulate letermovir-strategies -n 60 --strategy universal --history -o outputs/universal",
        "cmvsim simulate letermovir-trial --design superiority -n 420",
    )
)
@scenario_argument
@set_option
@click.option("-n", "patients", type=int, help="Patients per study [default: the scenario's].")
@click.option("-r", "--replicates", type=int, default=1, show_default=True, help="Studies to simulate.")
@click.option("--replicate", type=int, metavar="K", help="Only study K of them, counted from 0, such as one that failed.")
@click.option("--strategy", metavar="ID", help="Strategy of the scenario [default: the one without a drug].")
@click.option("--design", metavar="ID", help="Randomised design of the scenario: patients are assigned to its arms.")
@click.option("--history", is_flag=True, help="Also write what truly happened, one history_*.csv per topic.")
@click.option("--no-cmv", is_flag=True, help="The same patients with nobody's CMV replicating: the counterfactual.")
@format_option
@seed_option
@output_option
@force_option
@json_option
@quiet_option
def simulate(
    scenario: str,
    overrides: tuple[str, ...],
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    no_cmv: bool,
    **options: Any,
) -> None:
    """Simulate studies of SCENARIO: tables as the study would record them, with analysis.toml.

    The same seed gives the same patients under every strategy, and without CMV.
    """

    def work() -> None:
        from cmvsim.verbs.place import Place
        from cmvsim.verbs.simulate import SimulateOptions
        from cmvsim.verbs.simulate import simulate as verb

        asked = SimulateOptions(scenario, overrides, cmv=not no_cmv, **options)
        outcome = verb(asked, Place(output, force=force), Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
        else:
            say(
                f"{outcome.results['replicates']} simulated stud{'y' if outcome.results['replicates'] == 1 else 'ies'} of "
                f"{outcome.results['patients']} patients in {shown(outcome.folder)}"
            )

    finish(work)


@cli.command(
    epilog=examples(
        "cmvsim trace cmv-cart --patient 12",
        "cmvsim trace letermovir-strategies --strategy universal --find reactivation",
    )
)
@scenario_argument
@set_option
@click.option("--patient", metavar="K", help="Which: 12 or P012; with --find where the search begins.")
@click.option(
    "--find",
    metavar="COURSE",
    help="The first patient with: reactivation, untreated, treated, switched, disease, resistance, relapse, death.",
)
@click.option("-n", "patients", type=int, help="Patients of the study [default: the scenario's].")
@click.option("--replicate", type=int, default=0, show_default=True, help="Which simulated study, from 0.")
@click.option("--strategy", metavar="ID", help="Strategy of the scenario [default: the one without a drug].")
@click.option("--no-cmv", is_flag=True, help="The same patient with nobody's CMV replicating.")
@seed_option
@output_option
@force_option
@json_option
@quiet_option
def trace(
    scenario: str,
    overrides: tuple[str, ...],
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    no_cmv: bool,
    **options: Any,
) -> None:
    """Tell one simulated patient's story in words and as a timeline.

    The patient is that of `simulate` with the same seed, strategy and replicate.
    """

    def work() -> None:
        from cmvsim.report import trace_text
        from cmvsim.verbs.place import Place
        from cmvsim.verbs.trace import TraceOptions
        from cmvsim.verbs.trace import trace as verb

        asked = TraceOptions(scenario, overrides, cmv=not no_cmv, **options)
        outcome = verb(asked, Place(output, force=force), Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
        elif quiet:
            say(trace_text.one_line(outcome.results))
        else:
            say(trace_text.story_text(outcome.results))
            say(f"\nRun folder: {shown(outcome.folder)}{' (finished before)' if outcome.found else ''}")

    finish(work)


@cli.command(
    epilog=examples(
        "cmvsim accrual cmv-cart",
        "cmvsim accrual cmv-cart -n 250 --by 2026-01-31 --probability 0.8",
        "cmvsim accrual cmv-cart --set accrual.sites.adult.count=30 --programmes 0",
    )
)
@scenario_argument
@set_option
@click.option(
    "-n",
    "sizes",
    metavar="N",
    help="Patients enrolled: 250, or 100,150, or 60:300:10 (300 included) [default: the scenario's].",
)
@click.option("--by", metavar="DAY", help="Probability that all are enrolled by a day from the start, or a date (2026-06-30).")
@click.option(
    "--probability", type=float, help="With --by: find the smallest number of sites with this probability, between 0 and 1."
)
@click.option("-r", "--replicates", type=int, default=10_000, show_default=True, help="Simulated recruitments.")
@click.option(
    "--programmes",
    type=int,
    default=10,
    show_default=True,
    help="Of these, studies whose patients share laboratory, slots and beds; 0 for recruitment alone.",
)
@seed_option
@output_option
@force_option
@json_option
@quiet_option
def accrual(
    scenario: str,
    overrides: tuple[str, ...],
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Recruitment of SCENARIO: time to enrol, screening, sites needed; waits and occupancy of what patients share."""

    def work() -> None:
        from cmvsim.report import accrual_text, power_text, programme_text
        from cmvsim.verbs.accrual import AccrualOptions
        from cmvsim.verbs.accrual import accrual as verb
        from cmvsim.verbs.place import Place

        outcome = verb(AccrualOptions(scenario, overrides, **options), Place(output, force=force), Terminal(quiet=quiet))
        if as_json:
            say_json(outcome.results)
            return
        say(accrual_text.sentence(outcome.results))
        if not quiet:
            say("\n" + power_text.plain_table(accrual_text.table(outcome.results)))
            say("\n" + programme_text.programme_plain(outcome.results["turnaround_and_occupancy"]))
            say(f"\nRun folder: {shown(outcome.folder)}{' (finished before)' if outcome.found else ''}")

    finish(work)


@cli.command(
    epilog=examples(
        "cmvsim estimate outputs/example",
        "cmvsim estimate outputs/example --endpoint hrql",
        "cmvsim estimate patients.csv --map patients.map.toml",
    )
)
@click.argument("folder", metavar="DIR|FILE", type=click.Path(path_type=Path))
@click.option("--analysis", type=click.Path(path_type=Path), help="Analysis file [default: analysis.toml beside the tables].")
@click.option(
    "--endpoint", "endpoints", metavar="ID", multiple=True, help="Endpoint; repeatable [default: those of the analysis]."
)
@click.option(
    "--map",
    "mapping",
    type=click.Path(path_type=Path),
    help="FILE has one row per patient; this TOML file says which column is what.",
)
@output_option
@force_option
@json_option
@quiet_option
def estimate(
    folder: Path,
    analysis: Path | None,
    endpoints: tuple[str, ...],
    mapping: Path | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Estimate the endpoints on the study tables in DIR, real or simulated, or with --map on a FILE."""

    def work() -> None:
        from cmvsim.report import estimate_text, mapped_text, power_text
        from cmvsim.verbs.estimate import EstimateOptions
        from cmvsim.verbs.estimate import estimate as verb
        from cmvsim.verbs.estimate_mapped import estimate_mapped
        from cmvsim.verbs.place import Place

        place = Place(output, force=force)
        if mapping is not None:
            outcome = estimate_mapped(folder, mapping, analysis, endpoints, place)
            sentence, table = mapped_text.mapped_sentence(outcome.results), mapped_text.mapped_table(outcome.results)
        else:
            outcome = verb(EstimateOptions(folder, analysis, endpoints), place, Terminal(quiet=quiet))
            sentence, table = estimate_text.estimate_sentence(outcome.results), estimate_text.primary_table(outcome.results)
        if as_json:
            say_json(outcome.results)
            return
        say(sentence)
        for warning in outcome.results["warnings"]:
            say(f"Note: {warning}")
        if not quiet:
            say("\n" + power_text.plain_table(table))
            if mapping is None:
                say("\nPrimary estimators; all others, the participants and the figures are in summary.md.")
            say(f"\nRun folder: {shown(outcome.folder)}")

    finish(work)


@cli.command(
    epilog=examples(
        "cmvsim formula",
        "cmvsim formula precision",
        "cmvsim formula precision p=0.3 half_width=0.06",
        "cmvsim formula competing-risks control=0.3 experimental=0.15 competing=0.1 accrual=2 followup=1 --simulate 10000",
    )
)
@click.argument("name", required=False)
@click.argument("values", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--simulate", "replicates", type=int, metavar="R", help="Also simulate the trial of a formula of event times, R times."
)
@seed_option
@jobs_option
@json_option
def formula(name: str | None, values: tuple[str, ...], replicates: int | None, seed: int, jobs: int, as_json: bool) -> None:
    """Closed forms and exact methods: NAME KEY=VALUE...; without NAME their list, with NAME alone its parameters.

    With --simulate the power of the test itself, in the trial that the formula assumes, stands beside the formula's.
    """

    def work() -> None:
        from cmvsim.verbs import formula as verb

        if name is None:
            say(verb.listing())
        elif not values:
            say(verb.describe(name))
        else:
            result = verb.formula(name, verb.read_pairs(values))
            if replicates is not None:
                result = verb.simulated(result, replicates, seed=seed, jobs=jobs)
            if as_json:
                say_json(result.as_dict())
            else:
                say(result.text())

    finish(work)
