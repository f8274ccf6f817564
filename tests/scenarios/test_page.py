"""The operator's page names every field that there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from proxy.scenarios.expect import Expectation
from proxy.scenarios.model import Burst, Scenario, Step, Suite
from proxy.scenarios.request import CLIENTS, Answer, Send
from proxy.scenarios.surroundings import NamedAccount, NamedNetwork

PAGE = (Path(__file__).parents[2] / "docs/testing-policies.md").read_text(encoding="utf-8")
MODELS = (Suite, Scenario, Step, Burst, Send, Answer, NamedAccount, NamedNetwork, Expectation)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_is_on_the_page(model: type[BaseModel]) -> None:
    shown = set(re.findall(r"[`\s{,(]([a-z_]+)(?=[`:])", PAGE))
    fields = {info.alias or name for name, info in model.model_fields.items()}
    assert fields - {"version"} - shown == set()


def test_every_program_is_on_the_page() -> None:
    assert [name for name in CLIENTS if f"`{name}`" not in PAGE] == []
