"""People: a chat front end of their own, a class behind one address, an app that many run, a release."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from bench.detection import wire
from bench.detection.arrivals import DAY, HOUR, arrivals, sessions
from bench.detection.event import Event, Identity, unfolded
from bench.detection.grammar import GRAMMAR, reply
from bench.detection.prompts import Stock
from bench.detection.setting import MODEL, NEXT, SMALL, Setting, Streams, chat

FRONT_ENDS = {"node": 5.0, "openai-python": 3.0, "requests": 1.0, "aiohttp": 0.5, "go": 0.3}
SMOKE = (
    "Hello",
    "Say this is a test",
    "hi",
    "Hello, world!",
    "test",
    "Write a haiku about recursion",
)


class Talk:
    """A person's conversation: what he has in hand, and what the model has said."""

    def __init__(self, stock: Stock, draw: random.Random) -> None:
        self._stock, self._draw = stock, draw
        self._script: list[dict[str, str]] = []
        self.turns: list[dict[str, str]] = []
        self.number = 0

    def begin(self) -> None:
        """A new conversation."""
        self.number = self._draw.randrange(self._stock.size)
        self._script = [turn for turn in self._stock.turns(self.number) if turn["role"] != "system"]
        self.turns = []

    def next(self) -> tuple[list[dict[str, str]], int]:
        """The messages of the next request: the script's own turns first, then follow-ups."""
        while self._script and self._script[0]["role"] == "assistant":
            self._script.pop(0)
        if self._script:
            said = self._script.pop(0)["content"]
        else:
            self.number = self._draw.randrange(10**6)
            said = GRAMMAR["chat"].prompt(self.number)
        self.turns.append({"role": "user", "content": said})
        messages = list(self.turns)
        self.turns.append({"role": "assistant", "content": reply(self._draw.randrange(10**6))})
        return messages, self.number


def sittings(setting: Setting, draw: random.Random, talk: Talk, **more: Any) -> Iterator[float]:
    """Times of one person's requests; the talk begins anew with each sitting."""
    mean = setting.get("turns", 3.5)
    starts = arrivals(draw, setting.per_day / mean, setting.until, **more)
    for t, turn, _ in sessions(draw, starts, lambda: int(draw.expovariate(1 / mean)) + 1, 60.0):
        if turn == 0:
            talk.begin()
        if t < setting.until:
            yield t


def consumer_chat(setting: Setting) -> Streams:
    """
    People with a key and a chat front end: sittings of a few turns that go on, at home and on the
    move, some days none. Prompts are real ones of the arena, LIMA and oasst where the data is there.
    """
    stock, made = setting.stock("chat"), setting.lengths("chat")

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("person", number)
        who = _person(setting, number, draw)
        system = draw.choice((None, None, "You are a helpful assistant."))
        talk, eager = Talk(stock, draw), draw.lognormvariate(-0.3, 0.8)
        model, warm = draw.choice((MODEL, MODEL, SMALL)), draw.choice((None, 0.7, 1.0, 0.3))
        mean = setting.get("turns", 3.5)
        rate = setting.per_day * eager / mean
        starts = arrivals(draw, rate, setting.until, shift_h=draw.randint(-9, 9))
        for t, turn, _ in sessions(draw, starts, lambda: int(draw.expovariate(1 / mean)) + 1, 60.0):
            if turn == 0:
                talk.begin()
            if t >= setting.until:
                return
            messages, prompt = talk.next()
            body = chat(messages, model, system, temperature=warm, stream=True)
            yield [setting.event(draw, who, t, body, prompt, "benign", made)]

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def _person(setting: Setting, number: int, draw: random.Random) -> Identity:
    home = setting.addresses.one(draw, "isp")
    places = (home, home, setting.addresses.one(draw, "mobile")) if draw.random() < 0.4 else (home,)
    return setting.identity(number, wire.some_client(draw, FRONT_ENDS), places)


def popular_app(setting: Setting) -> Streams:
    """
    One open-source application with one system prompt and fixed parameters, run by thousands on their
    own keys: what they share is the application. Some run it on a rented server. New installations all
    the time. One that does not `remember` sends each question alone, as a translator or a search box does.
    """
    stock, made = setting.stock("chat"), setting.lengths("chat")
    remembers = setting.get("remembers", True)
    system = setting.get(
        "system",
        "You are Quill, an assistant for notes. Answer in Markdown, be brief, link notes as [[Title]].",
    )

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("person", number)
        kind = "hosting" if draw.random() < setting.get("on_servers", 0.15) else "isp"
        address = setting.addresses.one(draw, kind)
        client = wire.node(random.Random(setting.seed), "quill/1.8.2 node-fetch")
        who, talk = setting.identity(number, client, (address,)), Talk(stock, draw)
        begins = draw.uniform(0, setting.until * 0.6) if draw.random() < 0.3 else 0.0
        for t in sittings(setting, draw, talk, start=begins, shift_h=draw.randint(-9, 9)):
            messages, prompt = talk.next()
            if not remembers:
                messages = messages[-1:]
            body = chat(messages, MODEL, system, temperature=0.4, max_tokens=1200, stream=True)
            yield [setting.event(draw, who, t, body, prompt, "benign", made)]

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def classroom(setting: Setting) -> Streams:
    """
    Classes at school, `size` pupils each with a key of the course, behind one address: the same
    exercise in the same hour, asked for in nearly the same words, on school days.
    """
    size, made = setting.get("size", 30), setting.lengths("chat")
    stock = setting.stock("code")

    def groups(number: int) -> Iterator[list[Event]]:
        room, draw = number // size, setting.random("pupil", number)
        shared = setting.random("room", room)
        address = setting.addresses.one(shared, "business")
        client = wire.openai_python(random.Random(room), "1.99.1")
        who = setting.identity(number, client, (address,))
        for day in range(int(setting.days + 0.99)):
            lesson = setting.random("lesson", room, day)
            starts = day * DAY + HOUR * lesson.choice((8, 9, 11, 13))
            exercise = stock.text(lesson.randrange(stock.size))
            if day % 7 >= 5:
                continue
            t, turns = starts + draw.uniform(0, 600), []
            for _ in range(draw.randint(1, max(1, int(setting.per_day * 2)))):
                said = (
                    exercise
                    if not turns
                    else draw.choice(("it fails", "why?", "simpler, please", "thanks"))
                )
                turns += [{"role": "user", "content": said}]
                if t >= setting.until:
                    return
                body = chat(list(turns), SMALL, "You are a patient tutor.", temperature=0.2)
                yield [setting.event(draw, who, t, body, lesson.randrange(10**6), "benign", made)]
                turns += [{"role": "assistant", "content": reply(draw.randrange(10**6))}]
                t += 20 + draw.expovariate(1 / 150)

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def keen_users(setting: Setting) -> Streams:
    """
    A new model comes at `release` (days): people who have used the old one try it within hours, more
    than they ever asked before, many with the same famous test questions.
    """
    stock, made = setting.stock("chat"), setting.lengths("chat")
    release = setting.get("release", setting.days * 0.4) * DAY
    famous = [GRAMMAR["math"].prompt(n) for n in range(6)] + [
        GRAMMAR["code"].prompt(n) for n in range(6)
    ]

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("person", number)
        who, talk = _person(setting, number, draw), Talk(stock, draw)
        turns_to = release + draw.expovariate(1 / (5 * HOUR))
        for t in sittings(setting, draw, talk, shift_h=draw.randint(-9, 9)):
            messages, prompt = talk.next()
            fresh = t >= turns_to
            if fresh and t < turns_to + DAY and draw.random() < 0.4:
                prompt = draw.randrange(len(famous))
                messages = [{"role": "user", "content": famous[prompt]}]
            body = chat(messages, NEXT if fresh else MODEL, temperature=None, stream=True)
            again = (0.0, 3.0) if fresh and t < turns_to + DAY else (0.0,)
            yield [
                setting.event(draw, who, t + wait, body, prompt, "benign", made) for wait in again
            ]

    for number in range(setting.accounts):
        yield unfolded(groups(number))


def smoke_tests(setting: Setting) -> Streams:
    """
    Developers on their first day: the SDK's example, word for word the same on hundreds of new keys,
    then a few requests of their own. Many from clouds.
    """
    stock, made = setting.stock("instruction"), setting.lengths("completion")

    def groups(number: int) -> Iterator[list[Event]]:
        draw = setting.random("developer", number)
        kind = draw.choice(("isp", "isp", "hosting"))
        who = setting.identity(
            number, wire.openai_python(draw), (setting.addresses.one(draw, kind),)
        )
        t = draw.uniform(0, setting.until * 0.95)
        for turn in range(1 + int(draw.expovariate(1 / max(1.0, setting.per_day)))):
            number_ = draw.randrange(stock.size)
            text = draw.choice(SMOKE) if turn < 2 else stock.text(number_)
            body = chat([{"role": "user", "content": text}], SMALL)
            if t >= setting.until:
                return
            yield [setting.event(draw, who, t, body, -1 if turn < 2 else number_, "benign", made)]
            t += draw.expovariate(1 / 400)

    for number in range(setting.accounts):
        yield unfolded(groups(number))
