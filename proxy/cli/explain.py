"""`excise explain`: one request's decision for people, and what would have changed it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from proxy.cli.admin_client import call
from proxy.cli.drawn import drawn
from proxy.cli.events_file import event_of, lines_of
from proxy.cli.what_if import WhatIf, turns
from proxy.errors import ConfigurationError
from proxy.explain.told import of_event
from proxy.rules.units import parse_duration

FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


def _duration(_context: click.Context, _option: click.Parameter, text: str) -> float:
    try:
        return 0.0 if text == "0" else parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("request_id", required=False)
@click.option(
    "--events",
    "file",
    type=click.Path(path_type=Path, allow_dash=True, exists=True, dir_okay=False),
    help="The event log, or - for standard input. Without it the running Excise is asked.",
)
@click.option(
    "--request",
    type=FILE,
    help="A what-if: a request as text (request line, headers, blank line, body), or a line of traffic.",
)
@click.option("--policy", type=FILE, help="With --request: the policy that judges it.")
@click.option("--accounts", type=FILE, help="With --request: the accounts file.")
@click.option("--address", help="With --request: the address that it comes from.")
@click.option("--times", default=1, show_default=True, type=click.IntRange(1, 100_000))
@click.option(
    "--every",
    default="1s",
    show_default=True,
    callback=_duration,
    help="Between two of --times; or 0.",
)
@click.option(
    "--output-tokens",
    default=256,
    show_default=True,
    type=click.IntRange(0, 10**6),
    help="With --request: tokens that the model answers.",
)
@click.option("--json", "as_json", is_flag=True, help="The explanation as JSON.")
def explain(
    *,
    request_id: str | None,
    file: Path | None,
    request: Path | None,
    policy: Path | None,
    accounts: Path | None,
    address: str | None,
    times: int,
    every: float,
    output_tokens: int,
    as_json: bool,
) -> None:
    """Explain the decision on REQUEST_ID, which callers see as X-Excise-Request-Id.

    The running Excise is asked, which keeps the last requests (EXCISE_ADMIN_LISTEN,
    EXCISE_ADMIN_TOKEN), or the event log (--events). With --request nothing has happened yet: the
    request is put through the real line with a policy, on counters that begin empty.
    """
    if (request_id is None) == (request is None):
        raise click.UsageError("name a REQUEST_ID, or a --request for a what-if")
    before: list[str] = []
    if request is not None:
        if policy is None:
            raise click.UsageError("--request needs a --policy")
        what_if = WhatIf(policy, accounts, address, output_tokens)
        told, decisions = what_if.run(request, times, every)
        before = turns(decisions, every)
        if as_json and times > 1:
            told = {"times": times, "every_s": every, "decisions": decisions, **told}
    elif file is not None:
        told = of_event(_event(str(request_id).strip(), file))
    else:
        told = call("GET", f"/v1/explanations/{str(request_id).strip()}")
    if as_json:
        click.echo(json.dumps(told))
    else:
        click.echo("\n".join([*before, *drawn(told)]))


def _event(request_id: str, file: Path) -> dict[str, Any]:
    wanted = request_id.upper().encode()
    try:
        found = _found(wanted, file)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    if found is None:
        raise click.ClickException(f"no request {request_id} in this log")
    return found


def _found(wanted: bytes, file: Path) -> dict[str, Any] | None:
    for line in lines_of(None if str(file) == "-" else file):
        if wanted not in line:
            continue
        event = event_of(line)
        if (
            event is not None
            and event["event"] == "request"
            and event["request_id"] == wanted.decode()
        ):
            return event
    return None
