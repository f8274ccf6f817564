"""Campaigns' documents as they are told, for tests of what is made of them."""

from __future__ import annotations

from proxy.campaigns.joining import Reason
from proxy.campaigns.members import Membership
from proxy.campaigns.told import Known, Told, campaign
from proxy.campaigns.totals import SLOT_S, Spent
from proxy.clock import utc

NAME = "cmp_aaaaaaaaaaaaaaaa"
START = 1_767_571_200.0
HOUR = 3600.0
ODD = 'account:</text>"\\\n\u202e\x1b[31m'


def reasons(number: int) -> tuple[Reason, ...]:
    """Of two families for all, and of a third for some; the exits are seven."""
    at = START + number * 60
    told = [
        Reason("same-frame", "content", "template:tpl_0011", 9, at, at + HOUR, True),
        Reason("same-hand", "client", "request_shape:shp_0022", 9, at, at + HOUR),
    ]
    if number % 3:
        told.append(Reason("exit", "network", f"subnet:198.51.{number % 7}.0/24", 3, at, at + HOUR))
    return tuple(told)


def members(count: int) -> list[Membership]:
    return [
        Membership(
            f"account:key_{number:016d}",
            NAME,
            number % 10 == 9,
            START + number * 60,
            START + 9 * 86_400,
            reasons(number),
        )
        for number in range(count)
    ]


def totals(count: int) -> dict[str, Spent]:
    return {
        f"account:key_{number:016d}": Spent(
            requests=26,
            refused=2,
            output_tokens=2600,
            reasoning_tokens=900,
            first=START + number,
            last=START + 10 * HOUR + number,
            models={"large": 20, "small": 6},
            templates={"tpl_0011": 26},
            slots={int((START + step * SLOT_S) // SLOT_S): [13, 1300] for step in range(2)},
        )
        for number in range(count)
    }


def document(count: int = 10, *, asked: bool = True) -> Told:
    """A campaign of so many accounts, every tenth of them only suspected."""
    known = Known(
        totals(count) if asked else {},
        lambda who: who.partition(":")[2],
        lambda thing: thing,
        lambda who: False,
        {f"campaign:{NAME}": START + 9 * 86_400}.get,
    )
    told = campaign(members(count), known, START + 11 * HOUR)
    assert told["told"] == utc(START + 11 * HOUR)
    return told
