"""
The documents' shell commands run as they stand, one document one shell, and their YAML is loaded.

`<!-- not run: why -->` right before a block leaves it out; what it asks of `excise` is then parsed all the
same. `<!-- run first: commands -->` sets something up that readers have. What stands for the reader's own
surroundings is put in: ports, the model API, Redis.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

from proxy.cli import main
from proxy.settings import load_settings
from tests.redis_servers import free_port, redis_server
from tests.support.excise import running_excise

HERE = Path(__file__).parent.parent
DOCUMENTS = [HERE / "README.md", *sorted((HERE / "docs").rglob("*.md"))]
PARTS = re.compile(
    r"<!-- run first: (?P<first>.+?) -->"
    r"|(?:<!-- not run: (?P<why>.+?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
TOOLS = ("bash", "curl", "jq", "openssl")
DEADLINE_S = 60
SERVES = re.compile(r"^((?:[A-Z_]+=\S+ )*excise serve\b[^&>\n]*)$", re.MULTILINE)
READY = "curl --silent --fail --retry 40 --retry-delay 1 --retry-connrefused -o ready.txt $HEALTH/readyz"
AWAITED = rf"\1 > serve.log & {READY}; kill $!; wait $! || true"
"""A server that a document starts in the foreground: awaited until it is ready, then ended."""


@dataclass(frozen=True)
class Part:
    language: str
    text: str
    why_not: str | None


def parts(document: Path) -> list[Part]:
    found = PARTS.finditer(document.read_text(encoding="utf-8"))
    return [
        Part("sh", one["first"] + "\n", None)
        if one["first"]
        else Part(one["language"], one["text"], one["why"])
        for one in found
    ]


def runs(document: Path) -> str:
    """A document's commands, one after the other."""
    return "\n".join(p.text for p in parts(document) if p.language == "sh" and p.why_not is None)


def unrun(document: Path) -> list[str]:
    """What a document has `excise` do in blocks that are not run, comments taken off."""
    texts = [p.text for p in parts(document) if p.language == "sh" and p.why_not is not None]
    lines = "".join(texts).replace("\\\n", " ").splitlines()
    asked = re.compile(r"(?:^|\| )(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?excise ([^|<>&#]+)")
    return [found[1] for line in lines for found in asked.finditer(line)]


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis_server() as server:
        yield server.url


@pytest.mark.parametrize(
    "document", [file for file in DOCUMENTS if runs(file)], ids=lambda file: file.name
)
def test_commands_run_as_they_stand(document: Path, tmp_path: Path, redis_url: str) -> None:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not on PATH: {', '.join(missing)}")
    workplace = tmp_path / "clone"
    workplace.mkdir()
    for folder in ("policies", "deploy"):
        shutil.copytree(HERE / folder, workplace / folder)
    (workplace / ".venv").symlink_to(Path(sys.executable).parent.parent)
    with running_excise(tmp_path) as model:
        finish(document, workplace, model.url, redis_url)


def finish(document: Path, workplace: Path, model_url: str, redis_url: str) -> None:
    ports = {str(default): str(free_port()) for default in (8080, 8081, 8082)}
    script = runs(document).replace("https://api.openai.com", model_url)
    script = script.replace("redis://redis:6379/0", redis_url)
    script = re.sub(r"\b808[012]\b", lambda found: ports[found[0]], script)
    script = SERVES.sub(AWAITED, script)
    environ = {name: text for name, text in os.environ.items() if not name.startswith("EXCISE_")}
    environ |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "EXCISE_LISTEN": f"127.0.0.1:{ports['8080']}",
        "EXCISE_HEALTH_LISTEN": f"127.0.0.1:{ports['8081']}",
        "EXCISE_ADMIN_LISTEN": f"127.0.0.1:{ports['8082']}",
        "HEALTH": f"http://127.0.0.1:{ports['8081']}",
        "NO_PROXY": "127.0.0.1",
        "HOME": str(workplace),
    }
    output = workplace / "output.txt"
    # To a file, for a pipe would stay open as long as a server that the document leaves running.
    with output.open("wb") as said:
        shell = subprocess.Popen(
            ["bash", "-e", "-o", "pipefail", "-x", "-c", script],
            cwd=workplace,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()
    assert code == 0, output.read_text(errors="replace")[-4000:]


@pytest.mark.parametrize(
    "document", [file for file in DOCUMENTS if unrun(file)], ids=lambda file: file.name
)
def test_what_is_not_run_is_at_least_a_command(document: Path) -> None:
    for asked in unrun(document):
        command: click.Command = main
        words = shlex.split(asked)
        context = click.Context(main)
        context.allow_interspersed_args = True
        while isinstance(command, click.Group):
            name, inner, words = command.resolve_command(context, words)
            assert inner is not None, name
            command = inner
        parser = command.make_parser(context)
        _, left, _ = parser.parse_args(words)
        assert left == [], asked


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_every_shell_block_is_run_or_says_why_not(document: Path) -> None:
    for part in parts(document):
        assert part.why_not is None or len(part.why_not.split()) >= 3


def files(document: Path) -> list[Part]:
    return [part for part in parts(document) if part.language == "yaml" and part.why_not is None]


@pytest.mark.parametrize(
    "document", [file for file in DOCUMENTS if files(file)], ids=lambda file: file.name
)
def test_yaml_is_sound(document: Path, tmp_path: Path) -> None:
    for number, part in enumerate(files(document)):
        file = tmp_path / f"{number}.yaml"
        if part.text.startswith("# excise.yaml"):
            settings = part.text
            file.write_text(settings, encoding="utf-8")
            load_settings({}, {"EXCISE_CONFIG": str(file)}, tmp_path)
            continue
        whole = part.text if "version: 1" in part.text else f"version: 1\n{part.text}"
        file.write_text(whole, encoding="utf-8")
        checked = subprocess.run(
            [sys.executable, "-m", "proxy.cli", "check", str(file)],
            check=False,
            capture_output=True,
            text=True,
        )
        assert checked.returncode == 0, f"{checked.stdout}{checked.stderr}\n{whole}"
