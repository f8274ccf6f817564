"""
Subjects: whom a rule counts, as the text that names a counter's owner in the store.

A subject's values are percent-encoded to a safe alphabet and hashed when long, so that no caller's
text ever shapes a key, and braces (Redis Cluster's hash tags) never occur in one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from proxy.facts import Facts

MAX_VALUE = 64
_SAFE = re.compile(r"[A-Za-z0-9._:/@+-]{1,64}\Z").match


def safe(value: str) -> str:
    """A value in the safe alphabet, at most MAX_VALUE characters."""
    if _SAFE(value):
        return value
    encoded = quote(value, safe="._:/@+-", errors="surrogatepass")
    if len(encoded) <= MAX_VALUE and encoded:
        return encoded
    raw = value.encode("utf-8", "surrogatepass")
    return "h." + hashlib.blake2b(raw, digest_size=16).hexdigest()


def _api_key(facts: Facts) -> str | None:
    client = facts.client
    if client.key_id is None:
        return None
    if client.provisional:
        return f"unproven:{client.address}"
    return f"api_key:{client.key_id}"


def _account(facts: Facts) -> str | None:
    client = facts.client
    if client.account is None:
        return None
    if client.provisional:
        return f"unproven:{client.address}"
    return f"account:{safe(client.account)}"


def _end_user(facts: Facts) -> str | None:
    if facts.end_user is None:
        return None
    account = _account(facts)
    return None if account is None else f"{account}|end_user:{safe(facts.end_user)}"


def _asn(facts: Facts) -> str | None:
    return None if facts.client.asn is None else f"asn:{facts.client.asn}"


def _country(facts: Facts) -> str | None:
    return None if facts.client.country is None else f"country:{safe(facts.client.country)}"


def _fingerprint(facts: Facts) -> str | None:
    fingerprint = facts.client.fingerprint
    return None if fingerprint is None else f"client_fingerprint:{safe(fingerprint)}"


def _model(facts: Facts) -> str | None:
    ask = facts.ask
    return None if ask is None or ask.model is None else f"model:{safe(ask.model)}"


SubjectOf = Callable[[Facts], str | None]

SUBJECTS: Final[dict[str, SubjectOf]] = {
    "api_key": _api_key,
    "account": _account,
    "end_user": _end_user,
    "address": lambda facts: f"address:{facts.client.address}",
    "subnet": lambda facts: f"subnet:{facts.client.subnet}",
    "asn": _asn,
    "country": _country,
    "client_fingerprint": _fingerprint,
    "model": _model,
}
"""What `per:` may name."""

FROM_BODY: Final = frozenset({"end_user", "model"})
"""Subjects that are known only once the body has been read."""

CHOSEN_BY_CALLERS: Final = frozenset({"client_fingerprint", "model"})
"""Subjects that a caller picks freely: alone, they may only log or score."""


def subject_of(names: tuple[str, ...]) -> SubjectOf:
    """One function for a `per:`; several names make one composite subject."""
    if len(names) == 1:
        return SUBJECTS[names[0]]
    parts = [SUBJECTS[name] for name in names]

    def composite(facts: Facts) -> str | None:
        texts = [part(facts) for part in parts]
        return None if None in texts else "|".join(str(text) for text in texts)

    return composite
