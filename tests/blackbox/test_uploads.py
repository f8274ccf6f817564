"""A batch's file is judged line by line while it passes. The limit is ten answers an hour."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import openai
import pytest

from tests.blackbox.conftest import call
from tests.blackbox.recorder import Recorder
from tests.support.excise import Excise, running_excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - name: answers
    kind: rate_limit
    per: api_key
    limit: 10/hour
    burst: 10
    match: {operation: [chat, embeddings]}
    action: throttle
  - name: guarded
    kind: rate_limit
    per: [api_key, model]
    limit: 1/hour
    burst: 1
    match: {model: guarded}
    action: block
"""
FILE = {
    "id": "file-1",
    "object": "file",
    "bytes": 1,
    "created_at": 1,
    "filename": "batch.jsonl",
    "purpose": "batch",
    "status": "processed",
}


def line(number: int = 0, url: str = "/v1/chat/completions", **body: Any) -> bytes:
    asked = {"model": "m", "messages": [{"role": "user", "content": f"hello {number}"}]} | body
    request = {"custom_id": f"c{number}", "method": "POST", "url": url, "body": asked}
    return json.dumps(request).encode()


FIELD = 'Content-Disposition: form-data; name="%s"'


def lines(count: int) -> bytes:
    return b"\n".join(line(number) for number in range(count))


def form(*parts: tuple[str, bytes], end: bytes = b"--B--\r\n") -> bytes:
    return (
        b"".join(b"--B\r\n%b\r\n\r\n%b\r\n" % (head.encode(), data) for head, data in parts) + end
    )


def purpose(value: str = "batch") -> tuple[str, bytes]:
    return 'Content-Disposition: form-data; name="purpose"', value.encode()


def file(data: bytes, more: str = "") -> tuple[str, bytes]:
    head = 'Content-Disposition: form-data; name="file"; filename="b.jsonl"'
    return f"{head}\r\nContent-Type: application/octet-stream{more}", data


def upload(
    excise: Excise, body: bytes, key: str, kind: str = "multipart/form-data; boundary=B"
) -> int:
    return call(excise, "POST", "/v1/files", body, key, (f"Content-Type: {kind}",))[0]


def charset(value: bytes) -> tuple[str, bytes]:
    return 'Content-Disposition: form-data; name="_charset_"', value


@pytest.mark.parametrize("size", [32, 100, 100_000])
def test_a_charset_field_that_names_none_is_a_malformed_form(
    excise: Excise, answering: Recorder, size: int
) -> None:
    sent = form(charset(b"x" * size), purpose(), file(lines(1)))
    assert upload(excise, sent, f"sk-charset-{size}") == 400
    event = excise.wait_for("request", **{"url.path": "/v1/files"}, reason="malformed_form")
    assert event["decision"] == "block"
    assert answering.requests == []


def part_of(body: bytes, name: bytes) -> bytes:
    """A part's data out of a form, by a reading of its own."""
    boundary = body.partition(b"\r\n")[0]
    (part,) = [one for one in body.split(boundary) if b'name="%b"' % name in one]
    return part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


@pytest.fixture
def answering(upstream: Recorder) -> Recorder:
    upstream.reply("/v1/files", FILE)
    return upstream


def test_the_sdks_upload_arrives_as_it_was_and_is_counted(
    excise: Excise, answering: Recorder
) -> None:
    with openai.OpenAI(api_key="sk-sdk", base_url=f"{excise.url}/v1", max_retries=0) as client:
        made = client.files.create(file=("batch.jsonl", lines(6)), purpose="batch")
        assert made.id == "file-1"
        (arrived,) = answering.requests
        assert part_of(arrived.body, b"file") == lines(6)
        assert part_of(arrived.body, b"purpose") == b"batch"
        assert b'filename="batch.jsonl"' in arrived.body
        excise.wait_for("request", **{"request.asks": 6, "decision": "allow"})
        # Four are left. Five are refused in the SDK's own words, and spend nothing.
        with pytest.raises(openai.RateLimitError):
            client.files.create(file=("batch.jsonl", lines(5)), purpose="batch")
        excise.wait_for("request", **{"request.asks": 5, "rule": "answers"})
        client.files.create(file=("batch.jsonl", lines(4)), purpose="batch")
    assert len(answering.requests) == 2


@pytest.mark.parametrize("first", ["file", "purpose"])
def test_the_order_of_the_fields_means_nothing(
    excise: Excise, answering: Recorder, first: str
) -> None:
    parts = [file(lines(11)), purpose()]
    body = form(*(parts if first == "file" else reversed(parts)))
    assert upload(excise, body, f"sk-order-{first}") == 429
    assert answering.requests == []


def test_each_line_is_judged_as_what_it_asks(excise: Excise, answering: Recorder) -> None:
    body = form(purpose(), file(line(model="guarded")))
    assert upload(excise, body, "sk-guarded") == 200
    assert upload(excise, body, "sk-guarded") == 403
    multiplied = form(purpose(), file(line(n=11)))
    assert upload(excise, multiplied, "sk-multiplied") == 429
    embedded = line(url="/v1/embeddings", input=["a", "b"])
    assert upload(excise, form(purpose(), file(embedded)), "sk-embedded") == 200
    edit = form(purpose(), file(line(url="/v1/images/edits", model="guarded", prompt="a hat")))
    assert upload(excise, edit, "sk-edit") == 200
    assert upload(excise, edit, "sk-edit") == 403
    assert len(answering.requests) == 3


def test_what_is_called_no_batch_is_judged_where_it_could_be_one(
    excise: Excise, answering: Recorder
) -> None:
    assert upload(excise, form(purpose("user_data"), file(lines(11))), "sk-called") == 429
    picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 500
    assert upload(excise, form(purpose("vision"), file(picture)), "sk-picture") == 200
    assert part_of(answering.requests[0].body, b"file") == picture


@pytest.mark.parametrize(
    "bad",
    [
        b"no json",
        b"[]",
        b"{}",
        b'{"url":"/v1/chat/completions","body":{"model":"m","model":"n","messages":[]}}',
        b'{"url":"/v1/chat/completions","url":"/v1/models","body":{"model":"m","messages":[]}}',
        b'{"url":"/v1/chat/completions/","body":{"model":"m","messages":[]}}',
        b'{"url":"/v1/audio/speech","body":{}}',
        b'{"url":"/v1/files","body":{}}',
        b'{"url":"/v1/messages/batches","body":{"requests":[]}}',
        b'{"url":"/v1/nowhere","body":{}}',
        b'{"url":"/v1/chat/completions","Body":{"model":"m","messages":[]}}',
        b'{"url":"/v1/chat/completions","body":{"model":"m"}}',
        b'{"method":"GET","url":"/v1/chat/completions","body":{"model":"m","messages":[]}}',
    ],
)
@pytest.mark.parametrize("first", ["file", "purpose"])
def test_a_line_that_cannot_be_read_in_one_way_is_refused(
    excise: Excise, answering: Recorder, bad: bytes, first: str
) -> None:
    parts = [file(line() + b"\n" + bad + b"\n" + line()), purpose()]
    body = form(*(parts if first == "file" else reversed(parts)))
    assert upload(excise, body, "sk-bad") == 400
    assert answering.requests == []


@pytest.mark.parametrize(
    "flawed",
    [
        line().replace(b'"method"', b'"custom_id":"d","method"'),
        line().replace(b"completions", b"completions?x"),
        b"\xef\xbb\xbf" + line(),
        line() + b" trailing",
        line().replace(b'"body"', b'"Body"'),
        line().replace(b'"url"', b'"\\u0075rl":"/x","url"'),
        line().replace(b"hello", b"\xff"),
        b'{"a":\r' + line() + b"\r}",
        line().replace(b'"body"', b'"x":' + b"[" * 2000 + b"]" * 2000 + b',"body"'),
        line().replace(b'"body"', b'"x":"' + b"x" * 1024 * 1024 + b'","body"') + b" trailing",
    ],
)
def test_what_a_lenient_server_could_take_for_a_batch_is_refused_whatever_it_is_called(
    excise: Excise, answering: Recorder, flawed: bytes
) -> None:
    assert upload(excise, form(purpose("user_data"), file(flawed)), "sk-lenient") == 400
    assert answering.requests == []


def test_json_lines_that_are_no_requests_pass_where_no_batch_is_meant(
    excise: Excise, answering: Recorder
) -> None:
    data = b"\n".join(
        (
            b'{"url":"https://shop.example/","title":"shoes"}',
            b'{"url":"https://shop.example/","url":"twice"}',
            b'{"broken":',
            b"plain text\rof an old machine\r",
            b'{"event":"x"}\r{"event":"y"}',
        )
    )
    assert upload(excise, form(purpose("user_data"), file(data)), "sk-lines") == 200
    assert part_of(answering.requests[0].body, b"file") == data


@pytest.mark.parametrize(
    "ends",
    [
        b'{"a":\r' + line() + b"\r}",
        line() + b"\r" + line(),
        line() + b"\r\r",
        line().replace(b'"method"', b'\r"method"'),
        *(
            line().replace(b'"method"', end.encode() + b'"method"')
            for end in "\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
        ),
        *(line().replace(b"hello", end.encode()) for end in "\r\x0b\x0c\x1c\x1d\x1e"),
        b"\x0c",
        b" " * (8 * 1024 * 1024) + line(),
    ],
)
def test_a_line_that_some_reader_ends_elsewhere_is_refused(
    excise: Excise, answering: Recorder, ends: bytes
) -> None:
    body = form(purpose(), file(line() + b"\n" + ends + b"\n"))
    assert upload(excise, body, "sk-ends") == 400
    assert answering.requests == []


def test_other_line_ends_pass_where_every_reader_bears_them(
    excise: Excise, answering: Recorder
) -> None:
    written = json.loads(line())
    written["body"]["messages"][0]["content"] = "one\u2028two\u2029three\x85four"
    data = json.dumps(written, ensure_ascii=False).encode() + b"\r\n \t\r\n\n" + line()
    assert upload(excise, form(purpose(), file(data)), "sk-bears") == 200
    assert part_of(answering.requests[0].body, b"file") == data
    excise.wait_for("request", **{"http.route": "/v1/files", "request.asks": 2})


@pytest.mark.parametrize(
    "body",
    [
        form(file(lines(1))),
        form(purpose(), purpose(), file(lines(1))),
        form(purpose("BATCH"), file(lines(1))),
        form(purpose(), file(lines(1)), file(lines(1))),
        form(purpose(), file(lines(1), "\r\nContent-Transfer-Encoding: base64")),
        form(purpose(), file(lines(1), "\r\nContent-Encoding: gzip")),
        form(purpose(), file(lines(1), '\r\nContent-Disposition: form-data; name="x"')),
        form(('Content-Disposition: form-data; name="a\\"b"', b"x"), purpose(), file(lines(1))),
        form(('Content-Disposition: form-data; name="x"', b"x" * 5000), purpose(), file(lines(1))),
        form(("X: y", b"x"), purpose(), file(lines(1))),
        form(purpose(), ("\0X: y\r\n" + file(b"")[0], lines(1))),
        form(purpose(), (file(b"")[0] + "\r\nX: " + "x" * 300_000, lines(1))),
        form(purpose(), (FIELD % "file", line())),
        form(purpose(), (FIELD % "file[]", line())),
        form(purpose(), (FIELD % "File", line())),
        form(purpose(), (FIELD % "file[]" + '; filename="b.jsonl"', lines(1))),
        form(purpose(), (FIELD % "data" + '; filename="b.jsonl"', lines(1)), file(lines(1))),
        form(purpose(), (FIELD % "data" + "; filename*=utf-8''b.jsonl", lines(1))),
        form(("Content-Type: multipart/mixed; boundary=C", b"--C--"), purpose(), file(lines(1))),
        form(*((f'Content-Disposition: form-data; name="x{n}"', b"x") for n in range(17))),
        form(purpose(), file(lines(1)), end=b""),
        b"no form at all",
        b"",
    ],
)
def test_a_hostile_form_is_refused(excise: Excise, answering: Recorder, body: bytes) -> None:
    assert upload(excise, body, "sk-hostile") == 400
    assert answering.requests == []


def test_only_what_was_read_goes_on(excise: Excise, answering: Recorder) -> None:
    around = b"before\r\n" + form(purpose(), file(lines(1)), end=b"--B--\r\nbehind\r\n--B--\r\n")
    assert upload(excise, around, "sk-around") == 200
    (arrived,) = answering.requests
    assert b"before" not in arrived.body
    assert b"behind" not in arrived.body
    assert part_of(arrived.body, b"file") == lines(1)


@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "multipart/mixed; boundary=B",
        "multipart/form-data",
        "multipart/form-data; boundary=B; boundary=C",
        "multipart/form-data; charset=utf-16; boundary=B",
    ],
)
def test_another_content_type_is_refused(excise: Excise, answering: Recorder, kind: str) -> None:
    assert upload(excise, form(purpose(), file(lines(1))), "sk-kind", kind) == 400
    assert answering.requests == []


def test_what_a_fine_tuning_would_read_is_refused_by_name(
    excise: Excise, answering: Recorder
) -> None:
    body = form(purpose("fine-tune"), file(b'{"messages":[]}'))
    assert upload(excise, body, "sk-tune") == 404
    event = excise.wait_for("request", reason="refused_route", **{"http.route": "/v1/files"})
    assert event["evidence"] == {"route": "fine_tuning"}


def resident(excise: Excise) -> int:
    """KiB that the process has held at most."""
    status = Path(f"/proc/{excise.process.pid}/status").read_text(encoding="ascii")
    return next(int(row.split()[1]) for row in status.splitlines() if "VmHWM" in row)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_file_is_never_whole_in_memory(excise: Excise, answering: Recorder) -> None:
    # Completions are no answers of the limit's: what is looked at here is only how they are read.
    data = b"\n".join(
        line(number, "/v1/completions", prompt=f"{number} " + "word " * 1200)
        for number in range(5000)
    )
    before = resident(excise)
    assert upload(excise, form(purpose(), file(data)), "sk-large") == 200
    assert resident(excise) - before < 16 * 1024  # KiB; the file has 29 MiB
    assert part_of(answering.requests[0].body, b"file") == data
    excise.wait_for("request", **{"http.route": "/v1/files", "request.asks": 5000})


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_counted_of_a_large_file_is_not_its_text(
    answering: Recorder, tmp_path: Path
) -> None:
    """As above, with rules that count each line until the upload has ended."""
    policy = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: lines, kind: rate_limit, per: account, limit: 100000/hour, burst: 100000, action: throttle}
  - {name: wide, kind: prompt_diversity, per: account, min_requests: 100000, action: log}
"""
    data = b"\n".join(
        line(number, "/v1/completions", prompt=f"{number} " + "word " * 1200)
        for number in range(5000)
    )
    with running_excise(tmp_path, policy, upstream=answering.url, mode="enforce") as excise:
        small = form(purpose(), file(lines(1)))
        assert upload(excise, small, "sk-large") == 200
        before = resident(excise)
        assert upload(excise, form(purpose(), file(data)), "sk-large") == 200
        assert resident(excise) - before < 16 * 1024  # KiB; the file has 29 MiB of text


def test_lines_that_are_held_count_as_memory_of_bodies(answering: Recorder, tmp_path: Path) -> None:
    # Three lines of 400 KiB stand open at once where there is room for two.
    head = (
        "POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-held\r\n"
        "Content-Type: multipart/form-data; boundary=B\r\nContent-Length: 1000000\r\n\r\n"
    )
    begun = head.encode() + form(purpose(), file(b" " * 400 * 1024), end=b"").removesuffix(b"\r\n")
    with ExitStack() as stack:
        settings = {"mode": "enforce", "limits_body_memory": "1MiB", "limits_body_bytes": "1MiB"}
        excise = stack.enter_context(
            running_excise(tmp_path, POLICY, upstream=answering.url, **settings)
        )

        def held() -> float:
            text = urlopen(f"{excise.health_url}/metrics").read().decode()
            return float(re.search(r"^excise_body_memory_bytes (\S+)", text, re.MULTILINE)[1])

        def until(fits: Callable[[float], bool]) -> None:
            end = time.monotonic() + 10
            while not fits(held()):
                assert time.monotonic() < end, held()

        lines_open = []
        for count in (1, 2):
            one = socket.create_connection(("127.0.0.1", excise.ports["data"]), timeout=10)
            lines_open.append(stack.enter_context(one))
            one.sendall(begun)
            # aiohttp keeps the last bytes of a part back: they could begin its end.
            until(lambda held, least=count * 300 * 1024: held > least)
        third = socket.create_connection(("127.0.0.1", excise.ports["data"]), timeout=10)
        with third:
            third.sendall(begun)
            assert third.recv(65536).startswith(b"HTTP/1.1 503")
        for one in lines_open:
            one.close()
        until(lambda held: held == 0)
        assert upload(excise, form(purpose(), file(lines(2))), "sk-held") == 200


def test_a_client_that_leaves_part_way_leaves_no_file_behind(
    excise: Excise, answering: Recorder
) -> None:
    body = form(purpose(), file(lines(5)))
    head = (
        "POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-leaves\r\n"
        f"Content-Type: multipart/form-data; boundary=B\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", excise.ports["data"]), timeout=10) as connection:
        connection.sendall(head.encode() + body[:-200])
    event = excise.wait_for(
        "request", **{"http.route": "/v1/files", "http.response.status_code": None}
    )
    assert event["outcome"] == "client_closed"
    assert answering.requests == []


def test_uploads_run_beside_each_other(excise: Excise, answering: Recorder) -> None:
    found: list[int] = []

    def one(number: int) -> None:
        found.append(upload(excise, form(purpose(), file(lines(5))), f"sk-beside-{number}"))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 8
    assert {part_of(each.body, b"file") for each in answering.requests} == {lines(5)}
