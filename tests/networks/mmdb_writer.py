"""The smallest writer of MMDB files, for tests: https://maxmind.github.io/MaxMind-DB/."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Mapping
from typing import Any

Node = list[Any]
# Types of integers in the metadata, where readers insist: 5 is 16 bits, 9 is 64 bits; 32 bits else.
_KINDS = dict.fromkeys(
    ("binary_format_major_version", "binary_format_minor_version", "ip_version", "record_size"), 5
) | {"build_epoch": 9}


def mmdb(records: Mapping[str, Any], built: int = 1_767_225_600) -> bytes:
    """An IPv6 tree of 32-bit records; IPv4 networks lie under ::/96 as the format wants."""
    root: Node = [None, None]
    for text, record in records.items():
        network = ipaddress.ip_network(text)
        first = int(network.network_address)
        length = network.prefixlen + (96 if network.version == 4 else 0)
        node = root
        for depth in range(length):
            side = first >> (127 - depth) & 1
            if depth == length - 1:
                node[side] = ("data", record)
            else:
                node[side] = node[side] or [None, None]
                node = node[side]
    nodes: list[Node] = []
    _number(root, nodes)
    places = {id(node): at for at, node in enumerate(nodes)}
    tree, data = bytearray(), bytearray()
    for node in nodes:
        for child in node:
            if child is None:
                tree += struct.pack(">I", len(nodes))
            elif isinstance(child, tuple):
                tree += struct.pack(">I", len(nodes) + 16 + len(data))
                data += _encoded(child[1])
            else:
                tree += struct.pack(">I", places[id(child)])
    metadata = {
        "binary_format_major_version": 2,
        "binary_format_minor_version": 0,
        "build_epoch": built,
        "database_type": "Test",
        "description": {"en": "test"},
        "ip_version": 6,
        "languages": ["en"],
        "node_count": len(nodes),
        "record_size": 32,
    }
    return (
        bytes(tree)
        + bytes(16)
        + bytes(data)
        + b"\xab\xcd\xefMaxMind.com"
        + _encoded(metadata, _KINDS)
    )


def _number(node: Node, nodes: list[Node]) -> None:
    nodes.append(node)
    for child in node:
        if isinstance(child, list):
            _number(child, nodes)


def _encoded(value: Any, kinds: Mapping[str, int] = {}, kind: int = 6) -> bytes:
    if isinstance(value, bool):
        return _head(14, int(value))
    if isinstance(value, str):
        raw = value.encode()
        return _head(2, len(raw)) + raw
    if isinstance(value, int):
        raw = value.to_bytes(8).lstrip(b"\0")
        return _head(kind if len(raw) < 5 else 9, len(raw)) + raw
    if isinstance(value, list):
        return _head(11, len(value)) + b"".join(map(_encoded, value))
    pairs = (_encoded(key) + _encoded(one, kind=kinds.get(key, 6)) for key, one in value.items())
    return _head(7, len(value)) + b"".join(pairs)


def _head(kind: int, size: int) -> bytes:
    assert size < 29 + 256
    short = min(29, size)
    head = bytes([kind << 5 | short]) if kind < 8 else bytes([short, kind - 7])
    return head + (bytes([size - 29]) if size >= 29 else b"")
