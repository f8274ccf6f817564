"""
A campaign drawn: on the left what is shared, on the right who shares it. Pure; one SVG, which fetches
nothing, or DOT for tools that lay graphs out themselves.

Accounts that share the same things are drawn as one circle, the larger the more they are: so that a
campaign of 20,000 is as easy to look at as one of twenty. All text goes through `Markup.format`, which
escapes.
"""

from __future__ import annotations

import math
from typing import Any, Final

from markupsafe import Markup

from proxy.console import printable

Told = dict[str, Any]

MOST_THINGS: Final = 24
MOST_GROUPS: Final = 32
MOST_TEXT: Final = 44
WIDTH: Final = 1080
ROW: Final = 44
TOP: Final = 120
_THING_X: Final = 400
_GROUP_X: Final = 720
_COLOURS: Final = {
    "content": "#b8530a",
    "client": "#1f6f8b",
    "network": "#4d7c2a",
    "linkage": "#8b2252",
    "volume": "#5a4fcf",
}
_OTHER: Final = "#555555"

_SVG: Final = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
    'height="{height}" font-family="sans-serif" font-size="13" role="img">'
    '<title>{title}</title><rect width="100%" height="100%" fill="#ffffff"/>'
    '<text x="20" y="32" font-size="20" font-weight="bold">{title}</text>'
    '<text x="20" y="58" fill="#444">{line}</text><text x="20" y="80" fill="#444">{more}</text>'
    "{parts}</svg>\n"
)
_LINE: Final = Markup(
    '<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-opacity="0.55" '
    'stroke-width="{width:.1f}"/>'
)
_THING: Final = Markup(
    '<circle cx="{x}" cy="{y}" r="6" fill="{colour}"/>'
    '<text x="{text_x}" y="{text_y}" text-anchor="end">{name}</text>'
    '<text x="{text_x}" y="{more_y}" text-anchor="end" font-size="11" fill="#666">{more}</text>'
)
_GROUP: Final = Markup(
    '<circle cx="{x}" cy="{y}" r="{r:.1f}" fill="#f2e6d8" stroke="#333" '
    'stroke-dasharray="{dash}"/><text x="{text_x}" y="{text_y}">{name}</text>'
)


def graph(told: Told) -> str:
    """The SVG of one campaign's document."""
    things = told["shared"][:MOST_THINGS]
    groups, beyond = _groups(told["accounts"], [one["shared"] for one in things])
    rows = max(len(things), len(groups), 1)
    thing_at = {one["shared"]: _spread(at, len(things), rows) for at, one in enumerate(things)}
    colours = {one["shared"]: _COLOURS.get(one["family"], _OTHER) for one in things}
    lines, circles = [], []
    for at, (shared, suspected, accounts) in enumerate(groups):
        y = _spread(at, len(groups), rows)
        width = 1 + math.log10(len(accounts))
        lines += [
            _LINE.format(
                x1=_THING_X, y1=thing_at[one], x2=_GROUP_X, y2=y, colour=colours[one], width=width
            )
            for one in shared
        ]
        circles.append(_circle(y, accounts, suspected=suspected))
    drawn = [_thing(one, thing_at[one["shared"]], colours[one["shared"]]) for one in things]
    more = f"shared of families {', '.join(told['families'])}; dashed: only suspected"
    left_out = beyond + told["left_out"]
    if left_out:
        more += f"; {left_out} accounts that share other things are not drawn"
    svg = _SVG.format(
        width=WIDTH,
        height=TOP + rows * ROW + 20,
        title=_short(f"Campaign {told['campaign']}"),
        line=f"{told['members']:,} accounts, {told['suspected']:,} suspected, "
        f"{told['requests']:,} requests ({told['refused']:,} refused), "
        f"{told['output_tokens']:,} tokens of output; "
        f"{told['since'][:16]} to {told['seen'][:16]}",
        more=more,
        parts=Markup("").join([*lines, *drawn, *circles]),
    )
    return str(svg)


def dot(told: Told) -> str:
    """The same, account by account, for Graphviz, Gephi and their like."""
    lines = [f"graph {_quoted(told['campaign'])} {{", "  node [shape=point]"]
    for one in told["shared"]:
        colour = _COLOURS.get(one["family"], _OTHER)
        lines.append(
            f"  {_quoted(one['shared'])} [shape=box, color={_quoted(colour)}, "
            f"family={_quoted(one['family'])}, signal={_quoted(one['signal'])}]"
        )
    for one in told["accounts"]:
        lines.append(f"  {_quoted(one['id'])} [state={one['state']}, requests={one['requests']}]")
        lines += [
            f"  {_quoted(one['id'])} -- {_quoted(reason['shared'])} [signal={_quoted(reason['signal'])}]"
            for reason in one["reasons"]
        ]
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    text = str(printable(text)).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


Group = tuple[tuple[str, ...], bool, list[str]]


def _groups(accounts: list[Told], things: list[str]) -> tuple[list[Group], int]:
    """Accounts by what they share of `things`, the largest groups first; how many are left out."""
    known = set(things)
    found: dict[tuple[tuple[str, ...], bool], list[str]] = {}
    for one in accounts:
        shared = tuple(sorted({reason["shared"] for reason in one["reasons"]} & known))
        found.setdefault((shared, one["state"] == "suspected"), []).append(one["id"])
    nothing_drawn = sum(len(found.pop(((), only), [])) for only in (False, True))
    ordered = sorted(found.items(), key=lambda group: (-len(group[1]), group[0]))
    drawn = [(shared, suspected, ids) for (shared, suspected), ids in ordered[:MOST_GROUPS]]
    return drawn, nothing_drawn + sum(len(ids) for _, ids in ordered[MOST_GROUPS:])


def _spread(at: int, count: int, rows: int) -> int:
    """Where the one at this place stands, of so many that share the height of all rows."""
    return TOP + round((at + 0.5) * rows * ROW / count)


def _thing(one: Told, y: int, colour: str) -> Markup:
    who = "end users could" if one["by_end_users"] else "not by end users"
    more = f"{one['accounts']:,} accounts · {one['family']} · {one['signal']} · {who}"
    x = _THING_X - 14
    return _THING.format(
        x=_THING_X,
        y=y,
        colour=colour,
        text_x=x,
        text_y=y - 1,
        more_y=y + 13,
        name=_short(one["shared"]),
        more=_short(more, 70),
    )


def _circle(y: int, accounts: list[str], *, suspected: bool) -> Markup:
    count = len(accounts)
    name = accounts[0] if count == 1 else f"{count:,} accounts: {accounts[0]}, …"
    return _GROUP.format(
        x=_GROUP_X,
        y=y,
        r=4 + 4 * math.log10(count),
        dash="3 3" if suspected else "none",
        text_x=_GROUP_X + 26,
        text_y=y + 4,
        name=_short(name),
    )


def _short(text: str, most: int = MOST_TEXT) -> str:
    text = str(printable(text))
    return text if len(text) <= most else text[: most - 1] + "…"
