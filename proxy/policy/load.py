"""load: a YAML file → a policy, or every mistake in it at once, each with its place."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from proxy.nearest import nearest
from proxy.policy.include import Gathered, ReadFile, RuleData, gather, joined
from proxy.policy.mistake import Mistake
from proxy.policy.model import Policy
from proxy.policy.places import OURS, Spot, validate
from proxy.policy.shipped import LIBRARY, shipped
from proxy.policy.suspicion import NAME
from proxy.policy.yamltree import Path as Place
from proxy.policy.yamltree import Tree, read_tree
from proxy.rules import RULE_KINDS
from proxy.rules.base import RuleKind

_KINDS = {kind.kind: kind for kind in RULE_KINDS}


class PolicyError(Exception):
    """A policy that cannot be loaded, with every mistake that it holds."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class Source:
    """A sound policy, and where it stands."""

    policy: Policy
    tree: Tree
    """Of the main file."""
    spots: tuple[Spot, ...]
    """Of its rules, in their order."""
    data: Mapping[str, Any]
    """What the files hold that its rules name, by the names that rules give them."""


def load(path: Path) -> Policy:
    """Load a policy file. Raises PolicyError with all mistakes, an unreadable file among them."""
    return load_source(path).policy


def load_source(path: Path) -> Source:
    """The same, with its places. Raises PolicyError."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise PolicyError((Mistake(str(path), 1, 1, "the file is not UTF-8"),)) from None
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise PolicyError((Mistake(str(path), 1, 1, f"cannot be read: {reason}"),)) from None
    return parse_source(text, str(path), lambda name: _read_below(path.parent, name))


def load_sources(*paths: Path) -> list[Source]:
    """Several, with their places. Raises PolicyError with the mistakes of all of them, each told once."""
    found: list[Source] = []
    mistakes: dict[Mistake, None] = {}
    for path in paths:
        try:
            found.append(load_source(path))
        except PolicyError as error:
            mistakes.update(dict.fromkeys(error.mistakes))
    if mistakes:
        raise PolicyError(tuple(mistakes))
    return found


def _read_below(folder: Path, name: str) -> tuple[str, str]:
    file = folder / name
    if name.startswith(LIBRARY) and not file.exists():
        file = shipped(name)
        folder = shipped(LIBRARY)
    if not file.resolve().is_relative_to(folder.resolve()):
        raise PermissionError(0, "it leads out of the policy's folder")
    return str(file), file.read_text(encoding="utf-8")


def _read_nothing(name: str) -> tuple[str, str]:
    raise FileNotFoundError(0, "a policy without a folder includes nothing")


def parse(text: str, file: str, read: ReadFile = _read_nothing) -> Policy:
    """Load a policy from text; `file` names it in mistakes, `read` reads what it includes.

    Raises PolicyError.
    """
    return parse_source(text, file, read).policy


def parse_source(text: str, file: str, read: ReadFile = _read_nothing) -> Source:
    """The same, with its places. Raises PolicyError."""
    tree = read_tree(text, file)
    data = tree.data
    if not tree.mistakes and not isinstance(data, dict):
        tree.mistake((), "a policy holds named fields, beginning with `version: 1`")
    if not isinstance(data, dict):
        raise PolicyError(tuple(sorted(tree.mistakes)))
    gathered = gather(tree, read)
    for one in (tree, *gathered.trees):
        _refuse_nothing(one, one.data, ())
    rules = _rules(gathered, read)
    for name in OURS & data.keys():
        tree.mistake((name,), f"`{name}` is not a field of a policy", key=True)
    whole = {key: value for key, value in data.items() if key != "rules" and key not in OURS}
    policy = validate(Spot(tree), Policy, whole)
    if policy is not None:
        _check_exemptions(tree, policy, gathered)
    mistakes = {mistake for one in (tree, *gathered.trees) for mistake in one.mistakes}
    if mistakes:
        raise PolicyError(tuple(sorted(mistakes)))
    assert policy is not None
    digest = hashlib.sha256("\0".join((text, *gathered.texts)).encode()).hexdigest()
    fields = {name: getattr(policy, name) for name in Policy.model_fields}
    fields |= {"rules": rules, "digest": f"sha256:{digest}", "files": tuple(gathered.paths)}
    spots = tuple(one.spot for one in gathered.rules)
    return Source(Policy.model_construct(**fields), tree, spots, gathered.data)


def _refuse_nothing(tree: Tree, value: Any, place: Place) -> None:
    """A field without a value: `match:` left empty would be a rule about everybody."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if inner is None and (*place, key) not in {("rules",), ("exemptions",)}:
                tree.mistake(
                    (*place, key), f"`{key}` has no value: give it one or leave it out", key=True
                )
            _refuse_nothing(tree, inner, (*place, key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            _refuse_nothing(tree, inner, (*place, at))


def _rules(gathered: Gathered, read: ReadFile) -> tuple[RuleKind, ...]:
    rules: list[RuleKind] = []
    names: dict[str, int] = {}
    for at, one in enumerate(gathered.rules):
        name = one.data.get("name")
        if isinstance(name, str):
            if name in names:
                message = f"`{name}` is the name of rule {names[name] + 1} already"
                one.spot.mistake(("name",), message)
            if name == NAME:
                one.spot.mistake(("name",), f"`{name}` is what events call suspicion itself")
            names.setdefault(name, at)
        rule = _rule(one)
        if rule is not None:
            rules.append(_with_data(rule, one.spot, gathered, read))
    return tuple(rules)


def _with_data(rule: RuleKind, spot: Spot, gathered: Gathered, read: ReadFile) -> RuleKind:
    """The rule with what the files beside the policy hold that it names."""
    for place, name in rule.data_files():
        path = joined(PurePosixPath(), name)
        if path is None:
            spot.mistake(place, "a rule's file stands under the policy's own folder")
            continue
        try:
            file, text = read(str(path))
        except UnicodeDecodeError:
            spot.mistake(place, f"`{name}` is not UTF-8")
            continue
        except OSError as error:
            spot.mistake(place, f"`{name}` cannot be read: {error.strerror or 'unreadable'}")
            continue
        tree = read_tree(text, file)
        gathered.trees.append(tree)
        gathered.paths.append(file)
        gathered.texts.append(text)
        gathered.data[name] = tree.data
        if not tree.mistakes:
            rule = rule.with_data(name, tree.data, tree.mistake)
    for place, message, near in rule.unheld():
        spot.mistake(place, message, near, key=True)
    return rule


def _rule(one: RuleData) -> RuleKind | None:
    item, spot = one.data, one.spot
    word = item.get("kind")
    kind = _KINDS.get(word) if isinstance(word, str) else None
    if kind is None:
        if "kind" not in item:
            spot.mistake((), "`kind` is required")
        else:
            known = ", ".join(_KINDS)
            near = nearest(str(word), _KINDS)
            spot.mistake(("kind",), f"`kind` must be one of {known}", near)
            # The rest is read as what was most likely meant: one slip must not hide the others.
            kind = _KINDS.get((near or "").strip("`"))
        if kind is not None:
            validate(spot, kind, {key: value for key, value in item.items() if key != "kind"})
        return None
    return validate(spot, kind, {key: value for key, value in item.items() if key != "kind"})


def _check_exemptions(tree: Tree, policy: Policy, gathered: Gathered) -> None:
    known = [one.data.get("name") for one in gathered.rules]
    names = [name for name in known if isinstance(name, str)]
    for at, exemption in enumerate(policy.exemptions):
        for index, name in enumerate(exemption.rules):
            if name not in names:
                message = f"no rule is called `{name}`"
                tree.mistake(("exemptions", at, "rules", index), message, nearest(name, names))
