"""The summary of a replay as tables on a terminal."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from proxy.console import printable
from proxy.replay.tally import WORDS
from proxy.replay.words import CHANGES, MEASURES, UNTOLD, lasting, percent, why

Told = dict[str, Any]


def show(told: Told, console: Console) -> None:
    """Print everything."""
    console.print(_headline(told), highlight=False)
    console.print(_decisions(told["populations"]))
    console.print(_effects(told["populations"]))
    if told["rules"]:
        console.print(_rules(told["rules"]))
    if told["detection"] is not None:
        console.print(_detection(told["detection"]))
    if told["accounts"]:
        console.print(_accounts(told["accounts"]))
    if told["changes"] is not None:
        _show_changes(told["changes"], console)
    for note in told["notes"]:
        console.print(f"note: {note}", style="yellow", highlight=False, markup=False)


def _headline(told: Told) -> str:
    policy = told["policy"]
    against = "" if told["against"] is None else f", against {told['against']['digest'][:19]}"
    mode = "" if policy["mode"] == "enforce" else f" ({policy['mode']} mode)"
    return (
        f"{told['lines']:,} lines over {lasting(told['seconds'])}, by "
        f"{policy['digest'][:19]}{mode}{against}"
    )


def _decisions(rows: list[Told]) -> Table:
    table = _table("By population: what was decided, of all requests", "population", "label")
    for name in ("accounts", "requests", *WORDS[:-1]):
        table.add_column(name, justify="right")
    for row in rows:
        _row(
            table,
            row["population"],
            "/".join(row["labels"]),
            f"{row['accounts']:,}",
            f"{row['requests']:,}",
            *(percent(row[f"share_{word}"]) for word in WORDS[:-1]),
        )
    return table


def _effects(rows: list[Told]) -> Table:
    table = _table("By population: what came of it", "population")
    for name in (
        "tokens before it",
        "tokens in all",
        "first acted on p50",
        "p90",
        "wrongly refused",
        "added p50",
        "p99",
    ):
        table.add_column(name, justify="right")
    for row in rows:
        _row(
            table,
            row["population"],
            percent(row["share_passed_before"]),
            percent(row["share_passed"]),
            lasting(row["first_enforced_p50_s"]),
            lasting(row["first_enforced_p90_s"]),
            f"{row['accounts_wrongly_refused']:,}",
            lasting(row["delay_p50_s"]),
            lasting(row["delay_p99_s"]),
        )
    table.caption = (
        "tokens: of the output that was asked for, what was let through before an account was first\n"
        "slowed, degraded or refused, and in all; first acted on: since its first request; added: to "
        "what passed"
    )
    return table


def _rules(rows: list[Told]) -> Table:
    table = _table("By rule", "rule", "kind")
    for name in ("enforced", "accounts", "first at", "in shadow", "accounts", "first at"):
        table.add_column(name, justify="right")
    for row in rows:
        _row(
            table,
            row["rule"],
            row["kind"],
            f"{row['enforced']:,}",
            f"{row['accounts_enforced']:,}",
            lasting(row["first_enforced_s"]),
            f"{row['shadow']:,}",
            f"{row['accounts_shadow']:,}",
            lasting(row["first_shadow_s"]),
        )
    return table


def _detection(measures: Told) -> Table:
    table = _table("On what the labels say", "", "accounts", "share", "95 % interval")
    for name, text in MEASURES.items():
        found = measures[name]
        if not found["of"]:
            _row(table, text, *UNTOLD)
            continue
        below, above = found["interval_95"]
        interval = f"{percent(below)} to {percent(above)}"
        if "at_most_95" in found:
            interval = f"none seen: at most {percent(found['at_most_95'])}"
        shown = f"{found['hits']:,} of {found['of']:,}"
        _row(table, text, shown, percent(found["share"]), interval)
    return table


def _accounts(rows: list[Told]) -> Table:
    table = _table("Accounts that met most", "account", "population", "label", "requests")
    for name in ("slowed", "refused", "let through", "1st action at"):
        table.add_column(name, justify="right")
    table.add_column("rules")
    for row in rows:
        asked, passed = row["tokens_asked"], row["tokens_passed"]
        _row(
            table,
            row["account"],
            row["population"],
            row["label"],
            f"{row['requests']:,}",
            f"{row['delay'] + row['degrade']:,}",
            f"{row['throttle'] + row['block']:,}",
            percent(passed / asked if asked else None),
            lasting(row["first_enforced_s"]),
            ", ".join(row["rules"]),
        )
    return table


def _show_changes(changes: Told, console: Console) -> None:
    for name, title in CHANGES.items():
        change = changes[name]
        if not change["requests"]:
            console.print(f"{title}: nobody", highlight=False)
            continue
        where = ", ".join(f"{count:,} {name}" for name, count in change["populations"].items())
        heading = (
            f"{title}: {change['requests']:,} requests of {change['accounts']:,} accounts ({where}), "
            f"{change['tokens']:+,} output tokens"
        )
        table = _table(heading, "account", "population", "label", "requests", "line")
        table.add_column("for example by")
        for row in change["by_account"]:
            _row(
                table,
                row["account"],
                row["population"],
                row["label"],
                f"{row['requests']:,}",
                str(row["example"]["i"]),
                why(row["example"]),
            )
        console.print(table)


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=Text(title), title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD
    )
    for name in columns:
        right = name in {"accounts", "requests", "line", "share"}
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    return table


def _row(table: Table, *cells: str) -> None:
    """A row; what callers have named themselves can steer no terminal."""
    table.add_row(*(Text(str(printable(cell))) for cell in cells))
