"""What thousands share honestly joins nobody; who cannot be told from a campaign is left alone."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from proxy.policy.load import load
from proxy.replay.result import Result
from proxy.replay.world import World
from tests.replay.traffic import Line, line, records

HOUR, DAY = 3600.0, 86_400.0
WORDS = sorted(set(Path(__file__).read_text().split()))
POLICY = """
version: 1
keys: {missing: allow, unknown: allow}
include: [library/campaigns.yaml]
suspicion:
  subjects: [account, campaign]
  thresholds:
    - {at: 60, action: throttle}
"""
FRAME = "You are helping a user of the Paperclip notes app to write. The user says: "


def judged(folder: Path, lines: Iterable[Line]) -> tuple[World, list[Result]]:
    file = folder / "policy.yaml"
    file.write_text(POLICY)
    world = World(load(file))
    ordered = sorted(lines, key=lambda one: one["t"])
    return world, list(world.run(records(folder, ordered)))


def campaigns(results: list[Result]) -> set[str | None]:
    return {one.campaign for one in results}


def decided(results: list[Result]) -> set[str]:
    return {one.word for one in results}


def home(number: int) -> str:
    return f"100.{64 + number // 250}.{number % 250}.7"


def talks(
    who: int, start: float, turns: int, frame: str, chance: random.Random, **body: object
) -> Iterator[Line]:
    """A person's conversation, an answer every few minutes."""
    said = [{"role": "user", "content": frame + " ".join(chance.choices(WORDS, k=8))}]
    t = start
    for _ in range(turns):
        yield line(t, key=f"sk-{who}", address=home(who), body={"messages": [*said], **body})
        said += [
            {"role": "assistant", "content": " ".join(chance.choices(WORDS, k=9))},
            {"role": "user", "content": " ".join(chance.choices(WORDS, k=6))},
        ]
        t += 20 + chance.expovariate(1 / 90)


def app(users: int, ramp: float, days: float, frame: str, **body: object) -> Iterator[Line]:
    """An app that so many run with keys of their own, of whom the last comes after `ramp`."""
    chance = random.Random(11)
    for who in range(users):
        t = ramp * who / users
        while t < days * DAY:
            yield from talks(who, t, chance.randint(3, 7), frame, chance, **body)
            t += HOUR + chance.expovariate(1 / (20 * HOUR))


@pytest.mark.parametrize("ramp", [DAY / 24, 4 * DAY], ids=["sprung up", "grown slowly"])
@pytest.mark.parametrize(
    ("frame", "body"),
    [(FRAME, {}), ("", {"temperature": 0.4, "max_tokens": 1200})],
    ids=["one template", "one configuration"],
)
def test_an_app_that_many_run_shares_one_family_and_joins_nobody(
    tmp_path: Path, ramp: float, frame: str, body: dict[str, object]
) -> None:
    _, results = judged(tmp_path, app(60, ramp, 5, frame, **body))
    assert campaigns(results) == {None}
    assert decided(results) == {"allow"}


@pytest.mark.parametrize("ramp", [DAY / 24, 4 * DAY], ids=["sprung up", "grown slowly"])
def test_an_app_with_a_frame_and_a_configuration_of_its_own_is_left_alone(
    tmp_path: Path, ramp: float
) -> None:
    """Two families: it cannot be told from a campaign by what it shares, and is by what it does."""
    lines = app(60, ramp, 5, FRAME, temperature=0.4, max_tokens=1200)
    _, results = judged(tmp_path, lines)
    assert decided(results) == {"allow"}


def test_smoke_tests_of_an_sdk_join_nobody(tmp_path: Path) -> None:
    """Everybody's first request, and monitors that ping; each goes on with an app of its own."""
    chance, lines = random.Random(5), list[Line]()
    for who in range(120):
        t = chance.uniform(0, DAY)
        for at, text in enumerate(("Say hello", "ping", "Say hello")):
            lines.append(line(t + 30 * at, text, f"sk-{who}", address=home(who)))
        if who % 3 == 0:
            lines += [
                line(
                    300.0 * at, "ping", f"sk-{who}", address=home(who), body={"max_tokens": 1 + who}
                )
                for at in range(288)
            ]
    _, results = judged(tmp_path, lines)
    assert campaigns(results) == {None}
    assert decided(results) == {"allow"}


def test_the_exit_of_a_cloud_and_of_a_campus_join_nobody(tmp_path: Path) -> None:
    """Programs of as many customers from one network, and a class with one exercise from one address."""
    chance, lines = random.Random(6), list[Line]()
    for who in range(60):
        configuration = {"temperature": who / 100, "max_tokens": 200 + who}
        for _ in range(40):
            t = chance.uniform(0, DAY)
            text = f"{WORDS[who]} {WORDS[2 * who]} task: " + " ".join(chance.choices(WORDS, k=9))
            lines.append(
                line(t, text, f"sk-cloud-{who}", address=f"192.0.2.{who}", body=configuration)
            )
    for who in range(40):
        for exercise in range(6):
            t = 9 * HOUR + 600 * exercise + chance.uniform(0, 600)
            text = f"Exercise {401 + exercise}: explain why the {WORDS[3 * exercise]} is what it is"
            own = {"temperature": who / 50}
            lines.append(line(t, text, f"sk-class-{who}", address="198.51.100.9", body=own))
    _, results = judged(tmp_path, lines)
    assert {one.campaign for one in results if "cloud" in one.record.account} == {None}
    assert decided(results) == {"allow"}


def test_a_class_with_one_program_is_joined_and_left_alone(tmp_path: Path) -> None:
    """One room, one exercise, one notebook with one configuration: three families, and nothing done."""
    chance, lines = random.Random(7), list[Line]()
    for who in range(40):
        for exercise in range(6):
            t = 9 * HOUR + 600 * exercise + chance.uniform(0, 600)
            text = f"Exercise {401 + exercise}: explain why the {WORDS[3 * exercise]} is what it is"
            lines.append(
                line(t, text, f"sk-{who}", address="198.51.100.9", body={"temperature": 0.2})
            )
    world, results = judged(tmp_path, lines)
    assert decided(results) == {"allow"}
    assert len(world.campaigns.sizes()) <= 1


def pool(keys: int, **more: object) -> Iterator[Line]:
    """One customer's batch work over a pool of keys, from its two servers."""
    chance = random.Random(8)
    for number in range(2_000):
        text = "Classify the sentiment of this review: " + " ".join(chance.choices(WORDS, k=12))
        yield line(
            40.0 * number,
            text,
            f"sk-pool-{number % keys}",
            address=f"192.0.2.{number % 2}",
            body={"temperature": 0.0, "max_tokens": 5},
            **more,
        )


def test_a_declared_customers_pool_of_keys_is_one_account(tmp_path: Path) -> None:
    declared = {"account": "acme"}
    _, results = judged(tmp_path, pool(30, declared=declared))
    assert campaigns(results) == {None}
    assert decided(results) == {"allow"}


def test_a_pool_of_accounts_with_a_profile_is_suspected_at_most(tmp_path: Path) -> None:
    lines = [
        {**one, "declared": {"account": f"acme-{number % 30}", "profile": "batch"}}
        for number, one in enumerate(pool(30))
    ]
    _, results = judged(tmp_path, lines)
    assert campaigns(results) == {None}
    assert decided(results) == {"allow"}


def test_a_pool_that_nobody_lists_looks_like_a_campaign(tmp_path: Path) -> None:
    """It is said in docs/campaigns.md: nothing tells that the keys are one customer's."""
    world, results = judged(tmp_path, pool(30))
    assert len(world.campaigns.sizes()) == 1
    assert campaigns(results[-30:]) != {None}


def release(who: int, chance: random.Random, turn: float) -> Iterator[Line]:
    """A person who turns to the new model when it is there, with an app of his own."""
    t = chance.uniform(0, DAY)
    while t < 11 * DAY:
        model = "new" if t >= turn else "old"
        yield from talks(who, t, chance.randint(2, 4), "", chance, model=model)
        t += HOUR + chance.expovariate(1 / (18 * HOUR))


def test_keen_users_at_a_release_are_tied_to_the_turn_and_joined_by_nothing(tmp_path: Path) -> None:
    chance = random.Random(9)
    lines = [
        one
        for who in range(60)
        for one in release(who, chance, 9 * DAY + chance.expovariate(1 / (5 * HOUR)))
    ]
    world, results = judged(tmp_path, lines)
    assert campaigns(results) == {None}
    assert decided(results) == {"allow"}
    assert not world.campaigns.names()
