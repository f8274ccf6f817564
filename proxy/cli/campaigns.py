"""`excise campaigns`: who belongs together, the evidence for it, and what operators say of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click
import orjson

from proxy.campaigns.told import FORMAT, handed_on
from proxy.cli.admin_client import call
from proxy.cli.evidence import FORMATS, lines
from proxy.cli.output import OUTPUT, put
from proxy.console import printable

Told = dict[str, Any]

HEAD: Final = (
    "campaign",
    "members",
    "suspected",
    "families",
    "signals",
    "since",
    "seen",
    "requests",
    "refused",
    "output_tokens",
    "reasoning_tokens",
    "banned_until",
)
"""What `list` tells of each."""
WHOLE: Final = {*HEAD, "models", "templates", "shared", "timeline", "accounts", "left_out"}
"""What a document has at least."""
CAMPAIGN: Final = "cmp_"
"""So begins a campaign's name."""
WAIT_S: Final = 60.0
"""For all that is known of a campaign of tens of thousands of accounts."""

_FROM = click.option(
    "--from",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="What `excise replay --campaigns FILE` has written, in place of the running Excise.",
)
_FOR = click.option(
    "--for", "duration", required=True, metavar="90d", help="For how long: 24h, 30d, 90d."
)
_BECAUSE = click.option("--because", required=True, help="Why, for the log and for colleagues.")


@click.group()
def campaigns() -> None:
    """List campaigns, show and export their evidence, and say who does not belong.

    Speaks to the admin API of a running Excise: EXCISE_ADMIN_LISTEN, EXCISE_ADMIN_TOKEN.
    """


@campaigns.command("list")
@_FROM
@click.option("--account", help="Only those to which this account belongs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def listed(*, file: Path | None, account: str | None, as_json: bool) -> None:
    """All campaigns, the largest first."""
    told = _heads(account) if file is None else _read(file, account)
    if as_json:
        for one in told:
            click.echo(json.dumps({name: one[name] for name in HEAD}))
        return
    if told:
        click.echo(
            f"{'CAMPAIGN':<20} {'ACCOUNTS':>8} {'SUSPECTED':>9} {'REQUESTS':>9} "
            f"{'REFUSED':>8} {'OUT TOKENS':>11}  SINCE             SHARED"
        )
    for one in printable(told):
        banned = f"  banned until {one['banned_until']}" if one["banned_until"] else ""
        click.echo(
            f"{one['campaign']:<20} {one['members']:>8} {one['suspected']:>9} {one['requests']:>9} "
            f"{one['refused']:>8} {one['output_tokens']:>11}  {one['since'][:16]}  "
            f"{', '.join(one['families'])}{banned}"
        )
    if not told:
        whose = "" if account is None else f" of {printable(account)}"
        click.echo(f"there is no campaign{whose}", err=True)


@campaigns.command()
@click.argument("campaign")
@_FROM
@click.option("--json", "as_json", is_flag=True, help="All of it, as the admin API tells it.")
def show(campaign: str, *, file: Path | None, as_json: bool) -> None:
    """The evidence for CAMPAIGN: what is shared, by whom, what was asked, and when."""
    told = _one(campaign, file)
    if as_json:
        click.echo(json.dumps(told))
        return
    for line in lines(printable(told)):
        click.echo(line)


@campaigns.command()
@click.argument("campaign")
@_FROM
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    default="json",
    show_default=True,
    help="Excise's own, a STIX 2.1 bundle, a picture, or the graph for Graphviz and Gephi.",
)
@OUTPUT
def export(campaign: str, *, file: Path | None, form: str, output: Path | None) -> None:
    """CAMPAIGN's evidence to hand on: keyed ids alone, no account's name, no prompt."""
    put(FORMATS[form](handed_on(_one(campaign, file))), output)


@campaigns.command()
@click.argument("campaign")
@click.argument("accounts", nargs=-1, required=True)
@_FOR
@_BECAUSE
def split(campaign: str, accounts: tuple[str, ...], duration: str, because: str) -> None:
    """Say that ACCOUNTS do not belong to the rest of CAMPAIGN; they may still belong together."""
    _say(campaign, "split", accounts, duration, because)


@campaigns.command()
@click.argument("names", nargs=-1, required=True, metavar="[CAMPAIGN] [ACCOUNT]...")
@_FOR
@_BECAUSE
def forgive(names: tuple[str, ...], duration: str, because: str) -> None:
    """Say that ACCOUNTs, or all of CAMPAIGN, belong to nobody, whatever they share.

    Bans that rules have put on them are lifted.
    """
    if names[0].startswith(CAMPAIGN):
        _say(names[0], "forgive", names[1:], duration, because)
        return
    found: dict[str, list[str]] = {}
    for account in names:
        told = _heads(account)
        if not told:
            raise click.ClickException(f"{printable(account)} is in no campaign")
        for one in told:
            found.setdefault(one["campaign"], []).append(account)
    for campaign, accounts in found.items():
        _say(campaign, "forgive", tuple(accounts), duration, because)


@campaigns.command()
@click.argument("campaign")
@click.argument("accounts", nargs=-1)
@_FOR
@_BECAUSE
def confirm(campaign: str, accounts: tuple[str, ...], duration: str, because: str) -> None:
    """Say that ACCOUNTS, or all that are suspected, do belong to CAMPAIGN."""
    _say(campaign, "confirm", accounts, duration, because)


@campaigns.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def verdicts(*, as_json: bool) -> None:
    """What has been said of accounts and still stands."""
    told = call("GET", "/v1/verdicts")["verdicts"]
    for one in told:
        if as_json:
            click.echo(json.dumps(one))
            continue
        said = printable(one)
        click.echo(
            f"{said['subject']:<40} {said['verdict']:<9} until {said['ends']}: {said['because']}"
        )
    if not told and not as_json:
        click.echo("nothing has been said of anybody", err=True)


@campaigns.command()
@click.argument("account")
def withdraw(account: str) -> None:
    """Take back what has been said of ACCOUNT: what it shares counts again."""
    subject = account if account.startswith("account:") else f"account:{account}"
    told = call("DELETE", "/v1/verdicts", query={"subject": subject})
    click.echo(f"nothing is said of {told['subject']} any more")


def _say(campaign: str, what: str, accounts: tuple[str, ...], duration: str, because: str) -> None:
    """Have it said, and tell what came of it."""
    body = {"accounts": list(accounts), "for": duration, "because": because}
    path = f"/v1/campaigns/{quote(campaign, safe='')}/{what}"
    said: Told = printable(call("POST", path, body=body, timeout=WAIT_S))
    count = said["accounts"]
    who = f"{count} account{'' if count == 1 else 's'} of {said['campaign']}"
    done = {
        "split": "apart from the rest",
        "forgive": "forgiven",
        "confirm": "confirmed",
    }[what]
    click.echo(f"{who}: {done} until {said['ends']}")
    for subject in said["bans_lifted"]:
        click.echo(f"{subject} is banned no more")
    if said["no_room"]:
        raise click.ClickException(f"there was no room for {said['no_room']} more")


def _heads(account: str | None = None) -> list[Told]:
    query = None if account is None else {"account": account}
    told: list[Told] = call("GET", "/v1/campaigns", query=query, timeout=WAIT_S)["campaigns"]
    return told


def _one(campaign: str, file: Path | None) -> Told:
    if file is None:
        told: Told = call("GET", f"/v1/campaigns/{quote(campaign, safe='')}", timeout=WAIT_S)
        return told
    for one in _read(file):
        if one["campaign"] == campaign:
            return one
    raise click.ClickException(f"{file}: there is no campaign {printable(campaign)}")


def _read(file: Path, account: str | None = None) -> list[Told]:
    """The documents of a file, one a line; those in which an account stands, where one is given."""
    told: list[Told] = []
    for number, line in enumerate(file.read_bytes().splitlines(), 1):
        try:
            one = orjson.loads(line)
        except orjson.JSONDecodeError:
            one = None
        if not isinstance(one, dict) or one.get("format") != FORMAT or not one.keys() >= WHOLE:
            raise click.ClickException(
                f"{file}:{number}: no campaign as `excise replay --campaigns` writes it"
            )
        if account is None or any(account in (it["id"], it["account"]) for it in one["accounts"]):
            told.append(one)
    return told
