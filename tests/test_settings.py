"""Process settings: where they come from, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.errors import ConfigurationError
from proxy.settings import environment_name, leaves, listen_address, load_settings, settings_table

DOCS = Path(__file__).parent.parent / "docs"


def test_flags_win_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "excise.yaml").write_text(
        "upstream: https://file.example\nlisten: 127.0.0.1:1\nmode: shadow\nreplicas: 3\n"
    )
    environ = {"EXCISE_LISTEN": "127.0.0.1:2", "EXCISE_MODE": "bypass"}
    settings = load_settings({"mode": "enforce", "policy": None}, environ, tmp_path)
    assert settings.upstream.url == "https://file.example"
    assert (settings.listen, settings.mode, settings.replicas) == ("127.0.0.1:2", "enforce", 3)


def test_every_leaf_has_its_own_environment_name() -> None:
    names = [environment_name(path) for path in leaves()]
    assert len(names) == len(set(names))
    wanted = "UPSTREAM LISTEN HEALTH_LISTEN ADMIN_LISTEN POLICY ACCOUNTS REDIS_URL SECRET MODE"
    assert {f"EXCISE_{name}" for name in wanted.split()} <= set(names)


def test_sizes_durations_and_networks_are_read(tmp_path: Path) -> None:
    environ = {
        "EXCISE_LIMITS_BODY_BYTES": "2MiB",
        "EXCISE_DRAIN_GRACE": "90s",
        "EXCISE_CLIENT_ADDRESS_FROM": "forwarded",
        "EXCISE_CLIENT_ADDRESS_TRUSTED": "10.0.0.0/8, ::1/128",
    }
    settings = load_settings({}, environ, tmp_path)
    assert settings.limits.body_bytes == 2 * 1024 * 1024
    assert settings.drain.grace == 90.0
    assert settings.client_address.from_ == "forwarded"
    assert len(settings.client_address.trusted) == 2


def test_all_mistakes_are_told_at_once_with_their_origin(tmp_path: Path) -> None:
    (tmp_path / "excise.yaml").write_text("listne: x\nlimits: {body_bytes: -1}\n")
    environ = {"EXCISE_MODE": "off", "EXCISE_UPSTREM": "x", "EXCISE_LISTEN": "8080"}
    with pytest.raises(ConfigurationError) as raised:
        load_settings({"upstream.url": "ftp://x"}, environ, tmp_path)
    said = str(raised.value)
    assert "EXCISE_UPSTREM: no such setting (did you mean `EXCISE_UPSTREAM`?)" in said
    assert "EXCISE_MODE: `mode`" in said
    assert "EXCISE_LISTEN: `listen`: must be an address and port" in said
    assert "excise.yaml:2:22: `limits.body_bytes`" in said
    assert "excise.yaml:1:9: `listne`" in said
    assert "--upstream-url: `upstream.url`: must be an http:// or https:// URL" in said


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"EXCISE_REDIS_URL": "redis://x"}, "a shared store needs a secret"),
        ({"EXCISE_ACCOUNTS": "a.yaml"}, "need a lasting secret"),
        ({"EXCISE_UPSTREAM_CREDENTIAL_FILE": "k"}, "open relay"),
        ({"EXCISE_SECRET": "x" * 16, "EXCISE_SECRET_FILE": "f"}, "exclude each other"),
        ({"EXCISE_UPSTREAM_CLIENT_CERT_FILE": "c"}, "go together"),
        ({"EXCISE_UPSTREAM": "https://user:pw@host"}, "no query, fragment or user name"),
    ],
)
def test_what_makes_no_sense_together_is_refused(
    tmp_path: Path, environ: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_settings({}, environ, tmp_path)


def test_what_kubernetes_sets_is_left_alone(tmp_path: Path) -> None:
    environ = {"EXCISE_SERVICE_HOST": "10.0.0.1", "EXCISE_PORT_8080_TCP_ADDR": "10.0.0.1"}
    assert load_settings({}, environ, tmp_path).mode == "enforce"


def test_listen_addresses() -> None:
    assert listen_address("[::1]:80") == ("::1", 80)
    assert listen_address(":80") == ("0.0.0.0", 80)
    for bad in ("80", "x:y", "x:70000"):
        with pytest.raises(ValueError, match="address and port"):
            listen_address(bad)


def test_the_documented_settings_are_the_settings() -> None:
    assert settings_table() in (DOCS / "settings.md").read_text(encoding="utf-8")


def test_networks_are_read_from_the_environment_and_checked_together(tmp_path: Path) -> None:
    feed = '{"name": "tor", "url": "https://x.example/tor", "format": "cidr", "kind": "tor"}'
    environ = {
        "EXCISE_NETWORKS_DATABASE": "a.mmdb, b.mmdb",
        "EXCISE_NETWORKS_FOLDER": "/var/lib/excise",
        "EXCISE_NETWORKS_FEEDS": f"[{feed}]",
    }
    networks = load_settings({}, environ, tmp_path).networks
    assert networks.database == (Path("a.mmdb"), Path("b.mmdb"))
    assert [one.name for one in networks.feeds] == ["tor"]
    for feeds, folder, said in (
        (f"[{feed}]", "", "set networks.folder"),
        (f"[{feed}, {feed}]", "/x", "names `tor` twice"),
        ("tor", "/x", "must be a JSON list"),
        ('[{"name": "tor"}]', "/x", "networks.feeds.0.url"),
    ):
        changed = {"EXCISE_NETWORKS_FEEDS": feeds, "EXCISE_NETWORKS_FOLDER": folder}
        with pytest.raises(ConfigurationError, match=said):
            load_settings({}, changed, tmp_path)
