"""
`python -m bench.flood`: what invented callers leave behind, in the process and in Redis.

Every request comes with a key, an address, an end user, a program, a system prompt and a prompt that have
never been seen before, from as many addresses as asked for; with `--times` each caller comes that often, so
that the upstream has accepted its key before it comes again. Excise enforces `strict.yaml` (with `--shadow`
it refuses nobody) behind a hop that it trusts, in front of a model that accepts every key. Resident
memory and Redis' `used_memory` are read as the flood goes on; bounded is what stops growing. With
`--inside` there is no HTTP, and the pace is kept whatever the machine can do: `bench/flood_inside.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sys
import time
from pathlib import Path

import redis

from bench.flood_inside import flood_inside
from bench.processes import LOAD_CORE, PROXY_CORE, free_port, python, started
from proxy.policy.shipped import shipped

CONNECTIONS = 32
SEVERAL = ("User-Agent", "Accept", "X-Trace", "X-Team", "X-Build", "X-Region", "X-Stage", "Cookie")


def request(number: int, chance: random.Random) -> bytes:
    """One caller whom nobody has seen before."""
    body = json.dumps(
        {
            "model": f"model-{number}",
            "user": f"user-{number}",
            "messages": [
                {"role": "system", "content": f"You are helper {chance.randbytes(12).hex()} of us"},
                {"role": "user", "content": f"explain {chance.randbytes(16).hex()} in a few words"},
            ],
        }
    ).encode()
    odd = chance.sample(SEVERAL, chance.randrange(len(SEVERAL)))
    address = f"{number % 200 + 11}.{number >> 8 & 255}.{number >> 16 & 255}.{number & 255}"
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "Host: excise",
        f"Authorization: Bearer sk-{number:040d}",
        f"X-Forwarded-For: {address}",
        *(f"{name}: {number}" for name in odd),
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "",
        "",
    )
    return "\r\n".join(lines).encode() + body


async def caller(port: int, first: int, end: float, interval: float, times: int) -> int:
    """Requests one after the other over one connection, until `end`."""
    chance = random.Random(first)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent, due = 0, time.monotonic() + interval * chance.random()
    while time.monotonic() < end:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        due = max(due + interval, time.monotonic() - 1)
        writer.write(request(first + sent // times * CONNECTIONS, chance))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        sent += 1
    writer.close()
    return sent


def resident(pid: int) -> float:
    """MiB of the process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1024**2


async def flood(
    port: int, pid: int, store: redis.Redis, rate: float, seconds: float, times: int
) -> int:
    start = time.monotonic()
    tasks = [
        asyncio.create_task(caller(port, number, start + seconds, CONNECTIONS / rate, times))
        for number in range(CONNECTIONS)
    ]
    step = seconds / 8
    for point in range(9):
        await asyncio.sleep(max(0.0, start + point * step - time.monotonic()))
        used = int(store.info("memory")["used_memory"]) / 1024**2
        keys = store.dbsize()
        print(f"| {point * step:.0f} | {resident(pid):.0f} | {used:.0f} | {keys:,} |", flush=True)
    return sum(await asyncio.gather(*tasks))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description=__doc__)
    parser.add_argument("--rate", type=float, default=2000, help="requests a second, at most")
    parser.add_argument("--seconds", type=float, default=240)
    parser.add_argument("--times", type=int, default=1, help="requests of each caller")
    parser.add_argument("--policy", type=Path, default=shipped("strict.yaml"))
    parser.add_argument("--shadow", action="store_true", help="watch: nobody is refused")
    parser.add_argument("--inside", action="store_true", help="the line alone, without HTTP")
    options = parser.parse_args()
    ports = [free_port() for _ in range(5)]
    store_port, model, data, health, admin = ports
    server = shutil.which("redis-server") or str(Path(sys.executable).parent / "redis-server")
    command = [server, "--port", str(store_port), "--bind", "127.0.0.1", "--save", ""]
    if options.inside:
        chance = random.Random(1)
        with started(command, store_port, LOAD_CORE):
            asyncio.run(
                flood_inside(
                    options.policy,
                    "shadow" if options.shadow else "enforce",
                    store_port,
                    options.rate,
                    options.seconds,
                    options.times,
                    lambda number: request(number, chance),
                    resident,
                )
            )
        return
    settings = {
        "EXCISE_UPSTREAM": f"http://127.0.0.1:{model}",
        "EXCISE_POLICY": str(options.policy),
        "EXCISE_MODE": "shadow" if options.shadow else "enforce",
        "EXCISE_REDIS_URL": f"redis://127.0.0.1:{store_port}/0",
        "EXCISE_SECRET": "of-the-bench-alone-0123456789",
        "EXCISE_LISTEN": f"127.0.0.1:{data}",
        "EXCISE_HEALTH_LISTEN": f"127.0.0.1:{health}",
        "EXCISE_ADMIN_LISTEN": f"127.0.0.1:{admin}",
        "EXCISE_CLIENT_ADDRESS_FROM": "x-forwarded-for",
        "EXCISE_CLIENT_ADDRESS_TRUSTED": "127.0.0.0/8",
        "EXCISE_HEADER_EVIDENCE": "on",
    }
    with (
        started(command, store_port, LOAD_CORE),
        started(python("bench.upstream", model, 0, 0), model, LOAD_CORE),
        started(python("proxy.cli", "serve"), data, PROXY_CORE, None, **settings) as pid,
    ):
        store = redis.Redis(port=store_port)
        print("| seconds | process, MiB | Redis, MiB | keys in Redis |\n|---|---|---|---|")
        sent = asyncio.run(flood(data, pid, store, options.rate, options.seconds, options.times))
        print(f"\n{sent:,} requests, {sent / options.seconds:,.0f} a second.")


if __name__ == "__main__":
    main()
