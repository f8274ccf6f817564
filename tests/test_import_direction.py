"""Who may know whom: the pure rooms do no I/O, and the edge keeps no policy."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PRODUCT = Path(__file__).parent.parent / "proxy"
IO = ("aiohttp", "asyncio", "random", "redis", "socket", "structlog", "time", "uvloop")
FORBIDDEN = {
    "facts.py": IO,
    "surface.py": (*IO, "proxy.edge", "proxy.policy", "proxy.rules", "proxy.dialects"),
    "decision.py": IO,
    "head.py": IO,
    "errors.py": IO,
    "dialects": (*IO, "proxy.edge", "proxy.policy", "proxy.rules", "proxy.counters"),
    "degrade": (*IO, "proxy.edge", "proxy.policy", "proxy.rules", "proxy.counters"),
    "rules": (*IO, "proxy.edge", "proxy.policy", "proxy.dialects"),
    "policy": (*IO, "proxy.edge", "proxy.dialects"),
    "counters": ("proxy.edge", "proxy.policy", "proxy.rules", "proxy.dialects"),
    "classify.py": (*IO, "proxy.edge", "proxy.dialects"),
    "derive.py": (*IO, "proxy.edge", "proxy.policy", "proxy.rules", "proxy.dialects"),
    "signals": (
        *IO,
        "proxy.edge",
        "proxy.policy",
        "proxy.rules",
        "proxy.counters",
        "proxy.dialects",
        "proxy.settings",
    ),
    "expressions": (
        *IO,
        "proxy.edge",
        "proxy.policy",
        "proxy.rules",
        "proxy.counters",
        "proxy.dialects",
    ),
    "lists.py": (*IO, "proxy.edge", "proxy.policy", "proxy.rules", "proxy.counters"),
    "listing.py": ("redis", "proxy.edge", "proxy.policy", "proxy.rules"),
    "scenarios": (*(name for name in IO if name != "time"), "proxy.edge"),
    **{
        f"scenarios/{name}.py": (*IO, "proxy.edge", "proxy.cli")
        for name in ("fill", "traffic", "watch", "wire", "coverage", "junit")
    },
    "notices.py": ("aiohttp", "redis", "proxy.edge", "proxy.rules"),
    "tallies.py": (*IO, "proxy.edge", "proxy.rules"),
    "replay": (*IO, "proxy.app", "proxy.edge.exchange", "proxy.edge.server", "proxy.edge.upstream"),
    "explain": (*IO, "proxy.edge", "proxy.pipeline", "proxy.replay", "proxy.settings"),
    "demo": ("proxy.edge", "proxy.pipeline", "proxy.judge", "proxy.judgement", "redis"),
    "counters/protocol.py": IO,
    "counters/states.py": IO,
    "counters/codec.py": IO,
    "counters/bounds.py": IO,
    "client/accounts_import.py": IO,
    "client/csv_cells.py": IO,
    "client/credentials.py": IO,
    "client/address.py": IO,
    "client/identity.py": (*IO, "proxy.edge", "proxy.counters"),
    # It parses addresses with `socket.inet_pton`, opens no socket, and reads no clock but refresh's.
    "networks": (
        *(name for name in IO if name not in {"socket", "time"}),
        "proxy.edge",
        "proxy.counters",
        "proxy.client",
        "proxy.settings",
    ),
    "networks/lookup.py": ("time", "urllib", "proxy.settings"),
    "networks/table.py": ("time", "proxy.policy"),
    "edge": ("proxy.policy", "proxy.rules", "proxy.counters", "proxy.pipeline", "redis"),
    "edge/upstream.py": IO,
    "edge/upstream_parser.py": IO,
    "edge/upstream_reply.py": IO,
    "pipeline.py": ("aiohttp", "redis", "proxy.edge"),
}


def imported(file: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, and of what it imports from them."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{file}: a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breaches(place: Path, forbidden: tuple[str, ...]) -> list[str]:
    files = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    assert files
    return [
        f"{file.name} imports {name}"
        for file in files
        for name in imported(file)
        if any(name == one or name.startswith(f"{one}.") for one in forbidden)
    ]


@pytest.mark.parametrize("place", FORBIDDEN)
def test_no_room_knows_what_it_must_not(place: str) -> None:
    assert breaches(PRODUCT / place, FORBIDDEN[place]) == []


@pytest.mark.parametrize(
    "line",
    [
        "import redis",
        "from redis import asyncio",
        "import redis.asyncio as r",
        "if 1:\n  import redis",
    ],
)
def test_a_breach_would_be_found(tmp_path: Path, line: str) -> None:
    (tmp_path / "planted.py").write_text(line, encoding="utf-8")
    assert breaches(tmp_path, ("redis",))
    assert not breaches(tmp_path, ("red", "redi", "asyncio"))
