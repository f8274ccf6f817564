"""
listed: accounts, keys, networks and more that somebody has put on a list.

What operators know from elsewhere (a key on a reseller's page, a network out of an abuse report, the
template of a known pipeline) stands in a list, with the day on which it ends and the reason, which the
finding tells. A list is a file beside the policy, or a key of Redis that other systems fill; both are held
in memory, and taken over within seconds of a change.

    - name: known-harvesters
      kind: listed
      file: lists/harvesters.yaml
      redis_set: resold-keys
      action: block

A file names one thing or several in each entry:

    version: 1
    listed:
      - account: [acme-7, acme-8]
        until: 2027-03-31
        because: "ticket 4711: resold in bulk"
      - network: 198.51.100.0/24
        because: scraped us in March

The list `resold-keys` of Redis is the key `excise:list:resold-keys`: a set of members such as
`api_key:key_pj4e2mqx7k3t5w6a`, or a hash with such fields whose values say why, as plain text or as JSON
with `until` and `because`:

    redis-cli SADD excise:list:resold-keys api_key:key_pj4e2mqx7k3t5w6a
    redis-cli HSET excise:list:trials account:acme-9 '{"until": "2027-03-31", "because": "ticket 12"}'

Entries name an `account`, `api_key` (its id), `address`, `network`, `asn`, `country`, `ja4`; and of what
the body tells `client_fingerprint`, `end_user`, `model`, `system`, `template`. The ids are those of the
events. What the body tells is looked up in a list of Redis only where `kinds` names it. A set in Redis can
say no more than whom; at most 65,536 entries of one are read.

With `invert: true` a list is an allow-list: it fires where the request shows something of a kind that the
list names, and nothing of it is listed. A list without an entry in force then says nothing.

Blind spot: a list knows yesterday's callers. New keys, addresses and wrappers cost little; put a day on
each entry, and look at what still fires.

False positives: addresses and networks change hands, and an AS or a country is full of strangers: score
those, and block accounts and keys. A fingerprint or a template may be shared by people who have never met.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import field_validator, model_validator

from proxy.counters.protocol import Op, Reading
from proxy.decision import Family, Finding, Scalar
from proxy.facts import Facts, Signal
from proxy.lists import (
    KINDS,
    NOTHING,
    OF_BODY,
    OF_IDENTITY,
    Entry,
    ListTable,
    read_because,
    read_until,
    read_value,
)
from proxy.nearest import nearest
from proxy.rules.base import Place, RuleKind
from proxy.rules.fields import Names, patterned, wrong
from proxy.signals.wants import Mistaken

_SIGNALS: Final[dict[str, Signal]] = {
    "client_fingerprint": "client",
    "system": "system",
    "template": "template",
}
_HIDDEN: Final = frozenset({"address", "model", "network"})
"""What a finding does not repeat: events show addresses as they are set to, and no caller's text."""
_LIST: Final = "[a-z0-9][a-z0-9._-]{0,63}"
_NAME = re.compile(_LIST).fullmatch


class Listed(RuleKind):
    """Whoever stands on a list, or on none."""

    kind: ClassVar[str] = "listed"
    family: ClassVar[Family] = "listed"
    schema_also: ClassVar[Mapping[str, Any]] = {
        "anyOf": [{"required": ["file"]}, {"required": ["redis_set"]}]
    }

    file: Names | None = None
    """Files of entries beside the policy: one, or several."""
    redis_set: Annotated[Names, patterned(f"^{_LIST}$")] | None = None
    """Lists in Redis: `resold-keys` is the key `excise:list:resold-keys`."""
    kinds: Names | None = None
    """What entries may name; where absent what the files name, and of a list in Redis what the identity
    tells."""
    invert: bool = False
    """Fire on whom the list does not name: an allow-list."""
    per: Names = ("address",)
    """Whom a `block: {for: …}` bans."""

    @field_validator("kinds")
    @classmethod
    def _check_kinds(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, word in enumerate(value or ()):
            if word not in KINDS:
                raise wrong(f"must be one of {', '.join(KINDS)}", (at,), nearest(word, KINDS))
        return value

    @field_validator("redis_set")
    @classmethod
    def _check_names(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for at, word in enumerate(value or ()):
            if not _NAME(word):
                raise wrong("must be lower-case letters, digits, `.`, `_`, `-`", (at,))
        return value

    @model_validator(mode="after")
    def _check_lists(self) -> Listed:
        if self.file is None and self.redis_set is None:
            raise wrong("needs a `file`, a `redis_set`, or both")
        return self

    def data_files(self) -> tuple[tuple[Place, str], ...]:
        """Its files."""
        return tuple((("file",), name) for name in self.file or ())

    def with_data(self, path: str, data: Any, mistake: Mistaken) -> Self:
        """The rule with the entries of one more file."""
        entries = read_entries(data, mistake, self.kinds)
        self.__dict__["entries"] = self.entries + entries  # in place of what is cached
        return self

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """What its files hold."""
        return ()

    @cached_property
    def table(self) -> ListTable:
        """What its files hold, to be looked up in."""
        return ListTable(self.entries) if self.entries else NOTHING

    @property
    def reads_lists(self) -> tuple[str, ...]:
        """Its lists in Redis."""
        return self.redis_set or ()

    @cached_property
    def looked_up(self) -> tuple[str, ...]:
        """What it looks up, of all that a request shows."""
        if self.kinds is not None:
            return tuple(kind for kind in KINDS if kind in self.kinds)
        of_lists = OF_IDENTITY if self.redis_set is not None else ()
        return tuple(kind for kind in KINDS if kind in of_lists or kind in self.table.kinds)

    @cached_property
    def wants(self) -> frozenset[Signal]:
        """The signals of what it looks up."""
        return super().wants | {_SIGNALS[kind] for kind in self.looked_up if kind in _SIGNALS}

    def looks_at_body(self) -> bool:
        """Where it looks up something that only the body tells."""
        return not OF_BODY.isdisjoint(self.looked_up)

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """None: it looks up and counts nothing."""
        return ()

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires on what is listed, or on what is not."""
        known = False
        for name, table in self._tables(facts):
            for kind in table.kinds:
                if kind not in self.looked_up or (shown := KINDS[kind](facts)) is None:
                    continue
                entry = table.find(kind, shown, facts.now)
                if entry is not None:
                    return None if self.invert else _found(entry, name)
                known = known or (self.invert and table.in_force(kind, facts.now))
        return Finding("not_listed", {}) if known else None

    def _tables(self, facts: Facts) -> Iterator[tuple[str | None, ListTable]]:
        if len(self.table):
            yield None, self.table
        lists = facts.lists
        if lists:
            for name in self.redis_set or ():
                table = lists.get(name)
                if table is not None:
                    yield name, table


def _found(entry: Entry, name: str | None) -> Finding:
    evidence: dict[str, Scalar] = {"listed": entry.kind}
    if entry.kind not in _HIDDEN:
        evidence["entry"] = entry.value
    if entry.because is not None:
        evidence["because"] = entry.because
    if name is not None:
        evidence["list"] = name
    return Finding(f"{entry.kind}_listed", evidence)


_FIELDS: Final = ("because", "until", *KINDS)


def read_entries(
    data: Any, mistake: Mistaken, kinds: tuple[str, ...] | None = None
) -> tuple[Entry, ...]:
    """The entries of a file; what is wrong in it is noted, and left out."""
    if not isinstance(data, dict) or data.get("version") != 1:
        mistake((), "a list begins with `version: 1`")
        return ()
    for key in data.keys() - {"version", "listed"}:
        mistake((key,), f"`{key}` is not known here", nearest(key, ("listed",)), key=True)
    items = data.get("listed")
    if not isinstance(items, list):
        mistake(("listed",), "`listed` must be a list")
        return ()
    entries: dict[tuple[str, str], Entry] = {}
    for at, item in enumerate(items):
        for place, entry in _entry(item, ("listed", at), mistake, kinds):
            if entries.setdefault((entry.kind, entry.value), entry) is not entry:
                mistake(place, f"`{entry.value}` stands in this file twice")
    return tuple(entries.values())


def _told(item: dict[str, Any], place: Place, mistake: Mistaken) -> dict[str, Any]:
    """Until when, and why."""
    told: dict[str, Any] = {}
    for field, read, into in (("until", read_until, "ends"), ("because", read_because, "because")):
        if field in item:
            try:
                told[into] = read(item[field])
            except ValueError as error:
                mistake((*place, field), f"`{field}` {error}")
    return told


def _entry(
    item: Any, place: Place, mistake: Mistaken, kinds: tuple[str, ...] | None
) -> Iterator[tuple[Place, Entry]]:
    if not isinstance(item, dict):
        mistake(place, "an entry holds named fields: `account`, `because`, …")
        return
    for key in item.keys() - set(_FIELDS):
        mistake((*place, key), f"`{key}` is not known here", nearest(key, _FIELDS), key=True)
    named = [kind for kind in KINDS if kind in item]
    if len(named) != 1:
        mistake(place, f"an entry names one of {', '.join(KINDS)}")
        return
    if "because" not in item:
        mistake(place, "`because` is required: who looks at this in a year must know")
    told = _told(item, place, mistake)
    (kind,) = named
    if kinds is not None and kind not in kinds:
        mistake((*place, kind), f"the rule's `kinds` leave `{kind}` out", key=True)
        return
    values = item[kind] if isinstance(item[kind], list) else [item[kind]]
    for index, text in enumerate(values):
        at: Place = (*place, kind, index) if isinstance(item[kind], list) else (*place, kind)
        try:
            yield at, Entry(kind, read_value(kind, text), **told)
        except ValueError as error:
            mistake(at, f"`{kind}` {error}")
