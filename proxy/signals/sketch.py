"""
The sketch of a prompt: one or two features; prompts that say nearly the same share at least one.

All is over words as `words` gives them, so that case, white space, punctuation and numbers never tell two
prompts apart. A short prompt is all of its words: there, another word is another question. A longer one
also bears small edits: it is cut into twelve stretches, and of each the least word in a fixed order is
taken, once counted from the head and once from the tail, so that something put before or behind shifts
only one of the two (a MinHash of one row a stretch; Broder 1997). One changed word changes one stretch, and
its least word only by bad luck; prompts that share a wrapper and differ in what it wraps differ in some
stretch.
"""

from __future__ import annotations

from typing import Final

from proxy.facts import Ask, Turn
from proxy.signals.words import sample, words

STRETCHES: Final = 12
LEAST_WORDS: Final = 2
"""Fewer words tell nothing: `hi`, `yes`."""
LEAST_TO_STRETCH: Final = 20
"""Words below which a stretch would be a word or two, and a small edit is another prompt."""
MOST_WORDS: Final = 256
"""Words that are stretched: more say no more, and cost."""
MOST_TURNS: Final = 16
"""Turns behind the model's last one that are looked at: the first half and the last half of more."""
SHARED: Final = 1536
"""Characters that several turns share: about as many words as are stretched."""
FEW_WORDS: Final = 4
SHORT: Final = 40
"""Words and characters up to which a prompt hardly asks anything by itself."""
_TOOLS: Final = frozenset({"tool", "function"})
_NO_USERS: Final = _TOOLS | {"system", "developer"}


def prompt_text(ask: Ask) -> str:
    """What the caller newly asks: all that users say after the model's last word; where they say nothing
    there, the user's last turn.

    What tools answer is no prompt: each step of an agent would be another one.
    """
    turns = ask.turns
    said = [
        turn.text
        for turn in turns[_after_answer(turns) :]
        if turn.text and turn.role not in _NO_USERS
    ]
    if len(said) == 1:
        return said[0]
    return _joined(said) if said else _earlier(turns)


def prompt_context(ask: Ask, text: str) -> str:
    """Where the question may stand beside a prompt that is hardly a sentence (`go`): the system prompt, and
    what tools have just answered. Empty where the prompt asks something by itself."""
    if len(text) >= SHORT or text.count(" ") >= FEW_WORDS:
        return ""
    turns = ask.turns
    told = [turn.text for turn in turns[_after_answer(turns) :] if turn.role in _TOOLS]
    return _joined([ask.system, *told]) if told else ask.system


def _after_answer(turns: tuple[Turn, ...]) -> int:
    """Where those turns begin that stand behind the model's last one."""
    for at in range(len(turns) - 1, -1, -1):
        if turns[at].role == "assistant":
            return at + 1
    return 0


def _joined(said: list[str]) -> str:
    """Some of each turn, so that no long one hides another."""
    if len(said) > MOST_TURNS:
        said = said[: MOST_TURNS // 2] + said[-(MOST_TURNS // 2) :]
    share = SHARED // max(len(said), 1)
    return "\n".join([sample(text, share) for text in said])


def _earlier(turns: tuple[Turn, ...]) -> str:
    """The user's last turn, or the last of all where no user speaks: the model is to go on with its own."""
    for turn in reversed(turns):
        if turn.role == "user" and turn.text:
            return turn.text
    return turns[-1].text if turns else ""


def prompt_sketch(text: str, context: str = "") -> tuple[bytes, ...]:
    """One or two features, to be hashed by whoever keeps them; none for a text of hardly any words.

    With a context, each feature is one of the context's, and all words of the text.
    """
    found = words(text)
    if context and (around := prompt_sketch(context)):
        short = b" ".join(found)
        return tuple([b"%b\0%b" % (feature, short) for feature in around])
    count = len(found)
    if count < LEAST_WORDS:
        return ()
    if count < LEAST_TO_STRETCH:
        return (b" ".join(found),)
    if count > MOST_WORDS:
        found = found[: MOST_WORDS // 2] + found[-(MOST_WORDS // 2) :]
    return _stretched(found), _stretched(found[::-1])


def _stretched(found: list[bytes]) -> bytes:
    """The least word of each stretch; the last one takes what is left over."""
    size = len(found) // STRETCHES
    last = size * (STRETCHES - 1)
    least = [min(found[at : at + size]) for at in range(0, last, size)]
    least.append(min(found[last:]))
    return b" ".join(least)
