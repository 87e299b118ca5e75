"""SAS transport files (XPORT), version 5: 80-byte records, IBM floating point, names of at most eight characters.

The layout is that of SAS's technical paper TS-140. Numbers lose nothing: an IBM double has 56 bits of fraction, of which
at least 53 are significant. Texts are UTF-8 bytes, at most 200 per cell; labels are cut at 40 characters. The times of
creation in the headers are fixed, so that the bytes are a function of the table.
"""

from __future__ import annotations

import math
import struct
from typing import Any

from cmvsim.core.errors import InputError, Problem
from cmvsim.data.formats.base import Raw, Texts, UnreadableError, typed
from cmvsim.data.schema import Table

LONGEST_TEXT, LONGEST_LABEL, RECORD = 200, 40, 80
_STAMP = b"01JAN70:00:00:00"
_VERSION, _SYSTEM = b"9.4     ", b"        "
_NAMESTR = struct.Struct(">hhhh8s40s8shhh2s8shhl52s")
_NUMERIC, _CHARACTER = 1, 2
_NO_NUMBER = b"." + bytes(7)
_ASK = "a SAS transport file of version 5, texts in UTF-8"


def _header(name: bytes, content: bytes = b"0" * 30) -> bytes:
    return b"HEADER RECORD*******" + name.ljust(8) + b"HEADER RECORD!!!!!!!" + content + b"  "


_LIBRARY, _OBSERVATIONS = _header(b"LIBRARY"), _header(b"OBS")
_MEMBER = b"HEADER RECORD*******MEMBER  HEADER RECORD!!!!!!!"
_NAMES = b"HEADER RECORD*******NAMESTR HEADER RECORD!!!!!!!"


def encode(value: float | None) -> bytes:
    """IBM double of a number; None is missing.

    Raises
    ------
    OverflowError
        If it is beyond about 1e-78 to 7e75 or not finite.
    """
    if value is None:
        return _NO_NUMBER
    if value == 0:
        return bytes(8)
    if not math.isfinite(value):
        raise OverflowError(value)
    fraction, exponent = math.frexp(abs(value))
    power = -(-exponent // 4)  # of 16
    if not -64 <= power <= 63:
        raise OverflowError(value)
    # fraction x 2^53 is whole; the shift leaves 56 bits with the first hexadecimal digit above zero
    mantissa = int(math.ldexp(fraction, 53)) << (3 + exponent - 4 * power)
    return bytes([(0x80 if value < 0 else 0) | (power + 64)]) + mantissa.to_bytes(7, "big")


def decode(data: bytes) -> float | None:
    """Number of an IBM double, shorter ones filled up with zeros; None for every code of missing."""
    data = data.ljust(8, b"\0")
    mantissa = int.from_bytes(data[1:], "big")
    if mantissa == 0:
        return None if data[0] else 0.0
    value = math.ldexp(float(mantissa), 4 * ((data[0] & 0x7F) - 64) - 56)
    return -value if data[0] & 0x80 else value


def write(table: Table, texts: Texts) -> bytes:
    """One table as a library of one member."""
    cells = typed(table, texts)
    kinds = {name: table.column(name).kind.numeric for name in cells}
    encoded = {name: _encoded(table, name, values, kinds[name]) for name, values in cells.items()}
    lengths = {
        name: 8 if kinds[name] else max([len(value) for value in values], default=1) or 1 for name, values in encoded.items()
    }
    # A record longer than the card that is filled up with blanks leaves no doubt about which records are there: readers
    # (pandas among them) take blanks at the end of shorter ones for filling.
    first_text = next((name for name in cells if not kinds[name]), "")
    if first_text:
        lengths[first_text] += max(0, RECORD + 1 - sum(lengths.values()))
    described, place = b"", 0
    for number, name in enumerate(cells, start=1):
        column = table.column(name)
        described += _NAMESTR.pack(
            _NUMERIC if kinds[name] else _CHARACTER,
            0,
            lengths[name],
            number,
            column.short_name.encode("ascii").ljust(8),
            _label(column.meaning),
            *(b" " * 8, 0, 0, 0, b"\0\0", b" " * 8, 0, 0, place, bytes(52)),
        )
        place += lengths[name]
    named = table.short_name.encode("ascii").ljust(8)
    head = (
        _LIBRARY
        + (b"SAS     SAS     SASLIB  " + _VERSION + _SYSTEM + b" " * 24 + _STAMP)
        + _STAMP.ljust(RECORD)
        + _MEMBER
        + b"000000000000000001600000000140  "
        + _header(b"DSCRPTR")
        + (b"SAS     " + named + b"SASDATA " + _VERSION + _SYSTEM + b" " * 24 + _STAMP)
        + (_STAMP + b" " * 16 + _label(table.meaning) + b" " * 8)
        + _NAMES
        + f"000000{len(cells):04d}00000000000000000000  ".encode()
    )
    columns = [[value.ljust(lengths[name]) for value in values] for name, values in encoded.items()]
    rows = b"".join(b"".join(row) for row in zip(*columns, strict=True))
    return head + _filled(described) + _OBSERVATIONS + _filled(rows)


def _label(text: str) -> bytes:
    return text.encode("ascii", "replace")[:LONGEST_LABEL].ljust(LONGEST_LABEL)


def _filled(data: bytes) -> bytes:
    return data + b" " * (-len(data) % RECORD)


def _encoded(table: Table, name: str, values: list[Any], numeric: bool) -> list[bytes]:
    known: dict[Any, bytes] = {}
    for value in dict.fromkeys(values):
        if numeric:
            try:
                known[value] = encode(value)
            except OverflowError:
                raise InputError(_refused(table, name, values, value, "is beyond the numbers of SAS transport files")) from None
        else:
            known[value] = (value or "").encode()
            if len(known[value]) > LONGEST_TEXT:
                fault = f"takes {len(known[value])} bytes in UTF-8"
                raise InputError(_refused(table, name, values, f"'{value[:20]}...'", fault, value))
    return [known[value] for value in values]


def _refused(table: Table, name: str, values: list[Any], shown: Any, fault: str, value: Any = None) -> Problem:
    row = values.index(shown if value is None else value) + 1
    limits = f"at most {LONGEST_TEXT} bytes of text and numbers up to 7e75; another format has no such limit"
    return Problem(f"{shown} {fault}", f"{table.name}.xpt", f"row {row}, column {name}", limits)


def read(data: bytes, table: Table) -> Raw:
    """One table; upper-case short names become those of the schema."""
    described, start = _described(data)
    width = max((place + length for _, _, length, place in described), default=0)
    content = data[start:]
    if any(content[at : at + len(_MEMBER)] == _MEMBER for at in range(0, len(content), RECORD)):
        raise UnreadableError("holds several datasets", "one dataset per file")
    count = len(content) // width if width else 0
    # The last record is filled up with blanks; what fits into it and is blank throughout is no observation.
    while count and len(content) - (count - 1) * width < RECORD and not content[(count - 1) * width :].strip(b" "):
        count -= 1
    names = {column.short_name: column.name for column in table.columns}
    header = [names.get(name.upper(), name) for name, *_ in described]
    records = [
        [_cell(content[row * width + place :][:length], kind, row + 1) for _, kind, length, place in described]
        for row in range(count)
    ]
    return Raw.of(header, records)


def _described(data: bytes) -> tuple[list[tuple[str, int, int, int]], int]:
    """Name, type, length and place of each variable, and where the observations begin."""
    if data.startswith(b"HEADER RECORD*******LIBV8"):
        raise UnreadableError("is a SAS transport file of version 8", _ASK)
    if not data.startswith(_LIBRARY[:48]):
        raise UnreadableError("is no SAS transport file", _ASK)
    member = data.find(_MEMBER)
    names = data.find(_NAMES)
    try:
        size = int(data[member + 74 : member + 78])
        count = int(data[names + 54 : names + 58])
    except ValueError:
        raise UnreadableError("its headers cannot be read", _ASK) from None
    begin = names + RECORD
    end = begin + size * count
    found = []
    for number in range(count):
        piece = data[begin + number * size :][: _NAMESTR.size].ljust(_NAMESTR.size, b"\0")
        kind, _, length, _, name, *_, place, _ = _NAMESTR.unpack(piece)
        found.append((name.decode("ascii", "replace").strip(" \0"), kind, length, place))
    observations = begin + len(_filled(bytes(size * count)))
    if data[observations : observations + 48] != _OBSERVATIONS[:48] or end > len(data):
        raise UnreadableError("is cut short or damaged before its observations", _ASK)
    return found, observations + RECORD


def _cell(data: bytes, kind: int, row: int) -> str | float | None:
    if kind == _NUMERIC:
        return decode(data)
    try:
        return data.rstrip(b" \0").decode("utf-8")
    except UnicodeDecodeError as error:
        fault = f"is not UTF-8 text: byte 0x{data[error.start]:02x} cannot be read"
        raise UnreadableError(fault, _ASK, row) from None
