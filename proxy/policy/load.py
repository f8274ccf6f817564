"""load: a YAML file → a policy, or every mistake in it at once, each with its place."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy.policy.mistake import Mistake
from proxy.policy.model import Policy
from proxy.policy.yamltree import Path as Place
from proxy.policy.yamltree import Tree, read_tree
from proxy.rules import COMING_KINDS, RULE_KINDS
from proxy.rules.base import RuleKind
from proxy.rules.fields import nearest

Model = TypeVar("Model", bound=BaseModel)

_KINDS = {kind.kind: kind for kind in RULE_KINDS}
_COMING_FIELDS = frozenset({"include", "override", "suspicion", "when"})

_WORDS = {
    "missing": "`{field}` is required",
    "string_type": "`{field}` must be text",
    "int_type": "`{field}` must be a whole number",
    "float_type": "`{field}` must be a number",
    "bool_type": "`{field}` must be true or false",
    "list_type": "`{field}` must be a list",
    "tuple_type": "`{field}` must be a list",
    "dict_type": "`{field}` must hold named fields",
    "model_type": "`{field}` must hold named fields",
    "string_too_short": "`{field}` must not be empty",
    "string_too_long": "`{field}` must have at most {max_length} characters",
    "greater_than": "`{field}` must be more than {gt}",
    "greater_than_equal": "`{field}` must be at least {ge}",
    "less_than_equal": "`{field}` must be at most {le}",
    "literal_error": "`{field}` must be one of {expected}",
    "string_pattern_mismatch": "`{field}` has characters or a form that are not allowed here",
}


class PolicyError(Exception):
    """A policy that cannot be loaded, with every mistake that it holds."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        super().__init__("\n".join(map(str, mistakes)))
        self.mistakes = mistakes


def load(path: Path) -> Policy:
    """Load a policy file. Raises PolicyError with all mistakes, an unreadable file among them."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise PolicyError((Mistake(str(path), 1, 1, "the file is not UTF-8"),)) from None
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise PolicyError((Mistake(str(path), 1, 1, f"cannot be read: {reason}"),)) from None
    return parse(text, str(path))


def parse(text: str, file: str) -> Policy:
    """Load a policy from text; `file` names it in mistakes. Raises PolicyError."""
    tree = read_tree(text, file)
    data = tree.data
    if not tree.mistakes and not isinstance(data, dict):
        tree.mistake((), "a policy holds named fields, beginning with `version: 1`")
    if not isinstance(data, dict):
        raise PolicyError(tuple(sorted(tree.mistakes)))
    _refuse_nothing(tree, data, ())
    rules = _rules(tree, data.get("rules"))
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    if "digest" in data:
        tree.mistake(("digest",), "`digest` is not a field of a policy", key=True)
    whole = {**{key: value for key, value in data.items() if key != "rules"}, "digest": digest}
    policy = _validate(tree, Policy, whole, ())
    if policy is not None:
        _check_exemptions(tree, policy, data)
    if tree.mistakes:
        raise PolicyError(tuple(sorted(set(tree.mistakes))))
    assert policy is not None
    fields = {name: getattr(policy, name) for name in Policy.model_fields if name != "rules"}
    return Policy(**fields, rules=rules)


def warnings(policy: Policy, path: Path, now: float) -> list[Mistake]:
    """What a policy may hold, but hardly on purpose, each with its place."""
    tree = read_tree(path.read_text(encoding="utf-8"), str(path))
    found: list[Mistake] = []
    for at, exemption in enumerate(policy.exemptions):
        if exemption.ended(now):
            line, column = tree.place(("exemptions", at, "until"))
            message = f"exemption `{exemption.name}` ended on {exemption.until}; it lifts nothing"
            found.append(Mistake(str(path), line, column, message))
    for at, rule in enumerate(policy.rules):
        if rule.score is not None:
            line, column = tree.place(("rules", at, "score"))
            message = f"rule `{rule.name}`: scores have no effect in this version yet"
            found.append(Mistake(str(path), line, column, message))
    return found


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


def _rules(tree: Tree, data: Any) -> tuple[RuleKind, ...]:
    if data is None:
        return ()
    if not isinstance(data, list):
        tree.mistake(("rules",), "`rules` must be a list")
        return ()
    rules: list[RuleKind] = []
    names: dict[str, int] = {}
    for at, item in enumerate(data):
        place: Place = ("rules", at)
        if not isinstance(item, dict):
            tree.mistake(place, "a rule holds named fields: `name`, `kind`, …")
            continue
        name = item.get("name")
        if isinstance(name, str) and name in names:
            tree.mistake(
                (*place, "name"), f"`{name}` is the name of rule {names[name] + 1} already"
            )
        if isinstance(name, str):
            names.setdefault(name, at)
        rule = _rule(tree, item, place)
        if rule is not None:
            rules.append(rule)
    return tuple(rules)


def _rule(tree: Tree, item: dict[str, Any], place: Place) -> RuleKind | None:
    word = item.get("kind")
    kind = _KINDS.get(word) if isinstance(word, str) else None
    if kind is None:
        if "kind" not in item:
            tree.mistake(place, "`kind` is required")
        elif isinstance(word, str) and word in COMING_KINDS:
            tree.mistake((*place, "kind"), f"`{word}` is not supported by this version yet")
        else:
            known = ", ".join(_KINDS)
            near = nearest(str(word), _KINDS)
            tree.mistake((*place, "kind"), f"`kind` must be one of {known}", near)
        return None
    fields = {key: value for key, value in item.items() if key != "kind"}
    return _validate(tree, kind, fields, place)


def _validate(tree: Tree, model: type[Model], data: dict[str, Any], place: Place) -> Model | None:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _note(tree, model, details, place)
    return None


def _note(tree: Tree, model: type[BaseModel], details: ErrorDetails, place: Place) -> None:
    loc = tuple(details["loc"])
    context = details.get("ctx", {})
    kind = details["type"]
    path = (*place, *loc)
    field = next((part for part in reversed(loc) if isinstance(part, str)), "")
    if kind == "wrong":
        path = (*path, *context["path"])
        message = details["msg"]
        at_key = bool(context["path"]) and message.startswith(f"`{path[-1]}`")
        if loc and not message.startswith(("`", "a ", "one ")):
            message = f"`{field}` {message}"
        tree.mistake(path, message, context["suggestion"], key=at_key)
    elif kind == "extra_forbidden":
        _note_unknown(tree, model, field, path)
    else:
        words = _WORDS.get(kind)
        message = words.format(field=field, **context) if words else f"`{field}`: {details['msg']}"
        suggestion = None
        if kind == "literal_error":
            known = [
                part.strip("' ")
                for part in str(context["expected"]).replace(" or ", ",").split(",")
            ]
            message = f"`{field}` must be one of {', '.join(known)}"
            suggestion = nearest(str(details["input"]), known)
        tree.mistake(path, message, suggestion)


def _note_unknown(tree: Tree, model: type[BaseModel], field: str, path: Place) -> None:
    if field in _COMING_FIELDS:
        tree.mistake(path, f"`{field}` is not supported by this version yet", key=True)
        return
    for part in path[:-1]:
        inner = model.model_fields.get(str(part))
        for candidate in _models_in(inner.annotation if inner is not None else None):
            model = candidate
    known = [info.alias or name for name, info in model.model_fields.items() if name != "digest"]
    if model is Policy or issubclass(model, RuleKind):
        known.append("rules" if model is Policy else "kind")
    tree.mistake(path, f"`{field}` is not known here", nearest(field, known), key=True)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _check_exemptions(tree: Tree, policy: Policy, data: dict[str, Any]) -> None:
    rules = data.get("rules") or []
    known = [item.get("name") for item in rules if isinstance(item, dict)]
    names = [name for name in known if isinstance(name, str)]
    for at, exemption in enumerate(policy.exemptions):
        for index, name in enumerate(exemption.rules):
            if name not in names:
                message = f"no rule is called `{name}`"
                tree.mistake(("exemptions", at, "rules", index), message, nearest(name, names))
