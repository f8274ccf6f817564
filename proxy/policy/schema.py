"""
The JSON Schema of a policy, for editors: made from the same models that load it.

It says what a file may look like, and of what fields mean together as much as a schema can. What only the
loader can tell (an exemption from a rule that is not there, a day in no calendar) `excise check` says.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from proxy.facts import ALSO_SERVED, PROFILES
from proxy.policy.include import UNPATCHED
from proxy.policy.model import Policy
from proxy.policy.suspicion import NAME
from proxy.rules import RULE_KINDS
from proxy.rules.action import ACTION_SCHEMA
from proxy.rules.base import RuleKind
from proxy.rules.fields import one_of, one_or_more
from proxy.rules.match import CLOSED, ROUTES
from proxy.rules.subjects import BANNABLE, CHOSEN_BY_CALLERS, SUBJECTS

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_BANS: Final[Schema] = {"type": "object", "required": ["block"]}
_DELAYS_THEN: Final[Schema] = {
    "properties": {"delay": {"properties": {"then": {"const": "block"}}, "required": ["then"]}},
    "type": "object",
    "required": ["delay"],
}
_BLOCKS: Final[Schema] = {"anyOf": [{"const": "block"}, _BANS, _DELAYS_THEN]}
_ALONE: Final[Schema] = {"enum": list(BANNABLE)}
_DOES: Final[Schema] = {"anyOf": [{"required": ["action"]}, {"required": ["score"]}]}
"""What all kinds need but those that link."""
_TOGETHER: Final[tuple[Schema, ...]] = (
    {
        "if": {"properties": {"per": one_of(sorted(CHOSEN_BY_CALLERS))}, "required": ["per"]},
        "then": {"properties": {"action": {"enum": ["allow", "log"]}}},
    },
    {
        "if": {"properties": {"action": _BANS}, "required": ["action"]},
        "then": {
            "properties": {"per": {"anyOf": [_ALONE, {"items": _ALONE, "maxItems": 1}]}},
        },
    },
)
"""What holds between the fields that all kinds share."""
_ONE_FAMILY: Final[Schema] = {
    "if": {"properties": {"action": _BLOCKS}, "required": ["action"]},
    "then": {"required": ["acknowledge_single_family"]},
}


def policy_schema() -> Schema:
    """The schema of a whole policy file."""
    schema = plain(Policy.model_json_schema(by_alias=True))
    definitions: Schema = schema.pop("$defs")
    definitions.pop("RuleKind")
    for kind in RULE_KINDS:
        of_kind = _of_kind(kind)
        definitions |= of_kind.pop("$defs", {})
        definitions[kind.kind] = of_kind
    properties = schema["properties"]
    del properties["digest"], properties["files"]
    properties["also_serve"] |= one_of(ALSO_SERVED)
    definitions["Suspicion"]["properties"]["subjects"] = one_of(BANNABLE, unique=True)
    of_rules = [{"$ref": f"#/$defs/{kind.kind}"} for kind in RULE_KINDS]
    properties["rules"] = {"type": "array", "items": {"oneOf": of_rules}}
    definitions["Patch"] = _patch([definitions[kind.kind] for kind in RULE_KINDS])
    patched = properties["override"]
    patched["additionalProperties"] = {"$ref": "#/$defs/Patch"}
    match = definitions["Match"]
    match["minProperties"] = 1
    for name, words in CLOSED.items():
        match["properties"][name] = one_of(sorted(words))
    definitions["Rule"] = {"allOf": list(_TOGETHER)}
    definitions["Action"] = ACTION_SCHEMA
    threshold = definitions["Threshold"]["properties"]
    threshold["action"] = _action(threshold["action"])
    definitions["Route"] = {"enum": sorted(ROUTES)}
    routes = match["properties"]["route"]
    match["properties"]["route"] = one_or_more({"$ref": "#/$defs/Route"}) | {
        "description": routes["description"]
    }
    return {"$schema": DIALECT, "title": "Excise policy", **schema, "$defs": definitions}


def _of_kind(kind: type[RuleKind]) -> Schema:
    of_kind: Schema = plain(kind.model_json_schema(by_alias=True))
    properties = {"kind": {"const": kind.kind}, **of_kind["properties"]}
    properties["per"] = one_of(SUBJECTS, unique=True)
    properties["excuse"] = one_of(PROFILES)
    properties["action"] = _action(properties["action"])
    properties["name"] = {**properties["name"], "not": {"const": NAME}}
    of_kind["properties"] = properties
    of_kind["required"] = ["kind", *of_kind["required"]]
    together: list[Schema] = [{"$ref": "#/$defs/Rule"}]
    if kind.links:
        properties["per"] = {"const": "account"}
    else:
        together.append(_DOES)
    if kind.schema_also:
        together.append(dict(kind.schema_also))
    if not kind.plain_limit and getattr(kind, "family", None) != "listed":
        together.append(_ONE_FAMILY)
    of_kind["allOf"] = together
    return of_kind


def _action(field: Schema) -> Schema:
    told = {"description": field["description"]} if "description" in field else {}
    return {"$ref": "#/$defs/Action", **told}


def _patch(kinds: Iterable[Schema]) -> Schema:
    """Fields that `override` may set: whatever some kind takes under that name."""
    known: dict[str, list[Schema]] = {}
    for of_kind in kinds:
        for name, field in of_kind["properties"].items():
            meant = {key: value for key, value in field.items() if key != "description"}
            choices = known.setdefault(name, [])
            if name not in UNPATCHED and meant not in choices:
                choices.append(meant)
    properties = {
        name: choices[0] if len(choices) == 1 else {"anyOf": choices}
        for name, choices in sorted(known.items())
        if choices
    }
    return {"type": "object", "properties": properties, "additionalProperties": False}


def plain(node: Any) -> Any:
    """Without titles, and without null: a field that has no value is left out."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    cleaned = {
        key: plain(value) if key != "properties" else {k: plain(v) for k, v in value.items()}
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and not isinstance(value, str | int | float))
    }
    choices = [one for one in cleaned.pop("anyOf", []) if one != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **cleaned}
    return {**cleaned, "anyOf": choices} if choices else cleaned
