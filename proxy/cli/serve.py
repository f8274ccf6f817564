"""`excise serve`: run the proxy until SIGTERM or SIGINT; a second one cuts the drain short."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import click
import uvloop

from proxy.app import App
from proxy.clock import SystemClock
from proxy.console import ConsoleRenderer
from proxy.errors import ConfigurationError
from proxy.eventlog import JSON, EventLog, Processor
from proxy.policy.load import PolicyError
from proxy.settings import Settings, load_settings


@click.command()
@click.option(
    "--upstream", metavar="URL", help="Base URL of the model API; the sample model if absent."
)
@click.option("--listen", metavar="HOST:PORT", help="Where callers connect [127.0.0.1:8080].")
@click.option("--health-listen", metavar="HOST:PORT", help="Health and metrics [127.0.0.1:8081].")
@click.option("--admin-listen", metavar="HOST:PORT", help="Admin API [127.0.0.1:8082].")
@click.option("--policy", metavar="FILE", help="Policy file [the shipped default].")
@click.option("--accounts", metavar="FILE", help="Accounts file.")
@click.option("--redis-url", metavar="URL", help="Shared counters [in memory].")
@click.option("--mode", metavar="enforce|shadow|bypass", help="Whether the policy acts [enforce].")
@click.option("--config", metavar="FILE", help="Settings file [excise.yaml, if there is one].")
def serve(upstream: str | None, config: str | None, **flags: str | None) -> None:
    """Run the proxy. Every setting has an EXCISE_… variable too: docs/settings.md.

    SIGHUP loads policy, accounts and networks anew; a changed file is taken over by itself.
    """
    environ = dict(os.environ)
    if config is not None:
        environ["EXCISE_CONFIG"] = config
    try:
        settings = load_settings({"upstream.url": upstream, **flags}, environ, Path.cwd())
        code = uvloop.run(_serve(settings))
    except (ConfigurationError, PolicyError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"cannot start: {error.strerror or error}") from None
    sys.exit(code)


async def _serve(settings: Settings) -> int:
    clock = SystemClock()
    log = EventLog(clock, processors=_processors(settings), queue_bytes=settings.log.queue_bytes)
    try:
        app = App(settings, log, clock)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def end() -> None:
            if ended.is_set():
                app.hurry()
            ended.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        loop.add_signal_handler(signal.SIGHUP, app.reload)
        try:
            await app.start()
            await ended.wait()
        finally:
            await app.stop()
    finally:
        log.close()
    return 0


def _processors(settings: Settings) -> tuple[Processor, ...]:
    chosen = settings.log.format
    terminal = sys.stdout.isatty()
    if chosen == "json" or (chosen == "auto" and not terminal):
        return JSON
    colour = terminal and not os.environ.get("NO_COLOR")
    return (JSON[0], ConsoleRenderer(colour=colour))
