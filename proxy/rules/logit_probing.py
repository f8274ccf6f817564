"""
logit_probing: reading a model's distribution token by token.

Who asks for log probabilities under many different biases, or biases one token after the other,
measures the model instead of using it: a production model's output layer was recovered so for less than
twenty dollars (Carlini et al. 2024). Counted over a window are distinct `logit_bias` maps, requests
that bias a single token or force a single choice and read what comes of it, and requests for log
probabilities, of answers and of prompts.

    - name: logit-probing
      kind: logit_probing
      per: account
      window: 1d
      max_bias_maps: 60
      max_single_biases: 200
      action: {degrade: [strip_logprobs, drop_logit_bias]}

Blind spot: a search that needs no log probabilities, only which token comes; who spreads the maps over many
accounts. Only maps that differ are told apart, up to 95.

False positives: constrained decoding by hand, which bans or favours tokens, uses a few maps over and
over and stays below. A classifier that biases its labels is one map. Evaluation harnesses ask for log
probabilities with every request: `max_logprobs` is for accounts that are no such thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from pydantic import Field, model_validator

from proxy.counters.protocol import Different, Distinct, Op, Reading, Tallied, Tally
from proxy.decision import Family, Finding, Scalar
from proxy.facts import PROMPTING, Ask, Facts
from proxy.rules.base import RuleKind
from proxy.rules.fields import Duration, wrong
from proxy.rules.items import item

MAX_MAPS: Final = 95
"""With those that are held to spare, 2 KB an account."""

SINGLE, LOGPROBS, PROMPT = 1, 2, 3
_FEW_TOKENS: Final = 2
"""An answer this short, forced into a choice, is a reading."""

Bound = Annotated[int | None, Field(default=None, ge=1, le=1_000_000, strict=True)]


class LogitProbing(RuleKind):
    """Biases and log probabilities, as somebody who measures a model asks for them."""

    kind: ClassVar[str] = "logit_probing"
    family: ClassVar[Family] = "content"

    window: Duration = 86_400.0
    """The time over which they are counted, `1d`."""
    max_bias_maps: int | None = Field(default=60, ge=1, le=MAX_MAPS, strict=True)
    """Different `logit_bias` maps in the window."""
    max_single_biases: Bound
    """Requests that bias one token alone, or force a choice of one or two tokens, and read its
    log probabilities."""
    max_logprobs: Bound
    """Requests for log probabilities of the answer."""
    max_prompt_logprobs: Bound
    """Requests for log probabilities of the prompt itself."""

    @model_validator(mode="after")
    def _check_bounds(self) -> LogitProbing:
        if self.max_bias_maps is None and not self._bounds:
            raise wrong("needs at least one bound, such as `max_bias_maps`")
        return self

    @property
    def _bounds(self) -> tuple[tuple[str, int, int], ...]:
        """(name, item, bound) of what is tallied."""
        given = (
            ("single_biases", SINGLE, self.max_single_biases),
            ("logprobs", LOGPROBS, self.max_logprobs),
            ("prompt_logprobs", PROMPT, self.max_prompt_logprobs),
        )
        return tuple((name, one, bound) for name, one, bound in given if bound is not None)

    def counted_by(self) -> tuple[str, ...]:
        """The window; bounds only judge."""
        return (f"window={self.window:g}",)

    def counters(self, facts: Facts, subject: str) -> tuple[Op, ...]:
        """Nothing of requests that ask for none of this."""
        ask = facts.ask
        if ask is None or facts.route.operation not in PROMPTING:
            return ()
        ops: tuple[Op, ...] = ()
        if ask.logit_bias and self.max_bias_maps is not None:
            biases = item(repr(sorted(ask.logit_bias)))
            most = self.max_bias_maps + 1
            ops += (Distinct(subject, f"{self.key}:maps", self.window, biases, most),)
        shown = shows(ask)
        if shown and self._bounds:
            ops += (Tally(subject, self.key, self.window, shown),)
        return ops

    def judge(self, facts: Facts, readings: Sequence[Reading]) -> Finding | None:
        """Fires where a bound is passed by what this request asks for."""
        evidence: dict[str, Scalar] = {}
        for reading in readings:
            if isinstance(reading, Different) and self.max_bias_maps is not None:
                if reading.distinct > self.max_bias_maps:
                    evidence["bias_maps"] = reading.distinct
                    evidence["max_bias_maps"] = self.max_bias_maps
            elif isinstance(reading, Tallied):
                assert facts.ask is not None
                counts = dict(zip(shows(facts.ask), reading.shown, strict=True))
                for name, one, bound in self._bounds:
                    if counts.get(one, 0) > bound:
                        evidence[name] = counts[one]
                        evidence[f"max_{name}"] = bound
        return Finding("logits_probed", evidence) if evidence else None


def shows(ask: Ask) -> tuple[int, ...]:
    """What of all this a request asks for."""
    reads = ask.logprobs or bool(ask.top_logprobs)
    limit = ask.max_output_tokens
    forced = ask.constrained and limit is not None and limit <= _FEW_TOKENS
    shown: tuple[int, ...] = ()
    if reads and (len(ask.logit_bias) == 1 or forced):
        shown += (SINGLE,)
    if reads:
        shown += (LOGPROBS,)
    if ask.prompt_logprobs:
        shown += (PROMPT,)
    return shown
