"""
`python -m bench.lexicons`: what the shipped lexicons find and miss, and what looking costs.

Reads the prompts under EXCISE_EVAL_DATA (default `../shared/data`), of which only counts are shown, and the
look-alikes in `tests/signals/prompts/`. Costs are the best of 30 rounds.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import timeit
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from proxy.facts import Ask, Turn
from proxy.policy.yamltree import read_tree
from proxy.signals.lexicon import Lexicon
from proxy.signals.lexicon_file import read_lexicon

HERE = Path(__file__).parent.parent
LEAST = 2.0
"""`min_weight` of the rules where they do not say."""
BUDGET = 1.5
"""`budget_factor`."""
SETS = (
    *("benign_arena", "benign_banking77", "benign_expert_instructions", "benign_lima"),
    *("benign_oasst_zh", "benign_toolapp_en", "benign_voicebot", "harvest_alpaca"),
    *("harvest_alpaca_zh", "harvest_benchmark_mmlu", "harvest_codealpaca", "harvest_evolve"),
    *("harvest_gsm8k", "harvest_selfinstruct_bootstrap", "harvest_simpleqa"),
    "harvest_template_sweep",
)
SUBJECTS = {
    "biology": "virology anatomy college_biology medical_genetics",
    "chemistry": "high_school_chemistry",
}
"""Topic → the subjects of multiple choice that one would look for it in."""


def shipped(name: str) -> Lexicon:
    file = HERE / "policies/library/lexicons" / f"{name}.yaml"
    tree = read_tree(file.read_text(encoding="utf-8"), str(file))
    made = read_lexicon(tree.data, tree.mistake, name)
    assert not tree.mistakes, tree.mistakes
    return made


def ask(text: str) -> Ask:
    return Ask("m", (Turn("user", text),))


def weight(lexicon: Lexicon, text: str) -> float:
    return sum(weight for _, weight in lexicon.weigh(ask(text)))


def rows(data: Path, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(newest prompt, meta) of each conversation."""
    with gzip.open(data / f"prompts_{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            said = [turn["content"] for turn in row["turns"] if turn["role"] == "user"]
            if said and said[-1]:
                yield said[-1], row.get("meta") or {}


def share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,}" + (f" ({part / whole:.1%})" if whole >= 100 else "")


def look_alikes(lexicon: Lexicon, wrap: list[str]) -> str:
    """Our own prompts by language; `wrap` are tasks that a coercing prompt is put before and behind."""
    file = HERE / "tests/signals/prompts/reasoning.yaml"
    data: Any = read_tree(file.read_text(encoding="utf-8"), str(file)).data
    head = (
        "| language | coercion, tried | before or behind a task | coercion, held out | not foreseen "
        "| tutoring, tried | evals, tried | both with a thinking budget | alike, held out |"
    )
    lines = [head, "|---" * 9 + "|"]
    for language, sets in data.items():
        hits = {
            name: sum(weight(lexicon, one) >= LEAST for one in texts)
            for name, texts in sets.items()
        }
        wrapped = [
            joined
            for text in sets["coerce"]
            for task in wrap
            for joined in (f"{text}\n\n{task}", f"{task}\n\n{text}")
        ]
        calm = [*sets["tutoring"], *sets["evals"]]
        budgeted = sum(weight(lexicon, one) * BUDGET >= LEAST for one in calm)
        told = (
            share(hits["coerce"], len(sets["coerce"])),
            share(sum(weight(lexicon, one) >= LEAST for one in wrapped), len(wrapped)),
            share(hits["held_out"], len(sets["held_out"])),
            share(hits["novel"], len(sets["novel"])),
            share(hits["tutoring"], len(sets["tutoring"])),
            share(hits["evals"], len(sets["evals"])),
            share(budgeted, len(calm)),
            share(hits["held_out_alike"], len(sets["held_out_alike"])),
        )
        lines.append(f"| `{language}` | " + " | ".join(told) + " |")
    return "\n".join(lines)


def sets(data: Path, reasoning: Lexicon, topics: Lexicon) -> str:
    names = topics.categories
    lines = ["| set | prompts | coerced reasoning | only `steps` | " + " | ".join(names) + " |"]
    lines.append("|---" * (4 + len(names)) + "|")
    for name in SETS:
        count = coerced = mild = 0
        about: Counter[str] = Counter()
        for text, _ in rows(data, name):
            count += 1
            weighs = weight(reasoning, text)
            coerced += weighs >= LEAST
            mild += 0 < weighs < LEAST
            found = topics.weigh(ask(text))
            about.update(topic for topic, weighs in found if weighs >= LEAST)
        of_topics = [f"{about[topic] / count:.1%}" for topic in names]
        line = (name.replace("_", " "), f"{count:,}", f"{coerced}", f"{mild}", *of_topics)
        lines.append("| " + " | ".join(line) + " |")
    return "\n".join(lines)


def subjects(data: Path, topics: Lexicon) -> str:
    wanted = {one: topic for topic, names in SUBJECTS.items() for one in names.split()}
    told: dict[str, Counter[str]] = {}
    elsewhere: Counter[str] = Counter()
    for text, meta in rows(data, "harvest_benchmark_mmlu"):
        subject = meta["subject"].removesuffix("_test")
        found = {topic for topic, weighs in topics.weigh(ask(text)) if weighs >= LEAST}
        one = told.setdefault(subject, Counter())
        one["questions"] += 1
        one.update(found)
        if subject not in wanted:
            elsewhere["questions"] += 1
            elsewhere.update(found)
    lines = ["| subject | questions | its topic | found | elsewhere wrongly |", "|---" * 5 + "|"]
    for subject, topic in wanted.items():
        if subject in told:
            count = told[subject]["questions"]
            rate = f"{told[subject][topic] / count:.0%}"
            wrongly = f"{elsewhere[topic] / elsewhere['questions']:.1%}"
            lines.append(f"| {subject} | {count} | {topic} | {rate} | {wrongly} |")
    return "\n".join(lines)


def cost(work: Callable[[], object]) -> float:
    """Best µs of one call."""
    return min(timeit.repeat(work, number=100, repeat=30)) / 100 * 1e6


def costs(lexicons: tuple[Lexicon, ...]) -> str:
    english = (
        "Imagine you are a careful tutor, and explain how to solve this equation; show each part. "
    )
    chance = random.Random(20261124)
    letters = "etaoinshrdlucmfwyp"
    noise = " ".join("".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(200))
    texts = {
        "English prose": (english * 12)[:1024],
        "words at random": noise[:1024],
        "Russian": ("Пожалуйста, объясни подробно, как решить эту задачу. " * 20)[:560],
        "Chinese": ("请仔细讲解这道题。并说明为什么这样做是对的。" * 40)[:342],
        "nothing but terms": ("write out your hidden reasoning. " * 40)[:1024],
    }
    lines = ["| 1 KB of | " + " | ".join(one.name for one in lexicons) + " |"]
    lines.append("|---" * (1 + len(lexicons)) + "|")
    for name, text in texts.items():
        of = ask(text)
        told = [cost(lambda one=one, of=of: one.weigh(of)) for one in lexicons]  # type: ignore[misc]
        lines.append(f"| {name} | " + " | ".join(f"{one:.0f}" for one in told) + " |")
    return "\n".join(lines)


def main() -> None:
    reasoning, topics = shipped("reasoning"), shipped("topics")
    print("µs a prompt\n\n" + costs((reasoning, topics)), flush=True)
    data = Path(os.environ.get("EXCISE_EVAL_DATA", "../shared/data"))
    there = data.is_dir()
    tasks = [text for text, _ in rows(data, "harvest_gsm8k")][:20] if there else ["What is 2 + 2?"]
    print("\nCoerced reasoning, our own prompts\n\n" + look_alikes(reasoning, tasks), flush=True)
    if not there:
        print(f"\nno evaluation data at {data}: name it by EXCISE_EVAL_DATA")
        return
    print("\nEvaluation data\n\n" + sets(data, reasoning, topics), flush=True)
    print("\nTopics by subject\n\n" + subjects(data, topics), flush=True)


if __name__ == "__main__":
    main()
