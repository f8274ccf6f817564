"""
A campaign as a STIX 2.1 bundle, for whoever takes in threat intelligence. Pure.

Made from the document that `told.py` makes; the same campaign gives the same ids, so that a later bundle
updates an earlier one: all are `modified` when the document was told. Who is only suspected is left out:
a known customer is nobody's indicator.
"""

from __future__ import annotations

import ipaddress
import json
import uuid
from typing import Any, Final

Told = dict[str, Any]

_OURS: Final = uuid.UUID("06382ed4-fbaa-4147-9165-c84795e38061")
"""Of this project, for the ids of everything else."""
_OBSERVABLES: Final = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""Of the specification, for the ids of cyber-observables."""
_CREATED: Final = "2026-01-01T00:00:00Z"
"""Of all objects: an id's `created` must never change, and what is first seen of a campaign does."""
MOST_INDICATORS: Final = 1000
ACCOUNT_TYPE: Final = "model-api"


def bundle(told: Told) -> Told:
    """The bundle of one campaign's document."""
    name = told["campaign"]
    first, modified = told["since"], told["told"]
    last = max(first, told["seen"], told["last_request"] or "")
    maker = _object("identity", "excise", _CREATED, name="Excise", identity_class="system")
    about = {"created_by_ref": maker["id"]}
    campaign = _object(
        "campaign",
        name,
        modified,
        **about,
        name=name,
        description=_description(told),
        first_seen=first,
        last_seen=last,
        objective="Model extraction: answers of a model are gathered over many accounts",
    )
    objects = [maker, campaign]
    members = [one for one in told["accounts"] if one["state"] != "suspected"]
    observed: list[str] = []
    for member in members:
        account = _account(member["id"])
        data = _observed(name, account["id"], member, modified) | about
        objects += [account, data]
        observed.append(data["id"])
    if observed:
        sighting = _object("sighting", name, modified, **about)
        count = min(max(told["requests"], 1), 999_999_999)
        objects.append(
            sighting
            | {"first_seen": first, "last_seen": last, "count": count}
            | {"sighting_of_ref": campaign["id"], "observed_data_refs": observed}
            | {"where_sighted_refs": [maker["id"]]}
        )
    objects += _notes(told, campaign["id"], modified, about)
    objects += _indicators(told, campaign["id"], modified, about)
    drawn = uuid.uuid5(_OURS, f"bundle\n{name}\n{modified}")
    return {"type": "bundle", "id": f"bundle--{drawn}", "objects": objects}


def _object(kind: str, named: str, modified: str, **fields: Any) -> Told:
    head = {
        "type": kind,
        "spec_version": "2.1",
        "id": f"{kind}--{uuid.uuid5(_OURS, f'{kind} {named}')}",
    }
    return {**head, "created": _exact(_CREATED), "modified": _exact(modified), **fields}


def _exact(moment: str) -> str:
    """Versions are told apart to the millisecond, says the specification."""
    return moment.removesuffix("Z") + ".000Z"


def _account(keyed: str) -> Told:
    """An account, by its keyed id. Its own id is drawn as the specification says."""
    drawn_from = {"account_type": ACCOUNT_TYPE, "user_id": keyed}
    canonical = json.dumps(drawn_from, separators=(",", ":"), sort_keys=True)
    drawn = uuid.uuid5(_OBSERVABLES, canonical)
    head = {"type": "user-account", "spec_version": "2.1", "id": f"user-account--{drawn}"}
    return {**head, **drawn_from}


def _observed(name: str, account: str, member: Told, modified: str) -> Told:
    first = member["first_request"] or member["since"]
    last = max(first, member["last_request"] or first)
    return _object(
        "observed-data",
        f"{name} {member['id']}",
        modified,
        first_observed=first,
        last_observed=last,
        number_observed=min(max(member["requests"], 1), 999_999_999),
        object_refs=[account],
    )


def _description(told: Told) -> str:
    families = ", ".join(told["families"])
    return (
        f"{told['members']} accounts that share things of these families of evidence: {families}. "
        f"{told['requests']} requests, {told['refused']} of them refused; "
        f"{told['output_tokens']} tokens of output, {told['reasoning_tokens']} of reasoning."
    )


def _notes(told: Told, campaign: str, modified: str, about: Told) -> list[Told]:
    """What is shared, and what was asked: machine-readable, as `export --format json` has it."""
    parts = {
        "Shared by its accounts": told["shared"],
        "Models and templates": {name: told[name] for name in ("models", "templates")},
        "Timeline": told["timeline"],
    }
    return [
        _object(
            "note",
            f"{told['campaign']} {title}",
            modified,
            **about,
            abstract=title,
            content=json.dumps(part, sort_keys=True),
            object_refs=[campaign],
        )
        for title, part in parts.items()
    ]


def _indicators(told: Told, campaign: str, modified: str, about: Told) -> list[Told]:
    """Exits to the internet that its accounts share, where the log shows addresses in full."""
    objects: list[Told] = []
    for shared in told["shared"][:MOST_INDICATORS]:
        pattern = _pattern(shared["shared"])
        if pattern is None:
            continue
        named = f"{told['campaign']} {shared['shared']}"
        indicator = _object("indicator", named, modified, **about)
        indicator |= {
            "name": f"{shared['shared']}, shared by {shared['accounts']} accounts",
            "indicator_types": ["anomalous-activity"],
            "pattern": pattern,
            "pattern_type": "stix",
            "pattern_version": "2.1",
            "valid_from": shared["since"],
        }
        indicates = _object("relationship", named, modified, **about)
        indicates |= {"relationship_type": "indicates", "source_ref": indicator["id"]}
        objects += [indicator, indicates | {"target_ref": campaign}]
    return objects


def _pattern(thing: str) -> str | None:
    kind, _, text = thing.partition(":")
    if kind not in {"address", "subnet"}:
        return None
    try:
        network = ipaddress.ip_network(text)
    except ValueError:  # hashed
        return None
    observable = f"ipv{network.version}-addr:value"
    if network.prefixlen == network.max_prefixlen:
        return f"[{observable} = '{network.network_address}']"
    return f"[{observable} ISSUBSET '{network}']"
