"""
How often an address may call the admin API, and how often it may be wrong. Pure.

An address that has guessed wrong too often is not listened to for a while, the right token included:
whoever tries tokens in a flood learns of none whether it was right. Other addresses are not touched.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass

WINDOW_S = 60.0
FAILURES_A_MINUTE = 30
CALLS_A_MINUTE = 300
MAX_PEERS = 1024
"""Addresses that are remembered; beyond them all new ones count as one until a minute has passed."""
_OTHERS = ""


@dataclass(slots=True)
class _Peer:
    since: float
    calls: int = 0
    failures: int = 0
    shut_until: float = 0.0


class Peers:
    """What each address has done in its current minute. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._peers: OrderedDict[str, _Peer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._peers)

    def call(self, address: str, now: float) -> float:
        """Count a call. 0 where it may be looked at, else the seconds until one may."""
        peer = self._of(address, now)
        if peer.shut_until > now:
            return peer.shut_until - now
        if peer.calls >= CALLS_A_MINUTE:
            return peer.since + WINDOW_S - now
        peer.calls += 1
        return 0.0

    def failed(self, address: str, now: float) -> None:
        """Count a wrong token."""
        peer = self._of(address, now)
        peer.failures += 1
        if peer.failures >= FAILURES_A_MINUTE:
            peer.shut_until = now + WINDOW_S

    def _of(self, address: str, now: float) -> _Peer:
        name = _network(address)
        peer = self._peers.get(name)
        if peer is None:
            self._forget(now)
            if len(self._peers) >= MAX_PEERS:
                name = _OTHERS
                peer = self._peers.get(name)
        if peer is None or self._over(peer, now):
            # The newest window stands last, so that those which are over stand first.
            self._peers.pop(name, None)
            peer = self._peers[name] = _Peer(now)
        return peer

    def _forget(self, now: float) -> None:
        for name, peer in list(self._peers.items()):
            if peer.since + WINDOW_S > now:
                return
            if self._over(peer, now):
                del self._peers[name]

    @staticmethod
    def _over(peer: _Peer, now: float) -> bool:
        return now >= peer.since + WINDOW_S and now >= peer.shut_until


def _network(address: str) -> str:
    """The address, or the /64 that one host has all of."""
    try:
        at = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(at) if at.version == 4 else str(ipaddress.ip_network((at, 64), strict=False))
