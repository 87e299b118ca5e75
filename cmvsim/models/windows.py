"""Windows of time in which something is so: a drug is taken, a toxicity lasts, an infection is active."""

from __future__ import annotations

from dataclasses import dataclass

from cmvsim.core.records import FloatArray


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows [start, stop), +inf where there is none.

    Attributes
    ----------
    start, stop
        (P,) for at most one window per patient, or (W, P) for several; P = patients x replicates, patient-major. A window
        that is open at the end of what is simulated has stop = +inf.
    """

    start: FloatArray
    stop: FloatArray
