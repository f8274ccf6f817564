"""What shadow rules would have done, and findings read back out of an event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from proxy.decision import Decision, Degradation, Finding, RuleFinding, Verb
from proxy.policy import suspicion
from proxy.policy.decide import decide
from proxy.rules.degrade import parse_degrade

Told = dict[str, Any]


def told(decision: Decision) -> Told:
    """A decision in the event log's words, without what is empty."""
    said: Told = {"decision": decision.verb.word}
    if decision.rule is not None:
        said |= {"rule": decision.rule, "reason": decision.reason}
    if decision.delay_s:
        said["delay_s"] = round(decision.delay_s, 3)
    if decision.verb is Verb.THROTTLE and decision.retry_after_s:
        said["retry_after_s"] = round(decision.retry_after_s, 3)
    if decision.degradation is not None:
        said["degrade"] = list(decision.degradation.actions.values())
    return said


def enforced(found: RuleFinding) -> RuleFinding:
    """The finding, had its rule been in force."""
    return replace(found, shadow=False)


def shadow(findings: Sequence[RuleFinding]) -> Told | None:
    """The decision had all shadow rules been enforced, and had each alone; None where none had fired."""
    watched = list(dict.fromkeys(found.told for found in findings if found.shadow))
    if not watched:
        return None
    acting = [found for found in findings if not found.shadow]
    alone = {
        name: told(
            decide(
                [
                    *acting,
                    *(enforced(one) for one in findings if one.shadow and one.told == name),
                ]
            )
        )
        for name in watched
    }
    return {"all": told(decide([enforced(found) for found in findings])), "alone": alone}


def findings_of(event: Mapping[str, Any]) -> tuple[RuleFinding, ...]:
    """The findings as far as an event of a request holds them; raises nothing on a log of another make."""
    weighed = event.get("weighed")
    if isinstance(weighed, list):
        return tuple(one for item in weighed if (one := _finding(item)) is not None)
    if event.get("reason") is None:
        return ()
    alone = {
        "rule": event.get("rule"),
        "kind": event.get("kind"),
        "reason": event.get("reason"),
        "action": event.get("decision"),
        "evidence": event.get("evidence"),
        "delay_s": event.get("delayed_s"),
        "degrade": event.get("degrade"),
    }
    one = _finding(alone)
    return () if one is None else (one,)


def _finding(item: object) -> RuleFinding | None:
    if not isinstance(item, dict):
        return None
    verb = next((one for one in Verb if one.word == item.get("action")), None)
    evidence = item.get("evidence")
    evidence = evidence if isinstance(evidence, dict) else {}
    if verb is None:
        return None
    again, wait = evidence.get("retry_after_s"), evidence.get("wait_s")
    finding = Finding(
        str(item.get("reason")),
        evidence,
        float(wait) if isinstance(wait, int | float) else 0.0,
        float(again) if isinstance(again, int | float) else None,
    )
    return RuleFinding(
        str(item.get("rule") or "a limit of the process"),
        str(item.get("kind") or "limit"),
        None,
        item.get("shadow") is True,
        verb,
        finding,
        delay_s=_number(item.get("delay_s")),
        ban_s=_number(item.get("ban_s")),
        of=str(evidence.get("subject")) if item.get("kind") == suspicion.KIND else None,
        degradation=_degradation(item.get("degrade")),
    )


def _number(given: object) -> float:
    return float(given) if isinstance(given, int | float) else 0.0


def _degradation(words: object) -> Degradation | None:
    """What `Degradation.actions` has written: `pace: 40/second`, `strip_logprobs`."""
    if not isinstance(words, list) or not words:
        return None
    given: list[object] = []
    for word in words:
        name, colon, number = str(word).partition(": ")
        given.append({name: int(number) if number.isdigit() else number} if colon else name)
    try:
        return parse_degrade(given)
    except ValueError:
        return None
