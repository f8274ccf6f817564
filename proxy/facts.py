"""
What is known of one request, as frozen values.

`Client` says who asks, `Ask` what is asked of the model, `Facts` joins the two and what is derived.
Rules see nothing else. Everything here is made once a request and never changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Final, Literal, get_args

from proxy.value import value

if TYPE_CHECKING:
    from proxy.expressions.program import Evaluation
    from proxy.lists import ListTable

AccountSource = Literal["key", "file", "gateway"]
ACCOUNT_SOURCES: Final = get_args(AccountSource)
PROFILES: Final = ("agent", "batch", "eval", "gateway", "multi_tenant", "rag")
"""What an account may declare itself to be."""
DIALECTS: Final = (
    "anthropic_batches",
    "anthropic_complete",
    "anthropic_messages",
    "gemini_batch",
    "gemini_embed",
    "gemini_generate",
    "openai_batches",
    "openai_chat",
    "openai_completions",
    "openai_files",
    "openai_inputs",
    "openai_responses",
)
OPERATIONS: Final = (
    "batch",
    "cache",
    "chat",
    "classify",
    "conversation",
    "count_tokens",
    "embeddings",
    "image",
    "moderations",
    "rerank",
    "score",
    "text_completion",
    "tokenize",
)
"""`gen_ai.operation.name` of the routes that are inspected or metered."""
PROMPTING: Final = frozenset({"chat", "conversation", "text_completion"})
"""Operations whose prompts a model answers. What only counts, embeds or looks at a text is cheap, and would
drown in repeats whatever is told of prompts."""
ANSWERING: Final = PROMPTING | {"batch"}
"""Operations whose replies hold what a model has said: of others no output is estimated."""
ALSO_SERVED: Final = (
    "assistants",
    "audio",
    "containers",
    "evals",
    "file_batches",
    "fine_tuning",
    "interactions",
    "invocations",
    "native_generate",
    "predict",
    "uploads",
    "vector_stores",
    "videos",
)
"""Names of refused routes that a policy may serve uninspected; docs/routes.md has their paths."""

NETWORK_KINDS: Final = (
    "business",
    "education",
    "hosting",
    "isp",
    "mobile",
    "private",
    "relay",
    "tor",
    "unknown",
    "vpn",
)
"""What a network is for: docs/networks.md says when each is told."""

RouteClass = Literal["inspected", "metered", "passed", "refused", "unknown"]


@value
class Client:
    """Who sent the request, as far as headers and the peer's address tell. No secret is kept."""

    address: str
    """Canonical text of the IP address, after trusted hops."""
    subnet: str
    """The network that `address` stands in, `203.0.113.0/24` or an IPv6 /56 (configurable)."""
    key_id: str | None = None
    """80-bit keyed id of the API key, `key_…` in base32; None where the request carries none."""
    account: str | None = None
    """The owner: from the accounts file, a trusted gateway's header, or the key id itself."""
    account_source: AccountSource | None = None
    tier: str | None = None
    profile: str | None = None
    """What the account declared itself to be: eval, rag, agent, multi_tenant, gateway or batch."""
    unproven: bool = False
    """True while nobody vouches for the key: no file names it, no gateway sent it, and the upstream
    has not accepted it yet."""
    provisional: bool = False
    """True for an unproven key where the policy says so: then no state is kept per key, and
    `api_key` and `account` subjects stand for the caller's address instead."""
    user_agent: str | None = None
    """At most 256 bytes, printable ASCII."""
    ja4: str | None = None
    """How the caller greets in TLS (FoxIO's JA4), as a trusted hop has told."""
    asn: int | None = None
    """Number of the autonomous system that announces the address."""
    organization: str | None = None
    """Who runs that system, as its registration or an operator's list names it."""
    network_kind: str | None = None
    """One of NETWORK_KINDS; None where nothing looks networks up."""
    country: str | None = None
    """ISO 3166-1 alpha-2, approximate: where a network is registered, seldom where a person sits."""
    since: float | None = None
    """Unix time from which on the accounts file knows the account; None where it does not say."""
    declared_network: bool = False
    """True where the address stands in the networks that the account's own entry names."""
    notes: tuple[str, ...] = ()
    """Oddities an operator should see in the event, e.g. `forwarded_header_malformed`."""


@value
class Turn:
    """One message of the conversation: its role and its text, parts joined by new lines.

    The role is the body's own word; Gemini's `model` and `function` are `assistant` and `tool` here.
    """

    role: str
    text: str


@value
class Reasoning:
    """What the caller asks of the model's reasoning: an effort word, a token budget, or both."""

    effort: str | None = None
    budget_tokens: int | None = None


@value
class Ask:
    """What a body asks of the model, the same for every API dialect."""

    model: str | None
    turns: tuple[Turn, ...] = ()
    """In wire order, system and developer messages included."""
    system: str = ""
    stream: bool = False
    max_output_tokens: int | None = None
    choices: int = 1
    temperature: float | None = None
    top_p: float | None = None
    logprobs: bool = False
    top_logprobs: int | None = None
    logit_bias: tuple[tuple[str, float], ...] = ()
    reasoning: Reasoning | None = None
    tools: tuple[str, ...] = ()
    """Names of the declared tools."""
    end_user: str | None = None
    """As the caller sent it. `Facts.end_user` holds the keyed id that may be stored or logged."""
    asks_usage: bool = True
    """False where a stream would end without its usage unless the proxy asks for it."""
    parameters: tuple[str, ...] = ()
    """Top-level keys of the body in wire order."""
    prompt_logprobs: bool = False
    """Whether log probabilities of the prompt itself are asked for: `echo` with `logprobs`, vLLM's
    `prompt_logprobs`."""
    constrained: bool = False
    """Whether the answer is forced into a form by the server's own grammar, choices or pattern, as vLLM
    and SGLang can: a few forced tokens at a time read a model's distribution."""
    echo: bool = False
    """Whether each answer is to begin with the prompt."""
    let_go_bytes: int = 0
    """Bytes of text that were read and are no longer kept."""


MOST_CLASSIFIED: Final = 16_384
"""Characters of a prompt that a classifier is sent."""
_UNSAID: Final = Turn("", "")
SHOWN_PARAMETERS: Final = 64
"""Names of a body's parameters that its event can show."""


def prompt_bytes(ask: Ask) -> int:
    """Bytes of the prompt's text, whether it is still there or not; images and tools are not counted."""
    size = ask.let_go_bytes
    for turn in ask.turns:
        text = turn.text
        size += len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return size


def lean(ask: Ask, prompt: str = "") -> Ask:
    """The same without the texts that were read: how many turns, bytes and tools, but no longer what they
    say. Only what a classifier is to be sent later, the `prompt`, stands in the last turn."""
    turns = (_UNSAID,) * len(ask.turns)
    return replace(
        ask,
        turns=(*turns[1:], Turn("user", prompt)) if prompt else turns,
        let_go_bytes=prompt_bytes(ask) - len(prompt.encode("utf-8", "surrogatepass")),
        system="",
        logit_bias=(("", 0.0),) * len(ask.logit_bias),
        tools=("",) * len(ask.tools),
        parameters=ask.parameters[:SHOWN_PARAMETERS],
    )


@value
class Route:
    """Which API surface a method and path belong to."""

    kind: RouteClass
    dialect: str
    """Name of the dialect whose error format a refusal takes."""
    operation: str
    """OpenTelemetry `gen_ai.operation.name`: chat, embeddings, …; empty for metadata routes."""
    template: str
    """The path with its variable parts named, safe as a metric label."""
    name: str = ""
    """Of a refused route: the name by which a policy may serve it after all."""


Signal = Literal[
    "body",
    "chunks",
    "client",
    "language",
    "overlap",
    "prompt",
    "running",
    "shape",
    "system",
    "template",
]
"""What a rule may ask to have derived."""


Terms = tuple[tuple[str, float], ...]
"""(category, weight of what a prompt holds of it), of one lexicon."""


@value
class Signals:
    """What is derived from how and what was asked. Hashes are keyed: no text can be read back."""

    prompt: tuple[int, ...] = ()
    """Marks of the newest prompt's sketch, each below NOVEL_BITS: prompts that say nearly the same share
    one. Empty where there is too little text to tell."""
    system: str | None = None
    """Fingerprint of the system prompt with its variable parts masked, `sys_…`."""
    template: str | None = None
    """Fingerprint of how the newest prompt begins, variable parts masked, `tpl_…`."""
    language: str | None = None
    """The newest prompt's language, or its script where that is all that can be told."""
    client: str | None = None
    """Fingerprint of the client's software: how it writes headers and JSON."""
    contradictions: tuple[str, ...] = ()
    """Where the client's software is not what its User-Agent claims."""
    chunks: tuple[int, ...] = ()
    """Marks of where the conversation began and of what its context holds, each below NOVEL_BITS: a request
    that continues an earlier one, or brings what another one brought, shares one with it."""
    terms: tuple[tuple[str, Terms], ...] = ()
    """Of each lexicon that the newest prompt holds something of: its name, and what."""
    marks: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Of each table of marks (known relays, known pipelines) that the request bears some of: its name, and
    which."""

    overlap: str | None = None
    """Fingerprint of what the newest prompt asks: prompts that say nearly the same mostly share it."""
    shape: str | None = None
    """Fingerprint of how the request is written, parameters' values and the SDK's version included; None
    where it has no parameter of its own."""
    body: str | None = None
    """Fingerprint of the body, byte for byte."""
    running: tuple[str, int] | None = None
    """A list that the newest prompt says it is of, `lst_…`, and where in it, counted from a number
    that nobody knows: only what comes before what can be told."""

    def terms_of(self, lexicon: str) -> Terms:
        """What the newest prompt holds of one lexicon."""
        for name, found in self.terms:
            if name == lexicon:
                return found
        return ()

    def marks_of(self, table: str) -> tuple[str, ...]:
        """Which marks of one table the request bears."""
        for name, found in self.marks:
            if name == table:
                return found
        return ()


NO_SIGNALS: Final = Signals()


@value
class Usage:
    """Tokens that an upstream reported (or None where it did not)."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None


NO_USAGE: Final = Usage()


@value
class Outcome:
    """How a request ended, as far as counters need to know."""

    refused: bool
    """By us: the model never saw it."""
    served: bool
    """Whether the upstream was asked at all."""
    failed: bool = False
    """Whether it answered with an error: then no model has said anything."""
    throttled: bool = False
    """Whether the upstream refused it for its rate."""
    asks: int = 1
    """How many asks of one body share the usage."""
    usage: Usage = NO_USAGE
    """Tokens: as reported, else judged by what has passed; None where neither tells."""
    at_least: bool = False
    """Whether that is the least that was used: of a compressed reply its bytes are."""
    retry_after_s: float | None = None
    """When the caller was told to come back, where it was."""


@value
class Facts:
    """All that rules may look at. `ask` is None while only the identity is known."""

    client: Client
    route: Route
    ask: Ask | None = None
    end_user: str | None = None
    """Keyed hash of the end user, always read within its account."""
    request_bytes: int = 0
    signals: Signals = NO_SIGNALS
    answers: int = 1
    """How many answers this asks for: what a limit of requests counts."""
    id: str = ""
    """Of the request, and of which of its asks this is: what reservations and leases are held under."""
    part: int = 0
    """Which of the asks of one body: 0 is the request itself, and its first."""
    now: float = 0.0
    """Unix time when the request came."""
    common_template: bool = False
    """Whether the newest prompt's template is common background: many long-standing customers use it."""
    estimate: Usage = NO_USAGE
    """Tokens that it may use, as far as can be told before."""
    evaluation: Evaluation | None = None
    """What the policy's expressions make of these facts; shared by all of its rules."""
    lists: Mapping[str, ListTable] | None = None
    """The store's lists, by their names, as they stood when the request was judged."""
    campaign: str | None = None
    """Name of the campaign that the account is a member of, `cmp_…`."""

    def judged_with(
        self,
        evaluation: Evaluation | None,
        lists: Mapping[str, ListTable] | None,
        campaign: str | None,
    ) -> Facts:
        """The same facts, with what the policy in force looks at them by, and what is known by now."""
        own = _OWN(self)
        return Facts(*own, evaluation, lists, campaign)  # type: ignore[call-arg]  # all but these


_OWN: Final = attrgetter(*[field.name for field in fields(Facts)][:-3])
