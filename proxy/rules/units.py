"""Rates (`60/minute`), durations (`250ms`, `2s`, `1h`) and their bounds, as policies write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_UNITS = {
    "ms": 0.001,
    "s": 1.0,
    "second": 1.0,
    "m": 60.0,
    "minute": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "d": 86400.0,
    "day": 86400.0,
}
_DURATION = re.compile(r"([1-9][0-9]{0,8})(ms|s|m|h|d)\Z")
_RATE = re.compile(r"([1-9][0-9]{0,9}) ?/ ?([1-9][0-9]{0,8})?(second|minute|hour|day|s|m|h|d)\Z")
DURATION_PATTERN = f"^{_DURATION.pattern[:-2]}$"
RATE_PATTERN = f"^{_RATE.pattern[:-2]}$"


def duration_text(seconds: float) -> str:
    """A duration as policies write it, in its largest whole unit."""
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(seconds, _UNITS[unit])
        if count and not rest:
            return f"{count:.0f}{unit}"
    return f"{seconds * 1000:.0f}ms"


MAX_AMOUNT = 1_000_000_000
MIN_PERIOD, MAX_PERIOD = 1.0, 31 * 86400.0
MAX_DURATION = 366 * 86400.0


@dataclass(frozen=True, slots=True)
class Rate:
    """`amount` in each `period` seconds; `text` as the policy wrote it."""

    amount: int
    period: float
    text: str


def parse_rate(value: object) -> Rate:
    """A rate such as `60/minute` or `10/30s`. Raises ValueError in operators' words."""
    match = _RATE.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a rate such as `60/minute`, `20/second` or `10/30s`")
    amount, count, unit = int(match[1]), int(match[2] or 1), match[3]
    period = count * _UNITS[unit]
    if amount > MAX_AMOUNT:
        raise ValueError(f"must be at most {MAX_AMOUNT} in a period")
    if not MIN_PERIOD <= period <= MAX_PERIOD:
        raise ValueError("its period must be between 1 second and 31 days")
    return Rate(amount, period, match[0])


def parse_duration(value: object) -> float:
    """A duration such as `250ms`, `2s` or `1h`, in seconds. Raises ValueError."""
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("must be a duration such as `250ms`, `2s`, `5m`, `1h` or `1d`")
    seconds = int(match[1]) * _UNITS[match[2]]
    if seconds > MAX_DURATION:
        raise ValueError("must be at most 366 days")
    return seconds
