"""reseller_key: many callers on one key are found, one customer with many machines is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from proxy.decision import Finding
from proxy.facts import Facts, Signals
from proxy.rules.reseller_key import ResellerKey
from tests.policy.facts import facts
from tests.rules.judged import judged

DAY = 86_400.0
CARD = {
    "max_subnets": 40,
    "max_system_prompts": 50,
    "max_client_fingerprints": 4,
    "min_exceeded": 2,
}


def rule(**fields: Any) -> ResellerKey:
    return ResellerKey.model_validate({"name": "resold", "score": 40, **(fields or CARD)})


def use(
    subnet: int = 0,
    system: str | None = None,
    client: str | None = None,
    end_user: str | None = None,
    **more: Any,
) -> Facts:
    """One use of the key."""
    network = f"198.{51 + subnet // 256}.{subnet % 256}.0/24"
    signals = Signals(system=system, client=client, language=more.pop("language", None))
    return replace(facts(subnet=network, **more), end_user=end_user, signals=signals)


def resold(count: int = 2000) -> Iterator[tuple[float, Facts]]:
    """A relay's customers: each from home, with their own prompt and software."""
    for number in range(count):
        buyer = number % 120
        yield number * DAY / count, use(buyer, f"sys_{buyer}", f"stack-{buyer % 7}")


def tenant_product(count: int = 2000) -> Iterator[tuple[float, Facts]]:
    """A product: one prompt, one stack, three machines, many end users."""
    for number in range(count):
        yield number * DAY / count, use(number % 3, "sys_1", "openai-python", f"eu_{number % 500}")


def travelling_team(count: int = 500) -> Iterator[tuple[float, Facts]]:
    """A company whose people share a key: many networks, a few tools, a dozen prompts."""
    for number in range(count):
        yield (
            number * DAY / count,
            use(
                number % 60,
                f"sys_{number % 12}",
                ("curl", "openai-python", "openai-node")[number % 3],
            ),
        )


async def test_a_resold_key_is_found_with_its_numbers() -> None:
    found = await judged(rule(), resold())
    first = next(at for at, finding in enumerate(found) if finding is not None)
    assert first < 60
    assert found[first] == Finding(
        "key_shared_widely",
        {"subnets": 41, "max_subnets": 40, "client_fingerprints": 5, "max_client_fingerprints": 4},
    )


@pytest.mark.parametrize("traffic", [tenant_product, travelling_team])
async def test_customers_with_many_machines_are_not_found(traffic: Any) -> None:
    assert not any(await judged(rule(), traffic()))


@pytest.mark.parametrize(
    ("bound", "fact"),
    [
        ("max_subnets", use),
        ("max_asns", lambda n: use(asn=n + 1)),
        ("max_countries", lambda n: use(country=f"{chr(65 + n)}A")),
        ("max_client_fingerprints", lambda n: use(client=f"c{n}")),
        ("max_system_prompts", lambda n: use(system=f"s{n}")),
        ("max_end_users", lambda n: use(end_user=f"eu_{n}")),
        ("max_languages", lambda n: use(language=f"l{n}")),
    ],
)
async def test_each_bound_counts_what_it_says(bound: str, fact: Any) -> None:
    one = rule(**{bound: 5})
    at_bound = [(float(n), fact(n % 5)) for n in range(50)]
    assert not any(await judged(one, at_bound))
    above = [(float(n), fact(n)) for n in range(6)]
    assert [finding is not None for finding in await judged(one, above)] == [False] * 5 + [True]


async def test_what_a_request_does_not_tell_is_not_counted() -> None:
    one = rule(max_system_prompts=1, max_asns=1, max_languages=1)
    silent = [(float(n), use()) for n in range(10)]
    assert not any(await judged(one, silent))


async def test_a_day_later_it_starts_afresh() -> None:
    one = rule(max_subnets=3)
    spread = [(n * DAY / 2.5, use(n)) for n in range(20)]
    assert not any(await judged(one, spread))


def test_a_listed_key_is_found_at_once() -> None:
    one = rule(key_ids=["key_pj4e2mqx7k3t5w6a"])
    asked = facts(key_id="key_pj4e2mqx7k3t5w6a")
    assert one.judge(asked, ()) == Finding("key_listed", {})
    assert one.judge(facts(), ()) is None
    assert not one.needs_body


def test_only_bounds_that_look_at_the_body_wait_for_it() -> None:
    assert not rule(max_subnets=3, max_countries=3).needs_body
    assert rule(max_end_users=3).needs_body
    assert rule(max_system_prompts=3, max_languages=3).wants == {"system", "language"}
    assert rule(max_subnets=3).wants == frozenset()


def test_bounds_judge_and_the_window_counts() -> None:
    assert rule(max_subnets=3).key == rule(max_subnets=9, score=5).key
    assert rule(max_subnets=3, window="7d").key != rule(max_subnets=3).key
