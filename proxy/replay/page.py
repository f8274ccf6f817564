"""
The summary of a replay as one page: nothing is fetched, no script runs, the
same summary gives the same bytes.

Populations, accounts, rules and evidence are named by others. All text goes through `Markup.format`, which
escapes, and has been made printable before; a Content-Security-Policy allows inline style and nothing else.
"""

from __future__ import annotations

from typing import Any, Final

from markupsafe import Markup

from proxy.replay import charts
from proxy.replay.page_parts import (
    MAX_BARS,
    MAX_ROWS,
    bars,
    caption,
    filled,
    section,
    series_of,
    table,
)
from proxy.replay.page_style import STYLE
from proxy.replay.tally import WORDS
from proxy.replay.words import CHANGES, MEASURES, UNTOLD, lasting, percent, why

Told = dict[str, Any]

_PAGE: Final = Markup(
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">"
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<title>Excise replay</title><style>{}</style></head><body><main>"
    "<h1>What the policy would have done</h1>{}</main></body></html>\n"
)
_DECIDED: Final = WORDS[:-1]


def page(told: Told) -> str:
    """The page of a `Report.told()`."""
    parts = [_headline(told)]
    parts += [filled(Markup('<p class="note">{}</p>'), text) for text in told["notes"][:MAX_ROWS]]
    if told["detection"] is not None:
        parts.append(_detection(told["detection"]))
    if told["changes"] is not None:
        parts.append(_changes(told["changes"]))
    parts += [_populations(told["populations"]), _timeline(told["timeline"])]
    if told["rules"]:
        parts.append(_rules(told["rules"]))
    if told["accounts"]:
        parts.append(_accounts(told["accounts"]))
    return str(_PAGE.format(Markup(STYLE), Markup("\n").join(parts)))  # noqa: S704 - our own


def _headline(told: Told) -> Markup:
    policy, against = told["policy"], told["against"]
    text = f"{told['lines']:,} lines over {lasting(told['seconds'])}, by {policy['digest'][:19]}"
    text += "" if policy["mode"] == "enforce" else f" ({policy['mode']} mode)"
    text += "" if against is None else f", against {against['digest'][:19]}"
    return filled(Markup("<p>{}</p>"), text)


def _detection(measures: Told) -> Markup:
    found = {MEASURES[name]: one for name, one in measures.items() if one["of"]}
    drawn = [
        {
            "value": 100 * one["share"],
            "ci": {
                "low": 100 * one["interval_95"][0],
                "high": 100 * one["interval_95"][1],
            },
        }
        for one in found.values()
    ]
    rows: list[tuple[str, ...]] = []
    for name, one in found.items():
        below, above = map(percent, one["interval_95"])
        seen = f"{below} to {above}"
        if "at_most_95" in one:
            seen = f"none seen: at most {percent(one['at_most_95'])}"
        rows.append((name, f"{one['hits']:,} of {one['of']:,}", percent(one["share"]), seen))
    rows += [(MEASURES[name], *UNTOLD) for name, one in measures.items() if not one["of"]]
    chart = charts.bars(
        "detection", list(found), {"% of accounts, with 95 % interval": drawn}, range=(0, 100)
    )
    return section(
        "On what the labels say", chart, table(("", "accounts", "share", "95 % interval"), rows)
    )


def _changes(changes: Told) -> Markup:
    names = sorted({name for change in CHANGES for name in changes[change]["populations"]})
    series = {
        title: [changes[change]["populations"].get(name, 0) for name in names[:MAX_BARS]]
        for change, title in CHANGES.items()
    }
    parts = [bars("changes", names, series)] if names else []
    for name, title in CHANGES.items():
        change = changes[name]
        heading = f"{title}: nobody"
        if change["requests"]:
            heading = (
                f"{title}: {change['requests']:,} requests of {change['accounts']:,} accounts, "
                f"{change['tokens']:+,} output tokens"
            )
        parts.append(filled(Markup("<h3>{}</h3>"), heading))
        columns = ("account", "population", "label", "requests", "tokens", "line", "for example by")
        rows = [
            (
                one["account"],
                one["population"],
                one["label"],
                f"{one['requests']:,}",
                f"{one['tokens']:+,}",
                one["example"]["i"],
                why(one["example"]),
            )
            for one in change["by_account"]
        ]
        parts.append(table(columns, rows))
    return section("What changes against the other policy", *parts)


def _populations(rows: list[Told]) -> Markup:
    busy = sorted(rows, key=lambda row: (-row["requests"], row["population"]))
    names = [row["population"] for row in busy]

    def drawn(name: str, keys: dict[str, str], factor: float = 1, **more: Any) -> Markup:
        return bars(name, names, series_of(busy, keys, factor), **more)

    columns = (
        "population",
        "label",
        "accounts",
        "requests",
        *_DECIDED,
        "tokens before it",
        "tokens in all",
        "first acted on p50",
        "p90",
        "wrongly refused",
        "added p50",
        "p99",
    )
    shares = {word: f"share_{word}" for word in _DECIDED}
    return section(
        "By population",
        caption("decisions, % of requests"),
        drawn("decisions", shares, 100, stacked=True, range=(0, 100)),
        caption("output tokens let through, % of those asked for"),
        drawn(
            "tokens",
            {"before the first action": "share_passed_before", "in all": "share_passed"},
            100,
        ),
        caption("first acted on, seconds since an account's first request"),
        drawn(
            "first", {"half of accounts": "first_enforced_p50_s", "90 %": "first_enforced_p90_s"}
        ),
        caption("delay added to what passed, seconds"),
        drawn("delay", {"half of requests": "delay_p50_s", "99 %": "delay_p99_s"}),
        table(columns, [_population(row) for row in busy]),
    )


def _population(row: Told) -> tuple[object, ...]:
    return (
        row["population"],
        "/".join(row["labels"]),
        f"{row['accounts']:,}",
        f"{row['requests']:,}",
        *(percent(row[f"share_{word}"]) for word in _DECIDED),
        percent(row["share_passed_before"]),
        percent(row["share_passed"]),
        lasting(row["first_enforced_p50_s"]),
        lasting(row["first_enforced_p90_s"]),
        f"{row['accounts_wrongly_refused']:,}",
        lasting(row["delay_p50_s"]),
        lasting(row["delay_p99_s"]),
    )


def _timeline(timeline: Told) -> Markup:
    pieces = timeline["pieces"]
    totals = {
        word: [
            sum(one[word][at] for one in timeline["populations"].values()) for at in range(pieces)
        ]
        for word in _DECIDED
    }
    labels = [lasting(at * timeline["seconds"]) for at in range(pieces)]
    text = f"requests in each {lasting(timeline['seconds'])}"
    return section("Over time", caption(text), charts.areas("timeline", labels, totals))


def _rules(rows: list[Told]) -> Markup:
    keys = {"enforced": "enforced", "in shadow": "shadow"}
    columns = (
        "rule",
        "kind",
        "enforced",
        "accounts",
        "first at",
        "in shadow",
        "accounts",
        "first at",
    )
    cells = [
        (
            row["rule"],
            row["kind"],
            f"{row['enforced']:,}",
            f"{row['accounts_enforced']:,}",
            lasting(row["first_enforced_s"]),
            f"{row['shadow']:,}",
            f"{row['accounts_shadow']:,}",
            lasting(row["first_shadow_s"]),
        )
        for row in rows
    ]
    drawn = bars("rules", [row["rule"] for row in rows], series_of(rows, keys))
    return section("By rule", caption("requests"), drawn, table(columns, cells))


def _accounts(rows: list[Told]) -> Markup:
    columns = (
        "account",
        "population",
        "label",
        "requests",
        *_DECIDED,
        "let through",
        "1st action at",
        "rules",
    )
    cells = [
        (
            row["account"],
            row["population"],
            row["label"],
            f"{row['requests']:,}",
            *(f"{row[word]:,}" for word in _DECIDED),
            percent(row["tokens_passed"] / row["tokens_asked"] if row["tokens_asked"] else None),
            lasting(row["first_enforced_s"]),
            ", ".join(row["rules"]),
        )
        for row in rows
    ]
    series = series_of(rows, {word: word for word in _DECIDED})
    drawn = bars("accounts", [row["account"] for row in rows], series, stacked=True)
    return section("Accounts that met most", caption("requests"), drawn, table(columns, cells))
