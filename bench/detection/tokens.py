"""
How long answers are: what the upstream would have said, by kinds of use.

Anchors: Azure's public traces (chat: p50 129, p90 424; code: 13 and 55). Reasoning examples are asked
for with 20,000 output tokens, 18,000 of them to think in. The rest are estimates.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Any

_P90 = 1.2816
FIRST_TOKEN_S = 0.4
TOKENS_PER_SECOND = 60.0


@dataclass(frozen=True)
class Lengths:
    """A log-normal by its p50 and p90, and what part of it is reasoning."""

    p50: float
    p90: float
    most: int = 32_000
    reasoning: float = 0.0

    def response(
        self, draw: random.Random, sent_chars: int, most: int | None = None
    ) -> dict[str, Any]:
        """An answer to so many characters, at most so long as was asked."""
        sigma = math.log(self.p90 / self.p50) / _P90
        made = int(draw.lognormvariate(math.log(self.p50), sigma))
        made = min(max(1, made), self.most, most or self.most)
        found: dict[str, Any] = {
            "status": 200,
            "input_tokens": max(3, sent_chars // 4),
            "output_tokens": made,
        }
        if self.reasoning:
            found["reasoning_tokens"] = int(made * min(0.95, draw.gauss(self.reasoning, 0.05)))
        found["duration"] = round(FIRST_TOKEN_S + made / TOKENS_PER_SECOND, 2)
        return found


LENGTHS = {
    "chat": Lengths(129, 424),
    "completion": Lengths(13, 55),
    "support": Lengths(70, 180),
    "rag": Lengths(160, 380),
    "agent": Lengths(180, 900),
    "label": Lengths(4, 9),
    "choice": Lengths(6, 220),
    "instruction": Lengths(220, 700),
    "generation": Lengths(600, 1500),
    "code": Lengths(350, 1100),
    "reasoning": Lengths(6000, 16_000, 20_000, reasoning=0.85),
    "math": Lengths(450, 1200, reasoning=0.4),
    "one": Lengths(1, 2, 16),
    "none": Lengths(1, 1, 0),
}
