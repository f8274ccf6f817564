"""Machines at honest work: coding agents, evaluation, classification, and everybody after an outage."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from bench.detection import wire
from bench.detection.arrivals import DAY, HOUR, arrivals, sessions
from bench.detection.benign_people import Talk
from bench.detection.benign_products import customer, declaration
from bench.detection.event import Event, Identity, unfolded
from bench.detection.grammar import GRAMMAR, passage
from bench.detection.setting import MODEL, SMALL, Setting, Streams, chat, retries
from bench.detection.tokens import Lengths

_TOOLS = ("read_file", "write_file", "run_tests", "search", "list_directory")


def coding_agents(setting: Setting) -> Streams:
    """
    Agents at work on a task: each call sends all that has gone before and one step more, seconds
    apart, for tens of calls. Texts are SWE-agent's where the data is there.
    """
    made, stock = setting.lengths("agent"), setting.stock("code")
    most = setting.get("context_chars", 12_000)

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("developer", number)
        address = setting.addresses.one(draw, draw.choice(("isp", "isp", "business", "hosting")))
        client = wire.some_client(draw, {"node": 3.0, "openai-python": 2.0})
        who = setting.identity(number, client, (address,))
        system = (
            f"You are a coding agent in a terminal. Tools: {', '.join(_TOOLS)}. {passage(5, 8)}"
        )
        mean = setting.get("steps", 25.0)
        starts = arrivals(
            draw,
            setting.per_day / mean,
            setting.until,
            rhythm="office",
            shift_h=draw.randint(-9, 9),
        )
        turns: list[dict[str, str]] = []
        for t, turn, _ in sessions(draw, starts, lambda: int(draw.expovariate(1 / mean)) + 2, 9.0):
            if t >= setting.until:
                return
            if turn == 0:
                prompt = draw.randrange(stock.size)
                turns = [{"role": "user", "content": stock.text(prompt)[:6000]}]
            body = chat(list(turns), MODEL, system, temperature=0.0, stream=True)
            yield [setting.event(draw, who, t, body, prompt, "benign", made)]
            if sum(len(one["content"]) for one in turns) < most:
                step = draw.randrange(10**6)
                called = f"{draw.choice(_TOOLS)}: {GRAMMAR['sentence'].prompt(step)}"
                turns.append({"role": "assistant", "content": called})
                turns.append(
                    {"role": "user", "content": f"Observation: {passage(step, 3 + step % 8)}"}
                )

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def eval_harness(setting: Setting) -> Streams:
    """
    A benchmark run from end to end in an hour, the same set again after each change of a model: what a
    harvest looks like, but bounded and repeated. `declared` says eval in the accounts file, or not.
    """
    stock, made = setting.stock("math"), setting.lengths("choice")
    size = setting.get("items", 1000)

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("harness", number)
        addresses = (setting.addresses.one(draw, "hosting"),)
        declared = declaration(setting, "eval", addresses)
        who = setting.identity(number, wire.openai_python(draw), addresses, declared=declared)
        first, t = draw.randrange(stock.size), 0.0
        for start in arrivals(
            draw, setting.get("runs_per_day", 0.7), setting.until, rhythm="office"
        ):
            model, t = draw.choice((MODEL, SMALL)), max(start, t)
            for at in range(size):
                t += draw.expovariate(setting.get("per_second", 1.0))
                if t >= setting.until:
                    return
                messages = [{"role": "user", "content": stock.text(first + at)}]
                body = chat(messages, model, temperature=0, max_tokens=512)
                event = setting.event(draw, who, t, body, first + at, "benign", made)
                yield retries(event, [0.8, 1.9])

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def batch_classification(setting: Setting) -> Streams:
    """
    A table labelled row by row at night: one template, another payload each time, a word or two as the
    answer.
    """
    made = setting.lengths("label")
    stock = setting.stock("support")

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("customer", number)
        who = customer(setting, number, draw, "batch", servers=1)
        labels = ", ".join(
            draw.sample(("billing", "delivery", "praise", "spam", "bug", "other"), 4)
        )
        for day in range(int(setting.days + 0.99)):
            t = day * DAY + HOUR * draw.choice((1, 2, 3))
            for at in range(int(setting.per_day)):
                t += draw.expovariate(setting.get("per_second", 2.0))
                if t >= setting.until:
                    return
                prompt = at + day * int(setting.per_day) + number * 100_003
                text = f"Label the message as one of: {labels}.\n\nMessage: {stock.text(prompt)}\n\nLabel:"
                messages = [{"role": "user", "content": text}]
                body = chat(messages, SMALL, "You label messages.", temperature=0, max_tokens=5)
                event = setting.event(draw, who, t, body, prompt, "benign", made)
                yield retries(event, [0.8, 1.9])

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def retry_storm(setting: Setting) -> Streams:
    """
    The upstream is out from `outage` (days) for `minutes`: every request fails, SDKs send the same
    body again and again, people press the button, and when it is back all come at once.
    """
    stock, made = setting.stock("chat"), setting.lengths("chat")
    begins = setting.get("outage", setting.days * 0.5) * DAY
    ends = begins + 60.0 * setting.get("minutes", 20)

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("customer", number)
        kind = draw.choice(("isp", "hosting"))
        client = wire.some_client(draw, {"openai-python": 3.0, "node": 2.0})
        who = setting.identity(number, client, (setting.addresses.one(draw, kind),))
        talk, last = Talk(stock, draw), None
        talk.begin()
        for t in arrivals(
            draw, setting.per_day, setting.until, gaps=setting.traces.gaps("azure2023_conv")
        ):
            if draw.random() < 0.4:
                talk.begin()
            messages, prompt = talk.next()
            body = chat(messages, MODEL, temperature=0.7)
            if last is None and t >= begins:
                last = t
                yield from _storm(setting, draw, who, body, prompt, made, begins, ends)
                continue
            if begins <= t < ends + 120:
                continue
            yield [setting.event(draw, who, t, body, prompt, "benign", made)]

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def _storm(
    setting: Setting,
    draw: random.Random,
    who: Identity,
    body: dict[str, Any],
    prompt: int,
    made: Lengths,
    begins: float,
    ends: float,
) -> Iterator[list[Event]]:
    """One body, tried with back-off and by hand until it goes through."""
    t = begins + draw.uniform(0, 120)
    while t < ends:
        for wait in (0.0, 0.6, 1.4):
            event = setting.event(draw, who, t + wait, body, prompt, "benign", made)
            if event.t < ends:
                event.response = {
                    "status": 503,
                    "input_tokens": 0,
                    "output_tokens": 0,
                    "duration": 0.05,
                }
            yield [event]
        t += draw.uniform(10, 60)
    yield [setting.event(draw, who, ends + draw.uniform(0, 30), body, prompt, "benign", made)]
