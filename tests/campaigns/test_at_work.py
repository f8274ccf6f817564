"""A campaign of quiet accounts is seen, judged as one and banned in one stroke; others are left alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from proxy.campaigns.members import STAGGER_S
from proxy.replay.result import Result
from proxy.replay.world import World
from tests.replay.traffic import Line, line, policy, records

HOUR, DAY = 3600.0, 86_400.0
WORDS = Path(__file__).read_text().split()
LINKS = """
rules:
  - {name: same-frame, kind: shared_template, min_accounts: 5}
  - {name: same-hand, kind: shared_shape, min_accounts: 5}
  - {name: one-exit, kind: egress_hub, window: 1h, min_accounts: 5}
"""
CRAWL = (
    LINKS
    + """
  - {name: crawl, kind: prompt_diversity, per: campaign, window: 1d, min_requests: 40,
     max_distinct_ratio: 0.9, action: throttle, acknowledge_single_family: it is a test}
"""
)


def question(chance: random.Random) -> str:
    return " ".join(chance.choice(WORDS) for _ in range(12))


def harvest(accounts: int, hours: float, *, start: float = 0.0) -> Iterator[Line]:
    """So many accounts, each once an hour from an address of its own, one frame, one configuration."""
    chance = random.Random(7)
    for number in range(int(accounts * hours)):
        who = number % accounts
        yield line(
            start + number * HOUR / accounts,
            f"Answer this question as an expert would, step by step and in full: {question(chance)}",
            f"sk-harvest-{who}",
            population="hydra",
            label="harvest",
            address=f"198.51.{who}.7",
            body={"temperature": 0.93, "max_tokens": 3072},
        )


def people(count: int, hours: int, **body: object) -> Iterator[Line]:
    """People with an app of their own each, who go on with what was said."""
    for who in range(count):
        said = [
            {
                "role": "user",
                "content": f"I am {WORDS[who]} and this is what I {WORDS[who + 1]} about",
            }
        ]
        for hour in range(hours):
            messages = [*said]
            said += [
                {"role": "assistant", "content": f"Then {WORDS[hour]} it is"},
                {"role": "user", "content": f"and what of {WORDS[hour + who]}?"},
            ]
            yield line(
                hour * HOUR + who,
                key=f"sk-person-{who}",
                address=f"203.0.{who}.9",
                body={"messages": messages, **body},
            )


def judged(
    folder: Path, lines: Iterator[Line] | list[Line], text: str
) -> tuple[World, list[Result]]:
    world = World(policy(text))
    ordered = sorted(lines, key=lambda one: one["t"])
    return world, list(world.run(records(folder, ordered)))


def campaigns(results: list[Result], population: str) -> set[str | None]:
    return {one.campaign for one in results if one.record.population == population}


def test_quiet_accounts_are_seen_as_one_and_stopped_as_one(tmp_path: Path) -> None:
    _, results = judged(tmp_path, [*harvest(12, 20), *people(12, 20)], CRAWL)
    told = [one for one in results if one.record.population == "hydra"]
    assert len(campaigns(told[-12:], "hydra")) == 1
    assert None not in campaigns(told[-12:], "hydra")
    assert {one.word for one in told[: 12 * 2]} == {"allow"}
    assert sum(one.word == "throttle" for one in told[-60:]) > 30
    assert campaigns(results, "people") == {None}
    assert {one.word for one in results if one.record.population == "people"} == {"allow"}


def test_users_of_one_app_share_a_shape_and_nothing_of_another_family(tmp_path: Path) -> None:
    _, results = judged(tmp_path, people(20, 10, temperature=0.2, max_tokens=900), CRAWL)
    assert campaigns(results, "people") == {None}


def test_a_campaigns_ban_reaches_all_its_members_but_not_in_one_tick(tmp_path: Path) -> None:
    world, start = World(policy(LINKS)), 6 * HOUR - HOUR / 12
    at_once = [{**one, "t": start + 1 + at / 100} for at, one in enumerate(harvest(12, 1))]
    lines = [*harvest(12, 6), *at_once, *harvest(12, 1, start=start + STAGGER_S + 1)]
    come = records(tmp_path, lines)
    for record in come[:72]:
        world.feed(record)
    (name,) = set(world.campaigns.names().values())
    world.bans.put(f"campaign:{name}", DAY, "operator", "a harvest")
    told = [result.word for record in come[72:] for result in world.feed(record)]
    told += [result.word for result in world.finish()]
    assert 0 < told[:12].count("block") + told[:12].count("allow") == 12
    assert told[:12].count("block") < 6
    assert set(told[12:]) == {"block"}
