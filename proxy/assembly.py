"""Parts made from settings: each function reads one corner of them and returns a finished part."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path

from proxy.classifier import Classifier, Result
from proxy.client.accounts import Accounts
from proxy.client.address import AddressResolver
from proxy.client.identity import Gateway, Identifier
from proxy.client.proven import ProvenKeys
from proxy.client.secret import MIN_BYTES, Secret
from proxy.clock import Clock
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Store
from proxy.counters.redis import RedisStore
from proxy.derive import Deriver
from proxy.edge.body import BodyMemory
from proxy.edge.exchange import Edge
from proxy.edge.lanes import DelayLanes
from proxy.edge.relay import Timeouts
from proxy.edge.server import ServerLimits
from proxy.edge.tls import ListenerTls
from proxy.edge.upstream import Upstream, tls_context
from proxy.edge.upstream_pool import UpstreamPool
from proxy.edge.watch import Watch
from proxy.errors import ConfigurationError
from proxy.networks.lookup import Networks
from proxy.settings import MIN_TOKEN, Settings, read_secret_file


def make_deriver(settings: Settings, secret: Secret) -> Deriver:
    """What derives signals. A balancer in front of us makes all callers' headers alike."""
    direct = settings.client_address.from_ == "peer"
    evidence = direct if settings.header_evidence == "auto" else settings.header_evidence == "on"
    return Deriver(secret.item_hash, header_evidence=evidence)


def make_secret(settings: Settings) -> Secret:
    """The process secret. Raises ConfigurationError where one is too short."""

    def one(text: str | None, file: Path | None, name: str) -> bytes | None:
        raw = text.encode() if text is not None else read_secret_file(file) if file else None
        if raw is not None and len(raw) < MIN_BYTES:
            raise ConfigurationError(f"`{name}` must have at least {MIN_BYTES} bytes")
        return raw

    current = one(settings.secret, settings.secret_file, "secret")
    if current is None:
        return Secret.random()
    previous = one(settings.secret_previous, settings.secret_previous_file, "secret_previous")
    return Secret(current, previous)


def read_credential(settings: Settings) -> tuple[str, str] | None:
    """(header, value) of the upstream's own credential. Raises ConfigurationError."""
    credential = settings.upstream.credential
    if credential.file is None:
        return None
    value = read_secret_file(credential.file)
    if not value or not all(0x20 <= byte <= 0x7E for byte in value):
        raise ConfigurationError(f"{credential.file}: must hold one line of printable ASCII")
    return credential.header, credential.prefix + value.decode("ascii")


def read_admin_token(settings: Settings) -> str | None:
    """The admin API's token. Raises ConfigurationError."""
    file = settings.admin_token_file
    if file is None:
        return settings.admin_token
    token = read_secret_file(file)
    if not token.isascii() or len(token) < MIN_TOKEN:
        raise ConfigurationError(f"{file}: must hold at least {MIN_TOKEN} characters of ASCII")
    return token.decode("ascii")


def make_identifier(
    settings: Settings,
    secret: Secret,
    accounts: Accounts | None,
    proven: ProvenKeys,
    networks: Networks,
    *,
    only_known: bool,
) -> Identifier:
    """Who is asking."""
    address, gateway = settings.client_address, settings.gateway
    return Identifier(
        secret,
        accounts=accounts,
        resolver=AddressResolver(address.from_, address.trusted),
        gateway=Gateway(
            gateway.trusted, gateway.account_header, gateway.tier_header, gateway.profile_header
        ),
        proven=proven,
        only_known=only_known,
        subnet_bits=(address.ipv4_subnet, address.ipv6_subnet),
        networks=networks,
        ja4_header=address.ja4_header,
        key_header=settings.key_header,
    )


def make_store(settings: Settings, clock: Clock) -> Store:
    """Where counters are kept. Raises ConfigurationError for a URL that cannot be used."""
    if settings.redis_url is None:
        return MemoryStore(clock=clock)
    return RedisStore(settings.redis_url, timeout=settings.store.timeout)


def make_upstream(settings: Settings, url: str) -> UpstreamPool:
    """The upstream's client. Raises ConfigurationError for TLS files that cannot be used."""
    upstream = settings.upstream
    files = (upstream.ca_file, upstream.client_cert_file, upstream.client_key_file)
    try:
        tls = tls_context(*(None if file is None else str(file) for file in files))
    except OSError as error:
        raise ConfigurationError(f"upstream TLS files: {error.strerror or error}") from None
    return UpstreamPool(url, connect_timeout=upstream.connect_timeout, tls=tls)


def make_classifier(
    settings: Settings,
    secret: Secret,
    clock: Clock,
    *,
    on_result: Callable[[Result], None],
    on_state: Callable[[bool, str], None],
    on_fault: Callable[[BaseException], None],
) -> Classifier | None:
    """Who is asked what prompts are about, where the operator names somebody."""
    classifier = settings.classifier
    if classifier.url is None:
        return None
    return Classifier(
        classifier.url,
        clock=clock,
        item_hash=secret.item_hash,
        on_result=on_result,
        on_state=on_state,
        on_fault=on_fault,
        timeout=classifier.timeout,
        max_queue=classifier.max_queue,
        concurrent=classifier.concurrent,
        cache_entries=classifier.cache_entries,
        cache_ttl=classifier.cache_ttl,
    )


def make_listener_tls(settings: Settings) -> ListenerTls | None:
    """TLS towards callers. Raises ConfigurationError for files that cannot be used."""
    tls = settings.tls
    if tls.cert_file is None:
        return None
    return ListenerTls(tls.cert_file, tls.key_file, tls.client_ca_file)


def make_edge(settings: Settings, upstream: Upstream, watch: Watch) -> Edge:
    """What all exchanges share."""
    limits = settings.limits
    return Edge(
        upstream=upstream,
        watch=watch,
        lanes=DelayLanes(per_subject=limits.delayed_per_subject, total=limits.delayed_total),
        memory=BodyMemory(limits.body_memory),
        timeouts=Timeouts(settings.upstream.first_byte_timeout, settings.upstream.idle_timeout),
        header_bytes=limits.header_bytes,
        body_limit=limits.body_bytes,
        receive_timeout=limits.receive_timeout,
    )


def server_limits(settings: Settings) -> ServerLimits:
    """What one connection may ask for."""
    limits = settings.limits
    return ServerLimits(
        limits.header_bytes,
        limits.header_count,
        limits.receive_timeout,
        limits.idle_connection_timeout,
    )


def collect_garbage_less() -> None:
    """What lives as long as the process need not be looked at again and again: 6 % of a request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
