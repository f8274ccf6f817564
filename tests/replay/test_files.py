"""Batches of uploaded files, whose ids no record holds: uploads are told by their order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from proxy.replay.world import World
from tests.replay.traffic import Line, line, policy, records, words

LIMITED = """
rules: [{name: pace, kind: rate_limit, per: account, limit: 4/minute, burst: 4, action: throttle,
         match: {dialect: [openai_chat, openai_inputs]}}]
"""
CHAT, EMBEDDINGS = "/v1/chat/completions", "/v1/embeddings"


def upload(t: float, asks: int, key: str = "sk-one", url: str = CHAT, **more: Any) -> Line:
    """A batch's file with so many requests."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    if url == EMBEDDINGS:
        body = {"model": "m", "input": "hi"}
    one = json.dumps({"custom_id": "1", "method": "POST", "url": url, "body": body})
    form = (
        '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        '--b\r\nContent-Disposition: form-data; name="file"; filename="f.jsonl"\r\n\r\n'
        + "\n".join([one] * asks)
        + "\r\n--b--\r\n"
    )
    sends = [
        ["Host", "x"],
        ["Authorization", f"Bearer {key}"],
        ["Content-Type", "multipart/form-data; boundary=b"],
    ]
    return line(t, key=key, path="/v1/files", headers=sends, body=form, **more)


def batch(t: float, file: str, key: str = "sk-one", endpoint: str = CHAT, **more: Any) -> Line:
    """What makes a batch of a file."""
    body = {"input_file_id": file, "endpoint": endpoint, "completion_window": "24h"}
    made = line(t, key=key, path="/v1/batches", **more)
    return {**made, "body": body}


def played(folder: Path, lines: list[Line], text: str = LIMITED) -> tuple[list[str], World]:
    world = World(policy(text))
    results = list(world.run(records(folder, lines)))
    return [
        result.reason or word for result, word in zip(results, words(results), strict=True)
    ], world


def test_a_batch_is_judged_by_what_its_upload_asks(tmp_path: Path) -> None:
    lines = [upload(0, 3), batch(1, "file-abc"), batch(2, "file-abc"), batch(100, "file-abc")]
    told, world = played(tmp_path, lines)
    # The upload has paid for the first; the second asks three more within the minute, the third later.
    assert told == ["allow", "allow", "rate_limited", "allow"]
    assert "1 uploaded files were told by their order" in world.notes()[0]


def test_uploads_are_found_in_their_order_and_by_account(tmp_path: Path) -> None:
    lines = [
        upload(0, 1),
        upload(100, 3),
        upload(100, 4, key="sk-two"),
        batch(200, "file-a"),
        batch(201, "file-b"),
        batch(202, "file-a", key="sk-two"),
        batch(203, "file-a"),  # one more answer
        batch(204, "file-b"),  # three more
        batch(205, "file-b"),  # and three more: too many
    ]
    told, _ = played(tmp_path, lines)
    assert told == [*["allow"] * 8, "rate_limited"]


def test_a_batch_without_an_upload_is_unknown_and_counted(tmp_path: Path) -> None:
    lines = [
        batch(0, "file-early"),
        upload(1, 1),
        batch(2, "file-a"),
        batch(3, "file-b"),
        batch(3, "file-a", key="sk-two"),
    ]
    told, world = played(tmp_path, lines)
    assert told == ["unknown_file", "allow", "allow", "unknown_file", "unknown_file"]
    assert any(note.startswith("3 batches are of a file that") for note in world.notes())


@pytest.mark.parametrize(
    "lost",
    [
        upload(0, 5),  # refused: more than may be asked in a minute
        upload(0, 1, response={"status": 500}),
        line(0, path="/v1/files", body="no form"),
    ],
)
def test_an_upload_that_failed_waits_for_no_batch(tmp_path: Path, lost: Line) -> None:
    told, _ = played(tmp_path, [lost, batch(100, "file-a")])
    assert told[1] == "unknown_file"


def test_a_file_is_forgotten_after_a_week_as_live(tmp_path: Path) -> None:
    week = 7 * 86_400.0
    lines = [upload(0, 1), upload(10, 2), batch(week + 5, "file-b"), batch(week + 20, "file-b")]
    told, _ = played(tmp_path, lines)
    assert told == ["allow", "allow", "allow", "unknown_file"]


def test_the_endpoint_says_which_of_the_waiting_uploads_it_is(tmp_path: Path) -> None:
    lines = [
        upload(0, 1),
        upload(1, 2, url=EMBEDDINGS),
        batch(60, "file-e", endpoint=EMBEDDINGS),
        batch(61, "file-c"),
    ]
    told, _ = played(tmp_path, lines)
    assert told == ["allow"] * 4


def test_a_key_that_is_new_may_begin_with_an_upload(tmp_path: Path) -> None:
    text = "keys: {missing: block, unknown: provisional}\n" + LIMITED
    told, _ = played(tmp_path, [upload(0, 2), batch(1, "file-a"), batch(2, "file-a")], text)
    assert told == ["allow", "allow", "allow"]
