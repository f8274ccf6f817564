"""The parts of a refusal that all dialects share: headers that SDKs heed, and the message."""

from __future__ import annotations

import math

from proxy.errors import Refusal

LONGEST_RETRY_S = 60.0
"""The longest wait that SDKs honour; beyond it they retry within the second unless told not to."""

Headers = tuple[tuple[bytes, bytes], ...]


def refusal_headers(refusal: Refusal, request_id: str, id_header: bytes | None) -> Headers:
    """Headers of a refusal. Waits are rounded up, so that nobody who heeds them comes early.

    `id_header` is the one in which the API itself gives a request's id, where it has one.
    """
    own_id = request_id.encode("ascii")
    headers = [
        (b"Content-Type", b"application/json"),
        (b"X-Excise-Request-Id", own_id),
    ]
    if id_header is not None:
        headers.append((id_header, own_id))
    wait = refusal.retry_after_s
    should_retry = refusal.should_retry
    if wait is not None:
        headers.append((b"Retry-After", b"%d" % math.ceil(wait)))
        headers.append((b"retry-after-ms", b"%d" % math.ceil(wait * 1000)))
        if wait > LONGEST_RETRY_S:
            should_retry = False
    if should_retry is not None:
        headers.append((b"x-should-retry", b"true" if should_retry else b"false"))
    return tuple(headers)


def public_message(refusal: Refusal, contact_url: str | None) -> str:
    """The sentence that the caller reads, with the operator's contact where one is set."""
    return f"{refusal.message} Contact: {contact_url}" if contact_url else refusal.message
