"""How the findings of `excise check` are told: to people, to programs, to GitHub."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import orjson

from proxy.cli.check_files import Checked
from proxy.policy.mistake import Mistake


def text(checked: Sequence[Checked]) -> None:
    """Findings with the line they stand in on standard error, one line for each file on standard output."""
    for one in checked:
        for mistake in one.mistakes:
            _show(mistake, "red", "")
        for warning in one.warnings:
            _show(warning, "yellow", f"warning: {warning.code}: ")
        if one.mistakes:
            click.secho(_counted(one), fg="red", err=True)
        else:
            warned = f", {_several(len(one.warnings), 'warning')}" if one.warnings else ""
            click.echo(f"{one.file}: OK, {one.holds}{warned}")


def as_json(checked: Sequence[Checked]) -> None:
    """One JSON object: files and findings."""
    findings = [
        {
            "severity": severity,
            "file": one.file,
            "line": one.line,
            "column": one.column,
            "code": one.code or "mistake",
            "message": one.message,
            "suggestion": one.suggestion and one.suggestion.strip("`"),
        }
        for severity, one in _all(checked)
    ]
    files = [
        {
            "file": str(one.file),
            "sound": not one.mistakes,
            "mistakes": len(one.mistakes),
            "warnings": len(one.warnings),
        }
        for one in checked
    ]
    told = orjson.dumps({"files": files, "findings": findings}, option=orjson.OPT_INDENT_2)
    click.echo(told)


def github(checked: Sequence[Checked]) -> None:
    """Workflow commands: each finding stands beside its line in the pull request."""
    for severity, one in _all(checked):
        hint = f" (did you mean {one.suggestion}?)" if one.suggestion else ""
        named = f"excise: {one.code}" if one.code else "excise"
        place = ",".join(
            f"{name}={_property(str(value))}"
            for name, value in (
                ("file", one.file),
                ("line", one.line),
                ("col", one.column),
                ("title", named),
            )
        )
        click.echo(f"::{severity} {place}::{_data(f'{one.message}{hint}')}")


FORMATS: Final[dict[str, Callable[[Sequence[Checked]], None]]] = {
    "text": text,
    "json": as_json,
    "github": github,
}


def _all(checked: Sequence[Checked]) -> Iterator[tuple[str, Mistake]]:
    for one in checked:
        yield from (("error", mistake) for mistake in one.mistakes)
        yield from (("warning", warning) for warning in one.warnings)


def _data(message: str) -> str:
    """As GitHub's own toolkit escapes what is said (actions/toolkit, `command.ts`)."""
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


def _counted(checked: Checked) -> str:
    """How many mistakes there are, and how many of them stand in other files that the policy names."""
    said = f"{checked.file}: {_several(len(checked.mistakes), 'mistake')}"
    elsewhere = Counter(one.file for one in checked.mistakes if one.file != str(checked.file))
    if not elsewhere:
        return said
    return f"{said}, of them {', '.join(f'{many} in {name}' for name, many in elsewhere.items())}"


def _several(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _show(mistake: Mistake, colour: str, prefix: str) -> None:
    where = f"{mistake.file}:{mistake.line}:{mistake.column}:"
    hint = f" (did you mean {mistake.suggestion}?)" if mistake.suggestion else ""
    click.echo(f"{click.style(where, bold=True)} {prefix}{mistake.message}{hint}", err=True)
    try:
        lines = Path(mistake.file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return
    if mistake.line <= len(lines):
        click.echo(f"    {lines[mistake.line - 1]}", err=True)
        click.secho(f"    {' ' * (mistake.column - 1)}^", fg=colour, err=True)
