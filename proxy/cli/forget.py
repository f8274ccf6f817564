"""`excise forget`: remove what the shared store counts of somebody."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from proxy.campaigns.forgetting import forget_ties
from proxy.counters.redis import RedisStore
from proxy.counters.sweep import sweep
from proxy.errors import ConfigurationError, StoreError
from proxy.rules.subjects import read_subject
from proxy.settings import load_settings

PATIENCE_S = 5.0
"""For one answer: nobody waits for a model behind it."""


@click.command()
@click.argument("subjects", nargs=-1, required=True, metavar="SUBJECT...")
@click.option("--dry-run", is_flag=True, help="Only say how much there is.")
def forget(subjects: tuple[str, ...], *, dry_run: bool) -> None:
    """Remove all counters of SUBJECT from Redis: account:…, api_key:key_…, address:…, subnet:…,
    or account:…|end_user:eu_…; of an account also what ties it to others, and its place in a campaign.

    Bans stay (`excise bans lift`), and so does the log, which Excise does not keep. What a replica counts
    in its own memory ends with the process.
    """
    try:
        wanted = [read_subject(subject) for subject in subjects]
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    try:
        url = load_settings({}, os.environ, Path.cwd()).redis_url
        if url is None:
            raise click.ClickException(
                "set EXCISE_REDIS_URL: without a shared store nothing is kept"
            )
        for subject in wanted:
            count = asyncio.run(sweep(url, subject, remove=not dry_run))
            done = "would be removed" if dry_run else "removed"
            told = _many(count, "counter")
            if subject.startswith("account:") and "|" not in subject:
                ties = asyncio.run(_ties(url, subject, remove=not dry_run))
                told += f" and {_many(ties, 'tie')}"
            click.echo(f"{subject}: {told} {done}")
    except (ConfigurationError, StoreError) as error:
        raise click.ClickException(str(error)) from None


async def _ties(url: str, account: str, *, remove: bool) -> int:
    store = RedisStore(url, timeout=PATIENCE_S)
    try:
        return await forget_ties(store, account, remove=remove)
    finally:
        await store.close()


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
