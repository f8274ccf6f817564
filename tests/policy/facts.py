"""Facts to judge in tests."""

from __future__ import annotations

from typing import Any

from proxy.facts import Ask, Client, Facts, Route

ROUTE = Route("inspected", "openai_chat", "chat", "/v1/chat/completions")


def facts(model: str | None = "large", *, stream: bool = False, **client: Any) -> Facts:
    """Facts of a chat request; `model=None` knows the identity alone."""
    fields = {
        "address": "203.0.113.7",
        "subnet": "203.0.113.0/24",
        "key_id": "key_a",
        "account": "acme",
        "account_source": "file",
        **client,
    }
    ask = Ask(model, stream=stream) if model is not None else None
    return Facts(Client(**fields), ROUTE, ask, end_user=None)
