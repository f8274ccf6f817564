"""Rule kinds, one file each. Adding a kind is one file and one entry here."""

from __future__ import annotations

from typing import Final

from proxy.rules.base import RuleKind
from proxy.rules.rate_limit import RateLimit

RULE_KINDS: Final[tuple[type[RuleKind], ...]] = (RateLimit,)

COMING_KINDS: Final = frozenset(
    {
        "client_fingerprint",
        "concurrency",
        "datacenter_ip",
        "expression",
        "listed",
        "logit_probing",
        "machine_pace",
        "prompt_diversity",
        "prompt_template",
        "reasoning_elicitation",
        "request_shape",
        "reseller_key",
        "sensitive_topics",
        "token_budget",
    }
)
"""Kinds of the policy language that this version cannot carry out: a load error that says so."""
