"""Common background: learnt from old customers, said in the log, taken back by an operator."""

from __future__ import annotations

import datetime
import json
import urllib.request
from pathlib import Path

from proxy.client.secret import Secret
from tests.cli.test_bans import SECRET, TOKEN, excise
from tests.support.excise import Excise, running_excise

POLICY = """version: 1
keys: {missing: block, unknown: allow}
rules:
  - name: one-template
    kind: prompt_template
    per: account
    min_requests: 10
    common_accounts: 5
    action: log
"""
WRAPPER = "Please translate the following sentence into plain French for me: sentence number"


def ask(running: Excise, key: str, number: int) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": f"{WRAPPER} {number}"}]}
    request = urllib.request.Request(
        f"{running.url}/v1/chat/completions",
        data=json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


def accounts(folder: Path, since: str) -> Path:
    secret = Secret(SECRET.encode())
    lines = ["version: 1", "accounts:"]
    for number in range(5):
        key_id = secret.key_id(f"sk-old-{number}".encode())
        lines += [f"  - account: old-{number}", f"    since: {since}", f"    keys: [{key_id}]"]
    path = folder / "accounts.yaml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def found(running: Excise, key: str) -> bool:
    """Whether the rule finds something about twelve prompts of one beginning."""
    for number in range(12):
        ask(running, key, number)
    events = [running.wait_for("request") for _ in range(12)]
    return any(event["decision"] == "log" for event in events)


def test_what_old_customers_share_is_common_until_it_is_taken_back(tmp_path: Path) -> None:
    file = str(accounts(tmp_path, "2020-01-01"))
    settings = {"secret": SECRET, "admin_token": TOKEN, "accounts": file}
    with running_excise(tmp_path, POLICY, **settings) as running:
        assert found(running, "sk-stranger-1")
        for number in range(5):
            ask(running, f"sk-old-{number}", number)
            running.wait_for("request")
        learnt = running.wait_for("common_learnt")
        assert learnt["by"] == "one-template"
        assert learnt["because"] == "5 long-standing accounts use it"
        assert not found(running, "sk-stranger-2")

        listed = excise(running.admin_url, "background", "list")
        assert learnt["subject"] in listed.stdout
        revoked = excise(running.admin_url, "background", "revoke", learnt["subject"])
        assert revoked.stdout == f"{learnt['subject']} is common no more\n"
        assert running.wait_for("common_revoked")["by"] == "revoked"
        ask(running, "sk-old-0", 1)
        running.wait_for("request")
        assert found(running, "sk-stranger-3"), "it is not learnt anew at once"
        again = excise(running.admin_url, "background", "revoke", learnt["subject"])
        assert "Nothing stands" in again.stderr

        declared = excise(
            running.admin_url,
            "background",
            "add",
            learnt["subject"],
            "--for",
            "30d",
            "--because",
            "an app's own prompt",
        )
        assert declared.returncode == 0, declared.stderr
        assert not found(running, "sk-stranger-4")
        wrong = excise(
            running.admin_url, "background", "add", "tpl_x", "--for", "1d", "--because", "x"
        )
        assert "A subject is one of template:…" in wrong.stderr


def test_customers_of_last_week_have_no_say(tmp_path: Path) -> None:
    last_week = datetime.datetime.now(datetime.UTC).date() - datetime.timedelta(days=7)
    file = str(accounts(tmp_path, last_week.isoformat()))
    with running_excise(tmp_path, POLICY, secret=SECRET, accounts=file) as running:
        for number in range(5):
            ask(running, f"sk-old-{number}", number)
            running.wait_for("request")
        assert found(running, "sk-stranger-1")
        assert not [event for event in running.events if event["event"] == "common_learnt"]
