"""One request under way: what the stages of the line have made of it so far."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Literal

from proxy.batches import Planned
from proxy.batchfile import BatchFile
from proxy.decision import ALLOWED, Decision, Degradation, Evidence, RuleFinding, Verb
from proxy.degrade.replies import DegradedReply
from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.errors import Refusal
from proxy.facts import NO_SIGNALS, Ask, Client, Route, Signals, lean
from proxy.head import Head
from proxy.judgement import Judgement
from proxy.policy.model import Policy

LIGHT = 16 * 1024
"""Bytes of a body up to which nothing is worth forgetting but what was parsed."""

Mode = Literal["enforce", "shadow", "bypass"]


@dataclass(slots=True)
class Visit:
    """One request under way, filled in stage by stage."""

    id: str
    received: float
    """Unix time."""
    head: Head
    policy: Policy
    mode: Mode
    route: Route | None = None
    client: Client | None = None
    body: bytes = b""
    read: ReadAsk | None = None
    file: BatchFile | None = None
    """Who looks at an upload."""
    batch: Planned | None = None
    """What is to be made of a file that was uploaded before."""
    end_user: str | None = None
    signals: Signals = NO_SIGNALS
    judgement: Judgement | None = None
    gates: tuple[RuleFinding, ...] = ()
    """Gates of the policy (`keys`, `unknown_routes`, `uninspectable`) that found something."""
    delayed_s: float = 0.0
    decide_s: float = 0.0
    refusal: Refusal | None = None
    """What the caller was told in place of the model's answer, ours or the upstream's failure."""
    refused: bool = False
    """Whether it was us who refused."""
    forwarded: bool = False
    """Whether it was sent on, or was about to be."""
    reader: ReplyReader | None = None
    degraded: tuple[str, ...] = ()
    """What was changed in the request."""
    biases: tuple[int, bytes] | None = None
    """How many tokens were biased and a digest of how, once that itself is forgotten."""

    @property
    def watching(self) -> bool:
        """Whether policy may refuse nothing: shadow mode, of the process or the policy."""
        return self.mode != "enforce" or self.policy.mode == "shadow"

    @property
    def degradation(self) -> Degradation | None:
        """What is to be taken from the request and its answer."""
        if self.judgement is None or self.refused:
            return None
        return self.judgement.decision.degradation

    @property
    def all_degraded(self) -> tuple[str, ...]:
        """What was changed in the request and, so far, in its answer."""
        reader = self.reader
        touched = reader.touched if isinstance(reader, DegradedReply) else ()
        if isinstance(reader, DegradedReply) and reader.pace is not None:
            touched = (*touched, "pace")
        return tuple(dict.fromkeys((*self.degraded, *touched)))

    @property
    def ask(self) -> Ask | None:
        """What is asked of the model, where the body was read."""
        return self.read.ask if self.read is not None else None

    @property
    def told_biases(self) -> tuple[int, bytes] | None:
        """How many tokens are biased, and a digest by which equal maps of biases are told."""
        biases = () if self.read is None else self.read.ask.logit_bias
        if not biases:
            return self.biases
        return len(biases), blake2b(repr(sorted(biases)).encode(), digest_size=16).digest()

    def let_go(self) -> None:
        """Forget what nobody looks at any more once the request goes on.

        A stream may last for many minutes, and what was read of a body weighs more than the body.
        """
        if self.read is None:
            return
        read = self.read
        self.read = ReadAsk(read.ask, {}, read.more)
        if len(self.body) > LIGHT:
            self.biases = self.told_biases
            self.read = replace(
                self.read, ask=lean(self.read.ask), more=tuple(map(lean, self.read.more))
            )
            if self.judgement is not None:
                self.judgement.let_go()

    @property
    def decision(self) -> Decision:
        """The one decision, gates included."""
        decision = self.judgement.decision if self.judgement is not None else ALLOWED
        if self.gates:
            decision = replace(decision, findings=self.gates + decision.findings)
        if self.refused and self.refusal is not None and not decision.verb.refuses:
            rule, kind, evidence = self._refused_by()
            verb = Verb.THROTTLE if self.refusal.retry_after_s else Verb.BLOCK
            decision = replace(
                decision,
                verb=verb,
                rule=rule,
                kind=kind,
                reason=self.refusal.reason,
                evidence=evidence,
            )
        return decision

    def _refused_by(self) -> tuple[str | None, str, Evidence]:
        """(name, kind, evidence) of what refused, where no rule's finding did."""
        for gate in self.gates:
            if not gate.shadow:
                return gate.rule, gate.kind, gate.finding.evidence
        if self.judgement is not None and self.judgement.blocked_by is not None:
            return self.judgement.blocked_by, "store", {}
        return None, "limit", {}
