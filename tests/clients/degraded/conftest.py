"""One Excise a module that degrades by the model's name, in front of a model that shows all there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.excise import Excise, running_excise
from tests.support.reasoning_model import ReasoningModel, reasoning_model

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
""" + "".join(
    f"""
  - name: {name}
    kind: datacenter_ip
    per: account
    kinds: [private]
    match: {{model: {models}}}
    action: {{degrade: {taken}}}
"""
    for name, models, taken in (
        (
            "hidden",
            "[hidden, inline, unclosed, hidden-cut, inline-cut]",
            "[strip_logprobs, hide_reasoning]",
        ),
        ("cut", "[cut, hidden-cut, inline-cut]", "[{cut_after: 5}]"),
        ("paced", "paced", "[{pace: 40/second}]"),
        (
            "lowered",
            "lowered",
            (
                "[strip_logprobs, drop_logit_bias, single_choice, hide_reasoning, "
                "{cap_output_tokens: 512}, {lower_reasoning_effort: low}]"
            ),
        ),
    )
)


@pytest.fixture(scope="module")
def model() -> Iterator[ReasoningModel]:
    with reasoning_model() as model:
        yield model


@pytest.fixture(scope="module")
def excise(tmp_path_factory: pytest.TempPathFactory, model: ReasoningModel) -> Iterator[Excise]:
    folder = tmp_path_factory.mktemp("excise")
    with running_excise(folder, POLICY, upstream=model.url) as running:
        yield running
