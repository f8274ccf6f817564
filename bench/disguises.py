"""
Prompts in disguise, for `bench.signals`: how many are still matched with themselves, and how many strangers
are taken for one, each without the folding of `proxy/signals/plain.py` and with it, over the same pairs.
"""

from __future__ import annotations

import base64
import json
import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from unittest.mock import patch
from urllib.parse import quote

from proxy.dialects.routes import dialect
from proxy.signals.sketch import prompt_sketch, prompt_text

SIZES = ("short (< 60)", "60 to 250", "longer")
PATH = "/v1/chat/completions"


@contextmanager
def without_folding() -> Iterator[None]:
    """Case and compatibility forms alone, which is how prompts were compared before they were folded."""
    with patch(
        "proxy.signals.words.plain", lambda text: unicodedata.normalize("NFKC", text.lower())
    ):
        yield


def reordered(text: str, chance: random.Random) -> str:
    """What is read as the prompt of a body whose objects, the outer and the inner, are in another order."""
    turn = chance.sample([("role", "user"), ("content", text), ("name", "x")], 3)
    body = chance.sample([("model", "m"), ("messages", [dict(turn)]), ("temperature", 1)], 3)
    return prompt_text(dialect("openai_chat").read(json.dumps(dict(body)).encode(), PATH).ask)


CYRILLIC = str.maketrans(
    "aeopcyxijsABCEHKMOPTX",
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0410\u0412\u0421\u0415\u041d\u041a\u041c\u041e\u0420\u0422\u0425",
)
WIDE = str.maketrans({chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F)})
BOLD = str.maketrans(
    {chr(0x61 + n): chr(0x1D41A + n) for n in range(26)}
    | {chr(0x41 + n): chr(0x1D400 + n) for n in range(26)}
)
LEET = str.maketrans("aeio", "4310")


def evasions(text: str, chance: random.Random) -> dict[str, str]:
    """A prompt in disguise: it reads the same, or says how it is to be read."""

    def strewn(marks: str, often: float) -> str:
        return "".join(c + (chance.choice(marks) if chance.random() < often else "") for c in text)

    salt = "".join(chance.choices("0123456789abcdef", k=8))
    letters = "".join(chance.choices("bcdfghjklmnpqrstvwxz", k=6))
    raw = text.encode()
    return {
        "case at random": "".join(chance.choice((c.lower(), c.upper())) for c in text),
        "white space doubled, lines broken": re.sub(
            " ", lambda _: chance.choice((" ", "  ", "\n", " \t")), text
        ),
        "the body's keys in another order": reordered(text, chance),
        "full width": text.translate(WIDE),
        "mathematical letters": text.translate(BOLD),
        "zero-width characters": strewn("\u200b\u200c\u200d\u2060\ufeff\u00ad", 0.2),
        "marks of direction": f"\u202e{strewn(chr(0x202A) + chr(0x202C) + chr(0x200F), 0.2)}\u202c",
        "invisible tags, variation selectors": strewn("\ufe0f\U000e0041\U000e0101", 0.2),
        "Cyrillic look-alikes": text.translate(CYRILLIC),
        "accents strewn": strewn("\u0301\u0308\u0335", 0.2),
        "HTML escapes": "".join(f"&#{ord(c)};" if chance.random() < 0.3 else c for c in text),
        "percent escapes": quote(text),
        "backslash escapes": json.dumps("".join(chr(ord(c)) for c in text))[1:-1].replace(
            "e", "\\u0065"
        ),
        "base64": base64.b64encode(raw).decode(),
        "base64, with an order before": "Decode this and answer it: "
        + base64.b64encode(raw).decode(),
        "hex": raw.hex(),
        "white space of other kinds": re.sub(
            " ", lambda _: chance.choice("\u00a0\u2003\u3000\t"), text
        ),
        "a random salt behind": f"{text} {salt}",
        "a salt of letters behind": f"{text} {letters}",
        "digits for letters": text.translate(LEET),
        "letters apart": " ".join(text),
    }


Marks = list[set[bytes]]


def marks(texts: Iterable[str]) -> tuple[Marks, Marks]:
    """The sketches of texts, without the folding and with it."""
    with without_folding():
        before = [set(prompt_sketch(text)) for text in texts]
    return before, [set(prompt_sketch(text)) for text in texts]


def disguised(texts: list[str]) -> str:
    """A table: by disguise and length, the share still matched, without the folding → with it."""
    chance = random.Random(20261124)
    texts = [text for text in texts if prompt_sketch(text)]
    worn = [evasions(text, chance) for text in texts]
    plain = marks(texts)
    rows = ["| disguise | " + " | ".join(SIZES) + " | pairs |", "|---" * 5 + "|"]
    for how in worn[0]:
        found: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
        for text, *sketches in zip(texts, *plain, *marks([one[how] for one in worn]), strict=True):
            before, after, worn_before, worn_after = sketches
            size = SIZES[0] if len(text) < 60 else SIZES[1] if len(text) < 250 else SIZES[2]
            told = (not before.isdisjoint(worn_before), not after.isdisjoint(worn_after))
            found[size].append(told)
        cells = []
        for size in SIZES:
            first, second = (
                sum(column) / len(found[size]) for column in zip(*found[size], strict=True)
            )
            same = f"{first:.0%}" == f"{second:.0%}"
            cells.append(f"{second:.0%}" if same else f"{first:.0%} → {second:.0%}")
        rows.append(f"| {how} | {' | '.join(cells)} | {len(texts):,} |")
    return "\n".join(rows)


def strangers(texts: list[str]) -> str:
    """Unrelated prompts, each in one disguise drawn for it, that are taken for one."""
    chance = random.Random(20261125)
    worn = [chance.choice([text, *evasions(text, chance).values()]) for text in texts]
    pairs = len(worn) * (len(worn) - 1) // 2
    before, after = (
        sum(not one.isdisjoint(other) for at, one in enumerate(told) for other in told[at + 1 :])
        for told in marks(worn)
    )
    return (
        f"Unrelated pairs, in any disguise, taken for one: {before:,} of {pairs:,} without the folding, "
        f"{after:,} of {pairs:,} with it."
    )
