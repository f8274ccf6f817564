"""
Fetch feeds, for `excise networks refresh`: checked whole, then put in place at once, or not at all.

A feed is a stranger's file. It is bounded in size and time, its hash is verified where one is named, every
line must be a network, and a feed that has suddenly lost or gained much is refused until a person says
otherwise. Whatever fails leaves the last good file as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

from proxy.errors import ConfigurationError
from proxy.networks.container import read_header
from proxy.networks.feed import Feed, pack_feed, read_entries
from proxy.networks.mmdb import Database
from proxy.value import value

CHUNK: Final = 64 * 1024
HASH_BYTES: Final = 64 * 1024
"""How long a companion file with hashes may be."""
_HASH_LINE = re.compile(r"([0-9a-fA-F]{64})(?:[ \t]+\*?(\S+))?[ \t]*\Z").match


class FeedError(Exception):
    """A feed that is not taken, and why, told to operators."""


@value
class Refreshed:
    """A feed that is in place."""

    entries: int
    before: int | None
    """Entries of the file that it has replaced, if there was one that could be read."""
    changed: bool


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects over http and https alone, and never from https to http."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in {"https", req.type}:
            raise FeedError(f"it redirects to {scheme}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    url: str,
    limit: int,
    timeout: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> bytes:
    """The body of a URL: at most `limit` bytes in at most `timeout` seconds. Raises FeedError."""
    ends = monotonic() + timeout
    opener = urllib.request.build_opener(_Redirects)
    request = urllib.request.Request(url, headers={"User-Agent": "excise"})  # noqa: S310 - checked
    try:
        with opener.open(request, timeout=timeout) as answer:
            declared = answer.headers.get("Content-Length")
            body = bytearray()
            while chunk := answer.read1(CHUNK):
                body += chunk
                if len(body) > limit:
                    raise FeedError(f"it is larger than {limit} bytes")
                if monotonic() > ends:
                    raise FeedError(f"it took longer than {timeout:g} s")
    except urllib.error.HTTPError as error:
        raise FeedError(f"the server answered {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
        raise FeedError(f"it cannot be fetched: {reason or type(error).__name__}") from None
    if declared is not None and declared.isdigit() and int(declared) != len(body):
        raise FeedError(f"it was cut off: {len(body)} of {declared} bytes came")
    return bytes(body)


def refresh(
    feed: Feed,
    folder: Path,
    now: float,
    *,
    timeout: float,
    limit: int,
    swing: float,
    force: bool = False,
) -> Refreshed:
    """Fetch a feed and put it in place. Raises FeedError, and then nothing has changed.

    `swing` is the part by which its number of entries may change; `force` takes any change of it.
    """
    data = fetch(feed.url, limit, timeout)
    _verify(feed, data, timeout)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = feed.file(folder)
        ready, entries = _checked(feed, data, folder, now)
        before = _entries_of(feed, file)
        _compare(before, entries, swing, force=force)
        changed = not (file.exists() and _same(feed, file, ready))
        _replace(file, ready)
    except OSError as error:
        raise FeedError(f"{folder}: {error.strerror or error}") from None
    return Refreshed(entries, before, changed)


def _verify(feed: Feed, data: bytes, timeout: float) -> None:
    wanted = feed.sha256
    if feed.sha256_url is not None:
        wanted = _hash_in(fetch(feed.sha256_url, HASH_BYTES, timeout), feed.url)
    if wanted is not None and hashlib.sha256(data).hexdigest() != wanted:
        raise FeedError("its sha256 is not the one that was told")


def _hash_in(data: bytes, url: str) -> str:
    """The hash of the file that `url` ends in; a lone hash is that of any file."""
    found = [
        match
        for line in data.decode("ascii", "replace").splitlines()
        if (match := _HASH_LINE(line.strip()))
    ]
    name = urlsplit(url).path.rpartition("/")[2]
    named = [match[1] for match in found if match[2] and match[2].rpartition("/")[2] == name]
    if not named and len(found) == 1:
        named = [found[0][1]]
    if len(set(named)) != 1:
        raise FeedError("no sha256 of it stands at sha256_url")
    return named[0].lower()


def _checked(feed: Feed, data: bytes, folder: Path, now: float) -> tuple[bytes, int]:
    """What is to be kept of it, and how many entries it has."""
    if feed.format == "mmdb":
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".excise-") as file:
            file.write(data)
            file.flush()
            try:
                return data, Database(Path(file.name)).entries
            except ConfigurationError:
                raise FeedError("it is not an MMDB file") from None
    try:
        entries = read_entries(data.decode("utf-8-sig"), feed.format)
    except ValueError as error:
        text = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise FeedError(text) from None
    about: dict[str, Any] = {
        "feed": feed.name,
        "dated": datetime.fromtimestamp(now, UTC).date().isoformat(),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return pack_feed(entries, about), len(entries)


def _entries_of(feed: Feed, file: Path) -> int | None:
    """Entries of what is in place; None for no file, and for one that nobody can read."""
    with suppress(OSError, ConfigurationError, LookupError, TypeError, ValueError):
        if feed.format == "mmdb":
            return Database(file).entries
        return int(read_header(file.read_bytes(), str(file))["entries"])
    return None


def _compare(before: int | None, entries: int, swing: float, *, force: bool) -> None:
    if force or not before:
        return
    if abs(entries - before) > swing * before:
        raise FeedError(
            f"it had {before} entries and has {entries} now: more than {swing:.0%} of change; "
            "look at it, then use --force"
        )


def _same(feed: Feed, file: Path, ready: bytes) -> bool:
    old = file.read_bytes()
    if feed.format == "mmdb":
        return old == ready
    try:
        return bool(read_header(old, "")["sha256"] == read_header(ready, "")["sha256"])
    except (ConfigurationError, LookupError):
        return False


def _replace(file: Path, data: bytes) -> None:
    """Write beside it, then rename: a reader sees the old file or the new one, never a part."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=".excise-")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
