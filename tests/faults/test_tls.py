"""TLS towards callers, with real handshakes: reloaded without a restart, mutual where wanted."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
import pytest
import trustme

from tests.support.excise import Excise, running_excise

POLICY = "version: 1\nkeys: {missing: allow, unknown: allow}\n"
DEADLINE_S = 10


class Authority:
    """Signs for 127.0.0.1 and for callers; writes PEM files into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self.write_ca(self.ca_file)

    def write_ca(self, file: Path) -> None:
        self.ca.cert_pem.write_to_path(file)

    def write_server(self, name: str = "server.pem") -> Path:
        """Certificate and key in one file, put there in one step."""
        coming, file = self.folder / f"{name}.coming", self.folder / name
        self.ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(coming)
        coming.replace(file)
        return file

    def trusting(self) -> ssl.SSLContext:
        """A caller's context that trusts this authority alone."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ca.configure_trust(context)
        return context

    def caller(self, trusts: Authority) -> ssl.SSLContext:
        """The same with a certificate that this authority has signed."""
        context = trusts.trusting()
        self.ca.issue_cert("caller@excise.test").configure_cert(context)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def connected(excise: Excise, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    connection = http.client.HTTPSConnection(
        "127.0.0.1", excise.ports["data"], context=context, timeout=DEADLINE_S
    )
    connection.connect()
    return connection


def resumed(
    excise: Excise, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> http.client.HTTPSConnection:
    """A connection that offers to go on with an earlier one's session."""
    connection = http.client.HTTPSConnection(
        "127.0.0.1", excise.ports["data"], context=context, timeout=DEADLINE_S
    )
    plain = socket.create_connection(("127.0.0.1", excise.ports["data"]), timeout=DEADLINE_S)
    connection.sock = context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
    return connection


def status(connection: http.client.HTTPSConnection) -> int:
    connection.request("GET", "/v1/models")
    answer = connection.getresponse()
    answer.read()
    return answer.status


def serial(connection: http.client.HTTPSConnection) -> object:
    assert isinstance(connection.sock, ssl.SSLSocket)
    found = connection.sock.getpeercert()
    assert found is not None
    return found["serialNumber"]


@contextmanager
def refused() -> Iterator[None]:
    """TLS 1.3 tells a caller of its own certificate's refusal only when it reads."""
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        yield


def test_an_sdk_asks_and_streams_over_tls(authority: Authority, tmp_path: Path) -> None:
    cert = authority.write_server()
    with running_excise(tmp_path, POLICY, tls_cert_file=str(cert)) as excise:
        url = f"https://127.0.0.1:{excise.ports['data']}/v1"
        with openai.DefaultHttpxClient(verify=authority.trusting()) as http_client:
            client = openai.OpenAI(api_key="sk-tls", base_url=url, http_client=http_client)
            hello = [{"role": "user", "content": "hello"}]
            plain = client.chat.completions.create(model="m", messages=hello)  # type: ignore[arg-type]
            assert plain.choices[0].message.content
            stream = client.chat.completions.create(model="m", messages=hello, stream=True)  # type: ignore[arg-type]
            assert "".join(part.choices[0].delta.content or "" for part in stream if part.choices)
        for _ in range(2):
            event = excise.wait_for("request", outcome="complete")
            assert event["client.address"] == "127.0.0.1"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_only_tls_of_this_decade_is_spoken(authority: Authority, tmp_path: Path) -> None:
    cert = authority.write_server()
    with running_excise(tmp_path, POLICY, tls_cert_file=str(cert)) as excise:
        old = authority.trusting()
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with refused():
            connected(excise, old)
        with socket.create_connection(
            ("127.0.0.1", excise.ports["data"]), timeout=DEADLINE_S
        ) as plain:
            plain.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"HTTP/1.1" not in plain.recv(65536)
        with pytest.raises(ssl.SSLCertVerificationError):
            connected(excise, Authority(tmp_path).trusting())
        offering = authority.trusting()
        offering.set_alpn_protocols(["h2", "http/1.1"])
        connection = connected(excise, offering)
        assert isinstance(connection.sock, ssl.SSLSocket)
        assert connection.sock.selected_alpn_protocol() == "http/1.1"
        assert status(connection) == 200
        connection.close()
        excise.wait_for("request")
        assert "Traceback" not in excise.log_text


def test_a_changed_certificate_serves_new_connections_and_a_bad_one_changes_nothing(
    authority: Authority, tmp_path: Path
) -> None:
    cert = authority.write_server()
    with running_excise(tmp_path, POLICY, tls_cert_file=str(cert)) as excise:
        first = connected(excise, authority.trusting())
        authority.write_server()
        excise.wait_for("reloaded", what="tls")
        second = connected(excise, authority.trusting())
        assert serial(first) != serial(second)
        assert (status(first), status(second)) == (200, 200)

        cert.write_text("no certificate")
        said = excise.wait_for("reload_refused", what="tls")
        assert str(said["mistakes"][0]).startswith("TLS files of the listener:")
        third = connected(excise, authority.trusting())
        assert serial(third) == serial(second)
        assert status(third) == 200
        for connection in (first, second, third):
            connection.close()


def test_where_callers_must_show_a_certificate_nobody_asks_without_one(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    trusted = tmp_path / "callers.pem"
    authority.write_ca(trusted)
    files = {
        "tls_cert_file": str(authority.write_server()),
        "tls_client_ca_file": str(trusted),
    }
    with running_excise(tmp_path, POLICY, **files) as excise:
        good = authority.caller(authority)
        connection = connected(excise, good)
        assert status(connection) == 200
        assert isinstance(connection.sock, ssl.SSLSocket)
        session = connection.sock.session
        connection.close()
        for stranger in (authority.trusting(), other.caller(authority)):
            with refused():
                status(connected(excise, stranger))

        # Whom nobody trusts any more is refused from the next handshake on, an old session included.
        other.write_ca(trusted)
        excise.wait_for("reloaded", what="tls")
        with refused():
            status(connected(excise, good))
        with refused():
            status(resumed(excise, good, session))
        assert status(connected(excise, other.caller(authority))) == 200
        assert "Traceback" not in excise.log_text


def test_a_session_is_taken_up_again_only_where_no_certificate_was_looked_at(
    authority: Authority, tmp_path: Path
) -> None:
    files = {"tls_cert_file": str(authority.write_server())}
    with running_excise(tmp_path, POLICY, **files) as excise:
        context = authority.trusting()
        assert reused(excise, context)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert reused(excise, context)
    files["tls_client_ca_file"] = str(authority.ca_file)
    with running_excise(tmp_path, POLICY, **files) as excise:
        context = authority.caller(authority)
        assert not reused(excise, context)
        # TLS 1.2 would keep a session by its number, whatever becomes of the authority.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with refused():
            connected(excise, context)


def reused(excise: Excise, context: ssl.SSLContext) -> bool:
    """Whether a second connection goes on with the first one's session."""
    session = None
    for _ in range(2):
        connection = resumed(excise, context, session)
        assert status(connection) == 200
        assert isinstance(connection.sock, ssl.SSLSocket)
        session, again = connection.sock.session, connection.sock.session_reused
        connection.close()
    return bool(again)


@pytest.mark.parametrize(
    "settings",
    [
        {"EXCISE_TLS_CERT_FILE": "nowhere.pem"},
        {"EXCISE_TLS_CERT_FILE": "garbage.pem"},
        {"EXCISE_TLS_CERT_FILE": "server.pem", "EXCISE_TLS_KEY_FILE": "other-key.pem"},
        {"EXCISE_TLS_CERT_FILE": "server.pem", "EXCISE_TLS_CLIENT_CA_FILE": "garbage.pem"},
        {"EXCISE_TLS_KEY_FILE": "server.pem"},
        {"EXCISE_TLS_CLIENT_CA_FILE": "ca.pem"},
    ],
)
def test_files_that_cannot_be_used_end_the_start_in_one_line(
    authority: Authority, tmp_path: Path, settings: dict[str, str]
) -> None:
    authority.write_server()
    (tmp_path / "garbage.pem").write_text("garbage")
    another = trustme.CA().issue_cert("127.0.0.1")
    another.private_key_pem.write_to_path(tmp_path / "other-key.pem")
    done = subprocess.run(
        [sys.executable, "-m", "proxy.cli", "serve"],
        cwd=tmp_path,
        env={**os.environ, **settings},
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.decode().strip().splitlines()
    assert "tls" in line.lower()
