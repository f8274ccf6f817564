"""
The line that every request travels, readable top to bottom:

    accept → identify → admit → read → derive → select → count → decide → act → settle → emit

Each stage is a function elsewhere; here stands their order, and what happens when one of them says no.
`settle` and `emit` run whatever happens, and only queue: a client that hangs up dodges no accounting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import chain

from proxy.background import Background
from proxy.batches import BatchBook
from proxy.batchfile import BatchFile
from proxy.campaigns.totals import Ledger
from proxy.client.identity import Identifier
from proxy.client.proofs import Proofs
from proxy.clock import Clock
from proxy.decision import Decision, Finding, RuleFinding, Verb
from proxy.derive import Deriver
from proxy.dialects.base import JsonObject, ReadAsk, UnreadableBody
from proxy.dialects.batchline import called
from proxy.dialects.carriage import is_form, refuse_other_encodings, refuse_other_forms
from proxy.dialects.openai_batches import FILE, lies_elsewhere
from proxy.dialects.openai_files import UploadReply
from proxy.dialects.routes import dialect, dialect_for_errors, find_route, in_json
from proxy.errors import Refusal, StoreError
from proxy.estimates import Estimates
from proxy.facts import NO_SIGNALS, NO_USAGE, Ask, Client, Facts, Route, Usage
from proxy.forwarding import Forwarding, degraded_upload
from proxy.head import Head
from proxy.ids import request_id
from proxy.judge import STORE_GONE, Judge
from proxy.judgement import Judgement
from proxy.outcome import enter, learn, outcome_of
from proxy.passage import Exchange, Progress
from proxy.policy.decide import without_room
from proxy.policy.model import Policy
from proxy.policy.select import Stage
from proxy.visit import Mode, Visit

BREATH = 16
"""Asks of one body that are judged before other requests get their turn."""

FILES, BATCHES = "openai_files", "openai_batches"
ELSEWHERE = "file_batches"
"""The name of what reads requests from where nobody looks."""
PURPOSES = {"fine-tune": "fine_tuning", "fine-tune-results": "fine_tuning", "evals": "evals"}
"""What a file is for → the name of the refused routes that would read it."""

FAULT = Refusal(500, "internal_error", "The request could not be handled.", close=True)
UNKNOWN_FILE = UnreadableBody(
    "unknown_file",
    "The file is not known as a batch's: upload it here, with the purpose `batch`, and try again.",
)
OTHER_ENDPOINT = UnreadableBody("wrong_type", "endpoint must be the url of the file's requests.")

UNKNOWN_ROUTE = Refusal(404, "unknown_route", "This route is not served here.")
REFUSED_ROUTE = Refusal(404, "refused_route", "This route is not served here.")


class Pipeline:
    """All stages, joined; one for the process. `policy` may be replaced between requests."""

    def __init__(
        self,
        *,
        policy: Policy,
        mode: Mode,
        identifier: Identifier,
        deriver: Deriver,
        proofs: Proofs,
        batches: BatchBook,
        judge: Judge,
        ledger: Ledger,
        background: Background,
        forwarding: Forwarding,
        clock: Clock,
        emit: Callable[[Visit, Exchange], None],
        on_fault: Callable[[str, BaseException], None],
        classify: Callable[[Judgement], None] | None = None,
    ) -> None:
        """`classify` has a classifier asked about a served request; nobody is where it is None."""
        self.policy = policy
        self.mode: Mode = mode
        self._identifier = identifier
        self._deriver = deriver
        self._proofs = proofs
        self._batches = batches
        self._judge = judge
        self._ledger = ledger
        self._background = background
        self._forwarding = forwarding
        self._clock = clock
        self._emit = emit
        self._on_fault = on_fault
        self._estimates = Estimates()
        self._classify = classify

    @property
    def mode_in_force(self) -> Mode:
        """The weaker of the process's mode and the policy's."""
        return self.policy.mode if self.mode == "enforce" else self.mode

    def visit(self, head: Head, identifier: str | None = None) -> Visit:
        """A request that comes now; `identifier` where it is not for us to name it."""
        now = self._clock.now()
        return Visit(identifier or request_id(now), now, head, self.policy, self.mode)

    async def run(self, exchange: Exchange, visit: Visit | None = None) -> None:
        """Take one request down the line, as a `visit` of its own if none is given. Raises only what
        means that the client has gone."""
        visit = visit or self.visit(exchange.head)
        exchange.progress.request_id = visit.id
        exchange.progress.started = self._clock.monotonic()
        try:
            refusal = await self._refused(exchange, visit)
            if refusal is not None:
                visit.refused = True
            else:
                refusal = await self._forward(exchange, visit)
            if refusal is not None:
                self._answer(exchange, visit, refusal)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:
            self._on_fault(visit.id, error)
            self._answer(exchange, visit, FAULT)
        finally:
            self._settle(exchange, visit)
            self._emit(visit, exchange)

    async def _forward(self, exchange: Exchange, visit: Visit) -> Refusal | None:
        forward = self._forwarding.of(visit)
        if isinstance(forward, Refusal):
            visit.refused = True
            return forward
        if visit.file is not None:
            forward.ready = partial(self._note_file, visit)
        visit.forwarded = True
        refusal = await exchange.forward(forward)
        visit.refused = visit.file is not None and _ended_here(visit.file, refusal)
        return refusal

    async def _refused(self, exchange: Exchange, visit: Visit) -> Refusal | None:
        refusal = exchange.objection() or self._identify(visit)
        if refusal is not None:
            return refusal
        if visit.client is not None and visit.client.unproven:
            await self._recall(visit, visit.client)
        route = visit.route
        uploads = route is not None and route.dialect == FILES and route.kind == "inspected"
        uploads = uploads and visit.mode != "bypass"
        early = exchange.reads_early and not uploads
        if not early:
            refusal = await self._judged(visit, "identity")
            if refusal is not None:
                return refusal
        if uploads:
            return self._watch_upload(visit)
        refusal = await self._read(exchange, visit)
        if refusal is not None:
            return refusal
        refusal = await self._judged(visit, "all" if early else "body")
        read = visit.read
        if refusal is None and read is not None:
            refusal = await self._judged_further(visit, read, late=not early)
        if refusal is not None or visit.judgement is None:
            return refusal
        if visit.judgement.decision.delay_s > 0:
            return await self._held(exchange, visit, visit.judgement)
        return None

    def _identify(self, visit: Visit) -> Refusal | None:
        head, policy = visit.head, visit.policy
        route = visit.route = find_route(head.method, head.path)
        if route.operation == "image" and not is_form(head.headers):
            route = visit.route = in_json(route)
        client, flaw = self._identifier.identify(head, visit.received, policy.keys)
        visit.client = client
        # Where our own key is sent for every caller, watching alone would be an open relay, and to
        # routes that nobody has looked at: our key may do more there than any caller's.
        watching = visit.watching and not self._identifier.only_known
        if route.kind == "refused" and route.name in policy.also_serve:
            visit.route = replace(route, kind="metered")
        elif route.kind == "refused":
            refusal = self._gate(
                visit, "unknown_routes", REFUSED_ROUTE, watching=watching, route=route.name
            )
            if refusal is not None:
                return refusal
        elif route.kind == "unknown" and policy.unknown_routes == "block":
            refusal = self._gate(visit, "unknown_routes", UNKNOWN_ROUTE, watching=watching)
            if refusal is not None:
                return refusal
        if flaw is None:
            return None
        return self._gate(visit, "keys", flaw, watching=watching)

    async def _recall(self, visit: Visit, client: Client) -> None:
        """Whether somebody else has seen the upstream accept a key that is new to us."""
        if visit.mode != "bypass" and await self._proofs.recall(client):
            visit.client = replace(client, unproven=False, provisional=False)

    async def _read(self, exchange: Exchange, visit: Visit) -> Refusal | None:
        body = await exchange.receive()
        if isinstance(body, Refusal):
            return body
        visit.body = body
        route = visit.route
        if route is None or route.kind != "inspected" or visit.mode == "bypass":
            return None
        try:
            refuse_other_encodings(visit.head)
            visit.read = dialect(route.dialect).read(body, visit.head.path)
        except UnreadableBody as error:
            return self._unreadable(visit, error)
        return None

    async def _judged(self, visit: Visit, stage: Stage) -> Refusal | None:
        client, route = visit.client, visit.route
        if visit.mode == "bypass" or client is None or route is None:
            return None
        judgement = visit.judgement
        if judgement is None:
            judgement = visit.judgement = Judgement(visit.policy, visit.mode == "shadow", visit.id)
        started = self._clock.monotonic()
        facts = self._derive(visit, client, route)
        await self._judge.judge(judgement, facts, stage)
        visit.decide_s += self._clock.monotonic() - started
        return _refused_by(judgement)

    async def _judged_further(self, visit: Visit, read: ReadAsk, *, late: bool) -> Refusal | None:
        if visit.route is not None and visit.route.dialect == BATCHES:
            return await self._judged_batch(visit, read.parsed)
        if read.more or read.ask.choices > 1:
            return await self._judged_besides(visit, read, late=late)
        return None

    async def _judged_besides(self, visit: Visit, read: ReadAsk, *, late: bool) -> Refusal | None:
        """What one body asks besides its first ask is judged as if it had come by itself, until
        something refuses: then all of it is refused, and nothing stays counted."""
        judgement, ask = visit.judgement, read.ask
        besides: list[tuple[Facts, Stage]] = []
        client, route = visit.client, visit.route
        if judgement is None or client is None or route is None:
            return None
        if late and ask.choices > 1:
            # The identity was judged before anybody knew how many answers are asked for.
            besides.append(
                (
                    Facts(client, route, answers=ask.choices - 1, id=visit.id, now=visit.received),
                    "identity",
                )
            )
        started = self._clock.monotonic()
        for number, (facts, stage) in enumerate(
            chain(
                besides,
                (
                    (self._besides(visit, client, route, one, at), "all")
                    for at, one in enumerate(read.more, 1)
                ),
            )
        ):
            if number % BREATH == BREATH - 1:
                await asyncio.sleep(0)
            one = Judgement(judgement.policy, judgement.shadow, judgement.id)
            await self._judge.judge(one, facts, stage)
            judgement.absorb(one)
            if (refusal := _refused_by(judgement)) is not None:
                return refusal
        visit.decide_s += self._clock.monotonic() - started
        return None

    def _watch_upload(self, visit: Visit) -> Refusal | None:
        """An upload is judged on its way, line by line: here is only said by whom."""
        try:
            refuse_other_forms(visit.head.headers)
        except UnreadableBody as error:
            return self._unreadable(visit, error)

        async def judge(route: Route, ask: Ask) -> Refusal | None:
            client, judgement = visit.client, visit.judgement
            assert client is not None
            assert judgement is not None
            assert visit.file is not None
            if visit.file.asks % BREATH == 0:
                await asyncio.sleep(0)
            started = self._clock.monotonic()
            one = Judgement(judgement.policy, judgement.shadow, judgement.id)
            await self._judge.judge(
                one, self._besides(visit, client, route, ask, visit.file.asks), "all"
            )
            one.let_go()  # a file may hold more than memory does: each line goes as it came
            judgement.absorb(one)
            visit.decide_s += self._clock.monotonic() - started
            return _refused_by(judgement)

        def allows(purpose: str) -> Refusal | None:
            name = PURPOSES.get(purpose)
            if name is None or name in visit.policy.also_serve:
                return None
            return self._gate(
                visit, "unknown_routes", REFUSED_ROUTE, watching=visit.watching, route=name
            )

        visit.file = BatchFile(
            judge,
            allows,
            lambda error: self._unreadable(visit, error),
            partial(degraded_upload, visit),
            visit.head.path,
        )
        return None

    async def _note_file(self, visit: Visit) -> None:
        """A file has been uploaded: what a batch of it makes, under the id that the upstream gave it."""
        client, file, reader = visit.client, visit.file, visit.reader
        if client is None or file is None or not isinstance(reader, UploadReply):
            return
        if reader.file_id is not None and file.answers is not None:
            await self._batches.note(client, reader.file_id, file.answers)

    async def _judged_batch(self, visit: Visit, parsed: JsonObject) -> Refusal | None:
        """A batch makes the answers that its file asks for: what the upload has not paid for is judged as
        if it were asked for now."""
        client, judgement = visit.client, visit.judgement
        if client is None or judgement is None:
            return None
        if lies_elsewhere(parsed) and ELSEWHERE not in visit.policy.also_serve:
            watching = visit.watching and not self._identifier.only_known
            refusal = self._gate(
                visit, "unknown_routes", REFUSED_ROUTE, watching=watching, route=ELSEWHERE
            )
            if refusal is not None:
                return refusal
        refusal = await self._planned(visit, client, parsed)
        planned = visit.batch
        if refusal is not None or planned is None or planned.paid is not None:
            return refusal
        for part, ((route, model), answers) in enumerate(planned.answers, 1):
            facts = self._besides(visit, client, route, Ask(model), part)
            one = Judgement(judgement.policy, judgement.shadow, judgement.id)
            await self._judge.judge(one, replace(facts, answers=answers), "all")
            judgement.absorb(one)
            if (refusal := _refused_by(judgement)) is not None:
                return refusal
        return None

    async def _planned(self, visit: Visit, client: Client, parsed: JsonObject) -> Refusal | None:
        """What a batch makes of its file goes to `visit.batch`; a Refusal where that is not known."""
        if (file := parsed.get(FILE)) is None:
            return None
        endpoint = parsed.get("endpoint")
        if endpoint is not None:
            endpoint = called(endpoint, visit.head.path)
        try:
            visit.batch = await self._batches.plan(client, file, visit.id, endpoint)
        except StoreError:
            assert visit.judgement is not None
            return _unknown_for_now(visit.judgement)
        if visit.batch is None:
            return self._unreadable(visit, UNKNOWN_FILE)
        if endpoint is not None and not visit.batch.goes_to(endpoint):
            return self._unreadable(visit, OTHER_ENDPOINT)
        return None

    def _unreadable(self, visit: Visit, error: UnreadableBody) -> Refusal | None:
        if visit.policy.uninspectable != "block":
            return None
        refusal = Refusal(400, error.reason, error.message)
        return self._gate(visit, "uninspectable", refusal, watching=visit.watching)

    def _besides(self, visit: Visit, client: Client, route: Route, ask: Ask, part: int) -> Facts:
        """The facts of one more ask in the same body, its `part`-th."""
        end_user = visit.end_user
        if ask.end_user is not None:
            end_user = self._identifier.end_user_id(client, ask.end_user)
        signals = self._deriver.of_ask(ask, visit.policy.wants, visit.signals)
        return Facts(
            client,
            route,
            ask,
            end_user,
            len(visit.body),
            signals,
            ask.choices,
            f"{visit.id}.{part}",
            part,
            visit.received,
            self._background.common(signals.template),
            self._estimate(visit, client, route, ask),
        )

    def _estimate(self, visit: Visit, client: Client, route: Route, ask: Ask) -> Usage:
        if not visit.policy.estimates:
            return NO_USAGE
        return self._estimates.of(client, ask, route.operation)

    def _derive(self, visit: Visit, client: Client, route: Route) -> Facts:
        ask = visit.ask
        if ask is not None and ask.end_user is not None:
            visit.end_user = self._identifier.end_user_id(client, ask.end_user)
        if ask is None:
            return Facts(client, route, id=visit.id, now=visit.received)
        if visit.signals is NO_SIGNALS:
            visit.signals = self._deriver.signals(visit.head, ask, visit.body, visit.policy.wants)
        return Facts(
            client,
            route,
            ask,
            visit.end_user,
            len(visit.body),
            visit.signals,
            ask.choices,
            visit.id,
            0,
            visit.received,
            self._background.common(visit.signals.template),
            self._estimate(visit, client, route, ask),
        )

    async def _held(self, exchange: Exchange, visit: Visit, judgement: Judgement) -> Refusal | None:
        decision, client = judgement.decision, visit.client
        assert client is not None
        # Keys that nobody vouches for could be invented by the hundred, each with a lane of its own.
        subject = client.address if client.unproven else client.account or client.address
        if await exchange.hold(subject, decision.delay_s):
            visit.delayed_s = decision.delay_s
            return None
        judgement.decision = decision = without_room(decision)
        return _refusal(decision, visit.policy) if decision.verb.refuses else None

    def _gate(
        self, visit: Visit, name: str, refusal: Refusal, *, watching: bool, **evidence: str
    ) -> Refusal | None:
        """A gate of the policy: refuses, or only says so while the process or policy watches."""
        found = Finding(refusal.reason, dict(evidence))
        visit.gates += (RuleFinding(name, "gate", "listed", watching, Verb.BLOCK, found),)
        return None if watching else refusal

    def _answer(self, exchange: Exchange, visit: Visit, refusal: Refusal) -> None:
        visit.refusal = refusal
        head = visit.head
        speaker = dialect_for_errors(head.path, head.headers)
        reply = speaker.refusal(refusal, visit.id, visit.policy.refusal.contact_url)
        exchange.answer(reply, close=refusal.close)

    def _tell(self, judgement: Judgement, visit: Visit, progress: Progress) -> None:
        """How a request has ended, to all that ask for it."""
        policy = visit.policy
        if policy.settles or policy.links or self._classify is not None:
            outcome = outcome_of(visit, progress)
            self._judge.settle(judgement, outcome)
            if policy.links:
                enter(self._ledger, visit.client, visit.ask, visit.signals.template, outcome)
            if self._classify is not None and outcome.served:
                self._classify(judgement)
        if policy.estimates:
            learn(self._estimates, visit, progress)

    def _settle(self, exchange: Exchange, visit: Visit) -> None:
        if visit.batch is not None and not _made(visit, exchange.progress.status):
            self._batches.give_back(visit.batch)
        if visit.judgement is not None:
            if visit.refused:
                self._judge.take_back(visit.judgement)
            self._tell(visit.judgement, visit, exchange.progress)
        client, route = visit.client, visit.route
        if client is None or not client.unproven or visit.refused or visit.refusal is not None:
            return
        # A list of models is often open to all: only an answer of a model says that a key is real.
        serves_a_model = route is not None and route.kind in {"inspected", "metered"}
        status = exchange.progress.status
        if serves_a_model and status is not None and 200 <= status < 300:
            self._proofs.record(client)


def _unknown_for_now(judgement: Judgement) -> Refusal | None:
    """What becomes of a batch while the store, which knows its file, is gone."""
    if judgement.watches or judgement.policy.defaults.on_store_failure == "allow":
        judgement.store = "skipped"
        return None
    judgement.store = "blocked"
    judgement.blocked_by = "uninspectable"
    return STORE_GONE


def _made(visit: Visit, status: int | None) -> bool:
    """Whether a batch may have been made, as far as can be told."""
    if visit.refused or (status is not None and 400 <= status < 500):
        return False
    return visit.refusal is None or visit.refusal.reason != "upstream_unreachable"


def _ended_here(file: BatchFile, refusal: Refusal | None) -> bool:
    """Whether an upload was refused on its way, by a rule or for its form, and not lost upstream."""
    return file.refusal is not None or (refusal is not None and refusal.status < 500)


def _refused_by(judgement: Judgement) -> Refusal | None:
    if judgement.blocked_by is not None:
        return STORE_GONE
    if judgement.decision.verb.refuses:
        return _refusal(judgement.decision, judgement.policy)
    return None


def _refusal(decision: Decision, policy: Policy) -> Refusal:
    """What the caller is told: that it was refused and when to come again, never by which rule."""
    message = policy.refusal.message
    if decision.verb is Verb.THROTTLE:
        return Refusal(
            429,
            "rate_limited",
            message or "Too many requests. Slow down and try again later.",
            retry_after_s=decision.retry_after_s,
        )
    return Refusal(403, "request_blocked", message or "Refused.", should_retry=False)
