"""An upstream that reads a request to its end, then answers whole or streams.

`python -m bench.upstream PORT CHUNKS DELAY_MS`: each event is its own write, some ms after the one
before; CHUNKS 1 measures the request's own part, 0 answers whole.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_EVENT = (
    b'data: {"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz","object":"chat.completion.chunk",'
    b'"created":1700000000,"model":"large-1","choices":[{"index":0,"delta":{"content":" token"},'
    b'"logprobs":null,"finish_reason":null}]}\n\n'
)
_USAGE = (
    b'data: {"id":"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWxYz","object":"chat.completion.chunk",'
    b'"created":1700000000,"model":"large-1","choices":[],"usage":{"prompt_tokens":10,'
    b'"completion_tokens":200,"total_tokens":210}}\n\ndata: [DONE]\n\n'
)
ANSWER = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "large-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "An answer of moderate length. " * 8},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 200, "completion_tokens": 60, "total_tokens": 260},
    },
    separators=(",", ":"),
)
_WHOLE = (
    f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(ANSWER)}\r\n\r\n"
    + ANSWER
).encode()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    def __init__(self, chunks: int, delay: float) -> None:
        self._chunks = chunks
        self._delay = delay
        self._buffer = bytearray()
        self._awaited = 0
        """Bytes until the request under way is whole; 0 while its head is not known."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._awaited:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            length = head.partition(b"content-length:")[2].split(b"\r\n")[0]
            self._awaited = end + 4 + int(length or 0)
        if len(self._buffer) < self._awaited:
            return
        del self._buffer[: self._awaited]
        self._awaited = 0
        if self._chunks:
            self._transport.write(_HEAD)
            self._next(self._chunks)
        else:
            self._transport.write(_WHOLE)

    def _next(self, left: int) -> None:
        if self._transport.is_closing():
            return
        if left == 0:
            self._transport.write(_chunk(_USAGE) + b"0\r\n\r\n")
            return
        self._transport.write(_chunk(_EVENT))
        asyncio.get_running_loop().call_later(self._delay, self._next, left - 1)


async def main(port: int, chunks: int, delay: float) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Upstream(chunks, delay), "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]) / 1000))
