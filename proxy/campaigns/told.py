"""
A campaign as evidence that people can check and hand on: plain data, made of what replicas know. Pure.

Nothing here can be read back into a prompt: frames, shapes and questions are named by ids, and so are
accounts. The one exception is `account`, by which an operator of this deployment acts; `export` leaves it
out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from proxy.campaigns.joining import Reason
from proxy.campaigns.members import Membership
from proxy.campaigns.totals import SLOT_S, Spent, added
from proxy.clock import utc
from proxy.value import value

Told = dict[str, Any]

FORMAT: Final = "excise-campaign/1"
MOST_ACCOUNTS: Final = 50_000
"""Accounts of one campaign that are told one by one; what is more is counted in `left_out`."""
MOST_SHARED: Final = 1000
"""Things that are told; those that most members share first."""


@value
class Known:
    """What a document is made of besides its members."""

    totals: Mapping[str, Spent]
    """By account."""
    keyed: Callable[[str], str]
    """Account (`account:…`) → a keyed id that may be handed on."""
    shown: Callable[[str], str]
    """Thing → the same, its addresses as the log shows them, its accounts by keyed id."""
    confirmed: Callable[[str], bool]
    banned_until: Callable[[str], float | None]
    """`campaign:…` → when its ban ends."""


def campaigns(members: Iterable[Membership], known: Known) -> list[Told]:
    """The head of each campaign, the largest first."""
    ordered = sorted(members, key=lambda one: one.campaign)
    told = [
        _head(name, list(group), known)
        for name, group in groupby(ordered, key=lambda one: one.campaign)
    ]
    return sorted(told, key=lambda one: (-one["members"], one["campaign"]))


def campaign(members: Sequence[Membership], known: Known, now: float) -> Told:
    """Everything about one campaign. `members` are all of it, at least one."""
    ordered = sorted(members, key=lambda one: (one.since, one.who))
    spent = _together(ordered, known)
    return {
        "format": FORMAT,
        "told": utc(now),
        **_head(ordered[0].campaign, ordered, known),
        "first_request": _moment(spent.first),
        "last_request": _moment(spent.last),
        "models": _counted("model", spent.models),
        "templates": _counted("template", spent.templates),
        "shared": _shared(ordered, known),
        "timeline": _timeline(ordered, spent),
        "accounts": [_account(one, known) for one in ordered[:MOST_ACCOUNTS]],
        "left_out": max(0, len(ordered) - MOST_ACCOUNTS),
    }


def handed_on(told: Told) -> Told:
    """The same without the names by which an operator acts."""
    accounts = [{k: v for k, v in one.items() if k != "account"} for one in told["accounts"]]
    return {**told, "accounts": accounts}


def _head(name: str, members: Sequence[Membership], known: Known) -> Told:
    suspected = sum(_state(one, known) == "suspected" for one in members)
    reasons = [reason for one in members for reason in one.reasons]
    spent = _together(members, known)
    return {
        "campaign": name,
        "members": len(members) - suspected,
        "suspected": suspected,
        "families": sorted({reason.family for reason in reasons}),
        "signals": sorted({reason.signal for reason in reasons}),
        "since": utc(min(one.since for one in members)),
        "seen": utc(
            max(spent.last, *(one.since for one in members), *(one.seen for one in reasons))
        ),
        **_sums(spent),
        "banned_until": _moment(known.banned_until(f"campaign:{name}")),
    }


def _together(members: Iterable[Membership], known: Known) -> Spent:
    """What its members have asked; those who are only suspected are not counted."""
    counted = (one.who for one in members if _state(one, known) != "suspected")
    return added(known.totals[who] for who in counted if who in known.totals)


def _state(member: Membership, known: Known) -> str:
    if not member.suspected:
        return "member"
    return "confirmed" if known.confirmed(member.who) else "suspected"


def _account(member: Membership, known: Known) -> Told:
    spent = known.totals.get(member.who, Spent())
    return {
        "id": known.keyed(member.who),
        "account": member.who.partition(":")[2],
        "state": _state(member, known),
        "since": utc(member.since),
        "ends": utc(member.ends),
        **_sums(spent),
        "first_request": _moment(spent.first),
        "last_request": _moment(spent.last),
        "models": _counted("model", spent.models),
        "templates": _counted("template", spent.templates),
        "reasons": [
            {
                **_thing(reason, known),
                "others": reason.others,
                "since": utc(reason.since),
                "seen": utc(reason.seen),
            }
            for reason in member.reasons
        ],
    }


def _sums(spent: Spent) -> Told:
    return {
        "requests": spent.requests,
        "refused": spent.refused,
        "output_tokens": spent.output_tokens,
        "reasoning_tokens": spent.reasoning_tokens,
    }


def _thing(reason: Reason, known: Known) -> Told:
    return {
        "shared": known.shown(reason.thing),
        "signal": reason.signal,
        "family": reason.family,
        "by_end_users": reason.by_end_users,
    }


def _shared(members: Sequence[Membership], known: Known) -> list[Told]:
    """What members share, by how many."""
    found: dict[tuple[str, str], list[Reason]] = {}
    for member in members:
        for reason in member.reasons:
            found.setdefault((reason.thing, reason.signal), []).append(reason)
    most = sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))[:MOST_SHARED]
    return [
        {
            **_thing(reasons[0], known),
            "accounts": len(reasons),
            "since": utc(min(reason.since for reason in reasons)),
            "seen": utc(max(reason.seen for reason in reasons)),
        }
        for _, reasons in most
    ]


def _timeline(members: Sequence[Membership], spent: Spent) -> list[Told]:
    """What happened when: steps of SLOT_S in which something did."""
    joined: dict[int, int] = {}
    for member in members:
        at = int(member.since // SLOT_S)
        joined[at] = joined.get(at, 0) + 1
    return [
        {
            "start": utc(at * SLOT_S),
            "requests": spent.slots.get(at, [0, 0])[0],
            "output_tokens": spent.slots.get(at, [0, 0])[1],
            "accounts_first_tied": joined.get(at, 0),
        }
        for at in sorted(joined.keys() | spent.slots.keys())
    ]


def _counted(what: str, names: Mapping[str, int]) -> list[Told]:
    most = sorted(names.items(), key=lambda one: (-one[1], one[0]))
    return [{what: name, "requests": count} for name, count in most]


def _moment(at: float | None) -> str | None:
    return utc(at) if at else None
