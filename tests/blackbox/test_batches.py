"""A batch makes the answers that its file asks for, each time. The limit is ten answers an hour."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from proxy.policy.decide import jitter_of, jittered
from tests.blackbox import test_uploads as uploads
from tests.blackbox.conftest import call
from tests.blackbox.recorder import Recorder
from tests.blackbox.test_uploads import file, form, line, lines, purpose
from tests.redis_servers import RedisServer, redis_server
from tests.support.excise import Excise, running_excise

POLICY = uploads.POLICY
_numbers = itertools.count()


def uploaded(excise: Excise, upstream: Recorder, key: str, data: bytes, kind: str = "batch") -> str:
    """The id of a file that has been uploaded."""
    name = f"file-{next(_numbers)}"
    upstream.reply("/files", uploads.FILE | {"id": name})
    assert uploads.upload(excise, form(purpose(kind), file(data)), key) == 200
    return name


def batch(excise: Excise, key: str, name: Any, path: str = "/v1/batches", **more: Any) -> int:
    body = {"input_file_id": name, "endpoint": "/v1/chat/completions", "completion_window": "24h"}
    given = {field: value for field, value in (body | more).items() if value is not None}
    return call(excise, "POST", path, json.dumps(given).encode(), key)[0]


def batches(upstream: Recorder) -> int:
    return sum(one.target.endswith("/batches") for one in upstream.requests)


def test_an_upload_pays_for_one_batch_of_its_file(excise: Excise, upstream: Recorder) -> None:
    name = uploaded(excise, upstream, "sk-again", lines(5))
    # Five of ten are spent. The first batch is paid for, the second spends the rest.
    assert batch(excise, "sk-again", name) == 200
    assert batch(excise, "sk-again", name) == 200
    assert batch(excise, "sk-again", name) == 429
    refused = {"http.route": "/v1/batches", "request.asks": 5}
    event = excise.wait_for("request", rule="answers", **refused)
    assert event["evidence"]["answers"] == 5
    assert batches(upstream) == 2


def test_answers_are_counted_where_the_file_asks_for_them(
    excise: Excise, upstream: Recorder
) -> None:
    name = uploaded(excise, upstream, "sk-many", line(n=6))
    assert batch(excise, "sk-many", name) == 200
    assert batch(excise, "sk-many", name) == 429
    name = uploaded(excise, upstream, "sk-model", line(model="guarded"))
    assert batch(excise, "sk-model", name) == 200
    assert batch(excise, "sk-model", name) == 403


def test_what_is_refused_leaves_the_paid_batch_to_be_made(
    excise: Excise, upstream: Recorder
) -> None:
    name = uploaded(excise, upstream, "sk-left", lines(9))
    assert batch(excise, "sk-left", name, endpoint="/v1/embeddings") == 400
    excise.wait_for("request", reason="wrong_type", **{"http.route": "/v1/batches"})
    assert batch(excise, "sk-left", name) == 200
    assert batch(excise, "sk-left", name) == 429


def test_a_batch_that_the_upstream_refuses_was_not_made(excise: Excise, upstream: Recorder) -> None:
    name = uploaded(excise, upstream, "sk-upstream", lines(9))
    upstream.reply("/batches", {"error": {"message": "no such window"}}, status=400)
    assert batch(excise, "sk-upstream", name) == 400
    excise.wait_for("request", **{"http.response.status_code": 400, "request.asks": 9})
    upstream.reply("/batches", {"id": "batch_1"})
    assert batch(excise, "sk-upstream", name) == 200
    assert batch(excise, "sk-upstream", name) == 429


def test_only_a_batchs_file_of_ones_own_makes_a_batch(excise: Excise, upstream: Recorder) -> None:
    name = uploaded(excise, upstream, "sk-own", lines(1))
    assert batch(excise, "sk-other", name) == 400
    assert batch(excise, "sk-own", "file-of-nobody") == 400
    data = uploaded(excise, upstream, "sk-own", lines(1), "user_data")
    assert batch(excise, "sk-own", data) == 400
    empty = uploaded(excise, upstream, "sk-own", b"\n")
    assert batch(excise, "sk-own", empty) == 400
    for _ in range(4):
        event = excise.wait_for("request", reason="unknown_file")
        assert event["rule"] == "uninspectable"
    assert batch(excise, "sk-own", name) == 200
    assert batches(upstream) == 1


def test_a_file_of_too_many_kinds_makes_no_batch(excise: Excise, upstream: Recorder) -> None:
    def kinds(count: int) -> bytes:
        return b"\n".join(
            line(number, "/v1/completions", model=f"m{number}", prompt="hello")
            for number in range(count)
        )

    fits = uploaded(excise, upstream, "sk-kinds", kinds(32))
    assert batch(excise, "sk-kinds", fits, endpoint=None) == 200
    for data in (kinds(33), line(url="/v1/completions", model="m" * 129, prompt="hello")):
        name = uploaded(excise, upstream, "sk-kinds", data)
        assert batch(excise, "sk-kinds", name, endpoint=None) == 400


@pytest.mark.parametrize("path", ["/v1/batches", "/openai/v1/batches", "/v1beta/openai/batches"])
def test_requests_in_somebodys_storage_are_refused_by_name(
    excise: Excise, upstream: Recorder, path: str
) -> None:
    name = uploaded(excise, upstream, f"sk-blob{path}", lines(1))
    blob = "https://storage.example/requests.jsonl"
    assert batch(excise, "sk-blob", None, path, input_blob=blob) == 404
    assert batch(excise, f"sk-blob{path}", name, path, input_blob=blob) == 404
    assert batch(excise, f"sk-blob{path}", name, path, output_folder={"url": blob}) == 404
    for _ in range(3):
        event = excise.wait_for("request", reason="refused_route", **{"http.route": path})
        assert event["evidence"] == {"route": "file_batches"}
    assert batches(upstream) == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"input_file_id":null}',
        b'{"input_file_id":1}',
        b'{"input_file_id":""}',
        b'{"input_file_id":["file-1"]}',
        b'{"input_file_id":"%b"}' % (b"f" * 257),
        b'{"input_file_id":"file-1","input_file_id":"file-2"}',
        b'{"input_file_id":"file-1","Input_File_Id":"file-2"}',
        b'{"input_file_id":"file-1","endpoint":["/v1/chat/completions"]}',
        b'{"input_file_id":"file-1"} {}',
    ],
)
def test_a_batch_that_cannot_be_read_in_one_way_is_refused(
    excise: Excise, upstream: Recorder, body: bytes
) -> None:
    assert call(excise, "POST", "/v1/batches", body)[0] == 400
    assert upstream.requests == []


def test_a_policy_may_serve_what_nobody_has_read(upstream: Recorder, tmp_path: Path) -> None:
    policy = "also_serve: [file_batches]\nuninspectable: allow\n" + POLICY.lstrip()
    with running_excise(tmp_path, policy, upstream=upstream.url, mode="enforce") as excise:
        assert batch(excise, "sk-1", None, input_blob="https://storage.example/a") == 200
        assert batch(excise, "sk-1", "file-of-nobody") == 200
    assert batches(upstream) == 2


def test_a_batch_is_held_back_like_any_request_by_its_own_share_of_a_delay(
    upstream: Recorder, tmp_path: Path
) -> None:
    slow = (
        "  - {name: slow, kind: datacenter_ip, kinds: [private], match: {model: slow}, "
        "action: {delay: {at_most: 300ms}}}\n"
    )
    with running_excise(tmp_path, POLICY + slow, upstream=upstream.url) as excise:
        name = uploaded(excise, upstream, "sk-slow", line(model="slow"))
        assert batch(excise, "sk-slow", name) == 200  # paid for, and not judged again
        assert batch(excise, "sk-slow", name) == 200
        event = excise.wait_for("request", rule="slow", **{"http.route": "/v1/batches"})
    delay = jittered(0.3, jitter_of(event["request_id"]))
    assert event["delayed_s"] == round(delay, 3)


def test_replicas_know_each_others_files(
    upstream: Recorder, tmp_path: Path, shared_redis: RedisServer
) -> None:
    settings = {
        "upstream": upstream.url,
        "mode": "enforce",
        "redis_url": shared_redis.url,
        "secret": "a secret of both replicas, long enough",
        "store_timeout": "2s",
    }
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    with (
        running_excise(folders[0], POLICY, **settings) as one,
        running_excise(folders[1], POLICY, **settings) as two,
    ):
        name = uploaded(one, upstream, "sk-replicas", lines(4))
        # Whoever has been told the id may go on at once, and anywhere.
        assert batch(two, "sk-replicas", name) == 200
        assert batch(one, "sk-replicas", name) == 200
        assert batch(two, "sk-replicas", name) == 429


@pytest.mark.parametrize(("failing", "answered"), [("local", 503), ("allow", 200)])
def test_while_the_store_is_gone_a_policy_says_what_becomes_of_a_batch(
    upstream: Recorder, tmp_path: Path, failing: str, answered: int
) -> None:
    policy = f"defaults: {{on_store_failure: {failing}}}\n" + POLICY.lstrip()
    with redis_server() as server:
        settings = {"redis_url": server.url, "secret": "a secret that is long enough for all"}
        settings |= {"upstream": upstream.url, "mode": "enforce"}
        with running_excise(tmp_path, policy, **settings) as excise:
            before = uploaded(excise, upstream, "sk-gone", lines(2))
            server.stop()
            assert batch(excise, "sk-gone", before) == answered
            excise.wait_for("store_down")
            during = uploaded(excise, upstream, "sk-gone", lines(2))
            assert batch(excise, "sk-gone", during) == 200
            event = excise.wait_for("request", **{"http.route": "/v1/batches", "request.asks": 2})
            assert event["decision"] == "allow"
