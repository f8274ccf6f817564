"""The processes of a run: started on free ports, pinned to a core, ended by their id."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROXY_CORE, LOAD_CORE = 0, 1
HERE = Path(__file__).parent
_TICKS = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of the workers that it has started."""
    total = 0.0
    for one in (pid, *_children(pid)):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / _TICKS
    return total


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _await_port(port: int, process: subprocess.Popen[bytes], path: str | None = None) -> None:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            if path is None:
                socket.create_connection(("127.0.0.1", port), 1).close()
            else:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen on {port}")


@contextmanager
def started(
    command: list[str], port: int, core: int, path: str | None = None, **environ: str
) -> Iterator[int]:
    """Run a command until the block ends; yields its process id once `port` answers."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.sched_setaffinity(process.pid, {core})
    try:
        _await_port(port, process, path)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def nginx_command(
    folder: Path, name: str, location: str, port: int, upstream: str = ""
) -> list[str]:
    """An nginx with one server; `upstream` is a keepalive upstream block's address."""
    block = f"upstream up {{ server {upstream}; keepalive 128; }}" if upstream else ""
    config = folder / f"{name}.conf"
    config.write_text(
        f"worker_processes 1; pid {folder}/{name}.pid; error_log /dev/null; daemon off;\n"
        "events { worker_connections 2048; }\n"
        f"http {{ access_log off; keepalive_requests 100000000; {block}\n"
        f" server {{ listen 127.0.0.1:{port}; location / {{ {location} }} }} }}\n"
    )
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(config)]


def python(module: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, arguments)]
