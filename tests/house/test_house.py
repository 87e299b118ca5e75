"""The house rules that a machine can check: import layers, the public interface, the data page, tests that exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cmvsim
from cmvsim.core.streams import STREAMS, stable_hash
from cmvsim.data import dictionary

TOP = Path(__file__).resolve().parents[2]


def test_import_layers_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([command, "--no-cache"], cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_public_interface_is_the_snapshot() -> None:
    assert cmvsim.__all__ == [
        "AnalysisSpec",
        "InputError",
        "Study",
        "aalen_johansen",
        "analyse",
        "calibrate",
        "endpoint",
        "kaplan_meier",
        "proportion",
        "read_analysis",
        "read_study",
        "record",
        "resolve",
        "simulate",
        "write_study",
    ]
    for name in cmvsim.__all__:
        assert getattr(cmvsim, name).__doc__, name


def test_stream_names_have_distinct_hashes_and_are_used() -> None:
    assert len({stable_hash(name) for name in STREAMS}) == len(STREAMS)


def test_data_page_has_every_column() -> None:
    page = (TOP / "docs" / "data.md").read_text(encoding="utf-8")
    for row in dictionary():
        assert f"| `{row.table}` | `{row.column}` |" in page, (
            f"{row.table}.{row.column}: run `python tests/house/write_data_page.py`"
        )


def test_no_machine_path_or_host_in_the_tree() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=False)
    names = listed.stdout.split() if listed.returncode == 0 else []
    texts = [TOP / name for name in names if Path(name).suffix in {".py", ".md", ".toml", ".txt", ".json", ""}]
    found = [
        str(path.relative_to(TOP))
        for path in texts
        if path.is_file()
        and path != Path(__file__)
        and re.search(
            r"(?<![\w.:/])/(?:home|root|work|mnt|farm)/\w|pypi\.|npmjs|://deb\.",
            path.read_text(encoding="utf-8", errors="replace"),
        )
    ]
    assert found == []
