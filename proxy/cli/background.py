"""`excise background`: prompt templates that are common, and say nothing of any one account."""

from __future__ import annotations

import click

from proxy.cli.admin_client import call
from proxy.cli.bans import put_notice, show_notices

_PATH = "/v1/background"


@click.group()
def background() -> None:
    """List, declare and take back common templates, in every replica that shares the store.

    Speaks to the admin API of a running Excise: EXCISE_ADMIN_LISTEN, EXCISE_ADMIN_TOKEN.
    """


@background.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def listed(*, as_json: bool) -> None:
    """What is common, by which rule or whom, and until when; `by revoked` is what was taken back."""
    show_notices(call("GET", _PATH)["background"], "nothing is common", as_json=as_json)


@background.command()
@click.argument("template")
@click.option("--for", "duration", required=True, metavar="30d", help="For how long: 7d, 30d.")
@click.option("--because", required=True, help="Why, for the log and for colleagues.")
def add(template: str, duration: str, because: str) -> None:
    """Declare TEMPLATE common: template:tpl_… as an event's `request.template` shows it."""
    notice = put_notice(_PATH, template, duration, because)
    click.echo(f"{notice['subject']} is common until {notice['ends']}")


@background.command()
@click.argument("template")
def revoke(template: str) -> None:
    """Take TEMPLATE back: it is judged again, and not learnt anew for 90 days."""
    notice = call("DELETE", _PATH, query={"subject": template})
    click.echo(f"{notice['subject']} is common no more")
