"""`excise rules`: the page of each kind of rule."""

from __future__ import annotations

import click

from proxy.nearest import nearest
from proxy.rules import RULE_KINDS
from proxy.rules.pages import page, summary


@click.command()
@click.argument("kind", required=False)
def rules(kind: str | None) -> None:
    """List the kinds of rules, or print the page of one: fields, blind spots, false positives."""
    known = {one.kind: one for one in RULE_KINDS}
    if kind is None:
        width = max(map(len, known))
        for name, one in known.items():
            click.echo(f"{name:<{width}}  {summary(one)}")
    elif kind in known:
        click.echo(page(known[kind]), nl=False)
    else:
        near = nearest(kind, known)
        hint = f" (did you mean {near}?)" if near else ""
        raise click.UsageError(f"no kind is called `{kind}`{hint}; `excise rules` lists them")
