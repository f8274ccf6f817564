"""
Bytes of a record: a file or standard input, plain, gzip or zstd, line by line.

How it is packed is told by its first bytes, never by its name. A line is bounded, and how far the file
has been read is known in bytes of the file, so that somebody can say how long the rest will take.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, cast

from proxy.errors import ConfigurationError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MAX_LINE_BYTES: Final = 64 * 1024 * 1024
"""Twice the largest body that is taken by default: JSON in JSON needs its escapes."""
BUFFER: Final = 256 * 1024

_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_BROKEN = (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError)


class TrafficMistake(ConfigurationError):  # noqa: N818 - it is the operator's
    """A record that cannot be replayed: which file, which line, which field."""


class Source:
    """A record that is being read."""

    def __init__(self, path: Path | None) -> None:
        """`path` None reads standard input. Raises TrafficMistake."""
        self.name = "<stdin>" if path is None else str(path)
        self.size: int | None = None
        """Bytes of the file; None where nobody knows, as for standard input."""
        if path is None and sys.stdin is None:
            raise TrafficMistake(f"{self.name}: cannot be read: it is closed")
        try:
            self._raw: IO[bytes] = (
                sys.stdin.buffer if path is None else path.open("rb", buffering=BUFFER)
            )
            if path is not None and path.is_file():
                self.size = path.stat().st_size
            self._lines = _unpacked(self._raw)
        except OSError as error:
            reason = error.strerror or str(error)
            raise TrafficMistake(f"{self.name}: cannot be read: {reason}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._raw is not sys.stdin.buffer:
            self._raw.close()

    @property
    def read_bytes(self) -> int:
        """Bytes of the file that have been read."""
        return self._raw.tell() if self.size is not None else 0

    def lines(self) -> Iterator[bytes]:
        """Line by line, with their ends. Raises TrafficMistake."""
        read, number = self._lines.readline, 0
        try:
            while line := read(MAX_LINE_BYTES):
                number += 1
                if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                    raise self.mistake(number, f"longer than {MAX_LINE_BYTES >> 20} MiB")
                yield line
        except _BROKEN:
            raise self.mistake(number + 1, "the file is damaged, or ends too early") from None
        except OSError as error:
            raise self.mistake(number + 1, f"cannot be read: {error.strerror or error}") from None

    def mistake(self, line: int, message: str) -> TrafficMistake:
        """A mistake on a line, counted from 1 as editors do."""
        return TrafficMistake(f"{self.name}:{line}: {message}")


def _unpacked(found: IO[bytes]) -> IO[bytes]:
    raw = found if isinstance(found, io.BufferedReader) else io.BufferedReader(found)  # type: ignore[type-var]
    first = raw.peek(4)[:4]
    if first.startswith(_GZIP):
        return cast("IO[bytes]", io.BufferedReader(gzip.GzipFile(fileobj=raw), BUFFER))
    if first == _ZSTD:
        return cast("IO[bytes]", io.BufferedReader(zstd.ZstdFile(raw), BUFFER))
    return raw
