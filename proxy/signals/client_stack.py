"""
Which program wrote a request: told by the order and set of its headers and its style of JSON, and beside it
what its User-Agent claims. Where the two disagree, somebody is in between, or pretends.

A balancer that rewrites headers makes all callers alike: then `header_evidence` is off, and the User-Agent
and the style of JSON stand alone.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from proxy.head import Head
from proxy.signals.json_style import JsonStyle
from proxy.value import value

MAX_NAMES: Final = 64
"""Headers that are looked at."""

_CLAIMS: Final = (
    (b"openai/python", "httpx"),
    (b"asyncopenai/python", "httpx"),
    (b"anthropic/python", "httpx"),
    (b"asyncanthropic/python", "httpx"),
    (b"google-genai-sdk", "google-genai"),
    (b"python-httpx", "httpx"),
    (b"python-requests", "requests"),
    (b"python-urllib", "urllib"),
    (b"openai/js", "node"),
    (b"anthropic/js", "node"),
    (b"claude-cli", "node"),
    (b"node", "node"),
    (b"undici", "node"),
    (b"axios", "axios"),
    (b"go-http-client", "go"),
    (b"curl/", "curl"),
    (b"okhttp", "okhttp"),
    (b"mozilla", "browser"),
)
_OWN_ORDER: Final = (b"openai/python", b"asyncopenai/python", b"claude-cli")
"""Programs that write a body's keys in an order of their own, `messages` or `model` first. Anthropic's SDK
for Python writes the alphabet itself, and callers of an SDK for JavaScript write what they like."""
_HTTPX: Final = [b"host", b"accept-encoding", b"connection"]
_VOLATILE: Final = frozenset(
    (
        b"content-length",
        b"cookie",
        b"transfer-encoding",
        b"idempotency-key",
        b"traceparent",
        b"tracestate",
        b"baggage",
        b"forwarded",
        b"via",
        b"true-client-ip",
        b"cf-connecting-ip",
    )
)
_TELLING: Final = frozenset({b"user-agent", b"x-stainless-lang"})
_VOLATILE_PREFIXES: Final = (
    b"x-forwarded-",
    b"x-real-",
    b"x-request-",
    b"x-stainless-",
    b"x-excise-",
)
_STYLES: Final[dict[str, frozenset[JsonStyle]]] = {
    "httpx": frozenset({"compact"}),
    "node": frozenset({"compact"}),
    "axios": frozenset({"compact"}),
    "go": frozenset({"compact"}),
    "browser": frozenset({"compact"}),
    "aiohttp": frozenset({"spaced", "compact"}),
    "requests": frozenset({"spaced", "compact"}),
}
"""The styles in which a program writes JSON unless its user writes it himself."""
_HANDS: Final[dict[str, frozenset[str]]] = {
    "google-genai": frozenset({"httpx", "aiohttp", "requests"}),
}
"""The programs by which one that says another name sends."""


@value
class ClientStack:
    """One program, as far as it can be told."""

    family: str | None
    """Whose hand the headers are: httpx, requests, aiohttp, node, go, curl, urllib; None unknown."""
    claimed: str | None
    """Whose program the User-Agent says it is."""
    contradictions: tuple[str, ...]
    """`headers`, `json`, `json_escapes`, `json_order`, `stainless`."""
    fingerprint: str
    """Readable, and the same for all requests of one program: `httpx.compact.3f9a`."""


@value
class _Hand:
    """What headers alone tell; the same for most requests of a caller."""

    family: str | None
    claimed: str | None
    own_order: bool
    """It claims a program that never writes a body's keys by the alphabet."""
    contradictions: tuple[str, ...]
    mark: str


def client_stack(
    head: Head,
    style: JsonStyle,
    *,
    html_escaped: bool,
    marshalled_map: bool,
    header_evidence: bool,
) -> ClientStack:
    """What wrote this request; `marshalled_map` and `html_escaped` are Go's habits in its body."""
    names = head.layout.names[:MAX_NAMES] if header_evidence else ()
    agent = lang = b""
    for name, text in head.among(_TELLING):
        if name == b"user-agent":
            agent = text[:64]
        else:
            lang = text[:16]
    hand = _hand(names, agent, lang)
    found = hand.contradictions
    claimed = hand.claimed
    if claimed is not None:
        expected = _STYLES.get(claimed)
        if expected is not None and style not in expected:
            found += ("json",)
        if html_escaped and claimed in {"httpx", "node", "requests", "aiohttp"}:
            found += ("json_escapes",)
        if marshalled_map and hand.own_order:
            found += ("json_order",)
    family = hand.family
    return ClientStack(
        family, claimed, found, f"{family or claimed or 'unknown'}.{style}{hand.mark}"
    )


@lru_cache(maxsize=4096)
def _hand(names: tuple[bytes, ...], agent: bytes, lang: bytes) -> _Hand:
    """`names` are empty where headers are no evidence."""
    claimed = _claim(agent)
    family = _written_by(names) if names else None
    contradictions: tuple[str, ...] = ()
    hands = _HANDS.get(claimed, frozenset((claimed,))) if claimed is not None else None
    if family is not None and hands is not None and family not in hands:
        contradictions += ("headers",)
    spoken = {b"python": "httpx", b"js": "node"}.get(lang.lower())
    if spoken is not None and claimed in {"httpx", "node"} and spoken != claimed:
        contradictions += ("stainless",)
    own_order = agent.lower().startswith(_OWN_ORDER)
    if not names:
        return _Hand(None, claimed, own_order, contradictions, "")
    lasting = b"\n".join(name for name in names if _lasts(name.lower()))
    mark = blake2b(lasting, digest_size=3).hexdigest()
    return _Hand(family, claimed, own_order, contradictions, f".{mark}")


def _lasts(name: bytes) -> bool:
    return name not in _VOLATILE and not name.startswith(_VOLATILE_PREFIXES)


def _claim(agent: bytes) -> str | None:
    lowered = agent.lower()
    for prefix, family in _CLAIMS:
        if lowered.startswith(prefix):
            return family
    return "aiohttp" if b"aiohttp/" in lowered else None


def _written_by(names: tuple[bytes, ...]) -> str | None:
    """The program whose order of headers this is; what proxies add at the end is left out."""
    own = [name for name in names if not name.lower().startswith(b"x-forwarded-")]
    lower = [name.lower() for name in own]
    if lower[:2] == [b"host", b"connection"] and b"sec-fetch-mode" in lower:
        return None if b"sec-fetch-site" in lower else "node"
    if [name for name in lower[:4] if name != b"accept"][:3] == _HTTPX:
        return "httpx"
    if lower[:3] == [b"host", b"user-agent", b"content-length"] and _go_order(lower[3:]):
        return "go"
    if lower[:4] == [b"host", b"user-agent", b"accept-encoding", b"accept"]:
        return "requests"
    if lower[:3] == [b"host", b"user-agent", b"accept"]:
        return "curl"
    if lower[:1] == [b"accept-encoding"] and lower[-1] == b"connection" and b"host" in lower[1:4]:
        return "urllib"
    return "aiohttp" if _aiohttp_order(lower) else None


def _go_order(rest: list[bytes]) -> bool:
    if rest and rest[-1] == b"accept-encoding":
        rest = rest[:-1]
    return rest == sorted(rest)


def _aiohttp_order(lower: list[bytes]) -> bool:
    """Host, what the caller set, then Accept, Accept-Encoding, User-Agent, Content-…"""
    if lower[:1] != [b"host"] or b"user-agent" not in lower:
        return False
    at = lower.index(b"user-agent")
    return at >= 3 and lower[at - 2 : at] == [b"accept", b"accept-encoding"]
