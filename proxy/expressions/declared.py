"""
The facts that expressions may use: each with its type, its meaning and where it comes from.

`docs/policies.md` has the table, made from here. What a request does not have is absent: it never makes
an expression true, and `has(…)` asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from proxy.facts import Ask, Client, Facts, Signal, Signals
from proxy.value import value

Type = Literal["text", "int", "double", "bool", "list"]
"""`list` is a list of texts."""
Fact = str | int | float | bool | list[str] | None

MAX_ITEMS: Final = 64
"""Items of a list that an expression sees."""
MAX_TEXT: Final = 256
"""Characters of a text that an expression sees."""

_INT_MAX: Final = 2**63 - 1


@value
class Declared:
    """One fact."""

    type: Type
    meaning: str
    of: Callable[[Facts], Fact]
    of_body: bool = False
    """Whether it is known only once the body has been read."""
    signal: Signal | None = None
    """What must be derived for it."""
    shown: bool = False
    """Whether a finding's evidence may tell it: what is no caller's text and no address."""


def _client(
    type: Type,  # noqa: A002 - the field's own name
    meaning: str,
    of: Callable[[Client], Fact],
    *,
    shown: bool = True,
) -> Declared:
    return Declared(type, meaning, lambda facts: of(facts.client), shown=shown)


def _ask(
    type: Type,  # noqa: A002 - the field's own name
    meaning: str,
    of: Callable[[Ask], Fact],
    *,
    shown: bool = True,
) -> Declared:
    def from_ask(facts: Facts) -> Fact:
        return None if facts.ask is None else of(facts.ask)

    return Declared(type, meaning, from_ask, of_body=True, shown=shown)


def _signal(
    type: Type,  # noqa: A002 - the field's own name
    meaning: str,
    of: Callable[[Signals], Fact],
    signal: Signal,
    *,
    shown: bool = True,
) -> Declared:
    return Declared(type, meaning, lambda facts: of(facts.signals), True, signal, shown)


def _text(text: str | None) -> str | None:
    """A caller's text: bounded, and without halves of characters, which CEL does not take."""
    if text is None or (len(text) <= MAX_TEXT and text.isascii()):
        return text
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


def _texts(texts: tuple[str, ...]) -> list[str]:
    return [_text(one) or "" for one in texts[:MAX_ITEMS]]


def _int(number: int | None) -> int | None:
    return number if number is None else max(-_INT_MAX, min(number, _INT_MAX))


def _double(number: float | None) -> float | None:
    return None if number is None else float(number)


def _effort(ask: Ask) -> str | None:
    return None if ask.reasoning is None else _text(ask.reasoning.effort)


def _budget(ask: Ask) -> int | None:
    return None if ask.reasoning is None else _int(ask.reasoning.budget_tokens)


DECLARED: Final[dict[str, Declared]] = {
    "client.address": _client(
        "text", "address after trusted hops", lambda c: c.address, shown=False
    ),
    "client.subnet": _client(
        "text", "its network, `203.0.113.0/24`", lambda c: c.subnet, shown=False
    ),
    "client.asn": _client("int", "autonomous system that announces it", lambda c: c.asn),
    "client.organization": _client(
        "text", "who runs that system", lambda c: _text(c.organization), shown=False
    ),
    "client.network_kind": _client(
        "text", "hosting, vpn, isp, … or unknown", lambda c: c.network_kind
    ),
    "client.country": _client("text", "ISO 3166-1, approximate", lambda c: _text(c.country)),
    "client.key_id": _client("text", "keyed id of the API key, `key_…`", lambda c: c.key_id),
    "client.account": _client(
        "text", "owner of the key; the key's id where nothing maps it", lambda c: _text(c.account)
    ),
    "client.account_source": _client("text", "file, gateway or key", lambda c: c.account_source),
    "client.tier": _client("text", "tier of the account", lambda c: _text(c.tier)),
    "client.profile": _client("text", "declared profile", lambda c: c.profile),
    "client.declared_network": _client(
        "bool", "whether the address stands in a network of the account", lambda c: c.declared_network
    ),
    "client.provisional": _client(
        "bool", "whether the upstream has yet to accept the key", lambda c: c.provisional
    ),
    "client.user_agent": _client(
        "text", "User-Agent as sent", lambda c: _text(c.user_agent), shown=False
    ),
    "client.ja4": _client("text", "TLS fingerprint, as a trusted hop told it", lambda c: _text(c.ja4)),
    "route.dialect": Declared("text", "API dialect", lambda f: f.route.dialect, shown=True),
    "route.operation": Declared(
        "text", "chat, embeddings, …", lambda f: f.route.operation or None, shown=True
    ),
    "route.template": Declared("text", "the known path", lambda f: f.route.template, shown=True),
    "request.bytes": Declared(
        "int", "bytes of the body", lambda f: f.request_bytes, of_body=True, shown=True
    ),
    "request.end_user": Declared(
        "text", "keyed id of the end user", lambda f: _text(f.end_user), of_body=True, shown=True
    ),
    "request.answers": Declared(
        "int", "answers asked for", lambda f: _int(f.answers), of_body=True, shown=True
    ),
    "ask.model": _ask("text", "model asked for", lambda a: _text(a.model), shown=False),
    "ask.stream": _ask("bool", "whether a stream is asked for", lambda a: a.stream),
    "ask.turns": _ask("int", "messages in the body", lambda a: len(a.turns)),
    "ask.max_output_tokens": _ask("int", "output limit", lambda a: _int(a.max_output_tokens)),
    "ask.choices": _ask("int", "completions of each prompt", lambda a: _int(a.choices)),
    "ask.temperature": _ask("double", "temperature", lambda a: _double(a.temperature)),
    "ask.top_p": _ask("double", "nucleus", lambda a: _double(a.top_p)),
    "ask.logprobs": _ask("bool", "whether log probabilities are asked for", lambda a: a.logprobs),
    "ask.top_logprobs": _ask("int", "how many of each token", lambda a: _int(a.top_logprobs)),
    "ask.prompt_logprobs": _ask(
        "bool", "whether those of the prompt are asked for", lambda a: a.prompt_logprobs
    ),
    "ask.logit_bias": _ask("int", "tokens with a bias", lambda a: len(a.logit_bias)),
    "ask.constrained": _ask(
        "bool", "whether a grammar or choices force the answer", lambda a: a.constrained
    ),
    "ask.reasoning_effort": _ask("text", "effort asked for", _effort, shown=False),
    "ask.reasoning_budget": _ask("int", "thinking tokens asked for", _budget),
    "ask.tools": _ask("list", "names of declared tools, the first 64", lambda a: _texts(a.tools)),
    "ask.parameters": _ask(
        "list", "top-level keys of the body, the first 64", lambda a: _texts(a.parameters)
    ),
    "signals.language": _signal(
        "text", "language or script of the newest prompt", lambda s: s.language, "language"
    ),
    "signals.template": _signal(
        "text", "fingerprint of how it begins, `tpl_…`", lambda s: s.template, "template"
    ),
    "signals.common_template": Declared(
        "bool",
        "whether that is common background",
        lambda f: f.common_template,
        of_body=True,
        signal="template",
        shown=True,
    ),
    "signals.system": _signal(
        "text", "fingerprint of the system prompt, `sys_…`", lambda s: s.system, "system"
    ),
    "signals.client": _signal(
        "text", "fingerprint of the client's software", lambda s: s.client, "client", shown=False
    ),
    "signals.contradictions": _signal(
        "list", "where the client is not what it claims", lambda s: list(s.contradictions), "client"
    ),
    "signals.prompt": _signal(
        "bool", "whether the newest prompt has enough text to sketch", lambda s: bool(s.prompt), "prompt"
    ),
}  # fmt: skip


GROUPS: Final = tuple(dict.fromkeys(path.partition(".")[0] for path in DECLARED))
"""`client`, `ask`, …"""


def reference() -> str:
    """The table of docs/policies.md."""
    rows = ["| fact | type | known with | meaning |", "|---|---|---|---|"]
    for path, fact in DECLARED.items():
        known = "the body" if fact.of_body else "the identity"
        shape = "list of texts" if fact.type == "list" else fact.type
        rows.append(f"| `{path}` | {shape} | {known} | {fact.meaning} |")
    return "\n".join(rows) + "\n"
