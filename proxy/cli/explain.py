"""`excise explain`: one request's decision as a tree that a person can read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from proxy.cli.events_file import event_of, lines_of
from proxy.console import printable

Tree = list[tuple[str, "Tree"]]

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


@click.command()
@click.argument("request_id")
@click.option(
    "--events",
    "file",
    required=True,
    type=click.Path(path_type=Path, allow_dash=True, exists=True, dir_okay=False),
    help="The event log, or - for standard input.",
)
def explain(request_id: str, file: Path) -> None:
    """Explain the decision on REQUEST_ID, which callers see as X-Excise-Request-Id."""
    wanted = request_id.strip().upper().encode()
    for line in lines_of(None if str(file) == "-" else file):
        if wanted not in line:
            continue
        event = event_of(line)
        if (
            event is not None
            and event["event"] == "request"
            and event["request_id"] == wanted.decode()
        ):
            click.echo("\n".join(drawn(event)))
            return
    raise click.ClickException(f"no request {request_id} in this log")


def drawn(event: dict[str, Any]) -> list[str]:
    """The lines of the tree."""
    lines = [f"{event['request_id']}  {event['timestamp']}"]
    _draw(_tree(printable(event)), "", lines)
    return lines


def _tree(event: dict[str, Any]) -> Tree:
    tree: Tree = [(_who(event), _caller(event)), (_what(event), _asked(event))]
    mode = event.get("mode")
    in_mode = f" ({mode} mode: nothing is enforced)" if mode else ""
    decision = event["decision"]
    tree.append((f"decision: {decision}, {_DECIDED[decision]}{in_mode}", _why(event)))
    tree.append((_answer(event), []))
    return tree


def _who(event: dict[str, Any]) -> str:
    account = event.get("account")
    if account is None:
        return f"who: nobody known, from {event.get('client.address', 'an unknown address')}"
    source = {"file": "accounts file", "gateway": "gateway", "key": "its own key"}
    named = source.get(str(event.get("account.source")), "?")
    return f"who: {account} (by {named}), from {event.get('client.address')}"


def _caller(event: dict[str, Any]) -> Tree:
    leaves: Tree = [
        (f"{name}: {event[name]}", [])
        for name in ("account.tier", "account.profile", "user_agent.original", "client.note")
        if name in event
    ]
    if event.get("account.provisional"):
        leaves.append(
            ("provisional: counted by its address until the upstream accepts the key", [])
        )
    return leaves


def _what(event: dict[str, Any]) -> str:
    route = event.get("http.route", "a request that could not be read")
    parts = (event.get("http.request.method"), route, event.get("gen_ai.request.model"))
    return f"what: {' '.join(str(part) for part in parts if part)}"


def _asked(event: dict[str, Any]) -> Tree:
    names = (
        "request.turns",
        "request.bytes",
        "gen_ai.request.max_tokens",
        "gen_ai.request.stream",
        "request.reasoning",
    )
    return [(f"{name}: {event[name]}", []) for name in names if name in event]


def _why(event: dict[str, Any]) -> Tree:
    leaves: Tree = []
    if event.get("reason") is not None:
        evidence: Tree = [
            (f"{name}: {value}", []) for name, value in (event.get("evidence") or {}).items()
        ]
        by = event.get("rule") or "a limit of the process"
        kind = f" ({event['kind']})" if event.get("kind") else ""
        leaves.append((f"by {by}{kind}: {event['reason']}", evidence))
    others = [name for name in event.get("findings", ()) if name not in _deciding(event)]
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


def _deciding(event: dict[str, Any]) -> tuple[str, str]:
    """What `findings` may call the rule that decided: of suspicion it says whose."""
    rule, evidence = str(event.get("rule")), event.get("evidence") or {}
    return rule, f"{rule}:{evidence.get('subject')}"


def _suspected(suspicion: dict[str, Any]) -> tuple[str, Tree]:
    levels = [f"{name} {level}" for name, level in suspicion.items() if isinstance(level, float)]
    inner: Tree = []
    if suspicion.get("families"):
        inner.append((f"families of evidence: {', '.join(suspicion['families'])}", []))
    watched = suspicion.get("with_shadow") or {}
    inner += [(f"with rules in shadow: {name} {level}", []) for name, level in watched.items()]
    return f"suspicion as it came: {', '.join(levels)}", inner


def _answer(event: dict[str, Any]) -> str:
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
