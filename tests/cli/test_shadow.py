"""`excise shadow`, on logs that a real process has written."""

from __future__ import annotations

import gzip
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.eventlog import JSON
from proxy.events import Event
from tests.support.inside import CHAT, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

POLICY = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - {name: few, kind: rate_limit, per: account, limit: 2/day, burst: 2, action: throttle}
  - {name: watched, kind: rate_limit, per: account, limit: 1/day, burst: 1, action: throttle, mode: shadow}
  - name: private
    kind: datacenter_ip
    kinds: [private]
    mode: shadow
    action: {degrade: [strip_logprobs]}
    excuse: [rag]
  - {name: silent, kind: rate_limit, per: account, limit: 999/day, burst: 999, action: block, mode: shadow}
"""
GATEWAY = {
    "trusted": ["127.0.0.0/8"],
    "account_header": "X-Account",
    "tier_header": "X-Tier",
    "profile_header": "X-Profile",
}


def line(event: Event) -> bytes:
    """As the log has it."""
    rendered: Any = dict(event)
    for processor in JSON:
        rendered = processor(None, "", rendered)
    return bytes(rendered)


@pytest.fixture
async def day(tmp_path: Path) -> list[dict[str, Any]]:
    """A day's events: three accounts ask three times each, one of them a declared agent."""
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, POLICY, gateway=GATEWAY) as excise,
    ):
        for account, more in (("one", ()), ("two", ()), ("bot", ("X-Profile: agent",))):
            for _ in range(3):
                headers = ("x-api-key: k", f"X-Account: {account}", "X-Tier: pro", *more)
                await excise.exchange(post(CHAT, headers=headers))
        lines = [line(event) for event in excise.log.events if event["event"] == "request"]
    assert len(lines) == 9
    return [json.loads(text) for text in lines]


def written(file: Path, day: list[dict[str, Any]], days: int, leave: tuple[str, ...] = ()) -> Path:
    """A log of so many such days."""
    lines = [b"no event"]
    for number in range(days):
        for event in day:
            if event["account"] in leave:
                continue
            moment = datetime.fromisoformat(event["timestamp"]) + timedelta(days=number)
            lines.append(json.dumps({**event, "timestamp": moment.isoformat()}).encode())
    file.write_bytes(b"\n".join(lines) + b"\n")
    return file


def run(*arguments: str, given: bytes | None = None) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["shadow", *arguments], input=given)
    return result.exit_code, result.output


def report(*arguments: str, given: bytes | None = None) -> dict[str, Any]:
    code, text = run(*arguments, "--json", given=given)
    assert code == 0, text
    told: dict[str, Any] = json.loads(text)
    return told


def test_a_report_tells_what_would_have_been_done_to_whom(
    day: list[dict[str, Any]], tmp_path: Path
) -> None:
    told = report(str(written(tmp_path / "events.log", day, 8)))
    assert (told["requests"], told["days"]) == (72, pytest.approx(7.0, abs=0.01))
    private, watched = told["rules"]
    assert (private["rule"], private["hits"], private["would"]) == ("private", 72, {"degrade": 72})
    assert private["most_hit"] == {"one": 24, "two": 24, "bot": 24}
    assert private["declared_hit"] == {"bot (agent)": 24}
    assert private["tiers"] == {"pro": 72}
    # The third request of each account was throttled anyway.
    assert private["decided"] == {"allow": 48, "throttle": 24}
    assert (private["adds"], private["would_newly_refuse"]) == (48, 0)
    assert (watched["rule"], watched["hits"], watched["adds"]) == ("watched", 48, 24)
    assert watched["would_newly_refuse"] == 24


def test_advice_names_what_is_missing_and_whom_it_would_hit_wrongly(
    day: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = str(written(tmp_path / "events.log", day, 8))
    code, text = run(file, "--min-hits", "40")
    assert code == 0, text
    assert "watched: likely wrong" in text
    assert "bot (agent); `excuse` or exempt them first" in text
    assert "Enough is: 40 hits, 3 accounts, 7 days" in text
    without = str(written(tmp_path / "without.log", day, 8, leave=("bot",)))
    told = report(without, "--min-hits", "40", "--min-days", "6.9")
    assert {one["advice"] for one in told["rules"]} == {"not enough yet"}
    told = report(without, "--min-hits", "30", "--min-accounts", "2", "--min-days", "6.9")
    assert [one["advice"] for one in told["rules"]] == ["promote", "promote"]
    told = report(
        str(written(tmp_path / "short.log", day, 3)), "--max-declared", "1", "--min-hits", "1"
    )
    assert {one["because"] for one in told["rules"]} == {"2.0 of 7 days"}


def test_a_policy_adds_what_never_fired_and_leaves_out_what_is_not_watched_any_more(
    day: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = str(written(tmp_path / "events.log", day, 2))
    policy = tmp_path / "next.yaml"
    policy.write_text(POLICY.replace("action: throttle, mode: shadow", "action: throttle"))
    told = report(file, "--policy", str(policy))
    assert [one["rule"] for one in told["rules"]] == ["private"]
    assert told["never_fired"] == ["silent"]
    code, text = run(file, "--policy", str(policy))
    assert (code, "silent: never fired" in text) == (0, True)


def test_what_the_policy_excuses_by_now_is_counted_apart(
    day: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = str(written(tmp_path / "events.log", day, 8))
    policy = tmp_path / "next.yaml"
    policy.write_text(POLICY.replace("excuse: [rag]", "excuse: [agent, rag]"))
    enough = (
        "--policy",
        str(policy),
        "--min-hits",
        "40",
        "--min-accounts",
        "2",
        "--min-days",
        "6.9",
    )
    private = next(one for one in report(file, *enough)["rules"] if one["rule"] == "private")
    assert (private["hits"], private["excused"], private["declared_share"]) == (48, 24, 0.0)
    assert private["advice"] == "promote"


def test_an_accounts_file_says_who_has_declared_what_by_now(
    day: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = str(written(tmp_path / "events.log", day, 2))
    key = day[0]["api_key"]
    accounts = tmp_path / "accounts.yaml"
    accounts.write_text(
        f"version: 1\naccounts:\n  - {{account: one, profile: batch, keys: [{key}]}}\n"
    )
    told = report(file, "--accounts", str(accounts))
    assert told["rules"][0]["profiles"] == {"batch": 18}


def test_packed_logs_and_standard_input_and_several_files(
    day: list[dict[str, Any]], tmp_path: Path
) -> None:
    file = written(tmp_path / "events.log", day, 2)
    packed = tmp_path / "events.log.1.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    once = report(str(file))
    assert report(str(packed)) == once == report("-", given=file.read_bytes())
    assert report(str(file), str(packed))["requests"] == 2 * once["requests"]
    packed.write_bytes(packed.read_bytes()[:-20])
    code, text = run(str(packed))
    assert (code, "damaged" in text) == (1, True)


@pytest.mark.parametrize("option", ["--min-days", "--max-declared"])
def test_a_bound_that_any_evidence_would_pass_is_refused(option: str) -> None:
    code, said = run(option, "nan", "-", given=b"")
    assert code == 2
    assert "'nan' is not a number" in said


def test_a_log_in_which_no_shadow_rule_spoke_says_so(tmp_path: Path) -> None:
    (tmp_path / "empty.log").write_text("")
    code, text = run(str(tmp_path / "empty.log"))
    assert code == 0
    assert "no shadow rule would have acted" in text
    assert run()[0] == 2
