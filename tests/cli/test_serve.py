"""Starting in ways that cannot work: one clear line, exit code 1, no traceback."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

SECRET = "0123456789abcdef0123456789abcdef"
LISTENERS = {f"EXCISE_{name}LISTEN": "127.0.0.1:0" for name in ("", "HEALTH_", "ADMIN_")}


def serve(folder: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {**LISTENERS, **{f"EXCISE_{name.upper()}": value for name, value in settings.items()}}
    command = [sys.executable, "-m", "proxy.cli", "serve"]
    return subprocess.run(
        command, cwd=folder, env=environ, capture_output=True, text=True, timeout=30, check=False
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"policy": "absent.yaml"}, "absent.yaml"),
        ({"accounts": "absent.yaml"}, "EXCISE_SECRET"),
        ({"accounts": "absent.yaml", "secret": SECRET}, "absent.yaml"),
        ({"secret": "short"}, "at least 16 bytes"),
        ({"redis_url": "redis://127.0.0.1"}, "EXCISE_SECRET"),
        ({"redis_url": "http://127.0.0.1", "secret": SECRET}, "redis"),
        ({"upstream_ca_file": "absent.pem", "upstream": "https://127.0.0.1:1"}, "TLS files"),
        ({"mode": "sometimes"}, "EXCISE_MODE"),
        ({"listen": "nowhere"}, "EXCISE_LISTEN"),
        ({"upstream": "http://127.0.0.1:99999"}, "EXCISE_UPSTREAM"),
        ({"upstream": "http://127.0.0.1:abc"}, "EXCISE_UPSTREAM"),
        ({"upstream": "http://exa mple/"}, "EXCISE_UPSTREAM"),
        ({"client_address_trusted": "10.1.2.3/8"}, "not `10.1.2.3/8`"),
        ({"client_address_from": "x-forwarded-for"}, "client_address.trusted"),
        ({"gateway_account_header": "X-Account"}, "gateway.trusted"),
        (
            {"gateway_account_header": "X Account", "gateway_trusted": "10.0.0.0/8"},
            "ACCOUNT_HEADER",
        ),
        ({"limits_body_bytes": "1GiB"}, "limits.body_memory"),
        ({"admin_token_file": "token"}, "at least 16 characters"),
        ({"config": "limits.yaml", "limits_body_bytes": "1MiB"}, "limits"),
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    (tmp_path / "token").write_text("\n")
    (tmp_path / "limits.yaml").write_text("limits: 5\n")
    ended = serve(tmp_path, **settings)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("credential", [b"sk-\x00operator", b"sk-one\nsk-two", b"\xff", b" \n"])
def test_a_credential_that_no_header_can_hold_is_named(tmp_path: Path, credential: bytes) -> None:
    (tmp_path / "credential").write_bytes(credential)
    (tmp_path / "accounts.yaml").write_text("version: 1\naccounts: []\n")
    ended = serve(
        tmp_path, accounts="accounts.yaml", secret=SECRET, upstream_credential_file="credential"
    )
    assert ended.returncode == 1
    assert "one line of printable ASCII" in ended.stderr
    assert "operator" not in ended.stderr


@pytest.mark.parametrize("listener", ["listen", "health_listen", "admin_listen"])
def test_an_address_in_use_is_named(tmp_path: Path, listener: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = serve(tmp_path, **{listener: address})
    assert ended.returncode == 1
    assert f"cannot listen on {address}" in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
