"""`excise demo`: six labelled clients for twenty seconds, as a live table."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from io import StringIO
from pathlib import Path

import click
import uvloop
from rich.console import Console
from rich.live import Live

from proxy.cli.numbers import NumberRange
from proxy.clock import SystemClock
from proxy.demo.show import Audience, perform, table

FRAME_S = 0.2
WIDTH = 148


@click.command()
@click.option("--seconds", type=NumberRange(1, 600), default=20.0, show_default=True)
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.svg",
    help="Save the last table as a picture.",
)
def demo(seconds: float, save: Path | None) -> None:
    """Show a chat user, a support bot, a coding agent and three harvesters, and what becomes of them.

    Starts Excise with policies/demo.yaml in front of the sample model, on free loopback ports, and sends
    real requests through it. Nothing is left behind.
    """
    audience = Audience(SystemClock())
    try:
        uvloop.run(_play(audience, seconds))
    except KeyboardInterrupt:
        pass
    except OSError as error:
        raise click.ClickException(f"cannot start: {error.strerror or error}") from None
    if save is not None:
        picture = Console(record=True, width=WIDTH, file=StringIO())
        picture.print(table(audience.told, wide=True))
        save.write_text(picture.export_svg(title="excise demo"), encoding="utf-8")


async def _play(audience: Audience, seconds: float) -> None:
    console = Console()
    wide = console.width >= WIDTH
    with Live(table(audience.told, wide=wide), console=console, auto_refresh=False) as live:

        async def draw() -> None:
            while True:
                live.update(table(audience.told, wide=wide), refresh=True)
                await asyncio.sleep(FRAME_S)

        drawing = asyncio.create_task(draw())
        try:
            await perform(audience, seconds)
        finally:
            drawing.cancel()
            with suppress(asyncio.CancelledError):
                await drawing
            live.update(table(audience.told, wide=wide), refresh=True)
