"""`excise key-id`: the keyed id of an API key, for accounts.yaml. The key is read from stdin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from proxy.assembly import make_secret
from proxy.client.secret import Secret
from proxy.errors import ConfigurationError
from proxy.settings import load_settings


def lasting_secret() -> Secret:
    """The secret of the settings, which ids of keys are made with."""
    try:
        secret = make_secret(load_settings({}, os.environ, Path.cwd()))
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    if secret.ephemeral:
        raise click.ClickException("set EXCISE_SECRET or EXCISE_SECRET_FILE; ids depend on it")
    return secret


@click.command("key-id")
@click.option("--end-users-of", "account", help="Read names of this account's end users instead.")
def key_id(account: str | None) -> None:
    """Print the id of each API key on standard input, one a line.

    Never give a key as an argument: shells and process lists remember those.
    """
    secret = lasting_secret()
    for line in sys.stdin.buffer:
        if key := line.strip():
            if account is None:
                click.echo(secret.key_id(key))
            else:
                click.echo(secret.end_user_id(account, key.decode("utf-8", "surrogateescape")))
