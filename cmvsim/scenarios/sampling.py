"""Draws of what is not known: one row of parameters per draw, the same whoever asks and however many are asked for.

Each input has its own stream, named after its evidence id (or key), so that the first draws of a long series are those of a
short one, and an input that is added moves no other. Inputs are independent but for three ties:

- inputs of one *group* share a normal factor: their normal scores have the group's correlation (a one-factor normal copula);
- a *part* (severe toxicity, death without relapse) is drawn from its distribution below its whole's draw, or, where that would
  change its mean much, at the same rank as its whole (:func:`cmvsim.scenarios.relations.of_one_rank`);
- *shares* of one table add up to 1. Where their beta distributions are the margins of one Dirichlet distribution (the same
  a + b, which is also the sum of the a) they are drawn from it, by gamma variates; else they are scaled
  (:func:`cmvsim.scenarios.relations.completed`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES, Role, generator, stable_hash
from cmvsim.scenarios.parameters import UncertainInput
from cmvsim.scenarios.relations import of_one_rank


@dataclass(frozen=True)
class ParameterDraws:
    """Parameters of a series of draws.

    Attributes
    ----------
    inputs
        What was drawn.
    values
        (draws, inputs), in the unit of each.
    """

    inputs: tuple[UncertainInput, ...]
    values: FloatArray

    def changes(self, draw: int) -> dict[str, float]:
        """Numbers of one draw by key, prices among them: for :func:`cmvsim.scenarios.vary.vary` and ``vary_prices``."""
        row = self.values[draw]
        return {key: float(x) for item, x in zip(self.inputs, row, strict=True) for key in item.keys}


BLOCK = CHUNK_REPLICATES
"""Draws that share one set of streams, so that any block of a long series can be made alone."""


def draw_parameters(inputs: Sequence[UncertainInput], draws: int, seed: int, first_block: int = 0) -> ParameterDraws:
    """Draw parameters.

    Parameters
    ----------
    inputs
        From :func:`cmvsim.scenarios.parameters.uncertain_inputs`, prices appended if they are to vary too.
    draws
        Rows; a shorter series is a prefix of a longer one.
    seed
        Of the run.
    first_block
        Begin with draw 64 x `first_block` of the series.

    Returns
    -------
    ParameterDraws
        Every number inside the range of its quantity.
    """
    values = np.empty((draws, len(inputs)))
    column = {key: place for place, item in enumerate(inputs) for key in item.keys}
    dirichlet = _dirichlet_tables(inputs)
    done: set[int] = set()

    def fill(place: int) -> None:
        item = inputs[place]
        if place in done:
            return
        done.add(place)
        top = np.full(draws, np.inf)
        for key in item.wholes:
            if key in column:
                fill(column[key])
                top = np.minimum(top, values[:, column[key]])
        ranked = item if not of_one_rank(item.key) else next((inputs[column[k]] for k in item.wholes if k in column), item)
        u = _uniform(ranked, draws, seed, first_block)
        if item.shares in dirichlet:
            values[:, place] = stats.gamma.ppf(u, item.distribution.parameters[0])
        elif ranked is not item:
            values[:, place] = np.minimum(item.marginal.quantile(u, np.full(draws, np.inf)), top)
        else:
            values[:, place] = item.marginal.quantile(u, top)

    for place in range(len(inputs)):
        fill(place)
    for places in dirichlet.values():
        values[:, places] /= values[:, places].sum(axis=1, keepdims=True)
    return ParameterDraws(tuple(inputs), values)


def _uniform(item: UncertainInput, draws: int, seed: int, first_block: int) -> FloatArray:
    """Uniforms of an input: of its own normal score, and of its group's."""
    z = _normals("parameters.value", item.id, draws, seed, first_block)
    if item.group and item.correlation > 0:
        shared = _normals("parameters.group", item.group, draws, seed, first_block)
        z = np.sqrt(item.correlation) * shared + np.sqrt(1 - item.correlation) * z
    u: FloatArray = special.ndtr(z)
    return u


def _normals(stream: str, name: str, draws: int, seed: int, first_block: int) -> FloatArray:
    blocks = range(first_block, first_block + max(1, -(-draws // BLOCK)))
    index = stable_hash(name)
    made = [generator(seed, Role.PARAMETERS, block, stream, index).standard_normal(BLOCK) for block in blocks]
    whole: FloatArray = np.concatenate(made)[:draws]
    return whole


def _dirichlet_tables(inputs: Sequence[UncertainInput]) -> dict[str, list[int]]:
    """Tables of shares whose beta distributions are margins of one Dirichlet distribution, with their columns."""
    tables: dict[str, list[int]] = {}
    for place, item in enumerate(inputs):
        if item.shares:
            tables.setdefault(item.shares, []).append(place)
    found = {}
    for table, places in tables.items():
        laws = [inputs[place].distribution for place in places]
        if len(places) < 2 or any(law.kind != "beta" for law in laws):
            continue
        total = sum(law.parameters[0] for law in laws)
        if all(abs(sum(law.parameters) - total) < 1e-9 * total for law in laws):
            found[table] = places
    return found
