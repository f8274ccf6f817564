"""
The class of an autonomous system: what its networks are for, by its number and its organisation's name.

First what is well known (`data/known.csv`, kept by hand), then what a name says plainly: somebody who is
called a hosting company rents servers. A name that speaks of access lines as well (`Telecom & Hosting`)
tells nothing about one address, so it stays unknown; that errs on the side of the people behind it.
"""

from __future__ import annotations

import csv
import ipaddress
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from proxy.facts import NETWORK_KINDS
from proxy.value import value

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
KNOWN_FILE: Final = Path(__file__).parent / "data" / "known.csv"
MAX_WORDS: Final = 4
"""Words that one key of the known names may have."""

_WORDS = re.compile(r"[a-z0-9]+").findall
_VPN = re.compile(r"vpns?\b|\bvirtual private network")
_HOSTING = re.compile(
    r"hosting|\bhost(?:s|ed|ers?)?\b|\w{3}host(?:er|ers)?\b|\bhost(?!el|ess|age|al|il|ot)\w{3}"
    r"|cloud(?!y)|\bservers?\b|\w{3}servers?\b|server(?:ia|farm|hub|space)|servidores"
    r"|data ?-?cent(?:er|re|ro|rum)|\bcentro de datos|rechenzentrum|\bidc\b|\bcolo(?:s|cat\w*)?\b"
    r"|\bvds\b|vps\b|\bdedicated\b|\bdedi\w|bare ?metal|\bcdn\b|content delivery|\bddos\b"
    r"|hospedagem|h[eé]bergement|hospedaje|alojamiento|webspace|web ?services"
)
_EDUCATION = re.compile(
    r"universit|\buniv\b|universid|uniwersytet|\bcollege\b|\bschools?\b|hochschule|\bacademic\b"
    r"|escuela|\bescola\b|\bpolytechn|politechn|\bpolitecnic|\bfaculty\b|\becole\b|\bstudent"
    r"|instituto federal|institute of technology|research and education|national research (?:and )?edu"
)
_ACCESS = re.compile(
    r"tele ?com|telekom|telefon|telephon|\btelco|\bcable\b|cablevision|broadband|\bfib(?:er|re|ra)\b"
    r"|\bwireless\b|\bwisp\b|\bisp\b|\bftth\b|\bcellular\b|\bmobile\b|\bcommunications?\b"
    r"|\bcomunica|provedor|internet service provider|\btv\b|\brural\b|\bbanda larga\b|\bdsl\b"
    r"|\bresidential\b|\bhomes?\b|\bbanda ancha\b"
)
_MOBILE = re.compile(
    r"\bcellular\b|\bmobile (?:communications?|telecom\w*|network)|\bmobile phone\b"
)
_ISP = re.compile(
    r"\bcable\b|cablevision|broadband|\bftth\b|banda larga|banda ancha|\bresidential\b"
    r"|\bfib(?:er|re|ra)\b"
)
_BUSINESS = re.compile(
    r"\bbank\b|\binsurance\b|\bassurance\b|\bhospitals?\b|\bministry\b|\bministerio\b|\bairlines?\b"
    r"|\bpharma\w*\b|\bcounty of\b|\bcity of\b|\bgovernment\b"
)


# RFC 6890 and the registries that it began, multicast and reserved space included. What lies inside of
# them and is announced all the same (192.0.0.9, 64:ff9b::/96 …) serves protocols, not callers.
_SPECIAL = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3
::/8 100::/64 2001:db8::/32 3fff::/20 5f00::/16 fc00::/7 fe80::/9 ff00::/8
"""
SPECIAL: Final = tuple(map(ipaddress.ip_network, _SPECIAL.split()))
"""Private and reserved networks: nobody on the Internet calls from them."""


@value
class Known:
    """`known.csv`, read."""

    of_asn: Mapping[int, str]
    of_words: Mapping[str, str]
    networks: tuple[tuple[Network, str, str], ...]
    """(network, kind, name)."""


@cache
def known() -> Known:
    """The hand-kept file. Raises ValueError with the key that cannot be read: it ships with us."""
    of_asn: dict[int, str] = {}
    of_words: dict[str, str] = {}
    networks: list[tuple[Network, str, str]] = []
    with KNOWN_FILE.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(line for line in file if not line.startswith("#")):
            key, kind = row["key"], row["kind"]
            if kind not in NETWORK_KINDS:
                raise ValueError(f"{KNOWN_FILE.name}: `{key}` is of no known kind")
            if key.startswith("AS"):
                of_asn[int(key[2:])] = kind
            elif "/" in key:
                networks.append((ipaddress.ip_network(key), kind, row["name"]))
            else:
                of_words[key] = kind
    return Known(of_asn, of_words, tuple(networks))


def classify(asn: int | None, organization: str | None) -> str:
    """One of NETWORK_KINDS for a system; `unknown` wherever a name leaves room for doubt."""
    facts = known()
    if asn is not None and (kind := facts.of_asn.get(asn)) is not None:
        return kind
    if not organization:
        return "unknown"
    name = organization.lower()
    kind = _by_words(name, facts.of_words)
    return kind if kind is not None else _by_rules(name)


def _by_words(name: str, of_words: Mapping[str, str]) -> str | None:
    words = _WORDS(name)
    for count in range(min(MAX_WORDS, len(words)), 0, -1):
        for at in range(len(words) - count + 1):
            kind = of_words.get(" ".join(words[at : at + count]))
            if kind is not None:
                return kind
    return None


def _by_rules(name: str) -> str:
    if _VPN.search(name):
        return "vpn"
    if _EDUCATION.search(name):
        return "education"
    access = _ACCESS.search(name)
    if _HOSTING.search(name):
        return "unknown" if access else "hosting"
    if access:
        if _MOBILE.search(name):
            return "mobile"
        return "isp" if _ISP.search(name) else "unknown"
    return "business" if _BUSINESS.search(name) else "unknown"
