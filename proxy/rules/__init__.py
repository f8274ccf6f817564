"""Rule kinds, one file each. Adding a kind is one file and one entry here."""

from __future__ import annotations

from typing import Final

from proxy.rules.base import RuleKind
from proxy.rules.datacenter_ip import DatacenterIp
from proxy.rules.prompt_diversity import PromptDiversity
from proxy.rules.rate_limit import RateLimit
from proxy.rules.reseller_key import ResellerKey

RULE_KINDS: Final[tuple[type[RuleKind], ...]] = (
    RateLimit,
    PromptDiversity,
    DatacenterIp,
    ResellerKey,
)

COMING_KINDS: Final = frozenset(
    {
        "client_fingerprint",
        "concurrency",
        "expression",
        "listed",
        "logit_probing",
        "machine_pace",
        "prompt_template",
        "reasoning_elicitation",
        "request_shape",
        "sensitive_topics",
        "token_budget",
    }
)
"""Kinds of the policy language that this version cannot carry out: a load error that says so."""
