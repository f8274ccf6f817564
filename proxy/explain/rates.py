"""Levers, and those of limits of a rate: what the counter itself says of later, of less, of more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from proxy.counters.codec import ratio
from proxy.counters.protocol import Op, Reading, Reserve, Take, Taken
from proxy.counters.states import Tat
from proxy.counters.sums import micros
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


def together_later(asks: Sequence[tuple[Op, Reading]], seconds: float) -> list[Reading] | None:
    """The same of several asks of one body, one after the other; None where they share no one rate."""
    op, reading = asks[-1]
    if not isinstance(op, Take | Reserve) or not isinstance(reading, Taken):
        return None
    takes = [one for one, _ in asks if isinstance(one, Take | Reserve)]
    same = {(one.subject, one.key, one.amount, one.period) for one in takes}
    if len(takes) != len(asks) or len(same) != 1:
        return None
    state = _state(op, reading, -sum(map(_weight, takes[:-1])))
    if state is None:
        return None
    limit, at = ratio(op.amount, op.period), micros(seconds) + 1
    return [state.take(at, limit, one.burst, _weight(one), micros(one.max_wait)) for one in takes]


def _asked_again(
    op: Take | Reserve, reading: Taken, microseconds: int, units: int, burst: int
) -> Reading | None:
    """What the counter would have answered later, with less spent before, or with a wider burst."""
    state = _state(op, reading, -units)
    if state is None:
        return None
    limit, waits = ratio(op.amount, op.period), micros(op.max_wait)
    return state.take(microseconds, limit, op.burst + burst, _weight(op), waits)


def _state(op: Take | Reserve, reading: Taken, units: int) -> Tat | None:
    """The counter as it was when it answered so, with so many units more; at the time 0."""
    if not wait_of(reading):
        return None
    amount, period = ratio(op.amount, op.period)
    waits = 0 if reading.admitted else micros(op.max_wait)
    missing = waits + micros(wait_of(reading))
    # So far behind it has answered so, but for the rest of a microsecond that no answer tells.
    behind = missing * amount - (_weight(op) - op.burst - units) * period
    return Tat(0, amount, period, -(-behind // amount))


def spent(at: int, op: Take | Reserve, reading: Taken) -> Iterator[Lever]:
    """Less spent before, or a wider burst."""
    if not reading.admitted and reading.retry_after_s is None:
        yield Lever(at, _weight(op) - 1, _asking_less(op), partial(_at_once, _weight(op)))
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


def _weight(op: Take | Reserve) -> int:
    return op.weight if isinstance(op, Take) else op.estimate


def _at_once(weight: int, steps: int) -> str:
    return f"asking for no more than {weight - steps:,} at once and not {weight:,}"


def _asking_less(op: Take | Reserve) -> Callable[[Reading, int], Reading]:
    """As if less had been asked for than could ever be had at once.

    What was left is known in whole units: a wait is taken to be as long as it may be.
    """
    amount, period = ratio(op.amount, op.period)
    waits = micros(op.max_wait)

    def turned(given: Reading, steps: int) -> Reading:
        assert isinstance(given, Taken)
        left = given.remaining - (_weight(op) - steps)
        wait = max(0, -left) * period // amount
        if wait > waits or _weight(op) - steps > op.burst:
            return given
        return Taken(True, wait / 1e6, 0.0, max(0, left))

    return turned


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
