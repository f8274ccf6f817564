"""An upstream over TLS: its own authority, our client certificate, and what happens without them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.inside import CHAT, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying
from tests.support.tls import Certificates, tls_front


@pytest.mark.parametrize(
    ("given", "ask_client", "status"),
    [
        (("ca_file",), False, 200),
        (("ca_file", "client_cert_file", "client_key_file"), True, 200),
        ((), False, 502),  # an authority that nobody has told us of
        (("ca_file",), True, 502),  # no certificate of ours
    ],
)
async def test_only_who_can_prove_itself_is_spoken_to(
    tmp_path: Path, given: tuple[str, ...], ask_client: bool, status: int
) -> None:
    made = Certificates(tmp_path)
    files = {
        "ca_file": made.ca,
        "client_cert_file": made.client_cert,
        "client_key_file": made.client_key,
    }
    tls: dict[str, Any] = {name: files[name] for name in given}
    async with (
        raw_upstream(replying(plain())) as upstream,
        tls_front(made.server_context(ask_client=ask_client), upstream.port) as port,
        excise_inside(tmp_path, f"https://127.0.0.1:{port}/base", upstream=tls) as excise,
    ):
        got, _, body = await excise.exchange(post(CHAT))
        assert got == status
        event = await excise.log.wait_for()
        if status == 200:
            assert upstream.calls[0].head.startswith(b"POST /base/v1/chat/completions ")
            assert event["outcome"] == "complete"
        else:
            assert json.loads(body)["error"]["code"].startswith("upstream_")
            assert upstream.calls == []
            assert event["outcome"] == "upstream_error"
