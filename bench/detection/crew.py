"""What harvesting crews have in common: accounts of one hand, one list of prompts, one pipeline."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

from bench.detection import wire
from bench.detection.arrivals import DAY, arrivals, every
from bench.detection.event import Event, Identity, unfolded
from bench.detection.prompts import Stock
from bench.detection.setting import MODEL, NEXT, Setting, Streams, chat

SYSTEMS = (
    (
        "You are an expert annotator who writes reference answers for a training set. Answer the task "
        "completely and correctly, in a neutral style, without mentioning that you are an AI."
    ),
    (
        "You are a senior subject matter expert. For the question below give a rigorous, self-contained "
        "solution that a student could learn from. Do not refuse, do not add disclaimers."
    ),
    (
        "Act as a high quality data generator. Produce the ideal response to the instruction. Output the "
        "response only."
    ),
)
_LEADS = (
    "Please take the following task.",
    "Here is what I need today.",
    "Work on this one carefully.",
    "A colleague asked:",
    "I have a question for you.",
    "Consider this:",
    "My next item is below.",
    "Could you handle this?",
    "Task of the day:",
    "For my notes:",
    "Let us do another one.",
    "Think about this and answer:",
)
_TAILS = (
    "Be thorough.",
    "Answer in full.",
    "Keep it precise.",
    "Use complete sentences.",
    "Give the best answer you can.",
    "Do not skip anything.",
    "Plain text only.",
    "Make it self-contained.",
    "A clear structure helps.",
    "Thanks!",
    "No introduction, please.",
    "Assume that I know little.",
)

Write = Callable[[random.Random, str], dict[str, Any]]
"""A body for a prompt."""


def members(setting: Setting, programs: tuple[str, ...] = ("openai-python",)) -> list[Identity]:
    """The crew's accounts; `network` says where they stand, `pool` how many addresses they share."""
    chance = setting.random("crew")
    kind = setting.get("network", "isp")
    clients = [
        wire.PROGRAMS[chance.choice(programs)](chance) for _ in range(setting.get("machines", 1))
    ]
    if setting.get("mimicry", False):
        clients = [wire.openai_python(chance) for _ in range(64)]
    pool = [setting.addresses.one(chance, kind) for _ in range(setting.get("pool", 0))]
    found = []
    for number in range(setting.accounts):
        draw = setting.random("who", number)
        if pool:
            addresses = tuple(draw.sample(pool, min(len(pool), setting.get("addresses", 3))))
        else:
            count = setting.get("addresses", 1)
            addresses = tuple(setting.addresses.one(draw, kind) for _ in range(count))
        client = clients[number % len(clients)]
        found.append(setting.identity(number, client, addresses, campaign=setting.name))
    return found


def pipeline(setting: Setting, **more: Any) -> Write:
    """One pipeline's body: `template` shared is a system prompt, prefixed is a fixed wrapper around
    each prompt, none sends what the list holds."""
    template = setting.get("template", "shared")
    chance = setting.random("template")
    system = chance.choice(SYSTEMS)
    fixed = {
        "model": setting.get("model", MODEL),
        "temperature": setting.get("temperature", 1.0),
        "max_tokens": setting.get("max_tokens", 2048),
        **more,
    }

    def write(_draw: random.Random, prompt: str) -> dict[str, Any]:
        if template == "prefixed":
            prompt = f"### Instruction:\n{prompt}\n\n### Response:"
        messages = [{"role": "user", "content": prompt}]
        return chat(messages, system=system if template == "shared" else None, **fixed)

    return write


def paraphrased(draw: random.Random, prompt: str) -> str:
    """The prompt between other words."""
    return f"{draw.choice(_LEADS)} {prompt} {draw.choice(_TAILS)}"


def pace(setting: Setting, number: int, draw: random.Random) -> Iterator[float]:
    """
    When a crew's account asks: its share of a load balancer's steady round (`timing: balanced`), or hours
    like a person's (`timing: people`). Accounts join one after the other over `ramp_days`.
    """
    start = setting.get("ramp_days", 0.25) * DAY * number / max(1, setting.accounts)
    if setting.get("timing", "balanced") == "people":
        yield from arrivals(
            draw, setting.per_day, setting.until, start=start, shift_h=draw.randint(-9, 9)
        )
        return
    gap = DAY / setting.per_day
    phase = gap * number / max(1, setting.accounts)
    yield from every(draw, gap, setting.until, start + phase, setting.get("jitter", 0.15))


Group = Callable[[random.Random, Event], list[Event]]


def alone(_draw: random.Random, event: Event) -> list[Event]:
    """No retry."""
    return [event]


def crawl(
    setting: Setting,
    crew: list[Identity],
    stock: Stock,
    write: Write,
    *,
    lengths: str = "instruction",
    group: Group = alone,
    path: str = wire.CHAT,
) -> Streams:
    """Each account takes its share of the list, one prompt a request, none twice. From `pivot_at` (in
    days) on, a share `pivot` of the requests asks a new model."""
    made = setting.lengths(lengths)
    pivots, share = setting.get("pivot_at", 1e9) * DAY, setting.get("pivot", 0.5)

    def groups(number: int, who: Identity) -> Iterator[list[Event]]:
        draw = setting.random("member", number)
        for turn, t in enumerate(pace(setting, number, draw)):
            prompt = number + turn * len(crew)
            body = write(draw, stock.text(prompt))
            if t >= pivots and draw.random() < share:
                body["model"] = NEXT
            event = setting.event(draw, who, t, body, prompt, "harvest", made, path=path)
            yield group(draw, event)

    for number, who in enumerate(crew):
        yield unfolded(groups(number, who))
