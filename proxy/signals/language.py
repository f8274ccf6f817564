"""
The language of a prompt, by its script, and by small words where the script is Latin.

Coarse on purpose: it tells callers of one key apart, not texts. Where the small words do not decide,
nothing is said.
"""

from __future__ import annotations

import re
from typing import Final

SAMPLE: Final = 256
"""Characters that are looked at."""
LEAST_TEXT: Final = 16
LEAST_OF_SCRIPT: Final = 2
LEAST_VOTES: Final = 2

_LATIN: Final = {
    "en": "the and is of to in that it for you are with what how this on be a my can do have i",
    "de": "der die das und ist nicht ich zu den mit ein eine wie auf für von sie es im was kann wir",
    "fr": "le la les des et est un une pour que dans qui sur pas je vous avec du ce comment plus",
    "es": "el la los las de que y en un una por con para es como se no del cuál qué está mi",
    "pt": "os em um uma para com não por como da é você qual meu mais são está isso",
    "it": "il lo gli di che e un una per con non come si del della è sono mi più qual nel",
    "nl": "de het een en van ik is dat niet op te in zijn voor met hoe wat je maar ook",
    "pl": "nie się jest jak że dla czy ale jestem mnie tylko może są przez która który",
    "tr": "bir ve bu için ile var çok ben gibi daha olan neden şu",
    "vi": "và là của có cho không một các được những này với trong tôi bạn như để thế",
    "id": "yang dan di untuk dengan ini itu dari apa adalah bagaimana saya tidak ke pada akan",
}
_SMALL_WORDS: Final = tuple((name, frozenset(words.split())) for name, words in _LATIN.items())
_SCRIPTS: Final = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\u1100-\u11ff\uac00-\ud7af]")),
    ("zh", re.compile("[\u3400-\u9fff\uf900-\ufaff]")),
    ("cyrillic", re.compile("[\u0400-\u052f]")),
    ("arabic", re.compile("[\u0600-\u06ff\u0750-\u077f]")),
    ("devanagari", re.compile("[\u0900-\u097f]")),
    ("hebrew", re.compile("[\u0590-\u05ff]")),
    ("greek", re.compile("[\u0370-\u03ff]")),
    ("thai", re.compile("[\u0e00-\u0e7f]")),
)


def language_group(text: str) -> str | None:
    """`en`, `zh`, `cyrillic` …; None where the text does not tell."""
    text = text[:SAMPLE].lower()
    if not text.isascii():
        found = _script(text)
        if found is not None:
            return found
    if len(text) < LEAST_TEXT or text.isspace():
        return None
    words = set(text.split())
    votes = sorted([(len(words & small), name) for name, small in _SMALL_WORDS], reverse=True)
    (most, first), (next_most, _) = votes[:2]
    if most >= LEAST_VOTES and most > next_most:
        return first
    return None


def _script(text: str) -> str | None:
    letters = sum(map(str.isalpha, text))
    for name, script in _SCRIPTS:
        found = len(script.findall(text))
        # Japanese mixes kana into Chinese characters; a fifth of kana is Japanese.
        if found >= LEAST_OF_SCRIPT and found * (5 if name == "ja" else 3) >= letters:
            return name
    return None
