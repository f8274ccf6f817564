"""What kinds that judge by a lexicon share: the file, and where its words are looked for."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, Self

from pydantic import Field

from proxy.rules.base import Place, RuleKind
from proxy.rules.fields import Duration
from proxy.signals.lexicon import Lexicon
from proxy.signals.lexicon_file import read_lexicon
from proxy.signals.wants import Mistaken, TextMarks

NO_LEXICON: Final = Lexicon("", (), {})


class Lexical(RuleKind):
    """A kind with a lexicon, read from the file that `lexicon` names."""

    lexicon: str = "library/lexicons/reasoning.yaml"
    """The lexicon: a YAML file beside the policy, or one that ships with Excise."""
    system: bool = Field(default=False, strict=True)
    """Whether system texts are looked through too. A product's own system prompt says the same in each of
    its requests: then look at it yourself instead."""
    window: Duration = 86_400.0
    """The time over which requests are counted, `1d`."""
    min_weight: float = Field(default=2.0, gt=0, le=100, strict=True)
    """What a prompt must weigh by the lexicon to count as a hit."""

    def data_files(self) -> tuple[tuple[Place, str], ...]:
        """The lexicon."""
        return ((("lexicon",), self.lexicon),)

    def with_data(self, path: str, data: Any, mistake: Mistaken) -> Self:
        """The rule with its lexicon."""
        name = path.removesuffix(".yaml")
        # In place of what is cached below.
        self.__dict__["terms"] = read_lexicon(data, mistake, name, system=self.system)
        return self

    @cached_property
    def terms(self) -> Lexicon:
        """The lexicon; empty until its file has been read."""
        return NO_LEXICON

    @property
    def reads_texts(self) -> tuple[TextMarks, ...]:
        """The lexicon, to be looked for in prompts."""
        return (self.terms,) if self.terms.entries else ()

    def counted_by(self) -> tuple[str, ...]:
        """The window, and what makes a hit; floors and shares only judge."""
        return (
            f"window={self.window:g}",
            f"lexicon={self.terms.name or self.lexicon}",
            f"min_weight={self.min_weight:g}",
        )
