"""Letermovir as it is taken: the planned course, which pre-emptive therapy may end (model.md 15)."""

from __future__ import annotations

import math

from cmvsim.simulation.model import Model
from cmvsim.simulation.pathway.factors import Factor, letermovir_factor
from cmvsim.simulation.pathway.facts import Facts, Window


class LetermovirCourse:
    """The course of one patient; [+inf, +inf) where there is none.

    Attributes
    ----------
    course
        As taken so far and planned from now on.
    """

    def __init__(self, model: Model, facts: Facts) -> None:
        self.model = model
        self.planned = facts.letermovir
        self.course = Window() if self.planned is None else self.planned.course

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Its factors of onset."""
        if self.planned is None or not self.planned.acts or not self.course.exists:
            return ()
        return (letermovir_factor(self.model, self.planned, self.course),)

    @property
    def log_disease(self) -> float:
        """Log ratio on the hazard of CMV disease while it is taken."""
        return 0.0 if self.planned is None else self.planned.log_disease

    def set_point_shift(self, onset: float) -> float:
        """Shift of the set-point of an episode that begins now."""
        return self.planned.set_point_shift if self.planned is not None and self.course.contains(onset) else 0.0

    def end(self, t: float) -> None:
        """It ends at t; not begun by then, it never is."""
        if t <= self.course.start:
            self.course = Window()
        elif t < self.course.stop:
            self.course = Window(self.course.start, t)

    @property
    def taken(self) -> bool:
        """Whether any was taken."""
        return math.isfinite(self.course.start)
