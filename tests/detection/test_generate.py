"""Traffic is the same for the same seed, in order, and repeats no prompt that it must not."""

from __future__ import annotations

import gzip
import itertools
import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from bench.detection.event import Event
from bench.detection.generate import Summary, events, generate, settings
from bench.detection.prompts import Library, data_or_none
from tests.detection.conftest import SCENARIOS, made, scenario

ONCE = ("hydra", "evasive", "list_crawl", "reasoning", "loud_key", "round_robin")
"""Kinds that ask for nothing twice."""


@pytest.mark.parametrize("name", ["tuning/hydra", "testing/harvests"])
def test_the_same_seed_makes_the_same_bytes_and_another_seed_others(
    tmp_path: Path, name: str
) -> None:
    def written(file: str, seed: int) -> bytes:
        generate(tmp_path / file, settings(scenario(name), seed, None, scale=0.002, days=0.2))
        return (tmp_path / file).read_bytes()

    first = written("a.jsonl", 7)
    assert first
    assert written("b.jsonl", 7) == first
    assert written("c.jsonl", 8) != first


def test_a_file_is_packed_as_its_name_says(tmp_path: Path) -> None:
    for suffix in (".jsonl", ".jsonl.gz", ".jsonl.zst"):
        generate(
            tmp_path / f"t{suffix}",
            settings(scenario("tuning/benign"), 7, None, scale=0.001, days=0.05, only={"rag"}),
        )
    plain = (tmp_path / "t.jsonl").read_bytes()
    assert gzip.decompress((tmp_path / "t.jsonl.gz").read_bytes()) == plain
    assert (tmp_path / "t.jsonl.zst").read_bytes()[:4] == b"\x28\xb5\x2f\xfd"


@pytest.mark.parametrize("name", [name for name in SCENARIOS if "20k" not in name])
def test_lines_are_in_the_order_of_time_and_every_population_speaks(name: str) -> None:
    found = made(name, days=1.0)
    assert [event.number for event in found] == list(range(len(found)))
    assert all(one.t <= two.t for one, two in itertools.pairwise(found))
    spoken = {event.population for event in found}
    quiet = {one.name for one in scenario(name).populations} - spoken
    assert {one for one in quiet if "eval_harness" not in one} == set()  # it runs some days only


def test_a_retry_names_the_earlier_line_that_must_have_been_refused(
    lines: list[dict[str, Any]],
) -> None:
    retries = [(number, line) for number, line in enumerate(lines) if "if_refused" in line]
    assert retries
    for number, line in retries:
        before = lines[line["if_refused"]]
        assert line["if_refused"] < number
        assert before["population"] == line["population"]
        assert before["response"] == line["response"]


def test_a_refused_body_goes_out_again_under_another_key_where_that_is_modelled(
    lines: list[dict[str, Any]],
) -> None:
    resent = [
        line for line in lines if line["population"] == "evade_resend" and "if_refused" in line
    ]
    assert resent
    for line in resent:
        assert line["body"] == lines[line["if_refused"]]["body"]
    accounts = [(line["account"], lines[line["if_refused"]]["account"]) for line in resent]
    assert any(one != other for one, other in accounts)


def test_who_does_all_of_it_never_sends_the_same_bytes_again(lines: list[dict[str, Any]]) -> None:
    resent = [line for line in lines if line["population"] == "evade_all" and "if_refused" in line]
    assert resent
    for line in resent:
        assert line["body"] != lines[line["if_refused"]]["body"]


@pytest.mark.parametrize("name", ["testing/hydra", "testing/harvests", "tuning/harvests"])
def test_harvests_ask_for_nothing_twice(name: str) -> None:
    kinds = {one.name: one.kind for one in scenario(name).populations}
    asked: dict[str, Counter[str]] = defaultdict(Counter)
    numbers: dict[str, Counter[int]] = defaultdict(Counter)
    for event in firsts(name):
        if kinds.get(event.population) in ONCE:
            numbers[event.population][event.prompt] += 1
            body = json.loads(event.body)
            asked[event.population][body["messages"][-1]["content"]] += 1
    assert asked
    for population, found in numbers.items():
        assert max(found.values()) == 1, population
        assert max(asked[population].values()) == 1, population


def firsts(name: str) -> list[Event]:
    """Events that are no retries."""
    made_ = events(settings(scenario(name), 7, None, scale=0.002, days=0.5))
    return [event for event in made_ if event.answers is None]


def test_the_summary_counts_accounts_and_distinct_prompts(tmp_path: Path) -> None:
    summary = generate(
        tmp_path / "t.jsonl", settings(scenario("testing/hydra"), 7, None, scale=0.002, days=1.0)
    )
    row = summary["hydra_2k_residential"]
    assert row["accounts"] == 4
    assert row["requests"] == row["lines"] >= 4 * 20
    assert row["distinct_share"] == 1.0
    assert row["distinct_p50"] >= 20
    adaptive = summary["hydra_adaptive"]
    assert adaptive["requests"] + adaptive["conditional"] == adaptive["lines"]


def test_of_each_stream_one_event_is_held() -> None:
    """Memory is bounded by accounts and not by days: nothing runs ahead of the line that is written."""
    made_: list[str] = []
    for setting in settings(
        scenario("testing/hydra"), 7, None, scale=0.001, days=2.0, only={"hydra_2k_residential"}
    ):
        original = setting.stock

        def spied(style: str, *, part: str = "", _stock: Any = original) -> Any:
            stock = _stock(style, part=part)
            text = stock.text
            stock.text = lambda number: made_.append(text(number)) or made_[-1]
            return stock

        object.__setattr__(setting, "stock", spied)
        for count, _ in enumerate(events(iter([setting])), 1):
            assert len(made_) <= count + 3 * setting.accounts


def test_the_evaluation_datas_halves_share_no_row() -> None:
    data = data_or_none(None)
    if data is None:
        pytest.skip("no evaluation data: set EXCISE_EVAL_DATA")
    texts = []
    for half in (0, 1):
        stock = Library(data, half).stock(["harvest_gsm8k"], "math", random.Random(1))
        texts.append({stock.text(number) for number in range(3000)})
        assert len(texts[-1]) == 3000
    assert not texts[0] & texts[1]


def test_an_empty_summary_is_none() -> None:
    assert Summary().told() == {}
