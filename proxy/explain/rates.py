"""Levers, and those of limits of a rate: what the counter itself says of later, of less, of more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from proxy.counters.codec import micros, ratio
from proxy.counters.protocol import Op, Reading, Reserve, Take, Taken
from proxy.counters.states import Tat
from proxy.value import value

FAR: Final = 1_000_000
"""Nobody is told how many more than this would have been needed."""


@value
class Lever:
    """One thing that could have been otherwise, by a whole number of steps."""

    at: int
    """Which of the rule's readings."""
    most: int
    """Steps that there are."""
    turned: Callable[[Reading, int], Reading]
    """The reading, had it been so many steps otherwise."""
    text: Callable[[int], str]


def words(what: str, noun: str = "", than: str = "fewer") -> Callable[[int], str]:
    """`3 requests fewer before it`."""

    def text(steps: int) -> str:
        named = f"{noun}{'s' if steps != 1 else ''} " if noun else ""
        return f"{steps:,} {named}{than} {what}".replace("  ", " ")

    return text


def later(op: Op, reading: Reading, seconds: float) -> Reading | None:
    """What a limit of a rate would have read so much later, by the counter's own arithmetic."""
    if not isinstance(op, Take | Reserve) or not isinstance(reading, Taken):
        return None
    return _asked_again(op, reading, micros(seconds) + 1, 0, 0)


def wait_of(reading: Reading) -> float:
    """Seconds after which a limit of a rate would have been kept; 0 where it was, or never would be."""
    if not isinstance(reading, Taken):
        return 0.0
    return (reading.retry_after_s or 0.0) + reading.wait_s


def _asked_again(
    op: Take | Reserve, reading: Taken, microseconds: int, units: int, burst: int
) -> Reading | None:
    """What the counter would have answered later, with less spent before, or with a wider burst."""
    limit = ratio(op.amount, op.period)
    amount, period = limit
    weight = op.weight if isinstance(op, Take) else op.estimate
    waits = micros(op.max_wait)
    if not reading.admitted and reading.retry_after_s is None:
        return None
    missing = micros(reading.wait_s) if reading.admitted else waits + micros(wait_of(reading))
    # So far behind it has answered so, but for the rest of a microsecond that no answer tells.
    behind = missing * amount - (weight - op.burst + units) * period
    state = Tat(0, amount, period, -(-behind // amount))
    return state.take(microseconds, limit, op.burst + burst, weight, waits)


def spent(at: int, op: Take | Reserve, reading: Taken) -> Iterator[Lever]:
    """Less spent before, or a wider burst."""
    if not reading.admitted and reading.retry_after_s is None:
        return
    noun = "token" if isinstance(op, Reserve) else "request"

    def less(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Taken)
        return _asked_again(op, given, 0, steps, 0) or given

    def wider(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Taken)
        return _asked_again(op, given, 0, 0, steps) or given

    yield Lever(at, FAR, less, words("before it", noun))
    yield Lever(
        at, FAR, wider, lambda steps: f"with a burst of {op.burst + steps:,} and not {op.burst:,}"
    )


def take_more(op: Take | Reserve) -> Callable[[Reading, int], Reading]:
    """As if so many more had been asked for at the same instant."""
    amount, period = ratio(op.amount, op.period)
    waits = micros(op.max_wait)

    def turned(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Taken)
        over = steps - given.remaining
        # Where it waited already, nothing was left, and what comes after it waits as much longer.
        wait = micros(given.wait_s) + (max(0, over) * period) // amount
        if over <= 0:
            return replace(given, remaining=given.remaining - steps)
        if wait > waits:
            return Taken(False, 0.0, (wait - waits) / 1e6, 0)
        return Taken(True, wait / 1e6, 0.0, 0)

    return turned
