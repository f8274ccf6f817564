"""A what-if: a request out of a file, put through the real line with a policy, on virtual time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click

from proxy import assembly
from proxy.client.accounts import load_accounts
from proxy.client.address import canonical
from proxy.clock import SystemClock
from proxy.errors import ConfigurationError
from proxy.events import EventBuilder
from proxy.explain.told import of_trace
from proxy.explain.trace import trace_of
from proxy.head import Head
from proxy.networks.load import load_networks
from proxy.policy.load import PolicyError, load
from proxy.replay.records import Record, Response, read_records
from proxy.replay.result import Result
from proxy.replay.source import Source
from proxy.replay.world import World
from proxy.settings import load_settings

BYTES_A_TOKEN: Final = 4
NOWHERE: Final = "192.0.2.1"
"""Where a request comes from that does not say: an address for documents."""


class WhatIf:
    """A policy at work on one request."""

    def __init__(
        self, policy: Path, accounts: Path | None, address: str | None, output_tokens: int
    ) -> None:
        """Ends the command with a clear message where a file has mistakes."""
        self._output_tokens = output_tokens
        if address is not None and canonical(address) is None:
            raise click.UsageError(f"--address {address}: not an IP address")
        self._address = address
        try:
            settings = load_settings({}, os.environ, Path.cwd())
            self._secret = assembly.make_secret(settings)
            now = SystemClock().now()
            self._world = World(
                load(policy),
                accounts=None if accounts is None else load_accounts(accounts),
                settings=settings,
                secret=self._secret,
                networks=load_networks(settings.networks, now),
                start=now,
                keep_visits=True,
            )
        except PolicyError as error:
            raise click.ClickException("\n".join(map(str, error.mistakes))) from None
        except ConfigurationError as error:
            raise click.ClickException(str(error)) from None

    def run(self, file: Path, times: int, every: float) -> tuple[dict[str, Any], list[str]]:
        """The explanation of the last, and each one's decision."""
        record = self._read(file)
        decisions: list[str] = []
        last: Result | None = None
        for result in self._world.run(_again(record, times, every)):
            decisions.append(_said(result))
            last = result
        if self._world.faults or last is None or last.visit is None or last.progress is None:
            kinds = ", ".join(self._world.faults) or "no result"
            raise click.ClickException(f"a fault of ours: {kinds}")
        builder = EventBuilder("full", self._secret.item_hash)
        duration = last.delay_s + last.record.response.duration
        event = builder.request(last.visit, last.progress, duration)
        return of_trace(trace_of(last.visit, event)), decisions

    def _read(self, file: Path) -> Record:
        try:
            text = file.read_bytes()
            if text.lstrip().startswith(b"{"):
                with Source(file) as source:
                    records = list(read_records(source))
            else:
                records = [_of_text(text, str(file), self._output_tokens)]
        except OSError as error:
            raise click.ClickException(f"{file}: cannot be read: {error.strerror}") from None
        except ConfigurationError as error:
            raise click.ClickException(str(error)) from None
        if len(records) != 1:
            raise click.ClickException(
                f"{file}: holds {len(records)} requests, and one is asked for"
            )
        (record,) = records
        if self._address is not None:
            record = replace(record, head=replace(record.head, peer=self._address))
        return record


def _again(record: Record, times: int, every: float) -> Iterator[Record]:
    for number in range(times):
        yield replace(record, number=number, t=number * every, if_refused=None)


def _of_text(raw: bytes, name: str, output_tokens: int) -> Record:
    """A request as people write it down: the body is what follows a blank line."""
    head, blank, body = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
    first, *lines = head.split(b"\n")
    parts = first.split()
    if len(parts) not in {2, 3} or not parts[1].startswith(b"/"):
        raise ConfigurationError(
            f"{name}:1: must be a request line such as `POST /v1/messages HTTP/1.1`"
        )
    if blank and b"\r\n\r\n" in raw:
        body = raw.partition(b"\r\n\r\n")[2]  # a body's own line ends are its own
    body = body.rstrip(b"\n")
    headers: list[tuple[bytes, bytes]] = []
    for number, line in enumerate(lines, 2):
        field, colon, text = line.partition(b":")
        if not line.strip():
            continue
        if not colon or not field.strip():
            raise ConfigurationError(
                f"{name}:{number}: must be a header such as `Authorization: Bearer …`"
            )
        if field.lower() == b"content-length":
            text = str(len(body)).encode()
        headers.append((field, text.strip()))
    path, _, query = parts[1].decode("latin-1").partition("?")
    sent = Head(parts[0].decode("latin-1"), path, query, tuple(headers), NOWHERE)
    response = Response(200, len(body) // BYTES_A_TOKEN, output_tokens, 0, 0.0)
    return Record(0, 0.0, "what-if", "ambiguous", "what-if", None, None, sent, body, None, response)


def _said(result: Result) -> str:
    decision = result.decision
    by = f" by {decision.rule}" if decision.rule is not None else ""
    return f"{result.word}{by}"


def turns(decisions: list[str], every: float) -> list[str]:
    """How the decision turned, in a line for each stretch of the same; nothing where there is but one."""
    if len(decisions) < 2:
        return []
    lines: list[str] = []
    at = 0
    for decision, group in groupby(decisions):
        count = sum(1 for _ in group)
        which = f"{at + 1}" if count == 1 else f"{at + 1}-{at + count}"
        lines.append(f"{which:>13}  after {at * every:8.1f} s  {decision}")
        at += count
    return [*lines, f"the last of them, number {at}:", ""]
