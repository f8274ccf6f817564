"""
The one upstream: sends a judged request on and yields the reply as it arrives.

`Upstream` and `UpstreamReply` are all that the rest of the house knows of it; the implementation here
is aiohttp's client, set so that nothing is added, followed, decoded, remembered or sent twice.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from typing import Any, Literal, Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError
from multidict import CIMultiDict
from yarl import URL

from proxy.head import RawHeaders
from proxy.value import value

FailureKind = Literal["unreachable", "reset", "timeout", "malformed"]

POOLED_IDLE_S = 4.0
"""Idle upstream connections are closed after this long: below the 5 s after which uvicorn, under most
model servers, closes its side, so that a request seldom meets a connection on its way out."""


class UpstreamError(Exception):
    """The upstream has failed: what of it, never how in words a caller could see."""

    def __init__(self, kind: FailureKind) -> None:
        super().__init__(kind)
        self.kind: FailureKind = kind


@value
class UpstreamRequest:
    """What is sent on: path and query raw as they were judged."""

    method: str
    path: str
    query: str
    headers: CIMultiDict[str]
    body: bytes | None


class UpstreamReply(Protocol):
    """A reply whose head has arrived. `close` always, whatever happened."""

    status: int
    reason: str
    headers: RawHeaders
    length: int | None
    """Declared body length in bytes, None where the body is chunked or ends with the connection."""

    async def read(self) -> bytes:
        """The next bytes as soon as there are any; b"" at the end. Raises UpstreamError."""
        ...

    def close(self) -> None:
        """Give the connection back after a complete body; otherwise cut it at once."""
        ...


class Upstream(Protocol):
    """Where judged requests go."""

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send a request and wait for the head of its reply. Raises UpstreamError."""
        ...

    async def close(self) -> None:
        """Close pooled connections."""
        ...


class _StrictHandler(ResponseHandler):
    """Cuts a connection whose upstream speaks after its answer.

    aiohttp would pool it and hand the surplus to the next request, which may be another caller's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._answer: Any = None

    def set_response_params(self, **params: Any) -> None:
        self._answer = None
        super().set_response_params(**params)

    def feed_data(self, data: Any, size: int = 0) -> None:
        if data[0].code >= 200:
            self._answer = data[1]
        super().feed_data(data, size)

    def data_received(self, data: bytes) -> None:
        if data and self._answer is not None and self._answer.is_eof():
            self.abort()
            return
        super().data_received(data)


class _Reply:
    """An aiohttp response behind the `UpstreamReply` interface."""

    __slots__ = ("_response", "headers", "length", "reason", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.reason = response.reason or ""
        self.headers: RawHeaders = response.raw_headers
        declared = response.headers.get("Content-Length")
        self.length = int(declared) if declared is not None and declared.isascii() else None

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise UpstreamError(_kind(error)) from None

    def close(self) -> None:
        response = self._response
        if response.content.is_eof():
            response.release()
        else:
            response.close()


class AiohttpUpstream:
    """aiohttp's client, one connection pool, no limit of its own on open connections."""

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout: float,
        tls: ssl.SSLContext | None = None,
        max_header_bytes: int = 64 * 1024,
    ) -> None:
        url = URL(base_url)
        self._origin = str(url.origin())
        self._prefix = url.raw_path.rstrip("/")
        connector = aiohttp.TCPConnector(
            limit=0,
            keepalive_timeout=POOLED_IDLE_S,
            ssl=tls if tls is not None else True,
        )
        loop = asyncio.get_running_loop()
        # No public hook exists for the protocol class; the contract test of surplus bytes guards it.
        factory: Any = functools.partial(_StrictHandler, loop=loop)
        connector._factory = factory  # noqa: SLF001
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
            auto_decompress=False,
            trust_env=False,
            raise_for_status=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
            max_line_size=max_header_bytes,
            max_field_size=max_header_bytes,
        )
        # What went out once is never sent again on our own account, whatever its method.
        self._session._retry_connection = False  # noqa: SLF001

    async def send(self, request: UpstreamRequest) -> UpstreamReply:
        """Send a request and wait for the head of its reply. Raises UpstreamError."""
        target = f"{self._origin}{self._prefix}{request.path}"
        if request.query:
            target = f"{target}?{request.query}"
        try:
            response = await self._session.request(
                request.method,
                URL(target, encoded=True),
                headers=request.headers,
                data=request.body,
                allow_redirects=False,
            )
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            raise UpstreamError(_kind(error)) from None
        if not 200 <= response.status <= 599 or _coded(response):
            response.close()
            raise UpstreamError("malformed")
        return _Reply(response)

    async def close(self) -> None:
        """Close pooled connections."""
        await self._session.close()


def _coded(response: aiohttp.ClientResponse) -> bool:
    """Whether a transfer coding besides `chunked` stands, which nobody here takes off."""
    coding = response.headers.get("Transfer-Encoding")
    return coding is not None and coding.strip().lower() != "chunked"


def _kind(error: BaseException) -> FailureKind:
    match error:
        case aiohttp.ServerTimeoutError() | TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectorError():
            return "unreachable"
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return "malformed"
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError() | OSError():
            return "reset"
        case _:
            return "malformed"


def tls_context(
    ca_file: str | None, client_cert_file: str | None, client_key_file: str | None
) -> ssl.SSLContext | None:
    """TLS for an upstream with its own CA or that asks for a client certificate; None for defaults.

    Raises OSError or ssl.SSLError where a file cannot be read or used.
    """
    if ca_file is None and client_cert_file is None:
        return None
    context = ssl.create_default_context(cafile=ca_file)
    if client_cert_file is not None:
        context.load_cert_chain(client_cert_file, client_key_file)
    return context
