"""
`include:` and `override:` — rules out of other files, under their file's name, and patches to them.

An included file holds rules and nothing else, and may include others. Its path is relative to the file
that includes it and stays under the policy's folder; what begins with `library/` and is not there is taken
from what ships with Excise. A rule `marks` of `library/known-relays.yaml` is
called `known-relays.marks` everywhere; `override` may set any of its fields but name and kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from proxy.nearest import nearest
from proxy.policy.places import Spot
from proxy.policy.yamltree import Tree, read_tree

MAX_FILES = 100

ReadFile = Callable[[str], tuple[str, str]]
"""A path below the policy's folder → (name for mistakes, text). Raises OSError, UnicodeDecodeError."""

_HOLDS = ("include", "rules", "version")
UNPATCHED = ("kind", "name")


@dataclass(slots=True)
class RuleData:
    """A rule's fields, as yet unread, and where they stand."""

    data: dict[str, Any]
    spot: Spot
    included: bool


@dataclass(slots=True)
class Gathered:
    """All rules of a policy and its includes, in order, and what was read for them."""

    rules: list[RuleData] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    """As they are included, below the policy's folder."""
    paths: list[str] = field(default_factory=list)
    """Where they were read."""
    trees: list[Tree] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    """What the files hold that rules name, by the names that rules give them."""


def gather(tree: Tree, read: ReadFile) -> Gathered:
    """The rules of the main file and of what it includes. Mistakes are noted in their trees."""
    gathered = Gathered()
    assert isinstance(tree.data, dict)
    _Gatherer(read, gathered).take(tree, tree.data, PurePosixPath(), "", ())
    _override(tree, tree.data, gathered)
    return gathered


class _Gatherer:
    def __init__(self, read: ReadFile, gathered: Gathered) -> None:
        self._read = read
        self._gathered = gathered

    def take(
        self,
        tree: Tree,
        data: dict[str, Any],
        folder: PurePosixPath,
        prefix: str,
        within: tuple[str, ...],
    ) -> None:
        """The rules of one file, those that it includes first."""
        includes = data.get("include")
        listed = includes if isinstance(includes, list) else [includes]
        for at, name in enumerate(listed):
            place = ("include", at) if isinstance(includes, list) else ("include",)
            if isinstance(name, str):
                self._include(Spot(tree, place), name, folder, prefix, within)
        rules = data.get("rules")
        if rules is None:
            return
        if not isinstance(rules, list):
            tree.mistake(("rules",), "`rules` must be a list")
            return
        for at, item in enumerate(rules):
            spot = Spot(tree, ("rules", at))
            if not isinstance(item, dict):
                spot.mistake((), "a rule holds named fields: `name`, `kind`, …")
                continue
            name = item.get("name")
            named = {**item, "name": prefix + name} if isinstance(name, str) else item
            self._gathered.rules.append(RuleData(named, spot, bool(prefix)))

    def _include(
        self, spot: Spot, name: str, folder: PurePosixPath, prefix: str, within: tuple[str, ...]
    ) -> None:
        path = joined(folder, name)
        if path is None:
            spot.mistake((), "an included file stands under the policy's own folder")
            return
        key = str(path)
        if key in within:
            spot.mistake((), f"`{name}` includes itself")
            return
        if key in self._gathered.files or len(self._gathered.files) >= MAX_FILES:
            spot.mistake((), f"`{name}` is included already")
            return
        try:
            file, text = self._read(key)
        except UnicodeDecodeError:
            spot.mistake((), f"`{name}` is not UTF-8")
            return
        except OSError as error:
            spot.mistake((), f"`{name}` cannot be read: {error.strerror or 'unreadable'}")
            return
        tree = read_tree(text, file)
        self._gathered.trees.append(tree)
        self._gathered.files.append(key)
        self._gathered.paths.append(file)
        self._gathered.texts.append(text)
        if not isinstance(tree.data, dict):
            if not tree.mistakes:
                tree.mistake((), "a policy holds named fields, beginning with `version: 1`")
            return
        _check_included(tree, tree.data)
        inner = f"{prefix}{path.stem}."
        self.take(tree, tree.data, path.parent, inner, (*within, key))


def joined(folder: PurePosixPath, name: str) -> PurePosixPath | None:
    """The path below the policy's folder; None where it leaves it."""
    parts: list[str] = list(folder.parts)
    if name.startswith("/") or "\\" in name or "\0" in name:
        return None
    for part in PurePosixPath(name).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            return None
    return PurePosixPath(*parts) if parts else None


def _check_included(tree: Tree, data: dict[str, Any]) -> None:
    for key in data:
        if key not in _HOLDS:
            message = "an included file holds `version`, `rules` and `include`, and no more"
            tree.mistake((key,), message, key=True)
    if data.get("version") != 1 or isinstance(data.get("version"), bool):
        tree.mistake(("version",), "`version` must be 1")


def _override(tree: Tree, data: dict[str, Any], gathered: Gathered) -> None:
    patches = data.get("override")
    if not isinstance(patches, dict):
        return
    included = {one.data.get("name"): one for one in gathered.rules if one.included}
    names = [name for name in included if isinstance(name, str)]
    for name, patch in patches.items():
        rule = included.get(name)
        if rule is None:
            message = f"no included rule is called `{name}`"
            tree.mistake(("override", name), message, nearest(name, names), key=True)
        elif isinstance(patch, dict):
            for one in UNPATCHED:
                if one in patch:
                    message = f"`{one}` cannot be set otherwise"
                    tree.mistake(("override", name, one), message, key=True)
            spot = rule.spot
            rule.data = {**rule.data, **{k: v for k, v in patch.items() if k not in UNPATCHED}}
            rule.spot = Spot(spot.tree, spot.place, tree, ("override", name), frozenset(patch))
