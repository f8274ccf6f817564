"""One Excise for the SDKs of a module, in front of the sample model; and prompts to send."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import openai
import pytest

from tests.support.excise import Excise, running_excise

POLICY = """
version: 1
keys: {missing: block, unknown: allow}
rules:
  - name: tight
    kind: rate_limit
    per: api_key
    match: {model: tight}
    limit: 1/second
    burst: 1
    action: throttle
  - name: shaped
    kind: rate_limit
    per: api_key
    match: {model: shaped}
    limit: 5/second
    burst: 1
    action: {delay: {at_most: 1s, then: throttle}}
  - name: closed
    kind: rate_limit
    per: [account, model]
    match: {model: closed}
    limit: 1/hour
    burst: 1
    action: block
"""


@pytest.fixture(scope="module")
def excise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Excise]:
    with running_excise(tmp_path_factory.mktemp("excise"), POLICY) as running:
        yield running


OWN_PROMPTS = [
    "Summarise the minutes below in three bullet points.",
    'Say "hello" \\ and then\nstop. ☃ 你好',
    "Was kostet ein Fahrrad?",
]


def evaluation_prompts() -> list[str]:
    """The first user turn of some rows of each prompt file, where the evaluation data is present."""
    folder = Path(os.environ.get("EXCISE_EVAL_DATA", "../shared/data"))
    prompts: list[str] = []
    for file in sorted(folder.glob("prompts_*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            for _, line in zip(range(2), lines, strict=False):
                turns = json.loads(line)["turns"]
                prompts += [turn["content"] for turn in turns if turn["role"] == "user"][:1]
    return prompts


@pytest.fixture(scope="session")
def prompts() -> list[str]:
    return OWN_PROMPTS + evaluation_prompts()


@pytest.fixture
def client(excise: Excise, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    key = f"sk-{request.node.name}"
    with openai.OpenAI(api_key=key, base_url=f"{excise.url}/v1", max_retries=0) as made:
        yield made


@pytest.fixture
async def async_client(
    excise: Excise, request: pytest.FixtureRequest
) -> AsyncIterator[openai.AsyncOpenAI]:
    key = f"sk-{request.node.name}"
    async with openai.AsyncOpenAI(api_key=key, base_url=f"{excise.url}/v1", max_retries=0) as made:
        yield made
