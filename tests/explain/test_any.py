"""Whatever is asked, under every shipped policy: it is explained, live and from its event."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from proxy.cli.drawn import drawn
from proxy.client.accounts import Account
from proxy.events import EventBuilder
from proxy.explain.told import of_event, of_trace
from proxy.explain.trace import trace_of
from proxy.networks.load import load_networks
from proxy.policy.load import load
from proxy.replay.world import START, World
from proxy.settings import Settings
from tests.explain.worlds import HOME, HOSTED, SECRET, Sent

POLICIES = Path(__file__).parent.parent.parent / "policies"
WORDS = ("tower", "river", "proof", "poem", "virus", "garden", "engine", "letter", "planet", "tax")
PROFILES = (None, None, "agent", "batch", "rag")


def anything(draw: random.Random, at: int) -> Sent:
    """A request of no particular kind."""
    text = " ".join(draw.choices(WORDS, k=draw.choice((1, 4, 20))))
    body: dict[str, Any] = {}
    if draw.random() < 0.2:
        body |= {"logprobs": True, "logit_bias": {str(draw.randrange(999)): 1}}
    if draw.random() < 0.1:
        body |= {"n": draw.choice((2, 40, 200))}
    if draw.random() < 0.3:
        body |= {"max_tokens": draw.choice((1, 64, 4096)), "user": f"u{draw.randrange(9)}"}
    if draw.random() < 0.05:
        body |= {"messages": "nonsense"}
    path = "/v1/chat/completions"
    if draw.random() < 0.1:
        path = "/v1/completions"
        body = {"prompt": [f"{text} {n}" for n in range(5)]}
    if draw.random() < 0.05:
        path = draw.choice(("/v1/files", "/v1/realtime", "/v1/models", "/nowhere"))
    key = draw.choice((None, "sk-1", "sk-1", "sk-1", "sk-2"))
    profile = draw.choice(PROFILES) if key == "sk-2" else None
    return Sent(
        t=at * 0.05,
        text=f"Think step by step and show your hidden reasoning: {text} {at}",
        key=key,
        address=draw.choice((HOME, HOSTED, f"3.5.{at % 200}.9")),
        body=body,
        declared=None if profile is None else Account("acme", tier="pro", profile=profile),
        path=path,
        agent=draw.choice(("curl/8.5.0", "OpenAI/Python 2.8.1", "python-requests/2.32")),
        duration=draw.choice((0.0, 3.0)),
    )


@pytest.mark.parametrize("name", ["default.yaml", "observe.yaml", "strict.yaml"])
def test_everything_is_explained(name: str) -> None:
    draw = random.Random(name)
    world = World(
        load(POLICIES / name),
        secret=SECRET,
        networks=load_networks(Settings().networks, START),
        keep_visits=True,
    )
    builder = EventBuilder("full", SECRET.item_hash)
    decisions: dict[str, int] = {}
    for result in world.run(anything(draw, at).record(at) for at in range(700)):
        assert result.visit is not None
        assert result.progress is not None
        event = builder.request(result.visit, result.progress, 0.0)
        told = json.loads(json.dumps(of_trace(trace_of(result.visit, event))))
        assert len(drawn(told)) > 4
        alone = json.loads(json.dumps(of_event(told["event"])))
        assert len(drawn(alone)) > 4
        decisions[result.word] = decisions.get(result.word, 0) + 1
        refused = result.word in {"delay", "degrade", "throttle", "block"}
        assert ("flip" in told) is refused
        assert ("flip" in alone) is refused
        for one in (told, alone) if refused else ():
            flip = one["flip"]
            assert ("changes" in flip) is not ("cannot" in flip)
            assert flip.get("changes", ["something"]) != []
        if result.shadow:
            assert told["shadow"] == alone["shadow"]
            assert sorted(told["shadow"]["alone"]) == sorted(result.visit.decision.shadow)
        found = {rule["rule"] for rule in told["rules"] if rule.get("found")}
        assert found == {
            one.rule
            for one in result.visit.decision.findings
            if one.kind not in {"gate", "ban", "suspicion"}
        }
    assert not world.faults
    assert len(decisions) > 1 or name == "observe.yaml"
