"""What commands write: to standard output, or into a file that is not there yet."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

OUTPUT: Final = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a new file, in place of standard output; nothing is overwritten.",
)


def put(text: str, output: Path | None) -> None:
    """Write a text."""
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.UsageError(f"{output} is there already, and nothing is overwritten") from None
    except OSError as error:
        raise click.UsageError(f"{output} cannot be written: {error.strerror}") from None
