"""Harvests told by what they ask for: lists by style, and the model's inner reasoning in five
languages."""

from __future__ import annotations

import random
from typing import Any

from bench.detection.crew import Write, crawl, members, pipeline
from bench.detection.event import Event
from bench.detection.grammar import SLOTS
from bench.detection.setting import MODEL, Setting, Streams, chat, retries

LANGUAGES = ("en", "zh", "ru", "es", "fr")


def list_crawl(setting: Setting) -> Streams:
    """
    A list worked through by some tens of accounts: evolve-style rewriting, self-instruct
    bootstrapping, math, code, Chinese, as the scenario's `prompts` and `style` say. Parameters are
    those of the published recipe where there is one (`recipe: alpaca` forbids the end-of-text token;
    `distilabel` always sends logprobs, n and both penalties).
    """
    crew = members(setting, tuple(setting.get("programs", ("openai-python",))))
    return crawl(setting, crew, setting.stock("instruction"), _recipe(setting), group=_twice)


def _twice(_draw: random.Random, event: Event) -> list[Event]:
    """The SDK's own two retries."""
    return retries(event, [0.8, 1.9])


def _recipe(setting: Setting) -> Write:
    recipes: dict[str, dict[str, Any]] = {
        "alpaca": {"temperature": 1.0, "max_tokens": 3072, "logit_bias": {"50256": -100}},
        "distilabel": {
            "temperature": 1.0,
            "logprobs": False,
            "n": 1,
            "presence_penalty": 0,
            "frequency_penalty": 0,
            "top_p": 1.0,
        },
        "plain": {},
    }
    return pipeline(setting, **recipes[setting.get("recipe", "plain")])


def reasoning(setting: Setting) -> Streams:
    """
    The model's inner reasoning is asked for, by lexicon and structure, with a large budget to think
    in: 20,000 output tokens and high effort. `language` is one of en, zh, ru, es, fr. With prompts of
    the evaluation data (math, questions) the demand stands behind each; the grammar's prompts hold it
    already.
    """
    language = setting.get("language", "en")
    crew = members(setting)
    stock = setting.stock(f"reasoning_{language}")
    demands = SLOTS[f"{language}_coerce"]

    def write(draw: random.Random, prompt: str) -> dict[str, Any]:
        if not any(demand in prompt for demand in demands):
            prompt = f"{prompt}\n\n{draw.choice(demands)}"
        return chat(
            [{"role": "user", "content": prompt}],
            MODEL,
            max_tokens=20_000,
            reasoning_effort="high",
            temperature=setting.get("temperature", 0.6),
        )

    return crawl(setting, crew, stock, write, lengths="reasoning")
