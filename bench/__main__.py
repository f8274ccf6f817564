"""
`python -m bench`: CPU µs of each proxy per request and per streamed chunk, and their ratios.

Everything runs on loopback: the proxy on one core, load and upstream on another. CPU is the proxy
process's own user and system time over a run, divided by what it served. Rounds interleave the proxies;
ratios are taken within a round and their median is told, so that a machine that slows down slows all.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.processes import (
    HERE,
    LOAD_CORE,
    PROXY_CORE,
    cpu_seconds,
    free_port,
    nginx_command,
    python,
    started,
)
from bench.upstream import ANSWER
from proxy.policy.shipped import shipped
from proxy.policy.yamltree import read_tree

PROXIES = ("nginx", "minimal", "one", "memory", "redis", "default")
BASE = "minimal"
CALLERS = 64
VOCABULARY = (
    "tell explain write the a of and about their garden engine market river history with for from under "
    "small number question simple letter people water light model story answer reason, before. between"
)
NAMES = {
    "nginx": "nginx proxy_pass",
    "minimal": "minimal aiohttp relay",
    "one": "Excise, one rate limit, Redis",
    "memory": "Excise, four kinds, memory",
    "redis": "Excise, four kinds, Redis",
    "default": "Excise, all of default.yaml, Redis",
}
ENDLESS = {"limit": "1000000000/second", "burst": 1_000_000, "slots": 1_000_000}
"""What limits are in a measurement: nothing is ever refused."""


@dataclass
class Rig:
    """One upstream and the proxies in front of it."""

    upstream: str
    pids: dict[str, int] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)


def unlimited(policy: Path, folder: Path) -> Path:
    """The same policy without a limit that a load could reach, and with every action a score."""
    data = read_tree(policy.read_text(encoding="utf-8"), str(policy)).data
    assert isinstance(data, dict)
    for rule in data["rules"]:
        rule |= {name: value for name, value in ENDLESS.items() if name in rule}
        if "limits" in rule:
            rule["limits"] = ["1000000000/second" for _ in rule["limits"]]
    data["suspicion"]["thresholds"] = [{"at": 5000, "action": "throttle"}]
    made = folder / f"unlimited-{policy.name}"
    made.write_text(json.dumps(data), encoding="utf-8")
    return made


@contextmanager
def rig(
    folder: Path, proxies: list[str], upstream: list[str], upstream_port: int, policy: Path
) -> Iterator[Rig]:
    with ExitStack() as stack:
        stack.enter_context(started(upstream, upstream_port, LOAD_CORE))
        made = Rig(f"http://127.0.0.1:{upstream_port}")
        policies = {
            "one": HERE / "one_rule.yaml",
            "default": unlimited(shipped("default.yaml"), folder),
        }
        redis = 0
        if {"one", "redis", "default"} & set(proxies):
            redis = free_port()
            program = shutil.which("redis-server") or str(
                Path(sys.executable).parent / "redis-server"
            )
            command = [
                program,
                "--port",
                str(redis),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ]
            stack.enter_context(started(command, redis, LOAD_CORE))
        for name in proxies:
            port = free_port()
            if name == "nginx":
                location = (
                    "proxy_pass http://up; proxy_http_version 1.1; proxy_buffering off; "
                    'proxy_set_header Connection "";'
                )
                command = nginx_command(
                    folder, f"proxy{port}", location, port, f"127.0.0.1:{upstream_port}"
                )
                pid = stack.enter_context(started(command, port, PROXY_CORE))
            elif name == "minimal":
                command = python("bench.minimal_relay", port, made.upstream)
                pid = stack.enter_context(started(command, port, PROXY_CORE))
            else:
                health = free_port()
                environ = {
                    "EXCISE_UPSTREAM": made.upstream,
                    "EXCISE_LISTEN": f"127.0.0.1:{port}",
                    "EXCISE_HEALTH_LISTEN": f"127.0.0.1:{health}",
                    "EXCISE_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
                    "EXCISE_POLICY": str(policies.get(name, policy)),
                    "EXCISE_SECRET": "bench-bench-bench-bench-bench-00",
                }
                if name != "memory":
                    environ["EXCISE_REDIS_URL"] = f"redis://127.0.0.1:{redis}/0"
                command = python("proxy.cli", "serve")
                pid = stack.enter_context(
                    started(command, health, PROXY_CORE, "/readyz", **environ)
                )
            made.pids[name], made.ports[name] = pid, port
        yield made


def load(port: int, script: Path, seconds: float, connections: int) -> int:
    """Requests served; raises where any was not answered 2xx."""
    command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s"]
    command += ["--timeout", "30s", "-s", str(script), f"http://127.0.0.1:{port}"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(f"answers other than 2xx, the run is worth nothing:\n{said}")
    served = re.search(r"(\d+) requests in", said)
    assert served is not None, said
    return int(served[1])


def per_request(made: Rig, name: str, script: Path, seconds: float, connections: int = 64) -> float:
    """CPU µs of a proxy per request. A stream under way at the end counts for nothing."""
    before = cpu_seconds(made.pids[name])
    served = load(made.ports[name], script, seconds, connections)
    return (cpu_seconds(made.pids[name]) - before) / served * 1e6


def script_of(folder: Path, body_kb: float, *, stream: bool) -> Path:
    """Requests of CALLERS keys in turn, of which no two prompts are alike."""
    # An escaped quote or line break every 200 characters or so, as prose has.
    words = [*VOCABULARY.split() * 3, '"so', 'it"', "\n"]
    bodies = []
    for caller in range(CALLERS):
        chance = random.Random(caller)
        text = " ".join(chance.choice(words) for _ in range(int(body_kb * 200)))
        fields: dict[str, object] = {
            "model": "large-1",
            "messages": [{"role": "user", "content": text[: int(body_kb * 1024)]}],
            "max_tokens": 256,
        }
        if stream:
            fields["stream"] = True
        bodies.append(json.dumps(fields, separators=(",", ":")))
    script = folder / f"post-{stream}.lua"
    script.write_text(
        "local bodies = {\n"
        + ",\n".join(f"[[{body}]]" for body in bodies)
        + "\n}\nlocal at = 0\n"
        + 'wrk.method = "POST"\n'
        + 'wrk.headers["Content-Type"] = "application/json"\n'
        + "request = function()\n  at = at % #bodies + 1\n"
        + '  wrk.headers["Authorization"] = string.format("Bearer sk-bench-%04d", at)\n'
        + '  return wrk.format(nil, "/v1/chat/completions", nil, bodies[at])\nend\n'
    )
    return script


def measure_requests(folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    port = free_port()
    location = f"default_type application/json; return 200 '{ANSWER}';"
    upstream = nginx_command(folder, "upstream", location, port)
    script = script_of(folder, options.body_kb, stream=False)
    results: dict[str, list[float]] = {name: [] for name in options.proxies}
    with rig(folder, options.proxies, upstream, port, options.policy) as made:
        for name in options.proxies:
            load(made.ports[name], script, 1, 64)
        for _ in range(options.rounds):
            for name in options.proxies:
                results[name].append(per_request(made, name, script, options.seconds))
                time.sleep(0.1)
    return results


def measure_bodies(folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """CPU µs per request by which a long prompt is dearer than one of 1 KB."""
    costs: dict[float, dict[str, list[float]]] = {}
    port = free_port()
    upstream = python("bench.upstream", port, 0, 0)
    proxies = [name for name in options.proxies if name != "nginx"]
    with rig(folder, proxies, upstream, port, options.policy) as made:
        for size in (1, options.long_kb):
            script = script_of(folder, size, stream=False)
            costs[size] = {name: [] for name in proxies}
            for name in proxies:
                load(made.ports[name], script, 1, 8)
            for _ in range(options.rounds):
                for name in proxies:
                    cost = per_request(made, name, script, options.seconds, 8)
                    costs[size][name].append(cost)
    return {
        name: [
            long - short
            for long, short in zip(costs[options.long_kb][name], costs[1][name], strict=True)
        ]
        for name in proxies
    }


def measure_chunks(folder: Path, options: argparse.Namespace) -> dict[str, list[float]]:
    """CPU µs per chunk: of a long stream, less what a stream of one chunk costs."""
    costs: dict[int, dict[str, list[float]]] = {}
    script = script_of(folder, 1, stream=True)
    for chunks in (1, options.chunks):
        port = free_port()
        upstream = python("bench.upstream", port, chunks, 5)
        costs[chunks] = {name: [] for name in options.proxies}
        with rig(folder, options.proxies, upstream, port, options.policy) as made:
            for name in options.proxies:
                load(made.ports[name], script, 1, 16)
            for _ in range(options.rounds):
                for name in options.proxies:
                    cost = per_request(made, name, script, options.seconds, 16)
                    costs[chunks][name].append(cost)
    return {
        name: [
            (long - short) / (options.chunks - 1)
            for long, short in zip(costs[options.chunks][name], costs[1][name], strict=True)
        ]
        for name in options.proxies
    }


def table(what: str, results: dict[str, list[float]]) -> str:
    rows = [
        f"| {what} | µs CPU, median | min to max | ratio to the minimal relay |",
        "|---|---|---|---|",
    ]
    for name, costs in results.items():
        ratios = [cost / base for cost, base in zip(costs, results.get(BASE, costs), strict=True)]
        rows.append(
            f"| {NAMES[name]} | {statistics.median(costs):.1f} | {min(costs):.1f} to {max(costs):.1f} "
            f"| {statistics.median(ratios):.2f} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--only", choices=("requests", "streams", "bodies"))
    parser.add_argument("--proxies", type=lambda text: text.split(","), default=list(PROXIES))
    parser.add_argument("--policy", type=Path, default=HERE / "policy.yaml")
    parser.add_argument("--body-kb", type=float, default=1)
    parser.add_argument("--long-kb", type=float, default=400)
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    for program in ("wrk", "taskset"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is needed: install Debian's wrk and util-linux")
    if shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists():
        sys.exit("nginx is needed as the upstream: install Debian's nginx-light")
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="excise-bench-") as name:
        folder = Path(name)
        for only, what, measure in (
            ("requests", "request", measure_requests),
            ("streams", "streamed chunk", measure_chunks),
            ("bodies", f"{options.long_kb:g} KB prompt, over 1 KB", measure_bodies),
        ):
            if options.only in {None, only}:
                found[what] = measure(folder, options)
                print(table(what, found[what]) + "\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
