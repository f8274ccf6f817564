"""
accounts.yaml: which keys belong to whom. Keys stand there as keyed ids, never as secrets.

    version: 1
    accounts:
      - account: acme
        tier: pro
        profile: rag
        networks: [10.0.0.0/8]
        since: 2025-06-01
        keys: [key_pj4e2mqx7k3t5w6a]
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proxy.client.address import Network, parsed
from proxy.errors import ConfigurationError
from proxy.facts import PROFILES
from proxy.nearest import nearest
from proxy.policy.mistake import MistakenFileError
from proxy.policy.yamltree import Tree, read_tree

_FIELDS = ("account", "keys", "networks", "profile", "since", "tier")
_KEY_ID = re.compile(r"key_[a-z2-7]{16}\Z").match
_WORD = re.compile(r"[\x21-\x7e]{1,128}\Z").match


@dataclass(frozen=True, slots=True)
class Account:
    """One account of the file."""

    account: str
    tier: str | None = None
    profile: str | None = None
    networks: tuple[Network, ...] = ()
    """Where the account's servers stand, as it has declared."""
    since: float | None = None
    """Unix time of the day, in UTC, that it became a customer on."""

    def declares(self, address: str) -> bool:
        """Whether a canonical address stands in the declared networks."""
        if not self.networks:
            return False
        at = parsed(address)
        return any(at in network for network in self.networks)


class Accounts:
    """Key id → account. Immutable."""

    __slots__ = ("_by_key", "listed")

    def __init__(self, by_key: Mapping[str, Account], listed: Sequence[Account] = ()) -> None:
        self._by_key = dict(by_key)
        self.listed = tuple(listed)
        """All, in the file's order, those without a key among them."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.listed)

    def key_ids(self) -> dict[str, list[str]]:
        """Account → the ids of its keys, where it has any."""
        found: dict[str, list[str]] = {}
        for key_id, account in self._by_key.items():
            found.setdefault(account.account, []).append(key_id)
        return found

    def of_key(self, key_id: str) -> Account | None:
        """The account that a key belongs to."""
        return self._by_key.get(key_id)


def load_accounts(path: Path) -> Accounts:
    """Load the file. Raises ConfigurationError with all of its mistakes."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise ConfigurationError(f"{path}: cannot be read: {reason}") from None
    tree = read_tree(text, str(path))
    accounts = read_accounts(tree) if not tree.mistakes else None
    if tree.mistakes or accounts is None:
        raise MistakenFileError(sorted(tree.mistakes))
    return accounts


def read_accounts(tree: Tree) -> Accounts:
    """The accounts of what was read; mistakes are noted in it."""
    return _Reader(tree).accounts()


class _Reader:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._by_key: dict[str, Account] = {}
        self._names: set[str] = set()
        self._listed: list[Account] = []

    def accounts(self) -> Accounts:
        tree, data = self._tree, self._tree.data
        if not isinstance(data, dict) or data.get("version") != 1:
            tree.mistake((), "an accounts file begins with `version: 1`")
            return Accounts({})
        for key in data.keys() - {"version", "accounts"}:
            tree.mistake(
                (key,), f"`{key}` is not known here", nearest(key, ("accounts",)), key=True
            )
        listed = data.get("accounts")
        if not isinstance(listed, list):
            tree.mistake(("accounts",), "`accounts` must be a list")
            return Accounts({})
        for at, item in enumerate(listed):
            self._account(item, at)
        return Accounts(self._by_key, self._listed)

    def _account(self, item: Any, at: int) -> None:
        tree, place = self._tree, ("accounts", at)
        if not isinstance(item, dict):
            tree.mistake(place, "an account holds named fields: `account`, `keys`, …")
            return
        for key in item:
            if key not in _FIELDS:
                near = nearest(key, _FIELDS)
                tree.mistake((*place, key), f"`{key}` is not known here", near, key=True)
        name, tier = self._word(item, "account", at), self._word(item, "tier", at)
        if name is None and "account" not in item:
            tree.mistake(place, "`account` is required")
        if name in self._names:
            tree.mistake((*place, "account"), f"`{name}` stands in this file twice")
        profile = item.get("profile")
        if profile is not None and profile not in PROFILES:
            near = nearest(str(profile), PROFILES)
            message = f"`profile` must be one of {', '.join(PROFILES)}"
            tree.mistake((*place, "profile"), message, near)
        if name is not None:
            self._names.add(name)
            networks, since = self._networks(item, at), self._since(item, at)
            self._listed.append(Account(name, tier, profile, networks, since))
            self._keys(item, at, self._listed[-1])

    def _word(self, item: dict[str, Any], field: str, at: int) -> str | None:
        value = item.get(field)
        if value is None:
            return None
        if not isinstance(value, str) or not _WORD(value):
            message = f"`{field}` must be a word of printable ASCII, at most 128 characters"
            self._tree.mistake(("accounts", at, field), message)
            return None
        return value

    def _since(self, item: dict[str, Any], at: int) -> float | None:
        value = item.get("since")
        if value is None:
            return None
        try:
            day = datetime.date.fromisoformat(value if isinstance(value, str) else "")
        except ValueError:
            place = ("accounts", at, "since")
            self._tree.mistake(place, "`since` must be a day such as `2025-06-01`")
            return None
        midnight = datetime.datetime.combine(day, datetime.time(), datetime.UTC)
        return midnight.timestamp()

    def _networks(self, item: dict[str, Any], at: int) -> tuple[Network, ...]:
        networks: list[Network] = []
        for index, text in enumerate(self._list(item, "networks", at)):
            try:
                networks.append(ipaddress.ip_network(text if isinstance(text, str) else ""))
            except ValueError:
                place = ("accounts", at, "networks", index)
                self._tree.mistake(place, "must be a network such as `10.0.0.0/8`")
        return tuple(networks)

    def _keys(self, item: dict[str, Any], at: int, account: Account) -> None:
        for index, key_id in enumerate(self._list(item, "keys", at)):
            place = ("accounts", at, "keys", index)
            if not isinstance(key_id, str) or not _KEY_ID(key_id):
                message = "must be a key id (`key_…`), never the key itself"
                self._tree.mistake(place, message)
            elif key_id in self._by_key:
                owner = self._by_key[key_id].account
                self._tree.mistake(place, f"this key belongs to `{owner}` already")
            else:
                self._by_key[key_id] = account

    def _list(self, item: dict[str, Any], field: str, at: int) -> list[Any]:
        value = item.get(field, [])
        if isinstance(value, list):
            return value
        self._tree.mistake(("accounts", at, field), f"`{field}` must be a list")
        return []
