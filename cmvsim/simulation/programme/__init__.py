"""A CAR-T programme: patients of the pathway engine on one calendar, with the resources that they share (model.md 20).

Each patient goes through the same pathway as alone; what is shared decides when the infusion is, when results arrive,
and whether a bed is free. With drawn turnaround and unlimited capacity the histories are those of patients one by one.
"""

from cmvsim.simulation.programme.record import MONTH, Monthly, Programme, Specimens, TreatmentStarts, by_month, months_of
from cmvsim.simulation.programme.run import run_programme

__all__ = ["MONTH", "Monthly", "Programme", "Specimens", "TreatmentStarts", "by_month", "months_of", "run_programme"]
