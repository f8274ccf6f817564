"""A changed policy or accounts file: taken over whole, or not at all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from proxy.clock import SystemClock
from proxy.errors import ConfigurationError
from proxy.networks.feed import pack_feed, read_entries
from proxy.policy.load import load
from proxy.reload import NetworkFiles, Watched, stamp_of
from proxy.settings import NetworksSettings
from tests.support.excise import running_excise
from tests.support.inside import CHAT, Inside, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

CLOSED = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - {name: few, kind: rate_limit, per: address, limit: 1/hour, burst: 3, action: throttle}
"""


async def looked(excise: Inside) -> None:
    """Two looks: one sees the change, the next that it stands still."""
    for _ in range(2):
        await excise.app._upkeep._look(excise.app._clock.monotonic())


async def test_a_changed_policy_is_in_force_and_keeps_its_counts(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, CLOSED) as excise,
    ):
        for _ in range(2):
            assert (await excise.exchange(post(CHAT)))[0] == 200
        before = (await excise.log.wait_for())["policy"]
        file.write_text(CLOSED.replace("burst: 3", "burst: 2"))
        await looked(excise)
        reloaded = await excise.log.wait_for("reloaded")
        assert reloaded["digest"] != before
        # Two have been taken of the two: the count has outlived the change of the limit.
        assert (await excise.exchange(post(CHAT)))[0] == 429
        assert (await excise.log.wait_for(decision="throttle"))["policy"] == reloaded["digest"]
        metrics = await excise.metrics()
        assert b'excise_reloads_total{result="ok",what="policy"} 1.0' in metrics
        assert reloaded["digest"].encode() in metrics


async def test_a_changed_file_that_is_included_is_in_force_too(tmp_path: Path) -> None:
    part = tmp_path / "part.yaml"
    part.write_text("version: 1\n")
    main = "version: 1\nkeys: {missing: allow, unknown: allow}\ninclude: part.yaml\n"
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, main) as excise,
    ):
        assert (await excise.exchange(post(CHAT)))[0] == 200
        # Not yet known at the start, and included by what is loaded then: watched from there on.
        (tmp_path / "more.yaml").write_text("version: 1\n")
        part.write_text("version: 1\ninclude: more.yaml\n")
        await looked(excise)
        await excise.log.wait_for("reloaded")
        (tmp_path / "more.yaml").write_text(
            "version: 1\nrules:\n  - {name: none, kind: rate_limit, per: address, limit: 1/hour, "
            "burst: 1, action: throttle}\n"
        )
        await looked(excise)
        await excise.log.wait_for("reloaded")
        assert [(await excise.exchange(post(CHAT)))[0] for _ in range(2)] == [200, 429]
        assert (await excise.log.wait_for(decision="throttle"))["rule"] == "part.more.none"


async def test_what_can_hardly_be_meant_is_said_of_a_changed_policy_with_its_place(
    tmp_path: Path,
) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, CLOSED) as excise,
    ):
        file = tmp_path / "policy.yaml"
        file.write_text(
            "version: 1\nrules:\n  - {name: a, kind: rate_limit, per: account, limit: 1/hour, "
            "match: {route: unknown}, action: log}\n"
        )
        await looked(excise)
        said = await excise.log.wait_for("policy_warning")
        assert (said["line"], said["column"], said["code"]) == (3, 69, "no-served-route")


async def test_a_policy_with_a_mistake_changes_nothing_and_is_said_until_mended(
    tmp_path: Path,
) -> None:
    file = tmp_path / "policy.yaml"
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, CLOSED) as excise,
    ):
        file.write_text(CLOSED.replace("action: throttle", "action: trottle"))
        await looked(excise)
        refused = await excise.log.wait_for("reload_refused")
        assert "policy.yaml:5:" in refused["mistakes"][0]
        states = excise.app.readiness.states
        assert "policy.yaml:5:" in states["policy_file"]
        assert excise.app.readiness.ready
        assert b'excise_reloads_total{result="refused",what="policy"} 1.0' in await excise.metrics()
        assert [(await excise.exchange(post(CHAT)))[0] for _ in range(4)] == [200, 200, 200, 429]
        file.write_text(CLOSED.replace("burst: 3", "burst: 30"))
        await looked(excise)
        await excise.log.wait_for("reloaded")
        assert excise.app.readiness.states["policy_file"] == "ok"


async def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    async with excise_inside(tmp_path, "http://127.0.0.1:1", CLOSED) as excise:
        look = excise.app._in_force.look  # type: ignore[union-attr]
        for size in range(40, len(CLOSED), 7):
            file.write_text(CLOSED[:size])
            look()
        file.write_text(CLOSED + "# done\n")
        look()
        assert not [e for e in excise.log.events if e["event"].startswith("reload")]
        look()
        await excise.log.wait_for("reloaded")


async def test_a_file_behind_a_link_that_is_swapped_is_seen(tmp_path: Path) -> None:
    for name, text in (("one", CLOSED), ("two", CLOSED.replace("burst: 3", "burst: 1"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "p.yaml").write_text(text)
    (tmp_path / "data").symlink_to(tmp_path / "one")
    policy = tmp_path / "data" / "p.yaml"
    async with excise_inside(tmp_path, "http://127.0.0.1:1", policy_file=policy) as excise:
        (tmp_path / "new").symlink_to(tmp_path / "two")
        (tmp_path / "new").rename(tmp_path / "data")
        await looked(excise)
        digest = (await excise.log.wait_for("reloaded"))["digest"]
        assert digest == load(tmp_path / "two" / "p.yaml").digest


async def test_a_change_between_loading_and_watching_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(CLOSED)
    earlier = stamp_of(file)
    file.write_text(CLOSED + "# changed\n")
    taken: list[str] = []
    watched = Watched(file, Path.read_text, taken.append, taken.append, earlier)
    for _ in range(3):
        watched.look()
    assert taken == [CLOSED + "# changed\n"]


async def test_a_key_can_be_taken_away_without_a_restart(tmp_path: Path) -> None:
    accounts = tmp_path / "accounts.yaml"
    accounts.write_text("version: 1\naccounts: []\n")
    strict = "version: 1\nkeys: {missing: block, unknown: block}\n"
    asking = post(CHAT, headers=("Authorization: Bearer sk-1",))
    settings = {"accounts": accounts, "secret": "0123456789abcdef"}
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, strict, **settings) as excise,
    ):
        assert (await excise.exchange(asking))[0] == 401
        key_id = (await excise.log.wait_for())["api_key"]
        named = f"version: 1\naccounts:\n  - {{account: acme, keys: [{key_id}]}}\n"
        for text, status in ((named, 200), ("version: 1\naccounts: []\n", 401)):
            accounts.write_text(text)
            await looked(excise)
            await excise.log.wait_for("reloaded", what="accounts")
            assert (await excise.exchange(asking))[0] == status


async def test_what_is_known_of_networks_changes_with_its_files(tmp_path: Path) -> None:
    listed, folder = tmp_path / "list.yaml", tmp_path / "kept"
    entry = "version: 1\nentries:\n  - {networks: [8.8.8.0/24], kind: %s, because: test}\n"
    listed.write_text(entry % "isp")
    feed = {"name": "tor", "url": "https://x.example/tor", "format": "cidr", "kind": "tor"}
    settings = {
        "networks": {"lists": [listed], "folder": folder, "feeds": [feed]},
        "client_address": {"from": "x-forwarded-for", "trusted": ["127.0.0.0/8"]},
    }
    async with excise_inside(tmp_path, "http://127.0.0.1:1", **settings) as excise:

        async def kind(address: str) -> str:
            await excise.exchange(post(CHAT, headers=(f"X-Forwarded-For: {address}",)))
            return str((await excise.log.wait_for())["client.network_kind"])

        assert (await excise.log.wait_for("feed_missing"))["feed"] == "tor"
        assert [await kind("8.8.8.8"), await kind("9.9.9.9")] == ["isp", "unknown"]
        listed.write_text(entry % "ips")
        await looked(excise)
        refused = await excise.log.wait_for("reload_refused", what="networks")
        assert "list.yaml:3:" in refused["mistakes"][0]
        assert "list.yaml:3:" in excise.app.readiness.states["networks_file"]
        assert await kind("8.8.8.8") == "isp"
        folder.mkdir()
        (folder / "tor.feed").write_bytes(
            pack_feed(read_entries("9.9.9.9\n", "cidr"), {"dated": "2026-11-24"})
        )
        listed.write_text(entry % "vpn")
        await looked(excise)
        await excise.log.wait_for("reloaded", what="networks")
        assert excise.app.readiness.states["networks_file"] == "ok"
        assert [await kind("8.8.8.8"), await kind("9.9.9.9")] == ["vpn", "tor"]
        (folder / "tor.feed").unlink()
        await looked(excise)
        await excise.log.wait_for("feed_missing")
        assert await kind("9.9.9.9") == "unknown"


def test_lists_are_read_again_on_the_next_day_for_their_entries_end(tmp_path: Path) -> None:
    class Day:
        day = 20_000

        def now(self) -> float:
            return self.day * 86_400.0 + 5

        def monotonic(self) -> float:
            return 0.0

    clock = Day()
    with_lists = NetworkFiles(NetworksSettings(lists=(tmp_path / "list.yaml",)), clock)
    without = NetworkFiles(NetworksSettings(), clock)
    before = with_lists.stamp(), without.stamp()
    clock.day += 1
    assert with_lists.stamp() != before[0]
    assert without.stamp() == before[1]


def test_a_bad_list_ends_the_start_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "list.yaml").write_text("version: 1\nentries: [5]\n")
    with pytest.raises(ConfigurationError, match=r"list\.yaml:2:11"):
        NetworkFiles(NetworksSettings(lists=(tmp_path / "list.yaml",)), SystemClock()).load()


def test_sighup_loads_anew(tmp_path: Path) -> None:
    with running_excise(tmp_path, CLOSED) as excise:
        (tmp_path / "policy.yaml").write_text("version: 2\n")
        excise.process.send_signal(signal.SIGHUP)
        assert "version" in excise.wait_for("reload_refused")["mistakes"][0]
        (tmp_path / "policy.yaml").write_text(CLOSED + "# other\n")
        os.kill(excise.process.pid, signal.SIGHUP)
        excise.wait_for("reloaded", what="policy")
