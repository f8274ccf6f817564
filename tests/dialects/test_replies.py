"""Replies: usage, finish reason and output are read alike wherever a stream's chunks are cut."""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.anthropic_messages import ANTHROPIC_MESSAGES
from proxy.dialects.base import Dialect, ReplyReader
from proxy.dialects.openai_chat import OPENAI_CHAT
from proxy.dialects.replies import MAX_PLAIN_BYTES
from proxy.dialects.sse import MAX_EVENT_BYTES
from proxy.facts import Usage

OPENAI_USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 3,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 1},
}


def usage_of(dialect: Dialect, body: bytes) -> Usage | None:
    """What a whole, plain reply says it used."""
    reader = dialect.reply_reader(streamed=False)
    reader.feed(body)
    reader.finish()
    return reader.usage


def chunk(content: str | None, finish_reason: str | None = None) -> bytes:
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return sse({"id": "c", "model": "m", "choices": [choice], "usage": None})


def sse(data: object, event: bytes = b"") -> bytes:
    return (b"event: %b\n" % event if event else b"") + b"data: %b\n\n" % orjson.dumps(data)


USAGE_EVENT = sse({"id": "c", "model": "m", "choices": [], "usage": OPENAI_USAGE})
BEFORE = b": hello\n\n" + chunk("é") + chunk('"usage":{"x":1}') + chunk(None, "stop")
OPENAI = BEFORE + USAGE_EVENT + b"data: [DONE]\n\n"

ANTHROPIC = b"".join(
    sse(event, event["type"].encode())
    for event in (
        {
            "type": "message_start",
            "message": {
                "id": "m",
                "usage": {
                    "input_tokens": 5,
                    "cache_read_input_tokens": 3,
                    "cache_creation_input_tokens": 2,
                    "output_tokens": 1,
                },
            },
        },
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "é😀"},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": '"usage"'},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 2}},
        },
        {"type": "message_stop"},
    )
)

LINE_ENDS = [b"\n", b"\r\n", b"\r"]


def stream(dialect: Dialect, *chunks: bytes, drop: bool = False) -> tuple[ReplyReader, bytes]:
    reader = dialect.reply_reader(streamed=True, drop_usage=drop)
    passed = b"".join([reader.feed(part) for part in chunks])
    return reader, passed + reader.finish()


def learnt(reader: ReplyReader) -> tuple[Any, ...]:
    return reader.usage, reader.finish_reason, reader.estimated_output_tokens()


def cut(data: bytes, *places: int) -> list[bytes]:
    return [data[start:end] for start, end in pairwise([0, *sorted(places), len(data)])]


def test_an_openai_stream_tells_its_usage_its_finish_reason_and_its_deltas() -> None:
    reader, passed = stream(OPENAI_CHAT, OPENAI)
    assert passed == OPENAI
    assert learnt(reader) == (Usage(9, 3, 1, 4), "stop", 5)


def test_an_anthropic_stream_tells_its_usage_with_cached_input_added_up() -> None:
    reader, passed = stream(ANTHROPIC_MESSAGES, ANTHROPIC)
    assert passed == ANTHROPIC
    assert learnt(reader)[:2] == (Usage(10, 7, 2, 3), "end_turn")


@pytest.mark.parametrize("end", LINE_ENDS)
@pytest.mark.parametrize("drop", [False, True])
def test_every_cut_of_an_openai_stream_gives_the_same(end: bytes, drop: bool) -> None:
    whole = OPENAI.replace(b"\n", end)
    expected = whole.replace(USAGE_EVENT.replace(b"\n", end), b"") if drop else whole
    known = learnt(stream(OPENAI_CHAT, whole)[0])
    assert known[0] is not None
    for place in range(len(whole) + 1):
        reader, passed = stream(OPENAI_CHAT, *cut(whole, place), drop=drop)
        assert passed == expected
        assert learnt(reader) == known
    reader, passed = stream(OPENAI_CHAT, *cut(whole, *range(len(whole))), drop=drop)
    assert passed == expected
    assert learnt(reader) == known


@pytest.mark.parametrize("end", LINE_ENDS)
def test_every_cut_of_an_anthropic_stream_gives_the_same(end: bytes) -> None:
    whole = ANTHROPIC.replace(b"\n", end)
    known = learnt(stream(ANTHROPIC_MESSAGES, whole)[0])
    for place in range(len(whole) + 1):
        reader, passed = stream(ANTHROPIC_MESSAGES, *cut(whole, place))
        assert passed == whole
        assert learnt(reader) == known
    reader, passed = stream(ANTHROPIC_MESSAGES, *cut(whole, *range(len(whole))))
    assert passed == whole
    assert learnt(reader) == known


@given(
    st.lists(st.integers(0, len(OPENAI)), max_size=12),
    st.booleans(),
    st.sampled_from(LINE_ENDS),
)
def test_any_cuts_of_a_stream_give_the_same(places: list[int], drop: bool, end: bytes) -> None:
    whole = OPENAI.replace(b"\n", end)
    reader, passed = stream(OPENAI_CHAT, *cut(whole, *places), drop=drop)
    assert passed == (whole.replace(USAGE_EVENT.replace(b"\n", end), b"") if drop else whole)
    assert learnt(reader) == (Usage(9, 3, 1, 4), "stop", 5)


@pytest.mark.parametrize("drop", [False, True])
def test_whole_events_pass_at_once_and_parts_too_unless_one_may_have_to_be_dropped(
    drop: bool,
) -> None:
    reader = OPENAI_CHAT.reply_reader(streamed=True, drop_usage=drop)
    event = chunk("a")
    assert reader.feed(event) == event
    assert reader.feed(event[:40]) == (b"" if drop else event[:40])
    assert reader.feed(event[40:] + event[:9]) == (event if drop else event[40:] + event[:9])


def test_what_is_held_back_is_bounded() -> None:
    reader = OPENAI_CHAT.reply_reader(streamed=True, drop_usage=True)
    endless = b'data: {"x":"' + b"x" * MAX_EVENT_BYTES
    passed = reader.feed(endless)
    assert len(endless) - len(passed) == 2
    passed += reader.feed(b'"}\n\n')
    assert passed + reader.finish() == endless + b'"}\n\n'


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("drop", [False, True])
def test_a_usage_event_that_the_stream_ends_with_is_read_ended_or_not(
    ended: bool, drop: bool
) -> None:
    whole = chunk("a") + (USAGE_EVENT if ended else USAGE_EVENT.rstrip())
    reader, passed = stream(OPENAI_CHAT, whole, drop=drop)
    assert passed == (chunk("a") if drop else whole)
    assert reader.usage == Usage(9, 3, 1, 4)


@pytest.mark.parametrize(
    "event",
    [
        sse({"choices": [{"index": 0, "delta": {"content": "a"}}], "usage": OPENAI_USAGE}),
        sse({"choices": [], "prompt_filter_results": [], "usage": None}),
        sse({"choices": [], "usage": {}}).replace(b"}\n", b"\n"),
        b'data: "usage":{"a":1}\n\n',
        b'data: ["usage",{"usage":{}}]\n\n',
        b"data: [DONE]\n\n",
        b": comment\n\n",
    ],
)
def test_only_an_event_of_usage_and_nothing_else_is_dropped(event: bytes) -> None:
    _, passed = stream(OPENAI_CHAT, chunk("a"), event, drop=True)
    assert passed == chunk("a") + event


def test_usage_beside_the_last_delta_is_read() -> None:
    event = sse({"choices": [{"index": 0, "delta": {}}], "usage": OPENAI_USAGE})
    reader, _ = stream(OPENAI_CHAT, chunk("a") + event)
    assert reader.usage == Usage(9, 3, 1, 4)


def test_a_usage_event_is_known_with_spaces_and_over_several_data_lines() -> None:
    event = b'data: {"choices" : [],\ndata: "usage" : {"prompt_tokens": 1}}\n\n'
    reader, passed = stream(OPENAI_CHAT, event, drop=True)
    assert passed == b""
    assert reader.usage == Usage(input_tokens=1)


@pytest.mark.parametrize("bad", [-1, 1.5, "3", True, None, 2**60, []])
def test_a_count_that_cannot_be_one_is_unknown(bad: object) -> None:
    usage = {"prompt_tokens": bad, "completion_tokens": 3, "prompt_tokens_details": bad}
    body = orjson.dumps({"choices": [], "usage": usage})
    assert usage_of(OPENAI_CHAT, body) == Usage(output_tokens=3)
    body = orjson.dumps({"usage": {"input_tokens": bad, "output_tokens": 3}})
    assert usage_of(ANTHROPIC_MESSAGES, body) == Usage(output_tokens=3)


@pytest.mark.parametrize(
    "body", [b"", b"oops", b"[]", b"{}", b'{"usage":null}', b'{"usage":[]}', b'{"usage":']
)
@pytest.mark.parametrize("dialect", [OPENAI_CHAT, ANTHROPIC_MESSAGES])
def test_a_reply_without_usage_has_none(dialect: Dialect, body: bytes) -> None:
    assert usage_of(dialect, body) is None


@pytest.mark.parametrize(
    ("dialect", "reply", "usage", "reason"),
    [
        (
            OPENAI_CHAT,
            {"choices": [{"finish_reason": "length"}], "usage": OPENAI_USAGE},
            Usage(9, 3, 1, 4),
            "length",
        ),
        (
            ANTHROPIC_MESSAGES,
            {
                "stop_reason": "max_tokens",
                # A tool's input may hold a usage of its own.
                "content": [{"type": "tool_use", "input": {"usage": {"output_tokens": 999}}}],
                "usage": {"input_tokens": 5, "output_tokens": 7, "cache_read_input_tokens": 2},
            },
            Usage(7, 7, None, 2),
            "max_tokens",
        ),
    ],
)
def test_a_plain_reply_passes_untouched_and_is_read_at_its_end(
    dialect: Dialect, reply: dict[str, Any], usage: Usage, reason: str
) -> None:
    body = orjson.dumps(reply)
    assert usage_of(dialect, body) == usage
    reader = dialect.reply_reader(streamed=False, drop_usage=True)
    assert reader.feed(body[:9]) + reader.feed(body[9:]) + reader.finish() == body
    assert (reader.usage, reader.finish_reason) == (usage, reason)
    assert reader.estimated_output_tokens() == len(body) // 4


def test_a_plain_reply_too_large_to_keep_passes_unread() -> None:
    reader = OPENAI_CHAT.reply_reader(streamed=False)
    body = orjson.dumps({"x": "x" * MAX_PLAIN_BYTES, "usage": OPENAI_USAGE})
    for part in cut(body, MAX_PLAIN_BYTES // 2, MAX_PLAIN_BYTES + 5):
        assert reader.feed(part) == part
    reader.finish()
    assert reader.usage is None
    assert reader.estimated_output_tokens() > MAX_PLAIN_BYTES // 8


def test_the_figures_of_a_stream_never_shrink() -> None:
    start = sse({"message": {"usage": {"input_tokens": 5, "cache_read_input_tokens": 9}}})
    later = sse({"usage": {"input_tokens": 5, "output_tokens": 7}})
    reader, _ = stream(ANTHROPIC_MESSAGES, start, later, sse({"usage": {"output_tokens": 2}}))
    assert reader.usage == Usage(14, 7, None, 9)


def test_a_broken_off_stream_is_estimated_by_its_deltas_or_its_text() -> None:
    reader, _ = stream(OPENAI_CHAT, chunk("a") * 40)
    assert (reader.usage, reader.estimated_output_tokens()) == (None, 40)
    delta = {"type": "text_delta", "text": "four" * 40}
    event = sse({"type": "content_block_delta", "index": 0, "delta": delta}, b"content_block_delta")
    opening = ANTHROPIC[: ANTHROPIC.index(b"event: content_block_delta")]
    reader, _ = stream(ANTHROPIC_MESSAGES, opening + event * 10)
    assert 390 <= reader.estimated_output_tokens() <= 410
    reader, _ = stream(ANTHROPIC_MESSAGES, opening + event.replace(b"four" * 40, b"a") * 10)
    assert reader.estimated_output_tokens() == 10
    assert stream(ANTHROPIC_MESSAGES, b": ping\n\n")[0].estimated_output_tokens() == 0


def test_events_without_news_are_never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("parsed")

    reader = OPENAI_CHAT.reply_reader(streamed=True, drop_usage=True)
    monkeypatch.setattr("proxy.dialects.replies.jiter.from_json", refuse)
    for part in cut(chunk('"usage":{'), 50):
        reader.feed(part)
    with pytest.raises(AssertionError, match="parsed"):
        reader.feed(USAGE_EVENT)
