"""`excise schema`: the JSON Schema of policies, for editors."""

from __future__ import annotations

import json

import click

from proxy.policy.schema import policy_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of policies.

    Editors that speak YAML use it when a policy begins with
    `# yaml-language-server: $schema=policy.schema.json`, as the shipped ones do.
    """
    click.echo(json.dumps(policy_schema(), indent=2))
