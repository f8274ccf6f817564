"""What `excise campaigns show` and `export` make of a campaign's document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from proxy.campaigns.graph import dot, graph
from proxy.campaigns.stix import bundle

Told = dict[str, Any]

SHOWN: Final = 20
"""Accounts, things that are shared, and steps of the timeline that people are shown."""


def _json(told: Told) -> str:
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()


FORMATS: Final[dict[str, Callable[[Told], str]]] = {
    "json": _json,
    "stix": lambda told: _json(bundle(told)),
    "svg": graph,
    "dot": dot,
}
"""What `export` can write."""


def lines(told: Told) -> list[str]:
    """The document for people."""
    banned = f", banned until {told['banned_until']}" if told["banned_until"] else ""
    said = [
        f"{told['campaign']}: {told['members']} accounts, {told['suspected']} suspected{banned}",
        f"  since {told['since']}, last seen {told['seen']}",
        f"  {told['requests']} requests, {told['refused']} refused",
        f"  {told['output_tokens']} tokens of output, {told['reasoning_tokens']} of reasoning",
    ]
    for what in ("model", "template"):
        named = [f"{one[what]} ({one['requests']})" for one in told[f"{what}s"][:5]]
        if named:
            said.append(f"  {what}s: {', '.join(named)}" + _more(len(told[f"{what}s"]) - 5))
    said.append("shared:")
    said += [
        f"  {one['shared']:<48} {one['accounts']:>6} accounts  {one['family']:<8} {one['signal']}"
        + ("  end users could" if one["by_end_users"] else "")
        for one in told["shared"][:SHOWN]
    ]
    said += _beyond(len(told["shared"]))
    said.append("timeline:")
    said += [
        f"  {one['start']}  {one['requests']:>7} requests  {one['output_tokens']:>9} tokens  "
        f"{one['accounts_first_tied']:>6} accounts first tied"
        for one in told["timeline"][-SHOWN:]
    ]
    said.append("accounts:")
    for one in told["accounts"][:SHOWN]:
        reasons = ", ".join(dict.fromkeys(reason["signal"] for reason in one["reasons"]))
        account = one.get("account", one["id"])
        said.append(
            f"  {one['id']:<24} {one['state']:<9} {one['requests']:>6} requests "
            f"{one['output_tokens']:>8} tokens  since {one['since'][:16]}  {reasons}"
            + ("" if account == one["id"] else f"  ({account})")
        )
    return said + _beyond(len(told["accounts"]) + told["left_out"])


def _more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _beyond(count: int) -> list[str]:
    return [f"  … and {count - SHOWN} more (--json has them)"] if count > SHOWN else []
