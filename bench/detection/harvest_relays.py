"""Relays that resell access: people and harvests behind the same keys, with each relay's marks."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bench.detection import wire
from bench.detection.arrivals import arrivals
from bench.detection.crew import pipeline
from bench.detection.event import Event, Identity, unfolded
from bench.detection.prompts import Turns
from bench.detection.setting import MODEL, SMALL, Setting, Streams, chat, retries

ONE_API_PROBE = "Output only your specific model name with no additional text."
_PERSONAS = (
    *("Translator", "Poet", "Code helper", "Tutor", "Lawyer"),
    *("Chef", "Companion", "Editor", "Travel guide", "Coach"),
)


@dataclass
class _User:
    """An end user of the relay, with the front end that he runs."""

    system: str | None
    temperature: float | None
    turns: Turns


def relay(setting: Setting) -> Streams:
    """
    One relay with `accounts` upstream keys, a channel drawn for each request. `harvest` of its
    requests are one crawl, the rest are people's conversations through many front ends. Source: the
    relays' own code.

    `program`: one-api (struct, `messages` first, a refused body again under another key, its probe),
    new-api (struct, `model` first, probe `hi` with 16 tokens over all channels), sub2api (a pinned
    identity, sorted keys, a session for 15 minutes), openai-python (full mimicry: nothing of the relay
    shows). People's requests go by the name `NAME_users`, label ambiguous: they are people, their
    access is resold.
    """
    program = setting.get("program", "one-api")
    chance = setting.random("relay")
    servers = setting.addresses.neighbours(chance, setting.get("network", "hosting"), 2)
    keys = [
        setting.identity(number, _client(program, chance), servers, campaign=setting.name)
        for number in range(setting.accounts)
    ]
    yield unfolded(_people(setting, keys, program))
    yield unfolded(_crawl(setting, keys, program))
    if program in {"one-api", "new-api"}:
        yield _probes(setting, keys, program)


def _client(program: str, chance: random.Random) -> wire.Client:
    return wire.PROGRAMS[program](chance)


def _path(program: str) -> str:
    return wire.MESSAGES if program == "sub2api" else wire.CHAT


def _shaped(program: str, body: dict[str, Any], who: Identity, t: float) -> dict[str, Any]:
    """The body as the relay passes it on."""
    if program != "sub2api":
        return body
    messages = body["messages"]
    if messages[0]["role"] == "system":
        body = {**body, "system": messages[0]["content"], "messages": messages[1:]}
    session = f"user_{who.key[3:35]}_account__session_{int(t // 900):08x}"
    return {"max_tokens": 1024, **body, "metadata": {"user_id": session}}


def _sent(
    setting: Setting, draw: random.Random, keys: list[Identity], event: Event, program: str
) -> list[Event]:
    if program == "openai-python":
        return [event]
    return retries(event, [0.2], [draw.choice(keys)]) if len(keys) > 1 else [event]


def _people(setting: Setting, keys: list[Identity], program: str) -> Iterator[list[Event]]:
    draw = setting.random("people")
    stock = setting.library.stock(setting.get("users", ()), "chat", setting.random("user stock"))
    rate = setting.per_day * len(keys) * (1 - setting.get("harvest", 0.25))
    made, users = setting.lengths("chat"), [_user(draw) for _ in range(setting.get("people", 120))]
    for t in arrivals(draw, rate, setting.until, gaps=setting.traces.gaps("azure2023_conv")):
        user = draw.choice(users)
        number = draw.randrange(stock.size)
        if not user.turns or len(user.turns) > 9 or draw.random() < 0.3:
            user.turns = []
        user.turns += [dict(turn) for turn in stock.turns(number) if turn["role"] != "system"]
        body = chat(
            list(user.turns), draw.choice((MODEL, SMALL)), user.system, temperature=user.temperature
        )
        user.turns.append({"role": "assistant", "content": "Sure. Here is what I found for you."})
        who = draw.choice(keys)
        event = setting.event(
            draw,
            who,
            t,
            _shaped(program, body, who, t),
            number,
            "ambiguous",
            made,
            path=_path(program),
            population=f"{setting.name}_users",
        )
        yield _sent(setting, draw, keys, event, program)


def _user(draw: random.Random) -> _User:
    persona = draw.choice(_PERSONAS)
    system = (
        f"You are {persona} number {draw.randrange(500)}. Be helpful."
        if draw.random() < 0.6
        else None
    )
    return _User(system, draw.choice((None, 0.3, 0.7, 0.8, 1.0)), [])


def _crawl(setting: Setting, keys: list[Identity], program: str) -> Iterator[list[Event]]:
    draw, write = setting.random("crawl"), pipeline(setting)
    stock, made = setting.stock("instruction"), setting.lengths("instruction")
    rate = setting.per_day * len(keys) * setting.get("harvest", 0.25)
    times = arrivals(draw, rate, setting.until, rhythm="machine")
    for number, t in enumerate(times):
        who = draw.choice(keys)
        body = _shaped(program, write(draw, stock.text(number)), who, t)
        event = setting.event(draw, who, t, body, number, "harvest", made, path=_path(program))
        yield _sent(setting, draw, keys, event, program)


def _probes(setting: Setting, keys: list[Identity], program: str) -> Iterator[Event]:
    """Every channel is asked whether it lives, one after the other, twice a day."""
    draw = setting.random("probes")
    text, most = (ONE_API_PROBE, None) if program == "one-api" else ("hi", 16)
    for at in range(int(setting.days * 2)):
        t = at * 43_200.0 + 600.0
        for who in keys:
            t += draw.uniform(1.0, 3.0)
            body = chat([{"role": "user", "content": text}], MODEL, max_tokens=most)
            yield setting.event(draw, who, t, body, -1, "harvest", setting.lengths("completion"))
