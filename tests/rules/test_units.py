"""Rates and durations as policies write them."""

from __future__ import annotations

import pytest

from proxy.rules.units import parse_duration, parse_rate


@pytest.mark.parametrize(
    ("text", "amount", "period"),
    [
        ("1/second", 1, 1.0),
        ("60/minute", 60, 60.0),
        ("60 / minute", 60, 60.0),
        ("10/30s", 10, 30.0),
        ("5/2hour", 5, 7200.0),
        ("1000000000/day", 1_000_000_000, 86400.0),
        ("1/31d", 1, 31 * 86400.0),
    ],
)
def test_a_rate_is_an_amount_in_a_period(text: str, amount: int, period: float) -> None:
    rate = parse_rate(text)
    assert (rate.amount, rate.period, rate.text) == (amount, period, text)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (60, "such as `60/minute`"),
        ("60", "such as `60/minute`"),
        ("0/minute", "such as `60/minute`"),
        ("-1/minute", "such as `60/minute`"),
        ("1.5/minute", "such as `60/minute`"),
        ("60/fortnight", "such as `60/minute`"),
        ("60/minute\n", "such as `60/minute`"),
        ("٦٠/minute", "such as `60/minute`"),
        ("1000000001/second", "at most 1000000000"),
        ("1/500ms", "such as `60/minute`"),
        ("1/32d", "between 1 second and 31 days"),
    ],
)
def test_what_is_no_rate_says_what_one_looks_like(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_rate(value)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("2s", 2.0), ("5m", 300.0), ("1h", 3600.0), ("1d", 86400.0)],
)
def test_a_duration_is_in_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value", [2, "2", "0s", "-2s", "2 s", "1.5s", "2S", "s", "2s\n", "367d", None]
)
def test_what_is_no_duration_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"duration|366 days"):
        parse_duration(value)
