"""One short test under many keys within minutes."""

from __future__ import annotations

from proxy.facts import Signals
from proxy.rules.probe_fan_out import ProbeFanOut

from .linked import shown, tied

RULE = ProbeFanOut(name="r", min_accounts=3)
PROBE = Signals(body="b1")


async def test_a_round_of_probes_ties_the_keys() -> None:
    ties = await tied(RULE, enumerate(shown(who, signals=PROBE, prompt="hi") for who in "abc"))
    (tie,) = ties[2]
    assert (tie.thing, tie.family, tie.by_end_users) == ("probe:b1", "linkage", False)


async def test_long_prompts_slow_rounds_and_other_bodies_do_not() -> None:
    long = [shown(who, signals=PROBE, prompt="x" * 65) for who in "abcdef"]
    assert not any(await tied(RULE, enumerate(long)))
    hourly = [
        (at * 3600.0, shown(who, signals=PROBE, prompt="hi")) for at, who in enumerate("abcd")
    ]
    assert not any(await tied(RULE, hourly))
    own = [shown(who, signals=Signals(body=f"b_{who}"), prompt="hi") for who in "abcdef"]
    assert not any(await tied(RULE, enumerate(own)))
