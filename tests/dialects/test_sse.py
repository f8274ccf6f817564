"""The splitter: any way of cutting a stream into chunks gives the same events."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.dialects.sse import MAX_EVENT_BYTES, EventSplitter, data_of


def split(*chunks: bytes) -> list[bytes]:
    """Complete events, with an LF that arrived late put back to its event; then the rest."""
    splitter = EventSplitter()
    events: list[bytes] = []
    for chunk in chunks:
        for piece in splitter.feed(chunk):
            if piece == b"\n":
                events[-1] += piece
            else:
                events.append(piece)
    return [*events, splitter.rest]


def cut(stream: bytes, *places: int) -> list[bytes]:
    edges = [0, *sorted(places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_end_at_blank_lines_of_every_kind(end: bytes) -> None:
    one = b"event: a" + end + b"data: 1" + end + end
    two = b"data: 2" + end + end
    assert split(one + two + b"data: 3" + end) == [one, two, b"data: 3" + end]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_an_event_comes_out_with_its_last_byte_not_with_the_next_event(end: bytes) -> None:
    event = b"data: 1" + end + end
    assert b"".join(EventSplitter().feed(event)) == event


STREAMS = [
    "\ufeffdata: é😀\n\ndata: 2\n\n".encode(),
    b": ping\r\n\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n",
    b"data: 1\r\rdata: 2\r\rdata",
    b"data: 1\n\r\ndata: 2\r\n\ndata: 3\r\n\r\ndata: 4\n\r",
    b"\n\n\r\r\r\n\r\n\n",
]


@pytest.mark.parametrize("stream", STREAMS)
def test_cutting_at_every_pair_of_places_changes_no_event(stream: bytes) -> None:
    whole = split(stream)
    for first in range(len(stream) + 1):
        for second in range(first, len(stream) + 1):
            assert data(split(*cut(stream, first, second))) == data(whole)
    assert data(split(*cut(stream, *range(len(stream))))) == data(whole)


def data(events: list[bytes]) -> list[bytes]:
    return [found for event in events if (found := data_of(event))]


@given(
    st.lists(st.sampled_from([b"data: a", b"data:b", b"x", b":", b"\n", b"\r", b"\r\n"])),
    st.lists(st.integers(0, 60), max_size=8),
)
@example([b"data: a", b"\r\n", b"\r\n"], [10])
def test_any_cut_gives_the_same_data_and_loses_no_byte(parts: list[bytes], at: list[int]) -> None:
    stream = b"".join(parts)
    pieces = split(*cut(stream, *[min(place, len(stream)) for place in at]))
    assert b"".join(pieces) == stream
    assert data(pieces) == data(split(stream))


@given(
    st.lists(st.sampled_from([b"data: a", b"data", b"data:  b", b"id: 1", b"\n", b"\r", b"\r\n"]))
)
def test_the_data_is_what_a_line_by_line_reader_sees(parts: list[bytes]) -> None:
    stream = b"".join(parts)
    expected: list[bytes] = []
    buffer: list[bytes] = []
    for line in re.split(rb"\r\n|\r|\n", stream):  # the last one is incomplete or empty
        name, _, value = line.partition(b":")
        if name == b"data":
            buffer.append(value.removeprefix(b" "))
        elif not line:
            expected.append(b"\n".join(buffer))
            buffer = []
    expected.append(b"\n".join(buffer))
    assert data(split(stream)) == [found for found in expected if found]


@pytest.mark.parametrize(
    ("event", "found"),
    [
        (b"data: a\n\n", b"a"),
        (b"data:a\n\n", b"a"),
        (b"data:  a\n\n", b" a"),
        (b"data: a\ndata: b\n\n", b"a\nb"),
        (b"data\n\n", b""),
        (b"event: x\nid: 1\n\n", b""),
        (b": data: no\n\n", b""),
        (b"database: no\n\n", b""),
        (b"\xef\xbb\xbfdata: a\n\n", b"a"),
    ],
)
def test_the_data_field_is_read_as_the_specification_says(event: bytes, found: bytes) -> None:
    assert data_of(event) == found


def test_an_endless_event_is_given_out_in_parts_and_the_next_one_is_whole_again() -> None:
    splitter = EventSplitter()
    start = b"data: " + b"x" * MAX_EVENT_BYTES
    passed = splitter.feed(start)
    assert b"".join(passed) + splitter.rest == start
    assert len(splitter.rest) == 2
    assert not splitter.idle
    passed = splitter.feed(b"y" * 1000)
    assert len(splitter.rest) == 2
    end, following = splitter.feed(b"\n\ndata: 1\n\n")
    assert end == b"yy\n\n"
    assert following == b"data: 1\n\n"
    assert splitter.idle


def test_an_event_of_exactly_the_bound_is_kept_whole() -> None:
    splitter = EventSplitter()
    event = b"data: ".ljust(MAX_EVENT_BYTES, b"x")
    assert splitter.feed(event) == []
    assert splitter.feed(b"\n\n") == [event + b"\n\n"]
