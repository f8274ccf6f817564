"""Being told to end: SIGTERM, SIGHUP and Ctrl-C end a command as an exception, so that it can clean up."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Ending:
    """While it is entered, a signal raises SystemExit with the code that shells give it, 128 and more."""

    def __init__(self) -> None:
        self._before: dict[signal.Signals, Any] = {}
        self._later = False
        self._came: int | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
                    self._before[number] = signal.signal(number, self._end)
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def later(self) -> Iterator[None]:
        """What must not stop halfway: a signal takes effect when it is done."""
        self._later = True
        try:
            yield
        finally:
            self._later = False
        if self._came is not None:
            self._end(self._came, None)

    def off(self) -> None:
        """Signals do nothing from here on: what follows is short."""
        for number in self._before:
            signal.signal(number, signal.SIG_IGN)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        if self._later:
            self._came = number
            return
        self.off()  # cleaning up is not to be stopped either
        sys.exit(128 + number)
