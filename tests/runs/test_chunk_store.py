"""A chunk file is whole and of this request, or it does not count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cmvsim.core.errors import InputError
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.runs.atomic import temporary_name
from cmvsim.runs.chunk_store import ChunkStore, Layout

LAYOUT = Layout(sizes=2, rows=3, fields=("estimate", "status"), extras=("samples",))
DIGEST = "a" * 64


def numbers(index: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(index)
    return rng.random((CHUNK_REPLICATES, 2, 3, 2)), rng.random((CHUNK_REPLICATES, 2, 1))


def filled(folder: Path, chunks: int = 3) -> ChunkStore:
    store = ChunkStore(folder, digest=DIGEST, layout=LAYOUT)
    for index in range(chunks):
        store.put(index, *numbers(index), failures=[{"replicate": index * CHUNK_REPLICATES + 5, "message": "x"}])
    return store


def test_round_trip_by_column(tmp_path: Path) -> None:
    filled(tmp_path)
    store = ChunkStore(tmp_path, digest=DIGEST, layout=LAYOUT)
    assert store.done() == (0, 1, 2)
    values = np.concatenate([numbers(index)[0] for index in range(3)])
    extras = np.concatenate([numbers(index)[1] for index in range(3)])
    for replicates in (1, 64, 150, 192):
        np.testing.assert_array_equal(store.column(1, 2, "status", replicates), values[:replicates, 1, 2, 1])
        np.testing.assert_array_equal(store.column(0, 1, "estimate", replicates), values[:replicates, 0, 1, 0])
        np.testing.assert_array_equal(store.extra_column(1, "samples", replicates), extras[:replicates, 1, 0])


def test_files_open_with_plain_numpy(tmp_path: Path) -> None:
    store = filled(tmp_path)
    np.testing.assert_array_equal(np.load(store.path(1))[1, 3], numbers(1)[0][:, 1, 1, 1])


def test_failures_of_the_tail_are_left_out(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert [failure["replicate"] for failure in store.failures(133)] == [5, 69]
    assert [failure["replicate"] for failure in store.failures(134)] == [5, 69, 133]


def test_wrong_places_are_errors(tmp_path: Path) -> None:
    store = filled(tmp_path, 1)
    with pytest.raises(LookupError, match="chunk 1"):
        store.column(0, 0, "estimate", 65)
    with pytest.raises(IndexError):
        store.column(0, 3, "estimate", 10)
    with pytest.raises(IndexError):
        store.column(-1, 0, "estimate", 10)
    with pytest.raises(ValueError, match="shapes"):
        store.put(1, numbers(1)[0][:, :1], numbers(1)[1])


def damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "header":
        path.write_bytes(whole[:40])
    elif how == "half":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "last byte":
        path.write_bytes(whole[:-1])
    elif how == "one bit":
        middle = len(whole) // 2
        path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    elif how == "longer":
        path.write_bytes(whole + b"\0")
    elif how == "another chunk":
        path.write_bytes((path.parent / "chunk-000000.npy").read_bytes())


@pytest.mark.parametrize("how", ["empty", "header", "half", "last byte", "one bit", "longer", "another chunk"])
def test_damaged_chunk_is_computed_again(tmp_path: Path, how: str) -> None:
    path = filled(tmp_path).path(1)
    whole = path.read_bytes()
    damage(path, how)
    store = ChunkStore(tmp_path, digest=DIGEST, layout=LAYOUT)
    assert store.done() == (0, 2)
    assert store.corrupt == (1,)
    with pytest.raises(LookupError):
        store.column(0, 0, "estimate", 192)
    store.put(1, *numbers(1), failures=[{"replicate": 69, "message": "x"}])
    assert path.read_bytes() == whole


def test_chunks_of_another_request_are_refused_and_untouched(tmp_path: Path) -> None:
    filled(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="another request"):
        ChunkStore(tmp_path, digest="b" * 64, layout=LAYOUT)
    with pytest.raises(InputError, match="another layout"):
        ChunkStore(tmp_path, digest=DIGEST, layout=Layout(2, 4, LAYOUT.fields, LAYOUT.extras))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_half_written_file_of_a_killed_writer_is_cleared(tmp_path: Path) -> None:
    store = filled(tmp_path)
    leftover = temporary_name(store.path(3))
    leftover.write_bytes(b"half")
    assert ChunkStore(tmp_path, digest=DIGEST, layout=LAYOUT).done() == (0, 1, 2)
    assert not leftover.exists()


def test_every_nan_has_the_same_bits(tmp_path: Path) -> None:
    values, extras = numbers(0)
    values[3] = np.nan
    first, second = (ChunkStore(tmp_path / name, digest=DIGEST, layout=LAYOUT) for name in ("a", "b"))
    first.put(0, values, extras)
    second.put(0, np.where(np.isnan(values), -values, values), extras)
    assert np.signbit(-values[3]).all()  # the second really holds another NaN
    assert first.path(0).read_bytes() == second.path(0).read_bytes()


def test_discard_from(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.discard_from(1)
    assert store.done() == (0,)
    assert [path.name for path in tmp_path.iterdir()] == ["chunk-000000.npy"]
