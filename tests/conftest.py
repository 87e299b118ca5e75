"""How property tests draw their examples: the same ones on every run, unless asked to explore."""

from __future__ import annotations

import os

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", derandomize=False, print_blob=True)
# A failure must be one's own doing, not the day's luck; `make verify` explores new examples.
settings.load_profile("explore" if os.environ.get("CMVSIM_EXPLORE") else "repeatable")
