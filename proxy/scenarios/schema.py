"""The JSON Schema of a suite, for editors: made from the same models that load it."""

from __future__ import annotations

from proxy.decision import DEGRADATIONS
from proxy.facts import PROFILES
from proxy.policy.schema import DIALECT, Schema, plain
from proxy.rules.fields import one_of
from proxy.scenarios.expect import DECISIONS, WHICH
from proxy.scenarios.model import Suite
from proxy.scenarios.request import CLIENTS


def suite_schema() -> Schema:
    """The schema of a whole suite."""
    schema: Schema = plain(Suite.model_json_schema(by_alias=True))
    definitions: Schema = schema.pop("$defs")
    expectation = definitions["Expectation"]["properties"]
    expectation["decision"] |= one_of(DECISIONS)
    expectation["which"] |= {"anyOf": [{"enum": list(WHICH)}, {"type": "integer", "minimum": 1}]}
    words = "|".join(DEGRADATIONS)
    taken = {"type": "string", "pattern": f"^({words})(: .+)?$"}
    expectation["degrade"] |= {"anyOf": [taken, {"type": "array", "items": taken, "minItems": 1}]}
    for name in ("Burst", "Step", "Scenario"):
        listed = definitions[name]["properties"]["expect"]
        one = listed["items"]
        definitions[name]["properties"]["expect"] = {
            "description": listed["description"],
            "anyOf": [one, {"type": "array", "items": one}],
        }
    definitions["Scenario"]["properties"]["steps"] |= {"minItems": 1}
    definitions["Step"]["properties"]["together"] |= {"minItems": 2}
    schema["properties"]["tests"] |= {"minItems": 1}
    definitions["Send"]["properties"]["client"] |= one_of(sorted(CLIENTS))
    definitions["Send"]["properties"]["body"] |= {"type": ["object", "string"]}
    definitions["NamedAccount"]["properties"]["profile"] |= {"enum": list(PROFILES)}
    return {"$schema": DIALECT, "title": "Excise tests", **schema, "$defs": definitions}
