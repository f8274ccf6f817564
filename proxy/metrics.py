"""
Metrics in Prometheus's format, behind one small class.

Labels are bounded: rule names come from the policy, everything else from closed sets. Nothing that a
caller chooses ever becomes a label.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from proxy.passage import Progress
from proxy.tallies import Tally, Timings
from proxy.visit import Visit

_FAST = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """What the process counts about itself."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()

        def gauge(name: str, what: str) -> Gauge:
            return Gauge(name, what, registry=registry)

        self._requests = Tally(
            "excise_requests",
            "Requests by decision, class of route and API dialect.",
            ("decision", "route_class", "dialect"),
            registry,
        )
        self._responses = Tally(
            "excise_responses",
            "Answers by status class and how they ended.",
            ("status", "outcome"),
            registry,
        )
        self._findings = Tally(
            "excise_findings", "Findings by rule and mode.", ("rule", "mode"), registry
        )
        self._expression_errors = Tally(
            "excise_expression_errors",
            "Requests that an expression of a rule or exemption could not be evaluated on.",
            ("rule", "cause"),
            registry,
        )
        self._degraded = Tally(
            "excise_degraded", "Requests degraded, by what was taken.", ("what",), registry
        )
        self._output_tokens = Tally(
            "excise_output_tokens", "Output tokens let through.", (), registry
        )
        self._decide = Timings(
            "excise_decide_seconds",
            "From facts to decision, the store's answer included.",
            _FAST,
            registry,
        )
        self._store = Timings("excise_store_seconds", "Waiting for the store.", _FAST, registry)
        self._upstream = Timings(
            "excise_upstream_first_byte_seconds",
            "Until the head of the upstream's reply.",
            _SLOW,
            registry,
        )
        self._duration = Timings(
            "excise_request_duration_seconds",
            "From a request's head to its last byte.",
            _SLOW,
            registry,
        )
        self.store_errors = Counter(
            "excise_store_errors", "Store failures by kind.", ("kind",), registry=registry
        )
        self._counted = Tally(
            "excise_counted",
            "Requests by how they were counted: ok, local, skipped, blocked, unused.",
            ("store",),
            registry,
        )
        self.classifications = Tally(
            "excise_classifications",
            "Prompts for the classifier: answered, cached, failed, dropped (no room), skipped (it rests).",
            ("result",),
            registry,
        )
        self.reloads = Counter(
            "excise_reloads",
            "Policies and accounts files loaded anew: ok or refused.",
            ("what", "result"),
            registry=registry,
        )
        self.unsettled = Counter(
            "excise_settlements_lost", "Counter corrections given up.", registry=registry
        )
        self.faults = Counter("excise_internal_errors", "Faults of ours.", registry=registry)
        self.active = gauge("excise_active_requests", "Requests under way.")
        self.open_streams = gauge("excise_open_streams", "Streams under way.")
        self.delayed = gauge("excise_delayed_requests", "Requests held back now.")
        self.body_memory = gauge("excise_body_memory_bytes", "Request bodies held now.")
        self.queue_bytes = gauge("excise_event_queue_bytes", "Events that wait to be written.")
        self.events_dropped = gauge("excise_events_dropped", "Events lost since the start.")
        self.bans = gauge("excise_bans", "Bans that stand, as this replica knows them.")
        self.allowances = gauge("excise_allowances", "Allowances that stand.")
        self.campaigns = gauge("excise_campaigns", "Campaigns, as this replica knows them.")
        self.campaign_accounts = gauge(
            "excise_campaign_accounts", "Accounts in campaigns, those that are only suspected too."
        )
        self.store_up = gauge("excise_store_up", "1 while the store answers, else 0.")
        self._policy = Gauge(
            "excise_policy_info", "The policy in force.", ("digest", "mode"), registry=registry
        )
        self._build = Gauge("excise_build_info", "The version.", ("version",), registry=registry)

    def families(self) -> list[tuple[Metric, tuple[str, ...]]]:
        """Every metric's family, without samples, and its labels, in the order of its definition."""
        families: list[tuple[Metric, tuple[str, ...]]] = []
        for one in vars(self).values():
            if isinstance(one, Tally | Timings):
                families += [(family, one.labels) for family in one.describe()]
            elif isinstance(one, MetricWrapperBase):
                labels = tuple(one._labelnames)  # noqa: SLF001 - not public
                families += [(family, labels) for family in one.describe()]
        return families

    def policy(self, digest: str, mode: str) -> None:
        """Another policy is in force."""
        self._policy.clear()
        self._policy.labels(digest, mode).set(1)

    def build(self, version: str) -> None:
        """What is running."""
        self._build.labels(version).set(1)

    def request(self, visit: Visit, progress: Progress, duration_s: float) -> None:
        """One request has ended."""
        decision, route = visit.decision, visit.route
        kind = route.kind if route is not None else "malformed"
        dialect = route.dialect if route is not None else ""
        self._requests.counts[decision.verb.word, kind, dialect] += 1
        status = "none" if progress.status is None else f"{progress.status // 100}xx"
        self._responses.counts[status, progress.end] += 1
        for found in decision.findings:
            self._findings.counts[found.rule, "shadow" if found.shadow else "enforce"] += 1
        if (degradation := visit.degradation) is not None:
            for what in degradation.actions:
                self._degraded.counts[(what,)] += 1
        if visit.judgement is not None:
            self._counted.counts[(visit.judgement.store,)] += 1
            for rule, why in visit.judgement.expression_errors.items():
                cause = "absent" if why.startswith("absent") else "failed"
                self._expression_errors.counts[rule, cause] += 1
            self._decide.observe(visit.decide_s)
            if visit.judgement.store_s:
                self._store.observe(visit.judgement.store_s)
        if progress.upstream_s is not None:
            self._upstream.observe(progress.upstream_s)
        self._duration.observe(duration_s)
        reader = visit.reader
        if reader is not None and reader.usage is not None and reader.usage.output_tokens:
            self._output_tokens.counts[()] += reader.usage.output_tokens

    def rejected(self) -> None:
        """Bytes were refused that never became a request."""
        self._requests.counts["block", "malformed", ""] += 1

    def render(self) -> tuple[str, bytes]:
        """(content type, text) for a scrape."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)


def reference() -> str:
    """docs/metrics.md's table: name, type, labels, meaning."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for family, names in Metrics().families():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in names)
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows) + "\n"
