"""
The last requests that have ended, to be explained while an operator still has the caller on the line.

Bounded by count and by bytes, apart for what was acted on and for the rest: on a busy process what passes
unharmed would push a refusal out within a second. What is older is in the event log.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from proxy.decision import Verb
from proxy.explain.trace import Trace
from proxy.policy.model import Policy

MOST: Final = 512
"""Requests of either sort."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""About what the requests of either sort may take together."""


class Recent:
    """The last requests by their ids."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._acted = _Ring(most, most_bytes)
        self._passed = _Ring(most, most_bytes)
        self._policies: tuple[Policy, ...] = ()

    def __len__(self) -> int:
        return len(self._acted) + len(self._passed)

    @property
    def bytes(self) -> int:
        """About what they take."""
        return self._acted.bytes + self._passed.bytes

    def keep(self, trace: Trace) -> None:
        """Keep one more; the oldest of its sort go as far as needed."""
        if not any(one is trace.policy for one in self._policies):
            self._forget_policies(trace.policy)
        acted = trace.decision.verb > Verb.LOG or any(one.shadow for one in trace.findings)
        (self._acted if acted else self._passed).keep(trace)

    def of(self, request_id: str) -> Trace | None:
        """The trace of a request; None where it is not kept, or not any more."""
        return self._acted.of(request_id) or self._passed.of(request_id)

    def _forget_policies(self, newest: Policy) -> None:
        """A policy with its lexicons weighs more than all requests: the last two are kept, no others."""
        self._policies = (*self._policies, newest)[-2:]
        for ring in (self._acted, self._passed):
            ring.drop_all_but(self._policies)


class _Ring:
    """One sort of requests, oldest first."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._traces: OrderedDict[str, Trace] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._traces)

    def keep(self, trace: Trace) -> None:
        self._traces[trace.event["request_id"]] = trace
        self.bytes += trace.bytes
        while self._traces and (len(self._traces) > self._most or self.bytes > self._most_bytes):
            _, oldest = self._traces.popitem(last=False)
            self.bytes -= oldest.bytes

    def of(self, request_id: str) -> Trace | None:
        return self._traces.get(request_id)

    def drop_all_but(self, policies: tuple[Policy, ...]) -> None:
        for name, trace in list(self._traces.items()):
            if not any(one is trace.policy for one in policies):
                del self._traces[name]
                self.bytes -= trace.bytes
