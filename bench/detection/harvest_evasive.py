"""Hydras that know what is looked for, each with one evasion, and one with all of them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from bench.detection.crew import SYSTEMS, members, pace, paraphrased
from bench.detection.event import Event, Identity, unfolded
from bench.detection.grammar import GRAMMAR, reply
from bench.detection.setting import MODEL, SMALL, Setting, Streams, chat, retries

EVASIONS = ("backoff", "resend", "jitter", "fake_turns", "paraphrase")


def evasive(setting: Setting) -> Streams:
    """
    A hydra with some of these evasions in `evade`:

    backoff: waits 5 s, a minute and ten after refusals; resend: tries a refused body under another key
    at once; jitter: another temperature, length, order of keys and some words each time, and a tail of
    random letters; fake_turns: the prompt is the last turn of a conversation that goes on, which costs
    input tokens; paraphrase: each account has templates of its own, no system prompt in common.

    With all of them, `mimicry` (many versions of one SDK) and `timing: people`, it resends only after
    minutes and never the same bytes. What an attacker pays is told by the input tokens and by the
    requests that fail.
    """
    crew, stock = members(setting), setting.stock("instruction")
    evade = set(setting.get("evade", EVASIONS))
    unknown = evade - set(EVASIONS)
    if unknown:
        raise ValueError(f"{setting.name}: no such evasion: {', '.join(sorted(unknown))}")

    def groups(number: int) -> Iterator[list[Event]]:
        draw, who = setting.random("member", number), crew[number]
        member = _Member(setting, number, evade, draw)
        made = setting.lengths("instruction")
        for turn, t in enumerate(pace(setting, number, draw)):
            prompt = number + turn * len(crew)
            body = member.body(stock.text(prompt))
            event = setting.event(draw, who, t, body, prompt, "harvest", made)
            if evade >= {"resend", "jitter"}:
                yield _rewritten(setting, draw, crew, event, member)
            elif "resend" in evade:
                yield retries(event, [0.4, 0.4], [draw.choice(crew), draw.choice(crew)])
            elif "backoff" in evade:
                yield retries(event, [5.0, 60.0, 600.0])
            else:
                yield [event]

    for number in range(len(crew)):
        yield unfolded(groups(number))


class _Member:
    """One account's way of writing."""

    def __init__(self, setting: Setting, number: int, evade: set[str], draw: random.Random) -> None:
        self._evade = evade
        self._draw = draw
        self._system: str | None = setting.random("template").choice(SYSTEMS)
        self._past: list[dict[str, str]] = []
        self._seed = number * 131
        if "paraphrase" in evade:
            role = GRAMMAR["instruction"].prompt(self._seed + 17)
            self._system = f"Keep in mind: {role}" if draw.random() < 0.5 else None
        self._model = draw.choice((MODEL, MODEL, SMALL)) if "jitter" in evade else MODEL

    def body(self, prompt: str) -> dict[str, Any]:
        """The next request's body."""
        draw, evade = self._draw, self._evade
        if "paraphrase" in evade:
            prompt = paraphrased(draw, prompt)
        if "jitter" in evade:
            prompt = f"{prompt} ({''.join(draw.choices('bcdfghklmnprst', k=6))})"
        messages = [{"role": "user", "content": prompt}]
        if "fake_turns" in evade:
            messages = [*self._turns(), *messages]
            self._past = [*messages, {"role": "assistant", "content": reply(draw.randrange(10**6))}]
        return chat(messages, self._model, self._system, **self._parameters())

    def again(self, body: dict[str, Any]) -> dict[str, Any]:
        """The same request in other words."""
        last = body["messages"][-1]
        text = paraphrased(self._draw, last["content"].rpartition(" (")[0])
        return {**body, "messages": [*body["messages"][:-1], {"role": "user", "content": text}]}

    def _turns(self) -> list[dict[str, str]]:
        if not self._past or len(self._past) > 8:
            number = self._draw.randrange(10**6)
            opening = {"role": "user", "content": GRAMMAR["chat"].prompt(number)}
            return [opening, {"role": "assistant", "content": reply(number)}]
        return self._past

    def _parameters(self) -> dict[str, Any]:
        if "jitter" not in self._evade:
            return {"temperature": 1.0, "max_tokens": 2048}
        draw = self._draw
        named: dict[str, Callable[[], Any]] = {
            "temperature": lambda: round(draw.uniform(0.4, 1.1), 2),
            "max_tokens": lambda: draw.choice((1024, 1500, 2000, 2048, 3000, 4096)),
            "top_p": lambda: round(draw.uniform(0.8, 1.0), 2),
            "user": lambda: f"u{draw.getrandbits(32):08x}",
            "stream": lambda: True,
        }
        return {name: named[name]() for name in draw.sample(list(named), draw.randint(1, 4))}


def _rewritten(
    setting: Setting, draw: random.Random, crew: list[Identity], event: Event, member: _Member
) -> list[Event]:
    """A refused request comes again after minutes, by another account, in other words."""
    body = member.again(orjson.loads(event.body))
    other, made = draw.choice(crew), setting.lengths("instruction")
    t = event.t + draw.uniform(120.0, 900.0)
    second = setting.event(draw, other, t, body, event.prompt, "harvest", made)
    second.response, second.answers = event.response, event
    return [event, second]
