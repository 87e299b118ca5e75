"""Recording: History -> Study, a projection. No latent column survives it."""

from cmvsim.simulation.recording.core import record

__all__ = ["record"]
