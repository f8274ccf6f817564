"""How a request ended, for counters and for its event alike."""

from __future__ import annotations

from dataclasses import replace

from proxy.campaigns.totals import Ledger
from proxy.dialects.replies import BYTES_PER_TOKEN, UnreadReply
from proxy.estimates import Estimates
from proxy.facts import ANSWERING, NO_USAGE, Ask, Client, Outcome, Usage
from proxy.passage import Progress
from proxy.rules.subjects import safe
from proxy.visit import Visit

THROTTLED = 429
"""How an upstream says that a key asks too much."""

NOTHING_SAID = Usage(output_tokens=0, reasoning_tokens=0)
NEVER_ASKED = "upstream_unreachable"


def outcome_of(visit: Visit, progress: Progress) -> Outcome:
    """What counters need to know of a request that has ended, however it did."""
    refusal, read = visit.refusal, visit.read
    unreachable = refusal is not None and refusal.reason == NEVER_ASKED
    status = progress.status
    return Outcome(
        refused=visit.refused,
        served=visit.forwarded and not visit.refused and not unreachable,
        failed=refusal is None and status is not None and status >= 400,
        throttled=refusal is None and status == THROTTLED,
        asks=1 if read is None else 1 + len(read.more),
        usage=_spent(visit, progress),
        at_least=isinstance(visit.reader, UnreadReply),
        retry_after_s=None if refusal is None else refusal.retry_after_s,
    )


def usage_of(visit: Visit, progress: Progress) -> tuple[Usage, bool]:
    """(tokens, whether its output is estimated): as the upstream reported, else by what has passed.

    Some upstreams report a beginning (Anthropic's `message_start` tells of one token of output): where a
    stream broke off before its end, what has passed counts if it is more.
    """
    reader, route = visit.reader, visit.route
    if reader is None:
        return NO_USAGE, False
    usage = reader.usage or NO_USAGE
    if usage.output_tokens is None:
        if route is None or route.operation in ANSWERING:
            return replace(usage, output_tokens=reader.estimated_output_tokens()), True
    elif (unread := reader.unread_output_tokens()) > 0:
        return replace(usage, output_tokens=usage.output_tokens + unread), True
    elif progress.end != "complete" and reader.finish_reason is None and not reader.usage_keeps_up:
        passed = reader.estimated_output_tokens()
        if passed > usage.output_tokens:
            return replace(usage, output_tokens=passed), True
    return usage, False


def learn(estimates: Estimates, visit: Visit, progress: Progress) -> None:
    """What a request that ended in full, and whose upstream has told, teaches about the next."""
    read, reader, client = visit.read, visit.reader, visit.client
    if read is None or reader is None or client is None or progress.end != "complete":
        return
    if reader.usage is not None:
        estimates.learn(client, (read.ask, *read.more), reader.usage)


def enter(
    ledger: Ledger, client: Client | None, ask: Ask | None, template: str | None, outcome: Outcome
) -> None:
    """Count what a request's account has asked and been given, should it turn out to be of a campaign."""
    # Keys that nobody vouches for are nobody's accounts.
    if client is not None and client.account is not None and not client.unproven:
        model = None if ask is None or ask.model is None else safe(ask.model)
        ledger.note(f"account:{safe(client.account)}", model, template, outcome)


def _spent(visit: Visit, progress: Progress) -> Usage:
    """What is charged: None where nothing tells, so that what was estimated before stands."""
    route = visit.route
    # A batch is answered later: whoever fetches its results pays for them.
    if visit.file is not None or progress.upstream_s is None:
        return NOTHING_SAID
    if route is not None and route.kind == "inspected" and route.operation == "batch":
        return NOTHING_SAID
    if visit.reader is not None:
        return usage_of(visit, progress)[0]
    if visit.read is not None:
        return NO_USAGE
    return replace(NOTHING_SAID, output_tokens=progress.bytes_out // BYTES_PER_TOKEN)
