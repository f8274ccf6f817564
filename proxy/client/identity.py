"""
identify: headers and peer → Client. Nothing is decided here but who is asking.

An unmapped key is its own account. While no accounts file says who is known, a key is provisional
until the upstream has accepted it once, so that invented keys leave no state behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from proxy.client.accounts import Account, Accounts
from proxy.client.address import AddressResolver, Network, canonical, parsed, subnet
from proxy.client.credentials import find_key
from proxy.client.proven import ProvenKeys
from proxy.client.secret import Secret
from proxy.errors import Refusal
from proxy.facts import AccountSource, Client
from proxy.head import Head
from proxy.networks.info import UNLOOKED, NetworkInfo
from proxy.networks.lookup import Networks
from proxy.policy.model import Keys

MAX_USER_AGENT = 256
_CACHED_BYTES = 256
"""Longer keys and names are hashed anew each time: callers choose their length, and a cache keeps them."""
MISSING = Refusal(401, "missing_key", "An API key is required.")
UNKNOWN = Refusal(401, "unknown_key", "The API key is not known here.")
AMBIGUOUS_ACCOUNT = Refusal(
    400, "ambiguous_account", "The gateway must name one account, in printable ASCII."
)


_USER_AGENT = frozenset({b"user-agent"})
_WORD = re.compile(rb"[\x20-\x7e]{1,128}").fullmatch


_JA4 = re.compile(rb"[tqd][0-9s][0-9][di][0-9]{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}").fullmatch
"""A TLS client's fingerprint as FoxIO's JA4 writes it: `t13d1516h2_8daaf6152771_02713d6af862`."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Hops that may say for whom they ask. From anybody else these headers do not pass."""

    trusted: tuple[Network, ...] = ()
    account_header: str | None = None
    tier_header: str | None = None
    profile_header: str | None = None

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers that only a trusted gateway may send."""
        named = (self.account_header, self.tier_header, self.profile_header)
        return tuple(name for name in named if name is not None)


class Identifier:
    """Makes the Client of a request."""

    def __init__(
        self,
        secret: Secret,
        *,
        accounts: Accounts | None = None,
        resolver: AddressResolver | None = None,
        gateway: Gateway | None = None,
        proven: ProvenKeys | None = None,
        only_known: bool = False,
        subnet_bits: tuple[int, int] = (24, 56),
        networks: Networks | None = None,
        ja4_header: str | None = None,
        key_header: str | None = None,
    ) -> None:
        self._secret = secret
        self._accounts = accounts
        self._resolver = resolver or AddressResolver()
        self._gateway = gateway or Gateway()
        self._gateway_headers = self._gateway.headers
        self._proven = proven if proven is not None else ProvenKeys()
        self._only_known = only_known
        self._ja4_header = ja4_header
        self._key_header = None if key_header is None else key_header.lower().encode()
        self._subnet_bits = subnet_bits
        self._ids = lru_cache(maxsize=16_384)(self._identify_key)
        self._end_users = lru_cache(maxsize=16_384)(secret.end_user_id)
        self._network_of = None if networks is None else _cached(networks)

    @property
    def only_known(self) -> bool:
        """Whether unknown keys are refused in every mode, since ours would be sent for them."""
        return self._only_known

    def replace_accounts(self, accounts: Accounts) -> None:
        """Put another accounts file in force, from the next request on."""
        self._accounts = accounts
        self._ids.cache_clear()

    def replace_networks(self, networks: Networks) -> None:
        """Put other knowledge of networks in force, from the next request on."""
        self._network_of = _cached(networks)

    def identify(self, head: Head, now: float, keys: Keys) -> tuple[Client, Refusal | None]:
        """Who is asking, and why that is not enough to be served, if it is not."""
        address, note = self._resolver.resolve(head)
        found = find_key(head, self._key_header)
        flaw: Refusal | None = None
        key_id: str | None = None
        account: Account | None = None
        unproven = False
        if isinstance(found, bytes):
            identify_key = self._ids if len(found) <= _CACHED_BYTES else self._identify_key
            key_id, account = identify_key(found)
        elif found is not None:
            flaw = found
        if self._gateway_headers and self._ill_named(head):
            flaw = AMBIGUOUS_ACCOUNT
        name, tier, profile, source = self._owner(head, key_id, account)
        if key_id is None and flaw is None:
            missing_matters = keys.missing == "block" or self._only_known
            flaw = MISSING if missing_matters and source != "gateway" else None
        elif key_id is not None and source == "key":
            if keys.unknown == "block" or self._only_known:
                flaw = UNKNOWN
            unproven = not self._proven.is_proven(key_id, now)
        network = UNLOOKED if self._network_of is None else self._network_of(address)
        filed = account if source == "file" else None
        # By position: by name, its fields cost more than the rest of this.
        client = Client(
            address,
            subnet(address, *self._subnet_bits),
            key_id,
            name,
            source,
            tier,
            profile,
            unproven,
            unproven and keys.unknown == "provisional",
            _user_agent(head),
            None if self._ja4_header is None else self._ja4(head, self._ja4_header),
            network.asn,
            network.organization,
            network.kind,
            network.country,
            None if filed is None else filed.since,
            filed is not None and filed.declares(address),
            () if note is None else (note,),
        )
        return client, flaw

    def end_user_id(self, client: Client, end_user: str) -> str | None:
        """The keyed id of an end user of this client's account."""
        if client.account is None:
            return None
        cached = len(end_user) <= _CACHED_BYTES
        return (self._end_users if cached else self._secret.end_user_id)(client.account, end_user)

    def withheld(self, head: Head) -> tuple[str, ...]:
        """Headers that do not pass from this peer: a gateway's own, `X-Excise-*`, and the key where ours
        takes its place."""
        names = tuple([name.decode("latin-1") for name in head.layout.ours])
        if self._gateway_headers and not self._from_gateway(head):
            names += self._gateway_headers
        if self._key_header is not None and self._only_known:
            names += (self._key_header.decode(),)
        if self._ja4_header is not None and not self._resolver.trusts(head):
            names += (self._ja4_header,)
        return names

    def _ja4(self, head: Head, header: str) -> str | None:
        if not self._resolver.trusts(head):
            return None
        values = head.values(header.lower().encode())
        found = _JA4(values[0].strip()) if len(values) == 1 else None
        return None if found is None else found[0].decode()

    def _identify_key(self, key: bytes) -> tuple[str, Account | None]:
        key_id = self._secret.key_id(key)
        if self._accounts is None:
            return key_id, None
        account = self._accounts.of_key(key_id)
        if account is None and (before := self._secret.previous_key_id(key)) is not None:
            account = self._accounts.of_key(before)
        return key_id, account

    def _owner(
        self, head: Head, key_id: str | None, account: Account | None
    ) -> tuple[str | None, str | None, str | None, AccountSource | None]:
        gateway = self._gateway
        if gateway.account_header is not None and self._from_gateway(head):
            name = _one(head, gateway.account_header)
            if name is not None:
                tier = _one(head, gateway.tier_header)
                return name, tier, _one(head, gateway.profile_header), "gateway"
        if account is not None:
            return account.account, account.tier, account.profile, "file"
        return (key_id, None, None, "key") if key_id is not None else (None, None, None, None)

    def _ill_named(self, head: Head) -> bool:
        """Whether the gateway itself says something that could be read in two ways."""
        return self._from_gateway(head) and any(
            head.values(name.lower().encode()) and _one(head, name) is None
            for name in self._gateway_headers
        )

    def _from_gateway(self, head: Head) -> bool:
        peer = canonical(head.peer)
        return peer is not None and _within(peer, self._gateway.trusted)


def _cached(networks: Networks) -> Callable[[str], NetworkInfo]:
    return lru_cache(maxsize=16_384)(networks.lookup)


def _within(address: str, networks: Sequence[Network]) -> bool:
    at = parsed(address)
    return any(at in network for network in networks)


def _one(head: Head, name: str | None) -> str | None:
    """The value of a header that stands once, as printable text of at most 128 characters."""
    if name is None:
        return None
    values = head.values(name.lower().encode())
    if len(values) != 1:
        return None
    text = values[0].strip()
    return text.decode("ascii") if _WORD(text) else None


def _user_agent(head: Head) -> str | None:
    for _, value in head.among(_USER_AGENT):
        return value[:MAX_USER_AGENT].decode("ascii", "replace")
    return None
