"""
What operators have said of accounts: that one is forgiven, that some are apart from the rest, that one that
was only suspected does belong. Each is a notice with an end, which all replicas learn within a second.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from proxy.notices import Notice, Notices

Verdict = Literal["apart", "confirmed", "split"]

APART: Final = "apart"
"""It belongs to nobody, whatever it shares."""
CONFIRMED: Final = "confirmed"
"""It was suspected, and is a member."""
_SIDE: Final = "side_"
"""Begins the name of those who were split off together."""


class Verdicts:
    """Operators' words, looked up locally."""

    def __init__(self, board: Notices) -> None:
        self.board = board

    def __len__(self) -> int:
        return len(self.board)

    @property
    def version(self) -> int:
        """Another number once something has been said or taken back."""
        return self.board.version

    def apart(self, who: str) -> bool:
        """Whether an account belongs to nobody."""
        return self._said(who) == APART

    def confirmed(self, who: str) -> bool:
        """Whether a suspected account is a member after all."""
        return self._said(who) == CONFIRMED

    def side(self, who: str) -> str:
        """Accounts are joined with those of the same side only; it is empty for almost all."""
        said = self._said(who)
        return said if said is not None and said.startswith(_SIDE) else ""

    def say(
        self, verdict: Verdict, accounts: Sequence[str], seconds: float, because: str
    ) -> Iterator[Notice | None]:
        """Put it up for one account after the other, as it is asked for the next; None where there is no
        room for more."""
        by = _side_of(accounts) if verdict == "split" else verdict
        return (self.board.put(who, seconds, by, because) for who in accounts)

    def _said(self, who: str) -> str | None:
        if not self.board:
            return None
        notice = self.board.of(who)
        return None if notice is None else notice.by


def _side_of(accounts: Sequence[str]) -> str:
    """A name for those who are split off together: the same for the same accounts."""
    drawn = hashlib.blake2b("\n".join(sorted(accounts)).encode(), digest_size=5)
    return _SIDE + base64.b32encode(drawn.digest()).decode().lower()


def verdict_of(notice: Notice) -> Verdict:
    """What a notice of the board says."""
    if notice.by == CONFIRMED:
        return "confirmed"
    return "split" if notice.by.startswith(_SIDE) else "apart"
