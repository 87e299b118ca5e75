"""Assurance: the decision of another design, over what is not known of the scenario."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from cmvsim.core.errors import Problem, did_you_mean
from cmvsim.core.records import Estimates, FloatArray, IntArray
from cmvsim.core.spec import Spec
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.designs.base import Decision, ListDraws, Look, Surroundings, one_final_look


class Assurance(Spec):
    """Another design whose studies are simulated with parameters drawn from their distributions.

    Attributes
    ----------
    of
        The other design, by its name in the scenario.
    studies_per_draw
        Studies simulated with each draw of the parameters; from two on, the power at each draw can be told from chance, and
        its distribution is estimated.
    probability
        Assurance wanted.
    """

    kind: Literal["assurance"]
    of: str
    studies_per_draw: Annotated[int, Field(ge=1, le=CHUNK_REPLICATES)] = 1
    probability: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Assurance:
        if CHUNK_REPLICATES % self.studies_per_draw:
            raise ValueError(f"studies_per_draw = {self.studies_per_draw}: allowed are 1, 2, 4, 8, 16, 32 and 64")
        return self

    @property
    def strategies(self) -> tuple[str, ...]:
        """Those of the other design are looked up there."""
        return ()

    def assign(self, strata: IntArray, draws: ListDraws) -> IntArray:  # noqa: ARG002 -- the seam's signature
        """The other design assigns."""
        return np.zeros(strata.shape, dtype=np.int64)

    def looks(self, calendar: FloatArray) -> tuple[Look, ...]:
        """The other design looks."""
        return one_final_look(calendar)

    def decide(self, estimates: Estimates) -> Decision:  # noqa: ARG002 -- the seam's signature
        """The other design decides."""
        return Decision(met=None)

    def check(self, around: Surroundings, where: str, at: str) -> list[Problem]:
        """A design that does not exist, or is this one."""
        own = at.removeprefix("designs.")
        others = [name for name in around.designs if name != own]
        if self.of in others:
            return []
        told = "is this design itself" if self.of == own else "does not exist"
        return [Problem(f"the design '{self.of}' {told}", where, f"{at}.of", did_you_mean(self.of, others))]

    def sentence(self, around: Surroundings) -> str:  # noqa: ARG002 -- the seam's signature
        """Of what."""
        wanted = f", {100 * self.probability:g}% wanted" if self.probability is not None else ""
        return f"assurance of the design '{self.of}', over what is not known of the inputs{wanted}"
