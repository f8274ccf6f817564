"""Nobody is taken for who he only claims to be. Each key, address or account has one answer an hour."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from itertools import count

import pytest

from tests.blackbox.conftest import call, raw
from tests.blackbox.recorder import Recorder
from tests.support.excise import Excise, running_excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: by-key, kind: rate_limit, per: api_key, limit: 1/hour, burst: 1, action: throttle}
"""
BY_ADDRESS = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - {name: by-address, kind: rate_limit, per: address, limit: 1/hour, burst: 1, action: throttle}
"""
BY_ACCOUNT = BY_ADDRESS.replace("address", "account")
CHAT = b'{"model":"m","messages":[{"role":"user","content":"hello"}]}'
PATH = "/v1/chat/completions"
JSON = "Content-Type: application/json"
QUERY_NAMES = (
    *("Key", "api-key", "api_key", "subscription-key", "$oauth_token", "token", "apiKey"),
    *(
        "x-goog-api-key",
        "x-litellm-api-key",
        "x-portkey-api-key",
        "access_key",
        "bearer_token",
        "xoauth",
    ),
)
GATEWAYS = (
    *("apikey: KEY", "x-litellm-api-key: KEY", "x-litellm-api-key: Bearer KEY"),
    *("x-portkey-api-key: KEY", "cf-aig-authorization: Bearer KEY", "Helicone-Auth: bearer  KEY"),
)
FRESH = (f"sk-fresh-{number}" for number in count())

CLAIMS = (
    "X-Forwarded-For: 192.0.2.%d",
    "X-Forwarded-For: 10.0.0.%d, 127.0.0.1",
    "X-Forwarded-For: 2001:db8::%d",
    "X-Forwarded-For: [2001:db8::%d]:443",
    "X-Forwarded-For: fe80::%d%%eth0",
    "X-Forwarded-For: 192.0.2.%d:1234",
    "Forwarded: for=192.0.2.%d",
    'Forwarded: for="[2001:db8::%d]:443"',
    "X-Real-IP: 192.0.2.%d",
    "True-Client-IP: 192.0.2.%d",
    "CF-Connecting-IP: 192.0.2.%d",
    "X-Client-IP: 192.0.2.%d",
    "X-Cluster-Client-IP: 192.0.2.%d",
    "Fastly-Client-IP: 192.0.2.%d",
    "X-Original-Forwarded-For: 192.0.2.%d",
    "Via: 1.1 192.0.2.%d",
)


def ask(excise: Excise, *headers: str, target: str = PATH, key: str = "") -> int:
    return call(excise, "POST", target, CHAT, key=key or next(FRESH), headers=(JSON, *headers))[0]


@pytest.fixture(scope="module")
def by_address(recording: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Excise]:
    """Nobody in front is trusted."""
    with running_excise(
        tmp_path_factory.mktemp("plain"), BY_ADDRESS, upstream=recording.url, mode="enforce"
    ) as running:
        assert ask(running) == 200
        yield running


@pytest.mark.parametrize("claim", CLAIMS)
def test_no_header_makes_another_address_where_nobody_is_trusted(
    by_address: Excise, claim: str
) -> None:
    assert ask(by_address, claim % 7) == 429


@pytest.fixture(scope="module")
def behind_a_hop(recording: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Excise]:
    """Who connects is a trusted hop, and so is all of 10.0.0.0/8 behind it."""
    with running_excise(
        tmp_path_factory.mktemp("hop"),
        BY_ADDRESS,
        upstream=recording.url,
        mode="enforce",
        client_address_from="x-forwarded-for",
        client_address_trusted="127.0.0.1/32,10.0.0.0/8",
        client_address_ja4_header="X-JA4",
    ) as running:
        yield running


@pytest.mark.parametrize(
    ("number", "forwarded"),
    [
        (1, ("198.51.100.1",)),
        (2, ("192.0.2.7, 198.51.100.2",)),
        (3, ("198.51.100.3, 10.1.2.3",)),
        (4, ("192.0.2.7", "198.51.100.4")),
        (5, ("192.0.2.7", "198.51.100.5, 10.1.2.3", "10.9.9.9")),
        (6, ("unknown, 198.51.100.6",)),
        (7, ("[::1], 198.51.100.7:443",)),
        (8, ("fe80::1%eth0, ::ffff:198.51.100.8",)),
    ],
)
def test_behind_a_trusted_hop_the_address_is_the_one_it_wrote(
    behind_a_hop: Excise, number: int, forwarded: tuple[str, ...]
) -> None:
    wrote = [f"X-Forwarded-For: {value}" for value in forwarded]
    assert ask(behind_a_hop, *wrote) == 200
    event = behind_a_hop.wait_for("request", **{"client.address": f"198.51.100.{number}"})
    assert event["decision"] == "allow"
    # Whatever the caller puts before it, it stays that address.
    forged = [f"X-Forwarded-For: 203.0.113.{number}, 10.0.0.1", *wrote]
    assert ask(behind_a_hop, *forged, "X-Real-IP: 203.0.113.9", "Forwarded: for=203.0.113.9") == 429


def test_a_ja4_is_a_trusted_hops_or_nobodys(
    behind_a_hop: Excise, by_account: Excise, upstream: Recorder
) -> None:
    told = "X-JA4: t13d1516h2_8daaf6152771_02713d6af862"
    ask(behind_a_hop, "X-Forwarded-For: 198.51.100.77", told)
    event = behind_a_hop.wait_for("request", **{"client.address": "198.51.100.77"})
    assert event["client.ja4"] == "t13d1516h2_8daaf6152771_02713d6af862"
    for number, bad in enumerate((("X-JA4: x",), (told, told), (told + ", " + told,))):
        ask(behind_a_hop, f"X-Forwarded-For: 198.51.100.{80 + number}", *bad)
        where = {"client.address": f"198.51.100.{80 + number}"}
        assert "client.ja4" not in behind_a_hop.wait_for("request", **where)
    upstream.clear()
    ask(by_account, told)
    assert "client.ja4" not in by_account.wait_for("request", decision="allow")
    assert "x-ja4" not in [name.lower() for name, _ in upstream.requests[-1].headers]


@pytest.mark.parametrize("value", ["fe80::1%eth0", "not an address", "198.51.100.300", "1" * 200])
def test_what_is_no_address_behind_a_hop_is_the_hop_and_noted(
    behind_a_hop: Excise, value: str
) -> None:
    ask(behind_a_hop, f"X-Forwarded-For: {value}")
    event = behind_a_hop.wait_for("request", **{"client.address": "127.0.0.1"})
    assert "forwarded_header_malformed" in event["client.note"]


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        (PATH, ("x-api-key: sk-other",)),
        (PATH, ("api-key: sk-other",)),
        (PATH, ("x-goog-api-key: sk-other",)),
        (PATH, ("Ocp-Apim-Subscription-Key: sk-other",)),
        (PATH, ("X_Api_Key: sk-other",)),
        *((PATH, (header.replace("KEY", "sk-other"),)) for header in GATEWAYS),
        (PATH, ("Authorization: Bearer sk-other",)),
        (PATH, ("aUTHORIZATION: bEARER sk-other",)),
        (PATH + "?key=sk-other", ()),
        (PATH + "?%6Bey=sk-other", ()),
        (PATH + "?a=b&access_token=sk-other", ()),
        *((f"{PATH}?a=b&{name}=sk-other", ()) for name in QUERY_NAMES),
    ],
)
def test_two_keys_are_none(
    excise: Excise, upstream: Recorder, target: str, headers: tuple[str, ...]
) -> None:
    assert ask(excise, *headers, target=target) == 400
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("name", "target", "header"),
    [
        ("a", PATH, "aUTHORIZATION: Bearer KEY"),
        ("b", PATH, "Authorization: bEARER KEY"),
        ("c", PATH, "Authorization: \t Bearer   KEY \t "),
        ("d", PATH, "X-Api-Key: KEY"),
        ("e", PATH, "api-key:   KEY  "),
        ("f", PATH, "x-goog-api-key: KEY"),
        ("g", PATH + "?key=KEY", "X-None: x"),
        ("h", PATH + "?a=b&%6b%65y=%73k-same-h", "X-None: x"),
        ("i", PATH, "ocp-apim-subscription-key: KEY"),
        *((f"gateway-{at}", PATH, header) for at, header in enumerate(GATEWAYS)),
        *((name, f"{PATH}?{name}=KEY", "X-None: x") for name in QUERY_NAMES),
    ],
)
def test_one_key_is_one_however_it_is_sent(
    excise: Excise, upstream: Recorder, name: str, target: str, header: str
) -> None:
    key = f"sk-same-{name}"
    assert ask(excise, key=key) == 200
    lines = (
        f"POST {target} HTTP/1.1",
        "Host: x",
        header,
        JSON,
        f"Content-Length: {len(CHAT)}",
        "Connection: close",
    )
    head = "\r\n".join((*lines, "", "")).replace("KEY", key)
    assert raw(excise, head.encode() + CHAT)[0] == 429
    assert len(upstream.requests) == 1


@pytest.fixture(scope="module")
def by_one_header(
    recording: Recorder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Excise]:
    """The gateway behind goes by a header of its own alone."""
    with running_excise(
        tmp_path_factory.mktemp("one"),
        POLICY,
        upstream=recording.url,
        mode="enforce",
        key_header="X-Own-Key",
    ) as running:
        yield running


def test_where_a_gateway_goes_by_one_header_others_make_no_other_caller(
    by_one_header: Excise, upstream: Recorder
) -> None:
    own = "X-Own-Key: Bearer sk-own"
    assert ask(by_one_header, own, key="sk-provider") == 200
    sent = {name.lower(): value for name, value in upstream.requests[0].headers}
    assert (sent["x-own-key"], sent["authorization"]) == ("Bearer sk-own", "Bearer sk-provider")
    assert ask(by_one_header, "x-own-key: sk-own", "x-api-key: sk-a", key="sk-decoy") == 429
    assert ask(by_one_header, own, target=f"{PATH}?key=sk-b") == 429
    assert ask(by_one_header, own, "X-Own-Key: sk-two") == 400
    assert ask(by_one_header, key="sk-provider") == 401
    assert len(upstream.requests) == 1


def test_a_key_in_another_case_is_another_key(excise: Excise, upstream: Recorder) -> None:
    # Keys are opaque and their case counts: to hold two for one would let a caller use up another's limit.
    assert [ask(excise, key=key) for key in ("sk-CaSe", "sk-case", "sk-CaSe")] == [200, 200, 429]
    sent = [dict(one.headers)["Authorization"] for one in upstream.requests]
    assert sent == ["Bearer sk-CaSe", "Bearer sk-case"]


@pytest.mark.parametrize("name", ["key", *QUERY_NAMES])
def test_a_key_in_the_query_stands_nowhere_but_in_what_the_upstream_is_sent(
    excise: Excise, upstream: Recorder, name: str
) -> None:
    key = f"sk-in-the-query-{name}"
    lines = (f"POST {PATH}?{name}={key}&a=b HTTP/1.1", "Host: x", JSON, "Connection: close")
    head = "\r\n".join((*lines, f"Content-Length: {len(CHAT)}", "", ""))
    status, received = raw(excise, head.encode() + CHAT)
    assert status == 200
    assert upstream.requests[0].target == f"{PATH}?{name}={key}&a=b"
    status, received = raw(excise, head.encode() + CHAT)
    assert status == 429
    assert key.encode() not in received
    excise.wait_for("request", decision="throttle", **{"url.path": PATH})
    assert key not in excise.log_text
    with urllib.request.urlopen(f"{excise.health_url}/metrics", timeout=10) as answer:
        assert key not in answer.read().decode()


@pytest.fixture(scope="module")
def by_account(recording: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Excise]:
    """A gateway names the account, but not the one that connects here."""
    with running_excise(
        tmp_path_factory.mktemp("gateway"),
        BY_ACCOUNT,
        upstream=recording.url,
        mode="enforce",
        gateway_trusted="10.0.0.0/8",
        gateway_account_header="X-Account",
        client_address_ja4_header="X-JA4",
    ) as running:
        yield running


def test_an_account_header_of_somebody_else_is_neither_believed_nor_sent_on(
    by_account: Excise, upstream: Recorder
) -> None:
    key = "sk-with-an-account"
    assert ask(by_account, "X-Account: victim", key=key) == 200
    assert ask(by_account, "X-Account: another", key=key) == 429
    assert ask(by_account, "x-account: victim", "X-Forwarded-For: 10.0.0.1", key=key) == 429
    assert len(upstream.requests) == 1
    assert "x-account" not in [name.lower() for name, _ in upstream.requests[0].headers]
