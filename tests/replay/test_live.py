"""The same requests through a real Excise over sockets and through a replay: the same decisions, findings,
evidence and levels. Live runs on the replay's clock, so that both see one time."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest

import proxy.pipeline
from proxy.app import App
from proxy.client.secret import Secret
from proxy.events import Event, EventBuilder
from proxy.policy.load import load
from proxy.policy.shipped import shipped
from proxy.replay.clock import VirtualClock
from proxy.replay.records import Record
from proxy.replay.result import Result
from proxy.replay.world import START, World
from proxy.settings import Settings
from tests.replay.traffic import Line, line, records
from tests.support.inside import RecordedLog, read_answer
from tests.support.raw_upstream import Call, plain, raw_upstream

SECRET = "a secret of sixteen bytes"
TOLD = (
    "decision rule kind reason evidence findings shadow suspicion no_subject exempted_by store degrade "
    "delayed_s account account.source account.tier account.profile account.provisional api_key end_user "
    "client.address client.network_kind client.fingerprint request.sketch request.template request.bytes "
    "http.route excise.dialect gen_ai.usage.input_tokens gen_ai.usage.output_tokens request_id timestamp "
    "gen_ai.usage.reasoning_tokens http.response.status_code degraded"
)
ALIKE = TOLD.split()
POLICY = """
version: 1
keys: {missing: block, unknown: provisional}
rules:
  - {name: pace, kind: rate_limit, per: api_key, limit: 20/minute, burst: 5,
     action: {delay: {at_most: 100ms, then: throttle}}}
  - {name: places, kind: rate_limit, per: address, limit: 4/minute, burst: 4, action: throttle,
     mode: shadow}
  - {name: budget, kind: token_budget, per: account, tokens: output, limits: [6000/hour],
     action: throttle}
  - {name: wide, kind: prompt_diversity, per: account, window: 1h, min_requests: 10,
     max_distinct_ratio: 0.7, score: 45}
  - {name: hosted, kind: datacenter_ip, kinds: [hosting, vpn, tor], score: 20}
  - {name: probing, kind: logit_probing, per: account, window: 1d, max_bias_maps: 3, max_single_biases: 4,
     action: {degrade: [drop_logit_bias, {cap_output_tokens: 50}]}, score: 30}
  - {name: banned-model, kind: rate_limit, per: account, limit: 1/hour, burst: 1, match: {model: forbidden},
     action: {block: {for: 10m}}}
suspicion:
  subjects: [account]
  half_life: 6h
  thresholds:
    - {at: 20, action: {delay: {at_most: 60ms, then: allow}}}
    - {at: 60, action: throttle}
"""
ADDRESSES = ("203.0.113.7", "198.51.100.9", "8.8.8.8", "2001:db8::1")


def traffic() -> list[Line]:
    """A hundred requests and more, of callers who do all sorts of things."""
    draw = random.Random(11)
    t, lines = 0.0, []
    for number in range(140):
        t += draw.choice([0.2, 1.0, 2.0, 30.0])
        key = draw.choice(["sk-a", "sk-b", "sk-c", "sk-d", None])
        crawls = key == "sk-b"
        prompt = (
            f"write about subject {number} of {draw.random()}" if crawls else "how do I reset it?"
        )
        body: dict[str, Any] = {"user": draw.choice(["u1", "u2"])}
        if key == "sk-d":
            body["logit_bias"] = {str(draw.randint(1, 99)): 1}
        if number % 23 == 0:
            body["model"] = "forbidden"
        one = line(t, prompt, key, body=body, address=draw.choice(ADDRESSES))
        one["response"] |= {"output_tokens": draw.randint(1, 900), "reasoning_tokens": 1}
        if number % 17 == 0:
            one["response"] = {"status": 500, "output_tokens": 0, "duration": 0.0}
        if number % 29 == 0:
            one["body"] = '{"model": "m", "model": "n", "messages": []}'
        if number % 31 == 0:
            one["path"] = "/v1/fine_tuning/jobs"
        if number % 7 == 0 and number:
            one["if_refused"] = number - draw.randint(1, 6)
        lines.append(one)
    return lines


async def answer(call: Call) -> None:
    """What the record says that the upstream has answered, as far as the request still allows it."""
    told = json.loads(call.header(b"x-recorded") or b"{}")
    try:
        asked = json.loads(call.body)
    except ValueError:
        asked = {}
    if told["status"] != 200:
        await call.send(plain(b'{"error":{}}', b"500 Error"))
        return
    made = min(told["output_tokens"], asked.get("max_completion_tokens") or 10**9)
    usage = {"prompt_tokens": told["input_tokens"], "completion_tokens": made}
    usage["completion_tokens_details"] = {"reasoning_tokens": min(told["reasoning_tokens"], made)}
    await call.send(plain(json.dumps({"choices": [], "usage": usage}).encode()))


def on_the_wire(record: Record, recorded: Any) -> bytes:
    head = record.head
    headers = [*head.headers, (b"X-Forwarded-For", head.peer.encode())]
    headers += [(b"X-Recorded", json.dumps(recorded).encode())]
    headers += [(b"Content-Length", b"%d" % len(record.body))]
    lines = [f"{head.method} {head.path} HTTP/1.1".encode()]
    lines += [name + b": " + text for name, text in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + record.body


async def lived(
    folder: Path, policy: Path, given: list[Record], lines: list[Line], ids: list[str]
) -> dict[int, Event]:
    """Events of a real Excise, by the line that they are of."""
    clock, naming = VirtualClock(START), World(load(policy))
    log = RecordedLog(clock)
    anywhere = dict.fromkeys(("listen", "health_listen", "admin_listen"), "127.0.0.1:0")
    async with raw_upstream(answer) as upstream:
        settings = {
            **anywhere,
            "policy": policy,
            "secret": SECRET,
            "upstream": {"url": upstream.url},
            "client_address": {"from": "x-forwarded-for", "trusted": ["127.0.0.0/8"]},
        }
        app = App(Settings.model_validate(settings), log, clock)
        await app.start()
        found: dict[int, Event] = {}
        try:
            for record, one in zip(given, lines, strict=True):
                earlier = found.get(record.if_refused) if record.if_refused is not None else None
                happens = earlier is not None and earlier["decision"] in {"throttle", "block"}
                if record.if_refused is not None and not happens:
                    continue
                clock.at = record.t
                naming.clock.at = record.t
                ids.append(naming._id(record.number))
                found[record.number] = await sent(app, log, on_the_wire(record, one["response"]))
        finally:
            await app.stop()
            log.close()
    return found


async def sent(app: App, log: RecordedLog, data: bytes) -> Event:
    reader, writer = await asyncio.open_connection("127.0.0.1", app.ports["data"])
    writer.write(data)
    await read_answer(reader)
    writer.close()
    return await log.wait_for("request")


def told(result: Result, build: EventBuilder) -> Event:
    assert result.visit is not None
    assert result.progress is not None
    return build.request(result.visit, result.progress, 0.0)


@pytest.mark.parametrize("shipped_policy", [None, "default.yaml", "strict.yaml"])
async def test_a_replay_decides_as_excise_does_over_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shipped_policy: str | None
) -> None:
    policy = shipped(shipped_policy) if shipped_policy else tmp_path / "policy.yaml"
    if shipped_policy is None:
        policy.write_text(POLICY, encoding="utf-8")
    lines = traffic()
    given = records(tmp_path, lines)
    ids: list[str] = []
    monkeypatch.setattr(proxy.pipeline, "request_id", lambda _now: ids[-1])
    live = await lived(tmp_path, policy, given, lines, ids)

    settings = Settings.model_validate({"header_evidence": "off"})
    secret = Secret(SECRET.encode())
    world = World(load(policy), settings=settings, secret=secret, keep_visits=True)
    build = EventBuilder("full", secret.item_hash)
    results = list(world.run(given))
    replayed = {one.record.number: told(one, build) for one in results if not one.skipped}

    assert not world.faults
    assert replayed.keys() == live.keys()
    for number, event in live.items():
        mine = replayed[number]
        assert {name: mine.get(name) for name in ALIKE} == {
            name: event.get(name) for name in ALIKE
        }, number
    decided = {event["decision"] for event in live.values()}
    if shipped_policy is None:  # the comparison is of something
        assert decided == {"allow", "log", "delay", "degrade", "throttle", "block"}
        assert len(live) > 100
