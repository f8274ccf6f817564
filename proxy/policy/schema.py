"""
The JSON Schema of a policy, for editors: made from the same models that load it.

It says what a file may look like. What only the loader can tell (a subject that may not block, an exemption
from a rule that is not there) `excise check` says.
"""

from __future__ import annotations

from typing import Any, Final

from proxy.facts import PROFILES
from proxy.policy.model import Policy
from proxy.rules import RULE_KINDS
from proxy.rules.fields import one_of
from proxy.rules.match import CLOSED
from proxy.rules.subjects import BANNABLE, SUBJECTS

Schema = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def policy_schema() -> Schema:
    """The schema of a whole policy file."""
    schema = _cleaned(Policy.model_json_schema(by_alias=True))
    definitions: Schema = schema.pop("$defs")
    definitions.pop("RuleKind")
    for kind in RULE_KINDS:
        of_kind = _cleaned(kind.model_json_schema(by_alias=True))
        definitions |= of_kind.pop("$defs", {})
        of_kind["properties"] = {"kind": {"const": kind.kind}, **of_kind["properties"]}
        of_kind["properties"]["per"] = one_of(SUBJECTS)
        of_kind["properties"]["excuse"] = one_of(PROFILES)
        of_kind["required"] = ["kind", *of_kind["required"]]
        definitions[kind.kind] = of_kind
    properties = schema["properties"]
    del properties["digest"], properties["files"]
    definitions["Suspicion"]["properties"]["subjects"] = one_of(BANNABLE)
    of_rules = [{"$ref": f"#/$defs/{kind.kind}"} for kind in RULE_KINDS]
    properties["rules"] = {"type": "array", "items": {"oneOf": of_rules}}
    match = definitions["Match"]
    match["minProperties"] = 1
    for name, words in CLOSED.items():
        match["properties"][name] = one_of(sorted(words))
    return {"$schema": DIALECT, "title": "Excise policy", **schema, "$defs": definitions}


def _cleaned(node: Any) -> Any:
    """Without titles, and without null: a field that has no value is left out."""
    if isinstance(node, list):
        return [_cleaned(item) for item in node]
    if not isinstance(node, dict):
        return node
    cleaned = {
        key: _cleaned(value) if key != "properties" else {k: _cleaned(v) for k, v in value.items()}
        for key, value in node.items()
        if not (key == "title" and isinstance(value, str))
        and not (key == "default" and not isinstance(value, str | int | float))
    }
    choices = [one for one in cleaned.pop("anyOf", []) if one != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **cleaned}
    return {**cleaned, "anyOf": choices} if choices else cleaned
