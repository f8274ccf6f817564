"""`excise tail`: the event log for people, filtered, followed over rotations."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from proxy.cli.events_file import event_of, follow, lines_of
from proxy.clock import time_of
from proxy.console import ConsoleRenderer
from proxy.decision import Verb
from proxy.errors import ConfigurationError

WORDS = tuple(verb.word for verb in Verb)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@click.option("--only", multiple=True, type=click.Choice(WORDS), help="Only these decisions.")
@click.option("--account", help="Only this account or key id.")
@click.option("--rule", help="Only requests on which this rule spoke, in shadow too.")
@click.option(
    "--shadow", is_flag=True, help="Only requests that a shadow rule would have acted on."
)
@click.option("--no-follow", is_flag=True, help="Read what is there, from its beginning, and end.")
@click.option("--rates", type=float, metavar="SECONDS", help="Say rates this often, on stderr.")
def tail(
    file: Path,
    only: tuple[str, ...],
    account: str | None,
    rule: str | None,
    shadow: bool,
    no_follow: bool,
    rates: float | None,
) -> None:
    """Show an event log, one line a request, as it grows.

    FILE is a log of JSON lines, or - for standard input. Lines that are no events are left out.
    """
    source = None if str(file) == "-" else file
    if source is not None and no_follow and not source.is_file():
        raise click.UsageError(f"{source}: no such file")
    lines: Iterable[bytes | None]
    lines = lines_of(source) if source is None or no_follow else follow(source)
    wanted = _Filter(only, account, rule, shadow)
    render = ConsoleRenderer(colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR"))
    counted = _Rates(rates) if rates else None
    try:
        for line in lines:
            event = event_of(line) if line else None
            if event is not None and wanted(event):
                if counted is not None:
                    counted.add(event)
                click.echo(render(None, "", event))
            if counted is not None:
                counted.say(time.monotonic())
    except KeyboardInterrupt:
        pass
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    if counted is not None:
        counted.say(float("inf"))


class _Filter:
    """All that was asked for must hold; events that are no requests pass where nothing was."""

    def __init__(
        self, only: tuple[str, ...], account: str | None, rule: str | None, shadow: bool
    ) -> None:
        self._only = frozenset(only)
        self._account = account
        self._rule = rule
        self._shadow = shadow
        self._any = not (only or account or rule or shadow)

    def __call__(self, event: dict[str, Any]) -> bool:
        if event["event"] != "request":
            return self._any
        spoke = {event.get("rule"), *(event.get("findings") or ()), *(event.get("shadow") or ())}
        # Of suspicion it is told whose: whoever asks for `suspicion` means all of it.
        whoever = {name.partition(":")[0] for name in spoke if name}
        return (
            (not self._only or event.get("decision") in self._only)
            and (self._account in {None, event.get("account"), event.get("api_key")})
            and (self._rule is None or self._rule in spoke or self._rule in whoever)
            and (not self._shadow or bool(event.get("shadow")))
        )


class _Rates:
    """Requests a second by decision, by the events' own times, so that an old log tells its own pace."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._due = time.monotonic() + every
        self._decisions: Counter[str] = Counter()
        self._first = self._last = 0.0

    def add(self, event: dict[str, Any]) -> None:
        if event["event"] != "request":
            return
        at = time_of(event["timestamp"])
        self._first = self._first or at
        self._last = at
        self._decisions[event.get("decision", "?")] += 1

    def say(self, now: float) -> None:
        """Say what has been counted, where it is time to."""
        if now < self._due or not self._decisions:
            return
        seconds = max(self._last - self._first, 1.0)
        parts = [f"{word} {count / seconds:.1f}/s" for word, count in self._decisions.most_common()]
        total = self._decisions.total()
        click.echo(f"-- {total} requests in {seconds:.0f} s: {', '.join(parts)}", err=True)
        self._decisions.clear()
        self._first = 0.0
        self._due = time.monotonic() + self._every
