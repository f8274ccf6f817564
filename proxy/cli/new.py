"""`excise new`: beginnings of policies, rules and accounts files, with comments."""

from __future__ import annotations

from pathlib import Path

import click

from proxy.cli.output import OUTPUT, put
from proxy.nearest import nearest
from proxy.policy.scaffold import ACCOUNT, POLICY, rule_scaffold
from proxy.rules import RULE_KINDS


@click.group()
def new() -> None:
    """Print the beginning of a policy, a rule or an accounts file, with comments."""


@new.command()
@OUTPUT
def policy(output: Path | None) -> None:
    """A policy that watches: everything in shadow, each part explained."""
    put(POLICY, output)


@new.command()
@click.argument("kind")
@OUTPUT
def rule(kind: str, output: Path | None) -> None:
    """A file with one rule of KIND in shadow, and every field that it could have besides."""
    known = {one.kind: one for one in RULE_KINDS}
    if kind not in known:
        near = nearest(kind, known)
        hint = f" (did you mean {near}?)" if near else ""
        raise click.UsageError(f"no kind is called `{kind}`{hint}; `excise rules` lists them")
    put(rule_scaffold(known[kind]), output)


@new.command()
@OUTPUT
def account(output: Path | None) -> None:
    """An accounts file with one account."""
    put(ACCOUNT, output)
