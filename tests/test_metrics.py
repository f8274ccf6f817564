"""Metrics: documented, bounded, and moved by requests."""

from __future__ import annotations

from pathlib import Path

from proxy.metrics import reference
from tests.support.inside import CHAT, excise_inside, post
from tests.support.raw_upstream import plain, raw_upstream, replying

DOCS = Path(__file__).parent.parent / "docs"
POLICY = """
version: 1
keys: {missing: allow, unknown: allow}
rules:
  - {name: few, kind: rate_limit, per: address, limit: 1/hour, burst: 1, action: throttle}
"""


async def test_requests_move_the_metrics_and_callers_choose_no_label(tmp_path: Path) -> None:
    async with (
        raw_upstream(replying(plain())) as upstream,
        excise_inside(tmp_path, upstream.url, POLICY) as excise,
    ):
        for path in ("/v1/chat/completions", "/v1/chat/completions", "/v1/caller-chosen"):
            await excise.exchange(post(CHAT, path))
        text = excise.app.metrics.render()[1].decode()
    allowed = (
        'excise_requests_total{decision="allow",dialect="openai_chat",route_class="inspected"} 1.0'
    )
    assert allowed in text
    assert 'decision="throttle",dialect="openai_chat",route_class="inspected"} 1.0' in text
    assert 'decision="block",dialect="",route_class="unknown"} 1.0' in text
    assert 'excise_findings_total{mode="enforce",rule="few"} 1.0' in text
    assert "excise_output_tokens_total 2.0" in text
    assert "caller-chosen" not in text


def test_the_documentation_is_made_from_the_registry() -> None:
    assert reference() in (DOCS / "metrics.md").read_text(encoding="utf-8")
