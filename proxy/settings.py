"""
Process settings: flags, then EXCISE_* environment variables, then excise.yaml, then these defaults.

Settings say how the process runs; what it thinks of requests stands in the policy alone. Every leaf has
one environment name, its dotted path in capitals with underscores, and one flag where noted.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from proxy.errors import ConfigurationError
from proxy.nearest import nearest
from proxy.networks.feed import Feed
from proxy.policy.yamltree import read_tree
from proxy.rules.units import parse_duration

MIN_TOKEN = 16
"""Characters of an admin token."""

_SIZES = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_PRINTABLE = re.compile(r"[!-~]+").fullmatch
_HEADER = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")
_SIZE = re.compile(r"([0-9]{1,15}) ?(B|KiB|MiB|GiB)?\Z")


def _seconds(value: object) -> object:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a duration such as `30s`")  # noqa: TRY004 - pydantic's protocol
    return value


def _bytes(value: object) -> object:
    match = _SIZE.match(str(value)) if isinstance(value, str | int) else None
    if match is None or isinstance(value, bool):
        raise ValueError("must be a size such as `32MiB` or a number of bytes")
    return int(match[1]) * _SIZES[match[2] or ""]


def _networks(value: object) -> object:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list):
        return value
    networks = []
    for part in parts:
        try:
            networks.append(ipaddress.ip_network(str(part).strip()))
        except ValueError:
            raise ValueError(f"must hold networks such as `10.0.0.0/8`, not `{part}`") from None
    return networks


def _paths(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def _feeds(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("must be a JSON list of feeds") from None


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=86_400)]
Size = Annotated[int, BeforeValidator(_bytes), Field(gt=0)]
Networks = Annotated[
    tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...], BeforeValidator(_networks)
]


Paths = Annotated[tuple[Path, ...], BeforeValidator(_paths)]


def _url(value: str | None) -> str | None:
    if value is None:
        return None
    try:
        parts = urlsplit(value)
        sound = parts.port is None or parts.port > 0
    except ValueError:
        raise ValueError("must be a URL with a port from 1 to 65535") from None
    named = parts.scheme in {"http", "https"} and parts.hostname
    if not (named and sound and _PRINTABLE(value)):
        raise ValueError("must be an http:// or https:// URL")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must have no query, fragment or user name")
    return value


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Credential(_Settings):
    """The upstream's own credential, sent in place of every caller's."""

    header: str = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]{1,64}$")
    prefix: str = "Bearer "
    file: Path | None = None
    """File that holds the credential; setting it turns injection on."""


class UpstreamSettings(_Settings):
    """The one model API that is fronted."""

    url: str | None = None
    """Base URL, a path prefix included; the embedded sample model where absent."""
    ca_file: Path | None = None
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    credential: Credential = Credential()
    usage: Literal["ask", "never"] = "ask"
    """Whether streams are asked for their token usage where the client did not."""
    connect_timeout: Seconds = 5.0
    first_byte_timeout: Seconds = 600.0
    idle_timeout: Seconds = 300.0

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        return _url(value)


class TlsSettings(_Settings):
    """TLS on the data listener; plain HTTP where absent."""

    cert_file: Path | None = None
    """The certificate and what leads to its root, in PEM; read again when it changes."""
    key_file: Path | None = None
    """Its private key, without a passphrase; may stand in `cert_file` too."""
    client_ca_file: Path | None = None
    """Who signs callers' certificates; where given, nobody connects without one."""

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.cert_file is None and (self.key_file or self.client_ca_file):
            raise ValueError("key_file and client_ca_file need cert_file")
        return self


class ClientAddress(_Settings):
    """Where the client's address is read."""

    from_: Literal["peer", "x-forwarded-for", "forwarded"] = Field(default="peer", alias="from")
    trusted: Networks = ()
    """Hops whose forwarding header is believed; nobody by default, loopback included."""
    ja4_header: str | None = _HEADER
    """Where a trusted hop that ends TLS writes the caller's JA4; from anybody else it is taken off."""
    ipv4_subnet: int = Field(default=24, ge=8, le=32)
    ipv6_subnet: int = Field(default=56, ge=16, le=128)


class GatewaySettings(_Settings):
    """A gateway of your own that says for which account it asks."""

    trusted: Networks = ()
    account_header: str | None = _HEADER
    tier_header: str | None = _HEADER
    profile_header: str | None = _HEADER


class Limits(_Settings):
    """Bounds of the process and of each request."""

    header_bytes: Size = 32 * 1024
    header_count: int = Field(default=100, ge=8, le=10_000)
    body_bytes: Size = 32 * 1024**2
    body_memory: Size = 128 * 1024**2
    """All request bodies that are held at one time."""
    receive_timeout: Seconds = 30.0
    """Time for a request's head, and again for its body."""
    idle_connection_timeout: Seconds = 75.0
    concurrent_requests: int = Field(default=4096, ge=1)
    delayed_per_subject: int = Field(default=8, ge=0)
    delayed_total: int = Field(default=1000, ge=0)
    accepted_keys: int = Field(default=262_144, ge=1)
    """Keys that count by themselves because the upstream has accepted them, within a day."""
    accepted_keys_per_subnet: int = Field(default=16_384, ge=1)
    """The same, of callers in one network."""


class Drain(_Settings):
    """The end of the process."""

    grace: Seconds = 30.0
    """After SIGTERM, time for requests under way; what is left then is cut."""


class Log(_Settings):
    """The event log on standard output."""

    format: Literal["auto", "json", "console"] = "auto"
    addresses: Literal["full", "subnet", "hashed"] = "full"
    queue_bytes: Size = 64 * 1024**2


class StoreSettings(_Settings):
    """The shared counter store."""

    timeout: Seconds = 0.05


class NetworksSettings(_Settings):
    """What is known of addresses beyond what ships with Excise."""

    database: Paths = ()
    """MMDB files of your own (GeoLite2, DB-IP, IPinfo), over the embedded pack."""
    lists: Paths = ()
    """Operators' lists, over everything but private networks."""
    folder: Path | None = None
    """Where `excise networks refresh` keeps what it has fetched."""
    feeds: Annotated[tuple[Feed, ...], BeforeValidator(_feeds)] = ()
    feed_timeout: Seconds = 60.0
    """For one feed as a whole."""
    feed_bytes: Size = 64 * 1024**2
    feed_swing: float = Field(default=0.3, gt=0, le=10)
    """By what part the number of a feed's entries may change before it is refused."""

    @field_validator("feeds")
    @classmethod
    def _check_feeds(cls, value: tuple[Feed, ...]) -> tuple[Feed, ...]:
        names = [feed.name for feed in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"names `{twice[0]}` twice")
        return value


class ClassifierSettings(_Settings):
    """A service of the operator's that is sent prompts, for rules that say `classifier: true`."""

    url: str | None = None
    """Where prompts are posted; nobody is asked where absent."""
    timeout: Seconds = 2.0
    """For one answer as a whole."""
    max_queue: int = Field(default=256, ge=1, le=65_536)
    """Prompts that wait to be asked about; what comes beyond is dropped."""
    concurrent: int = Field(default=4, ge=1, le=256)
    """Prompts that are asked about at one time."""
    cache_entries: int = Field(default=4096, ge=1, le=1_000_000)
    """Answers that are remembered, by a keyed hash of the prompt."""
    cache_ttl: Seconds = 3600.0

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str | None) -> str | None:
        return _url(value)


class Settings(_Settings):
    """Everything about the process."""

    upstream: UpstreamSettings = UpstreamSettings()
    listen: str = "127.0.0.1:8080"
    tls: TlsSettings = TlsSettings()
    health_listen: str = "127.0.0.1:8081"
    admin_listen: str = "127.0.0.1:8082"
    admin_token: str | None = Field(default=None, min_length=MIN_TOKEN, repr=False)
    admin_token_file: Path | None = None
    policy: Path | None = None
    """default.yaml in front of the sample model, observe.yaml in front of a real one."""
    accounts: Path | None = None
    redis_url: str | None = Field(default=None, repr=False)
    """redis://, rediss://, redis+cluster:// or redis+sentinel://; counters in memory where absent."""
    replicas: int = Field(default=1, ge=1, le=10_000)
    """How many share the work: what one counts alone while the store is gone is divided by it."""
    secret: str | None = Field(default=None, repr=False)
    secret_file: Path | None = None
    secret_previous: str | None = Field(default=None, repr=False)
    secret_previous_file: Path | None = None
    mode: Literal["enforce", "shadow", "bypass"] = "enforce"
    client_address: ClientAddress = ClientAddress()
    key_header: str | None = _HEADER
    """The one header that holds callers' keys, where the gateway behind goes by it alone; all others are
    passed on unread. Where absent, a key may stand under any known name, and two are refused."""
    header_evidence: Literal["auto", "on", "off"] = "auto"
    """Whether the order of headers tells one program from another; auto: where no balancer that
    rewrites them stands in front, that is where `client_address.from` is `peer`."""
    gateway: GatewaySettings = GatewaySettings()
    networks: NetworksSettings = NetworksSettings()
    classifier: ClassifierSettings = ClassifierSettings()
    limits: Limits = Limits()
    drain: Drain = Drain()
    log: Log = Log()
    store: StoreSettings = StoreSettings()

    @field_validator("listen", "health_listen", "admin_listen")
    @classmethod
    def _check_listen(cls, value: str) -> str:
        listen_address(value)
        return value


def listen_address(text: str) -> tuple[str, int]:
    """(host, port) of `127.0.0.1:8080`, `[::1]:8080` or `:8080`. Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be an address and port such as `127.0.0.1:8080`")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - what `:8080` asks for


def leaves(
    model: type[BaseModel] = Settings, path: tuple[str, ...] = ()
) -> Iterator[tuple[str, ...]]:
    """The dotted paths of all settings."""
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, here)
        else:
            yield here


def environment_name(path: tuple[str, ...]) -> str:
    """The environment variable of a setting; EXCISE_UPSTREAM means `upstream.url`."""
    if path == ("upstream", "url"):
        return "EXCISE_UPSTREAM"
    return "EXCISE_" + "_".join(path).upper()


_BY_NAME = {environment_name(path): path for path in leaves()}
_OTHER_NAMES = frozenset({"EXCISE_CONFIG", "EXCISE_EVAL_DATA"})
# What Kubernetes sets in every pod beside a Service that is called `excise`.
_KUBERNETES = re.compile(r"EXCISE_(SERVICE_(HOST|PORT.*)|PORT(_.*)?)\Z").match


def load_settings(
    flags: Mapping[str, object], environ: Mapping[str, str], folder: Path
) -> Settings:
    """Settings from flags (dotted names), environment and excise.yaml in `folder`.

    Raises ConfigurationError with every mistake, each with where it came from.
    """
    mistakes: list[str] = []
    values: dict[str, Any] = {}
    origins: dict[tuple[str, ...], str] = {}
    _from_file(environ, folder, values, origins, mistakes)
    for name, text in environ.items():
        if not name.startswith("EXCISE_") or name in _OTHER_NAMES or _KUBERNETES(name):
            continue
        path = _BY_NAME.get(name)
        if path is None:
            near = nearest(name, [known.lower() for known in _BY_NAME])
            hint = f" (did you mean {near.upper()}?)" if near else ""
            mistakes.append(f"{name}: no such setting{hint}")
        elif text:
            _put(values, path, text)
            origins[path] = name
    for dotted, value in flags.items():
        if value is not None:
            path = tuple(dotted.split("."))
            _put(values, path, value)
            origins[path] = f"--{dotted.replace('.', '-').replace('_', '-')}"
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        mistakes += [
            _said(details["loc"], details["msg"], origins)
            for details in error.errors(include_url=False)
        ]
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))
    _check_together(settings)
    return settings


def _from_file(
    environ: Mapping[str, str],
    folder: Path,
    values: dict[str, Any],
    origins: dict[tuple[str, ...], str],
    mistakes: list[str],
) -> None:
    named = environ.get("EXCISE_CONFIG")
    file = Path(named) if named else folder / "excise.yaml"
    if not named and not file.exists():
        return
    try:
        tree = read_tree(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError):
        mistakes.append(f"{file}: cannot be read")
        return
    mistakes += map(str, tree.mistakes)
    if not isinstance(tree.data, dict):
        return
    if isinstance(tree.data.get("upstream"), str):
        tree.data["upstream"] = {"url": tree.data["upstream"]}
    values.update(tree.data)
    for place, (line, column) in tree.values.items():
        path = tuple(str(part) for part in place)
        origins[path] = f"{file}:{line}:{column}"


def _said(loc: tuple[str | int, ...], message: str, origins: Mapping[tuple[str, ...], str]) -> str:
    path = tuple(str(part) for part in loc)
    known = path
    while known and known not in origins:
        known = known[:-1]
    words = message.removeprefix("Value error, ")
    words = words.replace("Extra inputs are not permitted", "no such setting")
    words = words.replace("Input should be", "must be")
    return f"{origins.get(known, 'settings')}: `{'.'.join(path)}`: {words}"


def _put(values: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    for part in path[:-1]:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            return  # what stands there instead is a mistake of its own, told with its place
        values = inner
    values[path[-1]] = value


def _check_together(settings: Settings) -> None:
    """What no single setting can tell. Raises ConfigurationError."""
    mistakes: list[str] = []
    injects = settings.upstream.credential.file is not None
    if injects and settings.accounts is None:
        mistakes.append(
            "upstream.credential sends your own key for every caller, so Excise must know its callers: "
            "set `accounts` (EXCISE_ACCOUNTS), or it would be an open relay"
        )
    has_secret = settings.secret is not None or settings.secret_file is not None
    if not has_secret and settings.redis_url is not None:
        mistakes.append(
            "a shared store needs a secret that all replicas share: set EXCISE_SECRET or EXCISE_SECRET_FILE"
        )
    if not has_secret and settings.accounts is not None:
        mistakes.append(
            "the key ids in an accounts file need a lasting secret: set EXCISE_SECRET or EXCISE_SECRET_FILE"
        )
    mistakes += [
        f"`{name}` and `{name}_file` exclude each other"
        for name in ("secret", "secret_previous", "admin_token")
        if getattr(settings, name) is not None and getattr(settings, f"{name}_file") is not None
    ]
    if (settings.upstream.client_key_file is None) != (settings.upstream.client_cert_file is None):
        mistakes.append("upstream.client_cert_file and upstream.client_key_file go together")
    if settings.client_address.from_ != "peer" and not settings.client_address.trusted:
        mistakes.append(
            "client_address.from names a header, and client_address.trusted nobody whose header it is"
        )
    gateway = settings.gateway
    if (gateway.account_header is not None) != bool(gateway.trusted):
        mistakes.append("gateway.trusted and gateway.account_header go together")
    if settings.networks.feeds and settings.networks.folder is None:
        mistakes.append("networks.feeds need a place: set networks.folder")
    if settings.limits.body_bytes > settings.limits.body_memory:
        mistakes.append("limits.body_bytes cannot be more than limits.body_memory")
    if mistakes:
        raise ConfigurationError("\n".join(mistakes))


def read_secret_file(path: Path) -> bytes:
    """A secret's file without the line end. Raises ConfigurationError."""
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None


def settings_table() -> str:
    """The Markdown table of docs/settings.md."""
    rows = ["| setting | environment | default |", "|---|---|---|"]
    for path in leaves():
        value: Any = Settings()
        for part in path:
            value = getattr(value, "from_" if part == "from" else part)
        shown = "" if value in (None, ()) else f"`{value}`"
        rows.append(f"| `{'.'.join(path)}` | `{environment_name(path)}` | {shown} |")
    return "\n".join(rows)
