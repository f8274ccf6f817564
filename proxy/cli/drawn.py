"""An explanation as a tree that a person can read."""

from __future__ import annotations

from typing import Any

from proxy.console import printable

Tree = list[tuple[str, "Tree"]]
Told = dict[str, Any]

_DECIDED = {
    "allow": "passed on to the model",
    "log": "passed on to the model, with a finding",
    "delay": "held back, then passed on",
    "degrade": "passed on, degraded",
    "throttle": "refused for now",
    "block": "refused",
}
_STORE = {
    "ok": "counted in the store",
    "local": "the store was gone: counted in this replica's memory, limits divided",
    "skipped": "the store was gone: rules that need it stayed silent",
    "blocked": "the store was gone: a rule blocks without it",
    "unused": "no rule wanted a counter",
}
_NEAREST = 5
"""Limits that are shown of a request that reached none."""


def drawn(told: Told) -> list[str]:
    """The lines of the tree."""
    told = printable(told)
    event = told["event"]
    lines = [f"{event['request_id']}  {event['timestamp']}"]
    _draw(_tree(event, told), "", lines)
    return lines


def _tree(event: Told, told: Told) -> Tree:
    tree: Tree = [(_who(event), _caller(event)), (_what(event), _asked(event))]
    if "rules" in told:
        about = sum(rule["applied"] for rule in told["rules"])
        title = f"rules: {about} of {len(told['rules'])} were about it"
        tree.append((title, [_rule(rule) for rule in told["rules"]]))
    mode = event.get("mode")
    in_mode = f" ({mode} mode: nothing is enforced)" if mode else ""
    decision = event["decision"]
    title = f"decision: {decision}, {_DECIDED.get(decision, '')}{in_mode}"
    tree.append((title, _why(event)))
    tree += _otherwise(told)
    tree += _in_shadow(told)
    tree += _forwarded(event)
    tree.append((_answer(event), []))
    return tree


def _who(event: Told) -> str:
    account = event.get("account")
    if account is None:
        return f"who: nobody known, from {event.get('client.address', 'an unknown address')}"
    source = {"file": "accounts file", "gateway": "gateway", "key": "its own key"}
    named = source.get(str(event.get("account.source")), "?")
    return f"who: {account} (by {named}), from {event.get('client.address')}"


def _caller(event: Told) -> Tree:
    names = (
        "account.tier",
        "account.profile",
        "campaign",
        "client.network_kind",
        "client.asn",
        "client.country",
        "client.declared_network",
        "user_agent.original",
        "client.note",
    )
    leaves: Tree = _leaves(event, names)
    if event.get("account.provisional"):
        leaves.append(
            ("provisional: counted by its address until the upstream accepts the key", [])
        )
    return leaves


def _what(event: Told) -> str:
    route = event.get("http.route", "a request that could not be read")
    parts = (event.get("http.request.method"), route, event.get("gen_ai.request.model"))
    return f"what: {' '.join(str(part) for part in parts if part)}"


def _asked(event: Told) -> Tree:
    names = (
        "request.turns",
        "request.bytes",
        "request.asks",
        "gen_ai.request.max_tokens",
        "gen_ai.request.stream",
        "request.reasoning",
        "request.language",
        "request.template",
        "request.terms",
        "client.contradictions",
        "client.marks",
    )
    return _leaves(event, names)


def _leaves(event: Told, names: tuple[str, ...]) -> Tree:
    return [(f"{name}: {event[name]}", []) for name in names if name in event]


def _rule(rule: Told) -> tuple[str, Tree]:
    shadow = " in shadow" if rule.get("mode") == "shadow" else ""
    name = f"{rule['rule']} ({rule['kind']}{shadow})"
    if not rule["applied"]:
        return f"{name}: not about it: {rule['why']}", []
    inner: Tree = [(f"read: {text}", []) for text in rule.get("read", ())]
    if bounds := rule.get("bounds"):
        inner.append((f"bounds: {_pairs(bounds)}", []))
    if ties := rule.get("ties"):
        inner.append((f"tied to: {', '.join(ties)}", []))
    if rule["found"] is None:
        if "ties" in rule:
            return f"{name}, per {rule['per']}: {'tied' if ties else 'nothing shared'}", inner
        return f"{name}, per {rule['per']}: nothing found", inner
    if rule["evidence"]:
        inner.append((f"evidence: {_pairs(rule['evidence'])}", []))
    score = f", score {rule['score']:g}" if "score" in rule else ""
    held = f" {rule['delay_s']:g} s" if "delay_s" in rule else ""
    found = f"{rule['found']}, {rule['action']}{held}{score}"
    return f"{name}, per {rule['per']}: {found}", inner


def _pairs(values: Told) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _why(event: Told) -> Tree:
    leaves: Tree = []
    if event.get("reason") is not None:
        evidence: Tree = [
            (f"{name}: {value}", []) for name, value in (event.get("evidence") or {}).items()
        ]
        by = event.get("rule") or "a limit of the process"
        kind = f" ({event['kind']})" if event.get("kind") else ""
        leaves.append((f"by {by}{kind}: {event['reason']}", evidence))
    others = [name for name in event.get("findings") or () if name not in _deciding(event)]
    if others:
        leaves.append((f"also found, weaker: {', '.join(others)}", []))
    if event.get("shadow"):
        leaves.append((f"in shadow, would have acted: {', '.join(event['shadow'])}", []))
    if event.get("exempted_by"):
        leaves.append((f"exempted by: {', '.join(event['exempted_by'])}", []))
    if event.get("allowance"):
        leaves.append((f"allowed by an operator: {event['allowance']}", []))
    if event.get("suspicion"):
        leaves.append(_suspected(event["suspicion"]))
    if event.get("no_subject"):
        leaves.append((f"found nobody to count: {', '.join(event['no_subject'])}", []))
    if not leaves:
        leaves.append(("no rule had anything to say", []))
    leaves.append((f"store: {_STORE.get(str(event.get('store')), 'not asked')}", []))
    if "policy" in event:
        leaves.append((f"policy: {event['policy']}", []))
    return leaves


def _deciding(event: Told) -> tuple[str, str]:
    """What `findings` may call the rule that decided: of suspicion it says whose."""
    rule, evidence = str(event.get("rule")), event.get("evidence") or {}
    return rule, f"{rule}:{evidence.get('subject')}"


def _suspected(suspicion: Told) -> tuple[str, Tree]:
    levels = [f"{name} {level}" for name, level in suspicion.items() if isinstance(level, float)]
    inner: Tree = []
    if suspicion.get("families"):
        inner.append((f"families of evidence: {', '.join(suspicion['families'])}", []))
    for name, made_of in (suspicion.get("levels") or {}).items():
        inner.append((f"{name} is made of: {_pairs(made_of)}", []))
    watched = suspicion.get("with_shadow") or {}
    inner += [(f"with rules in shadow: {name} {level}", []) for name, level in watched.items()]
    return f"suspicion as it came: {', '.join(levels)}", inner


def _otherwise(told: Told) -> Tree:
    tree: Tree = []
    if (flip := told.get("flip")) is not None:
        tree.append(_flip(flip))
    near = told.get("nearest", ())[:_NEAREST]
    if near:
        leaves: Tree = []
        for one in near:
            shadow = " (in shadow)" if one.get("shadow") else ""
            does = f"{one['action']}{shadow}"
            if "score" in one:
                does += f", score {one['score']:g}"
            leaves.append((f"{one['rule']}, {one['used']:.1%} used: {one['would']} → {does}", []))
        tree.append(("what would have been found, nearest first", leaves))
    return tree


def _flip(flip: Told) -> tuple[str, Tree]:
    if "changes" in flip:
        then = (
            said(flip["then"]) if "then" in flip else "judged by the rules, which nobody has asked"
        )
        title = f"it would have been otherwise: {' and '.join(flip['changes'])} → {then}"
    else:
        title = f"it would have been otherwise: not known, {flip['cannot']}"
    leaves: Tree = []
    for need in flip["needs"]:
        ways = [" and ".join(way) for way in need["ways"]]
        if ways[1:]:
            leaves.append((f"{need['rule']}, or else: {'; '.join(ways[1:])}", []))
    for one in flip.get("without", ()):
        leaves.append((f"without {one['rule']} in force: {said(one['then'])}", []))
    if flip.get("from") == "event":
        leaves.append(
            ("as far as the event holds it: bounds and readings that it lacks may say more", [])
        )
    return title, leaves


def said(decision: Told) -> str:
    """A decision that would have been, in a few words."""
    parts = [decision["decision"]]
    if "delay_s" in decision:
        parts.append(f"for {decision['delay_s']:g} s")
    if "retry_after_s" in decision:
        parts.append(f"for {decision['retry_after_s']:g} s")
    if "degrade" in decision:
        parts.append(f"({', '.join(decision['degrade'])})")
    if "rule" in decision:
        parts.append(f"by {decision['rule']}: {decision['reason']}")
    return " ".join(parts)


def _in_shadow(told: Told) -> Tree:
    watched = told.get("shadow")
    if watched is None:
        return []
    if "unknown" in watched:
        return [
            (
                f"shadow rules: {', '.join(watched['unknown'])}; what they do is not in this event",
                [],
            )
        ]
    leaves: Tree = [
        (f"{name} alone: {said(decision)}", []) for name, decision in watched["alone"].items()
    ]
    return [(f"had all shadow rules been enforced: {said(watched['all'])}", leaves)]


def _forwarded(event: Told) -> Tree:
    """What became of the request itself, where it went on."""
    if event["decision"] in {"throttle", "block"}:
        return []
    taken, changed = event.get("degrade"), event.get("degraded")
    if not taken:
        return [("forwarded: as it came", [])]
    leaves: Tree = [(f"changed: {', '.join(changed)}", [])] if changed else []
    return [(f"forwarded: less {', '.join(taken)}", leaves)]


def _answer(event: Told) -> str:
    status = event.get("http.response.status_code")
    parts = [f"answer: {status if status is not None else 'none, the client had left'}"]
    if event.get("outcome") not in {None, "complete"}:
        parts.append(str(event["outcome"]))
    if event.get("delayed_s"):
        parts.append(f"held back {event['delayed_s']} s")
    if event.get("gen_ai.usage.output_tokens"):
        parts.append(f"{event['gen_ai.usage.output_tokens']} output tokens")
    if "duration_ms" in event:
        parts.append(f"{event['duration_ms']} ms in all")
    return ", ".join(parts)


def _draw(tree: Tree, indent: str, lines: list[str]) -> None:
    for at, (text, inner) in enumerate(tree):
        last = at == len(tree) - 1
        lines.append(f"{indent}{'└─' if last else '├─'} {text}")
        _draw(inner, indent + ("   " if last else "│  "), lines)
