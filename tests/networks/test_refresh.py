"""Fetching feeds from a real server: what is taken, and that what is not leaves everything as it was."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from proxy.cli import main
from proxy.networks.feed import Feed, load_feed
from proxy.networks.refresh import FeedError, Refreshed, fetch, refresh
from tests.networks.mmdb_writer import mmdb

NOW = 1_795_500_000.0
TEN = b"".join(b"8.8.%d.0/24\n" % n for n in range(10))


class Server(ThreadingHTTPServer):
    """Serves what `pages` holds: a body, or (status, headers, body)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Any] = {}

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path, (404, {}, b""))
        status, headers, body = (200, {}, page) if isinstance(page, bytes) else page
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def feed(server: Server, **more: Any) -> Feed:
    fields = {"name": "tor", "url": server.url("/tor"), "format": "cidr", "kind": "tor", **more}
    return Feed.model_validate(fields)


def fetched(one: Feed, folder: Path, **more: Any) -> Refreshed:
    known = {"timeout": 5.0, "limit": 10_000, "swing": 0.3, **more}
    return refresh(one, folder, NOW, **known)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_feed_is_fetched_kept_and_replaced(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    server.pages["/tor"] = TEN
    assert fetched(feed(server), folder) == Refreshed(10, None, changed=True)
    assert list(contents(folder)) == ["tor.feed"]
    assert (folder / "tor.feed").stat().st_mode & 0o777 == 0o644
    mark = load_feed(feed(server), folder / "tor.feed").find(False, 0x08080101)
    assert mark is not None
    assert mark.dated == "2026-11-24"
    assert fetched(feed(server), folder) == Refreshed(10, 10, changed=False)
    server.pages["/tor"] = TEN + b"9.9.9.9\n"
    assert fetched(feed(server), folder) == Refreshed(11, 10, changed=True)


REFUSED = {
    "bad_hash": ({"sha256": "0" * 64}, TEN, "sha256"),
    "cut_off": ({}, (200, {"Content-Length": str(len(TEN) + 5)}, TEN), "cut off"),
    "lost_most": ({}, b"8.8.8.0/24\n", "more than 30% of change"),
    "grew_much": ({}, b"".join(b"7.8.%d.0/24\n" % n for n in range(14)), "more than 30%"),
    "server_error": ({}, (500, {}, TEN), "answered 500"),
    "not_found": ({}, (404, {}, b""), "answered 404"),
    "garbage": ({}, b"<html>Sign in</html>", "line 1: not a network"),
    "no_text": ({}, b"\xff\xfe\x00", "not UTF-8"),
    "empty": ({}, b"", "no network"),
    "too_large": ({}, TEN * 1000, "larger than 10000 bytes"),
    "everything": ({}, TEN + b"0.0.0.0/0\n", "too wide"),
    "elsewhere": ({}, (302, {"Location": "file:///etc/passwd"}, b""), "answered 302"),
    "by_ftp": ({}, (302, {"Location": "ftp://x.example/y"}, b""), "redirects to ftp"),
    "no_length_chunked": (
        {},
        (200, {"Transfer-Encoding": "chunked"}, b"zz\r\n"),
        "cannot be fetched",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_leaves_the_last_good_one(
    server: Server, tmp_path: Path, name: str
) -> None:
    settings, page, said = REFUSED[name]
    server.pages["/tor"] = TEN
    fetched(feed(server), tmp_path)
    before = contents(tmp_path)
    server.pages["/tor"] = page
    with pytest.raises(FeedError, match=said):
        fetched(feed(server, **settings), tmp_path)
    assert contents(tmp_path) == before


def test_force_takes_a_change_of_size_and_nothing_else(server: Server, tmp_path: Path) -> None:
    server.pages["/tor"] = TEN
    fetched(feed(server), tmp_path)
    server.pages["/tor"] = b"8.8.8.0/24\n"
    assert fetched(feed(server), tmp_path, force=True).entries == 1
    server.pages["/tor"] = b"garbage\n"
    with pytest.raises(FeedError, match="not a network"):
        fetched(feed(server), tmp_path, force=True)


def test_a_kept_file_that_nobody_can_read_is_replaced(server: Server, tmp_path: Path) -> None:
    (tmp_path / "tor.feed").write_bytes(b"broken")
    server.pages["/tor"] = TEN
    assert fetched(feed(server), tmp_path) == Refreshed(10, None, changed=True)


def test_a_server_that_is_not_there_is_said(server: Server, tmp_path: Path) -> None:
    one = feed(server, url="http://127.0.0.1:1/tor")
    with pytest.raises(FeedError, match="cannot be fetched"):
        fetched(one, tmp_path)
    assert contents(tmp_path) == {}


def test_a_server_that_never_ends_is_left(server: Server) -> None:
    server.pages["/tor"] = TEN
    ticks = iter((0.0, 6.0))
    with pytest.raises(FeedError, match="longer than 5 s"):
        fetch(server.url("/tor"), 10_000, 5.0, lambda: next(ticks))


@pytest.mark.parametrize(
    ("hashes", "taken"),
    [
        ("{sum}\n", True),
        ("{sum}  tor\n", True),
        ("{zeros} *other\n{sum} *dir/tor\n", True),
        ("{upper}  tor\n", True),
        ("{zeros}  tor\n", False),
        ("{zeros}  other\n{sum}  third\n", False),
        ("{zeros}  tor\n{sum}  tor\n", False),
        ("nothing here\n", False),
        ("", False),
    ],
)
def test_a_hash_beside_the_feed_is_verified(
    server: Server, tmp_path: Path, hashes: str, taken: bool
) -> None:
    digest = hashlib.sha256(TEN).hexdigest()
    text = hashes.format(sum=digest, upper=digest.upper(), zeros="0" * 64)
    server.pages |= {"/tor": TEN, "/sums": text.encode()}
    one = feed(server, sha256_url=server.url("/sums"))
    if taken:
        assert fetched(one, tmp_path).entries == 10
    else:
        with pytest.raises(FeedError, match="sha256"):
            fetched(one, tmp_path)
        assert contents(tmp_path) == {}


def test_an_mmdb_is_checked_and_kept_as_it_is(server: Server, tmp_path: Path) -> None:
    one = feed(server, format="mmdb", kind=None)
    data = mmdb({"8.0.0.0/8": {"asn": 64500}})
    server.pages["/tor"] = data
    assert fetched(one, tmp_path).changed
    assert not fetched(one, tmp_path).changed
    for bad in (b"no database", data[:-60]):
        server.pages["/tor"] = bad
        with pytest.raises(FeedError, match="not an MMDB"):
            fetched(one, tmp_path)
    assert contents(tmp_path) == {"tor.mmdb": data}


def test_a_write_that_fails_leaves_the_last_good_one_and_no_rest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.pages["/tor"] = TEN
    fetched(feed(server), tmp_path)
    before = contents(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    server.pages["/tor"] = TEN + b"9.9.9.9\n"
    with pytest.raises(FeedError, match="No space left"):
        fetched(feed(server), tmp_path)
    assert contents(tmp_path) == before


@pytest.fixture
def settings(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    feeds = [
        {"name": name, "url": server.url(f"/{name}"), "format": "cidr", "kind": "tor"}
        for name in "ab"
    ]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXCISE_NETWORKS_FOLDER", str(tmp_path / "kept"))
    monkeypatch.setenv("EXCISE_NETWORKS_FEEDS", json.dumps(feeds))
    return tmp_path / "kept"


def test_the_command_says_what_it_has_taken_and_exits_by_it(server: Server, settings: Path) -> None:
    server.pages |= {"/a": TEN, "/b": b"garbage"}
    result = CliRunner().invoke(main, ["networks", "refresh"])
    assert result.exit_code == 1
    assert "a: OK, 10 entries\n" in result.output
    assert "b: not taken: line 1: not a network" in result.output
    assert sorted(contents(settings)) == ["a.feed"]
    result = CliRunner().invoke(main, ["networks", "refresh", "a"])
    assert (result.exit_code, result.output) == (0, "a: OK, 10 entries, 10 before, unchanged\n")
    server.pages["/a"] = b"8.8.8.8\n"
    assert CliRunner().invoke(main, ["networks", "refresh", "a"]).exit_code == 1
    assert CliRunner().invoke(main, ["networks", "refresh", "a", "--force"]).exit_code == 0


def test_the_command_needs_feeds_and_known_names(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = CliRunner().invoke(main, ["networks", "refresh", "c"])
    assert (result.exit_code, "no feed `c`" in result.output) == (2, True)
    monkeypatch.delenv("EXCISE_NETWORKS_FEEDS")
    assert CliRunner().invoke(main, ["networks", "refresh"]).exit_code == 2
