"""`excise routes`: every route that is known, and what is done with it."""

from __future__ import annotations

import click

from proxy.surface import reference


@click.command()
def routes() -> None:
    """Print every known route: inspected, metered, passed or refused, under which name."""
    click.echo(reference(), nl=False)
