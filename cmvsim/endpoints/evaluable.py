"""Who is evaluable for a plain proportion of patients with the event: a rule that the design declares."""

from __future__ import annotations

from cmvsim.core.records import BoolArray
from cmvsim.endpoints.derived import CENSORED, EVENT, TimeToEvent


def evaluable(derived: TimeToEvent, window: float, rule: str) -> tuple[BoolArray, BoolArray]:
    """Evaluable patients, and those of them who count as having the event; both (R, N).

    Parameters
    ----------
    derived
        Time and cause within the window. A competing event before the event of interest is a known outcome: no event.
    window
        Last day that counts.
    rule
        "outcome_known": patients lost sight of before the end of the window are not evaluable; "censored_event_free" and
        "censored_event": they are, without the event or with it.

    Raises
    ------
    ValueError
        If there is no such rule.
    """
    lost = (derived.cause == CENSORED) & (derived.time < window)
    event = derived.cause == EVENT
    if rule == "outcome_known":
        return derived.entered & ~lost, event
    if rule == "censored_event_free":
        return derived.entered, event
    if rule == "censored_event":
        return derived.entered, event | lost
    raise ValueError(f"there is no rule {rule!r}")
