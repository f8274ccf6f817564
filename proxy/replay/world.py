"""
A world to replay traffic in: the real line with all its rules, on virtual time and counters in memory.

    world = World(load(path))
    for result in world.run(records):
        ...

Nothing listens, nothing is sent, nothing sleeps. The same records, policy and seed give the same results,
whoever runs it and whenever.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine, Iterable, Iterator
from functools import partial
from hashlib import blake2b
from typing import Any, Final, TypeVar

from proxy.campaigns.desk import Desk
from proxy.campaigns.joiner import Joiner, at_once
from proxy.campaigns.members import Campaigns
from proxy.campaigns.told import Told
from proxy.campaigns.totals import Totals
from proxy.client.accounts import Accounts
from proxy.client.secret import Secret
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Op
from proxy.counters.resilient import ResilientStore
from proxy.edge.lanes import DelayLanes
from proxy.events import EventBuilder
from proxy.line import Surroundings, make_line
from proxy.networks.load import load_networks
from proxy.networks.lookup import Networks
from proxy.notices import Board, Notice, Notices
from proxy.passage import Exchange
from proxy.policy.model import Policy
from proxy.replay.clock import VirtualClock
from proxy.replay.declared import DeclaredAccounts
from proxy.replay.exchange import RecordedExchange, Venue
from proxy.replay.files import RecordedFiles
from proxy.replay.order import InOrder, Refusals
from proxy.replay.records import Record
from proxy.replay.result import Result
from proxy.replay.scheduler import Scheduler
from proxy.settings import ClientAddress, Settings
from proxy.visit import Visit

T = TypeVar("T")

START: Final = 1_767_571_200.0
"""2026-01-05 00:00 UTC, a Monday: when a record begins that does not say."""
MAX_COUNTERS: Final = 2_000_000
"""Entries of the counters' memory. Beyond it the quietest are forgotten, and that is said."""
JOIN_S: Final = 600.0
"""How often ties are joined; live it is every fifteen seconds."""
RENEW_S: Final = 1.0
"""How often slots are renewed that requests hold, as live."""


class World:
    """One policy at work on a record."""

    def __init__(
        self,
        policy: Policy,
        *,
        accounts: Accounts | None = None,
        seed: int = 0,
        settings: Settings | None = None,
        secret: Secret | None = None,
        networks: Networks | None = None,
        start: float = START,
        counters: int = MAX_COUNTERS,
        keep_visits: bool = False,
    ) -> None:
        """`secret` is the one that an accounts file's key ids were made with; one made from `seed` where
        none is given. `keep_visits` gives each result its `visit`, for whoever wants to look closer."""
        self.policy = policy
        self.clock = VirtualClock(start)
        self.faults: Counter[str] = Counter()
        """What has gone wrong in us, by the kind of error; there should be none."""
        drawn = blake2b(str(seed).encode(), digest_size=32)
        self._series = f"R{drawn.hexdigest()[:9].upper()}"
        """Begins the ids of all requests, in the place of a time."""
        self.keys_full = 0
        """Accepted keys that were not taken for proven, for their network has proven too many."""
        self._keep_visits = keep_visits
        settings = _as_recorded(settings or Settings())
        secret = self._secret = secret or Secret(drawn.digest())
        self._addresses = settings.log.addresses
        self._store = MemoryStore(counters, clock=self.clock)
        resilient = ResilientStore(self._store, MemoryStore(1, clock=self.clock), self.clock)
        self._queue: list[Op] = []
        settle = self._queue.extend
        self._files = RecordedFiles(resilient, self.clock, settle, settle)
        self._accounts = DeclaredAccounts(accounts, secret)
        self._line = make_line(
            Surroundings(
                settings=settings,
                secret=secret,
                clock=self.clock,
                store=resilient,
                outlives=False,
                settle=settle,
                settle_locally=settle,
                lists=dict,
                emit=_emit_nothing,
                on_fault=self._fault,
                on_notice=_notice_nothing,
                replica="replay",
                on_keys_full=self._key_refused,
            ),
            policy=policy,
            accounts=self._accounts,
            networks=networks or load_networks(settings.networks, start),
            batches=self._files,
        )
        limits = settings.limits
        lanes = DelayLanes(per_subject=limits.delayed_per_subject, total=limits.delayed_total)
        self._venue = Venue(self.clock, lanes, limits.header_bytes, limits.body_bytes)
        self._scheduler = Scheduler(self.clock, self._settle)
        self._refusals = Refusals()
        self._order = InOrder()
        self._renewing = False
        self._joiner = Joiner(
            self._store,
            self.clock,
            self._line.campaigns,
            "replay",
            common=self._line.background.background,
            aside=at_once,
        )
        self._joins_at = 0.0

    @property
    def campaigns(self) -> Campaigns:
        """Who belongs together, as far as is known."""
        return self._line.campaigns

    @property
    def bans(self) -> Notices:
        """What is banned; an operator's ban may be put up between two records."""
        return self._line.bans

    @property
    def counters_lost(self) -> int:
        """Counters that were forgotten for want of room."""
        return self._store.lost

    def notes(self) -> list[str]:
        """What a reader of the results has to know: what was not modelled, and bounds that were met."""
        policy = self.policy
        notes = []
        if policy.classifies:
            notes.append(
                "no classifier is asked: rules that would ask one judge by their lexicon alone"
            )
        if policy.lists:
            names = ", ".join(sorted(policy.lists))
            notes.append(f"lists that are kept in Redis are taken to be empty: {names}")
        notes += self._files.notes()
        if self._store.lost:
            notes.append(
                f"the memory of counters was full: {self._store.lost} of the quietest were forgotten, "
                "so that less was found than by a store without that bound"
            )
        if self.keys_full:
            notes.append(
                f"{self.keys_full} times a key was accepted whose network had proven too many: "
                "it went on to count by its address"
            )
        for kind, count in sorted(self.faults.items()):
            notes.append(f"{count} requests ended by a fault of Excise's own ({kind})")
        return notes

    def campaigns_told(self) -> list[Told]:
        """Everything about each campaign, as it stands now, the largest first."""
        self._line.ledger.tell()
        self._settle()
        shown = EventBuilder(self._addresses, self._secret.item_hash).subject
        desk = Desk(
            self.campaigns,
            Totals(self._store),
            self.bans,
            self.clock,
            item_hash=self._secret.item_hash,
            shown=shown,
        )
        return _at_once(desk.all_at_once())

    def run(self, records: Iterable[Record]) -> Iterator[Result]:
        """The results, in the records' order."""
        for record in records:
            yield from self.feed(record)
        yield from self.finish()

    def feed(self, record: Record) -> list[Result]:
        """Let a request come at its time; the results that are known by then, in the records' order."""
        self._scheduler.run_until(record.t)
        self._order.expect(record.number)
        if record.if_refused is not None and not self._refusals.holds(record.if_refused):
            self._order.put(Result(record, skipped=True))
            return self._order.ready()
        if self.policy.links and record.t >= self._joins_at:
            self._joins_at = record.t + JOIN_S
            self._join()
        self._begin(record)
        if self.policy.leases and not self._renewing:
            self._renewing = True
            self._scheduler.call_at(self.clock.at + RENEW_S, self._renew)
        return self._order.ready()

    def _begin(self, record: Record) -> None:
        """Send a request down the line."""
        if record.declared is not None and self._accounts.declare(record.head, record.declared):
            self._line.identifier.replace_accounts(self._accounts)
        pipeline = self._line.pipeline
        visit = pipeline.visit(record.head, self._id(record.number))
        exchange = RecordedExchange(record, visit, self._venue)
        self._scheduler.start(pipeline.run(exchange, visit), partial(self._look, exchange))

    def finish(self) -> list[Result]:
        """Let time pass until all requests have ended; the results that were still to come."""
        self._scheduler.run_out()
        return self._order.ready()

    def _id(self, number: int) -> str:
        """The same for one line whatever the policy, so that two policies delay it alike."""
        return self._series + str(number).zfill(16)

    def _look(self, exchange: RecordedExchange) -> None:
        """What is known of a request now that it waits or has ended."""
        if exchange.told or exchange.stage == "held":
            return
        exchange.told = True
        visit, answered = exchange.visit, exchange.answered
        decision = visit.decision
        refused = decision.verb.refuses
        result = Result(exchange.record, decision)
        if visit.refusal is not None:
            result.reason = visit.refusal.reason
        if visit.judgement is not None:
            result.standings = visit.judgement.standings
            result.campaign = visit.judgement.campaign
        if not refused and answered is not None:
            result.delay_s = visit.delayed_s + answered.paced_s
            result.output_tokens = answered.tokens
        if self._keep_visits:
            result.visit, result.progress = visit, exchange.progress
        if refused:
            self._refusals.note(exchange.record.number)
        self._order.put(result)

    def _settle(self) -> None:
        """Carry out what the last step has queued, as the live queue does once a request gives way."""
        if self._queue:
            ops = self._queue[:]
            self._queue.clear()
            self._store.apply_now(ops)

    def _renew(self) -> None:
        self._line.judge.renew_leases()
        self._renewing = self._line.judge.holds_leases
        if self._renewing:
            self._scheduler.call_at(self.clock.at + RENEW_S, self._renew)

    def _join(self) -> None:
        """Make campaigns out of the ties so far, as one replica does live."""
        _at_once(self._joiner.step())
        self._settle()

    def _key_refused(self) -> None:
        self.keys_full += 1

    def _fault(self, _id: str, error: BaseException) -> None:
        self.faults[type(error).__name__] += 1


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of what waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("nothing can wait in a replay")


def _as_recorded(settings: Settings) -> Settings:
    """The settings where addresses are those after trusted hops, as a record has them."""
    address = settings.client_address
    evidence = settings.header_evidence
    if evidence == "auto" and address.from_ != "peer":
        evidence = "off"
    bits = {"ipv4_subnet": address.ipv4_subnet, "ipv6_subnet": address.ipv6_subnet}
    return settings.model_copy(
        update={
            "client_address": ClientAddress.model_validate(bits),
            "header_evidence": evidence,
            # Nobody answers a stream here: there is nothing to ask for its usage.
            "upstream": settings.upstream.model_copy(update={"usage": "never"}),
            "redis_url": None,
        }
    )


def _emit_nothing(_visit: Visit, _exchange: Exchange) -> None:
    pass


def _notice_nothing(_board: Board, _notice: Notice, _stands: bool) -> None:
    pass
