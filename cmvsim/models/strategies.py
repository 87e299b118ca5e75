"""Section 15, strategies: what is done about CMV beside pre-emptive therapy.

The registered study has one strategy, pre-emptive therapy alone: the reference of every comparison.
"""

from __future__ import annotations

from typing import Literal

from cmvsim.core.spec import Spec


class StrategySpec(Spec):
    """A strategy by name.

    Attributes
    ----------
    label
        For tables and figures.
    prophylaxis
        The drug given to prevent reactivation; "none" is pre-emptive therapy alone.
    """

    label: str
    prophylaxis: Literal["none"] = "none"
