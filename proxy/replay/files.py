"""
Which upload a recorded batch is of: a record does not hold the id that the upstream gave a file.

An id that is new is taken to be the account's oldest upload of which no batch was made yet, and stays that
upload's. A batch is judged by what that file asks, as live. One for which no upload waits stays unknown.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Mapping
from typing import Any, Final

from proxy.batches import KEPT_S, PER_ACCOUNT, BatchBook, Planned, go_to, owner
from proxy.batchfile import Kind
from proxy.facts import Client
from proxy.value import value

MAX_FILES: Final = 200_000
"""Ids that are known at once, over all accounts. Beyond it those named longest ago are forgotten."""
MAX_OWNERS: Final = 200_000
"""Accounts whose uploads wait at once, likewise."""


@value
class _Upload:
    at: float
    """Unix time."""
    file: str
    """The id that it has here."""
    kinds: tuple[Kind, ...]
    """What it asks."""


class RecordedFiles(BatchBook):
    """See `BatchBook`; its ids are those of the record."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._waiting: OrderedDict[str, deque[_Upload]] = OrderedDict()
        """By account: uploads of which no batch was made yet."""
        self._named: OrderedDict[tuple[str, str], str] = OrderedDict()
        """Account and the record's id → the id that its upload has here."""
        self.guessed = 0
        """Batches of an id that was new."""
        self.unknown = 0
        """Batches for which no upload waited."""

    async def note(self, client: Client, file: str, answers: Mapping[Kind, int]) -> None:
        """See `BatchBook.note`."""
        await super().note(client, file, answers)
        who = owner(client)
        waiting = self._waiting.setdefault(who, deque(maxlen=PER_ACCOUNT))
        waiting.append(_Upload(self._clock.now(), file, tuple(answers)))
        self._waiting.move_to_end(who)
        if len(self._waiting) > MAX_OWNERS:
            self._waiting.popitem(last=False)

    async def plan(
        self, client: Client, file: str, request: str, endpoint: str | None = None
    ) -> Planned | None:
        """See `BatchBook.plan`."""
        name = owner(client), file
        ours = self._named.get(name)
        if ours is None and (ours := self._oldest(name[0], endpoint)) is not None:
            self.guessed += 1
            self._named[name] = ours
            if len(self._named) > MAX_FILES:
                self._named.popitem(last=False)
        planned = None
        if ours is not None:
            self._named.move_to_end(name)
            planned = await super().plan(client, ours, request, endpoint)
        self.unknown += planned is None
        return planned

    def notes(self) -> list[str]:
        """What a reader of the results has to know."""
        notes = []
        if self.guessed:
            notes.append(
                f"{self.guessed} uploaded files were told by their order: a record does not hold their "
                "ids, so a batch of a new one is taken to be of the account's oldest upload that waits"
            )
        if self.unknown:
            notes.append(
                f"{self.unknown} batches are of a file that the record does not hold, or that was not let "
                "through: what they ask is not known (`unknown_file`)"
            )
        return notes

    def _oldest(self, who: str, endpoint: str | None) -> str | None:
        """The oldest upload of an account that waits, and whose requests all go to the endpoint."""
        waiting = self._waiting.get(who)
        if waiting is None:
            return None
        while waiting and self._clock.now() - waiting[0].at >= KEPT_S:
            waiting.popleft()
        for upload in waiting:
            if endpoint is None or go_to(upload.kinds, endpoint):
                waiting.remove(upload)
                return upload.file
        return None
