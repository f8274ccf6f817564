"""Where headers stand is remembered by their names, and never tells of another request's values."""

from __future__ import annotations

from itertools import count

from proxy.head import Head, RawHeaders

WANTED = frozenset({b"user-agent", b"host"})
NUMBERS = count()


def head(*headers: tuple[bytes, bytes]) -> Head:
    return Head("POST", "/v1/x", "", headers, "192.0.2.1")


def test_headers_are_found_in_any_case_as_often_as_they_stand_and_in_order() -> None:
    given = ((b"HOST", b"a"), (b"X-Other", b"b"), (b"user-Agent", b"c"), (b"host", b"d"))
    assert head(*given).among(WANTED) == [(b"host", b"a"), (b"user-agent", b"c"), (b"host", b"d")]
    assert head((b"Hos", b"a"), (b"Host-", b"b")).among(WANTED) == []
    assert head().among(WANTED) == []


def test_another_request_of_the_same_names_keeps_its_own_values() -> None:
    one, other = head((b"Host", b"one")), head((b"Host", b"other"))
    assert one.layout is other.layout, "worked out once"
    assert (one.among(WANTED), other.among(WANTED)) == ([(b"host", b"one")], [(b"host", b"other")])
    again = head((b"host", b"one"))
    assert again.layout is not one.layout, "a program that writes otherwise is another"
    assert again.layout.names == (b"host",)


def test_two_sets_of_wanted_names_are_told_apart() -> None:
    asked = head((b"Host", b"a"), (b"Accept", b"b"))
    assert asked.among(frozenset({b"accept"})) == [(b"accept", b"b")]
    assert asked.among(frozenset({b"host"})) == [(b"host", b"a")]


def test_long_names_are_not_kept() -> None:
    long: RawHeaders = tuple((b"x-%d-%s" % (next(NUMBERS), b"n" * 90), b"v") for _ in range(12))
    one, other = head(*long, (b"Host", b"a")), head(*long, (b"Host", b"b"))
    assert one.layout is not other.layout
    assert one.among(WANTED) == [(b"host", b"a")]


def test_what_the_names_themselves_tell() -> None:
    layout = head((b"X-Excise-Mode", b"1"), (b"x-excise-a", b""), (b"X-Excised", b"")).layout
    assert layout.ours == (b"X-Excise-Mode", b"x-excise-a")
    assert layout.size == 13 + 10 + 9
    assert layout.plain
    assert not head((b"X_Team", b"a")).layout.plain
