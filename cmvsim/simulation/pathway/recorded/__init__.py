"""What the study's tables hold of stories of the pathway engine (model.md 0.1), patient by patient."""

from cmvsim.simulation.pathway.recorded.core import recorded
from cmvsim.simulation.pathway.recorded.ending import Ending, ending_of

__all__ = ["Ending", "ending_of", "recorded"]
