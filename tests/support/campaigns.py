"""A judge's view of campaigns where there are none."""

from __future__ import annotations

from typing import Any

from proxy.campaigns.members import Campaigns
from proxy.campaigns.report import TieReports
from proxy.clock import Clock
from proxy.notices import Notices


def no_campaigns(clock: Clock) -> dict[str, Any]:
    """What a judge is given besides."""
    board, verdicts = Notices("campaigns", clock, list), Notices("verdicts", clock, list)
    return {"campaigns": Campaigns(board, verdicts, clock), "reports": TieReports(clock, list)}
