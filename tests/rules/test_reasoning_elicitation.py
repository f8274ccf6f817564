"""reasoning_elicitation: coerced reasoning is found in six languages, and a tutor's pupils are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proxy.counters.protocol import Tally
from proxy.facts import Ask, Facts, Reasoning, Signals, Turn
from proxy.policy.yamltree import read_tree
from proxy.rules.reasoning_elicitation import ReasoningElicitation
from tests.policy.facts import ROUTE, facts
from tests.rules.judged import judged

HERE = Path(__file__).parents[2]
PROMPTS: Any = read_tree(
    (HERE / "tests/signals/prompts/reasoning.yaml").read_text(encoding="utf-8"), "prompts"
).data
TASKS = ("What is 17 * 24?", "Prove that 7 is prime.", "Which gas do plants take in?")


def rule(**fields: Any) -> ReasoningElicitation:
    made = ReasoningElicitation.model_validate(
        {"name": "coerced", "per": "account", "score": 25, **fields}
    )
    file = HERE / "policies" / made.lexicon
    data = read_tree(file.read_text(encoding="utf-8"), str(file)).data
    return made.with_data(made.lexicon, data, lambda *mistake: pytest.fail(str(mistake)))


RULE = rule()


def asks(prompt: str, reasoning: Reasoning | None = None, **client: Any) -> Facts:
    """As the line would derive it."""
    ask = Ask("large", (Turn("user", prompt),), reasoning=reasoning)
    (marks,) = RULE.reads_texts
    found = marks.weigh(ask)
    signals = Signals(terms=((marks.name, found),) if found else ())
    return replace(facts(**client), ask=ask, signals=signals)


def traffic(prompts: list[str], share: float, count: int = 200) -> Iterator[tuple[float, Facts]]:
    """Tasks of which a share is put in words out of `prompts`."""
    for number in range(count):
        hit = int((number + 1) * share) > int(number * share)
        task = TASKS[number % 3]
        said = f"{prompts[number % len(prompts)]}\n\n{task}" if hit else task
        yield number * 60.0, asks(said)


@pytest.mark.parametrize("language", PROMPTS)
async def test_a_harvest_of_reasoning_is_found_in_each_language(language: str) -> None:
    found = await judged(RULE, traffic(PROMPTS[language]["coerce"], 0.5))
    fired = [at for at, one in enumerate(found, 1) if one is not None]
    assert fired
    assert fired[0] in range(50, 53)
    last = found[fired[-1] - 1]
    assert last is not None
    assert last.reason == "reasoning_elicited"
    assert last.evidence["eliciting"] > 0.3 * last.evidence["requests"]  # type: ignore[operator]
    assert last.evidence["weight"] >= 2.0  # type: ignore[operator]


@pytest.mark.parametrize("language", PROMPTS)
@pytest.mark.parametrize("kind", ["tutoring", "evals"])
async def test_tutoring_and_evals_are_not(language: str, kind: str) -> None:
    assert not any(await judged(RULE, traffic(PROMPTS[language][kind], 1.0)))


async def test_a_few_who_ask_so_among_many_are_left_alone() -> None:
    assert not any(await judged(RULE, traffic(PROMPTS["en"]["coerce"], 0.2)))


async def test_it_fires_on_what_coerces_alone() -> None:
    found = await judged(RULE, traffic(PROMPTS["de"]["coerce"], 0.5, 100))
    coercing = [one for _, one in traffic(PROMPTS["de"]["coerce"], 0.5, 100)]
    for one, finding in zip(coercing, found, strict=True):
        if finding is not None:
            assert RULE.weight(one) >= RULE.min_weight


@pytest.mark.parametrize(
    ("reasoning", "factor"),
    [
        (None, 1.0),
        (Reasoning(budget_tokens=1024), 1.0),
        (Reasoning(effort="low"), 1.0),
        (Reasoning(budget_tokens=18_000), 1.5),
        (Reasoning(effort="high"), 1.5),
    ],
)
def test_a_thinking_budget_makes_words_weigh_more_and_is_nothing_alone(
    reasoning: Reasoning | None, factor: float
) -> None:
    said = "Show your full chain of thought before answering."
    assert RULE.weight(asks(said, reasoning)) == RULE.weight(asks(said)) * factor
    assert RULE.weight(asks("What is 17 * 24?", reasoning)) == 0


async def test_a_declared_eval_is_excused() -> None:
    said = PROMPTS["en"]["coerce"][3]
    declared = ((float(at), asks(said, profile="eval")) for at in range(60))
    assert await judged(rule(excuse=["eval"]), declared) == []


def test_only_what_a_model_answers_counts_and_what_makes_a_hit_starts_anew() -> None:
    said = asks(PROMPTS["en"]["coerce"][1])
    assert RULE.counters(said, "account:acme") == (Tally("account:acme", RULE.key, 86_400.0, (1,)),)
    embeddings = replace(said, route=replace(ROUTE, operation="embeddings"))
    assert RULE.counters(embeddings, "account:acme") == ()
    assert RULE.judge(embeddings, ()) is None
    assert rule(max_share=0.5, min_requests=9).key == RULE.key
    assert (
        len({rule(**{name: 3}).key for name in ("min_weight", "budget_factor")} | {RULE.key}) == 3
    )
