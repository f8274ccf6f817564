"""
The composition root: joins all parts, opens the listeners, and takes everything down in order.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from aiohttp import web

from proxy import assembly
from proxy.admin.api import admin_app
from proxy.admin.boards import board_routes
from proxy.admin.campaigns import campaign_routes
from proxy.admin.explanations import explanation_routes
from proxy.admin.health import Readiness, health_app
from proxy.background import REVOKED
from proxy.campaigns.desk import Desk, Said
from proxy.campaigns.joiner import Joiner
from proxy.campaigns.naming import Named
from proxy.campaigns.totals import Totals
from proxy.classifier import Result
from proxy.client.accounts import Accounts, load_accounts
from proxy.clock import Clock, SystemClock, utc
from proxy.counters.memory import MemoryStore
from proxy.counters.redis import RedisStore
from proxy.counters.resilient import ResilientStore, State
from proxy.counters.settle import Settler
from proxy.dialects.routes import dialect_for_errors
from proxy.edge.listener import Listener
from proxy.edge.watch import Watch
from proxy.edge.wire import closing_answer
from proxy.errors import ConfigurationError, Refusal
from proxy.eventlog import EventLog
from proxy.events import EventBuilder
from proxy.explain import recent
from proxy.explain.told import of_trace
from proxy.explain.trace import trace_of
from proxy.ids import request_id
from proxy.line import Line, Surroundings, make_line
from proxy.listing import StoreLists
from proxy.metrics import Metrics
from proxy.notices import Board, Notice
from proxy.passage import Exchange
from proxy.policy.load import load
from proxy.policy.shipped import shipped
from proxy.reload import InForce, NetworkFiles, Stamp, stamp_of
from proxy.sample_model import start_sample_model
from proxy.settings import Settings, listen_address
from proxy.upkeep import Upkeep
from proxy.visit import Visit

SETTLE_PATIENCE_S = 2.0


@contextmanager
def _naming(listener: str, address: str) -> Iterator[None]:
    """Say which listener could not be opened."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigurationError(f"cannot listen on {address} ({listener}): {reason}") from None


class App:
    """One Excise process. `start`, wait for a signal, `stop`."""

    def __init__(self, settings: Settings, log: EventLog, clock: Clock | None = None) -> None:
        """Build all that needs no loop. Raises ConfigurationError and PolicyError."""
        self._settings = settings
        self._log = log
        self._clock = clock or SystemClock()
        self._replica = request_id(self._clock.now())
        self._secret = assembly.make_secret(settings)
        self._accounts: Accounts | None = None
        self._accounts_file: tuple[Path, Stamp] | None = None
        if settings.accounts is not None:
            self._accounts_file = (settings.accounts, stamp_of(settings.accounts))
            self._accounts = load_accounts(settings.accounts)
        network_files = NetworkFiles(settings.networks, self._clock)
        self._network_files = (network_files, network_files.stamp())
        self._networks = network_files.load()
        self._credential = assembly.read_credential(settings)
        self._admin_token = assembly.read_admin_token(settings)
        self._tls = assembly.make_listener_tls(settings)
        default = "observe.yaml" if settings.upstream.url else "default.yaml"
        self.policy_path = settings.policy or shipped(default)
        self._policy_file = (self.policy_path, stamp_of(self.policy_path))
        self.policy = load(self.policy_path)
        self.metrics = Metrics()
        self.readiness = Readiness("policy", "secret", "serving")
        self.readiness.set("policy")
        self.readiness.set("secret")
        self._events = EventBuilder(settings.log.addresses, self._secret.item_hash)
        self._opened = AsyncExitStack()
        """Undone in reverse, as far as `start` has come."""
        self._listener: Listener | None = None
        self._in_force: InForce | None = None
        self.ports: dict[str, int] = {}
        self.recent = recent.Recent()
        """Requests of a moment ago, where somebody may ask for them."""

    async def start(self) -> None:
        """Open everything, the data listener last. Raises OSError and ConfigurationError.

        `stop` must follow, also where this raises.
        """
        settings = self._settings
        url = await self._upstream_url()
        self._make_store()
        upstream = assembly.make_upstream(settings, url)
        self._opened.push_async_callback(upstream.close)
        watch = Watch(asyncio.get_running_loop())
        self._opened.callback(watch.close)
        self._edge = assembly.make_edge(settings, upstream, watch)
        self._start_classifier()
        line = self._make_line()
        self._pipeline, self._judge = line.pipeline, line.judge
        self.bans, self.allowances, self.background = line.bans, line.allowances, line.background
        self.campaigns, self._ledger = line.campaigns, line.ledger
        listener = Listener(
            self._pipeline.run,
            self._reject,
            self._edge,
            assembly.server_limits(settings),
            concurrent=settings.limits.concurrent_requests,
            tls=None if self._tls is None else self._tls.context,
        )
        self._say_start()
        self.readiness.note("store", "ok" if settings.redis_url is None else "starting")
        self._in_force = in_force = InForce(
            self._pipeline,
            line.identifier,
            self._policy_file,
            self._accounts_file,
            self._network_files,
            self._tls,
            log=self._log,
            metrics=self.metrics,
            readiness=self.readiness,
            clock=self._clock,
        )
        in_force.tell_missing(self._networks)
        await self._open(
            "health",
            health_app(self.readiness, self.metrics, self._refresh_gauges),
            settings.health_listen,
        )
        boards = [
            *board_routes(self.bans),
            *board_routes(self.allowances, ("account",)),
            *board_routes(self.background.board, ("template",), self.background.revoke),
            *campaign_routes(self._desk()),
            *explanation_routes(self._explain, recent.MOST),
        ]
        await self._open(
            "admin", admin_app(self._admin_token, self.status, boards), settings.admin_listen
        )
        self._look_after(in_force)
        self._listener = listener
        host, port = listen_address(settings.listen)
        with _naming("data", settings.listen):
            bound = await listener.start(host, port)
        self._listening("data", host, bound)
        self.readiness.set("serving")
        assembly.collect_garbage_less()
        self._log.say("ready")

    def _say_start(self) -> None:
        settings, version = self._settings, metadata.version("excise")
        self._log.say(
            "start",
            version=version,
            mode=self._pipeline.mode_in_force,
            policy=self._pipeline.policy.digest,
            store="redis" if settings.redis_url else "memory",
            upstream="sample" if settings.upstream.url is None else "configured",
        )
        self.metrics.build(version)

    async def stop(self) -> None:
        """Drain: red, no new requests, grace for those under way, then cut; flush what is queued."""
        cut = 0
        if self._listener is not None:
            grace = self._settings.drain.grace
            self.readiness.set("serving", "draining")
            self._log.say("drain_started", active=len(self._listener.active), grace_s=grace)
            cut = await self._listener.drain(grace)
        await self._opened.aclose()
        if self._listener is not None:
            self._log.say("drain_finished", cut=cut)

    def reload(self) -> None:
        """Load policy, accounts and networks anew; what has mistakes changes nothing, and is said."""
        if self._in_force is not None:
            self._in_force.reload()

    def hurry(self) -> None:
        """Shorten the drain to nothing."""
        if self._listener is not None:
            self._listener.hurry()

    def status(self) -> dict[str, Any]:
        """What the admin API tells."""
        return {
            "version": metadata.version("excise"),
            "mode": self._pipeline.mode_in_force,
            "policy": {
                "path": str(self.policy_path),
                "digest": self._pipeline.policy.digest,
                "mode": self._pipeline.policy.mode,
                "rules": [
                    {"name": rule.name, "kind": rule.kind, "mode": rule.mode}
                    for rule in self._pipeline.policy.rules
                ],
            },
            "store": self._store.state,
            "bans": len(self.bans.all()),
            "allowances": len(self.allowances.all()),
            "campaigns": self.campaigns.counted()[0],
            "active_requests": len(self._underway()),
        }

    # Parts

    async def _upstream_url(self) -> str:
        if self._settings.upstream.url is not None:
            return self._settings.upstream.url
        url, close = await start_sample_model()
        self._opened.push_async_callback(close)
        return url

    def _make_store(self) -> None:
        settings, clock = self._settings, self._clock
        local = MemoryStore(clock=clock)
        shared = assembly.make_store(settings, clock)
        read = shared.members if isinstance(shared, RedisStore) else None
        self.lists = StoreLists(read, clock, self._log.say)
        self._store = ResilientStore(
            shared,
            local,
            clock,
            replicas=settings.replicas,
            on_state=self._store_state,
            on_error=lambda kind: self.metrics.store_errors.labels(kind).inc(),
        )
        self._opened.push_async_callback(self._store.close)
        self._settler = Settler(self._store, on_lost=self._lost, on_fault=self._task_fault)
        self._local_settler = Settler(local, on_lost=self._lost, on_fault=self._task_fault)
        for settler in (self._local_settler, self._settler):
            settler.start()
            self._opened.push_async_callback(settler.close, SETTLE_PATIENCE_S)

    def _start_classifier(self) -> None:
        self._classifier = assembly.make_classifier(
            self._settings,
            self._secret,
            self._clock,
            on_result=self._classified,
            on_state=self._classifier_state,
            on_fault=self._task_fault,
        )
        if self._classifier is not None:
            self._classifier.start()
            self._opened.push_async_callback(self._classifier.close)
        elif self.policy.classifies:
            self._log.say("classifier_missing")

    def _make_line(self) -> Line:
        settings, classifier = self._settings, self._classifier
        around = Surroundings(
            settings=settings,
            secret=self._secret,
            clock=self._clock,
            store=self._store,
            outlives=settings.redis_url is not None,
            settle=self._settler.put,
            settle_locally=lambda ops: self._local_settler.put(self._store.shared(ops)),
            lists=lambda: self.lists.tables,
            emit=self._emit,
            on_fault=self._fault,
            on_notice=self._noticed,
            replica=self._replica,
            on_keys_full=self._keys_full,
        )
        return make_line(
            around,
            policy=self.policy,
            accounts=self._accounts,
            networks=self._networks,
            credential=self._credential,
            ask_classifier=None if classifier is None else classifier.put,
        )

    def _look_after(self, files: InForce) -> None:
        self._upkeep = Upkeep(
            store=self._store,
            shared=self._settings.redis_url is not None,
            secret=self._secret,
            readiness=self.readiness,
            log=self._log,
            clock=self._clock,
            underway=self._underway,
            on_fault=self._task_fault,
            files=files,
            boards=(
                self.bans,
                self.allowances,
                self.background.board,
                self.campaigns.board,
                self.campaigns.verdicts.board,
            ),
            renew_leases=self._judge.renew_leases,
            lists=lambda: self.lists.look(self._pipeline.policy.lists),
        )
        self.joiner = Joiner(
            self._store,
            self._clock,
            self.campaigns,
            self._replica,
            common=self.background.background,
            on_campaign=self._campaign_found,
        )
        self._keep_running(self._upkeep.run(), "upkeep")
        self._opened.callback(self._ledger.tell)
        self._keep_running(self._ledger.run(), "totals")
        self._keep_running(
            self.joiner.run(lambda: self._pipeline.policy.links, self._task_fault), "campaigns"
        )

    def _desk(self) -> Desk:
        return Desk(
            self.campaigns,
            Totals(self._store),
            self.bans,
            self._clock,
            item_hash=self._secret.item_hash,
            shown=self._events.subject,
            on_verdict=self._verdict_said,
        )

    def _keep_running(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """A task that ends with the process."""
        task = asyncio.create_task(work, name=name)

        async def end() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._opened.push_async_callback(end)

    async def _open(self, name: str, app: web.Application, listen: str) -> None:
        host, port = listen_address(listen)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._opened.push_async_callback(runner.cleanup)
        site = web.TCPSite(runner, host, port)
        with _naming(name, listen):
            await site.start()
        self._listening(name, host, runner.addresses[0][1])

    def _listening(self, name: str, host: str, port: int) -> None:
        self.ports[name] = port
        self._log.say("listening", listener=name, host=host, port=port)

    def _underway(self) -> list[Exchange]:
        return [] if self._listener is None else list(self._listener.active)

    # What happens

    def _emit(self, visit: Visit, exchange: Exchange) -> None:
        progress = exchange.progress
        duration = self._clock.monotonic() - progress.started
        event = self._events.request(visit, progress, duration)
        self._log.put(event)
        self.metrics.request(visit, progress, duration)
        if self._admin_token is not None:
            self.recent.keep(trace_of(visit, event))

    def _explain(self, identifier: str) -> dict[str, Any] | None:
        trace = self.recent.of(identifier)
        return None if trace is None else of_trace(trace)

    def _reject(
        self, peer: str, target: str, refusal: Refusal, cause: BaseException | None
    ) -> bytes:
        """Answer bytes that never became a request."""
        now = self._clock.now()
        identifier = request_id(now)
        if cause is not None:
            self._fault(identifier, cause)
        event = self._events.rejected(peer, identifier, now, refusal.status, refusal.reason)
        self._log.put(event)
        self.metrics.rejected()
        speaker = dialect_for_errors(target, ())
        reply = speaker.refusal(refusal, identifier, self._pipeline.policy.refusal.contact_url)
        return closing_answer(reply.status, reply.headers, reply.body)

    def _fault(self, identifier: str, error: BaseException) -> None:
        """A fault of ours: its kind and place, never its text, which may quote a caller."""
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        where = " < ".join(f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames))
        self.metrics.faults.inc()
        self._log.alert(
            "internal_error", request_id=identifier, type=type(error).__name__, where=where
        )

    def _task_fault(self, error: BaseException) -> None:
        self._fault("", error)

    def _lost(self, count: int) -> None:
        self.metrics.unsettled.inc(count)
        self._log.alert("settlements_lost", count=count)

    def _keys_full(self) -> None:
        self._log.alert("accepted_keys_full")

    def _classified(self, result: Result) -> None:
        self.metrics.classifications.counts[(result,)] += 1

    def _classifier_state(self, answers: bool, reason: str) -> None:
        if answers:
            self._log.say("classifier_up")
        else:
            self._log.say("classifier_down", reason=reason)

    def _campaign_found(self, named: Named) -> None:
        members = named.group.members
        self._log.say(
            "campaign",
            campaign=named.name,
            members=len(members),
            suspected=sum(member.suspected for member in members),
            families=sorted({reason.family for one in members for reason in one.reasons}),
            signals=sorted({reason.signal for one in members for reason in one.reasons}),
            since=utc(named.group.since),
            merged=list(named.merged),
        )

    def _verdict_said(self, said: Said) -> None:
        self._log.say(
            "verdict",
            verdict=said.verdict,
            campaign=said.campaign,
            accounts=said.accounts,
            subjects=list(said.subjects),
            by="operator",
            because=said.because,
            ends=utc(said.ends),
        )

    def _store_state(self, state: State, reason: str) -> None:
        self.readiness.note("store", state)
        if state == "ok":
            self._log.say("store_up")
        else:
            self._log.say(f"store_{state}", reason=reason)

    def _noticed(self, board: Board, notice: Notice, stands: bool) -> None:
        if board == "campaigns" or (board == "verdicts" and stands):
            return  # thousands of members at once: the joiner, or the desk, tells of the campaign
        names = {
            "bans": ("ban_lifted", "banned"),
            "allowances": ("allowance_lifted", "allowed"),
            "background": ("common_revoked", "common_learnt"),
            "verdicts": ("verdict_lifted", ""),
        }
        self._log.say(
            names[board][stands and notice.by != REVOKED],
            subject=self._events.subject(notice.subject),
            by=notice.by,
            because=notice.because,
            ends=utc(notice.ends),
        )

    def _refresh_gauges(self) -> None:
        metrics, active = self.metrics, self._underway()
        metrics.active.set(len(active))
        metrics.open_streams.set(sum(exchange.progress.streamed for exchange in active))
        metrics.delayed.set(self._edge.lanes.held)
        metrics.body_memory.set(self._edge.memory.used)
        metrics.queue_bytes.set(self._log.queued_bytes)
        metrics.events_dropped.set(self._log.dropped)
        metrics.bans.set(len(self.bans.all()))
        metrics.allowances.set(len(self.allowances.all()))
        campaigns, accounts = self.campaigns.counted()
        metrics.campaigns.set(campaigns)
        metrics.campaign_accounts.set(accounts)
        metrics.store_up.set(1 if self._store.state == "ok" else 0)
