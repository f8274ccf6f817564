"""What differs between two policies besides their rules: gates, suspicion, exemptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from proxy.policy.diff.change import (
    Change,
    by_action,
    by_members,
    by_number,
    by_order,
    turned,
)
from proxy.policy.diff.scope import scope
from proxy.policy.diff.words import shown
from proxy.policy.model import Exemption, Policy
from proxy.policy.suspicion import Threshold
from proxy.rules.units import duration_text

_LAX: Final = ("allow", "block")
_UNKNOWN_KEYS: Final = ("allow", "provisional", "block")


def gates(old: Policy, new: Policy) -> Iterator[Change]:
    """The whole policy's mode, and what stands before all rules."""
    words = (
        ("mode", ("shadow", "enforce"), old.mode, new.mode),
        ("keys.missing", _LAX, old.keys.missing, new.keys.missing),
        ("keys.unknown", _UNKNOWN_KEYS, old.keys.unknown, new.keys.unknown),
        ("uninspectable", _LAX, old.uninspectable, new.uninspectable),
        ("unknown_routes", _LAX, old.unknown_routes, new.unknown_routes),
    )
    for what, order, before, after in words:
        if before != after:
            yield Change(by_order(order, before, after), "policy", what, before, after)
    if set(old.also_serve) != set(new.also_serve):
        effect = turned(by_members(old.also_serve, new.also_serve))
        texts = shown(old.also_serve), shown(new.also_serve)
        yield Change(effect, "policy", "also_serve", *texts)
    if old.disclose != new.disclose:
        yield Change("otherwise", "policy", "disclose", old.disclose, new.disclose)
    for name in ("message", "contact_url"):
        told = getattr(old.refusal, name), getattr(new.refusal, name)
        if told[0] != told[1]:
            yield Change("otherwise", "policy", f"refusal.{name}", *told)


def suspicion(old: Policy, new: Policy) -> Iterator[Change]:
    """Whom it is about, how long it lasts, and what it leads to."""
    before, after = old.suspicion, new.suspicion
    if set(before.subjects) != set(after.subjects):
        texts = shown(before.subjects), shown(after.subjects)
        yield Change(by_members(before.subjects, after.subjects), "suspicion", "subjects", *texts)
    if before.half_life != after.half_life:
        texts = duration_text(before.half_life), duration_text(after.half_life)
        yield Change(by_number(before.half_life, after.half_life), "suspicion", "half_life", *texts)
    gone = {one.at: one for one in before.thresholds}
    come = {one.at: one for one in after.thresholds}
    for at in gone.keys() & come.keys():
        was, now = gone.pop(at), come.pop(at)
        if was.action != now.action:
            yield Change(by_action(was.action, now.action), "suspicion", f"at {at:g}",
                         shown(was.action), shown(now.action))  # fmt: skip
    for at, was in sorted(gone.items()):
        moved = next((one for one in come.values() if one.action == was.action), None)
        if moved is not None:
            del come[moved.at]
            effect = turned(by_number(at, moved.at))
            yield Change(
                effect,
                "suspicion",
                f"threshold {shown(was.action)}",
                f"at {at:g}",
                f"at {moved.at:g}",
            )
        else:
            yield Change("looser", "suspicion", "threshold", _threshold(was), None)
    for _, now in sorted(come.items()):
        yield Change("stricter", "suspicion", "threshold", None, _threshold(now))


def _threshold(threshold: Threshold) -> str:
    return f"at {threshold.at:g}: {shown(threshold.action)}"


def exemptions(old: Policy, new: Policy) -> Iterator[Change]:
    """What is exempted from which rules, and how long: an exemption makes a policy looser."""
    before = {one.name: one for one in old.exemptions}
    after = {one.name: one for one in new.exemptions}
    for name, one in before.items():
        if name not in after:
            yield Change("stricter", f"exemption {name}", "exemption", _exemption(one), None)
    for name, one in after.items():
        if name not in before:
            yield Change("looser", f"exemption {name}", "exemption", None, _exemption(one))
        else:
            yield from _changed(before[name], one)


def _exemption(one: Exemption) -> str:
    whom = [shown(given) for given in (one.match, one.when) if given is not None]
    return f"{' and '.join(whom)} from {shown(one.rules)} until {one.until}"


def _changed(was: Exemption, one: Exemption) -> Iterator[Change]:
    where = f"exemption {one.name}"
    for change in scope(where, (was.match, was.when), (one.match, one.when)):
        effect = turned(change.effect)
        yield Change(effect, where, change.what, change.before, change.after)
    if set(was.rules) != set(one.rules):
        effect = turned(by_members(was.rules, one.rules))
        yield Change(effect, where, "rules", shown(was.rules), shown(one.rules))
    if was.until != one.until:
        effect = "looser" if one.until > was.until else "stricter"
        yield Change(effect, where, "until", str(was.until), str(one.until))
