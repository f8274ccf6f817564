"""
The line with all its parts joined: what serves live and what replays a record build alike.

Who builds brings what differs: the clock, the store, how settlements are carried out, and who is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from proxy import assembly
from proxy.background import Background
from proxy.batches import BatchBook
from proxy.campaigns.members import Campaigns
from proxy.campaigns.report import TieReports
from proxy.campaigns.totals import Ledger
from proxy.classify import Classification, Question
from proxy.client.accounts import Accounts
from proxy.client.identity import Identifier
from proxy.client.proofs import Proofs
from proxy.client.proven import ProvenKeys
from proxy.client.secret import Secret
from proxy.clock import Clock
from proxy.counters.bounds import SubjectBounds
from proxy.counters.protocol import Op
from proxy.counters.resilient import ResilientStore
from proxy.forwarding import Forwarding
from proxy.judge import Judge
from proxy.lists import Tables
from proxy.networks.lookup import Networks
from proxy.notices import Board, Notice, Notices
from proxy.passage import Exchange
from proxy.pipeline import Pipeline
from proxy.policy.model import Policy
from proxy.settings import Settings
from proxy.visit import Visit

Settle = Callable[[Sequence[Op]], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a line stands in."""

    settings: Settings
    secret: Secret
    clock: Clock
    store: ResilientStore
    outlives: bool
    """Whether the store outlives the process, and knows keys that were accepted before."""
    settle: Settle
    settle_locally: Settle
    """The same for this replica's own memory."""
    lists: Callable[[], Tables]
    emit: Callable[[Visit, Exchange], None]
    on_fault: Callable[[str, BaseException], None]
    on_notice: Callable[[Board, Notice, bool], None]
    replica: str
    """A name that no other replica has."""
    on_keys_full: Callable[[], None]
    """Called for each key that was accepted and is not taken for proven, for want of room."""


@dataclass(frozen=True, slots=True)
class Line:
    """The pipeline, and those of its parts that others look at."""

    pipeline: Pipeline
    judge: Judge
    identifier: Identifier
    bans: Notices
    allowances: Notices
    background: Background
    campaigns: Campaigns
    ledger: Ledger


def make_line(
    around: Surroundings,
    *,
    policy: Policy,
    accounts: Accounts | None,
    networks: Networks,
    credential: tuple[str, str] | None = None,
    ask_classifier: Callable[[Question], None] | None = None,
    batches: BatchBook | None = None,
) -> Line:
    """All stages, joined; nothing of it needs a loop. `batches` stands in for our own book of files."""
    settings, secret, clock = around.settings, around.secret, around.clock
    settle, settle_locally = around.settle, around.settle_locally
    bans, allowances, common, members, verdicts = (
        Notices(name, clock, settle, around.on_notice) for name in _BOARDS
    )
    background = Background(common)
    campaigns = Campaigns(members, verdicts, clock)
    ledger = Ledger(clock, settle, around.replica, campaigns.placed)
    proven = ProvenKeys()
    identifier = assembly.make_identifier(
        settings, secret, accounts, proven, networks, only_known=credential is not None
    )
    judge = Judge(
        around.store,
        SubjectBounds(),
        clock,
        settle,
        settle_locally,
        bans,
        allowances,
        background,
        around.lists,
        campaigns=campaigns,
        reports=TieReports(clock, settle),
    )
    ask_usage = settings.upstream.usage == "ask"
    pipeline = Pipeline(
        policy=policy,
        mode=settings.mode,
        identifier=identifier,
        deriver=assembly.make_deriver(settings, secret),
        proofs=Proofs(
            proven,
            clock,
            around.store if around.outlives else None,
            settle,
            per_subnet=settings.limits.accepted_keys_per_subnet,
            in_all=settings.limits.accepted_keys,
            on_full=around.on_keys_full,
        ),
        batches=batches or BatchBook(around.store, clock, settle, settle_locally),
        judge=judge,
        ledger=ledger,
        background=background,
        forwarding=Forwarding(credential, ask_usage, identifier.withheld),
        clock=clock,
        emit=around.emit,
        on_fault=around.on_fault,
        classify=None
        if ask_classifier is None
        else Classification(ask_classifier, settle, settle_locally),
    )
    return Line(pipeline, judge, identifier, bans, allowances, background, campaigns, ledger)


_BOARDS: tuple[Board, ...] = ("bans", "allowances", "background", "campaigns", "verdicts")
