"""The Dockerfile's own steps, carried out in a clean folder, make an Excise that serves."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
INSTRUCTIONS = re.findall(r"^([A-Z]+) +(.*)$", TEXT, re.MULTILINE)


def allowed() -> set[str]:
    """What .dockerignore lets into the build."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert lines[0] == "*"
    return {line[1:] for line in lines[1:]}


def given(name: str) -> list[str]:
    return [value for instruction, value in INSTRUCTIONS if instruction == name]


def test_the_image_is_pinned_small_and_runs_as_nobody() -> None:
    (python,) = given("ARG")
    assert re.fullmatch(r"PYTHON=python:3\.\d+\.\d+-slim-\w+", python)
    assert [image.split()[0] for image in given("FROM")] == ["$PYTHON", "$PYTHON"]
    assert given("USER") == ["65534:65534"]
    assert "--no-deps --require-hashes -r requirements.lock" in TEXT
    assert given("HEALTHCHECK")
    assert given("ENTRYPOINT") == ['["excise"]']


@pytest.mark.timeout(400)
def test_its_steps_make_an_excise_that_serves(tmp_path: Path) -> None:
    source, target = tmp_path / "src", tmp_path / "excise"
    source.mkdir()
    for instruction, value in INSTRUCTIONS:
        if instruction == "COPY" and not value.startswith("--from"):
            *names, _ = value.split()
            for name in names:
                assert name in allowed(), f"{name} is copied, and left out by .dockerignore"
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, source / name)
                else:
                    shutil.copy(ROOT / name, source / name)
        if instruction == "RUN":
            step = value.replace("/opt/excise", str(target)).replace(
                "python -m", f"{sys.executable} -m"
            )
            subprocess.run(step, shell=True, cwd=source, check=True, timeout=300)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("EXCISE_")}
    listeners = {f"EXCISE_{name}LISTEN": "127.0.0.1:0" for name in ("", "HEALTH_", "ADMIN_")}
    with subprocess.Popen(
        [target / "bin" / "excise", "serve"],
        cwd="/",
        env={**environ, **listeners},
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            said = [next(process.stdout) for _ in range(5)]
            assert b'"event":"ready"' in said[-1]
            assert str(source).encode() not in b"".join(said)
        finally:
            process.terminate()
        assert process.wait(20) == 0
