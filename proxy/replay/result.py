"""What became of one line of a record, and the line of JSON that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson

from proxy.decision import ALLOWED, Decision, Verb
from proxy.passage import Progress
from proxy.policy.suspicion import Standing
from proxy.replay.records import Record
from proxy.visit import Visit

SKIPPED: Final = "skipped"
ENFORCED: Final = (Verb.DELAY, Verb.DEGRADE, Verb.THROTTLE, Verb.BLOCK)
"""What a caller can feel."""


@dataclass(slots=True)
class Result:
    """What became of one line."""

    record: Record
    decision: Decision = ALLOWED
    skipped: bool = False
    """Whether it did not happen, for the line that it answers was not refused."""
    delay_s: float = 0.0
    """Seconds by which the whole answer came later: held back before, or paced."""
    output_tokens: int = 0
    """Tokens that were let through."""
    reason: str | None = None
    """Why it was refused, as the caller was told, where it was."""
    standings: tuple[Standing, ...] = ()
    """How the suspicion's subjects stood when it came."""
    campaign: str | None = None
    """The campaign that it was told to be part of."""
    visit: Visit | None = None
    """All that the line has made of it, where that was asked for."""
    progress: Progress | None = None
    """How far it has come, likewise."""

    @property
    def word(self) -> str:
        """The decision's word, `skipped` among them."""
        return SKIPPED if self.skipped else self.decision.verb.word

    @property
    def refused(self) -> bool:
        """Whether it was throttled or blocked."""
        return not self.skipped and self.decision.verb.refuses

    @property
    def enforced(self) -> bool:
        """Whether the caller can feel what was decided."""
        return not self.skipped and self.decision.verb in ENFORCED

    @property
    def rules(self) -> list[str]:
        """Names of the enforced rules that fired."""
        return _names(self.decision, shadow=False)

    @property
    def shadow(self) -> list[str]:
        """Names of the shadow rules that fired."""
        return _names(self.decision, shadow=True)

    @property
    def ban(self) -> bool:
        """Whether it was refused by a ban, or has led to one."""
        return any(
            one.verb is Verb.BLOCK and not one.shadow and (one.kind == "ban" or one.ban_s > 0)
            for one in self.decision.findings
        )


def _names(decision: Decision, *, shadow: bool) -> list[str]:
    names = [one.rule for one in decision.findings if one.shadow is shadow]
    return names if len(names) < 2 else list(dict.fromkeys(names))


def told(result: Result) -> dict[str, Any]:
    """The result as a decisions file has it."""
    found = result.decision.findings
    return {
        "i": result.record.number,
        "decision": result.word,
        "delay_s": round(result.delay_s, 3),
        "output_tokens": result.output_tokens,
        "rules": result.rules if found else [],
        "shadow": result.shadow if found else [],
        "campaign": result.campaign,
        "ban": bool(found) and result.ban,
    }


def line(result: Result) -> bytes:
    """The same as a line of JSON."""
    return orjson.dumps(told(result), option=orjson.OPT_APPEND_NEWLINE)
