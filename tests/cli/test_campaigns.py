"""`excise campaigns`, against two replicas on a real Redis that have found a campaign."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import stix2
from click.testing import CliRunner, Result

from proxy.cli import main
from proxy.client.secret import Secret
from tests.campaigns.test_live import KEYS, POLICY, answered, known, leading, tied
from tests.redis_servers import RedisServer
from tests.support.inside import Inside, excise_inside
from tests.support.raw_upstream import plain, raw_upstream, replying

TOKEN = "t0k3n-t0k3n-t0k3n-t0k3n"
SECRET = "campaigns-0123456789abcdef"
WHY = ("--for", "30d", "--because", "a class of students, ticket 4711")
NAMED = "acme-research"


class Two:
    """Two replicas, and the command beside them."""

    def __init__(self, leads: Inside, follows: Inside) -> None:
        self.leads, self.follows = leads, follows

    async def run(self, *words: str, at: Inside | None = None, token: str = TOKEN) -> Result:
        """`excise campaigns …`, of the replica that does not join unless another is named."""
        admin = f"127.0.0.1:{(at or self.follows).app.ports['admin']}"
        environ = {"EXCISE_ADMIN_LISTEN": admin, "EXCISE_ADMIN_TOKEN": token}
        return await asyncio.to_thread(CliRunner().invoke, main, ["campaigns", *words], env=environ)

    async def until_told(self, requests: int, at: Inside) -> dict[str, object]:
        """The campaign's head, once both have told what was asked of them."""
        async with asyncio.timeout(10):
            while True:
                for replica in (self.leads, self.follows):
                    replica.app._ledger.tell()
                (head,) = map(
                    json.loads, (await self.run("list", "--json", at=at)).stdout.splitlines()
                )
                if head["requests"] >= requests:
                    return dict(head)


@asynccontextmanager
async def two_replicas(folder: Path, redis: RedisServer) -> AsyncIterator[Two]:
    """With a campaign of KEYS, of which the first is in the accounts file."""
    key_id = Secret(SECRET.encode()).key_id(KEYS[0].encode())
    accounts = folder / "accounts.yaml"
    accounts.write_text(f"version: 1\naccounts:\n  - {{account: {NAMED}, keys: [{key_id}]}}\n")
    shared = {"redis_url": redis.url, "secret": SECRET, "admin_token": TOKEN}
    shared["accounts"] = str(accounts)
    for name in "ab":
        (folder / name).mkdir()
    with redis.client() as client:
        client.flushall()
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(folder / "a", upstream.url, POLICY, **shared) as one,
        excise_inside(folder / "b", upstream.url, POLICY, **shared) as two,
    ):
        async with asyncio.timeout(10):
            while tied(one) < len(KEYS):
                await answered(one, KEYS)
        found = Two(one, two) if await leading(one) else Two(two, one)
        async with asyncio.timeout(10):
            while not known(found.leads):
                await found.leads.app.joiner.step()
                await asyncio.sleep(0.05)
            while not known(found.follows):  # noqa: ASYNC110 -- boards are read once a second
                await asyncio.sleep(0.05)
        yield found


async def test_a_campaign_is_listed_shown_and_handed_on(
    tmp_path: Path, shared_redis: RedisServer
) -> None:
    async with two_replicas(tmp_path, shared_redis) as two:
        asked = len(await answered(two.leads, KEYS) + await answered(two.follows, KEYS))
        head = await two.until_told(2 * asked, two.follows)
        (name,) = set(two.leads.app.campaigns.names().values())
        assert (head["campaign"], head["members"], head["suspected"]) == (name, len(KEYS), 0)
        # The same, whichever replica is asked.
        assert await two.until_told(2 * asked, two.leads) == head

        listed = (await two.run("list")).stdout.splitlines()
        assert listed[0].split()[:3] == ["CAMPAIGN", "ACCOUNTS", "SUSPECTED"]
        assert listed[1].split()[:3] == [name, str(len(KEYS)), "0"]
        nobodys = await two.run("list", "--account", "nobody")
        assert (nobodys.stdout, nobodys.exit_code) == ("", 0)
        assert nobodys.stderr == "there is no campaign of nobody\n"
        assert name in (await two.run("list", "--account", NAMED)).stdout

        shown = (await two.run("show", name)).stdout
        assert shown.startswith(f"{name}: {len(KEYS)} accounts, 0 suspected\n")
        assert "models: m (" in shown
        assert "same-hand" in shown
        assert f"({NAMED})" in shown
        assert "Go on" not in shown
        assert not [key for key in KEYS if key in shown]

        whole = json.loads((await two.run("export", name)).stdout)
        assert whole["members"] == len(KEYS)
        assert NAMED not in json.dumps(whole)
        for form, file in (("stix", "c.json"), ("svg", "c.svg"), ("dot", "c.dot")):
            done = await two.run("export", name, "--format", form, "-o", str(tmp_path / file))
            assert (done.exit_code, done.stderr) == (0, "")
            text = (tmp_path / file).read_text()
            assert name in text
            assert NAMED not in text
        read = stix2.parse((tmp_path / "c.json").read_text(), allow_custom=False)
        assert len([one for one in read.objects if one.type == "user-account"]) == len(KEYS)
        again = await two.run("export", name, "-o", str(tmp_path / "c.svg"))
        assert again.exit_code == 2
        assert "nothing is overwritten" in again.stderr
        metrics = await two.follows.metrics()
        assert b"excise_campaigns 1.0" in metrics
        assert f"excise_campaign_accounts {len(KEYS)}.0".encode() in metrics


async def test_whoever_is_forgiven_is_served_on_both_replicas(
    tmp_path: Path, shared_redis: RedisServer
) -> None:
    async with two_replicas(tmp_path, shared_redis) as two:
        (name,) = set(two.leads.app.campaigns.names().values())
        await answered(two.leads, KEYS)
        assert await answered(two.leads, KEYS[:2]) == [429, 429]
        two.follows.app.bans.put(f"account:{NAMED}", 3600.0, "suspicion", "60 points")
        said = await two.run("forgive", NAMED, *WHY)
        assert (said.exit_code, said.stderr) == (0, "")
        assert said.stdout.startswith(f"1 account of {name}: forgiven until 20")
        assert said.stdout.endswith(f"account:{NAMED} is banned no more\n")
        event = await two.follows.log.wait_for("verdict")
        assert (event["verdict"], event["campaign"], event["accounts"]) == ("apart", name, 1)
        assert event["subjects"] == [f"account:{NAMED}"]
        assert event["because"] == "a class of students, ticket 4711"
        assert set(await answered(two.follows, KEYS[:1] * 3)) == {200}
        async with asyncio.timeout(10):
            # The other replica reads the board within a second.
            while await answered(two.leads, KEYS[:1]) != [200]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await answered(two.leads, KEYS[1:2]) == [429], "the others are not"
        # Whoever joins hears of it: the others stay together, under their name.
        async with asyncio.timeout(10):
            while len(two.leads.app.campaigns.names()) != len(KEYS) - 1:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert set(two.leads.app.campaigns.names().values()) == {name}
        told = json.loads((await two.run("verdicts", "--json", at=two.leads)).stdout)
        assert (told["subject"], told["verdict"]) == (f"account:{NAMED}", "apart")
        assert "a class of students" in (await two.run("verdicts")).stdout
        back = await two.run("withdraw", NAMED)
        assert back.stdout == f"nothing is said of account:{NAMED} any more\n"
        assert (await two.follows.log.wait_for("verdict_lifted"))["subject"] == f"account:{NAMED}"
        assert "nothing has been said" in (await two.run("verdicts")).stderr

        split = await two.run("split", name, Secret(SECRET.encode()).key_id(KEYS[1].encode()), *WHY)
        assert split.stdout.startswith(f"1 account of {name}: apart from the rest until 20")
        assert (await two.follows.log.wait_for("verdict"))["verdict"] == "split"
        every = await two.run("forgive", name, *WHY)
        assert f" of {name}: forgiven until " in every.stdout
        assert "there is no campaign\n" in (await two.run("list")).stderr


async def test_what_cannot_be_is_said_and_ends_with_one(
    tmp_path: Path, shared_redis: RedisServer
) -> None:
    async with two_replicas(tmp_path, shared_redis) as two:
        (name,) = set(two.leads.app.campaigns.names().values())
        for words, said in (
            (("show", "cmp_nobody"), "There is no campaign cmp_nobody."),
            (("export", "../status"), "There is no campaign ../status."),
            (("forgive", "cmp_nobody", *WHY), "There is no campaign cmp_nobody."),
            (("forgive", "nobody", *WHY), "nobody is in no campaign"),
            (
                ("split", name, "nobody", *WHY),
                "No account of that name is in this campaign: nobody",
            ),
            (("confirm", name, *WHY), "Nobody is suspected to be of this campaign."),
            (("withdraw", "nobody"), "Nothing has been said of account:nobody."),
            (("forgive", name, "--for", "soon", "--because", "x"), "duration"),
            (("forgive", name, "--for", "400d", "--because", "x"), "at most 366 days"),
            (("forgive", name, "--for", "1d", "--because", "two\nlines"), "must say why"),
        ):
            done = await two.run(*words)
            assert (done.exit_code, done.stdout) == (1, ""), words
            assert said in done.stderr, words
        wrong = await two.run("list", token="another-token-another")
        assert wrong.stderr == "Error: A valid bearer token is required.\n"
        assert (await two.run("verdicts")).stdout == ""


@pytest.mark.parametrize("words", [("list",), ("verdicts",)])
async def test_no_campaign_is_no_mistake(tmp_path: Path, words: tuple[str, ...]) -> None:
    async with excise_inside(tmp_path, "http://127.0.0.1:1", admin_token=TOKEN) as excise_:
        two = Two(excise_, excise_)
        assert ((await two.run(*words)).exit_code, (await two.run(*words)).stdout) == (0, "")
        assert (await two.run(*words, "--json")).stdout == ""
