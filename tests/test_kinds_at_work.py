"""The kinds together, over real sockets: what harvests is found, and its likeness is not."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.inside import Inside, excise_inside
from tests.support.raw_upstream import plain, raw_upstream, replying

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: wide, kind: prompt_diversity, per: account, min_requests: 20, max_distinct_ratio: 0.8, score: 40}
  - {name: cloud, kind: datacenter_ip, score: 30}
  - name: resold
    kind: reseller_key
    max_system_prompts: 3
    max_client_fingerprints: 3
    max_subnets: 3
    min_exceeded: 2
    score: 40
suspicion:
  thresholds:
    - {at: 40, action: throttle}
    - {at: 70, action: {block: {for: 1h}}}
"""
HOSTED = "8.8.8.8"
HOME = "91.0.17.20"
TOPICS = (
    "tides",
    "guilds",
    "glaciers",
    "beekeeping",
    "chess",
    "harmony",
    "erosion",
    "railways",
    "cheese",
)
TASKS = (
    "Explain {} to a child",
    "Write a riddle on {}",
    "Argue against {}",
    "Translate a text on {}",
)
HANDS = (
    ("User-Agent: curl/8.5.0", "Accept: */*"),
    ("Accept: */*", "User-Agent: python-requests/2.32"),
    ("Accept-Encoding: gzip", "Connection: keep-alive", "User-Agent: OpenAI/Python 2"),
    ("Content-Length-Hint: 1", "User-Agent: Go-http-client/1.1"),
    ("X-Own: 1", "User-Agent: mine/1"),
)


def asked(prompt: str, system: str | None = None) -> dict[str, Any]:
    turns = [{"role": "system", "content": system}] if system else []
    return {"model": "m", "messages": [*turns, {"role": "user", "content": prompt}]}


def request(body: dict[str, Any], address: str = HOME, key: str = "sk-1", hand: int = 0) -> bytes:
    raw = json.dumps(body).encode()
    lines = [
        "POST /v1/chat/completions HTTP/1.1",
        "Host: x",
        *HANDS[hand],
        f"Authorization: Bearer {key}",
        f"X-Forwarded-For: {address}",
        f"Content-Length: {len(raw)}",
        "Content-Type: application/json",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + raw


def everything() -> Iterator[str]:
    """Prompts of which no two are alike."""
    for task, topic in itertools.product(TASKS, TOPICS):
        yield f"{task.format(topic)}, please."


async def statuses(excise: Inside, requests: Iterator[bytes]) -> list[int]:
    return [(await excise.exchange(data))[0] for data in requests]


def started(tmp_path: Path, upstream: str) -> Any:
    address = {"from": "x-forwarded-for", "trusted": ["127.0.0.0/8"]}
    return excise_inside(tmp_path, upstream, POLICY, client_address=address, header_evidence="on")


async def test_a_crawl_from_home_is_slowed_for_its_content_alone(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        started(tmp_path, upstream.url) as excise,
    ):
        told = await statuses(excise, (request(asked(prompt)) for prompt in everything()))
        assert told[:20] == [200] * 20
        # Found on the 20th, known from the 21st on; one family never blocks.
        assert set(told[20:]) == {429}
        event = await excise.log.wait_for(decision="throttle")
        assert (event["rule"], event["evidence"]["families"]) == ("suspicion", "content")
        assert event["suspicion"]["account"] == pytest.approx(40, abs=0.2)
        assert 1 <= len(event["request.sketch"]) <= 2


async def test_the_same_crawl_from_a_rented_server_is_banned(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        started(tmp_path, upstream.url) as excise,
    ):
        crawl = (request(asked(prompt), HOSTED) for prompt in everything())
        told = await statuses(excise, crawl)
        assert told[:20] == [200] * 20
        assert told[20:22] == [403, 403]
        banned = await excise.log.wait_for("banned")
        assert banned["by"] == "suspicion"
        # Wherever it goes with that account.
        assert await statuses(excise, iter([request(asked("Hello there"), HOME)])) == [403]
        assert await statuses(excise, iter([request(asked("Hello there"), HOME, "sk-2")])) == [200]


async def test_questions_that_come_again_are_no_crawl(tmp_path: Path) -> None:
    forms = (
        "Where is my parcel {}?",
        "where is my PARCEL {} ?!",
        "Can I return parcel {} for free?",
    )
    async with (
        raw_upstream(replying(plain())) as upstream,
        started(tmp_path, upstream.url) as excise,
    ):
        questions = (request(asked(forms[n % 3].format(n))) for n in range(60))
        assert set(await statuses(excise, questions)) == {200}


async def test_a_key_with_many_callers_is_found_and_one_with_many_machines_is_not(
    tmp_path: Path,
) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        started(tmp_path, upstream.url) as excise,
    ):
        buyers = (
            request(
                asked("Hello there", f"You are shop {'abcdefgh'[n]}."),
                f"91.{n}.17.20",
                "sk-r",
                n % 5,
            )
            for n in range(8)
        )
        told = await statuses(excise, buyers)
        assert (told[:4], told[-1]) == ([200] * 4, 429)
        found = await excise.log.wait_for(decision="throttle")
        assert found["evidence"]["families"] == "client"
        fleet = (
            request(
                asked("Hello there", f"You are our bot. Today is 2026-02-{n + 1:02}."),
                f"91.0.{n}.9",
                "sk-f",
            )
            for n in range(12)
        )
        assert set(await statuses(excise, fleet)) == {200}


async def test_events_say_who_wrote_the_request_and_never_what_it_said(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        started(tmp_path, upstream.url) as excise,
    ):
        body = asked("Explain the tides to a child, please.", "You are Neptune.")
        await excise.exchange(request(body, HOSTED, hand=2))
        event = await excise.log.wait_for()
        assert event["client.fingerprint"].startswith("httpx.spaced.")
        assert "json" in event["client.contradictions"]
        assert event["request.system"].startswith("sys_")
        assert event["client.network_kind"] == "hosting"
        assert "Neptune" not in json.dumps(event)
        assert "tides" not in json.dumps(event)
