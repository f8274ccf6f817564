"""Who belongs together, and who only looks like it."""

from __future__ import annotations

from collections.abc import Iterable

from proxy.campaigns.joining import LEAST_MEMBERS, Group, join
from proxy.campaigns.naming import name_all
from proxy.campaigns.ties import Tie, TieBook
from proxy.decision import Family

THINGS: dict[str, tuple[Family, bool]] = {
    "template": ("content", True),
    "prompt": ("content", True),
    "request_shape": ("client", False),
    "subnet": ("network", False),
    "account": ("linkage", False),
    "pace": ("volume", False),
    "pivot": ("volume", True),
}


def tie(
    who: str, thing: str, *, at: float = 0.0, ends: float = 100.0, trusted: bool = False
) -> Tie:
    kind = thing.partition(":")[0]
    family, by_end_users = THINGS[kind]
    return Tie(f"account:{who}", thing, kind, family, by_end_users, at, at, ends, trusted)


def book(ties: Iterable[Tie]) -> TieBook:
    kept = TieBook()
    for one in ties:
        kept.add(one)
    return kept


def names(groups: list[Group]) -> list[set[str]]:
    return [{member.who.removeprefix("account:") for member in group.members} for group in groups]


def shares(whos: Iterable[str], *things: str, at: float = 0.0) -> list[Tie]:
    return [tie(who, thing, at=at) for who in whos for thing in things]


def test_two_families_join_and_say_why() -> None:
    (group,) = join(book(shares("abcde", "template:t", "request_shape:r")))
    assert [member.who for member in group.members] == [f"account:{who}" for who in "abcde"]
    reasons = {(reason.signal, reason.others) for reason in group.members[0].reasons}
    assert reasons == {("template", 4), ("request_shape", 4)}


def test_one_family_joins_nobody() -> None:
    app = [f"user{number}" for number in range(500)]
    assert join(book(shares(app, "template:t", "prompt:p"))) == []
    assert join(book(shares(app, "subnet:s"))) == []


def test_what_end_users_can_forge_joins_only_beside_what_they_cannot() -> None:
    forged = [tie(who, "template:t") for who in "abcdef"]
    assert join(book(forged)) == []
    assert len(join(book([*forged, *shares("abcdef", "request_shape:r")]))) == 1


def test_sharing_one_thing_with_one_crowd_and_another_with_another_joins_nobody() -> None:
    """A customer behind a cloud's exit who runs a popular app is no bridge between the two."""
    app = [f"app{number}" for number in range(20)]
    exit_ = [f"exit{number}" for number in range(20)]
    both = shares(["bridge"], "template:popular", "subnet:cloud")
    ties = [*shares(app, "template:popular"), *shares(exit_, "subnet:cloud"), *both]
    assert join(book(ties)) == []


def test_few_accounts_are_no_group() -> None:
    few = [str(number) for number in range(LEAST_MEMBERS - 1)]
    assert join(book(shares(few, "template:t", "request_shape:r"))) == []


def test_a_turn_to_a_new_model_joins_nobody_and_is_one_more_reason() -> None:
    """At a release all users of one app turn, all keen users of one exit do."""
    turned = [str(number) for number in range(40)]
    for other in ("request_shape:app", "subnet:exit", "template:app", "pace:hourly"):
        assert join(book(shares(turned, "pivot:new", other))) == []
    (group,) = join(book(shares("abcde", "pivot:new", "template:t", "request_shape:r")))
    assert ("pivot", 4) in {(one.signal, one.others) for one in group.members[0].reasons}


def test_one_pace_joins_who_share_something_else() -> None:
    assert join(book(shares("abcde", "pace:one"))) == []
    assert names(join(book(shares("abcde", "pace:one", "template:t")))) == [set("abcde")]


def test_echoes_link_accounts_to_each_other() -> None:
    """B to E each sent what A was refused, from one network."""
    ties = [tie(who, "account:a") for who in "bcde"] + shares("abcde", "subnet:s")
    (group,) = join(book(ties))
    assert names([group]) == [set("abcde")]


def test_what_is_common_links_nobody() -> None:
    kept = book(shares("abcdef", "template:t", "request_shape:r"))
    assert join(kept, lambda thing: thing == "template:t") == []


def test_known_customers_are_suspected_and_link_nobody() -> None:
    ties = shares("abcde", "template:t", "request_shape:r")
    for thing in ("template:t", "request_shape:r"):
        ties.append(tie("customer", thing, trusted=True))
    (group,) = join(book(ties))
    assert [member.who for member in group.members if member.suspected] == ["account:customer"]
    known = [
        tie(f"c{number}", thing, trusted=True)
        for number in range(9)
        for thing in ("template:x", "subnet:x")
    ]
    assert join(book(known)) == []


def test_two_campaigns_are_two() -> None:
    ties = [
        *shares("abcdef", "template:1", "request_shape:1"),
        *shares("ghijk", "template:2", "subnet:2"),
    ]
    assert names(join(book(ties))) == [set("abcdef"), set("ghijk")]


def test_membership_fades_with_its_ties() -> None:
    kept = book(shares("abcdef", "template:t", "request_shape:r"))
    kept.add(tie("a", "template:t", at=50.0, ends=300.0))
    kept.fade(100.0)
    assert len(kept) == 1
    assert join(kept) == []
    kept.fade(300.0)
    assert (len(kept), kept.accounts) == (0, 0)


def test_order_of_ties_changes_nothing() -> None:
    ties = [
        *shares("abcdef", "template:1", "request_shape:1"),
        *shares("defghi", "template:2", "subnet:2"),
    ]
    assert join(book(ties)) == join(book(reversed(ties)))


def test_an_account_keeps_its_rarest_ties() -> None:
    kept = TieBook(per_account=2)
    for one in [
        *shares("bcdef", "template:common"),
        *shares("a", "template:common", "subnet:1", "subnet:2"),
    ]:
        kept.add(one)
    assert {one.thing for one in kept.ties_of("account:a")} == {"subnet:1", "subnet:2"}
    kept.add(tie("a", "template:common"))
    assert {one.thing for one in kept.ties_of("account:a")} == {"subnet:1", "subnet:2"}
    assert kept.refused == 1


def test_a_full_book_takes_in_no_more_and_says_so() -> None:
    kept = TieBook(most=3)
    for one in shares("abcde", "template:t"):
        kept.add(one)
    assert (len(kept), kept.refused) == (3, 2)


def test_a_group_keeps_its_name_while_it_grows_merges_and_splits() -> None:
    first = join(book(shares("abcdef", "template:1", "request_shape:1")))
    second = join(book(shares("uvwxy", "template:2", "subnet:2")))
    (one,) = name_all(first, {})
    (two,) = name_all(second, {"account:a": one.name})
    assert one.name != two.name
    before = {member.who: named.name for named in (one, two) for member in named.group.members}
    grown = join(book(shares("abcdefgh", "template:1", "request_shape:1")))
    assert [named.name for named in name_all(grown, before)] == [one.name]
    merged = join(book(shares("abcdefuvwxy", "template:1", "request_shape:1")))
    (named,) = name_all(merged, before)
    assert (named.name, named.merged) == (one.name, (two.name,))
    after = {member.who: named.name for member in named.group.members}
    parts = join(
        book(
            [
                *shares("abcdef", "template:1", "subnet:1"),
                *shares("uvwxy", "template:2", "subnet:2"),
            ]
        )
    )
    kept, new = name_all(parts, after)
    assert kept.name == one.name
    assert new.name == two.name  # the same founders, the same name
