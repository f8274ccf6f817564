"""The requests that are kept to be explained: few, small, without texts."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Any

from proxy.explain.recent import Recent
from proxy.explain.trace import Trace
from tests.explain.test_flip import FEW, rules
from tests.explain.worlds import Sent, last, traces


def named(trace: Trace, number: int) -> Trace:
    return replace(trace, event={**trace.event, "request_id": f"{number:026}"})


def test_what_passes_pushes_out_no_refusal() -> None:
    *_, passed, refused = traces(rules(FEW), [Sent()] * 4)
    assert (passed.decision.verb.word, refused.decision.verb.word) == ("allow", "throttle")
    recent = Recent(most=3)
    recent.keep(named(refused, 0))
    for number in range(1, 10):
        recent.keep(named(passed, number))
    assert recent.of(f"{0:026}") is not None
    assert [recent.of(f"{n:026}") is not None for n in range(1, 10)] == [False] * 6 + [True] * 3
    assert len(recent) == 4
    assert recent.of("nobody") is None


def test_what_a_shadow_rule_would_have_refused_is_kept_like_a_refusal() -> None:
    watched = FEW.replace("action: throttle", "action: throttle, mode: shadow")
    passed, *_, found = traces(rules(watched), [Sent()] * 4)
    recent = Recent(most=1)
    recent.keep(named(found, 0))
    recent.keep(named(passed, 1))
    assert len(recent) == 2


def test_bytes_are_bounded_too() -> None:
    trace = last(rules(FEW), [Sent()])
    recent = Recent(most=1000, most_bytes=5 * trace.bytes)
    for number in range(20):
        recent.keep(named(trace, number))
    assert len(recent) == 5
    assert recent.bytes <= 5 * trace.bytes
    many = [{"role": "user", "content": "hi"}] * 20_000
    heavy = last(rules(FEW), [Sent(body={"messages": many})])
    assert heavy.bytes > 100_000
    recent.keep(named(heavy, 99))
    assert recent.of(f"{99:026}") is None
    assert recent.bytes <= 5 * trace.bytes


def test_of_old_policies_only_one_is_kept() -> None:
    recent = Recent()
    for number in range(4):
        recent.keep(named(last(rules(FEW), [Sent()]), number))
    assert [recent.of(f"{n:026}") is not None for n in range(4)] == [False, False, True, True]


def reachable(root: Any) -> list[Any]:
    """All that an object keeps alive, but modules and types and what they hold."""
    seen, found, left = set(), [], [root]
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__name__ in {"module", "function"}:
            continue
        seen.add(id(one))
        found.append(one)
        left += gc.get_referents(one)
    return found


def test_no_text_of_a_request_is_kept() -> None:
    policy = rules(
        FEW,
        "  - {name: w, kind: rate_limit, per: api_key, limit: 9/minute, action: log,\n"
        '     when: "ask.turns > 0"}\n',
    )
    secret = "zanzibar"
    body = {
        "messages": [
            {"role": "system", "content": f"{secret} system"},
            {"role": "user", "content": f"{secret} prompt " * 40},
        ],
        "user": f"{secret}-user",
        "logit_bias": {"77": 1},
        "tools": [{"type": "function", "function": {"name": f"{secret}_tool", "parameters": {}}}],
        f"{secret} key": 1,
    }
    trace = last(policy, [Sent(body=body, key=f"sk-{secret}")])
    kept = [one for one in reachable(trace) if isinstance(one, str | bytes)]
    assert len(kept) > 50
    assert [
        one for one in kept if secret in (one if isinstance(one, str) else one.decode("latin-1"))
    ] == []
