"""How a request ended, for counters and for its event alike."""

from __future__ import annotations

from dataclasses import replace

from proxy.facts import ANSWERING, NO_USAGE, Outcome, Usage
from proxy.passage import Progress
from proxy.visit import Visit


def outcome_of(visit: Visit, progress: Progress) -> Outcome:
    """What counters need to know of a request that has ended, however it did."""
    refusal = visit.refusal
    served = not visit.refused and (progress.upstream_s is not None or visit.reader is not None)
    return Outcome(
        refused=visit.refused,
        served=served,
        usage=usage_of(visit)[0],
        retry_after_s=None if refusal is None else refusal.retry_after_s,
    )


def usage_of(visit: Visit) -> tuple[Usage, bool]:
    """(tokens, whether its output is estimated): as the upstream reported, else by what has passed."""
    reader, route = visit.reader, visit.route
    if reader is None:
        return NO_USAGE, False
    usage = reader.usage or NO_USAGE
    if usage.output_tokens is not None:
        return usage, False
    if route is None or route.operation in ANSWERING:
        return replace(usage, output_tokens=reader.estimated_output_tokens()), True
    return usage, False
