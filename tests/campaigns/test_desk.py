"""What operators are told of campaigns, and what becomes of what they say, on several replicas."""

from __future__ import annotations

import json

import pytest

from proxy import notices
from proxy.campaigns import desk as desks
from proxy.campaigns.desk import MOST_SUBJECTS, UnknownCampaignError, WrongAccountsError
from proxy.campaigns.told import FORMAT, handed_on
from proxy.facts import Outcome, Usage

from .replicas import Replica, Shared, lasting
from .test_joining import shares, tie

DAY = 86_400.0
THINGS = ("template:t", "request_shape:r")
PEOPLE = "abcdefgh"
SERVED = Outcome(False, True, usage=Usage(output_tokens=100, reasoning_tokens=30))


async def joined(shared: Shared) -> tuple[Replica, Replica, str]:
    """One who joins, one who follows, and the campaign's name."""
    one, two = Replica(shared, "one"), Replica(shared, "two")
    ties = lasting(shares(PEOPLE, *THINGS), shared.clock)
    known = [
        tie("known", thing, at=shared.clock.now(), ends=shared.clock.now() + DAY, trusted=True)
        for thing in THINGS
    ]
    await one.report([*ties, *known])
    await one.step()
    await two.learn()
    (name,) = set(two.campaigns.names().values())
    return one, two, name


async def heard(one: Replica, two: Replica) -> None:
    """What `two` has said comes to `one`, which joins anew, and back."""
    await two.flush()
    await one.learn()
    await one.step()
    await two.learn()


async def test_a_campaigns_document_has_all_that_is_known_and_no_more(shared: Shared) -> None:
    one, two, name = await joined(shared)
    for replica in (one, two):
        for who in ("a", "b", "known"):
            replica.ledger.note(f"account:{who}", "large", "tpl_1", SERVED)
        replica.ledger.tell()
        await replica.flush()
    two.bans.put(f"campaign:{name}", DAY, "crawl", "asks for everything")
    told = await two.desk.one(name)
    (head,) = await two.desk.heads()
    assert {**told, **head} == told
    assert told["format"] == FORMAT
    assert (told["members"], told["suspected"]) == (8, 1)
    assert (told["families"], told["signals"]) == (
        ["client", "content"],
        ["request_shape", "template"],
    )
    # Of two members, on two replicas; whoever is only suspected does not count.
    assert (told["requests"], told["output_tokens"], told["reasoning_tokens"]) == (4, 400, 120)
    assert told["models"] == [{"model": "large", "requests": 4}]
    assert told["templates"] == [{"template": "tpl_1", "requests": 4}]
    assert told["banned_until"] is not None
    (step,) = told["timeline"]
    assert (step["requests"], step["accounts_first_tied"]) == (4, 9)
    assert {(one["shared"], one["accounts"]) for one in told["shared"]} == {
        (thing, 9) for thing in THINGS
    }
    by_account = {one["account"]: one for one in told["accounts"]}
    assert by_account["known"]["state"] == "suspected"
    assert by_account["a"]["requests"] == 2
    assert {reason["others"] for reason in by_account["a"]["reasons"]} == {8}
    assert all(one["id"].startswith("acc_") for one in told["accounts"])
    assert [one["id"] for one in (await one.desk.one(name))["accounts"]] == [
        one["id"] for one in told["accounts"]
    ]
    assert "account" not in handed_on(told)["accounts"][0]


async def test_what_is_handed_on_names_no_account_and_no_hidden_address(shared: Shared) -> None:
    one, _, name = await joined(shared)
    now = shared.clock.now()
    whos = ["acme-research", "other-customer", *"vwxyz"]
    things = ("account:other-customer", "subnet:192.0.2.0/24")
    await one.report([tie(who, thing, at=now, ends=now + DAY) for who in whos for thing in things])
    await one.step()
    others = [told for told in await one.desk.all_at_once() if told["campaign"] != name]
    text = json.dumps([handed_on(told) for told in others])
    assert "acc_" in text
    assert "subnet:" in text
    for secret in (*whos[:2], "192.0.2"):
        assert secret not in text


async def test_whoever_is_forgiven_is_out_at_once_on_all_replicas_and_stays_so(
    shared: Shared,
) -> None:
    one, two, name = await joined(shared)
    two.bans.put(f"campaign:{name}", DAY, "crawl", "asks for everything")
    said = await two.desk.say("apart", name, ["a", "account:b"], DAY, "a class of students")
    assert (said.accounts, said.lifted) == (2, ())
    assert two.campaigns.of("account:a") is None
    await two.flush()
    await one.learn()
    assert one.campaigns.of("account:b") is None, "before anything is joined"
    await heard(one, two)
    assert {one.campaigns.of(f"account:{who}") for who in "ab"} == {None}
    assert {two.campaigns.of(f"account:{who}") for who in "cdefgh"} == {name}
    assert two.bans.of(f"campaign:{name}") is not None, "the others stay banned"
    assert (await two.desk.one(name))["members"] == 6
    # Other evidence does not bring them back.
    await one.report(lasting(shares("abc", "subnet:s", "prompt:p"), shared.clock))
    await one.step()
    assert one.campaigns.of("account:a") is None


async def test_what_operators_say_is_joined_by_even_where_the_joiner_rests(shared: Shared) -> None:
    one, two, name = await joined(shared)
    one.joiner._rests_until = shared.clock.monotonic() + 3600
    await two.desk.say("split", name, ["a"], DAY, "another customer")
    await heard(one, two)
    assert one.campaigns.of("account:a") is None


async def test_bans_of_rules_are_lifted_with_forgiveness_and_those_of_operators_are_not(
    shared: Shared,
) -> None:
    _, two, name = await joined(shared)
    two.bans.put(f"campaign:{name}", DAY, "crawl", "asks for everything")
    two.bans.put("account:a", DAY, "suspicion", "60 points")
    two.bans.put("account:b", DAY, "operator", "resells")
    said = await two.desk.say("apart", name, [], DAY, "all of one customer")
    assert said.accounts == 9
    assert len(said.subjects) == 9 <= MOST_SUBJECTS
    assert said.lifted == (f"campaign:{name}", "account:a")
    assert [ban.subject for ban in two.bans.all()] == ["account:b"]
    assert await two.desk.heads() == []
    with pytest.raises(UnknownCampaignError):
        await two.desk.one(name)


async def test_accounts_that_are_split_off_are_a_campaign_of_their_own_if_they_are_enough(
    shared: Shared,
) -> None:
    one, two, name = await joined(shared)
    await one.report(lasting(shares("ijklm", *THINGS), shared.clock))
    await one.step()
    await two.learn()
    said = await two.desk.say("split", name, list("ijklm"), DAY, "another customer's app")
    await heard(one, two)
    (other,) = {one.campaigns.of(f"account:{who}") for who in "ijklm"}
    assert other not in {None, name}
    assert {one.campaigns.of(f"account:{who}") for who in PEOPLE} == {name}
    assert (said.verdict, said.accounts) == ("split", 5)
    # Too few of them are nobody's.
    await two.desk.say("split", name, ["a", "b"], DAY, "and these")
    await heard(one, two)
    assert {two.campaigns.of(f"account:{who}") for who in "ab"} == {None}
    assert {two.campaigns.of(f"account:{who}") for who in "cdefgh"} == {name}


async def test_whoever_is_suspected_belongs_once_an_operator_has_confirmed_it(
    shared: Shared,
) -> None:
    one, two, name = await joined(shared)
    two.ledger.note("account:known", "large", None, SERVED)
    two.ledger.tell()
    await two.flush()
    assert (two.campaigns.of("account:known"), (await two.desk.one(name))["requests"]) == (None, 0)
    said = await two.desk.say("confirmed", name, [], DAY, "their key was stolen")
    assert said.subjects == ("account:known",)
    await heard(one, two)
    assert one.campaigns.of("account:known") == name
    told = await one.desk.one(name)
    assert (told["members"], told["suspected"], told["requests"]) == (9, 0, 1)
    (state,) = [it["state"] for it in told["accounts"] if it["account"] == "known"]
    assert state == "confirmed"
    assert [it["verdict"] for it in one.desk.verdicts()] == ["confirmed"]
    assert one.desk.withdraw("account:known")
    assert not one.desk.withdraw("account:known")
    assert one.campaigns.of("account:known") is None


async def test_a_verdict_ends_when_it_was_said_to(shared: Shared) -> None:
    one, two, name = await joined(shared)
    await two.desk.say("apart", name, ["a"], 3600.0, "until they have answered")
    await heard(one, two)
    assert one.campaigns.of("account:a") is None
    for replica in (one, two):
        replica.verdicts.lift("account:a")  # Redis' own clock cannot be moved on
    await one.step()
    assert one.campaigns.of("account:a") == name


@pytest.mark.parametrize(
    ("verdict", "accounts", "why"),
    [
        ("apart", ["z"], "No account of that name is in this campaign: z"),
        ("split", [], "Name the accounts"),
        ("split", [*PEOPLE, "known"], "there is no rest"),
        ("confirmed", ["a"], "No account of that name is suspected to be of this campaign: a"),
    ],
)
async def test_what_cannot_be_meant_is_told(
    shared: Shared, verdict: desks.Verdict, accounts: list[str], why: str
) -> None:
    _, two, name = await joined(shared)
    with pytest.raises(WrongAccountsError) as raised:
        await two.desk.say(verdict, name, accounts, DAY, "because")
    assert why in str(raised.value)
    with pytest.raises(UnknownCampaignError):
        await two.desk.say(verdict, "cmp_nobody", accounts, DAY, "because")
    assert (two.desk.verdicts(), two.said) == ([], [])


async def test_nobody_to_confirm_is_told(shared: Shared) -> None:
    one = Replica(shared, "one")
    await one.report(lasting(shares(PEOPLE, *THINGS), shared.clock))
    await one.step()
    (head,) = await one.desk.heads()
    with pytest.raises(WrongAccountsError, match="Nobody is suspected"):
        await one.desk.say("confirmed", head["campaign"], [], DAY, "because")


async def test_an_account_is_found_by_each_of_its_names(shared: Shared) -> None:
    _, two, name = await joined(shared)
    (keyed,) = [
        it["id"] for it in (await two.desk.one(name))["accounts"] if it["account"] == "known"
    ]
    for text in ("known", "account:known", keyed):
        assert [it["campaign"] for it in await two.desk.heads(text)] == [name]
    assert await two.desk.heads("nobody") == []
    for text in ("a", "account:b"):
        await two.desk.say("apart", name, [text], DAY, "because")
    assert await two.desk.heads("a") == []


async def test_what_there_is_no_room_for_is_told(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, two, name = await joined(shared)
    monkeypatch.setattr(notices, "MAX_NOTICES", 3)
    monkeypatch.setattr(desks, "AT_ONCE", 2)
    said = await two.desk.say("apart", name, list("abcde"), DAY, "because")
    assert (said.accounts, said.no_room) == (3, 2)


async def test_a_large_campaign_is_named_in_part_and_counted_whole(shared: Shared) -> None:
    one = Replica(shared, "one")
    many = [f"n{number}" for number in range(60)]
    await one.report(lasting(shares(many, *THINGS), shared.clock))
    await one.step()
    (head,) = await one.desk.heads()
    said = await one.desk.say("apart", head["campaign"], [], DAY, "an app's people")
    assert (said.accounts, len(said.subjects)) == (60, MOST_SUBJECTS)
    assert one.campaigns.counted() == (0, 0)
