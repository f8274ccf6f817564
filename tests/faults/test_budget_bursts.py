"""What passes a budget at most, whatever the answers before have taught."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
from pathlib import Path

import pytest

from proxy.estimates import LEAST_OUTPUT
from tests.faults.test_budgets import answered, chat
from tests.support.inside import excise_inside, post
from tests.support.raw_upstream import Call, plain, raw_upstream

POLICY = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - name: budget
    kind: token_budget
    per: address
    tokens: output
    limits: [1000/hour]
    action: throttle
"""
SHORT = 8


async def test_short_answers_teach_no_burst_of_long_ones(tmp_path: Path) -> None:
    """Eight answers of a token, then all at once: the page's bound, with the model's longest answer."""
    seen: list[Call] = []
    over = asyncio.Event()

    async def script(call: Call) -> None:
        seen.append(call)
        if len(seen) > SHORT:
            await over.wait()
        await call.send(answered(1, 1 if len(seen) <= SHORT else 4000))

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, POLICY) as excise,
    ):
        for _ in range(SHORT):
            assert (await excise.exchange(post(chat(None))))[0] == 200
        asked = [asyncio.create_task(excise.exchange(post(chat(None)))) for _ in range(60)]
        most = 1000 // LEAST_OUTPUT
        refused = [await one for one in itertools.islice(asyncio.as_completed(asked), 60 - most)]
        over.set()
        assert {status for status, _, _ in refused} == {429}
        codes = [status for status, _, _ in await asyncio.gather(*asked)]
        assert codes.count(200) == most


@pytest.mark.parametrize("usage", ["ask", "never"])
async def test_compressed_answers_are_charged_what_was_estimated_at_least(
    tmp_path: Path, usage: str
) -> None:
    """Answers without end that compress to nothing, from an upstream that compresses unasked."""
    seen: list[Call] = []
    message = {"role": "assistant", "content": "word " * 4000}
    body = json.dumps({"id": "c", "choices": [{"index": 0, "message": message}]}).encode()
    packed = plain(gzip.compress(body), headers=b"Content-Encoding: gzip\r\n")

    async def script(call: Call) -> None:
        seen.append(call)
        await call.send(answered(1, 1) if len(seen) <= SHORT else packed)

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, POLICY, upstream={"usage": usage}) as excise,
    ):
        codes: list[int] = []
        for _ in range(SHORT + 30):
            asked = post(chat(None), headers=("Accept-Encoding: gzip",))
            codes.append((await excise.exchange(asked))[0])
        assert codes[SHORT:].count(200) <= 1000 // LEAST_OUTPUT
        assert all(b"gzip" not in call.head.lower() for call in seen)
