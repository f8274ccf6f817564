"""The operator's page of each kind: its module's docstring, and its fields with their meaning."""

from __future__ import annotations

import inspect
import sys
from itertools import takewhile
from textwrap import dedent
from typing import get_args

from pydantic.fields import FieldInfo

from proxy.rules.base import RuleKind
from proxy.rules.fields import Duration
from proxy.rules.units import duration_text

_DURATION = get_args(Duration)[1]
_GENERATED = "<!-- made by `excise rules`; change the rule's own file instead -->"


def page(kind: type[RuleKind]) -> str:
    """The page as Markdown."""
    told = inspect.getdoc(sys.modules[kind.__module__]) or ""
    first, _, rest = told.partition("\n")
    lines = [f"# {first.rstrip('.')}", "", _GENERATED, "", rest.strip(), "", "## Fields", ""]
    lines += ["| field | default | meaning |", "|---|---|---|"]
    own = [name for name in kind.model_fields if name not in RuleKind.model_fields]
    for name in (*own, *RuleKind.model_fields):
        field = kind.model_fields[name]
        default = "required" if field.is_required() else _shown(field)
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{name}` | {default} | {meaning} |")
    own_family = "family" in kind.model_fields
    family = "as the rule's own `family` says" if own_family else f"`{kind.family}`"
    lines += ["", f"Evidence family: {family}."]
    return "\n".join(lines) + "\n"


def example(kind: type[RuleKind]) -> str:
    """The rule on a kind's page, as a list of YAML holds it."""
    lines = (inspect.getdoc(sys.modules[kind.__module__]) or "").splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("    - name: "))
    return dedent("\n".join(takewhile(str.strip, lines[first:])))


def summary(kind: type[RuleKind]) -> str:
    """One line on a kind."""
    told = inspect.getdoc(sys.modules[kind.__module__]) or ""
    return told.partition("\n")[0].partition(": ")[2].rstrip(".")


def default_of(field: FieldInfo) -> str:
    """What a field is where it is left out, as policies write it; empty where it is then absent."""
    default = field.default
    if default is None or default == () or field.default_factory is not None:
        return ""
    if isinstance(default, tuple):
        return ", ".join(map(str, default))
    if isinstance(default, bool):
        return str(default).lower()
    return duration_text(default) if is_duration(field) else str(default)


def _shown(field: FieldInfo) -> str:
    default = default_of(field)
    if isinstance(field.default, tuple):
        return ", ".join(f"`{one}`" for one in field.default)
    return f"`{default}`" if default else ""


def is_duration(field: FieldInfo) -> bool:
    """Whether a field's number is one of seconds."""
    return _DURATION in field.metadata
