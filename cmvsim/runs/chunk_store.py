"""Finished chunks on disk: one checked file each, read one column at a time.

A chunk file is an ordinary ``.npy`` array of float64 with axes (sample size, column, replicate), so
``numpy.load`` opens it, followed by a trailer that numpy ignores: JSON (request digest, chunk index,
failures), its length, and the SHA-256 of everything before. Replicates are the last axis because a column is
then one contiguous piece of each file: reading it costs 8 bytes of memory per replicate, however many columns
there are.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cmvsim.core.errors import InputError
from cmvsim.core.records import FloatArray
from cmvsim.core.streams import CHUNK_REPLICATES
from cmvsim.runs.atomic import is_temporary, write_atomic

_DTYPE = np.dtype("<f8")
_LENGTH = struct.Struct("<Q")
_HASH_BYTES = 32
_PIECE = 1 << 20
_PATTERN = "chunk-*.npy"


class ChunkCorruptError(Exception):
    """A chunk file is truncated, altered or unreadable; it is computed again."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What one chunk holds.

    Attributes
    ----------
    sizes
        Number of sample sizes.
    rows
        Number of analysis results per sample size.
    fields
        Names of the numbers of each result.
    extras
        Names of further numbers per replicate and sample size.
    """

    sizes: int
    rows: int
    fields: tuple[str, ...]
    extras: tuple[str, ...] = ()

    @property
    def columns(self) -> int:
        """Columns per sample size."""
        return self.rows * len(self.fields) + len(self.extras)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Axes of the stored array: sample size, column, replicate."""
        return (self.sizes, self.columns, CHUNK_REPLICATES)

    def header(self) -> bytes:
        """Return the npy header of such an array; equal layouts have equal headers."""
        buffer = io.BytesIO()
        description = {"descr": _DTYPE.str, "fortran_order": False, "shape": self.shape}
        np.lib.format.write_array_header_1_0(buffer, description)
        return buffer.getvalue()


class ChunkStore:
    """Chunks of one request in one folder.

    Every file present is checked when the store is opened; those that fail the check are listed in `corrupt`,
    count as not done, and are overwritten when computed again.

    Parameters
    ----------
    folder
        Made when it does not exist.
    digest
        Of the request whose chunks these are.
    layout
        What each chunk holds.

    Raises
    ------
    InputError
        If the folder holds intact chunks of another request or layout.
    """

    def __init__(self, folder: Path, *, digest: str, layout: Layout) -> None:
        self.folder = folder
        self.digest = digest
        self.layout = layout
        self._header = layout.header()
        self._payload = math.prod(layout.shape) * _DTYPE.itemsize
        self._done: set[int] = set()
        folder.mkdir(parents=True, exist_ok=True)
        self.corrupt: tuple[int, ...] = self._scan()

    def path(self, index: int) -> Path:
        """File of chunk `index`."""
        return self.folder / f"chunk-{index:06d}.npy"

    def done(self) -> tuple[int, ...]:
        """Return the indices of the finished, checked chunks, ascending."""
        return tuple(sorted(self._done))

    def __contains__(self, index: int) -> bool:
        return index in self._done

    def put(self, index: int, values: FloatArray, extras: FloatArray, failures: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write a finished chunk at once.

        Parameters
        ----------
        index
            Of the chunk.
        values
            Axes (replicate, sample size, row, field).
        extras
            Axes (replicate, sample size, extra).
        failures
            JSON-ready records of replicates that raised.
        """
        layout = self.layout
        expected = (CHUNK_REPLICATES, layout.sizes, layout.rows, len(layout.fields))
        if values.shape != expected or extras.shape != (CHUNK_REPLICATES, layout.sizes, len(layout.extras)):
            raise ValueError(f"chunk {index}: shapes {values.shape} and {extras.shape} do not fit {expected}")
        results = values.transpose(1, 2, 3, 0).reshape(layout.sizes, -1, CHUNK_REPLICATES)
        data = np.concatenate([results, extras.transpose(1, 2, 0)], axis=1, dtype=_DTYPE)
        # NaNs differ in bits that mean nothing (their sign follows the operand order): one NaN, equal files.
        data[np.isnan(data)] = np.nan
        meta = {"request": self.digest, "chunk": index, "failures": [dict(failure) for failure in failures]}
        text = json.dumps(meta, sort_keys=True).encode()
        body = b"".join((self._header, data.tobytes(), text, _LENGTH.pack(len(text))))
        write_atomic(self.path(index), body + hashlib.sha256(body).digest())
        self._done.add(index)

    def column(self, size: int, row: int, field: str, replicates: int) -> FloatArray:
        """Read one number of one analysis result over the first `replicates` replicates.

        Parameters
        ----------
        size, row
            Indices of the sample size and of the result.
        field
            A name of the layout's `fields`.
        replicates
            Length of the result; the tail of the last chunk is left out.

        Raises
        ------
        LookupError
            If a chunk of that prefix is not finished.
        """
        fields = self.layout.fields
        if not 0 <= row < self.layout.rows:
            raise IndexError(f"row {row} is outside 0..{self.layout.rows - 1}")
        return self._read(size, row * len(fields) + fields.index(field), replicates)

    def extra_column(self, size: int, name: str, replicates: int) -> FloatArray:
        """Read one extra over the first `replicates` replicates."""
        layout = self.layout
        return self._read(size, layout.rows * len(layout.fields) + layout.extras.index(name), replicates)

    def failures(self, replicates: int) -> Iterator[dict[str, Any]]:
        """Yield the failure records of the first `replicates` replicates, in order."""
        for index in range(-(-replicates // CHUNK_REPLICATES)):
            self._require(index)
            for failure in self._meta(index)["failures"]:
                if failure["replicate"] < replicates:
                    yield failure

    def discard_from(self, index: int) -> None:
        """Remove the chunks from `index` on (computed beyond the point where a run stopped)."""
        for beyond in [done for done in self._done if done >= index]:
            self.path(beyond).unlink()
            self._done.discard(beyond)

    def _require(self, index: int) -> None:
        if index not in self._done:
            raise LookupError(f"chunk {index} is not finished")

    def _read(self, size: int, column: int, replicates: int) -> FloatArray:
        if not 0 <= size < self.layout.sizes:
            raise IndexError(f"sample size {size} is outside 0..{self.layout.sizes - 1}")
        result = np.empty(replicates)
        offset = len(self._header) + (size * self.layout.columns + column) * CHUNK_REPLICATES * _DTYPE.itemsize
        for index in range(-(-replicates // CHUNK_REPLICATES)):
            self._require(index)
            first = index * CHUNK_REPLICATES
            count = min(CHUNK_REPLICATES, replicates - first)
            with self.path(index).open("rb", buffering=0) as handle:
                handle.seek(offset)
                piece = handle.read(count * _DTYPE.itemsize)
            result[first : first + count] = np.frombuffer(piece, dtype=_DTYPE)
        return result

    def _scan(self) -> tuple[int, ...]:
        corrupt = []
        for path in sorted(self.folder.iterdir()):
            if is_temporary(path):
                path.unlink()  # of a writer that was killed: the caller holds the folder's lock
            elif path.match(_PATTERN):
                try:
                    index = int(path.stem.removeprefix("chunk-"))
                except ValueError:
                    continue  # not a name this class writes
                try:
                    self._check(index)
                except ChunkCorruptError:
                    corrupt.append(index)
                else:
                    self._done.add(index)
        return tuple(corrupt)

    def _check(self, index: int) -> None:
        """Compare the checksum first: only an intact file can be said to belong to another request."""
        path = self.path(index)
        try:
            left = path.stat().st_size - _HASH_BYTES
            found = hashlib.sha256()
            with path.open("rb") as handle:
                header = handle.read(max(0, min(left, len(self._header))))
                found.update(header)
                left -= len(header)
                while left > 0:
                    piece = handle.read(min(left, _PIECE))
                    if not piece:
                        break
                    found.update(piece)
                    left -= len(piece)
                stored = handle.read()
        except OSError as error:
            raise ChunkCorruptError(str(error)) from error
        if found.digest() != stored:
            raise ChunkCorruptError(f"{path.name}: checksum")
        meta = self._meta(index)
        if meta["request"] != self.digest:
            raise InputError(
                f"{self.folder} holds chunks of another request ({meta['request'][:8]}); choose another output folder"
            )
        if header != self._header:
            raise InputError(f"{self.folder} holds chunks of another layout; compute afresh with --force")
        if meta["chunk"] != index:
            raise ChunkCorruptError(f"{path.name}: holds chunk {meta['chunk']}")

    def _meta(self, index: int) -> dict[str, Any]:
        with self.path(index).open("rb") as handle:
            end = handle.seek(-_HASH_BYTES - _LENGTH.size, io.SEEK_END)
            (length,) = _LENGTH.unpack(handle.read(_LENGTH.size))
            handle.seek(end - length)
            meta: dict[str, Any] = json.loads(handle.read(length))
            return meta
