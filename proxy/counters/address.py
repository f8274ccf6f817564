"""
Where the store is, out of its URL, and how to connect there.

    redis://[user:password@]host[:port][/db]       one server; rediss:// over TLS; unix://path
    redis+sentinel://host:port,host:port/service[/db]
    redis+cluster://host:port,host:port

`rediss+…` means TLS to every node. TLS options are redis-py's query parameters (`ssl_ca_certs`,
`ssl_certfile`, `ssl_keyfile`, `ssl_cert_reqs`, `ssl_check_hostname` …); `sentinel_username` and
`sentinel_password` are for the Sentinels themselves.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import RedisError

from proxy.counters.resp import ErrorReply
from proxy.counters.wire import Wire
from proxy.errors import ConfigurationError, StoreError

Node = tuple[str, int]
Kind = Literal["single", "sentinel", "cluster"]

_PORTS: dict[Kind, int] = {"single": 6379, "sentinel": 26379, "cluster": 6379}


@dataclass(frozen=True, slots=True)
class Login:
    """Credentials, if any. Never shown."""

    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    async def present(self, wire: Wire) -> None:
        """Authenticate a new connection."""
        if self.password is None:
            return
        names = [] if self.username is None else [self.username.encode()]
        await wire.tell(b"AUTH", *names, self.password.encode())


@dataclass(frozen=True, slots=True)
class Address:
    """What a store URL says."""

    kind: Kind
    nodes: tuple[Node, ...]
    """The server, the Sentinels or the Cluster's seeds; empty for a Unix socket."""
    path: str | None = None
    service: str = ""
    db: int = 0
    tls: ssl.SSLContext | None = None
    login: Login = Login()
    sentinel_login: Login = Login()

    async def dial(self) -> Wire:
        """Connect to the one server, or to the master that the Sentinels name."""
        if self.kind == "sentinel":
            return await self._dial_master()
        return await self.dial_node(self.nodes[0] if self.nodes else None)

    async def dial_node(self, node: Node | None) -> Wire:
        """A connection to one data node, authenticated, its database chosen."""
        wire = await self._connect(node)
        try:
            await self.login.present(wire)
            if self.db:
                await wire.tell(b"SELECT", b"%d" % self.db)
        except BaseException:
            wire.abort()
            raise
        return wire

    async def _connect(self, node: Node | None) -> Wire:
        loop = asyncio.get_running_loop()
        try:
            if node is None:
                _, wire = await loop.create_unix_connection(Wire, self.path)
            else:
                _, wire = await loop.create_connection(Wire, *node, ssl=self.tls)
        except OSError as error:
            raise StoreError(f"cannot connect to the store: {type(error).__name__}") from error
        return wire

    async def _dial_master(self) -> Wire:
        for sentinel in self.nodes:
            try:
                master = await self._ask_sentinel(sentinel)
                if master is None:
                    continue
                wire = await self.dial_node(master)
            except StoreError:
                continue
            role = await wire.ask(b"ROLE")
            # A Sentinel may be behind: what it names can have become a replica meanwhile. Where ROLE
            # is not permitted, the first write tells.
            if isinstance(role, ErrorReply) or (isinstance(role, list) and role[0] == b"master"):
                return wire
            wire.abort()
        raise StoreError("no Sentinel names a master that answers")

    async def _ask_sentinel(self, sentinel: Node) -> Node | None:
        wire = await self._connect(sentinel)
        try:
            await self.sentinel_login.present(wire)
            told = await wire.tell(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self.service.encode())
        finally:
            wire.abort()
        match told:
            case [bytes() as host, bytes() as port]:
                return host.decode(), int(port)
        return None


def parse_address(url: str) -> Address:
    """Read a store URL. Raises ConfigurationError, which never quotes the URL."""
    try:
        return _parse(url)
    except (ValueError, TypeError, OSError, RedisError) as error:
        # What redis-py and urllib say of a bad URL can quote it, password included.
        raise ConfigurationError(
            "the store URL is not understood; it reads redis://host:port/db, unix:///path, "
            "redis+sentinel://host:port,host:port/service or redis+cluster://host:port,host:port "
            f"(rediss for TLS), its TLS files must be readable ({type(error).__name__})"
        ) from None


def _parse(url: str) -> Address:
    parts = urlsplit(url)
    scheme, _, plus = parts.scheme.partition("+")
    kind: Kind = "single"
    if plus == "sentinel":
        kind = "sentinel"
    elif plus == "cluster":
        kind = "cluster"
    elif plus:
        raise ValueError(plus)
    if scheme == "unix":
        options: dict[str, Any] = {**parse_url(url)}
        options.pop("connection_class")
        path = str(options.pop("path"))
        return _address(kind, (), scheme, options, path=path)
    credentials, _, hosts = parts.netloc.rpartition("@")
    nodes = tuple(_node(host, _PORTS[kind]) for host in hosts.split(","))
    service, path = "", parts.path.strip("/")
    if kind == "sentinel":
        service, _, path = path.partition("/")
        if not service:
            raise ValueError("service")
    if path and (not path.isdecimal() or kind == "cluster"):
        raise ValueError("database")
    query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    sentinel = {name: query.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    plain = f"{scheme}://{credentials}@localhost/{path}?{urlencode(query)}"
    options = {**parse_url(plain)}
    return _address(
        kind,
        nodes,
        scheme,
        options,
        service=unquote(service),
        sentinel_login=Login(**sentinel),
    )


def _address(
    kind: Kind, nodes: tuple[Node, ...], scheme: str, options: dict[str, Any], **more: Any
) -> Address:
    for name in ("host", "port", "connection_class"):
        options.pop(name, None)
    login = Login(options.pop("username", None) or None, options.pop("password", None))
    db = int(options.pop("db", 0))
    tls = None
    if scheme == "rediss":
        tls = SSLConnection(**options).ssl_context.get()
    elif options:
        raise ValueError("unknown option")
    return Address(kind, nodes, db=db, tls=tls, login=login, **more)


def _node(text: str, port: int) -> Node:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "localhost", parts.port or port
