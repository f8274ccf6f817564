"""Derive: what is wanted is derived, keyed, and told again for the same."""

from __future__ import annotations

import json

from proxy.client.secret import Secret
from proxy.counters.protocol import NOVEL_BITS
from proxy.derive import Deriver
from proxy.facts import Ask, Turn
from proxy.head import Head
from proxy.signals.wants import NOTHING, Wants

ALL = Wants(frozenset({"client", "language", "prompt", "system", "template"}))
TEXT = "How do I get a stain of red wine out of a white shirt that has been washed before, and is it safe?"
ASK = Ask("m", (Turn("system", "You are brief."), Turn("user", TEXT)), "You are brief.")
HEAD = Head(
    "POST", "/", "", ((b"Host", b"x"), (b"User-Agent", b"curl/8"), (b"Accept", b"*/*")), "127.0.0.1"
)
BODY = json.dumps({"model": "m"}).encode()


def deriver(secret: bytes = b"a" * 32, *, header_evidence: bool = True) -> Deriver:
    return Deriver(Secret(secret).item_hash, header_evidence=header_evidence)


def test_everything_that_is_wanted_is_derived() -> None:
    found = deriver().signals(HEAD, ASK, BODY, ALL)
    assert len(found.prompt) == 2
    assert all(0 <= mark < NOVEL_BITS for mark in found.prompt)
    assert (found.system or "").startswith("sys_")
    assert (found.template or "").startswith("tpl_")
    assert found.language == "en"
    assert (found.client or "").startswith("curl.spaced.")


def test_nothing_else_is_derived() -> None:
    found = deriver().signals(HEAD, ASK, BODY, NOTHING)
    assert (found.prompt, found.system, found.template, found.language) == ((), None, None, None)
    assert found.client is not None, "events tell it always"
    only = deriver().signals(HEAD, ASK, BODY, Wants(frozenset({"language"})))
    assert (only.language, only.prompt) == ("en", ())


def test_another_secret_gives_other_hashes_and_the_same_one_the_same() -> None:
    one, again, other = (
        deriver(secret).signals(HEAD, ASK, BODY, ALL)
        for secret in (b"a" * 32, b"a" * 32, b"b" * 32)
    )
    assert one == again
    assert one.system != other.system
    assert one.template != other.template
    assert one.prompt != other.prompt
    assert one.client == other.client, "a program is no secret"


def test_a_request_without_text_has_no_text_signals() -> None:
    found = deriver().signals(HEAD, Ask("m"), b"{}", ALL)
    assert (found.prompt, found.system, found.template, found.language) == ((), None, None, None)


def test_header_evidence_may_be_off() -> None:
    told = deriver(header_evidence=False).signals(HEAD, ASK, BODY, ALL)
    assert told.client == "curl.spaced"


def test_system_prompts_are_remembered_by_their_heads() -> None:
    made = deriver()
    for number in range(3):
        ask = Ask("m", (), "You are brief. " * 300 + str(number))
        made.signals(HEAD, ask, BODY, ALL)
    assert made._system.cache_info().currsize == 1
