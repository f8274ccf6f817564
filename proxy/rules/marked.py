"""What kinds that judge by a table of marks share: the file, and where its marks are known from."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, Self

from proxy.rules.base import Place, RuleKind
from proxy.signals.marks import MarkTable, read_marks
from proxy.signals.wants import Mistaken, RequestMarks

NO_TABLE: Final = MarkTable("", ())

SHOWN: Final = 5
"""Marks that a finding's evidence names."""


class Marked(RuleKind):
    """A kind with a table of marks, read from the file that `marks` names."""

    marks: str | None = None
    """The table: a YAML file beside the policy, or one that ships with Excise."""

    def data_files(self) -> tuple[tuple[Place, str], ...]:
        """The table."""
        return () if self.marks is None else ((("marks",), self.marks),)

    def with_data(self, path: str, data: Any, mistake: Mistaken) -> Self:
        """The rule with its table."""
        # A file read by two rules is one table: its name is its path's.
        name = path.rpartition("/")[2].removesuffix(".yaml")
        self.__dict__["table"] = read_marks(data, mistake, name)  # in place of what is cached
        return self

    @cached_property
    def table(self) -> MarkTable:
        """The table; empty where none is named."""
        return NO_TABLE

    @property
    def reads_requests(self) -> tuple[RequestMarks, ...]:
        """The table, to be looked for in requests."""
        return (self.table,) if self.table.marks else ()
