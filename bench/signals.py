"""
`python -m bench.signals [--quality]`: what the signals of a request cost, and how well prompts are matched.

Costs are the best of 30 rounds. `--quality` samples the prompts under EXCISE_EVAL_DATA (default
`../shared/data`): pairs that should match are a prompt and an edit of it; unrelated pairs are different
prompts of one set, told by the share that a crawl of them would show as distinct.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import random
import re
import sys
import timeit
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from bench.disguises import disguised, strangers
from proxy.head import Head
from proxy.signals.client_stack import client_stack
from proxy.signals.json_style import escapes_html, json_style
from proxy.signals.language import language_group
from proxy.signals.sketch import prompt_sketch
from proxy.signals.template import prompt_template, system_template

SIZES = (200, 1_000, 4_000, 20_000, 400_000)
SETS = {
    "arena": "benign_arena",
    "banking77": "benign_banking77",
    "voicebot": "benign_voicebot",
    "oasst, Chinese": "benign_oasst_zh",
    "lima": "benign_lima",
    "alpaca": "harvest_alpaca",
    "alpaca, Chinese": "harvest_alpaca_zh",
    "codealpaca": "harvest_codealpaca",
    "gsm8k": "harvest_gsm8k",
    "mmlu": "harvest_benchmark_mmlu",
    "simpleqa": "harvest_simpleqa",
    "self-instruct": "harvest_selfinstruct_bootstrap",
    "template sweep": "harvest_template_sweep",
    "evolve": "harvest_evolve",
}
EDITED = ("benign_arena", "benign_lima", "harvest_gsm8k", "harvest_alpaca")
HEADERS = tuple(
    (name, b"x" * 12)
    for name in (
        *(b"Host", b"Accept-Encoding", b"Connection", b"Accept", b"Content-Type", b"User-Agent"),
        *(b"X-Stainless-Lang", b"X-Stainless-OS", b"Authorization", b"Content-Length", b"X-Trace"),
    )
)


def cost(work: Callable[[], object]) -> float:
    """Best µs of one call."""
    return min(timeit.repeat(work, number=50, repeat=30)) / 50 * 1e6


def costs() -> str:
    chance = random.Random(7)
    letters = "etaoinshrdlu"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 9))) for _ in range(2000)]
    rows = ["| characters | " + " | ".join(f"{size:,}" for size in SIZES) + " |"]
    rows.append("|---" * (len(SIZES) + 1) + "|")
    texts = [" ".join(chance.choices(words, k=size // 4))[:size] for size in SIZES]
    bodies = [
        json.dumps({"model": "m", "x": text}, separators=(",", ":")).encode() for text in texts
    ]

    def stack(body: bytes) -> object:
        style, escaped = json_style(body), escapes_html(body)
        return client_stack(
            Head("POST", "/", "", HEADERS, ""),
            style,
            html_escaped=escaped,
            marshalled_map=False,
            header_evidence=True,
        )

    measured: tuple[tuple[str, Callable[[str], object], list[str]], ...] = (
        ("prompt sketch", prompt_sketch, texts),
        ("prompt template", prompt_template, texts),
        ("system prompt, first seen", system_template, texts),
        ("language", language_group, texts),
    )
    for name, work, of in measured:
        told = [cost(lambda work=work, text=text: work(text)) for text in of]  # type: ignore[misc]
        rows.append(f"| {name} | " + " | ".join(f"{one:.1f}" for one in told) + " |")
    told = [cost(lambda body=body: stack(body)) for body in bodies]  # type: ignore[misc]
    rows.append("| client fingerprint | " + " | ".join(f"{one:.1f}" for one in told) + " |")
    return "\n".join(rows)


def prompts(data: Path, name: str) -> list[str]:
    """The last turn of the user in each conversation of a set, each text once."""
    with gzip.open(data / f"prompts_{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line)["turns"] for line in lines]
    said = (
        (turn["content"] for turn in reversed(turns) if turn["role"] == "user") for turns in rows
    )
    return list(dict.fromkeys(text for texts in said for text in list(texts)[:1] if text))


def distinct_share(texts: list[str]) -> float:
    """The share of prompts that show nothing seen before, as `prompt_diversity` counts them."""
    seen: set[bytes] = set()
    new = told = 0
    for text in texts:
        sketch = prompt_sketch(text)
        told += bool(sketch)
        new += bool(sketch) and seen.isdisjoint(sketch)
        seen.update(sketch)
    return new / max(told, 1)


def edits(text: str, chance: random.Random) -> dict[str, str]:
    words = text.split(" ")
    at = chance.randrange(len(words))
    other = chance.choice(["other", "town", "light", "never", "people", "road"])
    typo = words[at][:-1] if len(words[at]) > 3 else words[at] + "x"
    return {
        "case": text.upper(),
        "white space": text.replace(" ", "  ") + "\n",
        "punctuation": text.replace(".", "!").replace(",", ";") + " ?!",
        "numbers": re.sub(r"\d+", lambda found: f"{int(found[0][:9]) + 1}", text),
        "a typo": " ".join([*words[:at], typo, *words[at + 1 :]]),
        "a word exchanged": " ".join([*words[:at], other, *words[at + 1 :]]),
        "a word dropped": " ".join([*words[:at], *words[at + 1 :]]),
        "a salt before": "xk3jq " + text,
        "a salt behind": text + " [id 7f3a9c]",
    }


def matched(data: Path) -> str:
    chance = random.Random(20261124)
    texts = [text for name in EDITED for text in prompts(data, name)[:300]]
    found: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for text in texts:
        sketch = set(prompt_sketch(text))
        size = "short (< 60)" if len(text) < 60 else "60 to 250" if len(text) < 250 else "longer"
        for edit, edited in edits(text, chance).items() if sketch else ():
            found[size][edit].append(not sketch.isdisjoint(prompt_sketch(edited)))
    sizes = ("short (< 60)", "60 to 250", "longer")
    rows = [
        "| edit | " + " | ".join(f"{size}, {len(found[size]['case'])}" for size in sizes) + " |"
    ]
    rows.append("|---" * (len(sizes) + 1) + "|")
    for edit in found[sizes[0]]:
        shares = [sum(found[size][edit]) / len(found[size][edit]) for size in sizes]
        rows.append(f"| {edit} | " + " | ".join(f"{share:.1%}" for share in shares) + " |")
    return "\n".join(rows)


def told_apart(data: Path) -> str:
    rows = ["| set | prompts | distinct of 200 | distinct of 1,000 |", "|---|---|---|---|"]
    for label, name in SETS.items():
        chance = random.Random(20261124)
        texts = prompts(data, name)
        shares = []
        for size in (200, 1_000):
            drawn = [chance.sample(texts, min(size, len(texts))) for _ in range(5)]
            shares.append(sum(map(distinct_share, drawn)) / 5 if len(texts) >= size else None)
        told = " | ".join("" if share is None else f"{share:.1%}" for share in shares)
        rows.append(f"| {label} | {len(texts):,} | {told} |")
    return "\n".join(rows)


def languages(data: Path) -> str:
    rows = ["| set | right | undecided | wrong |", "|---|---|---|---|"]
    for label, right in (
        ("arena", "en"),
        ("alpaca", "en"),
        ("gsm8k", "en"),
        ("alpaca, Chinese", "zh"),
    ):
        texts = prompts(data, SETS[label])[:1000]
        if label == "arena":
            texts = [text for text in texts if text.isascii()]
        groups = [language_group(text) for text in texts]
        hits, silent = groups.count(right), groups.count(None)
        shares = (hits, silent, len(groups) - hits - silent)
        rows.append(
            f"| {label}, as `{right}` | "
            + " | ".join(f"{n / len(groups):.1%}" for n in shares)
            + " |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.signals", description=__doc__)
    parser.add_argument("--quality", action="store_true")
    options = parser.parse_args()
    print(costs(), flush=True)
    if not options.quality:
        return
    data = Path(os.environ.get("EXCISE_EVAL_DATA", "../shared/data"))
    if not data.is_dir():
        sys.exit(f"no evaluation data at {data}: name it by EXCISE_EVAL_DATA")
    texts = [text for name in EDITED for text in prompts(data, name)[:150]]
    print("\n" + disguised(texts) + "\n\n" + strangers(texts), flush=True)
    for part in (matched, told_apart, languages):
        print("\n" + part(data), flush=True)


if __name__ == "__main__":
    main()
