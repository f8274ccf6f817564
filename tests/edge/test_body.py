"""Bodies are received whole, within their limits, and their memory always comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from proxy.edge.body import BodyMemory, ReceivedBody, receive
from proxy.errors import Refusal


class Payload:
    """A body that arrives in parts; `stall` never ends, as a slow client's."""

    def __init__(
        self, parts: Sequence[bytes], *, arrived: bool = False, stall: bool = False
    ) -> None:
        self.parts = list(parts)
        self.arrived = arrived
        self.stall = stall

    def is_eof(self) -> bool:
        return self.arrived

    def read_nowait(self, n: int = -1) -> bytes:
        data = b"".join(self.parts)
        self.parts.clear()
        return data

    async def readany(self) -> bytes:
        if self.parts:
            return self.parts.pop(0)
        if self.stall:
            await asyncio.get_running_loop().create_future()
        return b""


async def read(
    payload: Payload, declared: int | None, memory: BodyMemory, **limits: float
) -> ReceivedBody | Refusal:
    return await receive(
        payload,
        declared,
        limit=int(limits.get("limit", 100)),
        timeout=limits.get("timeout", 5.0),
        memory=memory,
    )


@pytest.mark.parametrize("arrived", [True, False])
@pytest.mark.parametrize("declared", [6, None])
async def test_a_body_is_whole_and_holds_its_memory_until_released(
    declared: int | None, arrived: bool
) -> None:
    memory = BodyMemory(100)
    body = await read(Payload([b"abc", b"def"], arrived=arrived), declared, memory)
    assert isinstance(body, ReceivedBody)
    assert (body.data, memory.used) == (b"abcdef", 6)
    body.release()
    body.release()
    assert memory.used == 0


@pytest.mark.parametrize(
    ("payload", "declared", "limits", "status"),
    [
        (Payload([b"x"]), 101, {}, 413),
        (Payload([b"x" * 60, b"x" * 41]), None, {}, 413),
        (Payload([b"x"], stall=True), 10, {"timeout": 0.01}, 408),
        (Payload([b"x" * 60]), None, {"limit": 1000, "memory": 50}, 503),
        (Payload([b"x" * 60]), 60, {"limit": 1000, "memory": 50}, 503),
    ],
)
async def test_a_body_past_a_limit_is_refused_and_leaves_no_memory_behind(
    payload: Payload, declared: int | None, limits: dict[str, float], status: int
) -> None:
    memory = BodyMemory(int(limits.pop("memory", 500)))
    refusal = await read(payload, declared, memory, **limits)
    assert isinstance(refusal, Refusal)
    assert (refusal.status, memory.used) == (status, 0)


async def test_the_exact_limit_fits() -> None:
    body = await read(Payload([b"x" * 100]), None, BodyMemory(100))
    assert isinstance(body, ReceivedBody)
    assert len(body.data) == 100


async def test_memory_comes_back_when_the_client_leaves() -> None:
    memory = BodyMemory(100)
    task = asyncio.create_task(read(Payload([b"x" * 10], stall=True), None, memory))
    await asyncio.sleep(0)
    assert memory.used == 10
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert memory.used == 0
