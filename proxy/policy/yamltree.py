"""
Strict YAML: the text is composed, never constructed, and scalars are read by YAML 1.2's core schema.

PyYAML alone reads `NO` as false and `60:30` as 3630. Here a plain scalar that YAML 1.1 and 1.2 read
differently is a mistake with a place. Tags, duplicate keys and several documents are mistakes too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import yaml

from proxy.policy.mistake import Mistake

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 32
MAX_NODES = 50_000
"""Values written, and once more values visited, aliases expanded: bounds what a file, or a few lines of
nested aliases, may grow to."""

Path = tuple[str | int, ...]
Data = dict[str, "Data"] | list["Data"] | str | int | float | bool | None

_INT = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[-+]?(0|[1-9][0-9]*)(\.[0-9]+)([eE][-+]?[0-9]+)?\Z")
_AMBIGUOUS = re.compile(
    r"(?:y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF|True|TRUE|False|FALSE|~|Null|NULL"
    r"|[-+]?0[0-7_]+|[-+]?0[xob][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*_[0-9_]*(\.[0-9_]*)?"
    r"|[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    r"|[-+]?[0-9]+\.|[-+]?\.[0-9]+|[-+]?[0-9]+[eE][-+]?[0-9]+|=|<<)\Z"
)


@dataclass(slots=True)
class Tree:
    """Plain data, and where each value and key stands (line, column from 1)."""

    file: str
    data: Data = None
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    written: dict[Path, str] = field(default_factory=dict)
    """Texts that are quoted, folded or of several words, as the file has them."""
    mistakes: list[Mistake] = field(default_factory=list)

    def place(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Where `path` stands; its nearest known ancestor where it is absent."""
        if key and path in self.keys:
            return self.keys[path]
        while path and path not in self.values:
            path = path[:-1]
        return self.values.get(path, (1, 1))

    def mistake(
        self,
        path: Path,
        message: str,
        suggestion: str | None = None,
        *,
        key: bool = False,
        offset: int | None = None,
    ) -> None:
        """Note a mistake at a path, `offset` characters into the text there."""
        line, column = self.place(path, key=key)
        if offset is not None:
            line, column = self._inside(path, offset) or (line, column)
        self.mistakes.append(Mistake(self.file, line, column, message, suggestion))

    def _inside(self, path: Path, offset: int) -> tuple[int, int] | None:
        """Where a character of a text stands, however the file folds and quotes it."""
        node = self.values.get(path)
        text: Data = self.data
        for part in path:
            text = text[part] if isinstance(text, dict | list) else None  # type: ignore[index]  # it stands there
        if node is None or not isinstance(text, str):
            return None
        line, column = node
        written = self.written.get(path, text)
        start = 1 if written[:1] in {"'", '"'} else 0
        if written[:1] in {"|", ">"}:
            start = written.find("\n") + 1
        place = _aligned(text, written, offset, start)
        before = written[:place]
        if "\n" in before:
            return line + before.count("\n"), place - before.rfind("\n")
        return line, column + place


def _aligned(text: str, written: str, offset: int, at: int) -> int:
    """Where `text[offset]` stands in `written`, from `at` on: white space and quoting may differ."""
    place = at
    for character in text[: offset + 1]:
        if character.isspace():
            continue
        place = written.find(character, at)
        if place < 0:
            return at
        at = place + 1
    return place if offset < len(text) else at


def read_tree(text: str, file: str) -> Tree:
    """Compose a text; all mistakes are in the tree, none is raised."""
    tree = Tree(file)
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        tree.mistakes.append(Mistake(file, 1, 1, f"the file is larger than {MAX_BYTES} bytes"))
        return tree
    try:
        root = _Loader(text, tree).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = f"{error.problem or error}"
        message = said if isinstance(error, _Bound) else f"not YAML: {said}"
        tree.mistakes.append(Mistake(file, *(_place(mark) if mark else (1, 1)), message))
        return tree
    except yaml.YAMLError as error:
        tree.mistakes.append(Mistake(file, 1, 1, f"not YAML: {str(error).splitlines()[0]}"))
        return tree
    except RecursionError:
        tree.mistakes.append(Mistake(file, 1, 1, f"nested deeper than {MAX_DEPTH} levels"))
        return tree
    if root is None:
        tree.mistakes.append(Mistake(file, 1, 1, "the file is empty"))
    else:
        tree.data = _Walk(tree, text).value(root, (), 0)
    return tree


class _Loader(yaml.SafeLoader):
    """PyYAML's composer, which tells of tags as it meets them and stops at the bounds.

    A tag is seen here alone: a node that was composed keeps only what its tag came to, and `!!int "1"` and
    `1` come to the same.
    """

    def __init__(self, text: str, tree: Tree) -> None:
        super().__init__(text)
        self._tree = tree
        self._nodes = 0
        self._depth = 0

    def get_event(self) -> Any:
        event: Any = super().get_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.DocumentStartEvent):
            if event.tags:
                self._refuse(event, "`%TAG` is not allowed, nor are tags (`!…`)")
        elif getattr(event, "tag", None) is not None:
            self._refuse(event, "tags (`!…`) are not allowed")
        return event

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node | None:
        self._depth += 1
        if self._depth > MAX_DEPTH + 1:
            raise self._stop(f"nested deeper than {MAX_DEPTH} levels")
        # A key has a value: who counts the one has counted both.
        self._nodes += not (isinstance(parent, yaml.MappingNode) and index is None)
        if self._nodes > MAX_NODES:
            raise self._stop(f"larger than {MAX_NODES} values")
        node = super().compose_node(parent, index)  # type: ignore[arg-type]
        self._depth -= 1
        return node

    def _refuse(self, event: Any, message: str) -> None:
        self._tree.mistakes.append(Mistake(self._tree.file, *_place(event.start_mark), message))

    def _stop(self, message: str) -> yaml.MarkedYAMLError:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        return _Bound(problem=message, problem_mark=event.start_mark)


class _Bound(yaml.MarkedYAMLError):
    """YAML, but more of it than is read."""


def _place(mark: yaml.Mark) -> tuple[int, int]:
    return mark.line + 1, mark.column + 1


class _Walk:
    def __init__(self, tree: Tree, source: str) -> None:
        self._tree = tree
        self._source = source
        self._nodes = 0

    def value(self, node: yaml.Node, path: Path, depth: int) -> Data:
        tree = self._tree
        tree.values[path] = _place(node.start_mark)
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            if self._nodes <= MAX_NODES + 1:
                what = (
                    f"nested deeper than {MAX_DEPTH} levels" if depth > MAX_DEPTH else "too large"
                )
                tree.mistake(path, what)
                self._nodes = MAX_NODES + 1
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            items = enumerate(node.value)
            return [self.value(item, (*path, at), depth + 1) for at, item in items]
        assert isinstance(node, yaml.ScalarNode)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path, depth: int) -> Data:
        tree = self._tree
        result: dict[str, Data] = {}
        for key_node, value_node in node.value:
            place = _place(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                tree.mistakes.append(Mistake(tree.file, *place, "a key must be a plain word"))
                continue
            key = key_node.value
            at = (*path, key)
            if key in result:
                message = f"`{key}` stands here twice; first in line {tree.keys[at][0]}"
                tree.mistakes.append(Mistake(tree.file, *place, message))
                continue
            tree.keys[at] = place
            result[key] = self.value(value_node, at, depth + 1)
        return result

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Data:
        text: str = node.value
        if node.style is not None or " " in text:
            start, end = node.start_mark.index, node.end_mark.index
            self._tree.written[path] = self._source[start:end]
        if node.style is not None:
            return text
        if text in {"", "null"}:
            return None
        if text == "true":
            return True
        if text == "false":
            return False
        if _INT.match(text):
            return int(text)
        if _FLOAT.match(text):
            return float(text)
        if _AMBIGUOUS.match(text):
            message = f"`{text}` means different things to different YAML readers; quote it"
            self._tree.mistake(path, message, f'`"{text}"`')
        return text
