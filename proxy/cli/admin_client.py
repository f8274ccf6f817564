"""How commands speak to a running Excise: its admin API, found by the same settings that it runs by."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from proxy.assembly import read_admin_token
from proxy.errors import ConfigurationError
from proxy.settings import listen_address, load_settings

TIMEOUT_S = 10.0


def call(
    method: str,
    path: str,
    *,
    query: dict[str, str] | None = None,
    body: Any = None,
    timeout: float = TIMEOUT_S,
) -> Any:
    """One call; the answer's JSON. Ends the command with a clear message where it fails."""
    try:
        settings = load_settings({}, os.environ, Path.cwd())
        token = read_admin_token(settings)
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    if token is None:
        raise click.ClickException(
            "set EXCISE_ADMIN_TOKEN or EXCISE_ADMIN_TOKEN_FILE, here and where Excise runs"
        )
    host, port = listen_address(settings.admin_listen)
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not a bind
    name = f"[{here}]" if ":" in here else here
    where = f"http://{name}:{port}"
    url = f"{where}{path}" + (f"?{urlencode(query)}" if query else "")
    request = urllib.request.Request(  # noqa: S310 - the scheme is ours
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}"},
        method=method,
    )
    # No proxy of the environment stands between us and a loopback address.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise click.ClickException(_said(error)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        raise click.ClickException(f"no Excise answers at {where}: {reason}") from None


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"the admin API answered {error.code}"
