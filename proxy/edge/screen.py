"""
Which request heads can be read in one way only. Fail-closed in every mode but never by policy: what two
HTTP readers could understand differently cannot be judged for one and forwarded to the other. Pure.
"""

from __future__ import annotations

from proxy.edge.headers import malformed
from proxy.errors import Refusal
from proxy.head import Head

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


def screen(head: Head, version: tuple[int, int]) -> Refusal | None:
    """Why a head is refused before anybody asks who sent it; None where it is sound."""
    if version not in {(1, 0), (1, 1)}:
        return Refusal(505, "http_version", "Only HTTP/1.1 and HTTP/1.0 are spoken.", close=True)
    if head.method not in METHODS:
        return Refusal(405, "method_not_allowed", "This method is not allowed.", close=True)
    target = head.path
    if not target.startswith("/") or not target.isascii() or "#" in target:
        return _malformed("The request target must be an ASCII path starting with a slash.")
    if not head.query.isascii() or "#" in head.query:
        return _malformed("The query must be ASCII, other characters percent-encoded.")
    hosts = head.values(b"host")
    if len(hosts) > 1 or (not hosts and version == (1, 1)):
        return _malformed("Exactly one Host header is required.")
    why = malformed(head.headers)
    return _malformed(f"The request is not valid HTTP: {why}.") if why else None


def _malformed(message: str) -> Refusal:
    return Refusal(400, "malformed_request", message, close=True)
