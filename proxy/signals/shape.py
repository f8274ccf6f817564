"""
How a request is written, to the last parameter: one program with one configuration writes all alike.

The names of a body's keys in their order, the values of those that a program sets once and for all, the
SDK's version, and the fingerprint of the client's software.
"""

from __future__ import annotations

from typing import Final

from proxy.facts import Ask
from proxy.head import RawHeaders

MOST_HASHED: Final = 65_536
"""Bytes of a body that are hashed whole; of a longer one its two ends and its length."""
_ORDINARY: Final = frozenset(
    {"contents", "input", "max_tokens", "messages", "model", "prompt", "stream", "system", "user"}
)
"""What nearly every request has: with no more than this, and no value set, there is no shape."""
_SAYS_VERSION: Final = frozenset(
    {b"user-agent", b"x-stainless-package-version", b"x-goog-api-client"}
)


def request_shape(headers: RawHeaders, ask: Ask, client: str | None) -> bytes | None:
    """What is to be hashed; None for a request that sets nothing of its own."""
    values = (
        ask.temperature,
        ask.top_p,
        ask.max_output_tokens,
        ask.choices,
        ask.logprobs,
        ask.top_logprobs,
        ask.logit_bias[:8],
        ask.reasoning,
    )
    own = ask.temperature is not None or ask.top_p is not None or ask.max_output_tokens is not None
    if not own and _ORDINARY.issuperset(ask.parameters):
        return None
    versions = [value for name, value in headers if name.lower() in _SAYS_VERSION]
    return repr((client, ask.parameters, values, versions)).encode("utf-8", "surrogatepass")


def body_sample(body: bytes) -> bytes:
    """What stands for a body, byte for byte as far as is worth its while."""
    if len(body) <= MOST_HASHED:
        return body
    half = MOST_HASHED // 2
    return b"%b\0%d\0%b" % (body[:half], len(body), body[-half:])
