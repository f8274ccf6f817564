"""
Where callers stand: addresses of homes, phones, servers and exits out of the evaluation data where it is
there, else out of a few whole networks (`lists.yaml`, which a replay is given too).
"""

from __future__ import annotations

import csv
import gzip
import ipaddress
import random
from pathlib import Path

import yaml

LISTS = Path(__file__).parent / "lists.yaml"
_OF_POINTS = {"residential": "isp", "enterprise_gateway": "business"}
"""The data's words for what the product calls otherwise."""

Span = tuple[int, int]
"""The first address, and the bits that may be drawn."""


class Addresses:
    """Draws addresses by what their networks are for: isp, mobile, hosting, vpn, business."""

    def __init__(self, data: Path | None) -> None:
        """`data` None takes whole networks of the lists file."""
        self.source = "evaluation data" if data is not None else LISTS.name
        self._spans: dict[str, list[Span]] = {}
        if data is None:
            for entry in yaml.safe_load(LISTS.read_text(encoding="utf-8"))["entries"]:
                for text in entry["networks"]:
                    network = ipaddress.ip_network(text)
                    span = int(network.network_address), network.max_prefixlen - network.prefixlen
                    self._spans.setdefault(entry["kind"], []).append(span)
            return
        with gzip.open(data / "ip" / "points.csv.gz", "rt", encoding="utf-8") as rows:
            for row in csv.DictReader(rows):
                point = ipaddress.ip_address(row["ip"])
                kind = _OF_POINTS.get(row["label"], row["label"])
                if point.version == 4:  # the point's own subnet: another host of it is of its kind
                    self._spans.setdefault(kind, []).append((int(point) & ~0xFF, 8))

    def one(self, draw: random.Random, kind: str) -> str:
        """An address of a network of this kind."""
        first, bits = draw.choice(self._spans[kind])
        host = draw.getrandbits(bits)
        if host & 0xFF in {0, 255}:
            host ^= 7
        return str(ipaddress.ip_address(first + host))

    def neighbours(self, draw: random.Random, kind: str, count: int) -> tuple[str, ...]:
        """Addresses beside each other: the servers of one customer."""
        first = int(ipaddress.ip_address(self.one(draw, kind))) & ~0x3F
        at = draw.randint(1, 20)
        return tuple(str(ipaddress.ip_address(first + at + one)) for one in range(count))

    @staticmethod
    def network(address: str) -> str:
        """The subnet of an address, as a customer would declare it."""
        return str(ipaddress.ip_network(f"{address}/24", strict=False))
