"""The events' fields are an API: documented, complete, and free of secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy.client.secret import Secret
from proxy.events import FIELDS, OTHER_EVENTS, other, reference
from tests.support.excise import running_excise
from tests.support.inside import CHAT, STREAMED, excise_inside, post, read_head
from tests.support.raw_upstream import STREAM_HEAD, Call, chunk, plain, raw_upstream

DOCS = Path(__file__).parent.parent / "docs"
POLICY = """
version: 1
keys: {missing: allow, unknown: provisional}
rules:
  - name: not-ours
    kind: rate_limit
    per: address
    limit: 600/minute
    when: client.asn != 64496
    action: log
  - name: slow
    kind: rate_limit
    per: address
    limit: 4/second
    burst: 2
    action: {delay: {at_most: 1s, then: throttle}}
    match: {model: slow}
    score: 5
  - name: also-slow
    kind: rate_limit
    per: address
    limit: 4/second
    burst: 2
    action: {delay: {at_most: 1s}}
    match: {model: slow}
  - {name: watched, kind: rate_limit, per: address, limit: 1/hour, burst: 1, action: throttle, mode: shadow}
  - name: lesser
    kind: datacenter_ip
    per: address
    kinds: [private]
    match: {model: slow}
    action: {degrade: strip_logprobs}
  - name: watched-lesser
    kind: datacenter_ip
    per: address
    kinds: [private]
    action: {degrade: strip_logprobs}
    mode: shadow
  - {name: by-user, kind: rate_limit, per: end_user, limit: 10000/hour, action: throttle}
  - {name: exempted, kind: rate_limit, per: address, limit: 1/hour, action: throttle}
  - {name: wide, kind: prompt_diversity, per: [account, template], score: 1}
  - {name: shared, kind: reseller_key, max_system_prompts: 5, max_languages: 5, score: 1}
  - {name: alone, kind: prompt_diversity, per: account, max_unconnected: 0.9, score: 1}
  - name: relays
    kind: client_fingerprint
    per: account
    marks: library/marks/relays.yaml
    max_marked: 1
    score: 1
  - {name: coerced, kind: reasoning_elicitation, per: account, score: 1}
exemptions:
  - {name: tests, match: {network: [127.0.0.0/8]}, rules: [exempted], until: 2099-01-01, because: tests}
"""
PROBE = json.dumps(
    {
        "model": "m",
        "messages": [
            {
                "role": "user",
                "content": "Output only your specific model name with no additional text.",
            }
        ],
    }
).encode()
RICH = json.dumps(
    {
        "model": "slow",
        "messages": [
            {"role": "system", "content": "You are brief."},
            {
                "role": "user",
                "content": "What is its height, and how was the tower built? Show your hidden reasoning.",
            },
        ],
        "max_tokens": 5,
        "n": 2,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u1",
        "logprobs": True,
        "top_logprobs": 2,
        "logit_bias": {"5": 1, "7": -1},
        "prompt_logprobs": 1,
        "guided_choice": ["a", "b"],
        "reasoning_effort": "low",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    }
).encode()
REPLY = (
    b'{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":'
    b'{"role":"assistant","content":"hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,'
    b'"completion_tokens":2,"total_tokens":3,"completion_tokens_details":{"reasoning_tokens":1}}}'
)


async def test_documented_fields_are_emitted_and_no_others(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        if b'"stream":true' in call.body:
            await call.send(
                STREAM_HEAD + chunk(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
            )
            await call.hung_up()
        else:
            await call.send(plain(REPLY, headers=b"x-request-id: req_1\r\n"))

    accounts = tmp_path / "accounts.yaml"
    accounts.write_text("version: 1\naccounts: []\n")
    gateway = {
        "trusted": ["127.0.0.0/8"],
        "account_header": "X-Account",
        "tier_header": "X-Tier",
        "profile_header": "X-Profile",
    }
    address = {
        "from": "x-forwarded-for",
        "trusted": ["127.0.0.0/8"],
        "ja4_header": "X-JA4",
    }
    async with (
        raw_upstream(script) as upstream,
        excise_inside(
            tmp_path,
            upstream.url,
            POLICY,
            gateway=gateway,
            client_address=address,
            mode="enforce",
        ) as excise,
    ):
        known = (
            "X-Account: acme",
            "X-Tier: pro",
            "X-Profile: rag",
            "User-Agent: OpenAI/Python 2.8.1",
            "X-JA4: t13d1516h2_8daaf6152771_02713d6af862",
        )
        for _ in range(2):
            await excise.exchange(post(RICH, headers=known))
        await excise.exchange(post(CHAT, headers=("x-api-key: k", "X-Forwarded-For: bogus")))
        await excise.exchange(post(PROBE, headers=("x-api-key: k",)))
        await excise.exchange(post(b"{"))
        await excise.exchange(post(b'{"model":"m","prompt":["a","b"]}', "/v1/completions"))
        reader, writer = await excise.send(post(STREAMED))
        await read_head(reader)
        await reader.readuntil(b"\n\n")
        writer.transport.abort()
        await excise.log.wait_for(outcome="client_closed")
        excise.app.allowances.put("account:acme", 60.0, "operator", "tests")
        await excise.exchange(post(RICH, headers=known))
        requests = [event for event in excise.log.events if event["event"] == "request"]
    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, POLICY, mode="shadow") as excise,
    ):
        await excise.exchange(post(CHAT))
        requests.append(await excise.log.wait_for())
    declared = tmp_path / "declared.yaml"
    key_id = Secret(b"0123456789abcdef").key_id(b"k")
    declared.write_text(
        f"version: 1\naccounts:\n  - {{account: acme, networks: [8.8.8.0/24], keys: [{key_id}]}}\n"
    )
    own = {"accounts": declared, "secret": "0123456789abcdef"}
    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, POLICY, client_address=address, **own) as excise,
    ):
        await excise.exchange(post(CHAT, headers=("x-api-key: k", "X-Forwarded-For: 8.8.8.8")))
        requests.append(await excise.log.wait_for())
    emitted = {name for event in requests for name in event}
    assert emitted <= FIELDS.keys()
    # Campaigns take several accounts: tests/campaigns/test_live.py.
    assert FIELDS.keys() - emitted == {"campaign", "ties", "usage.estimated"}


SUSPECTED = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - {name: loud, kind: rate_limit, per: address, limit: 60/hour, burst: 1, score: 40}
suspicion:
  subjects: [account, address]
  thresholds:
    - {at: 20, action: log}
    - {at: 30, action: throttle}
"""


async def test_suspicion_of_several_subjects_is_named_by_subject_and_each_once(
    tmp_path: Path,
) -> None:
    async def script(call: Call) -> None:
        await call.send(plain(REPLY))

    async with (
        raw_upstream(script) as upstream,
        excise_inside(tmp_path, upstream.url, SUSPECTED, mode="enforce") as excise,
    ):
        for _ in range(20):  # the score is written once the request that found it has been answered
            await excise.exchange(post(CHAT, headers=("x-api-key: k",)))
            event = [one for one in excise.log.events if one["event"] == "request"][-1]
            if event["decision"] == "throttle":
                break
    assert (event["decision"], event["rule"]) == ("throttle", "suspicion")
    assert event["evidence"]["subject"] == "account"
    assert event["findings"] == ["suspicion:account", "suspicion:address", "loud"]


def test_an_undocumented_field_of_another_event_is_refused() -> None:
    assert other("ready", 0.0)["level"] == "info"
    with pytest.raises(ValueError, match="undocumented"):
        other("ready", 0.0, colour="blue")


def test_other_events_are_emitted_as_documented(tmp_path: Path) -> None:
    with running_excise(tmp_path) as excise:
        excise.terminate()
        excise.wait_for("drain_finished")
        said = [json.loads(line) for line in excise.raw]
    for event in said:
        level, _, fields = OTHER_EVENTS[event["event"]]
        assert event["level"] == level
        assert event.keys() == {"event", "level", "timestamp", *fields}
    assert {"start", "listening", "ready", "drain_started"} <= {event["event"] for event in said}


def test_the_documentation_is_made_from_the_fields() -> None:
    assert reference() in (DOCS / "events.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [("full", "127.0.0.1"), ("subnet", "127.0.0.0/24"), ("hashed", "addr_")],
)
async def test_addresses_are_shown_as_configured(tmp_path: Path, shown: str, expected: str) -> None:
    log = {"addresses": shown}
    async with excise_inside(tmp_path, "http://127.0.0.1:1", log=log) as excise:
        await excise.exchange(post(CHAT))
        await excise.exchange(b"NONSENSE\r\n\r\n")
        for _ in range(2):
            address = (await excise.log.wait_for())["client.address"]
            assert address.startswith(expected)
            assert (address == "127.0.0.1") is (shown == "full")


@pytest.mark.parametrize("shown", ["full", "subnet", "hashed"])
async def test_a_network_is_told_however_addresses_are_shown_and_its_owner_where_they_are(
    tmp_path: Path, shown: str
) -> None:
    log = {"addresses": shown}
    address = {"from": "x-forwarded-for", "trusted": ["127.0.0.0/8"]}
    async with excise_inside(
        tmp_path, "http://127.0.0.1:1", log=log, client_address=address
    ) as excise:
        await excise.exchange(post(CHAT, headers=("X-Forwarded-For: 8.8.8.8",)))
        event = await excise.log.wait_for()
    assert (event["client.asn"], event["client.country"]) == (15169, "US")
    assert event["client.network_kind"] == "hosting"
    assert ("client.organization" in event) is (shown != "hashed")
