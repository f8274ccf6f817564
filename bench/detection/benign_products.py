"""Products: support bots, retrieval, many tenants behind one key, a gateway, a pool of own keys."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from bench.detection import wire
from bench.detection.arrivals import arrivals
from bench.detection.event import Event, Identity, unfolded
from bench.detection.grammar import GRAMMAR, passage, reply
from bench.detection.setting import MODEL, SMALL, Setting, Streams, chat

SINCE = "2025-03-01"
SERVERS = {"openai-python": 5.0, "node": 3.0, "go": 1.0, "requests": 0.6, "aiohttp": 0.4}


def declaration(
    setting: Setting, profile: str, addresses: tuple[str, ...]
) -> dict[str, Any] | None:
    """What an accounts file says of a customer, where the scenario says `declared`."""
    if not setting.get("declared", False):
        return None
    return {
        "tier": setting.get("tier", "pro"),
        "profile": profile,
        "networks": [setting.addresses.network(addresses[0])],
        "since": SINCE,
    }


def customer(
    setting: Setting, number: int, draw: random.Random, profile: str, servers: int = 2
) -> Identity:
    """A product on rented servers."""
    addresses = setting.addresses.neighbours(draw, "hosting", servers)
    declared = declaration(setting, profile, addresses)
    return setting.identity(number, wire.some_client(draw, SERVERS), addresses, declared=declared)


def support_bots(setting: Setting) -> Streams:
    """
    One product each, one system prompt, many end users named in `user`, mostly single questions that
    come again in other words. Questions are BANKING77 or a restaurant's calls where the data is there.
    """
    stock, made = setting.stock("support"), setting.lengths("support")

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("customer", number)
        who = customer(setting, number, draw, "multi_tenant")
        system = f"You are the assistant of {draw.choice('ABCDEFGHKLM')}-{number} Ltd. {passage(number, 4)}"
        times = arrivals(
            draw,
            setting.per_day * draw.lognormvariate(0, 0.5),
            setting.until,
            gaps=setting.traces.gaps("azure2023_conv"),
            shift_h=draw.randint(-3, 3),
        )
        for t in times:
            prompt = draw.randrange(min(stock.size, setting.get("questions", 4000)))
            messages = [{"role": "user", "content": stock.text(prompt)}]
            if draw.random() < 0.25:
                earlier = [
                    {"role": "user", "content": stock.text(prompt + 1)},
                    {"role": "assistant", "content": reply(prompt)},
                ]
                messages = [*earlier, *messages]
            user = f"u{draw.randrange(int(setting.per_day * 3))}"
            body = chat(messages, SMALL, system, temperature=0.2, max_tokens=400, user=user)
            yield [setting.event(draw, who, t, body, prompt, "benign", made)]

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def rag(setting: Setting) -> Streams:
    """
    Retrieval: a fixed template around passages of a small store of documents, which come again and
    again, and a question that seldom does.
    """
    stock, made = setting.stock("instruction"), setting.lengths("rag")

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("customer", number)
        who = customer(setting, number, draw, "rag")
        store = setting.get("passages", 300)
        times = arrivals(
            draw,
            setting.per_day,
            setting.until,
            rhythm="office",
            gaps=setting.traces.gaps("azure2023_conv"),
        )
        for t in times:
            prompt = draw.randrange(stock.size)
            found = [int(store * draw.random() ** 2) for _ in range(4)]
            context = "\n\n".join(
                f"[{at + 1}] {passage(number * 7919 + one, 6)}" for at, one in enumerate(found)
            )
            text = f"Answer from the context only.\n\nContext:\n{context}\n\nQuestion: {stock.text(prompt)}"
            body = chat(
                [{"role": "user", "content": text}],
                MODEL,
                "You answer with sources.",
                temperature=0,
            )
            yield [setting.event(draw, who, t, body, prompt, "benign", made)]

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def multi_tenant(setting: Setting) -> Streams:
    """
    A product whose tenants each have a system prompt and end users of their own, behind one key and
    one client stack on its own servers. `declared` says so in the accounts file, or not.
    """
    stock, made = setting.stock("chat"), setting.lengths("chat")

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("customer", number)
        who = customer(setting, number, draw, "multi_tenant", servers=6)
        tenants = setting.get("tenants", 80)
        open_: dict[int, list[dict[str, str]]] = {}
        times = arrivals(
            draw, setting.per_day, setting.until, gaps=setting.traces.gaps("azure2023_conv")
        )
        for t in times:
            tenant = int(tenants * draw.random() ** 2)
            user = tenant * 1000 + draw.randrange(30)
            turns = open_.setdefault(user, [])
            if len(turns) > 6 or draw.random() < 0.3:
                turns.clear()
            prompt = draw.randrange(stock.size)
            turns.append({"role": "user", "content": stock.text(prompt)})
            system = f"You work for tenant {tenant}. {passage(number * 997 + tenant, 3)}"
            body = chat(list(turns), MODEL, system, temperature=0.5, user=f"t{tenant}-u{user}")
            turns.append({"role": "assistant", "content": reply(draw.randrange(10**6))})
            yield [setting.event(draw, who, t, body, prompt, "benign", made)]

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def gateway(setting: Setting) -> Streams:
    """
    A company's own gateway in front of all its teams: other programs' bodies under the gateway's
    headers, many system prompts, one key. It is declared.
    """
    stock, made = setting.stock("chat"), setting.lengths("chat")

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("customer", number)
        addresses = setting.addresses.neighbours(draw, "hosting", 3)
        declared = declaration(setting, "gateway", addresses)
        who = setting.identity(number, wire.go(draw), addresses, declared=declared)
        writers = [
            wire.PROGRAMS[name](draw).write for name in ("openai-python", "requests", "node")
        ]
        times = arrivals(
            draw,
            setting.per_day,
            setting.until,
            rhythm="office",
            gaps=setting.traces.gaps("azure2023_conv"),
        )
        for t in times:
            team = draw.randrange(40)
            prompt = draw.randrange(stock.size)
            system = f"Team {team}. {passage(team, 2)}"
            messages = [{"role": "user", "content": stock.text(prompt)}]
            body = chat(
                messages, draw.choice((MODEL, SMALL)), system, temperature=draw.choice((0, 0.2, 1))
            )
            event = setting.event(draw, who, t, body, prompt, "benign", made)
            event.body = writers[team % 3](body)
            event.headers = who.client.around(who.key, event.body)
            yield [event]

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def key_pool(setting: Setting) -> Streams:
    """
    A customer with several keys of one account (one a service) that fail over to each other: the same
    body under another of its own keys is no echo of a campaign. Declared in the accounts file, as
    customers with pools are.
    """
    stock, made = setting.stock("instruction"), setting.lengths("instruction")

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("customer", number)
        addresses = setting.addresses.neighbours(draw, "hosting", 4)
        declared = declaration(setting, "agent", addresses)
        client = wire.openai_python(draw)
        keys = [
            setting.identity(number, client, addresses, declared=declared, keys=at)
            for at in range(setting.get("keys", 6))
        ]
        system = f"Service of customer {number}. {GRAMMAR['instruction'].prompt(number)}"
        for t in arrivals(draw, setting.per_day, setting.until, rhythm="office"):
            prompt = draw.randrange(stock.size)
            body = chat(
                [{"role": "user", "content": stock.text(prompt)}], MODEL, system, temperature=0.3
            )
            first, second = draw.sample(keys, 2)
            found = [setting.event(draw, first, t, body, prompt, "benign", made)]
            if draw.random() < 0.05:
                found[0].response["status"] = 503
                found.append(setting.event(draw, second, t + 1.0, body, prompt, "benign", made))
            yield found

    for number in range(setting.accounts):
        yield unfolded(groups(number))
