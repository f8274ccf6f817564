"""
Gemini: POST /v1beta/models/{model}:generateContent and :streamGenerateContent, as Google's Gemini API
and Vertex AI speak them; also :countTokens and cached contents, whose bodies are parts of the same.

Shapes: googleapis `google/ai/generativelanguage/v1beta/generative_service.proto`, `content.proto`;
python-genai `types.py`. The model stands in the path, and whether a stream is asked for too. What
lies elsewhere (`cachedContent`, files) is not in the body and so is not read here; images and other
media are not text.
"""

from __future__ import annotations

from typing import Final

from proxy.dialects.base import ReadAsk, ReplyReader
from proxy.dialects.gemini_replies import GeminiReply, GeminiStream, gemini_refusal
from proxy.dialects.jsonbody import (
    JsonObject,
    UnreadableBody,
    boolean,
    read_json,
    string,
    text_of_base64,
    written,
    wrong_type,
)
from proxy.dialects.protojson import Message, enumeration, integer, number, repeated
from proxy.facts import Ask, Reasoning, Turn

GEMINI: Final = "gemini_generate"

_BODY = Message(
    "model",
    "contents",
    "systemInstruction",
    "generationConfig",
    "tools",
    "cachedContent",
    "generateContentRequest",
)
_CONTENT = Message("role", "parts")
_PART = Message(
    "text",
    "inlineData",
    "thought",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
_BLOB = Message("mimeType", "data")
_CONFIG = Message(
    "candidateCount",
    "maxOutputTokens",
    "temperature",
    "topP",
    "responseLogprobs",
    "logprobs",
    "thinkingConfig",
)
_THINKING = Message("includeThoughts", "thinkingBudget", "thinkingLevel")
_OWN_TOOLS = (
    "codeExecution",
    "computerUse",
    "enterpriseWebSearch",
    "fileSearch",
    "googleMaps",
    "googleSearch",
    "googleSearchRetrieval",
    "retrieval",
    "urlContext",
)
_TOOL = Message("functionDeclarations", *_OWN_TOOLS)
_DECLARATION = Message("name")

# Kind of part → the field of it that the model reads. What it is told that it has called, or that a
# tool has answered, reads to it like any other text.
_SPOKEN = (
    ("functionCall", Message("args"), "args"),
    ("functionResponse", Message("response"), "response"),
    ("executableCode", Message("code"), "code"),
    ("codeExecutionResult", Message("output"), "output"),
    ("toolCall", Message("args"), "args"),
    ("toolResponse", Message("response"), "response"),
)

# The roles' names in the other dialects, so that rules need to know one of each alone.
_ROLES = {"model": "assistant", "function": "tool"}


def read(body: bytes, path: str) -> ReadAsk:
    """See `Dialect.read`."""
    parsed = read_json(body)
    return ReadAsk(_ask(parsed, path), parsed)


def asks_of(parsed: JsonObject, path: str) -> tuple[Ask, ...]:
    """See `Dialect.asks_of`."""
    return (_ask(parsed, path),)


def _ask(parsed: JsonObject, path: str) -> Ask:
    """`Ask` is built by position, as in `openai_chat`."""
    found = _BODY.read(parsed, "body")
    model = model_of(found.get("model"), path)
    # Of what generates, an upstream may go by the outer fields: there the wrapper is no field at all.
    counts = path.endswith("Tokens")
    within = found.get("generateContentRequest") if counts else None
    if within is not None:
        # What is counted stands one level deeper, or in `contents` beside it: never in both.
        if "contents" in found:
            raise UnreadableBody("ambiguous_key", "The body holds contents in two places.")
        found = _BODY.read(within, "generateContentRequest")
        model = model_of(found.get("model"), path)
    get = found.get
    contents = get("contents")
    if contents is None and not path.endswith(("/cachedContents", "Tokens")):
        raise wrong_type("contents", "an array")
    turns, system = _turns(get("systemInstruction"), contents)
    config = _CONFIG.read(get("generationConfig"), "generationConfig").get
    thinking, tools = config("thinkingConfig"), get("tools")
    return Ask(
        model,
        turns,
        system,
        path.endswith(":streamGenerateContent"),
        _limit(config("maxOutputTokens")),
        1 if (value := config("candidateCount")) is None else max(1, _count(value)),
        None if (value := config("temperature")) is None else _number(value, "temperature"),
        None if (value := config("topP")) is None else _number(value, "topP"),
        (value := config("responseLogprobs")) is not None
        and boolean(value, "generationConfig.responseLogprobs"),
        None if (value := config("logprobs")) is None else _top_logprobs(value),
        (),
        None if thinking is None else _reasoning(thinking),
        () if tools is None else _tool_names(tools),
        None,  # the API knows no end users
        True,
        tuple(parsed),
    )


def model_of(named: object, path: str) -> str | None:
    """The path's model, without `models/`; other collections keep theirs: they name other things.

    The body's where the path names none.
    """
    if ":" not in path:
        return None if named is None else string(named, "model").removeprefix("models/")
    resource = path[path.index("/", 1) : path.rindex(":")]
    if named is not None and not resource.endswith(f"/{string(named, 'model')}"):
        # Google goes by the path; an upstream that goes by the body would serve another model.
        raise UnreadableBody("ambiguous_model", "The body names another model than the path.")
    collection, model = resource.rsplit("/", 2)[1:]
    return model if collection == "models" else f"{collection}/{model}"


def _turns(instruction: object, contents: object) -> tuple[tuple[Turn, ...], str]:
    turns: list[Turn] = []
    system: list[str] = []
    if instruction is not None:
        system.append(_content(instruction, "systemInstruction")[1])
        turns.append(Turn("system", system[0]))
    for index, content in enumerate(repeated(contents)):
        role, text = _content(content, f"contents[{index}]")
        role = _ROLES.get(role, role)
        turns.append(Turn(role, text))
        if role == "system":
            system.append(text)
    return tuple(turns), "\n".join(system)


def _content(content: object, field: str) -> tuple[str, str]:
    """(role, text) of one Content, or of a string in its place."""
    if type(content) is str:
        return "user", content
    if type(content) is not dict:
        raise wrong_type(field, "an object")
    found = _CONTENT.read(content, field)
    role = found.get("role")
    role = "user" if role is None else string(role, f"{field}.role") or "user"
    texts: list[str] = []
    for index, part in enumerate(repeated(found.get("parts"))):
        # Nearly every part is plain text; the rest is read with care.
        if type(part) is dict and len(part) == 1 and type(text := part.get("text")) is str:
            texts.append(text)
        else:
            _part(part, f"{field}.parts[{index}]", texts)
    return role, "\n".join(texts)


def content_text(content: object, field: str) -> str:
    """The text of one Content."""
    return _content(content, field)[1]


def _part(part: object, field: str, texts: list[str]) -> None:
    if type(part) is str:
        texts.append(part)
        return
    if type(part) is not dict:
        raise wrong_type(field, "an object")
    found = _PART.read(part, field)
    if (text := found.get("text")) is not None:
        texts.append(string(text, f"{field}.text"))
    if (inline := found.get("inlineData")) is not None:
        held = _BLOB.read(inline, f"{field}.inlineData")
        if type(media := held.get("mimeType")) is str and media.startswith("text/"):
            texts.append(text_of_base64(held.get("data"), f"{field}.inlineData.data"))
    for kind, message, name in _SPOKEN:
        if (said := found.get(kind)) is None:
            continue
        value = message.read(said, f"{field}.{kind}").get(name)
        if value:
            texts.append(value if type(value) is str else written(value))


def _limit(value: object) -> int | None:
    # Zero is what protobuf leaves out, and no upstream reads it or less as a limit.
    tokens = 0 if value is None else integer(value, "generationConfig.maxOutputTokens")
    return tokens if tokens > 0 else None


def _count(value: object) -> int:
    return integer(value, "generationConfig.candidateCount")


def _top_logprobs(value: object) -> int:
    return integer(value, "generationConfig.logprobs")


def _number(value: object, name: str) -> float:
    return number(value, f"generationConfig.{name}")


def _reasoning(value: object) -> Reasoning | None:
    """A level, a budget (-1 lets the model decide: `dynamic`), or that thoughts are to be shown."""
    field = "generationConfig.thinkingConfig"
    get = _THINKING.read(value, field).get
    effort, budget = get("thinkingLevel"), get("thinkingBudget")
    shown = (value := get("includeThoughts")) is not None and boolean(
        value, f"{field}.includeThoughts"
    )
    if effort is not None:
        effort = enumeration(effort, f"{field}.thinkingLevel")
    if budget is not None:
        budget = integer(budget, f"{field}.thinkingBudget")
        if budget < 0:
            effort, budget = effort or "dynamic", None
    if effort is None and budget is None:
        return Reasoning("include_thoughts") if shown else None
    return Reasoning(effort, budget)


def _tool_names(tools: object) -> tuple[str, ...]:
    """Names of the caller's own functions; the kind of tools that the API brings."""
    names: list[str] = []
    for index, tool in enumerate(repeated(tools)):
        field = f"tools[{index}]"
        found = _TOOL.read(tool, field)
        declared = repeated(found.pop("functionDeclarations", None))
        for place, one in enumerate(declared):
            name = _DECLARATION.read(one, f"{field}.functionDeclarations[{place}]").get("name")
            if type(name) is str:
                names.append(name)
        names += found
    return tuple(names)


class GeminiGenerate:
    """See `base.Dialect`."""

    name = GEMINI
    path_hints = (
        "/v1beta/",
        "/v1alpha/",
        "/v1beta1/",
        "/v1/projects/",
        "/v1/publishers/",
        "/v1/tunedModels",
        "/upload/v1",
        "/ws/google.",
    )
    header_hints = (b"x-goog-api-key", b"x-goog-api-client")

    read = staticmethod(read)
    asks_of = staticmethod(asks_of)
    refusal = staticmethod(gemini_refusal)

    def ask_usage(self, _body: bytes, _parsed: JsonObject) -> bytes | None:
        """Nothing: every reply reports its usage unasked."""
        return None

    def reply_reader(self, *, streamed: bool, drop_usage: bool = False) -> ReplyReader:
        """A reader for one reply; a stream without `alt=sse` is a JSON array and no event stream."""
        assert not drop_usage
        return GeminiStream() if streamed else GeminiReply()


GEMINI_GENERATE = GeminiGenerate()
