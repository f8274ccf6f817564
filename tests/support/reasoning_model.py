"""
A model that shows all there is to hide, whatever it was asked: reasoning, signatures, log probabilities.

It says TEXT word by word, on every API, plain and streamed, and keeps what it was sent. A model whose name
begins with `inline` reasons in its text, too, and one called `unclosed` says nothing else.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

WORDS = [f"word{number} " for number in range(20)]
TEXT = "".join(WORDS)
SECRET = "SECRET-REASONING"
SIGNATURE = "U0lHTkFUVVJF"
LOGPROB = -0.0123456789
Body = dict[str, Any]


def said(name: str) -> list[str]:
    """What a model of that name says, word by word."""
    inline = ["<th", "ink>", SECRET, " </", "think>", "\n\n"]
    if name.startswith("unclosed"):
        return inline[:3]
    return [*inline, *WORDS] if name.startswith("inline") else WORDS


def text_of(body: Body) -> str:
    return "".join(said(body["model"]))


def logprobs(word: str) -> Body:
    one = {"token": word, "logprob": LOGPROB, "bytes": None}
    return {"content": [{**one, "top_logprobs": [one]}], "refusal": None}


def chat(body: Body) -> Body:
    message = {
        "role": "assistant",
        "content": text_of(body),
        "reasoning_content": SECRET,
        "reasoning": SECRET,
        "reasoning_details": [{"type": "reasoning.text", "text": SECRET}],
    }
    choice = {"index": 0, "message": message, "logprobs": logprobs(TEXT), "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 24, "total_tokens": 31}
    return {**about(body, "chat.completion"), "choices": [choice], "usage": usage}


def about(body: Body, kind: str) -> Body:
    return {"id": "chatcmpl-1", "object": kind, "created": 1, "model": body["model"]}


def chat_events(body: Body) -> list[Body]:
    head = about(body, "chat.completion.chunk")

    def chunk(delta: Body, finish: str | None = None, word: str | None = None) -> Body:
        told = None if word is None else logprobs(word)
        return {
            **head,
            "choices": [{"index": 0, "delta": delta, "logprobs": told, "finish_reason": finish}],
        }

    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"reasoning_content": SECRET}), chunk({"reasoning": SECRET})]
    events += [chunk({"content": word}, None, word) for word in said(body["model"])]
    events.append(chunk({}, "stop"))
    if (body.get("stream_options") or {}).get("include_usage"):
        usage = {"prompt_tokens": 7, "completion_tokens": 24, "total_tokens": 31}
        events.append({**head, "choices": [], "usage": usage})
    return events


def completion(body: Body) -> Body:
    choice = {"index": 0, "text": text_of(body), "finish_reason": "stop"}
    choice["logprobs"] = {"tokens": [TEXT]}
    usage = {"prompt_tokens": 7, "completion_tokens": 20, "total_tokens": 27}
    return {**about(body, "text_completion"), "choices": [choice], "usage": usage}


def completion_events(body: Body) -> list[Body]:
    head = about(body, "text_completion")
    words = said(body["model"])
    ends = [None] * (len(words) - 1) + ["stop"]
    return [
        {
            **head,
            "choices": [
                {"index": 0, "text": word, "finish_reason": end, "logprobs": {"tokens": [word]}}
            ],
        }
        for word, end in zip(words, ends, strict=True)
    ]


REASONING_ITEM = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": SECRET}],
    "content": [{"type": "reasoning_text", "text": SECRET}],
    "encrypted_content": SIGNATURE,
}


def part(text: str) -> Body:
    told = [{"token": text, "logprob": LOGPROB, "bytes": [], "top_logprobs": []}]
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": told}


def response(body: Body) -> Body:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [part(text_of(body))],
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": body["model"],
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "output": [dict(REASONING_ITEM), message],
        "usage": {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 24,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 31,
        },
    }


def response_events(body: Body) -> list[Body]:
    whole = response(body)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    item, message = whole["output"]
    opened = {**message, "status": "in_progress", "content": []}
    thinks = {"item_id": "rs_1", "output_index": 0}
    says = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    summary = {"type": "summary_text", "text": SECRET}
    whole_text = text_of(body)
    told = part(whole_text)["logprobs"]
    events: list[Body] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "U0lH"},
        },
        {
            "type": "response.reasoning_summary_part.added",
            **thinks,
            "summary_index": 0,
            "part": {"type": "summary_text", "text": ""},
        },
        {
            "type": "response.reasoning_summary_text.delta",
            **thinks,
            "summary_index": 0,
            "delta": SECRET,
        },
        {
            "type": "response.reasoning_summary_text.done",
            **thinks,
            "summary_index": 0,
            "text": SECRET,
        },
        {
            "type": "response.reasoning_summary_part.done",
            **thinks,
            "summary_index": 0,
            "part": summary,
        },
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.output_item.added", "output_index": 1, "item": opened},
        {"type": "response.content_part.added", **says, "part": {**part(""), "logprobs": []}},
    ]
    events += [
        {"type": "response.output_text.delta", **says, "delta": word, "logprobs": told}
        for word in said(body["model"])
    ]
    events += [
        {"type": "response.output_text.done", **says, "text": whole_text, "logprobs": told},
        {"type": "response.content_part.done", **says, "part": part(whole_text)},
        {"type": "response.output_item.done", "output_index": 1, "item": message},
        {"type": "response.completed", "response": whole},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


TOOL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": "it"}}


def message(body: Body) -> Body:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [
            {"type": "thinking", "thinking": SECRET, "signature": SIGNATURE},
            {"type": "redacted_thinking", "data": SIGNATURE},
            {"type": "text", "text": text_of(body)},
            TOOL,
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 24},
    }


def message_events(body: Body) -> list[Body]:
    whole = message(body)
    start = {**whole, "content": [], "stop_reason": None}
    start["usage"] = {"input_tokens": 7, "output_tokens": 1}

    def block(index: int, opened: Body, *deltas: Body) -> list[Body]:
        return [
            {"type": "content_block_start", "index": index, "content_block": opened},
            *({"type": "content_block_delta", "index": index, "delta": one} for one in deltas),
            {"type": "content_block_stop", "index": index},
        ]

    thought = {"type": "thinking", "thinking": "", "signature": ""}
    return [
        {"type": "message_start", "message": start},
        *block(
            0,
            thought,
            {"type": "thinking_delta", "thinking": SECRET},
            {"type": "signature_delta", "signature": SIGNATURE},
        ),
        *block(1, {"type": "redacted_thinking", "data": SIGNATURE}),
        {"type": "ping"},
        *block(
            2,
            {"type": "text", "text": ""},
            *({"type": "text_delta", "text": word} for word in said(body["model"])),
        ),
        *block(
            3,
            {**TOOL, "input": {}},
            {"type": "input_json_delta", "partial_json": '{"at": "it"}'},
        ),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 24},
        },
        {"type": "message_stop"},
    ]


def complete(body: Body) -> Body:
    answer = {"type": "completion", "id": "compl_1", "model": body["model"]}
    return {**answer, "completion": f" {text_of(body)}", "stop_reason": "stop_sequence"}


def complete_events(body: Body) -> list[Body]:
    head = {**complete(body), "stop_reason": None}
    events = [{**head, "completion": word} for word in (" ", *said(body["model"]))]
    return [*events, {**head, "completion": "", "stop_reason": "stop_sequence"}]


def gemini(words: list[Body], *, ended: bool) -> Body:
    candidate: Body = {"index": 0, "content": {"role": "model", "parts": words}}
    if ended:
        candidate |= {"finishReason": "STOP", "avgLogprobs": LOGPROB}
        candidate["logprobsResult"] = {"chosenCandidates": [{"token": "a", "logProbability": -1}]}
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 20, "totalTokenCount": 31}
    usage["thoughtsTokenCount"] = 4
    return {
        "candidates": [candidate],
        "usageMetadata": usage,
        "modelVersion": "m",
        "responseId": "r1",
    }


def gemini_whole(name: str = "") -> Body:
    thought = {"text": SECRET, "thought": True}
    text = "".join(said(name))
    return gemini([thought, {"text": text, "thoughtSignature": SIGNATURE}], ended=True)


def gemini_pieces(name: str = "") -> list[Body]:
    *words, last = said(name)
    pieces = [gemini([{"text": SECRET, "thought": True}], ended=False)]
    pieces += [gemini([{"text": word}], ended=False) for word in words]
    return [*pieces, gemini([{"text": last, "thoughtSignature": SIGNATURE}], ended=True)]


class ReasoningModel:
    """Where it listens, and what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[Body] = []
        self.headers: list[dict[str, str]] = []
        self.written = 0
        """Events of the last stream that were written before it ended or was left."""

    @property
    def body(self) -> Body:
        """What it was sent last."""
        return self.bodies[-1]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        path = request.path
        if ":" in path:
            name = path.rpartition("/")[2].partition(":")[0]
            if not path.endswith(":streamGenerateContent"):
                return web.json_response(gemini_whole(name))
            if request.query.get("alt") != "sse":
                text = json.dumps(gemini_pieces(name), indent=1)
                return await self._stream(
                    request, [text[at : at + 100].encode() for at in range(0, len(text), 100)]
                )
            return await self._events(request, gemini_pieces(name))
        plain, events = {
            "/v1/chat/completions": (chat, chat_events),
            "/v1/completions": (completion, completion_events),
            "/v1/responses": (response, response_events),
            "/v1/messages": (message, message_events),
            "/v1/complete": (complete, complete_events),
        }[path]
        if not body.get("stream"):
            return web.json_response(plain(body))
        return await self._events(request, events(body), named="type" in events(body)[0])

    async def _events(
        self, request: web.Request, events: list[Body], *, named: bool = False
    ) -> web.StreamResponse:
        parts = []
        for event in events:
            name = f"event: {event['type']}\n" if named else ""
            parts.append(f"{name}data: {json.dumps(event)}\n\n".encode())
        if not named and ":" not in request.path:
            parts.append(b"data: [DONE]\n\n")
        return await self._stream(request, parts, "text/event-stream")

    async def _stream(
        self, request: web.Request, parts: list[bytes], kind: str = "application/json"
    ) -> web.StreamResponse:
        reply = web.StreamResponse(headers={"Content-Type": kind})
        await reply.prepare(request)
        self.written = 0
        try:
            for part in parts:
                await reply.write(part)
                self.written += 1
                await asyncio.sleep(0.002)
        except ConnectionResetError:
            pass
        return reply


@contextmanager
def reasoning_model() -> Iterator[ReasoningModel]:
    """Serve it on a thread of its own."""
    model = ReasoningModel()
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", model._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        model.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        return runner

    runner = None

    def run() -> None:
        nonlocal runner
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield model
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
