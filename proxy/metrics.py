"""
Metrics in Prometheus's format, behind one small class.

Labels are bounded: rule names come from the policy, everything else from closed sets. Nothing that a
caller chooses ever becomes a label. Children are bound once, so that a request costs dictionary
look-ups and additions only.
"""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics import MetricWrapperBase

from proxy.passage import Progress
from proxy.visit import Visit

_FAST = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class Metrics:
    """What the process counts about itself."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()

        def gauge(name: str, what: str) -> Gauge:
            return Gauge(name, what, registry=registry)

        self._requests = Counter(
            "excise_requests",
            "Requests by decision, class of route and API dialect.",
            ("decision", "route_class", "dialect"),
            registry=registry,
        )
        self._responses = Counter(
            "excise_responses",
            "Answers by status class and how they ended.",
            ("status", "outcome"),
            registry=registry,
        )
        self._findings = Counter(
            "excise_findings", "Findings by rule and mode.", ("rule", "mode"), registry=registry
        )
        self._output_tokens = Counter(
            "excise_output_tokens", "Output tokens let through.", registry=registry
        )
        self._decide = Histogram(
            "excise_decide_seconds",
            "From facts to decision, the store's answer included.",
            buckets=_FAST,
            registry=registry,
        )
        self._store = Histogram(
            "excise_store_seconds", "Waiting for the store.", buckets=_FAST, registry=registry
        )
        self._upstream = Histogram(
            "excise_upstream_first_byte_seconds",
            "Until the head of the upstream's reply.",
            buckets=_SLOW,
            registry=registry,
        )
        self._duration = Histogram(
            "excise_request_duration_seconds",
            "From a request's head to its last byte.",
            buckets=_SLOW,
            registry=registry,
        )
        self.store_errors = Counter(
            "excise_store_errors", "Store failures by kind.", ("kind",), registry=registry
        )
        self._counted = Counter(
            "excise_counted",
            "Requests by how they were counted: ok, local, skipped, blocked, unused.",
            ("store",),
            registry=registry,
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
        self.store_up = gauge("excise_store_up", "1 while the store answers, else 0.")
        self._policy = Gauge(
            "excise_policy_info", "The policy in force.", ("digest", "mode"), registry=registry
        )
        self._build = Gauge("excise_build_info", "The version.", ("version",), registry=registry)
        self._bound_requests: dict[tuple[str, str, str], Callable[[], None]] = {}
        self._bound_responses: dict[tuple[str, str], Callable[[], None]] = {}
        self._bound_counted: dict[tuple[str], Callable[[], None]] = {}
        self._bound_findings: dict[tuple[str, str], Callable[[], None]] = {}

    def collectors(self) -> list[MetricWrapperBase]:
        """Every metric, in the order of its definition."""
        return [one for one in vars(self).values() if isinstance(one, MetricWrapperBase)]

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
        self._one_request((decision.verb.word, kind, dialect))
        status = "none" if progress.status is None else f"{progress.status // 100}xx"
        self._one_response((status, progress.end))
        for found in decision.findings:
            self._one_finding((found.rule, "shadow" if found.shadow else "enforce"))
        if visit.judgement is not None:
            self._one_counted((visit.judgement.store,))
            self._decide.observe(visit.decide_s)
            if visit.judgement.store_s:
                self._store.observe(visit.judgement.store_s)
        if progress.upstream_s is not None:
            self._upstream.observe(progress.upstream_s)
        self._duration.observe(duration_s)
        reader = visit.reader
        if reader is not None and reader.usage is not None and reader.usage.output_tokens:
            self._output_tokens.inc(reader.usage.output_tokens)

    def rejected(self) -> None:
        """Bytes were refused that never became a request."""
        self._one_request(("block", "malformed", ""))

    def render(self) -> tuple[str, bytes]:
        """(content type, text) for a scrape."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)

    def _one_request(self, labels: tuple[str, str, str]) -> None:
        bound = self._bound_requests.get(labels)
        if bound is None:
            bound = self._bound_requests[labels] = self._requests.labels(*labels).inc
        bound()

    def _one_response(self, labels: tuple[str, str]) -> None:
        bound = self._bound_responses.get(labels)
        if bound is None:
            bound = self._bound_responses[labels] = self._responses.labels(*labels).inc
        bound()

    def _one_counted(self, labels: tuple[str]) -> None:
        bound = self._bound_counted.get(labels)
        if bound is None:
            bound = self._bound_counted[labels] = self._counted.labels(*labels).inc
        bound()

    def _one_finding(self, labels: tuple[str, str]) -> None:
        bound = self._bound_findings.get(labels)
        if bound is None:
            bound = self._bound_findings[labels] = self._findings.labels(*labels).inc
        bound()


def reference() -> str:
    """docs/metrics.md's table: name, type, labels, meaning."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for collector in Metrics().collectors():
        family = next(iter(collector.describe()))
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)  # noqa: SLF001 - not public
        rows.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(rows) + "\n"
