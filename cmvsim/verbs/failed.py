"""Replicates that raised: the first ones in full, with the tables of their study, to be looked into and analysed again."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.data import write_study
from cmvsim.endpoints import write_analysis
from cmvsim.montecarlo.experiment import TRACEBACKS_KEPT, Failure
from cmvsim.planning.nested import NestedStudies
from cmvsim.scenarios.load import catalogue_ids

OTHER = "`simulate` has not the streams of this run, or not its hazards."


def failed_replicates(
    experiment: NestedStudies, failures: Sequence[Failure], below: str = "", *, simulated: bool = True
) -> dict[str, str | bytes]:
    """Files of the first failed replicates, by name in the run folder.

    Each has a folder ``failures/replicate-000123`` with the study's tables at the largest size and their
    ``analysis.toml``, on which `cmvsim estimate` runs, and ``traceback.txt``.

    Parameters
    ----------
    experiment
        Of the study's own streams.
    failures
        In the order of replicates.
    below
        A folder between, where a run has several experiments.
    simulated
        Whether `simulate` makes the same patients: of the scenario, at its own hazards, with the study's own streams.
    """
    files: dict[str, str | bytes] = {}
    for failure in failures[:TRACEBACKS_KEPT]:
        place = "/".join(part for part in ("failures", below, f"replicate-{failure.replicate:06d}") if part)
        try:
            tables = _tables(experiment, failure.replicate)
        except Exception as error:  # noqa: BLE001 -- it may be the simulation that fails
            tables = {}
            left = f"Its tables are not here, as the simulation itself raises: {type(error).__name__}: {error}"
        else:
            left = (
                f"Its tables and analysis.toml are beside this file: the first n of {experiment.sizes[-1]} patients are the "
                f"study of n patients. To analyse it again: cmvsim estimate {place}"
            )
        files |= {f"{place}/{name}": content for name, content in tables.items()}
        files[f"{place}/traceback.txt"] = "\n".join(
            [
                f"Replicate {failure.replicate} of seed {failure.seed} raised {failure.message}",
                "",
                left,
                f"To simulate it again: {_command(experiment, failure)}" if simulated else OTHER,
                "",
                failure.traceback,
            ]
        )
    return files


def _tables(experiment: NestedStudies, replicate: int) -> dict[str, bytes]:
    study = experiment.whole_study(replicate // CHUNK_REPLICATES)
    with tempfile.TemporaryDirectory(prefix="cmvsim-") as name:
        folder = Path(name)
        write_study(study, replicate % CHUNK_REPLICATES, folder)
        write_analysis(experiment.plan, folder / "analysis.toml")
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def _command(experiment: NestedStudies, failure: Failure) -> str:
    scenario = experiment.scenario
    name = scenario.id if scenario.id in catalogue_ids() else f"{scenario.id}.toml"
    changes = [part for text in scenario.overrides for part in ("--set", text)]
    options = [*experiment.simulated_by, "-n", experiment.sizes[-1], "--replicate", failure.replicate, "--seed", failure.seed]
    return shlex.join(map(str, ["cmvsim", "simulate", name, *options, *changes]))
