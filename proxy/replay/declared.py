"""
What an accounts file would say of the keys in a record, learnt line by line.

A real accounts file comes first; of a key that it does not name, the record's `declared` counts, and of no
other key.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from proxy.client.accounts import Account, Accounts
from proxy.client.credentials import find_key
from proxy.client.secret import Secret
from proxy.head import Head

MAX_KEYS: Final = 262_144
"""Keys that are remembered; each line says anew what is declared of its own."""


class DeclaredAccounts(Accounts):
    """An accounts file that grows."""

    __slots__ = ("_declared", "_file", "_secret")

    def __init__(self, file: Accounts | None, secret: Secret) -> None:
        super().__init__({}, ())
        self._file = file
        self._secret = secret
        self._declared: OrderedDict[bytes, tuple[str, Account]] = OrderedDict()

    def of_key(self, key_id: str) -> Account | None:
        """See `Accounts.of_key`."""
        found = None if self._file is None else self._file.of_key(key_id)
        return self._by_key.get(key_id) if found is None else found

    def declare(self, head: Head, account: Account) -> bool:
        """Take over what is said of the head's key; whether anything has changed."""
        key = find_key(head)
        if not isinstance(key, bytes):
            return False
        known = self._declared.get(key)
        if known is not None and (known[1] is account or known[1] == account):
            return False
        key_id = self._secret.key_id(key) if known is None else known[0]
        self._declared[key] = key_id, account
        self._by_key[key_id] = account
        if len(self._declared) > MAX_KEYS:
            _, (oldest, _) = self._declared.popitem(last=False)
            del self._by_key[oldest]
        return True
