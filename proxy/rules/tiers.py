"""One value for all, or one for each tier, account, profile or model, and `else` for the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

from proxy.facts import PROFILES, Facts
from proxy.nearest import nearest
from proxy.rules.fields import wrong

V = TypeVar("V")

BY: Final[dict[str, Callable[[Facts], str | None]]] = {
    "tier": lambda facts: facts.client.tier,
    "account": lambda facts: facts.client.account,
    "profile": lambda facts: facts.client.profile,
    "model": lambda facts: facts.ask.model if facts.ask is not None else None,
}


class Tiered(Generic[V]):
    """What `by` names chooses among `values`; `otherwise` is for whoever has none of them."""

    __slots__ = ("_tier_of", "by", "otherwise", "values")

    def __init__(self, by: str | None, values: dict[str, V], otherwise: V) -> None:
        self.by = by
        self.values = values
        self.otherwise = otherwise
        self._tier_of = BY[by] if by is not None else None

    def of(self, facts: Facts) -> tuple[str | None, V]:
        """(tier, its value); None for `else` and where there are no tiers."""
        tier_of = self._tier_of
        tier = None if tier_of is None else tier_of(facts)
        value = None if tier is None else self.values.get(tier)
        return (None, self.otherwise) if value is None else (tier, value)

    def all(self) -> tuple[V, ...]:
        """Every value that some tier has."""
        return (*self.values.values(), self.otherwise)


def parse_tiered(value: object, parse: Callable[[object], V]) -> Tiered[V]:
    """One value, or a mapping with `by` and `else`; `parse` raises ValueError in operators' words."""

    def one(given: object, path: tuple[str, ...]) -> V:
        try:
            return parse(given)
        except ValueError as error:
            raise wrong(str(error), path) from None

    if not isinstance(value, dict):
        return Tiered(None, {}, one(value, ()))
    by = value.get("by")
    if not isinstance(by, str) or by not in BY:
        message = f"`by` must be one of {', '.join(BY)}"
        place = ("by",) if "by" in value else ()
        raise wrong(message, place, nearest(str(by), BY) if "by" in value else None)
    if "else" not in value:
        raise wrong("a limit by tiers needs `else`, for whoever has none of them")
    for tier in value.keys() - {"by", "else"} if by == "profile" else ():
        if tier not in PROFILES:
            message = f"`{tier}` is not one of {', '.join(PROFILES)}"
            raise wrong(message, (tier,), nearest(str(tier), PROFILES))
    values = {
        tier: one(given, (tier,)) for tier, given in value.items() if tier not in {"by", "else"}
    }
    return Tiered(by, values, one(value["else"], ("else",)))


def _tiers(by: dict[str, Any], one: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"by": by},
        "required": ["by", "else"],
        "additionalProperties": one,
    }


def tiered_schema(one: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of one such value, or of a mapping of tiers to them."""
    return {
        "anyOf": [
            one,
            _tiers({"enum": [name for name in BY if name != "profile"]}, one),
            _tiers({"const": "profile"}, one)
            | {"propertyNames": {"enum": ["by", *PROFILES, "else"]}},
        ]
    }
