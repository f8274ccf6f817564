"""
What a regular expression may hold: Rust's run in linear time; what they cost to compile is bounded here.
"""

from __future__ import annotations

import re
from typing import Final

from proxy.expressions.syntax import ExpressionError, Literal, Node, start

MAX_PATTERN: Final = 64
"""Characters of a pattern: it is compiled at each evaluation."""

_COUNTED = re.compile(r"\\[^.*+?()\[\]{}|^$/\\-]|\{|\(\?(?!:)")
"""What makes a pattern's program large: repetitions by number, Unicode's classes, flags."""


def check_pattern(node: Node) -> None:
    """Raises ExpressionError."""
    if not isinstance(node, Literal) or not isinstance(node.value, str):
        raise ExpressionError("a pattern is written out, so that it can be checked", start(node))
    if len(node.value) > MAX_PATTERN:
        raise ExpressionError(f"a pattern has at most {MAX_PATTERN} characters", node.at)
    if _COUNTED.search(node.value):
        raise ExpressionError(
            "a pattern has no counted repetition, flag or class by a letter: "
            "write `[0-9]` for a digit, `a*`, `a+`, `a?`",
            node.at,
        )
