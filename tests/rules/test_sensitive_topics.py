"""sensitive_topics: an account that turns around one topic is found, and a mixed one is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from proxy.clock import SystemClock
from proxy.counters.memory import MemoryStore
from proxy.counters.protocol import Tallied
from proxy.facts import Ask, Facts, Signals, Turn
from proxy.policy.load import PolicyError, load, parse
from proxy.policy.yamltree import read_tree
from proxy.rules.sensitive_topics import SensitiveTopics
from tests.policy.facts import ROUTE, facts
from tests.rules.judged import T0, judged

HERE = Path(__file__).parents[2]
CALM = ("Plan a trip to Lisbon.", "Translate this menu.", "What is 17 * 24?", "Fix this SQL join.")
BIOLOGY = ("What did virology learn from influenza?", "Which vaccines fight which pathogens?")
CYBER = ("How do teams defend against ransomware?", "Explain a buffer overflow to students.")


def rule(**fields: Any) -> SensitiveTopics:
    made = SensitiveTopics.model_validate(
        {"name": "topics", "per": "account", "score": 10, **fields}
    )
    file = HERE / "policies" / made.lexicon
    data = read_tree(file.read_text(encoding="utf-8"), str(file)).data
    return made.with_data(made.lexicon, data, lambda *mistake: pytest.fail(str(mistake)))


RULE = rule()


def asks(prompt: str) -> Facts:
    """As the line would derive it."""
    ask = Ask("large", (Turn("user", prompt),))
    (marks,) = RULE.reads_texts
    found = marks.weigh(ask)
    return replace(facts(), ask=ask, signals=Signals(terms=((marks.name, found),) if found else ()))


def traffic(
    prompts: tuple[str, ...], share: float, count: int = 300
) -> Iterator[tuple[float, Facts]]:
    for number in range(count):
        hit = int((number + 1) * share) > int(number * share)
        yield number * 60.0, asks((prompts if hit else CALM)[number % len(prompts)])


async def test_an_account_that_turns_around_one_topic_is_found() -> None:
    found = await judged(RULE, traffic(BIOLOGY, 0.5))
    fired = [at for at, one in enumerate(found, 1) if one is not None]
    assert fired[0] in range(100, 103)
    last = found[fired[-1] - 1]
    assert last is not None
    assert (last.reason, last.evidence["topic"]) == ("topic_dominates", "biology")
    assert last.evidence["share"] == pytest.approx(0.5, abs=0.01)


async def test_a_mixed_account_is_not_and_a_topic_may_have_a_share_of_its_own() -> None:
    assert not any(await judged(RULE, traffic(BIOLOGY, 0.2)))
    assert any(await judged(rule(max_share_of={"biology": 0.1}), traffic(BIOLOGY, 0.2)))
    assert not any(await judged(rule(max_share_of={"cyber": 0.1}), traffic(BIOLOGY, 0.2)))


async def test_topics_that_are_not_named_are_not_counted() -> None:
    assert not any(await judged(rule(categories=["biology"]), traffic(CYBER, 1.0)))
    assert any(await judged(rule(categories=["cyber"]), traffic(CYBER, 1.0)))


async def test_what_the_classifier_tells_counts_for_the_next_request() -> None:
    """The lexicon sees nothing; a classifier tells biology of each."""
    one = rule(classifier=True, min_requests=10)
    store = MemoryStore(clock=SystemClock())
    fired = []
    for number in range(20):
        said = asks(CALM[number % 4])
        ops = one.counters(said, "account:acme")
        readings = await store.apply(ops, T0 + number)
        finding = one.judge(said, readings)
        fired.append(finding is not None)
        later = one.classified(ops, readings, {"biology": 0.9, "cyber": 0.4, "unheard_of": 1.0})
        assert len(later) == 2
        await store.apply(later, T0 + number + 0.5)
        (read,) = readings
        assert isinstance(read, Tallied)
        assert read.requests == number + 1, "no request counts twice"
        assert max(read.shown) == number
    assert fired == [False] * 9 + [True] * 11
    assert finding is not None
    assert finding.evidence["topic"] == "biology"
    assert finding.evidence["share"] == pytest.approx(19 / 20, abs=0.001)


async def test_the_classifier_adds_nothing_to_what_the_lexicon_has_seen() -> None:
    one = rule(classifier=True)
    said = asks(BIOLOGY[0])
    ops = one.counters(said, "account:acme")
    readings = await MemoryStore(clock=SystemClock()).apply(ops, T0)
    assert one.classified(ops, readings, {"biology": 0.9}) == ()
    assert one.classified(ops, readings, {}) == ()
    assert one.classified((), (), {"biology": 0.9}) == ()
    assert one.asks_classifier
    assert not RULE.asks_classifier


def test_only_what_a_model_answers_counts() -> None:
    embeddings = replace(asks(BIOLOGY[0]), route=replace(ROUTE, operation="embeddings"))
    assert RULE.counters(embeddings, "account:acme") == ()
    assert RULE.judge(embeddings, ()) is None
    assert rule(categories=["biology"]).limits == {"biology": 0.3}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_share_of": {"biology": 1.5}}, "between 0 and 1"),
        ({"categories": ["biology"], "max_share_of": {"cyber": 0.2}}, "not in `categories`"),
        ({"categories": [f"t{n}" for n in range(17)]}, "at most 16"),
    ],
)
def test_wrong_fields_are_told(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        rule(**fields)


def test_a_category_that_the_lexicon_lacks_is_a_mistake_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "version: 1\ncategories:\n  tides: {terms: [{weight: 2, language: en, any: [ebb]}]}\n",
        encoding="utf-8",
    )
    policy = tmp_path / "policy.yaml"
    line = "{name: t, kind: sensitive_topics, per: account, score: 1, lexicon: mine.yaml%s}"
    policy.write_text(f"version: 1\nrules:\n  - {line % ''}\n", encoding="utf-8")
    (mine,) = load(policy).rules
    assert isinstance(mine, SensitiveTopics)
    assert mine.limits == {"tides": 0.3}
    policy.write_text(
        f"version: 1\nrules:\n  - {line % ', categories: [tide]'}\n", encoding="utf-8"
    )
    with pytest.raises(PolicyError) as caught:
        load(policy)
    (mistake,) = caught.value.mistakes
    assert (mistake.file, mistake.line, mistake.column) == (str(policy), 3, 96)
    assert mistake.suggestion == "`tides`"


def test_a_lexicon_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        parse(
            "version: 1\nrules:\n  - {name: t, kind: sensitive_topics, per: account, score: 1}\n",
            "p",
        )
