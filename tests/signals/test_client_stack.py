"""Which program wrote a request: real programs over real sockets, and what pretends to be them."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from typing import Any

import aiohttp
import anthropic
import openai
import pytest
from google import genai

from proxy.head import RawHeaders
from tests.signals.wire import ANTHROPIC, GEMINI, OPENAI, Recorder, recorder, stack_of

Send = Callable[[str, str, bool], Any]
"""Sends a prompt with a key to a base URL, perhaps with more parameters."""


def by_openai(url: str, key: str, more: bool) -> None:
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
    extra: dict[str, Any] = {"temperature": 0.5, "max_tokens": 5} if more else {}
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": key}], **extra)


def by_async_openai(url: str, key: str, more: bool) -> None:
    async def send() -> None:
        client = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)
        extra: dict[str, Any] = {"temperature": 0.5} if more else {}
        await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": key}], **extra
        )

    asyncio.run(send())


def by_anthropic(url: str, key: str, more: bool) -> None:
    client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
    extra: dict[str, Any] = {"system": "Be brief."} if more else {}
    client.messages.create(
        model="m", max_tokens=5, messages=[{"role": "user", "content": key}], **extra
    )


def by_genai(url: str, key: str, more: bool) -> None:
    client = genai.Client(api_key=key, http_options={"base_url": url})
    config: Any = {"temperature": 0.5} if more else None
    client.models.generate_content(model="m", contents=key, config=config)


def by_aiohttp(url: str, key: str, more: bool) -> None:
    async def send() -> None:
        headers = {"Authorization": f"Bearer {key}"}
        body = {"model": "m", "n": 1} if more else {"model": "m"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{url}/v1/x", json=body, headers=headers) as answer,
        ):
            await answer.read()

    asyncio.run(send())


def by_urllib(url: str, key: str, more: bool) -> None:
    body = json.dumps({"model": "m", "n": 1} if more else {"model": "m"}).encode()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/x", body, headers)) as answer:
        answer.read()


def by_curl(url: str, key: str, more: bool) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not on PATH")
    body = json.dumps({"model": "m", "n": 1} if more else {"model": "m"})
    headers = ("-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json")
    command = ["curl", "-s", "--noproxy", "*", *headers, "-d", body, f"{url}/v1/x"]
    subprocess.run(command, check=True, capture_output=True, timeout=20)


def by_node(url: str, key: str, more: bool) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not on PATH")
    body = json.dumps({"model": "m", "n": 1} if more else {"model": "m"})
    script = (
        f"fetch('{url}/v1/x', {{method: 'POST', headers: {{'Authorization': 'Bearer {key}', "
        f"'Content-Type': 'application/json'}}, body: JSON.stringify({body})}}).then(r => r.text())"
    )
    subprocess.run(["node", "-e", script], check=True, capture_output=True, timeout=30)


REAL: list[tuple[Send, bytes, str]] = [
    (by_openai, OPENAI, "httpx"),
    (by_async_openai, OPENAI, "httpx"),
    (by_anthropic, ANTHROPIC, "httpx"),
    (by_genai, GEMINI, "httpx"),
    (by_aiohttp, OPENAI, "aiohttp"),
    (by_urllib, OPENAI, "urllib"),
    (by_curl, OPENAI, "curl"),
    (by_node, OPENAI, "node"),
]


def heard(send: Send, answer: bytes) -> list[tuple[RawHeaders, bytes]]:
    with recorder(answer) as server:
        record: Recorder = server
        send(record.url, "first-key", False)
        send(record.url, "second-key-that-is-longer", True)
    return record.heard


@pytest.mark.parametrize(
    ("send", "answer", "family"), REAL, ids=lambda one: getattr(one, "__name__", "")
)
def test_real_programs_are_known_alike_and_contradict_nothing(
    send: Send, answer: bytes, family: str
) -> None:
    first, second = heard(send, answer)
    stacks = []
    for headers, body in (first, second):
        keys = tuple(json.loads(body))
        forwarded = (*headers, (b"X-Forwarded-For", b"203.0.113.7"))
        stacks += [stack_of(seen, body, keys) for seen in (headers, forwarded)]
        alone = stack_of(headers, body, keys, header_evidence=False)
        assert (alone.family, alone.contradictions) == (None, ())
    assert {stack.family for stack in stacks} == {family}
    assert {stack.contradictions for stack in stacks} == {()}
    assert len({stack.fingerprint for stack in stacks}) == 1


def test_programs_are_told_apart() -> None:
    prints = set()
    for send in (by_openai, by_aiohttp, by_urllib):
        (headers, body), _ = heard(send, OPENAI)
        prints.add(stack_of(headers, body).fingerprint)
    assert len(prints) == 3


def head(*lines: str) -> RawHeaders:
    pairs = (line.partition(": ") for line in lines)
    return tuple((name.encode(), value.encode()) for name, _, value in pairs)


GO = head(
    "Host: x",
    "User-Agent: Go-http-client/1.1",
    "Content-Length: 9",
    "Accept: application/json",
    "Authorization: Bearer k",
    "Content-Type: application/json",
    "Accept-Encoding: gzip",
)
REQUESTS = head(
    "Host: x",
    "User-Agent: python-requests/2.32.3",
    "Accept-Encoding: gzip, deflate",
    "Accept: */*",
    "Connection: keep-alive",
    "Authorization: Bearer k",
    "Content-Length: 9",
    "Content-Type: application/json",
)


@pytest.mark.parametrize(
    ("headers", "body", "family"),
    [(GO, b'{"messages":[]}', "go"), (REQUESTS, b'{"messages": []}', "requests")],
)
def test_programs_that_are_not_at_hand_are_known_from_their_description(
    headers: RawHeaders, body: bytes, family: str
) -> None:
    stack = stack_of(headers, body)
    assert (stack.family, stack.claimed, stack.contradictions) == (family, family, ())


def test_a_relay_that_pins_an_identity_over_its_own_hand_contradicts_itself() -> None:
    claims = tuple(
        (name, b"claude-cli/2.1.0 (external, cli)" if name == b"User-Agent" else value)
        for name, value in GO
    )
    stack = stack_of(claims, b'{"max_tokens":1,"messages":[]}', ("max_tokens", "messages"))
    assert (stack.family, stack.claimed) == ("go", "node")
    assert stack.contradictions == ("headers", "json_order")
    escaped = stack_of(claims, b'{"messages":"\\u003c"}')
    assert "json_escapes" in escaped.contradictions


def test_the_openai_sdk_never_writes_a_setting_before_the_messages() -> None:
    claims = head("Host: x", "User-Agent: AsyncOpenAI/Python 3.54.0")
    body = b'{"max_tokens":1,"messages":[],"model":"m"}'
    stack = stack_of(claims, body, ("max_tokens", "messages", "model"), header_evidence=False)
    assert stack.contradictions == ("json_order",)


def test_an_sdk_that_writes_json_like_another_program_contradicts_itself() -> None:
    claims = head("Host: x", "User-Agent: OpenAI/Python 2.8.1", "X-Stainless-Lang: js")
    stack = stack_of(claims, b'{"model": "m"}', header_evidence=False)
    assert stack.contradictions == ("stainless", "json")
    assert stack.fingerprint == "httpx.spaced"


def test_without_header_evidence_a_balancer_makes_nobody_contradict() -> None:
    balanced = head(
        "host: x", "content-length: 9", "user-agent: python-requests/2.32.3", "accept: */*"
    )
    assert stack_of(balanced, b'{"a": 1}', header_evidence=False).contradictions == ()


@pytest.mark.parametrize("headers", [(), ((b"", b""),), ((b"\xff" * 9, b"\xfe"),) * 500])
def test_no_head_breaks_it(headers: RawHeaders) -> None:
    assert stack_of(headers, b"\xff\x00{").fingerprint.startswith("unknown.other")
