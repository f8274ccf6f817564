"""What `excise replay` writes: each file whole or not at all, and none over what is read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self, TypeVar

import click

from proxy.errors import ConfigurationError

STDOUT: Final = "-"
_NAMED: Final = 48
"""Characters of an output's name that the file beside it bears: names are bounded."""

T = TypeVar("T")


class Written:
    """A file that stands in its place once it is whole; `-` is standard output.

    It is opened before anything is replayed, so that nobody waits an hour to learn that it cannot be.
    """

    def __init__(self, where: str) -> None:
        """Raises ConfigurationError where it cannot be written."""
        self.where = where
        self._target: Path | None = None
        self._part = Path()
        self._out: IO[bytes] = self._tried(self._open)

    def write(self, data: bytes) -> None:
        """Write on. Raises ConfigurationError."""
        try:
            self._out.write(data)
        except OSError as error:
            raise self._wrong(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            self._tried(self._finish)
            return
        if self.where != STDOUT:
            with suppress(OSError):  # a full disk: what stopped us is told already
                self._out.close()
        if self._target is not None:
            self._part.unlink(missing_ok=True)

    def _open(self) -> IO[bytes]:
        if self.where == STDOUT:
            return sys.stdout.buffer
        path = Path(self.where)
        if path.exists() and not path.is_file():  # a pipe or a device holds nothing to keep
            return path.open("wb")
        self._target = path.resolve()
        for number in count():
            name = f".{self._target.name[:_NAMED]}.{os.getpid()}-{number}.part"
            self._part = self._target.with_name(name)
            with suppress(FileExistsError):  # not ours to write over, nor to remove
                return self._part.open("xb")
        raise AssertionError("numbers do not end")

    def _finish(self) -> None:
        self._out.flush()
        if self.where != STDOUT:
            self._out.close()
        if self._target is not None:
            self._part.replace(self._target)

    def _tried(self, step: Callable[[], T]) -> T:
        try:
            return step()
        except OSError as error:
            raise self._wrong(error) from None

    def _wrong(self, error: OSError) -> Exception:
        if isinstance(error, BrokenPipeError):
            return error
        name = "standard output" if self.where == STDOUT else self.where
        return ConfigurationError(f"{name}: cannot be written: {error.strerror or error}")


def check(writes: Mapping[str, str | None], reads: Iterable[Path | None]) -> None:
    """Whether outputs, by option, are places of their own. Raises click.UsageError."""
    taken: dict[str, str] = {}
    for read in reads:
        if read is not None and str(read) != STDOUT:
            taken[os.path.realpath(read)] = "what is read"
    for option, where in writes.items():
        if where is None:
            continue
        place = where if where == STDOUT else os.path.realpath(where)
        if (other := taken.get(place)) is not None and not _holds_nothing(place):
            if where == STDOUT:
                raise click.UsageError(f"{other} and {option} cannot both go to standard output")
            raise click.UsageError(f"{option} would write over {other}: {where}")
        taken[place] = option


def _holds_nothing(place: str) -> bool:
    """Whether writing there twice does no harm, as with /dev/null."""
    return Path(place).exists() and not Path(place).is_file()
