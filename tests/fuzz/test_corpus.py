"""Every input that fuzzing has kept goes through its target, and so do inputs that hypothesis invents."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import CORPUS, seeds
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_breaks_nothing(name: str) -> None:
    kept = seeds(name)
    assert len(kept) >= 4, "the corpus of this target is gone"
    for data in kept:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=200), start=st.integers(0, 10**6), cut=st.integers(0, 4096))
@settings(max_examples=60, deadline=None)  # a loaded machine is no finding
def test_nothing_else_breaks_it(name: str, data: bytes, start: int, cut: int) -> None:
    kept = seeds(name)
    seed = kept[start % len(kept)]
    TARGETS[name](data)
    TARGETS[name](seed[:cut] + data + seed[cut:])


def test_every_corpus_has_its_target() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == TARGETS.keys()
