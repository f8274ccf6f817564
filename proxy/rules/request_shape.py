"""
request_shape: parameters that published pipelines for training data send.

Self-instruct forbids the end-of-text token so that answers run long; others always send log
probabilities, `n` and both penalties; reasoning traces ask for 20,000 tokens and nearly all of them to
think in. A table names such shapes, and the share of a caller's requests that have one is judged.

    - name: pipeline-shape
      kind: request_shape
      per: account
      marks: library/marks/pipelines.yaml
      min_requests: 100
      max_share: 0.5
      excuse: [batch, eval]
      score: 15

The table is that of [client_fingerprint](client_fingerprint.md): each mark names conditions that must
all hold. Copy the shipped file beside the policy to edit it.

Blind spot: who sets other values is another shape; the table knows what is published.

False positives: researchers and students follow the same recipes, and so do evaluation harnesses. It is
a hint about which program writes, never about what for: score it low.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from pydantic import Field

from proxy.counters.protocol import Op, Reading, Tallied, Tally
from proxy.decision import Evidence, Family, Finding
from proxy.facts import PROMPTING, Facts
from proxy.rules.fields import Duration
from proxy.rules.marked import SHOWN, Marked

SHAPED: Final = (1,)


class RequestShape(Marked):
    """Parameters as known pipelines send them."""

    kind: ClassVar[str] = "request_shape"
    family: ClassVar[Family] = "client"

    marks: str = "library/marks/pipelines.yaml"
    """The table of shapes: a YAML file beside the policy, or the one that ships with Excise."""
    window: Duration = 86_400.0
    """The time over which requests are counted, `1d`."""
    min_requests: int = Field(default=100, ge=1, le=1_000_000, strict=True)
    """Requests in the window before anything is judged."""
    max_share: float = Field(default=0.5, gt=0, lt=1, strict=True)
    """The share of requests with such a shape above which it fires."""

    def counted_by(self) -> tuple[str, ...]:
        """The window and the table; floor and share only judge."""
        return (f"window={self.window:g}", f"marks={self.marks}")

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Requests that a model answers, and those with a shape of the table."""
        if facts.ask is None or facts.route.operation not in PROMPTING:
            return ()
        shaped = facts.signals.marks_of(self.table.name)
        return (Tally(subject, self.key, self.window, SHAPED if shaped else ()),)

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires on a request of such a shape, where so many have one."""
        shapes = facts.signals.marks_of(self.table.name)
        if not readings or not shapes:
            return None
        (read,) = readings
        assert isinstance(read, Tallied)
        shaped = read.shown[0]
        if read.requests < self.min_requests or shaped <= self.max_share * read.requests:
            return None
        evidence: Evidence = {
            "requests": read.requests,
            "shaped": shaped,
            "max_share": self.max_share,
            "shapes": ",".join(shapes[:SHOWN]),
        }
        return Finding("shape_of_a_pipeline", evidence)
