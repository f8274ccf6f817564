"""
One file of named columns: a line of magic, a line of JSON, then one zlib stream a column.

A column is an array of integers or texts joined by new lines. Integers lie byte by byte: first the lowest
byte of all of them, then the next one; so they shrink to a quarter, and half a million ranges load in a
tenth of a second. (xz made the whole a fifth smaller and five times as slow to read.)
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from proxy.errors import ConfigurationError

MAGIC: Final = b"EXCISE-NETWORKS 1\n"
MAX_PLAIN: Final = 256 * 1024 * 1024
"""Bytes of one column, unpacked: a damaged or hostile file must not fill the memory."""

_ITEM = {"B": 1, "I": 4, "Q": 8}
Column: TypeAlias = "array[int] | list[str]"


def pack(header: Mapping[str, Any], columns: Mapping[str, Column]) -> bytes:
    """The bytes of a file; the same input gives the same bytes. Texts hold no line ends."""
    parts: list[dict[str, Any]] = []
    streams: list[bytes] = []
    for name, column in columns.items():
        if isinstance(column, list):
            code, plain = "text", "\n".join(column).encode()
        else:
            code, plain = column.typecode, _planes(column)
        stream = zlib.compress(plain, 9)
        parts.append({"name": name, "type": code, "bytes": len(stream), "plain": len(plain)})
        streams.append(stream)
    head = json.dumps({**header, "parts": parts}, separators=(",", ":"), ensure_ascii=False)
    return b"".join((MAGIC, head.encode(), b"\n", *streams))


def unpack(data: bytes, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(header, columns) of a file. Raises ConfigurationError, calling the file `name`."""
    try:
        header, at = _header(data)
        columns: dict[str, Any] = {}
        for part in header.pop("parts"):
            stream = data[at : at + part["bytes"]]
            at += part["bytes"]
            columns[part["name"]] = _column(stream, part["type"], part["plain"])
    except (ValueError, LookupError, TypeError, zlib.error, RecursionError) as error:
        reason = str(error) if type(error) is ValueError else "it is damaged"
        raise ConfigurationError(f"{name}: not a networks file: {reason}") from None
    return header, columns


def read_header(data: bytes, name: str) -> dict[str, Any]:
    """The header alone. Raises ConfigurationError."""
    try:
        return _header(data)[0]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise ConfigurationError(f"{name}: not a networks file") from None


def _header(data: bytes) -> tuple[dict[str, Any], int]:
    """The header, and where the first column begins."""
    if not data.startswith(MAGIC):
        raise ValueError("it begins otherwise")
    end = data.index(b"\n", len(MAGIC))
    header = json.loads(data[len(MAGIC) : end])
    if not isinstance(header, dict):
        raise TypeError
    end += 1
    if end + sum(part["bytes"] for part in header["parts"]) != len(data):
        raise ValueError("it does not end where it should")
    return header, end


def _column(stream: bytes, code: str, plain: int) -> Column:
    if not 0 <= plain <= MAX_PLAIN:
        raise ValueError("a column is too large")
    unpacker = zlib.decompressobj()
    raw = unpacker.decompress(stream, plain + 1)
    if len(raw) != plain or not unpacker.eof:
        raise ValueError("a column has another length than it says")
    return raw.decode().split("\n") if code == "text" else _joined(raw, code)


def _planes(numbers: array[int]) -> bytes:
    width = _ITEM[numbers.typecode]
    if numbers.itemsize != width:
        raise ValueError(f"this machine's `{numbers.typecode}` has not {width} bytes")
    raw = _little(numbers).tobytes()
    return b"".join(raw[at::width] for at in range(width))


def _joined(planes: bytes, code: str) -> array[int]:
    width = _ITEM[code]
    count, left = divmod(len(planes), width)
    numbers = array(code)
    if left or numbers.itemsize != width:
        raise ValueError("a column holds no whole numbers")
    raw = bytearray(len(planes))
    for at in range(width):
        raw[at::width] = planes[at * count : (at + 1) * count]
    numbers.frombytes(raw)
    return _little(numbers)


def _little(numbers: array[int]) -> array[int]:
    if sys.byteorder == "big":
        numbers = array(numbers.typecode, numbers)
        numbers.byteswap()
    return numbers
