"""Redis as it fails: restarts, silence, no memory, lost scripts, callers that go away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from proxy.counters.protocol import (
    Count,
    Different,
    Distinct,
    Done,
    Forget,
    Lease,
    Novel,
    Novelty,
    Op,
    Raise,
    Reading,
    ReadScore,
    Reserve,
    Scores,
    Seen,
    Take,
    Total,
    Unnovel,
)
from proxy.counters.redis import RedisStore
from proxy.counters.wire import OnReplies, Wire
from proxy.errors import StoreError, StoreFullError, StoreTimeoutError
from tests.redis_servers import (
    RedisServer,
    redis_programs,
    redis_sentinel,
    redis_server,
)
from tests.support.tls import Certificates, tls_front

from .stores import T0, redis_store

WRITES: list[Op] = [
    Count("s", "count", 60),
    Distinct("s", "distinct", 60, 1),
    Novel("s", "novel", 60, (1,)),
    Take("s", "take", 1, 1, 10),
    Reserve("s", "reserve", 1, 1, 10, 5, "id", 60),
    Lease("s", "lease", 3, "id", 60),
    Seen("s", "seen", 1, "who", 60),
    Raise("s", "score", "rule", 10, 60),
]


@pytest.fixture(params=redis_programs())
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of this test's own, of every version at hand."""
    with redis_server(program=request.param) as running:
        yield running


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[RedisStore]:
    async with _closing(redis_store(server.url)) as made:
        yield made


def _closing(store: RedisStore) -> aclosing[RedisStore]:
    store.aclose = store.close  # type: ignore[attr-defined]
    return aclosing(store)  # type: ignore[type-var]


@pytest.fixture
def pipelines(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many commands each pipeline held that was written, in order."""
    written: list[int] = []
    send = Wire.exchange

    def exchange(self: Wire, data: bytes, expected: int, done: OnReplies) -> None:
        written.append(expected)
        send(self, data, expected, done)

    monkeypatch.setattr(Wire, "exchange", exchange)
    return written


async def _count(store: RedisStore, subject: str = "s", now: float | None = T0) -> int:
    (reading,) = await store.apply([Count(subject, "c", 60)], now)
    assert isinstance(reading, Total)
    return reading.total


async def _turns(count: int = 10) -> None:
    """Let the loop see what its sockets have to say already."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_all_calls_of_one_tick_leave_in_one_pipeline_a_call_a_subject(
    store: RedisStore, server: RedisServer, pipelines: list[int]
) -> None:
    await store.ready()
    server.command("CONFIG", "RESETSTAT")
    pipelines.clear()
    await asyncio.gather(*(store.apply([*WRITES, Count("shared", "c", 60)], T0) for _ in range(40)))
    assert pipelines == [80]
    assert server.commands("evalsha") == 80


async def test_what_arrives_while_a_pipeline_is_under_way_shares_the_next(
    store: RedisStore, pipelines: list[int]
) -> None:
    await store.ready()
    pipelines.clear()
    first = asyncio.create_task(_count(store))
    await _turns(2)
    assert pipelines == [1]
    later = [asyncio.create_task(_count(store)) for _ in range(5)]
    await asyncio.gather(first, *later)
    assert pipelines == [1, 5]


async def test_a_flushed_script_is_loaded_again_and_nothing_is_counted_twice(
    store: RedisStore, server: RedisServer
) -> None:
    assert await _count(store) == 1
    server.command("SCRIPT", "FLUSH")
    totals = await asyncio.gather(*(_count(store) for _ in range(20)))
    assert sorted(totals) == list(range(2, 22))


async def test_a_store_without_memory_says_so_and_still_reads(
    store: RedisStore, server: RedisServer
) -> None:
    await store.ready()
    server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    server.command("CONFIG", "SET", "maxmemory", "1")
    for op in WRITES:
        with pytest.raises(StoreFullError):
            await store.apply([op], T0)
    assert await store.apply([ReadScore("s", "score", 60)], T0) == [Scores({})]
    server.command("CONFIG", "SET", "maxmemory", "0")
    assert len(await store.apply(WRITES, T0)) == len(WRITES)


async def test_an_idle_connection_that_the_server_closed_costs_nobody_a_request(
    store: RedisStore, server: RedisServer
) -> None:
    assert await _count(store) == 1
    server.restart()
    await _turns()
    assert await _count(store) == 1  # the new server is empty


async def test_a_refused_connection_is_an_error_at_once_and_heals_by_itself(
    store: RedisStore, server: RedisServer
) -> None:
    server.stop()
    with pytest.raises(StoreError, match="cannot connect"):
        await _count(store)
    server.start()
    assert await _count(store) == 1


async def test_a_server_that_dies_under_a_pipeline_fails_those_in_it(
    store: RedisStore, server: RedisServer
) -> None:
    await store.ready()
    server.pause()
    doomed = asyncio.create_task(_count(store))
    await _turns(3)
    server.restart()
    with pytest.raises(StoreError, match="lost"):
        await doomed
    assert await _count(store) == 1


async def test_silence_is_a_timeout_for_all_who_wait_and_ends_with_it(
    server: RedisServer,
) -> None:
    async with _closing(redis_store(server.url, timeout=0.25)) as store:
        assert await _count(store) == 1
        server.pause()
        started = time.monotonic()
        first = asyncio.create_task(_count(store))
        await _turns(3)
        behind = [asyncio.create_task(_count(store)) for _ in range(3)]
        outcomes = await asyncio.gather(first, *behind, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [StoreTimeoutError] * 4
        assert 0.2 < time.monotonic() - started < 2
        # Also over a new connection, which the kernel makes for a process that stands still.
        with pytest.raises(StoreTimeoutError):
            await _count(store)
        server.resume()
        assert await _count(store) > 1


async def test_a_caller_that_leaves_takes_nobody_with_it(
    store: RedisStore, server: RedisServer
) -> None:
    await store.ready()
    server.pause()
    told: list[Sequence[Reading]] = []
    leaving = asyncio.create_task(
        store.apply([Count("s", "c", 60), Count("b", "c", 60)], T0, abandoned=told.append)
    )
    staying = [asyncio.create_task(_count(store)) for _ in range(3)]
    await _turns(3)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert told == []
    server.resume()
    assert sorted(await asyncio.gather(*staying)) == [2, 3, 4]
    assert told == [[Total(1, T0), Total(1, T0)]]


async def test_a_caller_that_leaves_as_its_answer_comes_still_hands_the_readings_on(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.ready()
    told: list[Sequence[Reading]] = []
    receive = Wire.data_received

    def answer_then_cancel(self: Wire, data: bytes) -> None:
        receive(self, data)
        leaving.cancel()

    monkeypatch.setattr(Wire, "data_received", answer_then_cancel)
    leaving = asyncio.create_task(store.apply([Count("s", "c", 60)], T0, abandoned=told.append))
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert told == [[Total(1, T0)]]


async def test_the_queue_is_bounded(server: RedisServer) -> None:
    async with _closing(RedisStore(server.url, timeout=20, waiting=2)) as store:
        outcomes = await asyncio.gather(*(_count(store) for _ in range(3)), return_exceptions=True)
        assert outcomes[:2] == [1, 2]
        assert "too many" in str(outcomes[2])


async def test_closing_fails_those_who_wait(store: RedisStore, server: RedisServer) -> None:
    await store.ready()
    server.pause()
    waiting = asyncio.create_task(_count(store))
    await _turns(3)
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await waiting


async def test_time_never_runs_back_below_what_a_counter_has_seen(store: RedisStore) -> None:
    """As after a fail-over to a server whose clock is behind: its own time is the past."""
    future = time.time() + 86_400
    op = Count("s", "c", 60)
    await store.apply([op], future)
    (reading,) = await store.apply([op])
    assert isinstance(reading, Total)
    assert reading.total == 2
    assert reading.now == pytest.approx(future, abs=1e-6)


async def test_entries_are_collected_some_time_after_they_say_nothing_any_more(
    store: RedisStore, server: RedisServer
) -> None:
    await store.apply(WRITES)
    with server.client() as client:
        lifetimes = {key: client.ttl(key) for key in client.scan_iter()}
    assert len(lifetimes) == len(WRITES) + 1  # the reservation beside its counter
    assert all(60 < lifetime <= 60 + 60 * 11 + 2 for lifetime in lifetimes.values()), lifetimes


async def test_credentials_are_presented_and_never_told() -> None:
    with redis_server("--requirepass", "sesame") as server:
        host = f"127.0.0.1:{server.port}"
        async with _closing(redis_store(f"redis://:sesame@{host}/2")) as store:
            assert await _count(store) == 1
        async with _closing(redis_store(f"redis://:tahini@{host}")) as store:
            with pytest.raises(StoreError) as refused:
                await _count(store)
        assert "tahini" not in str(refused.value)
        assert "WRONGPASS" in str(refused.value)


async def test_a_unix_socket_serves(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    with redis_server("--unixsocket", str(path)):
        async with _closing(redis_store(f"unix://{path}")) as store:
            assert await _count(store) == 1


async def test_sentinels_name_the_master(server: RedisServer) -> None:
    with redis_sentinel(server, "counters") as url:
        async with _closing(redis_store(url)) as store:
            assert await _count(store) == 1
        async with _closing(redis_store(f"{url}-unknown")) as store:
            with pytest.raises(StoreError, match="no Sentinel"):
                await _count(store)


async def test_a_server_that_became_a_replica_is_left_for_the_new_master(
    server: RedisServer,
) -> None:
    """The Sentinel still names the old one, which says itself that it is no master."""
    with redis_server() as other, redis_sentinel(server, "counters") as url:
        async with _closing(redis_store(url)) as store:
            assert await _count(store) == 1
            server.command("REPLICAOF", "127.0.0.1", other.port)
            with pytest.raises(StoreError, match="refused"):
                await _count(store)
            with pytest.raises(StoreError, match="no Sentinel"):
                await _count(store)
            server.command("REPLICAOF", "NO", "ONE")
            assert await _count(store) > 0


async def test_tls_is_spoken_and_an_unknown_certificate_refused(
    tmp_path: Path, shared_redis: RedisServer
) -> None:
    made = Certificates(tmp_path)
    async with tls_front(made.server_context(), shared_redis.port) as port:
        trusted = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={made.ca}"
        async with _closing(redis_store(trusted)) as store:
            assert await _count(store) >= 1
        async with _closing(redis_store(f"rediss://127.0.0.1:{port}/0")) as store:
            with pytest.raises(StoreError, match="cannot connect"):
                await _count(store)


async def test_a_server_that_evicts_is_named(server: RedisServer) -> None:
    async with _closing(redis_store(server.url)) as store:
        assert list(await store.ready()) == []
        server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
        assert list(await store.ready()) == ["allkeys-lru"]


async def test_what_an_earlier_version_has_counted_is_left_to_expire(
    store: RedisStore, server: RedisServer
) -> None:
    """Its hashes, sorted sets and bitmaps stood where other forms stand now, and an upgrade meets them."""
    server.command("HSET", "x1:{s}:n", "at", "1", "pane", "1")
    for name in ("n:0", "n:1"):
        server.command("SETBIT", f"x1:{{s}}:{name}", "8191", "1")
    server.command("HSET", "x1:{s}:n:n", "at", "1")
    server.command("ZADD", "x1:{s}:d", "1", "12345678")
    told = await store.apply([Novel("s", "n", 60, (1,)), Distinct("s", "d", 60, 1)], T0)
    assert told == [Novelty(1.0, 1, T0, 1000, (1,)), Different(1, T0, None)]
    undone = [Unnovel("s", "n", 60, 1000, T0, (1,)), Forget("s", "d", 60, 1, T0, None)]
    assert await store.apply(undone, T0) == [Done(), Done()]
