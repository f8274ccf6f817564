"""
Operations as arguments of the Lua script, and its answers as readings. Pure.

Times and durations travel as whole microseconds. An operation is one argument, a letter and its
numbers, with the one free text last; an answer is one line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import orjson

from proxy.counters.protocol import (
    Count,
    Different,
    Distinct,
    Done,
    Forget,
    Held,
    Lease,
    Novel,
    Novelty,
    Op,
    Pace,
    Post,
    Posts,
    Raise,
    Reading,
    ReadPosts,
    ReadScore,
    Refund,
    Release,
    Reserve,
    Scores,
    Seen,
    Settle,
    Sighting,
    Take,
    Taken,
    Tallied,
    Tally,
    Total,
    Uncount,
    Unnovel,
    Untally,
)
from proxy.counters.sums import decayed, micros, paced, span_of

DONE: Final = Done()
NO_SCORES: Final = Scores({})


@lru_cache(maxsize=4096)
def ratio(amount: int, period: float) -> tuple[int, int]:
    """`amount` per `period` in lowest terms, the period in microseconds: keeps products small."""
    span = span_of(period)
    common = math.gcd(amount, span)
    return amount // common, span // common


def prefix_of(subject: str) -> str:
    """What all keys of a subject begin with; the braces are the Cluster's hash tag."""
    if "}" in subject or "%" in subject:
        subject = subject.replace("%", "%25").replace("}", "%7D")
    elif not subject:
        subject = "%"  # an empty tag would leave each key to a slot of its own
    return f"x1:{{{subject}}}:"


def pack(prefix: str, ops: Sequence[Op], now: int | None) -> tuple[int, bytes]:
    """
    The end of an EVALSHA or EVAL for operations of one subject.

    Returns how many words it has, and those words in Redis' wire format: the number of keys, the
    keys, the time (empty for the server's own), the operations.
    """
    keys: list[str] = []
    words: list[str] = ["" if now is None else str(now)]
    for op in ops:
        kind = op.__class__
        words.append(_WORD[kind](op))
        more = _KEYS.get(kind)
        if more is None:
            keys.append(prefix + op.key)
        else:
            keys += more(prefix + op.key, op)
    words = [str(len(keys)), *keys, *words]
    text = "".join([f"${len(word)}\r\n{word}\r\n" for word in words])
    if text.isascii():
        return len(words), text.encode()
    raws = [word.encode() for word in words]
    return len(words), b"".join([b"$%d\r\n%b\r\n" % (len(raw), raw) for raw in raws])


def read(ops: Sequence[Op], answer: bytes) -> list[Reading]:
    """The readings that one script call answered for `ops`."""
    lines = answer.split(b"\n")
    return [_READ[op.__class__](op, line) for op, line in zip(ops, lines, strict=True)]


def _take(op: Take) -> str:
    return _take_word(op.amount, op.period, op.burst, op.weight, op.max_wait)


@lru_cache(maxsize=1024)
def _take_word(amount: int, period: float, burst: int, weight: int, max_wait: float) -> str:
    amount, span = ratio(amount, period)
    return f"T {amount} {span} {burst} {weight} {span_of(max_wait)}"


def _refund(op: Refund) -> str:
    amount, period = ratio(op.amount, op.period)
    return f"B {amount} {period} {op.weight}"


def _reserve(op: Reserve) -> str:
    amount, period = ratio(op.amount, op.period)
    wait = span_of(op.max_wait)
    return f"R {amount} {period} {op.burst} {op.estimate} {span_of(op.ttl)} {wait}"


def _settle(op: Settle) -> str:
    amount, period = ratio(op.amount, op.period)
    return f"V {amount} {period} {op.actual}"


def _forget(op: Forget) -> str:
    previous = "-" if op.previous is None else micros(op.previous)
    return f"F {span_of(op.window)} {op.item:016x} {micros(op.at)} {previous}"


def _unnovel(op: Unnovel) -> str:
    fresh = ",".join(map(str, op.fresh)) or "-"
    return f"O {span_of(op.window)} {op.weight} {micros(op.at)} {fresh}"


def _tally(op: Tally) -> str:
    return f"Y {span_of(op.window)} {op.requests} {_items(op.items)} {_items(op.asked)}"


def _untally(op: Untally) -> str:
    return f"Z {span_of(op.window)} {op.requests} {micros(op.at)} {_items(op.items)}"


def _items(items: tuple[int, ...]) -> str:
    return ",".join([f"{item:016x}" for item in items]) or "-"


def _post(op: Post) -> str:
    return f"W {span_of(op.ttl)} {len(op.name.encode())} {op.name}{op.text}"


# Operations that need more than the one key, or another. What has changed its form in Redis has a key
# of its own, so that nothing stumbles over what an earlier version has left.
_KEYS: Final[Mapping[type[Op], Callable[[str, Any], tuple[str, ...]]]] = {
    Seen: lambda key, op: (f"{key}:{op.item:x}",),
    Reserve: lambda key, op: (key, f"{key}:{op.id}"),
    Settle: lambda key, op: (key, f"{key}:{op.id}"),
    Distinct: lambda key, _: (f"{key}:d",),
    Forget: lambda key, _: (f"{key}:d",),
    Novel: lambda key, _: (f"{key}:v",),
    Unnovel: lambda key, _: (f"{key}:v",),
    Post: lambda key, _: (key, f"{key}:posted", f"{key}:ends"),
    ReadPosts: lambda key, _: (key, f"{key}:posted", f"{key}:ends"),
}

# The values are functions of exactly their key's type, which a mapping's type cannot say.
_WORD: Final[Mapping[type[Op], Callable[[Any], str]]] = {
    Count: lambda op: f"C {span_of(op.window)} {op.weight}",
    Uncount: lambda op: f"U {span_of(op.window)} {op.weight} {micros(op.at)}",
    Distinct: lambda op: f"D {span_of(op.window)} {op.item:016x} {op.most}",
    Forget: _forget,
    Novel: lambda op: f"N {span_of(op.window)} {','.join(map(str, op.marks))}",
    Unnovel: _unnovel,
    Tally: _tally,
    Untally: _untally,
    Pace: lambda _: "E",
    Take: _take,
    Refund: _refund,
    Reserve: _reserve,
    Settle: _settle,
    Lease: lambda op: f"L {op.slots} {span_of(op.ttl)} {op.id}",
    Release: lambda op: f"X {op.id}",
    Seen: lambda op: f"S {span_of(op.ttl)} {op.who}",
    Raise: lambda op: f"P {op.level!r} {span_of(op.half_life)} {op.rule}",
    ReadScore: lambda _: "Q",
    Post: _post,
    ReadPosts: lambda op: f"M {micros(op.since)}",
}


def _read_total(_: Op, line: bytes) -> Reading:
    total, now = line.split()
    return Total(int(total), int(now) / 1e6)


def _read_different(_: Op, line: bytes) -> Reading:
    distinct, now, previous = line.split()
    earlier = None if previous == b"-" else int(previous) / 1e6
    return Different(int(distinct), int(now) / 1e6, earlier)


def _read_novelty(_: Op, line: bytes) -> Reading:
    total, now, asked, weight, fresh = line.split()
    marks = () if fresh == b"-" else tuple(map(int, fresh.split(b",")))
    return Novelty(int(total) / 1000, int(asked), int(now) / 1e6, int(weight), marks)


def _read_tallied(_: Op, line: bytes) -> Reading:
    requests, top, now, shown = line.split()
    counts = () if shown == b"-" else tuple(map(int, shown.split(b",")))
    return Tallied(int(requests), counts, int(top), int(now) / 1e6)


def _read_paced(_: Op, line: bytes) -> Reading:
    gaps, mean, spread, now, hours = line.split()
    return paced(
        int(gaps), float(mean), float(spread), tuple(map(int, hours.split(b","))), int(now)
    )


def _read_taken(_: Op, line: bytes) -> Reading:
    admitted, wait, retry, remaining = line.split()
    again = None if retry == b"-" else int(retry) / 1e6
    return Taken(admitted == b"1", int(wait) / 1e6, again, int(remaining))


def _read_held(_: Op, line: bytes) -> Reading:
    granted, held = line.split()
    return Held(granted == b"1", int(held))


def _read_sighting(_: Op, line: bytes) -> Reading:
    return Sighting(tuple(orjson.loads(line)))


def _read_scores(op: Raise | ReadScore, line: bytes) -> Reading:
    if b'"' not in line:
        return NO_SCORES  # most callers are not suspected of anything
    now, *flat = orjson.loads(line)
    entries = [(flat[i], float(flat[i + 1]), int(flat[i + 2])) for i in range(0, len(flat), 3)]
    return decayed(entries, int(now), op.half_life)


def _read_posts(_: Op, line: bytes) -> Reading:
    until, *flat = orjson.loads(line)
    posts = [(flat[i], flat[i + 1], int(flat[i + 2]) / 1e6) for i in range(0, len(flat), 3)]
    return Posts(tuple(posts), int(until) / 1e6)


def _read_done(_: Op, __: bytes) -> Reading:
    return DONE


_READ: Final[Mapping[type[Op], Callable[[Any, bytes], Reading]]] = {
    Count: _read_total,
    Uncount: _read_done,
    Distinct: _read_different,
    Forget: _read_done,
    Novel: _read_novelty,
    Unnovel: _read_done,
    Tally: _read_tallied,
    Untally: _read_done,
    Pace: _read_paced,
    Take: _read_taken,
    Refund: _read_done,
    Reserve: _read_taken,
    Settle: _read_done,
    Lease: _read_held,
    Release: _read_done,
    Seen: _read_sighting,
    Raise: _read_scores,
    ReadScore: _read_scores,
    Post: _read_done,
    ReadPosts: _read_posts,
}
