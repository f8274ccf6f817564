"""
What a caller may be told, before it is put into an API dialect's own error format.

A `Refusal` carries a public reason alone; which rule fired stays with the operator.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that Excise gives in place of the model."""

    status: int
    """HTTP status: 400 401 403 404 405 408 413 415 429 431 500 502 503 504."""
    reason: str
    """Stable lower_snake_case word, logged and given as the dialect's error code."""
    message: str
    """One sentence for a human, in English, without internals."""
    retry_after_s: float | None = None
    """Exact wait; written rounded up as Retry-After and retry-after-ms."""
    should_retry: bool | None = None
    """Written as `x-should-retry`, which the SDKs heed; None writes nothing."""
    close: bool = False
    """Whether the connection cannot be used again after this answer."""


class StoreError(Exception):
    """The counter store did not answer; what was sent may or may not have been done."""


class StoreTimeoutError(StoreError):
    """No answer in time."""


class StoreFullError(StoreError):
    """The store is out of memory: it reads, but counts nothing new."""


class ConfigurationError(Exception):
    """A setting, key file or accounts file that Excise cannot start with, told to operators."""
