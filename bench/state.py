"""
`python -m bench.state`: what accounts leave in Redis, in bytes, with every rule of a policy on.

Each account is filled beyond every bound: more networks, programs, system prompts, end users and languages
than any rule counts, and prompts of which no two are alike, so many that Redis keeps them as bitmaps.
Beside it stands what an account of a few such requests leaves. Real operations of the real rules fill the
first in a real Redis, which then copies it; bytes are its own `used_memory`, before and after. Each rule
that counts accounts or keys must have left something, or the run fails.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import redis

from bench.every_kind import every_pack, everything
from bench.processes import LOAD_CORE, free_port, started
from proxy.counters.protocol import NOVEL_BITS, Op, Raise, Seen
from proxy.counters.redis import RedisStore
from proxy.facts import Ask, Client, Facts, Outcome, Route, Signals, Usage
from proxy.policy.load import load
from proxy.policy.model import Policy
from proxy.policy.shipped import shipped

START = 1_700_000_000.0
OWNER = f"key_{0:016d}"
SERVED = Outcome(refused=False, served=True, usage=Usage(input_tokens=200, output_tokens=150))
COUNTS_NOTHING = {
    "datacenter_ip",
    "listed",
    "egress_hub",
    "probe_fan_out",
    "shared_contradiction",
    "shared_prompt",
    "shared_sequence",
    "shared_shape",
    "shared_template",
    "throttle_echo",
}
"""Kinds that judge a request by itself, or count what is shared and not who shares it."""
TERMS = (
    ("reasoning", (("reasoning", 9.0),)),
    ("topics", (("biology", 9.0), ("chemistry", 9.0), ("nuclear", 9.0), ("ai_development", 9.0))),
)
"""What all prompts hold, by lexicon."""
ROUTE = Route("inspected", "openai_chat", "chat", "/v1/chat/completions")


def requests_of(count: int) -> Iterator[Facts]:
    """So many requests of one account, each from elsewhere, by somebody else, about something else."""
    for number in range(count):
        client = Client(
            address=f"198.18.{number % 256}.7",
            subnet=f"198.18.{number % 256}.0/24",
            key_id=OWNER,
            account=OWNER,
            account_source="file",
            tier="trial",
            asn=64_496 + number,
            country=f"{chr(65 + number % 26)}{chr(65 + number // 26 % 26)}",
            network_kind="hosting",
        )
        signals = Signals(
            prompt=(number * 7919 % NOVEL_BITS, number * 104_729 % NOVEL_BITS),
            system=f"sys_{number:016x}",
            template=f"tpl_{number:016x}",
            language=f"l{number}",
            client=f"client-{number}",
            contradictions=("headers",),
            chunks=(number * 6151 % NOVEL_BITS, number * 12_289 % NOVEL_BITS),
            terms=tuple((f"library/lexicons/{name}", found) for name, found in TERMS),
            overlap=f"{number:016x}",
            shape=f"shp_{0:016x}",
            running=(f"lst_{number:016x}", number),
            body=f"{number:016x}",
            marks=(("relays", ("one-api",)), ("pipelines", ("distilabel",))),
        )
        ask = Ask(
            "large",
            max_output_tokens=1,
            logprobs=True,
            logit_bias=((str(number), 9.0),),
            prompt_logprobs=True,
        )
        estimate = Usage(input_tokens=200, output_tokens=200)
        yield Facts(
            client,
            ROUTE,
            ask,
            f"eu_{number:016d}",
            1024,
            signals,
            id=f"request-{number}",
            now=START,
            estimate=estimate,
        )


async def fill(url: str, policy: Policy, count: int) -> None:
    """One account and its key, as the policy's rules count them, spread over an hour and a day."""
    store = RedisStore(url, timeout=60)
    # Half of them fill the buckets of a day, half those of its last hour.
    steps = range(count // 2)
    ago = [86_000 - 82_000 * step / len(steps) for step in steps]
    ago += [3_600 - 3_600 * step / len(steps) for step in steps]
    for seconds, facts in zip(ago, requests_of(len(ago)), strict=True):
        raised: list[Op] = [
            Raise(f"account:{OWNER}", "score", rule, 40.0, policy.suspicion.half_life)
            for rule in policy.scoring
        ]
        await store.apply(raised, START - seconds)
        for rule in policy.rules:
            subject = rule.subject(facts)
            if subject is None or not subject.startswith(("account:", "api_key:")):
                continue
            if rule.applies is not None and not rule.applies(facts):
                continue
            ops = rule.counters(facts, subject)
            if ops and isinstance(ops[0], Seen):
                continue  # an entry of the thing that accounts share, and of none of them
            readings = await store.apply(ops, START - seconds)
            if rule.settles:
                settled = rule.settle(facts, ops, readings, SERVED)
                await store.apply(settled, START - seconds)
    await store.close()


def copy(client: redis.Redis, accounts: int) -> None:
    """The first account's keys for all others, by Redis itself: same values, same encoding."""
    keys = [key.decode() for key in client.keys("x1:*") if OWNER in key.decode()]
    for start in range(1, accounts, 100):
        pipeline = client.pipeline(transaction=False)
        for account in range(start, min(start + 100, accounts)):
            for key in keys:
                pipeline.execute_command("COPY", key, key.replace(OWNER, f"key_{account:016d}"))
        pipeline.execute()


def check(client: redis.Redis, policy: Policy) -> None:
    """Each rule that counts such accounts has left something."""
    keys = [key.decode() for key in client.keys("x1:*")]
    facts = next(requests_of(1))
    for rule in policy.rules:
        about = (rule.subject(facts) or "").startswith(("account:", "api_key:"))
        applies = rule.applies is None or rule.applies(facts)
        if about and applies and rule.kind not in COUNTS_NOTHING:
            assert any(f":{rule.key}" in key for key in keys), f"nothing counted: {rule.name}"


def parts(client: redis.Redis) -> dict[str, int]:
    """Bytes of each counter of the first account, as Redis tells them: without its tables of keys."""
    found = {}
    for key in client.keys("x1:*"):
        counter = key.decode().partition("}:")[2]
        found[counter] = int(client.memory_usage(key, samples=0) or 0)
    return dict(sorted(found.items(), key=lambda part: -part[1]))


def measure(policy: Policy, accounts: int, count: int) -> tuple[float, dict[str, int]]:
    """Bytes an account, and of each counter."""
    port = free_port()
    program = shutil.which("redis-server") or str(Path(sys.executable).parent / "redis-server")
    command = [program, "--port", str(port), "--bind", "127.0.0.1"]
    command += ["--save", "", "--appendonly", "no"]
    with started(command, port, LOAD_CORE):
        client = redis.Redis(port=port)
        asyncio.run(fill(f"redis://127.0.0.1:{port}/0", policy, count))
        check(client, policy)
        told = parts(client)
        before, first = int(client.info("memory")["used_memory"]), int(client.dbsize())
        copy(client, accounts)
        used = int(client.info("memory")["used_memory"]) - before
        assert client.dbsize() == first * accounts, "a copy failed"
        return used / (accounts - 1), told


def policies_of(paths: list[Path], folder: Path) -> dict[str, Policy]:
    """Those that are named, or the shipped ones and those with everything on."""
    if paths:
        return {path.name: load(path) for path in paths}
    named = {name: load(shipped(name)) for name in ("default.yaml", "strict.yaml")}
    return {**named, "every kind": everything(folder), "every pack": every_pack(folder)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.state", description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=1_200, help="of each full account")
    parser.add_argument("--few", type=int, default=20, help="requests of each light account")
    parser.add_argument("--policy", type=Path, action="append", default=[])
    parser.add_argument("--parts", action="store_true", help="bytes of each counter, too")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    result: dict[str, dict[str, float | dict[str, int]]] = {}
    print(f"{options.accounts} accounts, of {options.requests} and of {options.few} requests each")
    print("\n| policy | rules | counters | bytes, full | bytes, few |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, policy in policies_of(options.policy, Path(folder)).items():
            full, told = measure(policy, options.accounts, options.requests)
            few, _ = measure(policy, options.accounts, options.few)
            result[name] = {"full": full, "few": few, "parts": told}
            counted = f"{len(policy.rules)} | {len(told)}"
            print(f"| `{name}` | {counted} | {full:,.0f} | {few:,.0f} |", flush=True)
            for counter, size in told.items() if options.parts else ():
                print(f"    {size:6,d}  {counter}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
