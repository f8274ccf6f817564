"""
Gemini embeddings: POST /v1beta/models/{model}:embedContent and :batchEmbedContents.

Shapes: googleapis `generative_service.proto`, EmbedContentRequest. All contents of a body are one ask.
"""

from __future__ import annotations

from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.gemini_generate import content_text, model_of
from proxy.dialects.gemini_replies import GeminiReply, gemini_refusal
from proxy.dialects.jsonbody import JsonObject, read_json, wrong_type
from proxy.dialects.protojson import Message, repeated
from proxy.facts import Ask, Turn

_BODY = Message("model", "content", "requests", "title")


def read(body: bytes, path: str) -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    return ReadAsk(asks_of(parsed, path)[0], parsed)


def asks_of(parsed: JsonObject, path: str) -> tuple[Ask, ...]:
    """See `Dialect.asks_of`."""
    found = _BODY.read(parsed, "body")
    requests = repeated(found.get("requests"))
    read_all = [_BODY.read(one, f"requests[{index}]") for index, one in enumerate(requests)]
    texts: list[str] = []
    model = None
    for field, one in [("body", found), *((f"requests[{i}]", r) for i, r in enumerate(read_all))]:
        model = model_of(one.get("model"), path)  # refuses another one than the path's
        if (content := one.get("content")) is not None:
            texts.append(content_text(content, f"{field}.content"))
    if not texts:
        raise wrong_type("content", "an object")
    return (Ask(model, (Turn("user", "\n".join(texts)),), parameters=tuple(parsed)),)


class GeminiEmbed:
    """See `base.Dialect`."""

    name = "gemini_embed"
    path_hints: tuple[str, ...] = ()
    header_hints: tuple[bytes, ...] = ()

    read = staticmethod(read)
    asks_of = staticmethod(asks_of)
    refusal = staticmethod(gemini_refusal)

    def ask_usage(self, _body: bytes, _parsed: JsonObject) -> bytes | None:
        """Nothing: what usage there is comes unasked."""
        return None

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply."""
        return GeminiReply()


GEMINI_EMBED = GeminiEmbed()
