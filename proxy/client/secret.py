"""
The process secret, and the keyed ids made with it.

Every purpose has its own subkey, so that an id of one purpose says nothing about another. Ids are one
way: who has the log or the store but not the secret cannot test a guessed key against them.
"""

from __future__ import annotations

import base64
import hashlib
import secrets

MIN_BYTES = 16
_PURPOSES = ("key", "end-user", "item", "fingerprint")


class Secret:
    """The secret in force, and the one before it while a rotation is under way."""

    __slots__ = ("_current", "_previous", "ephemeral")

    def __init__(
        self, current: bytes, previous: bytes | None = None, *, ephemeral: bool = False
    ) -> None:
        self._current = _subkeys(current)
        self._previous = _subkeys(previous) if previous is not None else None
        self.ephemeral = ephemeral
        """True where the process has made it up for itself: ids change at every start."""

    @classmethod
    def random(cls) -> Secret:
        """A secret that ends with the process."""
        return cls(secrets.token_bytes(32), ephemeral=True)

    def __repr__(self) -> str:
        return "Secret(…)"

    def key_id(self, key: bytes) -> str:
        """`key_` and 16 base32 characters: 80 bits of a keyed hash of an API key."""
        return _key_id(self._current["key"], key)

    def previous_key_id(self, key: bytes) -> str | None:
        """The id that the key had before the rotation; None where there is no previous secret."""
        return _key_id(self._previous["key"], key) if self._previous is not None else None

    def end_user_id(self, account: str, end_user: str) -> str:
        """`eu_` and 16 base32 characters; one end user's ids differ from account to account."""
        text = f"{len(account)}:{account}{end_user}".encode("utf-8", "surrogatepass")
        return "eu_" + _base32(_hash(self._current["end-user"], text, 10))

    def item_hash(self, data: bytes) -> int:
        """A 64-bit keyed hash, for the items of `Distinct` and `Seen` counters."""
        return int.from_bytes(_hash(self._current["item"], data, 8), "big")

    def fingerprints(self) -> tuple[str, ...]:
        """Names for the secrets in use, current first, that replicas may compare."""
        kept = (self._current, self._previous)
        return tuple(_hash(keys["fingerprint"], b"", 8).hex() for keys in kept if keys is not None)


def _subkeys(secret: bytes) -> dict[str, bytes]:
    root = hashlib.blake2b(secret, digest_size=32, person=b"excise-root-v1").digest()
    return {purpose: _hash(root, purpose.encode(), 32) for purpose in _PURPOSES}


def _hash(key: bytes, data: bytes, size: int) -> bytes:
    return hashlib.blake2b(data, key=key, digest_size=size).digest()


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").lower()


def _key_id(subkey: bytes, key: bytes) -> str:
    return "key_" + _base32(_hash(subkey, key, 10))
