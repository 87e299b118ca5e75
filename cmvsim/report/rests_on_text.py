"""What a result rests on, at the end of a summary: assumptions first, then papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def rests_on_lines(results: Mapping[str, Any]) -> list[str]:
    """The section, as lines of Markdown."""
    lines = ["## What this rests on", "", f"Assumed, with no paper behind it ({len(results['assumptions'])} inputs):", ""]
    lines += [f"- `{item['input']}` = {item['value']}: {item['why']}" for item in results["assumptions"]]
    cited = [f"- {item['citation']} ({', '.join(item['entries'])})" for item in results["sources"]]
    return [*lines, "", "Sources:", "", *(cited or ["- none"])]
