"""How many subjects one network may bring into being."""

from __future__ import annotations

from proxy.counters.bounds import SubjectBounds

NET, OTHER = "203.0.113.0/24", "198.51.100.0/24"


def admitted(bounds: SubjectBounds, subjects: list[str], subnet: str = NET, now: float = 0) -> int:
    """How many of them are counted on their own."""
    return sum(bounds.admit(subject, subnet, now) == subject for subject in subjects)


def keys(count: int, start: int = 0) -> list[str]:
    return [f"api_key:{number}" for number in range(start, start + count)]


def test_beyond_its_bound_a_subnet_shares_one_subject_a_kind() -> None:
    bounds = SubjectBounds(per_subnet=3)
    assert admitted(bounds, keys(5)) == 3
    assert bounds.admit("api_key:9", NET, 0) == f"overflow:api_key:{NET}"
    assert bounds.admit("end_user:9", NET, 0) == "end_user:9"
    assert bounds.admit("api_key:9", OTHER, 0) == "api_key:9"


def test_who_is_known_stays_and_newcomers_push_nobody_out() -> None:
    bounds = SubjectBounds(per_subnet=3, ttl=60)
    assert admitted(bounds, keys(3)) == 3
    for now in range(0, 600, 50):
        assert admitted(bounds, keys(50, start=100), now=now) == 0
        assert admitted(bounds, keys(3), now=now) == 3


def test_places_of_those_not_seen_for_two_ttls_are_free_again() -> None:
    bounds = SubjectBounds(per_subnet=3, ttl=60)
    admitted(bounds, keys(3))
    assert admitted(bounds, keys(3, start=10), now=121) == 3
    assert len(bounds) == 3


def test_memory_is_bounded_whatever_comes() -> None:
    bounds = SubjectBounds(per_subnet=8, max_subnets=16, max_subjects=40, ttl=60)
    for number in range(5000):
        subnet = f"10.{number % 97}.0.0/16"
        bounds.admit(f"api_key:{number}", subnet, now=number / 100)
        assert len(bounds) <= 40
        assert len(bounds._subnets) <= 16


def test_subnets_beyond_the_bound_share_one_subject() -> None:
    bounds = SubjectBounds(max_subnets=1, ttl=60)
    assert bounds.admit("api_key:a", NET, 0) == "api_key:a"
    assert bounds.admit("api_key:b", OTHER, 1) == "overflow:api_key:elsewhere"
    assert bounds.admit("api_key:b", OTHER, 130) == "api_key:b"
