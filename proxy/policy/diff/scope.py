"""Whether one match is about more requests than another."""

from __future__ import annotations

from proxy.expressions.program import Program
from proxy.policy.diff.change import Change, Effect, turned
from proxy.policy.diff.words import shown
from proxy.rules.match import Match


def scope(
    where: str,
    before: tuple[Match | None, Program | None],
    after: tuple[Match | None, Program | None],
) -> list[Change]:
    """What `match` and `when` are about otherwise: stricter where a rule is about more."""
    changes = []
    old, new = before[0], after[0]
    if _canonical(old) != _canonical(new):
        changes.append(_change(_reach(old, new), where, "match", old, new))
    if before[1] != after[1]:
        effect: Effect = "otherwise"
        if before[1] is None or after[1] is None:
            effect = "looser" if before[1] is None else "stricter"
        changes.append(_change(effect, where, "when", before[1], after[1]))
    return changes


def _change(effect: Effect, where: str, what: str, old: object, new: object) -> Change:
    before = None if old is None else shown(old)
    after = None if new is None else shown(new)
    return Change(effect, where, what, before, after)


def _canonical(match: Match | None) -> str:
    return match.canonical() if match is not None else ""


def _reach(old: Match | None, new: Match | None) -> Effect:
    if _narrower(new, old):
        return "looser"
    return turned("looser") if _narrower(old, new) else "otherwise"


def _narrower(one: Match | None, other: Match | None) -> bool:
    """Whether all that one is about the other is about as well."""
    if other is None:
        return True
    if one is None:
        return False
    for name in type(other).model_fields:
        theirs, mine = getattr(other, name), getattr(one, name)
        if theirs is None:
            continue
        if mine is None:
            return False
        if name == "not_":
            if mine.canonical() != theirs.canonical():
                return False
        elif not _values(mine) <= _values(theirs):
            return False
    return True


def _values(given: object) -> set[object]:
    return set(given) if isinstance(given, tuple) else {given}
