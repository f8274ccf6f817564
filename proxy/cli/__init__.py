"""The `excise` command: one file a sub-command."""

from __future__ import annotations

from importlib import metadata

import click

from proxy.cli.accounts import accounts
from proxy.cli.background import background
from proxy.cli.bans import allow, bans
from proxy.cli.campaigns import campaigns
from proxy.cli.check import check
from proxy.cli.demo import demo
from proxy.cli.diff import diff
from proxy.cli.explain import explain
from proxy.cli.forget import forget
from proxy.cli.key_id import key_id
from proxy.cli.networks import networks
from proxy.cli.new import new
from proxy.cli.replay import replay
from proxy.cli.routes import routes
from proxy.cli.rules import rules
from proxy.cli.schema import schema
from proxy.cli.serve import serve
from proxy.cli.shadow import shadow
from proxy.cli.tail import tail
from proxy.cli.test import test


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(metadata.version("excise"), prog_name="excise")
def main() -> None:
    """Excise: a reverse proxy in front of a model API that makes extraction expensive."""


main.add_command(serve)
main.add_command(check)
main.add_command(diff)
main.add_command(test)
main.add_command(rules)
main.add_command(new)
main.add_command(routes)
main.add_command(schema)
main.add_command(tail)
main.add_command(explain)
main.add_command(shadow)
main.add_command(bans)
main.add_command(allow)
main.add_command(background)
main.add_command(campaigns)
main.add_command(forget)
main.add_command(demo)
main.add_command(networks)
main.add_command(key_id)
main.add_command(accounts)
main.add_command(replay)
