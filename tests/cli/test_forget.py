"""`excise forget`: all of one subject goes, and nothing of anybody else."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from proxy.campaigns.report import SUBJECT, TIES
from proxy.campaigns.totals import TOTALS
from proxy.cli import main
from proxy.client.secret import Secret
from proxy.counters.protocol import (
    POSTS_MAX,
    Count,
    Op,
    Post,
    Posts,
    Raise,
    ReadPosts,
    ReadScore,
    Total,
)
from proxy.counters.redis import RedisStore
from tests.redis_servers import RedisCluster, RedisServer

OWNERS = (
    "account:acme",
    "account:acme|model:large",
    "address:203.0.113.7|account:acme",
    "overflow:account|model:account:acme",
    "account:acme2",
    "account:acme2|model:account",
    "api_key:key_aaaaaaaaaaaaaaaa",
)


def run(*arguments: str, url: str | None = None) -> tuple[int, str]:
    environ = {"EXCISE_REDIS_URL": url, "EXCISE_SECRET": "s" * 32} if url else {}
    result = CliRunner(env=environ).invoke(main, ["forget", *arguments])
    return result.exit_code, result.output


async def fill(url: str) -> None:
    store = RedisStore(url, timeout=5)
    ops: list[Op] = [Count(owner, "rule:1", 60.0) for owner in OWNERS]
    ops += [Raise("account:acme", "score", "wide", 5.0, 60.0)]
    await store.apply(ops)
    await store.close()


async def left(url: str) -> dict[str, int]:
    """How often each owner has been counted; reading counts once more."""
    store = RedisStore(url, timeout=5)
    ops: list[Op] = [Count(owner, "rule:1", 60.0) for owner in OWNERS]
    ops += [ReadScore("account:acme", "score", 60.0)]
    *readings, scores = await store.apply(ops, time.time())
    await store.close()
    assert not scores.levels  # type: ignore[union-attr]
    return {
        owner: reading.total
        for owner, reading in zip(OWNERS, readings, strict=True)
        if isinstance(reading, Total)
    }


@pytest.mark.parametrize("kind", ["single", "cluster"])
def test_a_subject_is_forgotten_wherever_it_is_a_part(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server: RedisServer | RedisCluster = request.getfixturevalue(
        "shared_redis" if kind == "single" else "shared_cluster"
    )
    for owner in ("account:acme", "account:acme2", "api_key:key_aaaaaaaaaaaaaaaa"):
        run(owner, url=server.url)
    asyncio.run(fill(server.url))
    assert run("--dry-run", "account:acme", url=server.url) == (
        0,
        "account:acme: 5 counters and 0 ties would be removed\n",
    )
    assert run("account:acme", url=server.url) == (
        0,
        "account:acme: 5 counters and 0 ties removed\n",
    )
    counted = asyncio.run(left(server.url))
    assert [counted[owner] for owner in OWNERS] == [1, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("kind", ["single", "cluster"])
def test_an_account_is_forgotten_by_those_who_shared_with_it(
    kind: str, request: pytest.FixtureRequest
) -> None:
    server: RedisServer | RedisCluster = request.getfixturevalue(
        "shared_redis" if kind == "single" else "shared_cluster"
    )
    # The boards are looked at whole: nothing of another test may stand there.
    for one in [server] if isinstance(server, RedisServer) else server.servers:
        one.command("FLUSHALL")
    names = [f"account:{who} template:tpl_{n}" for n in range(700) for who in ("acme", "other")]
    names += ["account:other account:acme", "account:acme2 account:acme2b"]
    places = ["account:acme", "account:acme2"]
    asyncio.run(post(server.url, names, places))
    assert run("--dry-run", "account:acme", url=server.url) == (
        0,
        "account:acme: 0 counters and 703 ties would be removed\n",
    )
    assert run("account:acme", url=server.url) == (
        0,
        "account:acme: 0 counters and 703 ties removed\n",
    )
    ties, members = asyncio.run(standing(server.url))
    assert ties == {*names[1:1400:2], "account:acme2 account:acme2b"}
    assert members == {"account:acme2"}


async def post(url: str, ties: list[str], places: list[str]) -> None:
    store = RedisStore(url, timeout=5)
    ops: list[Op] = [Post(SUBJECT, TIES, name, "1", 60.0) for name in ties]
    ops += [Post("board", "campaigns", name, "1", 60.0) for name in places]
    ops += [Post(SUBJECT, TOTALS, f"{name} replica", "1", 60.0) for name in places]
    await store.apply(ops)
    await store.close()


async def standing(url: str) -> tuple[set[str], set[str]]:
    """Names of ties and of places in campaigns that were not taken down."""
    store = RedisStore(url, timeout=5)
    found = []
    for board in ((SUBJECT, TIES), ("board", "campaigns")):
        names: dict[str, str] = {}
        since, more = 0.0, True
        while more:
            (read,) = await store.apply((ReadPosts(*board, since),))
            assert isinstance(read, Posts)
            names.update({name: text for name, text, _ in read.posts})
            more, since = read.until > since and len(read.posts) > 0, read.until
            more = more and len(read.posts) == POSTS_MAX
        found.append({name for name, text in names.items() if text})
    await store.close()
    return found[0], found[1]


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    assert run("acme")[0] == 2
    code, said = run("account:acme")
    assert (code, "set EXCISE_REDIS_URL" in said) == (1, True)
    code, said = run("account:acme", url="redis://user:hush@127.0.0.1:1")
    assert (code, "cannot connect to the store" in said, "hush" in said) == (1, True, False)


def test_ids_of_end_users_are_those_of_the_log() -> None:
    result = CliRunner(env={"EXCISE_SECRET": "s" * 32}).invoke(
        main, ["key-id", "--end-users-of", "acme"], input="alice\n"
    )
    expected = Secret(b"s" * 32).end_user_id("acme", "alice")
    assert result.output == f"{expected}\n"
