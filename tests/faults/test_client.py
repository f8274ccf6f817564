"""What becomes of a request when its client leaves, stalls, floods or sends what is no request."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import pytest

from proxy.client.secret import Secret
from tests.support.inside import (
    CHAT,
    STREAMED,
    excise_inside,
    post,
    read_answer,
    read_head,
)
from tests.support.raw_upstream import STREAM_HEAD, Call, chunk, plain, raw_upstream, replying

EVENT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}\n\n'


def code_of(body: bytes) -> str:
    code = json.loads(body)["error"]["code"]
    assert isinstance(code, str)
    return code


async def test_a_client_that_leaves_before_the_first_byte_cancels_the_upstream(
    tmp_path: Path,
) -> None:
    async def script(call: Call) -> None:
        await call.hung_up()

    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        _, writer = await excise.send(post(CHAT))
        call = await upstream.next_call()
        writer.close()
        await asyncio.wait_for(call.gone.wait(), 5)
        event = await excise.log.wait_for()
        assert event["outcome"] == "client_closed"
        assert event["http.response.status_code"] is None


async def test_a_client_that_leaves_mid_stream_cancels_the_upstream_and_is_accounted(
    tmp_path: Path,
) -> None:
    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD + chunk(EVENT) + chunk(EVENT))
        await call.hung_up()

    async with raw_upstream(script) as upstream, excise_inside(tmp_path, upstream.url) as excise:
        reader, writer = await excise.send(post(STREAMED))
        await reader.readuntil(EVENT)
        writer.transport.abort()
        call = await upstream.next_call()
        await asyncio.wait_for(call.gone.wait(), 5)
        event = await excise.log.wait_for()
        assert event["outcome"] == "client_closed"
        assert event["usage.estimated"] is True
        assert event["gen_ai.usage.output_tokens"] >= 1


async def test_a_client_that_reads_slowly_slows_the_upstream_and_bounds_our_memory(
    tmp_path: Path,
) -> None:
    sent = 0
    blocked = asyncio.Event()

    async def script(call: Call) -> None:
        nonlocal sent
        await call.send(STREAM_HEAD)
        part = chunk(b"data: " + b"x" * 65536 + b"\n\n")
        for _ in range(2000):
            call.writer.write(part)
            sent += len(part)
            try:
                await asyncio.wait_for(call.writer.drain(), 1.0)
            except TimeoutError:
                blocked.set()
                return

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        _, writer = await excise.send(post(STREAMED))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.wait_for(blocked.wait(), 20)
        assert sent < 64 * 1024 * 1024
        writer.transport.abort()


async def test_a_client_that_stops_reading_is_cut_and_named(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.send(STREAM_HEAD)
        while True:
            await call.send(chunk(b"data: " + b"x" * 65536 + b"\n\n"))

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, upstream={"idle_timeout": 0.3}) as excise,
    ):
        _, writer = await excise.send(post(STREAMED))
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        assert (await excise.log.wait_for())["outcome"] == "client_stalled"
        writer.transport.abort()


async def test_a_slow_head_is_a_408(tmp_path: Path) -> None:
    limits = {"receive_timeout": 0.2}
    async with excise_inside(tmp_path, "http://127.0.0.1:1", limits=limits) as excise:
        status, headers, body = await excise.exchange(b"POST /v1/chat/completions HTTP/1.1\r\nHo")
        assert (status, headers["connection"]) == (408, "close")
        assert code_of(body) == "headers_too_slow"
        assert (await excise.log.wait_for())["reason"] == "headers_too_slow"


async def test_a_slow_body_is_a_408(tmp_path: Path) -> None:
    limits = {"receive_timeout": 0.2}
    async with excise_inside(tmp_path, "http://127.0.0.1:1", limits=limits) as excise:
        status, _, body = await excise.exchange(post(CHAT)[:-10])
        assert (status, code_of(body)) == (408, "body_too_slow")


async def test_an_idle_connection_is_closed(tmp_path: Path) -> None:
    limits = {"idle_connection_timeout": 0.2}
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, limits=limits) as excise,
    ):
        reader, writer = await excise.send(post(CHAT))
        await read_answer(reader)
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


@pytest.mark.parametrize(
    ("sent", "status", "reason"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed_request"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n", 400, "malformed_request"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
            431,
            "headers_too_large",
        ),
        (b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "headers_too_large"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 200 + b"\r\n",
            431,
            "headers_too_large",
        ),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\n" + (b"X: " + b"a" * 1000 + b"\r\n") * 80 + b"\r\n",
            431,
            "headers_too_large",
        ),
        (
            b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "malformed_request",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            400,
            "malformed_request",
        ),
        (b"GET / HTTP/1.1\r\nHost: a b/../@\r\n\r\n", 400, "malformed_request"),
        (b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400, "malformed_request"),
        (post(CHAT, headers=("Connection: x, Content-Type",)), 400, "malformed_request"),
        (post(CHAT, headers=("Content-Encoding: br",)), 400, "content_encoding"),
        (post(CHAT, headers=("Content-Type: application/json",)), 400, "malformed_request"),
        (
            post(b'{"messages":[' + b"[]," * 120_000 + b"[]]}"),
            400,
            "too_many_values",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            "malformed_request",
        ),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method_not_allowed"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "malformed_request"),
        (
            b"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-al\xfftered\r\n\r\n",
            400,
            "malformed_request",
        ),
        (post(CHAT, headers=("Authorization: Bearer a", "x-api-key: b")), 400, "ambiguous_keys"),
        (post(CHAT, headers=("Authorization: Basic eDp5",)), 401, "malformed_key"),
        (post(CHAT, headers=("x-api-key: a b",)), 401, "malformed_key"),
        (post(CHAT, "/v1/images/upscale"), 404, "unknown_route"),
        (post(CHAT, "/v1/chat%2Fcompletions"), 400, "malformed_request"),
        (post(CHAT, "/v1//chat/completions"), 400, "malformed_request"),
        (post(b"{"), 400, "not_json"),
        (post(b""), 400, "not_json"),
        (post(b"[1]"), 400, "not_an_object"),
        (post(b'{"model":"a","model":"b","messages":[]}'), 400, "duplicate_key"),
        (post(b'{"model":"a","messages":"hi"}'), 400, "wrong_type"),
        (post(b'{"model":"a","messages":[]} trailing'), 400, "not_json"),
        (post(b'{"model":"\xff","messages":[]}'), 400, "not_utf8"),
        (post(b'{"a":' * 500 + b"1" + b"}" * 500), 400, "too_deep"),
        (post(b'{"model":"a","messages":[],"temperature":NaN}'), 400, "not_json"),
        (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n",
            413,
            "body_too_large",
        ),
    ],
)
async def test_what_cannot_be_served_is_refused_in_the_dialects_format_and_logged(
    tmp_path: Path, sent: bytes, status: int, reason: str
) -> None:
    policy = "version: 1\nkeys: {missing: allow, unknown: allow}\n"
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, policy) as excise,
    ):
        got, headers, body = await excise.exchange(sent)
        said = json.loads(body)["error"]
        assert (got, headers["content-type"]) == (status, "application/json")
        assert said["message"]
        assert "server" not in headers
        assert b"aiohttp" not in body
        assert b"Traceback" not in body
        event = await excise.log.wait_for()
        assert event["reason"] == reason
        assert event["http.response.status_code"] == status
        assert event["request_id"] == headers["x-excise-request-id"]
        assert upstream.calls == []
        # The process is none the worse for it.
        assert (await excise.exchange(post(CHAT)))[0] == 200


async def test_the_refusal_speaks_the_callers_dialect(tmp_path: Path) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1") as excise:
        _, headers, body = await excise.exchange(post(b"{", "/v1/messages"))
        assert json.loads(body)["type"] == "error"
        assert "request-id" in headers


async def test_expect_100_continue_is_answered_only_where_the_body_is_wanted(
    tmp_path: Path,
) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        whole = post(CHAT, headers=("Expect: 100-continue",))
        reader, writer = await excise.send(whole[: -len(CHAT)])
        assert await read_head(reader) == (100, {})
        writer.write(CHAT)
        assert (await read_answer(reader))[0] == 200
        writer.close()
        call = await upstream.next_call()
        assert call.header(b"expect") is None
        refused = post(CHAT, "/v1/nothing", headers=("Expect: 100-continue",))[: -len(CHAT)]
        status, headers, _ = await excise.exchange(refused)
        assert (status, headers["connection"]) == (404, "close")


async def test_a_chunked_body_is_judged_whole_and_forwarded_with_its_length(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        head = (
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        sent = head + chunk(CHAT[:20]) + chunk(CHAT[20:]) + b"0\r\n\r\n"
        assert (await excise.exchange(sent))[0] == 200
        call = await upstream.next_call()
        assert call.body == CHAT
        assert call.header(b"transfer-encoding") is None


async def test_method_path_query_and_headers_are_forwarded_faithfully(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url + "/prefix") as excise,
    ):
        sent = (
            b"GET /v1/models?limit=2&after=%C3%A4%20b HTTP/1.1\r\nHost: x\r\n"
            b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
            b"X-Custom: a\r\nX-Custom: b\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n"
            b"X-Excise-Account: forged\r\n\r\n"
        )
        assert (await excise.exchange(sent))[0] == 200
        call = await upstream.next_call()
        assert call.request_line == b"GET /prefix/v1/models?limit=2&after=%C3%A4%20b HTTP/1.1"
        names = [name.lower() for name, _ in call.headers]
        assert [value for name, value in call.headers if name == b"X-Custom"] == [b"a", b"b"]
        assert b"traceparent" in names
        assert not {b"x-hop", b"connection", b"x-excise-account"} & set(names)
        assert call.header(b"host") == f"127.0.0.1:{upstream.port}".encode()


async def test_the_upstreams_credential_replaces_every_callers(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-upstream\n")
    secret = "s" * 32
    key_id = Secret(secret.encode()).key_id(b"sk-caller")
    accounts = tmp_path / "accounts.yaml"
    accounts.write_text(f"version: 1\naccounts:\n  - {{account: acme, keys: [{key_id}]}}\n")
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(
            tmp_path,
            upstream.url,
            secret=secret,
            accounts=accounts,
            mode="shadow",
            upstream={"credential": {"file": tmp_path / "key"}},
        ) as excise,
    ):
        sent = post(CHAT, "/v1/chat/completions?key=sk-caller&x=1", ("x-api-key: sk-caller",))
        assert (await excise.exchange(sent))[0] == 200
        call = await upstream.next_call()
        assert call.header(b"authorization") == b"Bearer sk-upstream"
        assert call.header(b"x-api-key") is None
        assert call.request_line.endswith(b"/v1/chat/completions?x=1 HTTP/1.1")
        assert (await excise.log.wait_for())["account"] == "acme"
        # Not even in shadow mode is our own key sent for somebody who is not known.
        status, _, body = await excise.exchange(post(CHAT, headers=("x-api-key: sk-other",)))
        assert (status, code_of(body)) == (401, "invalid_api_key")
        assert len(upstream.calls) == 1


async def test_more_requests_at_once_than_allowed_are_a_503(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        await call.hung_up()

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, limits={"concurrent_requests": 1}) as excise,
    ):
        _, writer = await excise.send(post(CHAT))
        await upstream.next_call()
        status, headers, _ = await excise.exchange(post(CHAT))
        assert (status, headers["retry-after"]) == (503, "1")
        writer.close()


async def test_no_secret_or_prompt_is_in_any_event(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url) as excise,
    ):
        secret_body = (
            b'{"model":"m","messages":[{"role":"user","content":"PROMPTSECRET"}],"user":"U5ER"}'
        )
        for path in ("/v1/chat/completions?key=sk-KEYSECRET", "/v1/x?key=sk-KEYSECRET"):
            await excise.exchange(post(secret_body, path))
        await excise.exchange(post(b'{"PROMPTSECRET', headers=("x-api-key: sk-KEYSECRET",)))
        said = repr(excise.log.events)
        assert said.count("'event': 'request'") == 3
        for secret in ("SECRET", "U5ER"):
            assert secret not in said


async def test_a_declared_length_claims_no_memory(tmp_path: Path) -> None:
    limits = {"body_bytes": "1MiB", "body_memory": "2MiB"}
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, limits=limits) as excise,
    ):
        head = post(b" " * 1024 * 1024).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        idle = [await excise.send(head) for _ in range(6)]
        assert (await excise.exchange(post(CHAT)))[0] == 200
        for _, writer in idle:
            writer.close()


async def test_a_parser_error_speaks_the_callers_dialect(tmp_path: Path) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1") as excise:
        broken = b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n"
        status, _, body = await excise.exchange(broken)
        assert (status, json.loads(body)["type"]) == (400, "error")


async def test_where_our_key_is_sent_no_unknown_route_passes_in_any_mode(tmp_path: Path) -> None:
    (tmp_path / "credential").write_text("sk-operator")
    (tmp_path / "accounts.yaml").write_text("version: 1\naccounts: []\n")
    settings = {
        "secret": "0123456789abcdef",
        "accounts": tmp_path / "accounts.yaml",
        "upstream": {"credential": {"file": tmp_path / "credential"}},
    }
    for mode in ("shadow", "bypass"):
        async with (
            raw_upstream(replying(plain())) as upstream,
            excise_inside(tmp_path, upstream.url, mode=mode, **settings) as excise,
        ):
            status, _, _ = await excise.exchange(post(b"", "/v1/organization/admin_api_keys"))
            assert status == 404
            assert upstream.calls == []


async def test_a_head_that_never_ends_is_cut_off_by_its_size(tmp_path: Path) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1") as excise:
        reader, writer = await excise.send(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n")
        line = b"X-%d: " + b"a" * 2000 + b"\r\n"
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionError):
                for number in range(90):
                    writer.write(line % number)
                    await writer.drain()
            status, _ = await read_head(reader)
        assert status == 431
        assert (await excise.log.wait_for())["reason"] == "headers_too_large"
        writer.close()
