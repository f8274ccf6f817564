"""What the readers of operators' files promise of any bytes; the others: `tests/fuzz/targets.py`."""

from __future__ import annotations

import contextlib
import datetime
import tempfile
from collections.abc import Iterator
from pathlib import Path

from proxy.client.accounts import load_accounts
from proxy.client.accounts_import import import_accounts
from proxy.errors import ConfigurationError
from proxy.networks.container import unpack
from proxy.networks.feed import read_entries
from proxy.networks.lists import joined, load_list
from proxy.networks.mmdb import Database
from proxy.policy.analysis import analyse
from proxy.policy.diff import diff
from proxy.policy.load import PolicyError, parse_source
from proxy.policy.mistake import Mistake
from proxy.policy.yamltree import read_tree
from proxy.signals.lexicon_file import read_lexicon


def policy(data: bytes) -> None:
    """A policy loads, or is refused with the place of each mistake; what loads can be warned of, and
    differs from itself in nothing."""
    mistakes: list[Mistake] = []
    try:
        source = parse_source(data.decode("utf-8", "replace"), "policy.yaml")
        mistakes += analyse(source, 1_800_000_000.0)
        assert diff(source, source) == []
    except PolicyError as error:
        mistakes += error.mistakes or [Mistake("", 0, 0, "refused without a reason")]
    assert all(one.line > 0 and one.column > 0 for one in mistakes)


def networks(data: bytes) -> None:
    """A feed's text and a packed table are read, or refused."""
    text = data.decode("utf-8", "replace")
    for form in ("cidr", "csv"):
        with contextlib.suppress(ValueError):
            assert read_entries(text, form)
    with contextlib.suppress(ConfigurationError):
        unpack(data, "networks")


def lists(data: bytes) -> None:
    """An operator's list of networks is read, or refused with the place of each mistake."""
    with _file("list.yaml", data) as file, _told_by_place(file):
        found = load_list(datetime.date(2026, 11, 25), file)
        joined([found])


def accounts(data: bytes) -> None:
    """An accounts file is read, or refused with the place of each mistake; a table that becomes one is read
    again, and holds no plain key."""
    with _file("accounts.yaml", data) as file:
        with _told_by_place(file):
            load_accounts(file)
        text = data.decode("utf-8", "replace")
        with _told_by_place(file):
            written = import_accounts(text, str(file), lambda _: "key_aaaaaaaaaaaaaaaa")
            file.write_text(written, encoding="utf-8")
            load_accounts(file)


def mmdb(data: bytes) -> None:
    """A file of networks opens or is refused; a damaged record says nothing."""
    with _file("networks.mmdb", data) as file, _told_by_place(file):
        database = Database(file)
        for address in ("0.0.0.0", "8.1.2.3", "255.255.255.255", "::1", "2001:db8::1"):
            database.find(address)


@contextlib.contextmanager
def _file(name: str, data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_bytes(data)
        yield file


@contextlib.contextmanager
def _told_by_place(file: Path) -> Iterator[None]:
    """Every line that refuses begins with the file."""
    said = ""
    try:
        yield
    except ConfigurationError as error:
        said = str(error)
    assert not said or all(line.startswith(f"{file}:") for line in said.split("\n")), said


def lexicon(data: bytes) -> None:
    """A lexicon's file is read with the place of each mistake, and weighs any text within its bounds."""
    text = data.decode("utf-8", "replace")
    tree = read_tree(text, "lexicon.yaml")
    made = read_lexicon(tree.data, tree.mistake, "lexicon")
    if tree.mistakes:
        return
    assert made.entries
    for name, weight in made.weigh_text(text):
        assert 0 < weight <= made.most[name]
