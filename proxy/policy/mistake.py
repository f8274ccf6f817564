"""A mistake in an operator's file: where it stands, what is wrong, what was perhaps meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from proxy.errors import ConfigurationError

_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    message: str
    suggestion: str | None = None
    code: str = ""
    """Of a warning: what docs/check.md explains."""

    def __str__(self) -> str:
        hint = f" (did you mean {self.suggestion}?)" if self.suggestion else ""
        said = _UNSEEN.sub(_escaped, f"{self.message}{hint}")  # a mistake is a line
        return f"{self.file}:{self.line}:{self.column}: {said}"


def _escaped(found: re.Match[str]) -> str:
    return repr(found[0])[1:-1]


class MistakenFileError(ConfigurationError):
    """A file beside the policy that cannot be used, with every mistake that it holds."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))
