"""Immutable values at the price of mutable ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def value(cls: type[_T]) -> type[_T]:
    """A slotted dataclass that the type checker holds to be frozen.

    `dataclass(frozen=True)` sets each field through `object.__setattr__`, which costs more than
    twice as much; a request makes some fifteen values. Nothing assigns to them: mypy sees to that.
    """
    return dataclass(slots=True, unsafe_hash=True)(cls)
