"""Rule kinds, one file each. Adding a kind is one file and one entry here."""

from __future__ import annotations

from collections.abc import Callable, Sized
from typing import Any, Final

from proxy.rules.base import RuleKind
from proxy.rules.client_fingerprint import ClientFingerprint
from proxy.rules.concurrency import Concurrency
from proxy.rules.datacenter_ip import DatacenterIp
from proxy.rules.egress_hub import EgressHub
from proxy.rules.expression import ExpressionRule
from proxy.rules.listed import Listed, read_entries
from proxy.rules.logit_probing import LogitProbing
from proxy.rules.machine_pace import MachinePace
from proxy.rules.probe_fan_out import ProbeFanOut
from proxy.rules.prompt_diversity import PromptDiversity
from proxy.rules.prompt_template import PromptTemplate
from proxy.rules.rate_limit import RateLimit
from proxy.rules.reasoning_elicitation import ReasoningElicitation
from proxy.rules.request_shape import RequestShape
from proxy.rules.reseller_key import ResellerKey
from proxy.rules.sensitive_topics import SensitiveTopics
from proxy.rules.shared_contradiction import SharedContradiction
from proxy.rules.shared_pace import SharedPace
from proxy.rules.shared_pivot import SharedPivot
from proxy.rules.shared_prompt import SharedPrompt
from proxy.rules.shared_sequence import SharedSequence
from proxy.rules.shared_shape import SharedShape
from proxy.rules.shared_template import SharedTemplate
from proxy.rules.throttle_echo import ThrottleEcho
from proxy.rules.token_budget import TokenBudget
from proxy.signals.lexicon_file import read_lexicon
from proxy.signals.marks import read_marks
from proxy.signals.wants import Mistaken

RULE_KINDS: Final[tuple[type[RuleKind], ...]] = (
    RateLimit,
    PromptDiversity,
    DatacenterIp,
    ResellerKey,
    ClientFingerprint,
    PromptTemplate,
    LogitProbing,
    MachinePace,
    RequestShape,
    TokenBudget,
    Concurrency,
    ReasoningElicitation,
    SensitiveTopics,
    Listed,
    ExpressionRule,
    EgressHub,
    ProbeFanOut,
    SharedContradiction,
    SharedPace,
    SharedPivot,
    SharedPrompt,
    SharedSequence,
    SharedShape,
    SharedTemplate,
    ThrottleEcho,
)

DATA_FILES: Final[dict[str, Callable[[Any, Mistaken], Sized]]] = {
    "marks": lambda data, mistake: read_marks(data, mistake).marks,
    "categories": lambda data, mistake: read_lexicon(data, mistake).categories,
    "listed": read_entries,
}
"""Files beside a policy that rules read: the key that tells what one is → who reads it, for checking."""
