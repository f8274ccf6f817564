"""
Subjects: whom a rule counts, as the text that names a counter's owner in the store.

A subject's values are percent-encoded to a safe alphabet and hashed when long, so that no caller's
text ever shapes a key, and braces (Redis Cluster's hash tags) never occur in one.
"""

from __future__ import annotations

import hashlib
import ipaddress
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
    fingerprint = facts.signals.client
    return None if fingerprint is None else f"client_fingerprint:{safe(fingerprint)}"


def _ja4(facts: Facts) -> str | None:
    return None if facts.client.ja4 is None else f"ja4:{facts.client.ja4}"


def _template(facts: Facts) -> str | None:
    template = facts.signals.template
    return None if template is None else f"template:{template}"


NO_MODEL: Final = "model:(none)"
"""Whoever names no model. Parentheses stand in no text that `safe` makes: no caller can name this one."""


def _model(facts: Facts) -> str | None:
    ask = facts.ask
    if ask is None:
        return None
    # Some upstreams serve a default to whoever names none, who is no freer of limits for that.
    return NO_MODEL if ask.model is None else f"model:{safe(ask.model)}"


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
    "ja4": _ja4,
    "model": _model,
    "template": _template,
    "campaign": lambda facts: None if facts.campaign is None else f"campaign:{facts.campaign}",
}
"""What `per:` may name."""

FROM_BODY: Final = frozenset({"client_fingerprint", "end_user", "model", "template"})
"""Subjects that are known only once the body has been read."""

CHOSEN_BY_CALLERS: Final = frozenset({"client_fingerprint", "ja4", "model", "template"})
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


def kind_of(subject: str) -> str:
    """What a counter's owner is, and never who: `account`, `account,model`, `end_user`; `unproven` is the
    address of keys that nobody has vouched for, `overflow` whoever came after too many others."""
    if subject.startswith("overflow:"):
        return "overflow"
    kinds = [part.partition(":")[0] for part in subject.split("|")]
    # An end user is one of an account's: that comes before it in each name, and says nothing more.
    ends = [kind for kind, then in zip(kinds, [*kinds[1:], ""], strict=True) if then != "end_user"]
    return ",".join(ends)


BANNABLE: Final = ("account", "address", "api_key", "campaign", "end_user", "subnet")
"""Subjects that may be banned or carry suspicion: those that a request has whatever it asks, and that
nobody else can put on like a coat."""

KEY_ID: Final = re.compile(r"key_[a-z2-7]{16}").fullmatch
"""Whether a text has the form of a key's id."""

_TEMPLATE = re.compile(r"tpl_[0-9a-f]{16}").fullmatch
_CAMPAIGN = re.compile(r"cmp_[a-z2-7]{16}").fullmatch
_ENCODED = re.compile(r"(?:[A-Za-z0-9._:/@+-]|%[0-9A-F]{2}){1,64}").fullmatch


def banned_as(facts: Facts, names: tuple[str, ...]) -> list[str]:
    """All names by which a ban could mean this request: a provisional key's own ones too."""
    client = facts.client
    subjects = [subject for name in names if (subject := SUBJECTS[name](facts)) is not None]
    if client.provisional:
        if client.key_id is not None and "api_key" in names:
            subjects.append(f"api_key:{client.key_id}")
        if client.account is not None and "account" in names:
            subjects.append(f"account:{safe(client.account)}")
    return subjects


def read_subject(text: str, allowed: tuple[str, ...] = BANNABLE) -> str:
    """A subject as operators write it (`account:acme`, `address:203.0.113.7`), as counters name it.

    Raises ValueError in operators' words.
    """
    known = ", ".join(f"{name}:…" for name in allowed if name != "end_user")
    owner, bar, end_user = text.partition("|")
    if bar and "end_user" in allowed and owner.startswith("account:"):
        kind, _, value = end_user.partition(":")
        if kind == "end_user" and value:
            return f"{read_subject(owner, allowed)}|end_user:{_kept(value)}"
    kind, _, value = text.partition(":")
    if bar or kind not in allowed or kind == "end_user" or not value:
        raise ValueError(f"A subject is one of {known}")
    return f"{kind}:{_READERS[kind](value)}"


def _named(form: Callable[[str], object], complaint: str) -> Callable[[str], str]:
    """Reads names that we have made ourselves."""

    def read(value: str) -> str:
        if not form(value):
            raise ValueError(complaint)
        return value

    return read


def _kept(value: str) -> str:
    """A value that is in the safe alphabet already, as a list shows it, stays as it is."""
    return value if _ENCODED(value) else safe(value)


def _address(value: str) -> str:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise ValueError("An address is written as `203.0.113.7` or `2001:db8::7`.") from None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise ValueError("A subnet is written as `203.0.113.0/24`.") from None


_READERS: Final[dict[str, Callable[[str], str]]] = {
    "account": _kept,
    "address": _address,
    "api_key": _named(KEY_ID, "An API key is named by its id (`key_…`), never by itself."),
    "campaign": _named(_CAMPAIGN, "A campaign is named as events show it, `campaign:cmp_…`."),
    "subnet": _network,
    "template": _named(_TEMPLATE, "A template is named as events show it, `template:tpl_…`."),
}
"""How operators write a subject's value → as counters name it."""
