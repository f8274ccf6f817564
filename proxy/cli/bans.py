"""`excise bans` and `excise allow`: who is kept out, and who is left alone, for a while."""

from __future__ import annotations

import json
from typing import Any

import click

from proxy.cli.admin_client import call
from proxy.console import printable

_FOR = click.option(
    "--for", "duration", required=True, metavar="24h", help="For how long: 30m, 24h, 7d."
)
_BECAUSE = click.option("--because", required=True, help="Why, for the log and for colleagues.")


@click.group()
def bans() -> None:
    """List, add and lift bans, in every replica that shares the store.

    Speaks to the admin API of a running Excise: EXCISE_ADMIN_LISTEN, EXCISE_ADMIN_TOKEN.
    """


@bans.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def listed(*, as_json: bool) -> None:
    """Who is banned, by whom and until when; those that end first come first."""
    show_notices(call("GET", "/v1/bans")["bans"], "nobody is banned", as_json=as_json)


@bans.command()
@click.argument("subject")
@_FOR
@_BECAUSE
def add(subject: str, duration: str, because: str) -> None:
    """Ban SUBJECT: account:…, api_key:key_…, address:… or subnet:…"""
    notice = put_notice("/v1/bans", subject, duration, because)
    click.echo(f"{notice['subject']} is banned until {notice['ends']}")


@bans.command()
@click.argument("subject")
def lift(subject: str) -> None:
    """Lift the ban of SUBJECT, as `excise bans list` shows it."""
    notice = call("DELETE", "/v1/bans", query={"subject": subject})
    click.echo(f"{notice['subject']} is banned no more")


@click.command()
@click.option("--account", help="The account that no rule, ban or suspicion stops meanwhile.")
@click.option("--for", "duration", metavar="2h", help="For how long: 30m, 2h, 7d.")
@click.option("--because", help="Why, for the log and for colleagues.")
@click.option("--list", "show", is_flag=True, help="Only list what is allowed.")
@click.option("--end", is_flag=True, help="End the allowance of --account.")
@click.option("--json", "as_json", is_flag=True, help="With --list, one JSON object a line.")
def allow(
    *,
    account: str | None,
    duration: str | None,
    because: str | None,
    show: bool,
    end: bool,
    as_json: bool,
) -> None:
    """Let an account pass for a while: everything is judged and logged, nothing is enforced.

    Speaks to the admin API of a running Excise: EXCISE_ADMIN_LISTEN, EXCISE_ADMIN_TOKEN.
    """
    path = "/v1/allowances"
    if show:
        show_notices(call("GET", path)["allowances"], "nobody is allowed", as_json=as_json)
    elif account is None:
        raise click.UsageError("name the --account, or --list what is allowed")
    elif end:
        notice = call("DELETE", path, query={"subject": f"account:{account}"})
        click.echo(f"{notice['subject']} is judged like everybody again")
    elif duration is None or because is None:
        raise click.UsageError("say --for how long and --because of what")
    else:
        notice = put_notice(path, f"account:{account}", duration, because)
        click.echo(f"{notice['subject']} is allowed until {notice['ends']}")


def put_notice(path: str, subject: str, duration: str, because: str) -> dict[str, Any]:
    """Put a notice up on one of the boards."""
    body = {"subject": subject, "for": duration, "because": because}
    notice: dict[str, Any] = printable(call("POST", path, body=body))
    return notice


def show_notices(notices: list[dict[str, Any]], none: str, *, as_json: bool) -> None:
    """List what stands on a board."""
    for notice in notices:
        if as_json:
            click.echo(json.dumps(notice))
            continue
        said = printable(notice)
        click.echo(
            f"{said['subject']:<40} until {said['ends']}  by {said['by']}: {said['because']}"
        )
    if not notices and not as_json:
        click.echo(none, err=True)
