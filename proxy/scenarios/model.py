"""The shape of a suite: tests of one policy, as final values."""

from __future__ import annotations

import datetime
import ipaddress
import re
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, field_validator
from pydantic import model_validator

from proxy.demo import software
from proxy.facts import NETWORK_KINDS, PROFILES
from proxy.rules.fields import Names, nearest, wrong
from proxy.rules.units import parse_duration
from proxy.scenarios.expect import Expectation
from proxy.scenarios.fill import check

STRICT: Final = ConfigDict(
    extra="forbid", frozen=True, use_attribute_docstrings=True, populate_by_name=False
)
_HEADER: Final = re.compile(r"(?:[A-Za-z0-9_-]|\{[^{}]*\})+").fullmatch
MOST_TIMES: Final = 1_000_000
CLIENTS: Final = {
    "openai-python": software.PYTHON_SDK,
    "node": software.NODE,
    "requests": software.REQUESTS,
    "curl": software.CURL,
    "go": software.GO,
}
"""Programs whose hand a request may be written in."""


def _seconds(given: object) -> float:
    if given == 0 and not isinstance(given, bool):
        return 0.0
    try:
        return parse_duration(given)
    except ValueError:
        raise wrong("must be a duration such as `250ms`, `2s`, `5m`, `1h` or `1d`, or 0") from None


def _gaps(given: object) -> tuple[float, float]:
    """(shortest, longest)."""
    if not isinstance(given, list):
        return (_seconds(given),) * 2
    if len(given) != 2:
        raise wrong("must be a duration, or the shortest and the longest: `[2s, 30s]`")
    short, long = map(_seconds, given)
    if long < short:
        raise wrong("the longest must not be shorter than the shortest", (1,))
    return short, long


def _texts(given: object) -> str | tuple[str, ...]:
    """A text with placeholders, or several that take turns."""
    texts = given if isinstance(given, list) else [given]
    if not texts:
        raise wrong("must name at least one")
    for at, text in enumerate(texts):
        path = (at,) if isinstance(given, list) else ()
        if not isinstance(text, str):
            raise wrong("must be text; quote it if it looks like something else", path)
        check(text, path)
    return tuple(map(str, texts)) if isinstance(given, list) else str(texts[0])


_DURATION: Final = {
    "anyOf": [{"const": 0}, {"type": "string", "pattern": "^[1-9][0-9]{0,8}(ms|s|m|h|d)$"}]
}
_TEXT: Final = {"type": "string"}
Seconds = Annotated[float, PlainValidator(_seconds), WithJsonSchema(_DURATION)]
Gaps = Annotated[
    tuple[float, float],
    PlainValidator(_gaps),
    WithJsonSchema(
        {
            "anyOf": [
                *_DURATION["anyOf"],
                {"type": "array", "items": _DURATION, "minItems": 2, "maxItems": 2},
            ]
        }
    ),
]
Texts = Annotated[
    str | tuple[str, ...],
    PlainValidator(_texts),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]}),
]


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


class Burst(BaseModel):
    """Requests that come one after the other, and what is expected of them."""

    model_config = STRICT

    send: Send
    times: int = Field(default=1, ge=1, le=MOST_TIMES, strict=True)
    """How many are sent."""
    every: Gaps = (1.0, 1.0)
    """From one to the next, `1s`; `[2s, 30s]` draws each gap between the two, the same in each run."""
    response: Answer = Answer()
    expect: tuple[Expectation, ...] = ()
    """What must hold for these requests."""


class Step(BaseModel):
    """Requests, several bursts at once, or a wait."""

    model_config = STRICT

    send: Send | None = None
    """A request, sent `times` times."""
    times: int = Field(default=1, ge=1, le=MOST_TIMES, strict=True)
    """How many are sent."""
    every: Gaps = (1.0, 1.0)
    """From one to the next, `1s`; `[2s, 30s]` draws each gap between the two, the same in each run."""
    response: Answer = Answer()
    expect: tuple[Expectation, ...] = ()
    """What must hold for these requests."""
    together: tuple[Burst, ...] | None = Field(default=None, min_length=2)
    """Bursts that begin at once."""
    wait: Seconds | None = None
    """Time that passes without a request."""

    @model_validator(mode="after")
    def _check_one(self) -> Step:
        given = [name for name in ("send", "together", "wait") if getattr(self, name) is not None]
        if len(given) != 1:
            raise wrong("a step is one of `send`, `together` or `wait`")
        if given != ["send"] and (others := self.model_fields_set - {*given}):
            name = sorted(others)[0]
            raise wrong(f"`{name}` goes with `send`", (name,))
        return self

    @property
    def bursts(self) -> tuple[Burst, ...]:
        """What is sent, all of it beginning at once."""
        if self.together is not None:
            return self.together
        if self.send is None:
            return ()
        return (
            Burst.model_construct(
                send=self.send,
                times=self.times,
                every=self.every,
                response=self.response,
                expect=self.expect,
            ),
        )


class Test(BaseModel):
    """Steps, one after the other, in a world of their own: nothing is counted before."""

    model_config = STRICT

    name: str = Field(min_length=1, max_length=200)
    """What it shows, in a sentence."""
    start: datetime.date = datetime.date(2026, 1, 5)
    """The day, UTC, at whose beginning it starts."""
    steps: tuple[Step, ...] = Field(min_length=1)
    expect: tuple[Expectation, ...] = ()
    """What must hold for all requests of the test."""

    @field_validator("start", mode="before")
    @classmethod
    def _read_start(cls, given: object) -> datetime.date:
        try:
            if isinstance(given, str) and len(given) == len("2026-01-05"):
                return datetime.date.fromisoformat(given)
        except ValueError:
            pass
        raise wrong("must be a day such as `2026-01-05`")

    @model_validator(mode="after")
    def _check_expects(self) -> Test:
        if (
            not any(burst.expect for step in self.steps for burst in step.bursts)
            and not self.expect
        ):
            raise wrong("a test expects something: give a step, or the test, an `expect`")
        return self


class NamedAccount(BaseModel):
    """An account of the suite: what an accounts file would say of it. Keys are made up."""

    model_config = STRICT

    account: str = Field(pattern=r"^[\x21-\x7e]{1,128}$")
    tier: str | None = Field(default=None, pattern=r"^[\x21-\x7e]{1,128}$")
    profile: str | None = None
    """What it declares itself to be."""
    networks: Names = ()
    """Where its servers stand, as it has declared."""
    since: str | None = None
    """The day that it became a customer on."""
    many: int | None = Field(default=None, ge=1, le=10_000, strict=True)
    """So many of them: `many: 40` of `pool` are `pool-0` to `pool-39`, as `pool-{n%40}` counts."""

    @field_validator("profile")
    @classmethod
    def _check_profile(cls, given: str | None) -> str | None:
        if given is not None and given not in PROFILES:
            raise wrong(f"must be one of {', '.join(PROFILES)}", (), nearest(given, PROFILES))
        return given

    @field_validator("networks")
    @classmethod
    def _check_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for at, text in enumerate(given):
            check_network(text, (at,))
        return given

    @field_validator("since")
    @classmethod
    def _check_since(cls, given: str | None) -> str | None:
        try:
            if given is not None:
                datetime.date.fromisoformat(given)
        except ValueError:
            raise wrong("must be a day such as `2025-06-01`") from None
        return given


def check_network(text: str, path: tuple[str | int, ...] = ()) -> None:
    """Raises a mistake for what is no network."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise wrong("must be a network such as `10.0.0.0/8`", path) from None


class NamedNetwork(BaseModel):
    """What is known of the addresses of a network. Of others nothing is known."""

    model_config = STRICT

    network: str
    kind: Literal[NETWORK_KINDS] = "unknown"  # type: ignore[valid-type]  # words of one owner
    country: Names | None = None
    """Two capital letters; several are those of its parts in turn."""
    asn: int | None = Field(default=None, ge=1, lt=2**32, strict=True)
    organization: str | None = Field(default=None, min_length=1, max_length=128)
    each: int | None = Field(default=None, ge=1, le=64, strict=True)
    """Prefix length of its parts: each is a system of its own, `asn` the first one's number."""

    @model_validator(mode="after")
    def _check(self) -> NamedNetwork:
        check_network(self.network, ("network",))
        given = ipaddress.ip_network(self.network)
        if self.each is not None and not given.prefixlen <= self.each <= given.max_prefixlen:
            raise wrong("must not be shorter than the network's own prefix", ("each",))
        return self


class Suite(BaseModel):
    """Tests of one policy."""

    model_config = STRICT

    policy: str = Field(min_length=1)
    """The policy's file, relative to this one."""
    accounts: str | tuple[NamedAccount, ...] = ()
    """Accounts that tests may ask as: here, or the path of an accounts file, relative to this one."""
    networks: tuple[NamedNetwork, ...] = ()
    """What is known of addresses."""
    defaults: Send | None = None
    """What requests are like where they do not say otherwise."""
    uncovered: dict[str, str] = Field(default_factory=dict)
    """Rules that no test is asked to cover, and why."""
    tests: tuple[Test, ...] = Field(min_length=1)
