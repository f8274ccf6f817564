"""Who appears in the demonstration: what each asks, from where, with which program, and how often."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final

from proxy.demo.software import ALL, CURL, NODE, PYTHON_SDK, REQUESTS, Software
from proxy.value import value

Body = dict[str, Any]

HOME: Final = "91.0.17.20"
"""An address of a carrier with people behind it."""
CLOUD: Final = "88.198.7.{}"
"""Addresses of a hosting provider."""
MODEL: Final = "sample-large"


@value
class Line:
    """One request of an actor."""

    address: str
    software: Software
    body: Body


@value
class Actor:
    """One labelled client."""

    name: str
    does: str
    harvests: bool
    every_s: float
    """Between its requests."""
    lines: Callable[[random.Random], Iterator[Line]]
    tier: str | None = None
    profile: str | None = None
    networks: tuple[str, ...] = ()
    """Declared in the accounts file."""

    @property
    def account(self) -> str:
        """Its name as an account."""
        return self.name.replace(" ", "-")


def _chat(*turns: tuple[str, str], **more: Any) -> Body:
    return {
        "model": MODEL,
        "messages": [{"role": role, "content": text} for role, text in turns],
        **more,
    }


def _chat_user(_: random.Random) -> Iterator[Line]:
    turns: list[tuple[str, str]] = []
    for question in _CONVERSATION * 9:
        turns = [*turns[-6:], ("user", question)]
        yield Line(HOME, NODE, _chat(*turns))
        turns.append(("assistant", "As far as I can tell, yes; here is how."))


def _support_bot(chance: random.Random) -> Iterator[Line]:
    system = "You are the help desk of a parcel service. Answer in two sentences."
    while True:
        question = chance.choice(_SUPPORT)
        parcel = chance.randrange(10**6)
        asked = question.format(parcel) if "{}" in question else question
        body = _chat(("system", system), ("user", asked), user=f"customer-{chance.randrange(40)}")
        yield Line(CLOUD.format(chance.randrange(3)), PYTHON_SDK, body)


def _coding_agent(_: random.Random) -> Iterator[Line]:
    system = "You are a coding agent in the repository `invoices`. Use the tools."
    turns: list[tuple[str, str]] = [("system", system), ("user", "Make the failing test pass.")]
    for step in range(1000):
        yield Line(CLOUD.format(9), PYTHON_SDK, _chat(*turns, stream=True))
        turns.append(("assistant", f"I look at line {step * 7} of invoices/total.py."))
        turns.append(("user", f"Output of step {step}: assertion failed, {step} tests passed."))
        turns = turns[:2] + turns[-8:]


def _wide_crawl(chance: random.Random) -> Iterator[Line]:
    for prompt in _everything(chance):
        address = f"91.{chance.randrange(4)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
        yield Line(address, PYTHON_SDK, _chat(("user", prompt), temperature=1.0))


def _resold_key(chance: random.Random) -> Iterator[Line]:
    prompts = _everything(chance)
    for number, prompt in enumerate(prompts):
        buyer = number % 14
        address = f"91.{buyer % 4}.{40 + buyer}.7"
        system = f"You are {_TRADES[buyer % len(_TRADES)]}. Shop number {buyer}."
        software = ALL[buyer % len(ALL)]
        yield Line(address, software, _chat(("system", system), ("user", prompt)))


def _trial_scraper(chance: random.Random) -> Iterator[Line]:
    for prompt in _everything(chance):
        software = CURL if chance.random() < 0.01 else REQUESTS
        asked = f"{prompt} Think step by step and show your reasoning."
        yield Line(CLOUD.format(200), software, _chat(("user", asked)))


def _everything(chance: random.Random) -> Iterator[str]:
    """Prompts that walk a space: a task on a subject in a setting, hardly two alike."""
    while True:
        task, subject, setting = map(chance.choice, (_TASKS, _SUBJECTS, _SETTINGS))
        yield f"{task} {subject} {setting}."


_CONVERSATION: Final = (
    "How do I get a red wine stain out of a white shirt?",
    "And if it has dried already?",
    "Would that also work on wool?",
    "Thanks. What can I cook with leeks and potatoes tonight?",
    "I have no cream, is milk fine?",
)
_SUPPORT: Final = (
    "Where is my parcel {}?",
    "My parcel {} has not arrived yet.",
    "Can I change the delivery address?",
    "What are your opening hours?",
    "How much does it cost to send a parcel abroad?",
    "I was not at home, where can I fetch my parcel?",
    "How do I file a claim for a damaged parcel?",
    "Do you deliver on Saturdays?",
)
_TRADES: Final = (
    "a translator of contracts",
    "a tutor for algebra",
    "the voice of a travel agency",
    "a writer of product texts",
    "a careful reviewer of code",
    "a storyteller for children",
    "a recruiter who screens letters",
)
_TASKS: Final = (
    "Write a short story about",
    "Explain to a child",
    "Summarise what is known about",
    "Give five arguments against",
    "Draft a letter of complaint about",
    "Compose a riddle on",
    "List the risks of",
    "Compare two theories of",
    "Write a Python function that models",
    "Translate into formal German a paragraph on",
    "Invent an exam question on",
    "Derive step by step the formula for",
)
_SUBJECTS: Final = (
    "the tides",
    "compound interest",
    "beekeeping",
    "the French Revolution",
    "tail recursion",
    "protein folding",
    "maritime law",
    "jazz harmony",
    "soil erosion",
    "the immune system",
    "railway signalling",
    "glacier ice",
    "cheese ripening",
    "orbital transfer",
    "medieval guilds",
    "chess openings",
    "sleep and memory",
    "desalination",
)
_SETTINGS: Final = (
    "in a harbour town at night",
    "as seen by a sceptical engineer",
    "for a school newspaper",
    "in the year 1850",
    "with three worked examples",
    "for somebody who dislikes mathematics",
    "under a strict word limit",
    "in the form of a dialogue",
    "on a small island",
    "with a surprising ending",
)

CAST: Final = (
    Actor("chat user", "one conversation, from home", False, 1.0, _chat_user),
    Actor(
        "support bot",
        "eight questions over and over, its cloud declared",
        False,
        0.25,
        _support_bot,
        networks=("88.198.7.0/29",),
    ),
    Actor(
        "coding agent",
        "a growing context, streamed, declared as agent",
        False,
        0.7,
        _coding_agent,
        profile="agent",
        networks=("88.198.7.8/29",),
    ),
    Actor("wide crawl", "everything once, from home addresses", True, 0.1, _wide_crawl),
    Actor("resold key", "fourteen buyers on one key", True, 0.2, _resold_key),
    Actor(
        "trial scraper", "a trial key on a rented server", True, 0.3, _trial_scraper, tier="trial"
    ),
)
