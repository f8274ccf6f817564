"""
The composition root: builds every part, joins them, and takes them down in order. No globals, no magic.
"""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import Callable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from aiohttp import web

from proxy.admin.api import admin_app
from proxy.admin.health import Readiness, health_app
from proxy.client.accounts import Accounts, load_accounts
from proxy.client.address import AddressResolver
from proxy.client.identity import Gateway, Identifier
from proxy.client.proofs import Proofs
from proxy.client.proven import ProvenKeys
from proxy.client.secret import MIN_BYTES, Secret
from proxy.clock import Clock, SystemClock
from proxy.counters.bounds import SubjectBounds
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Seen, Sighting, Store
from proxy.counters.redis import RedisStore
from proxy.counters.resilient import ResilientStore, State
from proxy.counters.settle import Settler
from proxy.dialects.routes import DIALECTS
from proxy.edge.body import BodyMemory
from proxy.edge.exchange import Edge, HttpExchange
from proxy.edge.lanes import DelayLanes
from proxy.edge.listener import Listener
from proxy.edge.relay import Timeouts
from proxy.edge.server import ServerLimits
from proxy.edge.upstream import AiohttpUpstream, tls_context
from proxy.edge.watch import Watch
from proxy.edge.wire import closing_answer
from proxy.errors import ConfigurationError, Refusal, StoreError
from proxy.eventlog import EventLog
from proxy.events import EventBuilder
from proxy.forwarding import Forwarding
from proxy.ids import request_id
from proxy.judgement import Judge
from proxy.metrics import Metrics
from proxy.passage import Exchange
from proxy.pipeline import Pipeline
from proxy.policy.load import load
from proxy.sample_model import start_sample_model
from proxy.settings import Settings, listen_address, read_secret_file
from proxy.visit import Visit

STREAM_OPEN_S = 60.0
SECRET_CHECK_S = 300.0


def shipped_policy(name: str) -> Path:
    """A policy that ships with Excise: beside the package in a checkout, inside it in a wheel."""
    inside = Path(__file__).parent / "_policies" / name
    return inside if inside.exists() else Path(__file__).parent.parent / "policies" / name


def make_secret(settings: Settings) -> Secret:
    """The process secret. Raises ConfigurationError where one is too short."""

    def one(text: str | None, file: Path | None, name: str) -> bytes | None:
        raw = text.encode() if text is not None else read_secret_file(file) if file else None
        if raw is not None and len(raw) < MIN_BYTES:
            raise ConfigurationError(f"`{name}` must have at least {MIN_BYTES} bytes")
        return raw

    current = one(settings.secret, settings.secret_file, "secret")
    if current is None:
        return Secret.random()
    previous = one(settings.secret_previous, settings.secret_previous_file, "secret_previous")
    return Secret(current, previous)


class App:
    """One Excise process. `start`, wait for a signal, `stop`."""

    def __init__(self, settings: Settings, log: EventLog, clock: Clock | None = None) -> None:
        """Build all that needs no loop. Raises ConfigurationError and PolicyError."""
        self._settings = settings
        self._log = log
        self._clock = clock or SystemClock()
        self._secret = make_secret(settings)
        self._accounts = self._load_accounts()
        self._credential = self._read_credential()
        default = "observe.yaml" if settings.upstream.url else "default.yaml"
        self.policy_path = settings.policy or shipped_policy(default)
        self.policy = load(self.policy_path)
        self.metrics = Metrics()
        self.readiness = Readiness("policy", "secret", "serving")
        self.readiness.set("policy")
        self.readiness.set("secret")
        self._events = EventBuilder(settings.log.addresses, self._secret.item_hash)
        self._closers: list[Callable[[], Any]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.ports: dict[str, int] = {}

    async def start(self) -> None:
        """Open everything, the data listener last. Raises OSError and ConfigurationError."""
        settings, clock = self._settings, self._clock
        version = metadata.version("excise")
        url = await self._upstream_url()
        self._store, self._settler, local_settler = self._make_store()
        judge = Judge(self._store, SubjectBounds(), clock, self._settler.put, local_settler.put)
        proven = ProvenKeys()
        identifier = self._make_identifier(proven)
        shared = self._store if settings.redis_url is not None else None
        self._pipeline = Pipeline(
            policy=self.policy,
            mode=settings.mode,
            identifier=identifier,
            proofs=Proofs(proven, clock, shared, self._settler.put),
            judge=judge,
            forwarding=Forwarding(
                self._credential, settings.upstream.usage == "ask", identifier.withheld
            ),
            clock=clock,
            emit=self._emit,
            on_fault=self._fault,
        )
        self._listener = self._make_listener(url)
        self._log.say(
            "start",
            version=version,
            mode=settings.mode,
            policy=self.policy.digest,
            store="redis" if settings.redis_url else "memory",
            upstream="sample" if settings.upstream.url is None else "configured",
        )
        self.metrics.build(version)
        self.metrics.policy(self.policy.digest, self.policy.mode)
        health = health_app(self.readiness, self.metrics, self._refresh_gauges)
        await self._open("health", health, settings.health_listen)
        await self._open(
            "admin", admin_app(self._admin_token(), self.status), settings.admin_listen
        )
        self._tasks.append(asyncio.create_task(self._watch_over(), name="watch"))
        host, port = listen_address(settings.listen)
        self._listening("data", host, await self._listener.start(host, port))
        self.readiness.set("serving")
        # What lives as long as the process need not be looked at again and again: 6 % of a request.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        self._log.say("ready")

    async def stop(self) -> None:
        """Drain: red, no new requests, grace for those under way, then cut; flush what is queued."""
        grace = self._settings.drain.grace
        self.readiness.set("serving", "draining")
        self._log.say("drain_started", active=len(self._listener.active), grace_s=grace)
        cut = await self._listener.drain(grace)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._settler.close(2.0)
        for closer in reversed(self._closers):
            await closer()
        self._log.say("drain_finished", cut=cut)

    def status(self) -> dict[str, Any]:
        """What the admin API tells."""
        return {
            "version": metadata.version("excise"),
            "mode": self._settings.mode,
            "policy": {
                "path": str(self.policy_path),
                "digest": self.policy.digest,
                "mode": self.policy.mode,
                "rules": [
                    {"name": rule.name, "kind": rule.kind, "mode": rule.mode}
                    for rule in self.policy.rules
                ],
            },
            "store": self._store.state,
            "active_requests": len(self._listener.active),
        }

    # Parts

    def _load_accounts(self) -> Accounts | None:
        path = self._settings.accounts
        return load_accounts(path) if path is not None else None

    def _read_credential(self) -> tuple[str, str] | None:
        credential = self._settings.upstream.credential
        if credential.file is None:
            return None
        value = read_secret_file(credential.file)
        if not value.isascii() or not value or b"\n" in value:
            raise ConfigurationError(f"{credential.file}: must hold one line of ASCII")
        return credential.header, credential.prefix + value.decode("ascii")

    def _admin_token(self) -> str | None:
        settings = self._settings
        if settings.admin_token_file is not None:
            return read_secret_file(settings.admin_token_file).decode("utf-8", "strict")
        return settings.admin_token

    def _make_identifier(self, proven: ProvenKeys) -> Identifier:
        settings = self._settings
        address, gateway = settings.client_address, settings.gateway
        return Identifier(
            self._secret,
            accounts=self._accounts,
            resolver=AddressResolver(address.from_, address.trusted),
            gateway=Gateway(
                gateway.trusted,
                gateway.account_header,
                gateway.tier_header,
                gateway.profile_header,
            ),
            proven=proven,
            only_known=self._credential is not None,
            subnet_bits=(address.ipv4_subnet, address.ipv6_subnet),
        )

    def _make_store(self) -> tuple[ResilientStore, Settler, Settler]:
        settings, clock = self._settings, self._clock
        local = MemoryStore(clock=clock)
        primary: Store = MemoryStore(clock=clock)
        if settings.redis_url is not None:
            primary = RedisStore(settings.redis_url, timeout=settings.store.timeout)
        store = ResilientStore(
            primary,
            local,
            clock,
            replicas=settings.replicas,
            on_state=self._store_state,
            on_error=lambda kind: self.metrics.store_errors.labels(kind).inc(),
        )
        settlers = (
            Settler(store, on_lost=self._lost),
            Settler(local, on_lost=self._lost),
        )
        for settler in settlers:
            settler.start()
        self._closers.append(store.close)
        self._closers.append(lambda: settlers[1].close(1.0))
        return store, *settlers

    def _make_listener(self, upstream_url: str) -> Listener:
        settings = self._settings
        limits, upstream = settings.limits, settings.upstream
        try:
            tls = tls_context(
                *(
                    str(path) if path is not None else None
                    for path in (
                        upstream.ca_file,
                        upstream.client_cert_file,
                        upstream.client_key_file,
                    )
                )
            )
        except OSError as error:
            raise ConfigurationError(f"upstream TLS files: {error.strerror or error}") from None
        client = AiohttpUpstream(upstream_url, connect_timeout=upstream.connect_timeout, tls=tls)
        self._closers.append(client.close)
        self._watch = Watch(asyncio.get_running_loop())
        self._edge = Edge(
            upstream=client,
            watch=self._watch,
            lanes=DelayLanes(per_subject=limits.delayed_per_subject, total=limits.delayed_total),
            memory=BodyMemory(limits.body_memory),
            timeouts=Timeouts(upstream.first_byte_timeout, upstream.idle_timeout),
            body_limit=limits.body_bytes,
            receive_timeout=limits.receive_timeout,
        )
        return Listener(
            self._run,
            self._reject,
            self._edge,
            ServerLimits(
                limits.header_bytes,
                limits.header_count,
                limits.receive_timeout,
                limits.idle_connection_timeout,
            ),
            concurrent=limits.concurrent_requests,
        )

    async def _upstream_url(self) -> str:
        if self._settings.upstream.url is not None:
            return self._settings.upstream.url
        url, close = await start_sample_model()
        self._closers.append(close)
        return url

    async def _open(self, name: str, app: web.Application, listen: str) -> None:
        host, port = listen_address(listen)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._closers.append(runner.cleanup)
        site = web.TCPSite(runner, host, port)
        await site.start()
        self._listening(name, host, runner.addresses[0][1])

    def _listening(self, name: str, host: str, port: int) -> None:
        self.ports[name] = port
        self._log.say("listening", listener=name, host=host, port=port)

    # What happens

    async def _run(self, exchange: HttpExchange) -> None:
        await self._pipeline.run(exchange)

    def _emit(self, visit: Visit, exchange: Exchange) -> None:
        progress = exchange.progress
        duration = self._clock.monotonic() - progress.started
        self._log.put(self._events.request(visit, progress, duration))
        self.metrics.request(visit, progress, duration)

    def _reject(self, peer: str, refusal: Refusal, cause: BaseException | None) -> bytes:
        """Answer bytes that never became a request."""
        now = self._clock.now()
        identifier = request_id(now)
        if cause is not None:
            self._fault(identifier, cause)
        event = self._events.rejected(peer, identifier, now, refusal.status, refusal.reason)
        self._log.put(event)
        self.metrics.rejected()
        reply = DIALECTS[0].refusal(refusal, identifier, self.policy.refusal.contact_url)
        return closing_answer(reply.status, reply.headers, reply.body)

    def _fault(self, identifier: str, error: BaseException) -> None:
        """A fault of ours: its kind and place, never its text, which may quote a caller."""
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        where = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
        self.metrics.faults.inc()
        self._log.alert(
            "internal_error", request_id=identifier, type=type(error).__name__, where=where
        )

    def _lost(self, count: int) -> None:
        self.metrics.unsettled.inc(count)
        self._log.alert("settlements_lost", count=count)

    def _store_state(self, state: State, reason: str) -> None:
        self.readiness.note("store", state)
        if state == "ok":
            self._log.say("store_up")
        else:
            self._log.say(f"store_{state}", reason=reason)

    async def _watch_over(self) -> None:
        """Once a second: does a store that was lost answer again, which streams last long."""
        announced: dict[HttpExchange, float] = {}
        checked_at = -SECRET_CHECK_S
        while True:
            now = self._clock.monotonic()
            if self._settings.redis_url is not None and now - checked_at >= SECRET_CHECK_S:
                checked_at = now if await self._compare_secrets() else checked_at
            if self._store.state != "ok":
                with suppress(StoreError):
                    await self._store.ready()
            self._announce_streams(announced, now)
            await asyncio.sleep(1.0)

    async def _compare_secrets(self) -> bool:
        """Whether all replicas on this store share a secret; False where the store did not say."""
        hour = int(self._clock.now() // 3600)
        mine = self._secret.fingerprints()
        note = Seen("replicas", "secret", hour, mine[0], 7200.0)
        try:
            (sighting,) = await self._store.apply((note,))
        except StoreError:
            return False
        assert isinstance(sighting, Sighting)
        foreign = [who for who in sighting.who if who not in mine]
        self.readiness.set("secret", "another replica has another secret" if foreign else "ok")
        return True

    def _announce_streams(self, announced: dict[HttpExchange, float], now: float) -> None:
        for exchange in announced.keys() - self._listener.active.keys():
            del announced[exchange]
        for exchange in self._listener.active:
            if not exchange.progress.streamed:
                continue
            due = announced.setdefault(exchange, exchange.progress.started + STREAM_OPEN_S)
            if now >= due:
                announced[exchange] = due + STREAM_OPEN_S
                open_s = round(now - exchange.progress.started)
                self._log.say(
                    "stream_open", request_id=exchange.progress.request_id, seconds=open_s
                )

    def _refresh_gauges(self) -> None:
        metrics, active = self.metrics, self._listener.active
        metrics.active.set(len(active))
        metrics.open_streams.set(sum(exchange.progress.streamed for exchange in active))
        metrics.delayed.set(self._edge.lanes.held)
        metrics.body_memory.set(self._edge.memory.used)
        metrics.queue_bytes.set(self._log.queued_bytes)
        metrics.events_dropped.set(self._log.dropped)
        metrics.store_up.set(1 if self._store.state == "ok" else 0)
