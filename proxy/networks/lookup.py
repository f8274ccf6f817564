"""
`Networks.lookup`: an address → whose network it is and what it is for. No network, no disk, no clock.

The first that knows tells: private and reserved space; operators' lists; relays; Tor; VPNs; providers'
ranges; the class of the system that announces the address. Where none knows the kind is `unknown`, never a
guess at somebody's home: a large carrier announces homes, offices and hosting from one system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from proxy.networks.classes import classify
from proxy.networks.info import MALFORMED, PRIVATE, Mark, NetworkInfo
from proxy.networks.layer import Layer
from proxy.networks.mmdb import Database
from proxy.networks.pack import Pack
from proxy.networks.table import number_of

ORDER: Final = ("relay", "tor", "vpn")
"""Kinds of feeds that are asked first; relays stand in space that providers' ranges hold too."""


@lru_cache(maxsize=8192)
def _class_of(asn: int | None, organization: str | None) -> str:
    return classify(asn, organization)


class Networks:
    """All that is known of networks. Immutable: what has changed is loaded as another one."""

    def __init__(
        self,
        pack: Pack,
        *,
        lists: Layer | None = None,
        systems: Mapping[int, Mark] | None = None,
        feeds: Sequence[tuple[str, Layer]] = (),
        databases: Sequence[Database] = (),
        missing: Sequence[str] = (),
    ) -> None:
        """`lists` and `systems` are operators' words, by network and by AS number; `feeds` are by kind."""
        self._pack = pack
        self._lists = lists
        self._systems = dict(systems or {})
        ranked = {kind: at for at, kind in enumerate(ORDER)}
        ordered = sorted(feeds, key=lambda feed: ranked.get(feed[0], len(ORDER)))
        self._feeds = tuple(layer for _, layer in ordered)
        self._databases = tuple(databases)
        self._more = bool(self._databases or self._feeds or self._systems or lists is not None)
        self.missing = tuple(missing)
        """Names of feeds that have never been fetched."""

    def lookup(self, address: str) -> NetworkInfo:
        """What is known of an address; kind `unknown` for a text that is none. Never raises."""
        parsed = number_of(address)
        if parsed is None:
            return MALFORMED
        wide, number = parsed
        pack = self._pack
        record = pack.tables[wide].find(number)
        info = pack.infos[record] or pack.info(record)
        return self._over(info, address, wide, number) if self._more else info

    def _over(self, info: NetworkInfo, address: str, wide: bool, number: int) -> NetworkInfo:
        """What operators, feeds and users' files say, over what the pack says."""
        if info is PRIVATE:
            return info
        listed = None if self._lists is None else self._lists.find(wide, number)
        relay = info.kind == "relay"
        if self._databases:
            info = self._asked(address, info)
        if listed is None and info.asn is not None:
            listed = self._systems.get(info.asn)
        if listed is not None:
            return _marked(listed, info)
        for layer in () if relay else self._feeds:
            if (found := layer.find(wide, number)) is not None:
                return _marked(found, info)
        return info

    def _asked(self, address: str, info: NetworkInfo) -> NetworkInfo:
        """What users' files say, over what the pack says; each field by the first file that has it."""
        asn = country = kind = None
        organization, source, dated = info.organization, info.source, info.dated
        for database in self._databases:
            found = database.find(address)
            country = country or found.country
            if asn is None and found.asn is not None:
                asn = found.asn
                same = asn == info.asn
                organization = found.organization or (organization if same else None)
                if kind is None:
                    source, dated = database.source, database.dated
            if kind is None and found.kind is not None:
                kind, source, dated = found.kind, database.source, database.dated
        if info.kind == "relay":
            kind, source, dated = info.kind, info.source, info.dated
        elif kind is None:
            kind = info.kind if asn is None else _class_of(asn, organization)
        return NetworkInfo(
            asn or info.asn, organization, kind, country or info.country, source, dated
        )


def _marked(mark: Mark, info: NetworkInfo) -> NetworkInfo:
    return NetworkInfo(
        info.asn,
        mark.organization or info.organization,
        mark.kind,
        mark.country or info.country,
        f"{mark.source}; {info.source}",
        mark.dated,
    )
