"""What an endpoint derives from study tables: variables as arrays with a leading replicate axis.

Every kind knows who was left out and why, how to cut itself to the first n patients (nested sample sizes) and to some
replicates (when one of a batch raises).
"""

from cmvsim.endpoints.derived.base import CENSORED, DEATH, EVENT, EXCLUDED, HCT, RELAPSE, Arrays, Derived, Excluded
from cmvsim.endpoints.derived.event_times import GroupedTimeToEvent, Intervals, Repeated, StartStop, TimeToEvent
from cmvsim.endpoints.derived.values import Association, Binary, Cost, GroupedBinary, Longitudinal

__all__ = [
    "CENSORED",
    "DEATH",
    "EVENT",
    "EXCLUDED",
    "HCT",
    "RELAPSE",
    "Arrays",
    "Association",
    "Binary",
    "Cost",
    "Derived",
    "Excluded",
    "GroupedBinary",
    "GroupedTimeToEvent",
    "Intervals",
    "Longitudinal",
    "Repeated",
    "StartStop",
    "TimeToEvent",
]
