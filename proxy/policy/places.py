"""
What pydantic says of a policy's data, as mistakes in operators' words, each at its place in a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from proxy.nearest import nearest
from proxy.policy.yamltree import Path as Place
from proxy.policy.yamltree import Tree
from proxy.rules.base import RuleKind

Model = TypeVar("Model", bound=BaseModel)

OURS = frozenset({"digest", "files"})
"""Fields of a policy that the loader sets."""

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
    "less_than": "`{field}` must be less than {lt}",
    "less_than_equal": "`{field}` must be at most {le}",
    "literal_error": "`{field}` must be one of {expected}",
    "string_pattern_mismatch": "`{field}` has characters or a form that are not allowed here",
}


@dataclass(frozen=True, slots=True)
class Spot:
    """Where some data stands: a place in one file, and another one for the fields that patch it."""

    tree: Tree
    place: Place = ()
    patch: Tree | None = None
    patch_place: Place = ()
    patched: frozenset[str] = frozenset()

    def mistake(
        self,
        path: Place,
        message: str,
        suggestion: str | None = None,
        *,
        key: bool = False,
        offset: int | None = None,
    ) -> None:
        """Note a mistake at a path below the spot, `offset` characters into the text there."""
        tree, place = self._of(path)
        tree.mistake((*place, *path), message, suggestion, key=key, offset=offset)

    def at(self, path: Place, *, key: bool = False) -> tuple[str, int, int]:
        """File, line and column of a path below the spot; of what it stands in where it is absent."""
        tree, place = self._of(path)
        return (tree.file, *tree.place((*place, *path), key=key))

    def _of(self, path: Place) -> tuple[Tree, Place]:
        if self.patch is not None and path and path[0] in self.patched:
            return self.patch, self.patch_place
        return self.tree, self.place


def validate(spot: Spot, model: type[Model], data: dict[str, Any]) -> Model | None:
    """The data as a final value; None where it has mistakes, which are noted at their places."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _note(spot, model, details)
    return None


def _note(spot: Spot, model: type[BaseModel], details: ErrorDetails) -> None:
    path = tuple(details["loc"])
    context = details.get("ctx", {})
    kind = details["type"]
    field = next((part for part in reversed(path) if isinstance(part, str)), "")
    if kind == "wrong":
        at_field = bool(path)
        path = (*path, *context["path"])
        message = details["msg"]
        at_key = bool(context["path"]) and message.startswith(f"`{path[-1]}`")
        if at_field and not message.startswith(("`", "a ", "one ")):
            # What a place inside of a field says of itself: `then` of an action, not the action.
            field = next(part for part in reversed(path) if isinstance(part, str))
            message = f"`{field}` {message}"
        offset = context.get("offset")
        spot.mistake(path, message, context["suggestion"], key=at_key, offset=offset)
    elif kind == "extra_forbidden":
        _note_unknown(spot, model, field, path)
    else:
        context = {
            name: int(bound) if isinstance(bound, float) and bound.is_integer() else bound
            for name, bound in context.items()
        }
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
        spot.mistake(path, message, suggestion)


def _note_unknown(spot: Spot, model: type[BaseModel], field: str, path: Place) -> None:
    for part in path[:-1]:
        inner = model.model_fields.get(str(part))
        for candidate in _models_in(inner.annotation if inner is not None else None):
            model = candidate
    known = [info.alias or name for name, info in model.model_fields.items() if name not in OURS]
    if issubclass(model, RuleKind):
        known.append("kind")
    spot.mistake(path, f"`{field}` is not known here", nearest(field, known), key=True)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]
