"""Harvests told by how many ask, and how much each: one loud key, a handful in turn, a hydra."""

from __future__ import annotations

from collections.abc import Iterator

from bench.detection.crew import crawl, members, pipeline
from bench.detection.event import Event, unfolded
from bench.detection.setting import Setting, Streams, retries

CURATOR_PER_MINUTE = 200
"""curator's default; it reads the advertised limit and then rides it, with ten retries."""


def loud_key(setting: Setting) -> Streams:
    """
    One key at a pipeline's own rate around the clock, aiohttp as curator sends it: `per_minute` requests,
    on a 429 again with doubling waits. Several accounts are several such people, each alone.
    """
    crew = members(setting, ("aiohttp",))
    write, stock, made = (
        pipeline(setting),
        setting.stock("instruction"),
        setting.lengths("instruction"),
    )
    rate = setting.get("per_minute", CURATOR_PER_MINUTE) / 60

    def groups(number: int) -> Iterator[list[Event]]:
        draw, who = setting.random("member", number), crew[number]
        most = int(setting.get("requests", setting.until * rate))
        t = draw.uniform(0, 3600) + number * setting.get("apart_s", 7200.0)
        for turn in range(most):
            t += draw.expovariate(rate)
            if t >= setting.until:
                return
            prompt = number + turn * len(crew)
            event = setting.event(
                draw, who, t, write(draw, stock.text(prompt)), prompt, "harvest", made
            )
            yield retries(event, [1.0, 2.0])

    for number, who in enumerate(crew):
        who.campaign = f"{setting.name}-{number}"
        yield unfolded(groups(number))


def round_robin(setting: Setting) -> Streams:
    """
    A handful of keys that one program takes in turn: request n goes out under key n modulo their
    count, at a steady rate, from one or two servers. A refused body goes out again under the next key.
    """
    crew = members(setting, ("openai-python",))
    write, stock, made = (
        pipeline(setting),
        setting.stock("instruction"),
        setting.lengths("instruction"),
    )
    gap = 86_400.0 / (setting.per_day * len(crew))

    def groups() -> Iterator[list[Event]]:
        draw, t, turn = setting.random("loop"), 0.0, 0
        while (t := t + gap * draw.uniform(0.5, 1.5)) < setting.until:
            who, following = crew[turn % len(crew)], crew[(turn + 1) % len(crew)]
            event = setting.event(
                draw, who, t, write(draw, stock.text(turn)), turn, "harvest", made
            )
            yield retries(event, [0.5], [following])
            turn += 1

    yield unfolded(groups())


def hydra(setting: Setting) -> Streams:
    """
    Thousands of accounts, each quiet: about 26 requests a day as in the published campaigns, one list
    shared out among them by a load balancer, the same pipeline behind each. `network` isp is a
    residential proxy's pool, one sticky address an account; hosting with `pool` is a set of rented exits.
    """
    crew = members(setting)
    return crawl(setting, crew, setting.stock("instruction"), pipeline(setting))
