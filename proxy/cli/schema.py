"""`excise schema`: the JSON Schema of policies, or of their tests, for editors."""

from __future__ import annotations

import json

import click

from proxy.policy.schema import policy_schema
from proxy.scenarios.schema import suite_schema

SCHEMAS = {"policy": policy_schema, "tests": suite_schema}


@click.command()
@click.argument("what", type=click.Choice(list(SCHEMAS)), default="policy")
def schema(what: str) -> None:
    """Print the JSON Schema of policies, or of suites of tests (`excise schema tests`).

    Editors that speak YAML use it when a policy begins with
    `# yaml-language-server: $schema=policy.schema.json`, as the shipped ones do, and a suite with
    `# yaml-language-server: $schema=tests.schema.json`.
    """
    click.echo(json.dumps(SCHEMAS[what](), indent=2))
