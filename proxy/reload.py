"""
Files that change under a running process: looked at once a second, taken over whole or not at all.

What cannot be loaded changes nothing: the last good one stays in force, and that is said until the file
is mended. A file that is replaced by a rename or behind a symbolic link (as Kubernetes does with a
ConfigMap) counts as changed like one that is written in place.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from proxy.admin.health import Readiness
from proxy.client.accounts import Accounts, load_accounts
from proxy.client.identity import Identifier
from proxy.clock import Clock
from proxy.edge.tls import ListenerTls
from proxy.errors import ConfigurationError
from proxy.eventlog import EventLog
from proxy.metrics import Metrics
from proxy.networks.load import Sources, files_of, load_networks
from proxy.networks.lookup import Networks
from proxy.pipeline import Pipeline
from proxy.policy.analysis import analyse
from proxy.policy.load import PolicyError, Source, load_source

T = TypeVar("T")

Stamp = tuple[int, int, int] | None
SECONDS_A_DAY = 86_400


def stamp_of(path: Path) -> Stamp:
    """What tells one version of a file from the next; None where there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


class Watched(Generic[T]):
    """One file: `load` reads it, `take` puts it in force, `refuse` is told why it was not."""

    def __init__(
        self,
        path: Path,
        load: Callable[[Path], T],
        take: Callable[[T], None],
        refuse: Callable[[str], None],
        stamp: object,
        stamped: Callable[[Path], object] = stamp_of,
        more: Callable[[], Sequence[Path]] = tuple,
    ) -> None:
        """`stamp` is that of the version in force, taken by `stamped` before it was loaded; `more` names
        the files that the one in force has drawn in."""
        self._path = path
        self._stamped = stamped
        self._more = more
        self._stamp_of_more = self._stamps()
        self._load = load
        self._take = take
        self._refuse = refuse
        self._stamp = stamp
        self._coming = stamp, self._stamp_of_more

    def look(self) -> None:
        """Load the file again if it has changed, once it has stood still from one look to the next."""
        now, of_more = self._stamped(self._path), self._stamps()
        changed = now != self._stamp or of_more != self._stamp_of_more
        if changed and (now, of_more) == self._coming:
            self.reload()
        self._coming = now, of_more

    def reload(self) -> None:
        """Load the file again, changed or not."""
        # Taken before the file is read: a write in between is seen at the next look.
        self._stamp = self._stamped(self._path)
        self._stamp_of_more = self._stamps()
        try:
            loaded = self._load(self._path)
        except (PolicyError, ConfigurationError) as error:
            self._refuse(str(error))
        else:
            self._take(loaded)
            self._stamp_of_more = self._stamps()

    def _stamps(self) -> tuple[Stamp, ...]:
        return tuple(stamp_of(path) for path in self._more())


class NetworkFiles:
    """All files that say something of networks: one that changes makes all be read again.

    They are read again at midnight (UTC) too, when entries of operators' lists end.
    """

    def __init__(self, sources: Sources, clock: Clock) -> None:
        self.sources = sources
        self._clock = clock

    def stamp(self, _: Path | None = None) -> object:
        """What tells one state of all these files from the next."""
        today = int(self._clock.now() // SECONDS_A_DAY)
        return today if self.sources.lists else 0, *map(stamp_of, files_of(self.sources))

    def load(self, _: Path | None = None) -> Networks:
        """Read them all. Raises ConfigurationError."""
        return load_networks(self.sources, self._clock.now())


class InForce:
    """What is in force of policy, accounts and networks, and the files that they come from."""

    def __init__(
        self,
        pipeline: Pipeline,
        identifier: Identifier,
        policy: tuple[Path, Stamp],
        accounts: tuple[Path, Stamp] | None,
        networks: tuple[NetworkFiles, object],
        tls: ListenerTls | None,
        *,
        log: EventLog,
        metrics: Metrics,
        readiness: Readiness,
        clock: Clock,
    ) -> None:
        self._pipeline = pipeline
        self._identifier = identifier
        self._policy_path, stamp = policy
        self._log = log
        self._metrics = metrics
        self._readiness = readiness
        self._clock = clock
        self._files: list[Watched[Any]] = [
            Watched(
                self._policy_path,
                load_source,
                self._take_policy,
                partial(self._keep, "policy"),
                stamp,
                more=self._included,
            )
        ]
        if accounts is not None:
            path, stamp = accounts
            keep = partial(self._keep, "accounts")
            self._files.append(Watched(path, load_accounts, self._take_accounts, keep, stamp))
        files, network_stamp = networks
        self._files.append(
            Watched(
                files.sources.folder or Path(),
                files.load,
                self._take_networks,
                partial(self._keep, "networks"),
                network_stamp,
                files.stamp,
            )
        )
        if tls is not None:
            keep = partial(self._keep, "tls")
            take = partial(self._take_tls, tls)
            stamps = tuple(map(stamp_of, tls.files))
            self._files.append(
                Watched(
                    tls.files[0],
                    tls.load,
                    take,
                    keep,
                    stamps,
                    lambda _: tuple(map(stamp_of, tls.files)),
                )
            )
        self._show()
        with suppress(
            PolicyError
        ):  # changed for the worse since it was loaded: the next look tells
            self._warn(load_source(self._policy_path))

    def look(self) -> None:
        """Take over what has changed."""
        for file in self._files:
            file.look()

    def reload(self) -> None:
        """Load everything anew."""
        for file in self._files:
            file.reload()

    def _included(self) -> list[Path]:
        return [Path(file) for file in self._pipeline.policy.files]

    def _take_policy(self, source: Source) -> None:
        policy = source.policy
        self._readiness.note("policy_file", "ok")
        if policy.digest == self._pipeline.policy.digest:
            return
        self._pipeline.policy = policy
        self._reloaded("policy", digest=policy.digest, mode=self._pipeline.mode_in_force)
        self._show()
        self._warn(source)

    def _take_accounts(self, accounts: Accounts) -> None:
        self._readiness.note("accounts_file", "ok")
        self._identifier.replace_accounts(accounts)
        self._reloaded("accounts")

    def _take_tls(self, tls: ListenerTls, context: ssl.SSLContext) -> None:
        self._readiness.note("tls_file", "ok")
        tls.take(context)
        self._reloaded("tls")

    def _take_networks(self, networks: Networks) -> None:
        self._readiness.note("networks_file", "ok")
        self._identifier.replace_networks(networks)
        self._reloaded("networks")
        self.tell_missing(networks)

    def tell_missing(self, networks: Networks) -> None:
        """Say which feeds are named and have never been fetched."""
        for name in networks.missing:
            self._log.say("feed_missing", feed=name)

    def _reloaded(self, what: str, **more: str) -> None:
        self._metrics.reloads.labels(what, "ok").inc()
        self._log.say("reloaded", what=what, **more)

    def _keep(self, what: str, mistakes: str) -> None:
        lines = mistakes.splitlines()
        more = f" (and {len(lines) - 1} more)" if len(lines) > 1 else ""
        state = f"refused, the last good one is in force: {lines[0]}{more}"
        self._readiness.note(f"{what}_file", state)
        self._metrics.reloads.labels(what, "refused").inc()
        self._log.say("reload_refused", what=what, mistakes=lines[:16])

    def _show(self) -> None:
        """Show what is in force."""
        policy, mode = self._pipeline.policy, self._pipeline.mode_in_force
        self._metrics.policy(policy.digest, mode)
        self._readiness.note("mode", mode)

    def _warn(self, source: Source) -> None:
        """Say what in the policy can hardly be meant."""
        for one in analyse(source, self._clock.now()):
            self._log.say(
                "policy_warning",
                file=one.file,
                line=one.line,
                column=one.column,
                code=one.code,
                message=one.message,
            )
