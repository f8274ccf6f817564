"""Why a rule was not about a request: a field of `match`, an exemption, nobody to count."""

from __future__ import annotations

from typing import Any, Final

from proxy.decision import Verb
from proxy.explain.trace import Trace
from proxy.facts import Facts
from proxy.rules.base import RuleKind
from proxy.rules.match import MATCHED, Match

SHOWN: Final = 4
"""Values of a long list that are shown."""


def unmatched(match: Match, facts: Facts, *, addresses: bool = True) -> list[str]:
    """What of a `match` does not hold, field by field. `addresses` says whether an address may be shown."""
    told: list[str] = []
    for name in sorted(match.model_fields_set):
        # A match of that field alone, so that what is told is what the rule itself was told.
        alone = Match.model_construct({name}, **{name: getattr(match, name)})
        if alone.compiled()(facts):
            continue
        told.append(_field(name, match, facts, addresses=addresses))
    return told


def _field(name: str, match: Match, facts: Facts, *, addresses: bool) -> str:
    wanted = getattr(match, name)
    if name == "not_":
        inner = match.not_
        assert inner is not None
        holds = inner.compiled()(facts)
        word = "its match holds" if holds else "a fact that it asks for is not known"
        return f"not: {word} ({_whole(inner)})"
    found = MATCHED[name](facts)
    if found is None:
        return f"{name}: not known, wanted {_listed(wanted)}"
    if name in {"address", "network"} and not addresses:
        found = "another"
    return f"{name}: it is {_word(found)}, not {_listed(wanted)}"


def _whole(match: Match) -> str:
    """A match in a few words: `model: large, stream: false`."""
    named = ((name, getattr(match, name)) for name in sorted(match.model_fields_set))
    return ", ".join(
        f"not ({_whole(wanted)})" if isinstance(wanted, Match) else f"{name}: {_listed(wanted)}"
        for name, wanted in named
    )


def _listed(wanted: Any) -> str:
    values = wanted if isinstance(wanted, tuple | list) else (wanted,)
    more = f" or {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    return " or ".join(_word(one) for one in values[:SHOWN]) + more


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def why_not(rule: RuleKind, trace: Trace, *, addresses: bool = True) -> str:
    """Why a rule counted nothing and judged nothing."""
    facts = trace.facts
    if facts is None:
        return "not asked: nobody was identified"
    if (unasked := _unasked(rule, trace)) is not None:
        return unasked
    if rule.match is not None:
        missing = unmatched(rule.match, facts, addresses=addresses)
        if missing:
            return f"match does not hold: {'; '.join(missing)}"
    if facts.client.profile is not None and facts.client.profile in (rule.excuse or ()):
        return f"excused: the account has declared itself {facts.client.profile}"
    if rule.name in trace.no_subject:
        return f"found nobody to count: no {' and '.join(rule.per)}"
    spoke = [
        one.name
        for one in trace.policy.exemptions
        if one.name in trace.exempted_by and rule.name in one.rules
    ]
    if spoke and rule.when is None:
        return f"exempted by {', '.join(spoke)}"
    return _otherwise(rule, trace, spoke)


def _unasked(rule: RuleKind, trace: Trace) -> str | None:
    """Where what was asked for ended before this rule was."""
    banned = any(found.kind == "ban" and not found.shadow for found in trace.findings)
    if banned:
        return "not asked: who is banned is judged no further"
    for stage in trace.stages:
        if any(one is rule for one in trace.policy.rules_of(stage)):
            return None
    if trace.event.get("decision") in {Verb.THROTTLE.word, Verb.BLOCK.word}:
        return "not asked: the request was refused before"
    if trace.event.get("mode") == "bypass":
        return "not asked: the process passes everything on unlooked"
    return "not asked: the request ended before"


def _otherwise(rule: RuleKind, trace: Trace, exempted: list[str]) -> str:
    """What is left once all else has been ruled out."""
    store = trace.event.get("store")
    silent = (rule.on_store_failure or trace.policy.defaults.on_store_failure) != "local"
    if rule.when is not None:
        failed = trace.event.get("expression_errors", {}).get(rule.name)
        told = f"when does not hold: {rule.when.text}"
        if failed:
            return f"when could not be evaluated ({failed}): {rule.when.text}"
        return f"{told}, or exempted by {', '.join(exempted)}" if exempted else told
    if store in {"local", "skipped", "blocked"} and silent:
        return "silent: the store was gone"
    return "its reason is not kept"
