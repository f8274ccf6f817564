"""
How connections to the upstream are made: its name looked up, its addresses tried, its certificate checked.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from socket import SOCK_STREAM
from typing import Any, TypeVar

from aiohappyeyeballs import AddrInfoType, start_connection

from proxy.edge.upstream import UpstreamError

ADDRESSES_S = 10.0
"""A looked-up name is believed for this long, so that a burst of connections is one question to DNS."""

ATTEMPT_DELAY_S = 0.25
"""How long one address may take before the next is tried beside it (RFC 8305 section 5)."""

TLS_SHUTDOWN_S = 1.0
"""How long an idle connection's peer may take to say goodbye."""

_P = TypeVar("_P", bound=asyncio.BaseProtocol)


class Dial:
    """Connects to one host and port; with `tls` only to who can prove to be that host."""

    def __init__(
        self, host: str, port: int, tls: ssl.SSLContext | None, *, connect_timeout: float
    ) -> None:
        self._host = host
        self._port = port
        self._timeout = connect_timeout
        self._loop = asyncio.get_running_loop()
        self._tls: dict[str, Any] = {}
        if tls is not None:
            self._tls = {
                "ssl": tls,
                "server_hostname": host.rstrip("."),
                "ssl_handshake_timeout": connect_timeout,
                "ssl_shutdown_timeout": TLS_SHUTDOWN_S,
            }
        self._addresses: asyncio.Task[list[AddrInfoType]] | None = None
        self._looked_up = 0.0
        self._turn = -1

    async def connect(self, protocol: Callable[[], _P]) -> _P:
        """A connected protocol. Raises UpstreamError within the connect timeout."""
        try:
            async with asyncio.timeout(self._timeout):
                addresses = await self._look_up()
                self._turn = (self._turn + 1) % len(addresses)
                sock = await start_connection(
                    # Whoever answers to this name gets its share of connections.
                    addresses[self._turn :] + addresses[: self._turn],
                    happy_eyeballs_delay=ATTEMPT_DELAY_S,
                    loop=self._loop,
                )
                _, made = await self._loop.create_connection(protocol, sock=sock, **self._tls)
                return made
        except (OSError, UnicodeError):  # a TimeoutError is an OSError, as is all that ssl raises
            self._addresses = None
            raise UpstreamError("unreachable") from None

    async def _look_up(self) -> list[AddrInfoType]:
        """All who ask at once share one question, and none who leaves takes it along."""
        now = self._loop.time()
        if self._addresses is None or now - self._looked_up > ADDRESSES_S:
            self._looked_up = now
            self._addresses = self._loop.create_task(self._ask())
            self._addresses.add_done_callback(_seen)
        return await asyncio.shield(self._addresses)

    async def _ask(self) -> list[AddrInfoType]:
        return [*await self._loop.getaddrinfo(self._host, self._port, type=SOCK_STREAM)]


def _seen(answer: asyncio.Task[list[AddrInfoType]]) -> None:
    """A failure that nobody waits for any more is nobody's news."""
    if not answer.cancelled():
        answer.exception()
