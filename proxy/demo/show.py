"""The demonstration itself: Excise in this process, real sockets, and the table of its events."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.table import Table
from rich.text import Text

from proxy.app import App
from proxy.client.secret import Secret
from proxy.clock import SystemClock
from proxy.demo.cast import CAST, Actor
from proxy.demo.software import written
from proxy.eventlog import EventLog
from proxy.events import Event
from proxy.policy.shipped import shipped
from proxy.settings import Settings

SECRET = "the demonstration needs no secret"  # noqa: S105 - nothing outlives it
DECISIONS = ("allow", "delay", "throttle", "block")
COLOURS = {"allow": "green", "delay": "yellow", "throttle": "magenta", "block": "red"}
READ_MOST = 1 << 20


@dataclass(slots=True)
class Told:
    """What has become of one client's requests."""

    decisions: Counter[str] = field(default_factory=Counter)
    why: str = ""
    suspicion: float = 0.0


class Audience(EventLog):
    """Takes the event log's place: counts what is said of each client."""

    def __init__(self, clock: SystemClock) -> None:
        super().__init__(clock)
        self.told: dict[str, Told] = {actor.account: Told() for actor in CAST}

    def put(self, event: Event) -> None:
        """Count one request's event."""
        told = self.told.get(str(event.get("account")))
        if event["event"] != "request" or told is None:
            return
        decision = str(event["decision"])
        told.decisions["allow" if decision == "log" else decision] += 1
        told.suspicion = event.get("suspicion", {}).get("account", told.suspicion)
        if event.get("reason") and decision != "log":
            told.why = _why(event)


def _why(event: Event) -> str:
    families = (event.get("evidence") or {}).get("families")
    return f"{event['rule']}: {families or event['reason']}"


def table(told: dict[str, Told], *, wide: bool) -> Table:
    """The table as it stands; what each client does is told where there is room."""
    shown = Table(title="excise demo: who asks, and what becomes of it", title_style="bold")
    shown.add_column("client", no_wrap=True)
    if wide:
        shown.add_column("does", no_wrap=True)
    for decision in DECISIONS:
        shown.add_column(decision, justify="right", style=COLOURS[decision])
    shown.add_column("suspicion", justify="right")
    shown.add_column("why")
    for actor in CAST:
        one = told[actor.account]
        name = Text(actor.name, style="bold red" if actor.harvests else "bold green")
        counts = [str(one.decisions[decision] or "·") for decision in DECISIONS]
        suspicion = f"{one.suspicion:.0f}" if one.suspicion else "·"
        does = [actor.does] if wide else []
        shown.add_row(name, *does, *counts, suspicion, one.why or "·")
    return shown


async def perform(audience: Audience, seconds: float, seed: int = 1) -> None:
    """Run all clients for so long against an Excise of their own. Raises OSError where none can start."""
    with _settings() as settings:
        app = App(settings, audience)
        try:
            await app.start()
            port = app.ports["data"]
            tasks = [asyncio.create_task(_act(actor, port, seed)) for actor in CAST]
            await asyncio.wait(tasks, timeout=seconds)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await app.stop()
    for result in ended:
        if isinstance(result, Exception):
            raise result


async def _act(actor: Actor, port: int, seed: int) -> None:
    """Send an actor's requests at its pace; a refused one is taken as it is, like a naive harvester."""
    under_way: set[asyncio.Task[None]] = set()
    try:
        for line in actor.lines(random.Random(f"{seed}:{actor.name}")):  # noqa: S311 - a play
            data = written(line.software, line.address, f"sk-{actor.account}", line.body)
            task = asyncio.create_task(_send(port, data))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            await asyncio.sleep(actor.every_s)
    finally:
        for task in under_way:
            task.cancel()


async def _send(port: int, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        with suppress(ConnectionError):
            while await reader.read(READ_MOST):
                pass
    finally:
        writer.close()


@contextmanager
def _settings() -> Iterator[Settings]:
    secret = Secret(SECRET.encode())
    with TemporaryDirectory(prefix="excise-demo-") as folder:
        accounts = Path(folder) / "accounts.yaml"
        accounts.write_text("\n".join(_accounts(secret)), encoding="utf-8")
        yield Settings.model_validate(
            {
                "listen": "127.0.0.1:0",
                "health_listen": "127.0.0.1:0",
                "admin_listen": "127.0.0.1:0",
                "policy": shipped("demo.yaml"),
                "accounts": accounts,
                "secret": SECRET,
                "client_address": {"from": "x-forwarded-for", "trusted": ["127.0.0.0/8"]},
                "drain": {"grace": 1.0},
            }
        )


def _accounts(secret: Secret) -> Iterator[str]:
    yield "version: 1"
    yield "accounts:"
    for actor in CAST:
        yield f"  - account: {actor.account}"
        yield f"    keys: [{secret.key_id(f'sk-{actor.account}'.encode())}]"
        for name in ("tier", "profile"):
            if getattr(actor, name):
                yield f"    {name}: {getattr(actor, name)}"
        if actor.networks:
            yield f"    networks: [{', '.join(actor.networks)}]"
