"""
Labelled traffic: one JSON object a line, as it was sent, and what the upstream would have answered.

`label`, `account` and `campaign` are the truth that results are measured by; nobody who judges is shown
them. What an accounts file would say stands in `declared`.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NoReturn

import orjson

from proxy.client.accounts import Account
from proxy.client.address import canonical
from proxy.facts import PROFILES
from proxy.head import Head
from proxy.replay.source import Source, TrafficMistake
from proxy.value import value

LABELS: Final = ("benign", "harvest", "ambiguous")
MAX_NAME: Final = 256
_MAX_TOKENS: Final = 2**40
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+").fullmatch
"""RFC 9110, 5.6.2."""
_NAMES: Final = re.compile(rb"(?:[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:\0(?!\Z)|\Z))*").fullmatch
_CONTROLS: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_MAX_SECONDS: Final = 1e9


@value
class Response:
    """What the upstream would have answered."""

    status: int = 200
    input_tokens: int = 0
    output_tokens: int = 0
    """The reasoning among them."""
    reasoning_tokens: int = 0
    duration: float = 0.0
    """Seconds until its last byte."""


@dataclass(slots=True)
class Record:
    """One line."""

    number: int
    """From 0."""
    t: float
    """Seconds since the start."""
    population: str
    label: str
    account: str
    campaign: str | None
    declared: Account | None
    head: Head
    body: bytes
    if_refused: int | None
    """The earlier line that must have been refused for this one to happen."""
    response: Response


class _Wrong(Exception):  # noqa: N818 - becomes a mistake with its place
    pass


def read_records(source: Source) -> Iterator[Record]:
    """The records of a source, in its order. Raises TrafficMistake."""
    last = 0.0
    declared: dict[bytes, Account] = {}
    for number, line in enumerate(source.lines()):
        if line.isspace():
            continue
        try:
            record = _record(number, line, declared)
        except orjson.JSONDecodeError as error:
            raise source.mistake(number + 1, f"is no JSON: {error.msg}, at {error.colno}") from None
        except _Wrong as wrong:
            raise source.mistake(number + 1, str(wrong)) from None
        if record.t < last:
            raise source.mistake(number + 1, f"`t` goes back, from {last:g} to {record.t:g}")
        last = record.t
        yield record


def _record(number: int, line: bytes, declared: dict[bytes, Account]) -> Record:
    found = orjson.loads(line)
    if type(found) is not dict:
        _wrong("must be an object")
    get = found.get
    t = get("t")
    if isinstance(t, bool) or not isinstance(t, int | float) or not 0 <= t < _MAX_SECONDS:
        if t is None and type(get("event")) is str:
            _wrong("an event of Excise's own: --events reads its log")
        _wrong("`t` must be seconds since the start")
    address, method, path = get("address"), get("method"), get("path")
    if not isinstance(method, str) or not _TOKEN(method):
        _wrong("`method` must be a word such as `POST`")
    if not isinstance(path, str) or not path.startswith("/"):
        _wrong("`path` must begin with a slash")
    path, _, query = path.partition("?")
    head = Head(method, path, query, _headers(get("headers")), _address(address))
    label = get("label", "ambiguous")
    if label not in LABELS:
        _wrong(f"`label` must be one of {', '.join(LABELS)}")
    campaign, said = get("campaign"), get("declared")
    return Record(
        number,
        float(t),
        _name(get("population"), "population"),
        label,
        _name(get("account"), "account"),
        None if campaign is None else _name(campaign, "campaign"),
        None if said is None else _declared(said, declared),
        head,
        _body(get("body")),
        _earlier(get("if_refused"), number),
        _response(get("response")),
    )


def _wrong(message: str) -> NoReturn:
    raise _Wrong(message)


def _name(value: object, field: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME:
        _wrong(f"`{field}` must be text of at most {MAX_NAME} characters")
    return value


def _address(value: object) -> str:
    if not isinstance(value, str) or len(value) >= 64 or canonical(value) is None:
        _wrong("`address` must be an IP address")
    return value


def _headers(value: object) -> tuple[tuple[bytes, bytes], ...]:
    if type(value) is not list or not {*map(type, value)} <= {list}:
        _wrong("`headers` must be a list of [name, value]")
    try:
        said = tuple([name for name, _ in value])
        texts = [text.encode() for _, text in value]
        names, sound = (_known_names if sum(map(len, said)) <= _REMEMBERED else _names)(said)
    except (AttributeError, TypeError, ValueError):
        _wrong("`headers` must be a list of [name, value]")
    headers = tuple(zip(names, texts, strict=True))
    if not sound or _CONTROLS(b"".join(texts)):  # one look at all: a record has many headers
        _refuse_header(headers)
    return headers


_REMEMBERED: Final = 1024
"""Characters of all names, up to which they are remembered: a program sends the same ones each time."""


def _names(said: tuple[str, ...]) -> tuple[tuple[bytes, ...], bool]:
    """The names as they go over the wire, and whether HTTP can carry them."""
    names = tuple([name.encode() for name in said])
    return names, _NAMES(b"\0".join(names)) is not None


_known_names = lru_cache(maxsize=1024)(_names)


def _refuse_header(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """Tell which of them HTTP cannot carry."""
    for at, (name, text) in enumerate(headers):
        if not _TOKEN(name.decode()):
            _wrong(f"`headers[{at}]` has a name that no header can have: {name.decode()[:80]!r}")
        if _CONTROLS(text):
            _wrong(f"`headers[{at}]` has a value that no header can have")


def _body(value: object) -> bytes:
    if type(value) is dict:
        return orjson.dumps(value)
    if type(value) is str:
        return value.encode("utf-8", "surrogatepass")
    if value is None:
        return b""
    _wrong("`body` must be an object or a string")


def _earlier(value: object, number: int) -> int | None:
    if value is not None and (type(value) is not int or not 0 <= value < number):
        _wrong("`if_refused` must be the number of an earlier line, from 0")
    return value


def _response(value: object) -> Response:
    if type(value) is not dict:
        _wrong("`response` must be an object")
    get = value.get
    status, duration = get("status", 200), get("duration", 0.0)
    if type(status) is not int or not 100 <= status <= 599:
        _wrong("`response.status` must be an HTTP status")
    if type(duration) not in (int, float) or not 0 <= duration < _MAX_SECONDS:
        _wrong("`response.duration` must be seconds")
    made = get("output_tokens"), get("reasoning_tokens")
    given = get("input_tokens")
    for name, tokens in zip(_TOKENS, (given, *made), strict=True):
        if tokens is not None and (type(tokens) is not int or not 0 <= tokens < _MAX_TOKENS):
            _wrong(f"`response.{name}` must be a number of tokens")
    return Response(status, given or 0, made[0] or 0, made[1] or 0, duration)


_TOKENS: Final = ("input_tokens", "output_tokens", "reasoning_tokens")


def _declared(value: object, known: dict[bytes, Account]) -> Account:
    """What an accounts file would say: made once for what is said the same many times."""
    if type(value) is not dict:
        _wrong("`declared` must be an object")
    name = orjson.dumps(value)
    account = known.get(name)
    if account is None:
        if len(known) >= _MOST_DECLARED:
            known.clear()
        account = known[name] = _account(value)
    return account


_MOST_DECLARED: Final = 65_536


def _account(said: dict[str, Any]) -> Account:
    profile, networks, since = said.get("profile"), said.get("networks") or [], said.get("since")
    if profile is not None and profile not in PROFILES:
        _wrong(f"`declared.profile` must be one of {', '.join(PROFILES)}")
    tier = said.get("tier")
    return Account(
        _name(said.get("account"), "declared.account"),
        None if tier is None else _name(tier, "declared.tier"),
        profile,
        tuple(_read(ipaddress.ip_network, networks, "networks")),
        next(_read(_midnight, [since], "since"), None) if since is not None else None,
    )


def _midnight(day: str) -> float:
    found = datetime.date.fromisoformat(day)
    return datetime.datetime.combine(found, datetime.time(), datetime.UTC).timestamp()


def _read(reads: Callable[[Any], Any], values: object, field: str) -> Iterator[Any]:
    try:
        for value in values:  # type: ignore[attr-defined]
            yield reads(value)
    except (TypeError, ValueError):
        _wrong(f"`declared.{field}` cannot be read")


__all__ = ["Record", "Response", "TrafficMistake", "read_records"]
