"""Draws of one chunk: lazy, keyed by name and index, made patient-major so that N = 60 is a prefix of N = 200."""

from __future__ import annotations

from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES, STREAMS, Role, check_seed, draw, generator


class ChunkDraws:
    """Standard variates of a chunk of 64 replicates.

    Parameters
    ----------
    seed, role, chunk
        Key of the chunk.
    patients
        N, the largest sample size asked for.
    replicates
        64; another number makes other chunks and is used by tests only.

    Notes
    -----
    An array is drawn when first asked for and kept, so that calibration may evaluate the same cohort many times. The
    order of asking does not matter: each name has its own stream.
    """

    def __init__(self, seed: int, role: Role, chunk: int, patients: int, replicates: int = CHUNK_REPLICATES) -> None:
        self.seed = check_seed(seed)
        self.role = role
        self.chunk = chunk
        self.patients = patients
        self.replicates = replicates
        self._drawn: dict[tuple[str, int], FloatArray] = {}

    def __call__(self, name: str, index: int = 0) -> FloatArray:
        """Variates of one decision: flat (patients x replicates,), the replicates of a patient side by side."""
        key = (name, index)
        if key not in self._drawn:
            rng = generator(self.seed, self.role, self.chunk, name, index)
            array = draw(rng, STREAMS[name], self.patients * self.replicates)
            array.setflags(write=False)
            self._drawn[key] = array
        return self._drawn[key]
