"""What a suite sends, and what the model would answer, as final values."""

from __future__ import annotations

import re
from typing import Any, Final

from pydantic import BaseModel, Field, field_validator, model_validator

from proxy.demo import software
from proxy.nearest import nearest
from proxy.rules.fields import Names, wrong
from proxy.scenarios.fields import STRICT, Seconds, Texts
from proxy.scenarios.fill import check

_HEADER: Final = re.compile(r"(?:[A-Za-z0-9_-]|\{[^{}]*\})+").fullmatch
CLIENTS: Final = {
    "openai-python": software.PYTHON_SDK,
    "node": software.NODE,
    "requests": software.REQUESTS,
    "curl": software.CURL,
    "go": software.GO,
}
"""Programs whose hand a request may be written in."""


class Send(BaseModel):
    """A request. A list of texts takes turns; texts may hold placeholders. What is not said is as a
    plain SDK of that API sends it."""

    model_config = STRICT

    to: str = Field(default="/v1/chat/completions", pattern="^/")
    """The path, with its query if there is one. It says which API is spoken."""
    method: str = Field(default="POST", pattern="^[A-Z]{1,16}$")
    account: Texts | None = None
    """Who asks: one of the suite's accounts."""
    key: Texts | None = None
    """The API key, where no account is named; a key that no account has is its own account."""
    from_: Texts = Field(default="198.51.100.7", alias="from")
    """The address that it comes from."""
    client: Names = ("openai-python",)
    """The program that writes it: curl, go, node, openai-python or requests."""
    model: Texts = "model-large"
    prompt: Texts | None = None
    """What the user says."""
    system: Texts | None = None
    """The system prompt."""
    conversation: int = Field(default=1, ge=1, le=1000, strict=True)
    """Turns of a conversation: each request goes on with what its caller said before in this burst, then a
    new one begins."""
    end_user: Texts | None = None
    """The end user whom the caller names."""
    max_tokens: int | None = Field(default=None, ge=1, strict=True)
    stream: bool | None = None
    headers: dict[str, Texts] = Field(default_factory=dict)
    """Headers besides, or in place of the program's own."""
    body: Any = None
    """Fields of the body besides, or, as a text, the whole body as it is sent."""

    @field_validator("client")
    @classmethod
    def _check_client(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for at, name in enumerate(names):
            if name not in CLIENTS:
                raise wrong(
                    f"must be one of {', '.join(sorted(CLIENTS))}", (at,), nearest(name, CLIENTS)
                )
        return names

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, given: dict[str, object]) -> dict[str, object]:
        for name in given:
            check(name, (name,))
            if not _HEADER(name):
                raise wrong("a header's name holds letters, digits and dashes", (name,))
        return given

    @field_validator("body")
    @classmethod
    def _check_body(cls, body: object) -> object:
        if body is not None and not isinstance(body, str | dict):
            raise wrong("must be fields of the body, or the whole body as a text")
        _check_texts(body, ())
        return body

    @model_validator(mode="after")
    def _check_together(self) -> Send:
        if self.account is not None and self.key is not None:
            raise wrong(
                "`key` says who asks where no `account` does: name one of the two", ("key",)
            )
        if isinstance(self.body, str):
            for name in ("prompt", "system", "end_user", "max_tokens", "stream"):
                if getattr(self, name) is not None:
                    raise wrong(f"`{name}` has no place in a body that is given as a text", (name,))
        if self.conversation > 1 and self.prompt is None:
            raise wrong("`conversation` needs a `prompt`", ("conversation",))
        return self

    def over(self, defaults: Send | None) -> Send:
        """The same, with what it leaves unsaid out of the defaults."""
        if defaults is None:
            return self
        said = {name: getattr(defaults, name) for name in defaults.model_fields_set}
        mine = {name: getattr(self, name) for name in self.model_fields_set}
        if {"account", "key"} & mine.keys():
            said.pop("account", None), said.pop("key", None)
        if isinstance(said.get("body"), dict) and isinstance(mine.get("body"), dict):
            mine["body"] = {**said["body"], **mine["body"]}
        return Send.model_construct(**(said | mine))


def _check_texts(given: object, path: tuple[str | int, ...]) -> None:
    if isinstance(given, str):
        check(given, path)
    elif isinstance(given, list):
        for at, item in enumerate(given):
            _check_texts(item, (*path, at))
    elif isinstance(given, dict):
        for key, item in given.items():
            check(key, (*path, key))
            _check_texts(item, (*path, key))


class Answer(BaseModel):
    """What the model answers, as far as the policy lets the request through."""

    model_config = STRICT

    status: int = Field(default=200, ge=100, le=599, strict=True)
    output_tokens: int = Field(default=200, ge=0, le=2**40, strict=True)
    """The reasoning among them."""
    reasoning_tokens: int = Field(default=0, ge=0, le=2**40, strict=True)
    input_tokens: int | None = Field(default=None, ge=0, le=2**40, strict=True)
    """As the upstream reports them; a quarter of the body's bytes where not said."""
    duration: Seconds = 1.0
    """Until its last byte."""
