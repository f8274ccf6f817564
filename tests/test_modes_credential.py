"""EXCISE_MODE in front of our own credential, with delays, and as its own process."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from proxy.client.secret import Secret
from tests.support.excise import Excise, running_excise
from tests.support.inside import CHAT, STREAMED, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

SECRET = "s" * 32
KEY = ("x-api-key: sk-caller",)
OPEN = "version: 1\nkeys: {missing: allow, unknown: allow}\nunknown_routes: allow\n"
MODES = ["enforce", "shadow", "bypass"]


def injecting(folder: Path, **more: Any) -> dict[str, Any]:
    """Settings of a process that sends its own key for one known caller."""
    (folder / "key").write_text("sk-upstream\n")
    key_id = Secret(SECRET.encode()).key_id(b"sk-caller")
    (folder / "accounts.yaml").write_text(
        f"version: 1\naccounts:\n  - {{account: acme, keys: [{key_id}]}}\n"
    )
    return {
        "secret": SECRET,
        "accounts": folder / "accounts.yaml",
        "upstream": {"credential": {"file": folder / "key"}},
        **more,
    }


@pytest.mark.parametrize("mode", MODES)
async def test_in_every_mode_our_key_is_sent_for_those_we_know(tmp_path: Path, mode: str) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, OPEN, **injecting(tmp_path, mode=mode)) as excise,
    ):
        assert (await excise.exchange(post(CHAT, "/v1/chat/completions?key=sk-caller", KEY)))[
            0
        ] == 200
        (call,) = upstream.calls
        assert call.header(b"authorization") == b"Bearer sk-upstream"
        assert b"sk-caller" not in call.head


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((), 401),
        (("x-api-key: sk-other",), 401),
        (("Authorization: Basic c2s6",), 401),
        ((*KEY, "Authorization: Bearer sk-other"), 400),
    ],
)
async def test_in_no_mode_it_is_sent_for_anybody_else(
    tmp_path: Path, mode: str, headers: tuple[str, ...], status: int
) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, OPEN, **injecting(tmp_path, mode=mode)) as excise,
    ):
        assert (await excise.exchange(post(CHAT, headers=headers)))[0] == status
        assert upstream.calls == []
        event = await excise.log.wait_for()
        assert (event["decision"], event["rule"]) == ("block", "keys")


@pytest.mark.parametrize("mode", MODES)
async def test_in_no_mode_it_goes_to_routes_that_nobody_has_looked_at(
    tmp_path: Path, mode: str
) -> None:
    closed = OPEN.replace("unknown_routes: allow", "unknown_routes: block")
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, closed, **injecting(tmp_path, mode=mode)) as excise,
    ):
        assert (await excise.exchange(post(CHAT, "/v1/fine_tuning/jobs", KEY)))[0] == 404
        assert upstream.calls == []


GONE = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - {name: gone, kind: rate_limit, per: address, limit: 1/hour, burst: 1, action: throttle}
"""
SLOW = f"""{GONE}
  - name: slow
    kind: rate_limit
    per: address
    limit: 1/hour
    burst: 1
    action: {{delay: {{at_most: 60s, then: throttle}}}}
"""


@pytest.mark.parametrize(
    ("mode", "policy"), [("shadow", SLOW), ("enforce", f"mode: shadow\n{SLOW}")]
)
async def test_who_only_watches_holds_nobody_and_counts_on(
    tmp_path: Path, mode: str, policy: str
) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, policy, mode=mode) as excise,
    ):
        for _ in range(3):
            assert (await excise.exchange(post(CHAT)))[0] == 200
        first, *others = [await excise.log.wait_for() for _ in range(3)]
        assert "shadow" not in first
        for event in others:
            assert (event["decision"], event["mode"], event["store"]) == ("allow", "shadow", "ok")
            assert sorted(event["shadow"]) == ["gone", "slow"]
            assert "delayed_s" not in event
            assert "evidence" not in event
        assert b'decision="throttle"' not in await excise.metrics()


async def test_bypass_reads_no_body_and_asks_for_nothing(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, mode="bypass") as excise,
    ):
        for body in (STREAMED, b'{"model":"m","model":"n"}', b"\x00\xff"):
            sent = post(body, headers=("Accept-Encoding: gzip",))
            assert (await excise.exchange(sent))[0] == 200
            assert upstream.calls[-1].body == body
            assert upstream.calls[-1].header(b"accept-encoding") == b"gzip"
            event = await excise.log.wait_for()
            assert event["outcome"] == "complete"
            assert not {"gen_ai.request.model", "shadow"} & event.keys()


async def test_bypass_still_bounds_what_it_receives(tmp_path: Path) -> None:
    limits = {"body_bytes": 64}
    async with excise_inside(
        tmp_path, "http://127.0.0.1:1", mode="bypass", limits=limits
    ) as excise:
        assert (await excise.exchange(post(b"x" * 65)))[0] == 413


def send(excise: Excise, headers: tuple[str, ...] = ()) -> int:
    with socket.create_connection(("127.0.0.1", excise.ports["data"])) as client:
        client.sendall(post(CHAT, headers=("Connection: close", *headers)))
        with client.makefile("rb") as answer:
            return int(answer.read().split(b" ", 2)[1])


@pytest.mark.parametrize(
    ("mode", "statuses", "decisions"),
    [
        ("enforce", [200, 429], ["allow", "throttle"]),
        ("shadow", [200, 200], ["allow", "allow"]),
        ("bypass", [200, 200], ["allow", "allow"]),
    ],
)
def test_the_variable_sets_the_mode_of_the_process(
    tmp_path: Path, mode: str, statuses: list[int], decisions: list[str]
) -> None:
    with running_excise(tmp_path, GONE, mode=mode) as excise:
        assert excise.wait_for("start")["mode"] == mode
        assert [send(excise) for _ in statuses] == statuses
        events = [excise.wait_for("request") for _ in statuses]
        assert [event["decision"] for event in events] == decisions
        assert [event.get("shadow") for event in events] == [
            None,
            ["gone"] if mode == "shadow" else None,
        ]
        assert events[1].get("mode") == (None if mode == "enforce" else mode)
