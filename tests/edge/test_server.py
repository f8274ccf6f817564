"""The listener on the event loop that it is served on."""

from __future__ import annotations

import json
from pathlib import Path

import uvloop

from tests.support.inside import excise_inside, post, read_answer
from tests.support.raw_upstream import plain, raw_upstream, replying

LONG = json.dumps({"model": "m", "messages": [{"role": "user", "content": "a" * 400_000}]}).encode()


def test_long_bodies_on_one_connection_are_never_taken_for_heads(tmp_path: Path) -> None:
    """uvloop reads many times before it lets others run: a head's body comes before its handler wakes."""

    async def talk() -> list[int]:
        async with (
            raw_upstream(replying(plain())) as upstream,
            excise_inside(tmp_path, upstream.url) as excise,
        ):
            reader, writer = await excise.send(b"")
            statuses = []
            for _ in range(20):
                writer.write(post(LONG))
                status, _, _ = await read_answer(reader)
                statuses.append(status)
            writer.close()
            return statuses

    assert uvloop.run(talk()) == [200] * 20
