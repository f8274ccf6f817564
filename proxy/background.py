"""
Common background: prompt templates that so many long-standing customers use that they say nothing of
any one.

What a popular app or a well-known SDK's example writes is shared by thousands of honest accounts. A
template becomes common by the word of many accounts of the accounts file that have been customers for
long, which nobody can invent; it is said in the log, ends by itself, and an operator may take it back
or declare one.
"""

from __future__ import annotations

from typing import Final

from proxy.notices import Notice, Notices
from proxy.rules.base import Learnt

REVOKED: Final = "revoked"
"""Who a notice is by that takes a template back: then it is not learnt again while that stands."""
REVOKED_S: Final = 90 * 86_400.0


class Background:
    """The templates that are common, shared by all replicas."""

    def __init__(self, board: Notices) -> None:
        self.board = board

    def common(self, template: str | None) -> bool:
        """Whether a template is common."""
        if template is None or not self.board:
            return False
        notice = self.board.of(f"template:{template}")
        return notice is not None and notice.by != REVOKED

    def background(self, thing: str) -> bool:
        """Whether what accounts share is a template that is common."""
        return thing.startswith("template:") and self.common(thing.removeprefix("template:"))

    def learn(self, learnt: Learnt, by: str) -> None:
        """Take a template for common from now on, unless that is known, or taken back."""
        if self.board.of(learnt.subject) is None:
            self.board.put(learnt.subject, learnt.seconds, by, learnt.because)

    def revoke(self, subject: str) -> Notice | None:
        """Take one back, for as long as REVOKED_S; None where none was common."""
        notice = self.board.of(subject)
        if notice is None or notice.by == REVOKED:
            return None
        return self.board.put(subject, REVOKED_S, REVOKED, "an operator has taken it back")
