"""
What accounts have asked and been given, for whoever looks into a campaign.

Each replica counts all accounts in its own memory once a request has ended, and tells the store of those
that belong to a campaign: its own total under its own name, in place of the one before. So nothing is
counted twice, nothing is read on a request's path, and what was asked before an account was joined is told
as far as this process remembers it. Who asks reads the replicas' totals and adds them up.

A replica that dies takes with it what it has not told: at most the last TELL_S.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from proxy.campaigns.report import SUBJECT
from proxy.clock import Clock
from proxy.counters.protocol import POSTS_MAX, Op, Post, Posts, ReadPosts, Store
from proxy.facts import Outcome

TOTALS: Final = "totals"
"""The board of the store on which replicas tell their totals."""
TELL_S: Final = 15.0
"""How often they are told."""
KEEP_S: Final = 14 * 86_400.0
"""How long a total stands after it was last told."""
SWEEP_S: Final = 3600.0
SLOT_S: Final = 6 * 3600
"""A timeline's step."""
MOST_SLOTS: Final = 32
"""Steps of an account's timeline that are kept, the latest: eight days."""
MOST_ACCOUNTS: Final = 65_536
"""Accounts that one replica counts; those that have asked nothing for longest are forgotten first."""
AT_ONCE: Final = 500
"""Totals that are told before requests have their turn again."""
MOST_TOLD: Final = 16_384
"""Totals that are told each time; others wait for the next."""
MOST_NAMES: Final = 8
"""Models, and templates, of one account that are told apart; what is more is `other`."""
OTHER: Final = "other"


@dataclass(slots=True)
class Spent:
    """What one account, or all of a campaign, has asked and been given."""

    requests: int = 0
    refused: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    first: float = 0.0
    """Unix time of the first request."""
    last: float = 0.0
    models: dict[str, int] = field(default_factory=dict)
    """Model → requests that named it."""
    templates: dict[str, int] = field(default_factory=dict)
    """Template of how prompts begin → requests that showed it."""
    slots: dict[int, list[int]] = field(default_factory=dict)
    """Step of the timeline → [requests, output tokens]."""

    def note(self, now: float, model: str | None, template: str | None, outcome: Outcome) -> None:
        """Count one request that has ended."""
        output = outcome.usage.output_tokens or 0
        self.requests += 1
        self.refused += outcome.refused
        self.output_tokens += output
        self.reasoning_tokens += outcome.usage.reasoning_tokens or 0
        self.first = self.first or now
        self.last = max(self.last, now)
        for names, name in ((self.models, model), (self.templates, template)):
            if name is not None:
                _add(names, name, 1, MOST_NAMES)
        slot = self.slots.get(at := int(now // SLOT_S))
        if slot is None:
            slot = self.slots[at] = [0, 0]
            if len(self.slots) > MOST_SLOTS:
                del self.slots[min(self.slots)]
        slot[0] += 1
        slot[1] += output

    def add(self, other: Spent, names: int = 1 << 30) -> None:
        """Add up, with so many names of each kind at most."""
        self.requests += other.requests
        self.refused += other.refused
        self.output_tokens += other.output_tokens
        self.reasoning_tokens += other.reasoning_tokens
        self.first = min(self.first or other.first, other.first or self.first)
        self.last = max(self.last, other.last)
        for mine, its in ((self.models, other.models), (self.templates, other.templates)):
            for name, count in its.items():
                _add(mine, name, count, names)
        for at, (requests, output) in other.slots.items():
            slot = self.slots.setdefault(at, [0, 0])
            slot[0] += requests
            slot[1] += output


def _add(names: dict[str, int], name: str, count: int, most: int) -> None:
    if name not in names and len(names) >= most:
        name = OTHER
    names[name] = names.get(name, 0) + count


class Ledger:
    """The totals of this replica."""

    def __init__(
        self,
        clock: Clock,
        settle: Callable[[Sequence[Op]], None],
        replica: str,
        tells: Callable[[str], bool],
        most: int = MOST_ACCOUNTS,
    ) -> None:
        """`replica` is a name that no other has; `tells` says of whom the store is told."""
        self._clock = clock
        self._settle = settle
        self._replica = replica
        self._tells = tells
        self._most = most
        self._spent: OrderedDict[str, Spent] = OrderedDict()
        self._untold: set[str] = set()

    def __len__(self) -> int:
        return len(self._spent)

    def note(self, who: str, model: str | None, template: str | None, outcome: Outcome) -> None:
        """Count one request that has ended."""
        spent = self._spent.get(who)
        if spent is None:
            if len(self._spent) >= self._most:
                gone, _ = self._spent.popitem(last=False)
                self._untold.discard(gone)
            spent = self._spent[who] = Spent()
        else:
            self._spent.move_to_end(who)
        spent.note(self._clock.now(), model, template, outcome)
        self._untold.add(who)

    def tell(self) -> int:
        """Tell the store of those of whom something is new; of how many accounts."""
        return sum(self._telling())

    async def run(self) -> None:
        """Tell again and again until it is cancelled."""
        while True:
            await asyncio.sleep(TELL_S)
            for _ in self._telling():
                await asyncio.sleep(0)

    def _telling(self) -> Iterator[int]:
        """Tell, AT_ONCE by AT_ONCE; of how many each time."""
        untold, told = list(self._untold), 0
        for at in range(0, len(untold), AT_ONCE):
            due = [who for who in untold[at : at + AT_ONCE] if self._tells(who)]
            for who in due:
                spent = self._spent.get(who)
                if spent is not None:
                    name = f"{who} {self._replica}"
                    self._settle((Post(SUBJECT, TOTALS, name, text_of(spent), KEEP_S),))
            self._untold.difference_update(due)
            told += len(due)
            yield len(due)
            if told >= MOST_TOLD:
                return


Told = Mapping[str, Sequence[str]]
"""Account → its totals as replicas have told them; `summed` reads them."""


class Totals:
    """All replicas' totals, read when somebody asks."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since = 0.0
        self._told: dict[str, dict[str, tuple[str, float]]] = {}
        """Account → replica → (what it has told, until when that stands)."""
        self._reading = asyncio.Lock()
        self._swept_at = 0.0

    async def read(self, accounts: Iterable[str], now: float) -> Told:
        """What has been told of these accounts. Raises StoreError."""
        async with self._reading:
            while await self._page():
                pass
        if now - self._swept_at >= SWEEP_S:
            self._sweep(now)
        return {who: list(self._standing(who, now)) for who in accounts if who in self._told}

    def _standing(self, who: str, now: float) -> Iterator[str]:
        return (text for text, ends in self._told[who].values() if ends > now)

    async def _page(self) -> bool:
        """Take in a page; whether there are more."""
        (read,) = await self._store.apply((ReadPosts(SUBJECT, TOTALS, self._since),))
        assert isinstance(read, Posts)
        if read.until < self._since:  # another server answers now: read it from its beginning
            self._since = 0.0
            self._told.clear()
            return True
        onward = read.until > self._since
        self._since = read.until
        for name, text, ends in read.posts:
            who, _, replica = name.partition(" ")
            self._told.setdefault(who, {})[replica] = text, ends
        return onward and len(read.posts) == POSTS_MAX

    def _sweep(self, now: float) -> None:
        """Let go of what has ended."""
        self._swept_at = now
        for who, told in list(self._told.items()):
            for replica in [one for one, (_, ends) in told.items() if ends <= now]:
                del told[replica]
            if not told:
                del self._told[who]


def summed(told: Told) -> dict[str, Spent]:
    """Account → what it has asked and been given, of all replicas."""
    totals: dict[str, Spent] = {}
    for who, texts in told.items():
        for spent in filter(None, map(spent_of, texts)):
            totals.setdefault(who, Spent()).add(spent)
    return totals


def added(totals: Iterable[Spent]) -> Spent:
    """All of them together."""
    whole = Spent()
    for spent in totals:
        whole.add(spent, names=256)
    return whole


def text_of(spent: Spent) -> str:
    """A total as it stands in the store."""
    told: list[Any] = [spent.requests, spent.refused, spent.output_tokens, spent.reasoning_tokens]
    told += [round(spent.first), round(spent.last), spent.models, spent.templates]
    told.append([[at, *counts] for at, counts in spent.slots.items()])
    return orjson.dumps(told).decode()


def spent_of(text: str) -> Spent | None:
    """A total out of the store; None for what is not of our making."""
    try:
        *counts, models, templates, slots = orjson.loads(text)
        numbers = [int(count) for count in counts]
        requests, refused, output, reasoning, first, last = numbers
        named = [{str(n): int(c) for n, c in names.items()} for names in (models, templates)]
        steps = {int(at): [int(asked), int(given)] for at, asked, given in slots}
    except (ValueError, TypeError, AttributeError):
        return None
    return Spent(requests, refused, output, reasoning, first, last, named[0], named[1], steps)
