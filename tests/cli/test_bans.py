"""`excise bans` and `excise allow`, against two replicas that share a store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from tests.redis_servers import RedisServer
from tests.support.excise import Excise, running_excise

TOKEN = "t0k3n-t0k3n-t0k3n-t0k3n"
SECRET = "s3cr3t-s3cr3t-s3cr3t-s3cr3t-s3cr3t"
POLICY = "version: 1\nkeys: {missing: allow, unknown: allow}\n"


def excise(
    admin: str | None, *arguments: str, token: str = TOKEN
) -> subprocess.CompletedProcess[str]:
    environ = {name: text for name, text in os.environ.items() if not name.startswith("EXCISE_")}
    environ |= {"EXCISE_ADMIN_TOKEN": token} if token else {}
    if admin is not None:
        environ["EXCISE_ADMIN_LISTEN"] = admin.removeprefix("http://")
    return subprocess.run(
        [sys.executable, "-m", "proxy.cli", *arguments],
        env=environ,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )


def chat(replica: Excise) -> int:
    """The status of one chat request with a key."""
    body = {"model": "large-1", "messages": [{"role": "user", "content": "hi"}]}
    request = urllib.request.Request(
        f"{replica.url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": "Bearer sk-test-1", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_ban_given_to_one_replica_holds_on_the_other(
    tmp_path: Path, shared_redis: RedisServer
) -> None:
    settings = {"redis_url": shared_redis.url, "secret": SECRET, "admin_token": TOKEN}
    with (
        running_excise(tmp_path, POLICY, **settings) as one,
        running_excise(tmp_path, POLICY, **settings) as other,
    ):
        assert chat(other) == 200
        account = other.wait_for("request")["account"]
        added = excise(
            one.admin_url,
            "bans",
            "add",
            f"account:{account}",
            "--for",
            "1h",
            "--because",
            "resells",
        )
        assert (added.returncode, added.stderr) == (0, "")
        assert added.stdout.startswith(f"account:{account} is banned until 20")
        assert one.wait_for("banned")["because"] == "resells"
        while chat(other) != 403:  # the other replica reads the board within a second
            other.wait_for("request")
        listed = excise(other.admin_url, "bans", "list", "--json").stdout
        assert json.loads(listed)["subject"] == f"account:{account}"
        assert "by operator: resells" in excise(other.admin_url, "bans", "list").stdout

        allowed = excise(
            other.admin_url, "allow", "--account", account, "--for", "2h", "--because", "appeal"
        )
        assert allowed.returncode == 0
        assert chat(other) == 200
        event = other.wait_for("request", decision="allow")
        while "allowance" not in event:
            event = other.wait_for("request", decision="allow")
        assert event["allowance"].startswith("appeal (until 20")
        assert event["shadow"] == ["operator"]
        assert "appeal" in excise(other.admin_url, "allow", "--list").stdout
        assert excise(other.admin_url, "allow", "--account", account, "--end").returncode == 0
        assert chat(other) == 403

        lifted = excise(other.admin_url, "bans", "lift", f"account:{account}")
        assert lifted.stdout == f"account:{account} is banned no more\n"
        assert chat(other) == 200
        assert "nobody is banned" in excise(other.admin_url, "bans", "list").stderr


def test_what_goes_wrong_is_said_in_one_line() -> None:
    nobody = excise("127.0.0.1:1", "bans", "list")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert nobody.stderr.startswith("Error: no Excise answers at http://127.0.0.1:1")
    assert "set EXCISE_ADMIN_TOKEN" in excise(None, "bans", "list", token="").stderr
    assert "name the --account" in excise(None, "allow").stderr
    assert "say --for how long" in excise(None, "allow", "--account", "a").stderr


def test_a_wrong_token_and_a_wrong_subject_are_told(tmp_path: Path) -> None:
    with running_excise(tmp_path, admin_token=TOKEN) as running:
        wrong = excise(running.admin_url, "bans", "list", token="another-token-another")
        assert wrong.stderr == "Error: A valid bearer token is required.\n"
        bad = excise(running.admin_url, "bans", "add", "acme", "--for", "1h", "--because", "x")
        assert bad.returncode == 1
        assert bad.stderr.startswith("Error: A subject is one of account:…")
        assert "Nothing stands" in excise(running.admin_url, "bans", "lift", "account:a").stderr
