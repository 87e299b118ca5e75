"""Writes docs/data.md from the data dictionary: `python tests/house/write_data_page.py`."""

from __future__ import annotations

from pathlib import Path

from cmvsim.data import dictionary
from cmvsim.data.schema import TABLES

HEAD = """# Study tables

One file per table; days are whole days from infusion (day d covers the 24 hours that end at d; day 0 is the infusion). There are
no dates. `cmvsim simulate` writes the tables, `cmvsim estimate` reads them, simulated or real. `subjects`, `samples` and
`disposition` must be there; an optional table that is there is taken to be complete, so a drug or event without rows happened to
nobody: delete a table that was not recorded.

```
cmvsim data template my-study        # empty tables, dictionary.csv, a commented analysis.toml; overwrites nothing
cmvsim data check my-study           # every problem with table, row and column (--json); exit code 2 if there is any
cmvsim data dictionary               # this page in the terminal (--json, --format md|csv)
cmvsim data convert my-study other --format xpt
cmvsim data export my-study --adam --format xpt
cmvsim estimate my-study
```

## Formats

| `--format` | files | what to know |
| --- | --- | --- |
| `csv` | `samples.csv` | UTF-8, comma-separated, decimal point; a problem names the row of a spreadsheet, the header being row 1 |
| `parquet` | `samples.parquet` | int64, double and string columns; needs the extra `cmvsim[parquet]` |
| `xpt` | `samples.xpt` | SAS transport file, version 5: names of at most eight characters (last column below), texts of at most 200 bytes in UTF-8, labels cut at 40 characters; a text or number that does not fit is refused |
| `dataset-json` | `samples.json` | CDISC Dataset-JSON 1.1 |

The format is seen from the files; tables may differ in it, and one table in two formats is a mistake. In formats without a header
row, a problem names the record, from 1. Nothing is lost between them, and the same table gives the same bytes: times of creation
in the headers of `xpt` and `dataset-json` are fixed (1970). Accents survive in all; SAS and pyreadstat read the UTF-8 of `xpt`
files as it is, pandas with `read_sas(..., encoding="utf-8")`. (pandas turns the zeros of any transport file into 5.4e-79.)

## Derived datasets

`cmvsim data export DIR --adam` writes `adsl` (patients), `adtte` (a row per patient and time-to-event endpoint of `analysis.toml`;
`CNSR` 0 the event, 1 censored, 2 death, 3 transplantation, 4 relapse first), `adlb` (samples taken) and `adqs` (EQ-5D answers and
their index by the plan's value sets), in the manner of CDISC ADaM and derived by the code that estimates. `ADY` counts infusion as
day 1 and has no day 0; `DAYINF`, and `AVAL` of `adtte`, are days from infusion.

## Tables
"""  # noqa: E501 -- a page

COLUMNS = """
| table | column | type | allowed | unit | meaning | in xpt |
| --- | --- | --- | --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    text = HEAD
    for table in TABLES:
        text += f"\n### {table.name}{'' if table.required else ' (optional)'}\n\n{table.meaning}.\n{COLUMNS}"
        for row in dictionary():
            if row.table != table.name:
                continue
            kind = f"{row.type} (optional)" if row.required == "no" else row.type
            short = f"`{table.column(row.column).short_name}`"
            cells = (f"`{row.table}`", f"`{row.column}`", kind, row.allowed, row.unit, row.meaning, short)
            text += "| " + " | ".join(cells) + " |\n"
    return text


if __name__ == "__main__":
    (Path(__file__).resolve().parents[2] / "docs" / "data.md").write_text(page(), encoding="utf-8")
