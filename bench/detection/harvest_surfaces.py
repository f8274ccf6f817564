"""Harvests through other doors: log probabilities, batches, embeddings."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from bench.detection import wire
from bench.detection.arrivals import arrivals
from bench.detection.crew import crawl, members, pipeline
from bench.detection.event import Event, Identity, unfolded
from bench.detection.setting import MODEL, Setting, Streams, chat, retries

FILES, MESSAGE_BATCHES, EMBEDDINGS = "/v1/files", "/v1/messages/batches", "/v1/embeddings"


def logit_probing(setting: Setting) -> Streams:
    """
    The output layer is measured: one prompt, one token out, twenty top log probabilities, another map
    of biases each time (Carlini et al. 2024 recovered a production model's projection matrix so, for
    under 20 dollars).
    """
    crew = members(setting)
    stock = setting.stock("instruction")
    prompts = [stock.text(number) for number in range(12)]

    def write(draw: random.Random, _prompt: str) -> dict[str, Any]:
        count = draw.randint(5, 40)
        biases = {str(draw.randrange(100_000)): draw.choice((40, 80, 100)) for _ in range(count)}
        return chat(
            [{"role": "user", "content": draw.choice(prompts)}],
            MODEL,
            logit_bias=biases,
            logprobs=True,
            top_logprobs=20,
            max_tokens=1,
            temperature=0,
        )

    return crawl(setting, crew, stock, write, lengths="one")


def batch_api(setting: Setting) -> Streams:
    """
    A list sent as batches of `lines` prompts: half the price, and no rate that anybody sees. `per_day`
    counts batches. Every other account uploads a file of JSON lines (the OpenAI way), the others send
    one body that holds them all (Anthropic's). What the answers come to stands in that line: what is
    refused there is never made.
    """
    crew = members(setting, ("openai-python", "anthropic-python"))
    for number, who in enumerate(crew):
        who.client = (wire.openai_python, wire.anthropic_python)[number % 2](setting.random(number))
        yield unfolded(_batches(setting, number, who, len(crew)))


def _batches(setting: Setting, number: int, who: Identity, crew: int) -> Iterator[list[Event]]:
    draw, size = setting.random("member", number), setting.get("lines", 200)
    write, stock = pipeline(setting), setting.stock("instruction")
    made, none = setting.lengths("instruction"), setting.lengths("none")
    for turn, t in enumerate(arrivals(draw, setting.per_day, setting.until, rhythm="machine")):
        first = (number + turn * crew) * size
        bodies = [write(draw, stock.text(first + at)) for at in range(size)]
        if number % 2:
            body = {"requests": [_item(first + at, one) for at, one in enumerate(bodies)]}
            event = setting.event(draw, who, t, body, first, "harvest", none, path=MESSAGE_BATCHES)
        else:
            event = setting.event(draw, who, t, {}, first, "harvest", none, path=FILES)
            event.headers, event.body = _form(who, bodies, first, draw)
        answers = [made.response(draw, len(event.body) // size) for _ in range(size)]
        event.response = {
            "status": 200,
            "input_tokens": sum(one["input_tokens"] for one in answers),
            "output_tokens": sum(one["output_tokens"] for one in answers),
            "duration": 1.5,
        }
        yield retries(event, [5.0, 60.0])


def _item(number: int, body: dict[str, Any]) -> dict[str, Any]:
    """One request of a batch in Anthropic's form."""
    system = [turn["content"] for turn in body["messages"] if turn["role"] == "system"]
    turns = [turn for turn in body["messages"] if turn["role"] != "system"]
    params = {**body, "messages": turns} | ({"system": system[0]} if system else {})
    return {"custom_id": f"task-{number}", "params": params}


def _form(
    who: Identity, bodies: list[dict[str, Any]], first: int, draw: random.Random
) -> tuple[wire.Headers, str]:
    """The multipart form of an upload, as openai-python sends it."""
    boundary = f"{draw.getrandbits(128):032x}"
    file = "".join(
        json.dumps(
            {"custom_id": f"task-{first + at}", "method": "POST", "url": wire.CHAT, "body": body}
        )
        + "\n"
        for at, body in enumerate(bodies)
    )
    parts = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n',
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="tasks.jsonl"\r\n',
        f"Content-Type: application/octet-stream\r\n\r\n{file}\r\n--{boundary}--\r\n",
    )
    text = "".join(parts)
    return who.client.around(who.key, text, f"multipart/form-data; boundary={boundary}"), text


def embeddings(setting: Setting) -> Streams:
    """
    A corpus turned into vectors to train an embedding model on: `inputs` texts a request, none twice.
    There are no output tokens: what leaks is requests.
    """
    crew = members(setting)
    stock, size = setting.stock("instruction"), setting.get("inputs", 32)

    def groups(number: int, who: Identity) -> Iterator[list[Event]]:
        draw = setting.random("member", number)
        times = arrivals(draw, setting.per_day, setting.until, rhythm="machine")
        for turn, t in enumerate(times):
            first = (number + turn * len(crew)) * size
            texts = [stock.text(first + at) for at in range(size)]
            body = {"input": texts, "model": "atlas-embed-2", "encoding_format": "base64"}
            yield [
                setting.event(
                    draw, who, t, body, first, "harvest", setting.lengths("none"), path=EMBEDDINGS
                )
            ]

    for number, who in enumerate(crew):
        yield unfolded(groups(number, who))
