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
    ],
)
def test_what_cannot_work_is_said_in_one_line(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    ended = serve(tmp_path, **settings)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("listener", ["listen", "health_listen", "admin_listen"])
def test_an_address_in_use_is_named(tmp_path: Path, listener: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = serve(tmp_path, **{listener: address})
    assert ended.returncode == 1
    assert "cannot start" in ended.stderr
    assert str(address.split(":")[1]) in ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
