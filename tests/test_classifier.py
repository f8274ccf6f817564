"""The classifier: asked over real HTTP, bounded, remembered, left alone while it fails."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from proxy.classifier import Classifier, WrongAnswerError, read_categories
from proxy.classify import Question
from proxy.counters.protocol import Op
from proxy.settings import Settings
from tests.support.inside import Inside, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """What a classifier might be: real HTTP on loopback, answering as a test says."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: Answer = self.biology
        self.arrived = asyncio.Event()
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.arrived.set()
        return await self.answer(request)

    async def biology(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"categories": {"biology": 0.93}})

    async def broken(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="no")


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    one = Service()
    app = web.Application()
    app.router.add_post("/classify", one.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        one.url = f"http://127.0.0.1:{runner.addresses[0][1]}/classify"
        yield one
    finally:
        await runner.cleanup()


class HandClock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds

    def monotonic(self) -> float:
        return self.seconds


class Rule:
    """Stands for a rule: takes down what it is told."""

    def __init__(self) -> None:
        self.told: list[dict[str, float]] = []

    def classified(self, ops: object, readings: object, categories: Any) -> tuple[Op, ...]:
        self.told.append(dict(categories))
        return ()


class Asked:
    """A classifier under test, and what it has told."""

    def __init__(self, url: str, **settings: Any) -> None:
        self.clock = HandClock()
        self.results: Counter[str] = Counter()
        self.states: list[tuple[bool, str]] = []
        self.faults: list[BaseException] = []
        self.rule = Rule()
        self._came = asyncio.Event()
        self.classifier = Classifier(
            url,
            clock=self.clock,
            item_hash=lambda raw: hash(raw) & (2**64 - 1),
            on_result=self._result,
            on_state=lambda up, why: self.states.append((up, why)),
            on_fault=self._fault,
            **settings,
        )

    def _result(self, result: str) -> None:
        self.results[result] += 1
        self._came.set()

    def _fault(self, error: BaseException) -> None:
        self.faults.append(error)
        self._result("fault")

    def put(self, text: str) -> None:
        rule: Any = self.rule
        self.classifier.put(Question(text, "large", "id-1", [(rule, (), ())], _nothing))

    async def ends(self, **wanted: int) -> None:
        """Once so many questions have come to these ends."""
        async with asyncio.timeout(10):
            while any(self.results[name] < count for name, count in wanted.items()):
                self._came.clear()
                await self._came.wait()
        assert dict(self.results) == wanted


def _nothing(ops: Sequence[Op]) -> None:
    assert list(ops) == []


@asynccontextmanager
async def asking(url: str, **settings: Any) -> AsyncIterator[Asked]:
    asked = Asked(url, **settings)
    asked.classifier.start()
    try:
        yield asked
    finally:
        await asked.classifier.close()


async def test_it_is_sent_the_prompt_and_told_to_the_rules() -> None:
    async with service() as one, asking(one.url) as asked:
        asked.put("What is a virus?")
        await asked.ends(answered=1)
        assert one.asked == [{"text": "What is a virus?", "model": "large", "id": "id-1"}]
        assert asked.rule.told == [{"biology": 0.93}]


async def test_an_answer_is_remembered_for_the_same_prompt_and_for_a_time() -> None:
    async with service() as one, asking(one.url, cache_entries=2, cache_ttl=60.0) as asked:
        asked.put("What is a virus?")
        await asked.ends(answered=1)
        asked.put("what is a VIRUS")
        await asked.ends(answered=1, cached=1)
        asked.put("What is a virus 2?")
        await asked.ends(answered=2, cached=1)
        asked.clock.seconds += 61
        asked.put("What is a virus?")
        await asked.ends(answered=3, cached=1)
        for text in ("one more", "and another"):
            asked.put(text)
        await asked.ends(answered=5, cached=1)
        asked.put("What is a virus?")
        await asked.ends(answered=6, cached=1)
        assert len(one.asked) == 6
        assert len(asked.rule.told) == 7


async def test_the_queue_is_bounded_and_what_is_left_at_the_end_is_dropped() -> None:
    async with service() as one:
        goes_on = asyncio.Event()

        async def slow(request: web.Request) -> web.StreamResponse:
            await goes_on.wait()
            return await one.biology(request)

        one.answer = slow
        async with asking(one.url, max_queue=2, concurrent=1) as asked:
            asked.put("first")
            async with asyncio.timeout(10):
                await one.arrived.wait()
            for text in ("second", "third", "fourth"):
                asked.put(text)
            assert dict(asked.results) == {"dropped": 1}
            goes_on.set()
            await asked.ends(answered=3, dropped=1)
            goes_on.clear()
            one.arrived.clear()
            asked.put("fifth")
            asked.put("sixth")
            async with asyncio.timeout(10):
                await one.arrived.wait()
        # The one under way is given up, the one that waits is dropped.
        assert asked.results["dropped"] == 2
        goes_on.set()


async def test_after_three_failures_it_is_left_alone_and_tried_again() -> None:
    async with service() as one, asking(one.url, concurrent=1) as asked:
        one.answer = one.broken
        for number in range(3):
            asked.put(f"question {'abc'[number]}")
            await asked.ends(failed=number + 1)
        assert asked.states == [(False, "status 500")]
        asked.put("question d")
        await asked.ends(failed=3, skipped=1)
        asked.clock.seconds += 1.5
        asked.put("question e")  # tried, fails, and the rest is twice as long
        await asked.ends(failed=4, skipped=1)
        asked.clock.seconds += 1.5
        asked.put("question f")
        await asked.ends(failed=4, skipped=2)
        asked.clock.seconds += 1.0
        one.answer = one.biology
        asked.put("question g")
        await asked.ends(failed=4, skipped=2, answered=1)
        assert asked.states == [(False, "status 500"), (True, "")]
        assert len(one.asked) == 5


async def test_a_timeout_a_redirect_and_nobody_there_are_failures() -> None:
    async with service() as one:
        never = asyncio.Event()

        async def silent(request: web.Request) -> web.StreamResponse:
            await never.wait()
            return web.Response()

        async def elsewhere(request: web.Request) -> web.StreamResponse:
            return web.Response(status=307, headers={"Location": one.url})

        async with asking(one.url, timeout=0.05) as asked:
            one.answer = silent
            asked.put("question a")
            await asked.ends(failed=1)
            one.answer = elsewhere
            asked.put("question b")
            await asked.ends(failed=2)
            assert len(one.asked) == 2, "no redirect is followed: it would carry the prompt away"
        never.set()
        url = one.url
    async with asking(url) as asked:
        asked.put("question c")
        await asked.ends(failed=1)
        assert asked.rule.told == []


async def test_a_fault_of_ours_ends_no_worker() -> None:
    async with service() as one, asking(one.url, concurrent=1) as asked:

        def faulty(*_: object) -> tuple[Op, ...]:
            raise KeyError("planted")

        asked.rule.classified = faulty  # type: ignore[method-assign]
        asked.put("question a")
        await asked.ends(fault=1)
        del asked.rule.classified  # type: ignore[attr-defined]
        asked.put("question b")
        await asked.ends(fault=1, answered=1)
        assert [type(fault) for fault in asked.faults] == [KeyError]


@pytest.mark.parametrize(
    "body",
    [
        b"no",
        b"[" * 5000,
        b"[]",
        b'{"categories": []}',
        b'{"categories": {"a": 2}}',
        b'{"categories": {"a": true}}',
        b'{"categories": {"a": "0.9"}}',
        b'{"categories": {"a": NaN}}',
        json.dumps({"categories": {str(n): 0.5 for n in range(65)}}).encode(),
    ],
)
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(WrongAnswerError):
        read_categories(body)


async def test_an_answer_without_end_is_cut() -> None:
    async with service() as one, asking(one.url) as asked:

        async def endless(request: web.Request) -> web.StreamResponse:
            return web.Response(body=b'{"categories": {}}' + b" " * 100_000)

        one.answer = endless
        asked.put("question")
        await asked.ends(failed=1)


POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - name: topics
    kind: sensitive_topics
    per: account
    min_requests: 3
    max_share: 0.5
    classifier: %s
    action: throttle
"""
SAID = "Something that no lexicon knows"


def asks(text: str, key: str = "sk-1") -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    return post(json.dumps(body).encode(), headers=(f"Authorization: Bearer {key}",))


async def told(excise: Inside, result: str, count: int) -> None:
    """Once the metric has come so far."""
    line = f'excise_classifications_total{{result="{result}"}} {count}.0'.encode()
    async with asyncio.timeout(10):
        while line not in await excise.metrics():
            pass


@pytest.mark.parametrize("store", ["memory", "redis"])
async def test_a_rule_that_says_so_counts_what_the_classifier_tells(
    tmp_path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    shared: dict[str, Any] = {}
    if store == "redis":
        url = request.getfixturevalue("shared_redis").url
        shared = {"redis_url": url, "secret": "the classifier's own test of it"}
    settings: dict[str, Any] = {"store": {"timeout": 20.0}, **shared}
    async with (
        service() as one,
        raw_upstream(replying(plain())) as upstream,
        excise_inside(
            tmp_path,
            upstream.url,
            POLICY % "true",
            classifier={"url": one.url, "concurrent": 1},
            **settings,
        ) as excise,
    ):
        for number in range(2):
            assert (await excise.exchange(asks(f"{SAID} {'abcd'[number]}")))[0] == 200
            await told(excise, "answered", number + 1)
        assert (await excise.exchange(asks(f"{SAID} e")))[0] == 429
        event = await excise.log.wait_for(decision="throttle")
        assert event["evidence"]["topic"] == "biology"
        # What we refused is asked nobody about, and no event holds a text.
        assert (await excise.exchange(asks("last", "sk-2")))[0] == 200
        await told(excise, "answered", 3)
        assert [asked["text"] for asked in one.asked] == [f"{SAID} a", f"{SAID} b", "last"]
        assert SAID not in str(excise.log.events) + str(event)


async def test_no_rule_says_so_nobody_is_asked(tmp_path: Path) -> None:
    async with (
        service() as one,
        raw_upstream(replying(plain())) as upstream,
        excise_inside(
            tmp_path, upstream.url, POLICY % "false", classifier={"url": one.url}
        ) as excise,
    ):
        assert (await excise.exchange(asks(SAID)))[0] == 200
        assert one.asked == []


async def test_a_classifier_that_fails_changes_nothing_for_callers(tmp_path: Path) -> None:
    async with (
        service() as one,
        raw_upstream(replying(plain())) as upstream,
        excise_inside(
            tmp_path, upstream.url, POLICY % "true", classifier={"url": one.url}
        ) as excise,
    ):
        one.answer = one.broken
        for number in range(4):
            assert (await excise.exchange(asks(f"{SAID} {'abcd'[number]}")))[0] == 200
            await told(excise, "failed", min(number + 1, 3))
        await excise.log.wait_for("classifier_down", reason="status 500")


async def test_a_rule_without_a_classifier_is_told(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, POLICY % "true") as excise,
    ):
        await excise.log.wait_for("classifier_missing")
        assert (await excise.exchange(asks("What did virology learn?")))[0] == 200
        event = await excise.log.wait_for("request")
        assert event["request.terms"] == {"library/lexicons/topics": {"biology": 2.0}}


def test_the_url_is_checked() -> None:
    with pytest.raises(ValueError, match="http"):
        Settings.model_validate({"classifier": {"url": "ftp://x"}})
    assert Settings().classifier.url is None
