"""`python -m tests.fuzz.under_atheris TARGET FOLDER … -option=…`: one target, for libFuzzer to drive."""

from __future__ import annotations

import sys

import atheris  # not on every machine: nothing but `tests.fuzz` starts this

# Only what is imported in here tells libFuzzer which of its lines it reaches.
with atheris.instrument_imports(include=["proxy", "yaml"]):
    from tests.fuzz.targets import TARGETS

atheris.Setup([sys.argv[0], *sys.argv[2:]], TARGETS[sys.argv[1]])
atheris.Fuzz()
