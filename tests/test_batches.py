"""What is known of an uploaded file, and how it is read piece by piece."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from proxy import batches
from proxy.batches import BatchBook, Planned
from proxy.batchfile import BatchFile
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Op, Store
from proxy.counters.resilient import ResilientStore
from proxy.dialects.openai_files import MAX_REPLY, UploadReply
from proxy.errors import Refusal, StoreError
from proxy.facts import Ask, Client, Route
from tests.counters.stores import BrokenStore, StillClock

CLIENT = Client("192.0.2.1", "192.0.2.0/24", "key_aaaaaaaaaaaaaaaa", "acme")
CHAT = Route("inspected", "openai_chat", "chat", "/v1/chat/completions")
OTHER = Route("inspected", "openai_inputs", "embeddings", "/v1/embeddings")
HELD = {(CHAT, "m"): 5, (CHAT, "größer m"): 1, (OTHER, None): 3}


class Book:
    """A book over a store, and what it gave back."""

    def __init__(self, store: Store, clock: StillClock) -> None:
        self.given: list[Op] = []
        self.clock = clock

        def settle(ops: Sequence[Op]) -> None:
            self.given += ops

        self.store = ResilientStore(store, MemoryStore(clock=clock), clock, replicas=4)
        self.book = BatchBook(self.store, clock, settle, settle)

    async def plan(self, file: str = "f", client: Client = CLIENT, request: str = "r") -> Planned:
        planned = await self.book.plan(client, file, request)
        assert planned is not None
        return planned


def made(clock: StillClock | None = None) -> Book:
    clock = clock or StillClock()
    return Book(MemoryStore(clock=clock), clock)


async def test_a_file_is_known_to_its_account_for_a_week() -> None:
    book = made()
    await book.book.note(CLIENT, "f", HELD)
    planned = await book.plan()
    assert dict(planned.answers) == HELD
    assert planned.total == 9
    assert planned.paid is not None
    assert (await book.plan(request="s")).paid is None
    assert await book.book.plan(CLIENT, "g", "r") is None
    assert await book.book.plan(replace(CLIENT, account="other"), "f", "r") is None
    book.clock.advance(batches.KEPT_S - 1)
    assert dict((await book.plan()).answers) == HELD
    book.clock.advance(2)
    assert await book.book.plan(CLIENT, "f", "r") is None


async def test_what_was_not_made_is_still_paid_for() -> None:
    book = made()
    await book.book.note(CLIENT, "f", HELD)
    book.book.give_back(await book.plan(request="r"))
    await book.store.apply(book.given)
    book.book.give_back(await book.plan(request="s"))
    assert len(book.given) == 2
    again = await book.plan(request="t")
    assert again.paid is None
    book.book.give_back(again)
    assert len(book.given) == 2


async def test_all_requests_go_to_one_endpoint() -> None:
    book = made()
    await book.book.note(CLIENT, "f", {(CHAT, "m"): 1, (CHAT, "n"): 1})
    planned = await book.plan()
    assert planned.goes_to("/v1/chat/completions")
    assert not planned.goes_to("/v1/embeddings")
    assert not planned.goes_to("/v1/chat/completions?x")
    await book.book.note(CLIENT, "g", HELD)
    assert not (await book.plan("g")).goes_to("/v1/chat/completions")


async def test_while_the_store_is_gone_a_replica_knows_its_own() -> None:
    store = BrokenStore(StoreError("gone"))
    book = Book(store, StillClock())
    await book.book.note(CLIENT, "f", HELD)
    assert (await book.plan(request="r")).paid is not None
    second = await book.plan(request="s")
    assert (second.paid, second.local) == (None, True)
    with pytest.raises(StoreError):
        await book.book.plan(CLIENT, "g", "r")


async def test_an_account_has_so_many_files_noted() -> None:
    book = made()
    for number in range(batches.PER_ACCOUNT + 1):
        await book.book.note(CLIENT, f"f{number}", HELD)
    assert await book.book.plan(CLIENT, f"f{batches.PER_ACCOUNT - 1}", "r") is not None
    assert await book.book.plan(CLIENT, f"f{batches.PER_ACCOUNT}", "r") is None


def test_the_reply_to_an_upload_waits_for_its_end() -> None:
    reader = UploadReply()
    assert reader.feed(b'{"id":"fi') + reader.feed(b'le-1"}') == b""
    assert reader.file_id is None
    assert reader.finish() == b'{"id":"file-1"}'
    assert reader.file_id == "file-1"
    assert reader.estimated_output_tokens() == 0


@pytest.mark.parametrize("reply", [b"", b"[]", b"{", b'{"id":1}', b'{"id":"%b"}' % (b"f" * 257)])
def test_a_reply_without_an_id_passes_and_says_nothing(reply: bytes) -> None:
    reader = UploadReply()
    assert reader.feed(reply) + reader.finish() == reply
    assert reader.file_id is None


def test_a_reply_that_is_too_long_is_not_held() -> None:
    reader = UploadReply()
    start, rest = b'{"id":"file-1","x":"', b"x" * MAX_REPLY
    assert reader.feed(start) == b""
    assert reader.feed(rest) == start + rest
    assert reader.feed(b'"}') == b'"}'
    assert reader.finish() == b""
    assert reader.file_id is None


def batch_file(asks: list[Ask]) -> BatchFile:
    async def judge(_: Route, ask: Ask) -> Refusal | None:
        asks.append(ask)
        return None

    return BatchFile(judge, lambda _: None, lambda error: Refusal(400, error.reason, error.message))


async def test_a_long_line_in_many_small_pieces_costs_no_more_than_its_bytes() -> None:
    asks: list[Ask] = []
    file = batch_file(asks)
    assert file.field("purpose", b"batch") is None
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 3 * 1024 * 1024}]}
    line = json.dumps({"url": "/v1/chat/completions", "body": body}).encode()
    started = time.process_time()
    for at in range(0, len(line), 6):
        assert await file.data(line[at : at + 6]) == b""
        assert file.held == min(at + 6, len(line))
    # Half a million pieces that were each copied behind what had come before would take minutes.
    assert time.process_time() - started < 20
    assert await file.data(b"\n{") == line + b"\n"
    assert file.held == 1
    assert len(asks) == 1


async def test_only_a_file_that_was_read_to_its_end_is_known() -> None:
    file = batch_file([])
    line = json.dumps({"url": "/v1/embeddings", "body": {"model": "e", "input": "a"}}).encode()
    assert await file.data(line + b"\n") == line + b"\n"
    assert await file.end_of_file() == b""
    assert file.answers is None
    assert file.field("purpose", b"batch") is None
    assert file.answers is None
    assert await file.finish() is None
    assert file.answers == {(OTHER, "e"): 1}
