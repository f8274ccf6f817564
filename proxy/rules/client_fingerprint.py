"""
client_fingerprint: a program that is not the one it says it is, and programs that are known to relay.

A User-Agent says one program, the order of headers and the style of JSON another: somebody is in
between, or pretends ([signals](../signals.md)). And known relays have marks of their own: what they
leave out, how they marshal, how they probe a key. The share of a caller's requests with a contradiction
is judged once there are enough of them; marks are counted.

    - name: pretended-client
      kind: client_fingerprint
      per: account
      min_requests: 50
      max_contradicted: 0.5
      marks: library/marks/relays.yaml
      max_marked: 20
      excuse: [gateway]
      score: 25

Each mark of the table names conditions that must all hold: `user_agent` (beginnings), `headers`,
`no_headers`, `only_headers`, `parameters`, `no_parameters`, `order` (`sorted`, or what the body begins
with), `json` (its style), `prompt` (word for word), and the numbers `temperature`, `top_p`,
`max_output_tokens`, `choices`, `reasoning_budget`, `logit_bias`. Copy the shipped file beside the
policy to edit it.

Blind spot: who imitates a program in full, header for header and byte for byte, contradicts nothing.
Behind a balancer that rewrites headers only the User-Agent and the style of JSON are left.

False positives: a customer's own gateway rewrites what its clients send, and so does a corporate proxy; let
them declare `profile: gateway`. Anybody may run the programs that also relays run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from pydantic import Field, model_validator

from proxy.counters.protocol import Op, Reading, Tallied, Tally
from proxy.decision import Evidence, Family, Finding, Scalar
from proxy.facts import Facts, Signal
from proxy.rules.fields import Duration, wrong
from proxy.rules.marked import SHOWN, Marked

CONTRADICTED: Final = 1
MARKED: Final = 2


class ClientFingerprint(Marked):
    """Contradictions between what a client says and how it writes, and the marks of known relays."""

    kind: ClassVar[str] = "client_fingerprint"
    family: ClassVar[Family] = "client"
    derives: ClassVar[frozenset[Signal]] = frozenset({"client"})
    schema_also: ClassVar[Mapping[str, Any]] = {
        "dependentRequired": {"marks": ["max_marked"], "max_marked": ["marks"]}
    }

    window: Duration = 3600.0
    """The time over which requests are counted, `1h`."""
    min_requests: int = Field(default=50, ge=1, le=1_000_000, strict=True)
    """Requests in the window before their share is judged."""
    max_contradicted: float | None = Field(default=0.5, gt=0, lt=1, strict=True)
    """The share of requests with a contradiction above which it fires."""
    max_marked: int | None = Field(default=None, ge=1, le=1_000_000, strict=True)
    """Requests with a mark of the table above which it fires."""

    @model_validator(mode="after")
    def _check_bounds(self) -> ClientFingerprint:
        if (self.max_marked is None) != (self.marks is None):
            raise wrong("`marks` and `max_marked` go together")
        if self.max_marked is None and self.max_contradicted is None:
            raise wrong("needs `max_contradicted`, or `marks` and `max_marked`")
        return self

    def counted_by(self) -> tuple[str, ...]:
        """The window and the table; bounds only judge."""
        return (f"window={self.window:g}", f"marks={self.marks}")

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Requests, and those that show something."""
        if facts.ask is None or facts.part:  # one hand writes all asks of a body
            return ()
        return (Tally(subject, self.key, self.window, self._shown(facts)),)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires on a request that shows it, where so many did."""
        shown = self._shown(facts) if readings else ()
        if not shown:
            return None
        (read,) = readings
        assert isinstance(read, Tallied)
        counts = dict(zip(shown, read.shown, strict=True))
        marked, contradicted = counts.get(MARKED, 0), counts.get(CONTRADICTED, 0)
        if self.max_marked is not None and marked > self.max_marked:
            return Finding("relay_marked", self._marks(facts, marked))
        most = self.max_contradicted
        enough = read.requests >= self.min_requests
        if most is None or not enough or contradicted <= most * read.requests:
            return None
        evidence: Evidence = {
            "requests": read.requests,
            "contradicted": contradicted,
            "max_contradicted": most,
            "contradictions": ",".join(facts.signals.contradictions),
        }
        return Finding("client_contradicts_itself", evidence)

    def _marks(self, facts: Facts, marked: int) -> Evidence:
        evidence: dict[str, Scalar] = {"marked": marked, "max_marked": self.max_marked or 0}
        evidence["marks"] = ",".join(facts.signals.marks_of(self.table.name)[:SHOWN])
        return evidence

    def _shown(self, facts: Facts) -> tuple[int, ...]:
        signals = facts.signals
        shown: tuple[int, ...] = ()
        if signals.contradictions and self.max_contradicted is not None:
            shown += (CONTRADICTED,)
        if signals.marks and signals.marks_of(self.table.name):
            shown += (MARKED,)
        return shown
