"""Each program is written as it is: what tells programs apart on real traffic tells these apart."""

from __future__ import annotations

import random
from typing import Any

import aiohttp
import orjson
import pytest
from openai import OpenAI

from bench.detection import wire
from bench.detection.generate import events, settings
from proxy.dialects.routes import dialect
from proxy.signals.client_stack import ClientStack
from tests.detection.conftest import scenario
from tests.signals.wire import recorder, stack_of

BODY: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "a < b & c"}],
    "temperature": 0.5,
    "max_tokens": 20,
}


def stack(program: str, body: dict[str, Any] = BODY) -> ClientStack:
    headers, text = wire.PROGRAMS[program](random.Random(3)).request("sk-one", body)
    raw = tuple((name.encode(), value.encode()) for name, value in headers)
    return stack_of(raw, text.encode(), tuple(orjson.loads(text)))


@pytest.mark.parametrize(
    ("program", "family"),
    [
        ("openai-python", "httpx"),
        ("anthropic-python", "httpx"),
        ("requests", "requests"),
        ("aiohttp", "aiohttp"),
        ("node", "node"),
        ("go", "go"),
        ("one-api", "go"),
        ("new-api", "go"),
    ],
)
def test_an_honest_program_is_known_and_contradicts_nothing(program: str, family: str) -> None:
    found = stack(program)
    assert found.family == family
    assert found.contradictions == ()


def test_a_pretended_command_line_client_contradicts_itself() -> None:
    assert set(stack("sub2api").contradictions) >= {"headers", "json_order"}


def test_relays_bodies_are_in_their_own_order() -> None:
    def keys(program: str) -> list[str]:
        _, text = wire.PROGRAMS[program](random.Random(3)).request("sk-one", {**BODY, "user": "u"})
        return list(orjson.loads(text))

    assert keys("one-api") == ["messages", "model", "max_tokens", "temperature"]
    assert keys("new-api") == ["model", "messages", "max_tokens", "temperature"]
    assert keys("sub2api") == ["max_tokens", "messages", "model", "temperature", "user"]
    assert keys("openai-python") == ["messages", "model", "max_tokens", "temperature", "user"]


def test_go_escapes_what_html_would_read() -> None:
    _, text = wire.one_api(random.Random(3)).request("sk-one", BODY)
    assert "a \\u003c b \\u0026 c" in text


def test_content_length_counts_bytes() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "é"}]}
    for program in wire.PROGRAMS.values():
        headers, text = program(random.Random(3)).request("sk-one", body)
        told = next(value for name, value in headers if name.lower() == "content-length")
        assert int(told) == len(text.encode())


async def test_aiohttp_is_written_as_the_real_one_writes() -> None:
    with recorder() as heard:
        async with (
            aiohttp.ClientSession() as session,
            session.post(
                f"{heard.url}/v1/chat/completions",
                json=BODY,
                headers={"Authorization": "Bearer sk-one"},
            ) as reply,
        ):
            await reply.read()
    headers, body = heard.heard[0]
    ours, text = wire.aiohttp(random.Random(3)).request("sk-one", BODY)
    assert [name for name, _ in ours] == [name.decode() for name, _ in headers]
    assert text.encode() == body


def test_openais_sdk_is_told_like_the_real_one() -> None:
    with recorder() as heard:
        OpenAI(api_key="sk-one", base_url=f"{heard.url}/v1", max_retries=0).chat.completions.create(
            **BODY
        )
    real = stack_of(*heard.heard[0])
    ours = stack("openai-python")
    assert (ours.family, ours.claimed, ours.contradictions) == (
        real.family,
        real.claimed,
        real.contradictions,
    )


def test_bodies_are_read_by_the_dialect_of_their_path() -> None:
    names = {
        wire.CHAT: "openai_chat",
        wire.MESSAGES: "anthropic_messages",
        "/v1/embeddings": "openai_inputs",
        "/v1/messages/batches": "anthropic_batches",
    }
    some = {"batch_api", "embeddings", "relay_sub2api_50", "relay_one_api_50"}
    bodies = {
        event.path: event.body
        for event in events(settings(scenario("testing/harvests"), 7, None, scale=0.002, only=some))
    }
    assert set(bodies) == {*names, "/v1/files"}
    for path, name in names.items():
        read = dialect(name).read(bodies[path].encode(), path)
        assert any(one.model for one in (read.ask, *read.more)), path
