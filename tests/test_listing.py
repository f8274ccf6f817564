"""Lists that operators keep in Redis: mirrored, bounded, kept while the store is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from proxy.counters.members import Members
from proxy.counters.redis import RedisStore
from proxy.errors import StoreError
from proxy.listing import EVERY_S, KEY, NO_REDIS, StoreLists
from proxy.lists import MAX_ENTRIES, NOTHING
from proxy.policy.load import parse
from tests.counters.stores import PATIENT_S, StillClock
from tests.policy.facts import facts
from tests.redis_servers import RedisCluster, RedisServer, redis_server
from tests.support.inside import CHAT, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

Read = Callable[[str, int], Awaitable[Members]]


class Said:
    """What was logged."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, name: str, **fields: Any) -> None:
        self.events.append((name, fields))


def holding(*states: Members | StoreError) -> Read:
    """Reads one state after the other, and the last one ever after."""
    coming = list(states)

    async def read(key: str, most: int) -> Members:
        assert key.startswith(KEY)
        state = coming.pop(0) if len(coming) > 1 else coming[0]
        if isinstance(state, StoreError):
            raise state
        return state

    return read


def listed(lists: StoreLists, name: str, **client: Any) -> bool:
    (rule,) = parse(
        f"version: 1\nrules: [{{name: r, kind: listed, redis_set: {name}, action: block}}]", "p"
    ).rules
    return rule.judge(replace(facts(**client), lists=lists.tables, now=1.0), ()) is not None


async def test_a_set_and_a_hash_are_read_from_redis(shared_redis: RedisServer) -> None:
    store = RedisStore(shared_redis.url, timeout=PATIENT_S)
    clock, said = StillClock(), Said()
    lists = StoreLists(store.members, clock, said)
    one, two, absent = (uuid4().hex for _ in range(3))
    client = shared_redis.client()
    client.sadd(KEY + one, "account:acme", "network:198.51.100.0/24")
    client.hset(KEY + two, "account:acme", '{"until": "2027-03-31", "because": "ticket 12"}')
    client.hset(KEY + two, "asn:64496", "resells exits")
    await lists.look((one, two, absent))
    assert {name: len(table) for name, table in lists.tables.items()} == {one: 2, two: 2, absent: 0}
    assert listed(lists, one, account="acme")
    assert listed(lists, two, asn=64496)
    assert not listed(lists, absent, account="acme")
    client.srem(KEY + one, "account:acme")
    clock.advance(EVERY_S - 1)
    await lists.look((one, two, absent))
    assert listed(lists, one, account="acme")  # not due yet
    clock.advance(1)
    await lists.look((one, two, absent))
    assert not listed(lists, one, account="acme")
    assert [name for name, _ in said.events] == ["list_read"] * 4
    await store.close()


async def test_a_large_list_is_read_page_by_page(shared_redis: RedisServer) -> None:
    store = RedisStore(shared_redis.url, timeout=PATIENT_S)
    lists = StoreLists(store.members, StillClock(), Said())
    name = uuid4().hex
    shared_redis.client().hset(KEY + name, mapping={f"account:a{n}": "" for n in range(5000)})
    await lists.look((name,))
    assert len(lists.tables[name]) == 5000
    assert listed(lists, name, account="a4999")
    assert len(await store.members(KEY + name, 1000)) > 1000
    await store.close()


async def test_a_cluster_holds_a_list_wherever_its_key_belongs(
    shared_cluster: RedisCluster,
) -> None:
    store = RedisStore(shared_cluster.url, timeout=PATIENT_S)
    lists = StoreLists(store.members, StillClock(), Said())
    names = tuple(uuid4().hex for _ in range(8))
    for name in names:
        slot = shared_cluster.servers[0].command("CLUSTER", "KEYSLOT", KEY + name)
        assert isinstance(slot, int)
        shared_cluster.owner(slot).command("SADD", KEY + name, f"account:{name}")
    await lists.look(names)
    assert all(listed(lists, name, account=name) for name in names)
    await store.close()


async def test_another_type_of_key_is_said_and_read_as_nothing(shared_redis: RedisServer) -> None:
    store = RedisStore(shared_redis.url, timeout=PATIENT_S)
    said, name = Said(), uuid4().hex
    lists = StoreLists(store.members, StillClock(), said)
    shared_redis.client().set(KEY + name, "account:acme")
    await lists.look((name,))
    assert lists.tables == {}
    ((event, fields),) = said.events
    assert event == "list_unread"
    assert fields == {"list": name, "count": 0, "reason": "a list is a set or a hash"}
    await store.close()


async def test_what_was_read_is_kept_while_the_store_is_gone() -> None:
    clock, said = StillClock(), Said()
    read = holding({b"account:acme": None}, StoreError("gone"), StoreError("gone"), {})
    lists = StoreLists(read, clock, said)
    for _ in range(3):
        await lists.look(("known",))
        assert listed(lists, "known", account="acme")
        clock.advance(EVERY_S)
    await lists.look(("known",))
    assert not listed(lists, "known", account="acme")
    names = [name for name, _ in said.events]
    assert names == ["list_read", "list_unread", "list_read"]  # the loss is said once


async def test_hostile_members_are_left_out_and_counted_once() -> None:
    clock, said = StillClock(), Said()
    members: Members = {
        b"account:acme": None,
        b"api_key:sk-live-secret": None,
        b"\xff\xfe": b"x",
        b"account:x": b"{" * 1000,
        b"a" * 100_000: None,
    }
    lists = StoreLists(holding(members), clock, said)
    for _ in range(2):
        await lists.look(("known",))
        clock.advance(EVERY_S)
    assert len(lists.tables["known"]) == 1
    ((first, unread), (second, taken)) = said.events
    assert (first, second) == ("list_unread", "list_read")
    assert unread["count"] == 4
    assert "secret" not in repr(said.events)
    assert taken == {"list": "known", "entries": 1}


async def test_a_list_has_a_bound() -> None:
    said = Said()
    members: Members = dict.fromkeys(b"account:%d" % n for n in range(MAX_ENTRIES + 3))
    lists = StoreLists(holding(members), StillClock(), said)
    await lists.look(("known",))
    assert len(lists.tables["known"]) == MAX_ENTRIES
    unread = dict(said.events)["list_unread"]
    assert (unread["count"], unread["reason"]) == (3, f"more than {MAX_ENTRIES} entries (3)")


async def test_what_is_unchanged_is_not_built_anew() -> None:
    clock = StillClock()
    lists = StoreLists(holding({b"account:acme": b"one"}), clock, Said())
    await lists.look(("known",))
    before = lists.tables["known"]
    clock.advance(EVERY_S)
    await lists.look(("known",))
    assert lists.tables["known"] is before


async def test_a_list_that_no_policy_names_is_forgotten_and_read_again_when_one_does() -> None:
    lists = StoreLists(holding({b"account:acme": None}), StillClock(), Said())
    await lists.look(("known",))
    await lists.look(())
    assert lists.tables == {}
    await lists.look(("known",))
    assert listed(lists, "known", account="acme")


async def test_without_redis_it_is_said_once() -> None:
    said = Said()
    lists = StoreLists(None, StillClock(), said)
    for _ in range(2):
        await lists.look(("known",))
    assert said.events == [("list_unread", {"list": "known", "count": 0, "reason": NO_REDIS})]


POLICY = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - {name: known, kind: listed, file: list.yaml, redis_set: NAME, action: block}
"""


async def test_a_running_process_takes_over_changed_lists(
    tmp_path: Path, shared_redis: RedisServer
) -> None:
    name = uuid4().hex
    file = tmp_path / "list.yaml"
    file.write_text("version: 1\nlisted: []\n")
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(
            tmp_path,
            upstream.url,
            POLICY.replace("NAME", name),
            redis_url=shared_redis.url,
            secret="0123456789abcdef",
            mode="enforce",
        ) as excise,
    ):
        upkeep, clock = excise.app._upkeep, excise.app._clock
        assert (await excise.exchange(post(CHAT)))[0] == 200
        file.write_text("version: 1\nlisted: [{network: 127.0.0.0/8, because: tests}]\n")
        for _ in range(2):
            await upkeep._look(clock.monotonic())
        await excise.log.wait_for("reloaded")
        assert (await excise.exchange(post(CHAT)))[0] == 403
        event = await excise.log.wait_for(decision="block")
        assert (event["rule"], event["reason"]) == ("known", "network_listed")
        assert event["evidence"] == {"listed": "network", "because": "tests"}
        file.write_text("version: 1\nlisted: []\n")
        for _ in range(2):
            await upkeep._look(clock.monotonic())
        await excise.log.wait_for("reloaded")
        assert (await excise.exchange(post(CHAT)))[0] == 200
        shared_redis.client().sadd(KEY + name, "address:127.0.0.1")
        excise.app.lists._due_at.clear()
        await upkeep._look(clock.monotonic())
        assert (await excise.exchange(post(CHAT)))[0] == 403
        event = await excise.log.wait_for(reason="address_listed")
        assert event["evidence"] == {"listed": "address", "list": name}


@pytest.mark.parametrize(
    ("more", "status"),
    [
        (", on_store_failure: block", 503),
        (", on_store_failure: block, mode: shadow", 200),
        (", on_store_failure: block, match: {model: other}", 200),
        (", on_store_failure: allow", 200),
        ("", 200),
    ],
)
async def test_a_list_that_was_never_read_refuses_where_its_rule_says_so(
    tmp_path: Path, more: str, status: int
) -> None:
    """Redis is gone before the process starts; once a list has been read, it is kept."""
    (tmp_path / "list.yaml").write_text("version: 1\nlisted: []\n")
    policy = POLICY.replace("action: block", f"action: block{more}").replace("NAME", "resold")
    with redis_server() as server:
        url = server.url
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(
            tmp_path, upstream.url, policy, redis_url=url, secret="0123456789abcdef", mode="enforce"
        ) as excise,
    ):
        got, headers, _ = await excise.exchange(post(CHAT))
        assert got == status
        if status == 503:
            assert headers["retry-after"] == "1"
            event = await excise.log.wait_for()
            assert (event["decision"], event["rule"], event["store"]) == (
                "throttle",
                "known",
                "blocked",
            )
        excise.app.lists.tables = {"resold": NOTHING}
        assert (await excise.exchange(post(CHAT)))[0] == 200


@pytest.mark.parametrize("entry", ["{network: 127.0.0.0/33, because: tests}", "{account: a}"])
async def test_a_list_with_a_mistake_changes_nothing(tmp_path: Path, entry: str) -> None:
    file = tmp_path / "list.yaml"
    file.write_text("version: 1\nlisted: [{network: 127.0.0.0/8, because: tests}]\n")
    policy = POLICY.replace(", redis_set: NAME", "")
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, policy, mode="enforce") as excise,
    ):
        file.write_text(f"version: 1\nlisted: [{entry}]\n")
        for _ in range(2):
            await excise.app._upkeep._look(excise.app._clock.monotonic())
        refused = await excise.log.wait_for("reload_refused")
        assert "list.yaml:2:" in refused["mistakes"][0]
        assert (await excise.exchange(post(CHAT)))[0] == 403
