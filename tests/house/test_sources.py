"""The digest of the package's files: each of them counts, and nothing that a run leaves beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmvsim.core.sources import sources_digest

digest = sources_digest.__wrapped__


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "code.py").write_bytes(b"X = 1\nY = 2\n")
    (tmp_path / "part" / "data.toml").write_bytes(b"x = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("file", "content"),
    [
        pytest.param("part/code.py", b"X = 2\nY = 2\n", id="changed code"),
        pytest.param("part/data.toml", b"x = 2\n", id="changed data"),
        pytest.param("part/schema.json", b"{}", id="another file"),
    ],
)
def test_every_source_counts(package: Path, file: str, content: bytes) -> None:
    before = digest(package)
    (package / file).write_bytes(content)
    assert digest(package) != before


def test_a_moved_file_counts(package: Path) -> None:
    before = digest(package)
    (package / "part" / "code.py").rename(package / "code.py")
    assert digest(package) != before


def test_neither_what_a_run_leaves_there_nor_line_ends_count(package: Path) -> None:
    before = digest(package)
    for kept in ("__pycache__/solved-1/hazards.json", "part/__pycache__/code.py"):
        (package / kept).parent.mkdir(parents=True)
        (package / kept).write_bytes(b"{}")
    (package / "part" / "code.py").write_bytes(b"X = 1\r\nY = 2\r\n")
    assert digest(package) == before
