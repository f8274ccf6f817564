"""Excise as its users run it: its own process, configured by EXCISE_* variables, read by its log."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Event = dict[str, Any]
DEADLINE_S = 20.0


class Excise:
    """A running process and the events that it has written."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.events: list[Event] = []
        self.raw: list[bytes] = []
        self.ports: dict[str, int] = {}
        self._arrived: queue.Queue[Event] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['data']}"

    @property
    def health_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['health']}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['admin']}"

    @property
    def log_text(self) -> str:
        return b"".join(self.raw).decode()

    def wait_for(self, name: str, **wanted: Any) -> Event:
        """The next event of this name and these fields, seen or yet to come; each is given once."""
        end = time.monotonic() + DEADLINE_S
        while True:
            for event in self.events:
                if event["event"] == name and all(event.get(k) == v for k, v in wanted.items()):
                    self.events.remove(event)
                    return event
            left = end - time.monotonic()
            if left <= 0:
                raise AssertionError(f"no event {name} {wanted}; had {self.events}")
            try:
                self.events.append(self._arrived.get(timeout=min(left, 0.5)))
            except queue.Empty:
                if self.process.poll() is not None and self._arrived.empty():
                    raise AssertionError(
                        f"excise has ended ({self.process.returncode}) before {name}: {self.log_text}"
                    ) from None

    def terminate(self) -> int:
        """SIGTERM, then the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.raw.append(line)
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event["event"] == "listening":
                self.ports[event["listener"]] = event["port"]
            self._arrived.put(event)


@contextmanager
def running_excise(folder: Path, policy: str | None = None, **settings: str) -> Iterator[Excise]:
    """Start Excise on free ports; `settings` are EXCISE_ names in lower case without the prefix."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EXCISE_")}
    if policy is not None:
        file = folder / "policy.yaml"
        file.write_text(policy, encoding="utf-8")
        environ["EXCISE_POLICY"] = str(file)
    for listener in ("LISTEN", "HEALTH_LISTEN", "ADMIN_LISTEN"):
        environ[f"EXCISE_{listener}"] = "127.0.0.1:0"
    environ |= {f"EXCISE_{name.upper()}": value for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy.cli", "serve"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=environ,
    )
    excise = Excise(process)
    try:
        excise.wait_for("ready")
        yield excise
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(DEADLINE_S)
        assert process.stdout is not None
        excise._reader.join(5)
        process.stdout.close()
