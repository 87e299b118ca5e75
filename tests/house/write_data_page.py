"""Writes docs/data.md from the data dictionary: `python tests/house/write_data_page.py`."""

from __future__ import annotations

from pathlib import Path

from cmvsim.data import dictionary

HEAD = """# Study tables

One CSV file per table, UTF-8, comma-separated, days as whole days from infusion (day d covers the 24 hours that end at d; day 0
is the infusion). `cmvsim simulate` writes them, `cmvsim estimate` reads them, simulated or real. `exposures` and `events` may
be absent; an optional table that is there is taken to be complete, so a drug or event without rows happened to nobody.

| table | column | type | allowed | unit | meaning |
| --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    lines = []
    for row in dictionary():
        kind = row.type if row.required else f"{row.type} (optional)"
        cells = (f"`{row.table}`", f"`{row.column}`", kind, row.allowed, row.unit, row.meaning)
        lines.append("| " + " | ".join(cells) + " |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    (Path(__file__).resolve().parents[2] / "docs" / "data.md").write_text(page(), encoding="utf-8")
