"""Metrics for Prometheus. Labels come from closed sets: routes, methods, kinds and outcomes, never ids."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class Metrics:
    """What one process counts, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "zapwright_http_requests", "Requests answered.", ("route", "method", "status"), registry=self._registry
        )
        self._durations = Histogram(
            "zapwright_http_request_duration_seconds",
            "How long requests took, long polls and calls to Zapier included.",
            ("route", "method"),
            buckets=_DURATIONS,
            registry=self._registry,
        )
        self._signals = Counter(
            "zapwright_signals", "Popup signals heard.", ("kind", "outcome"), registry=self._registry
        )
        self._streams = Gauge("zapwright_streams", "Streams that are open now.", registry=self._registry)

    def stream(self) -> AbstractContextManager[object]:
        """Count a stream as open for as long as the block lasts."""
        return self._streams.track_inprogress()

    def request(self, *, route: str, method: str, status: int, duration_s: float) -> None:
        """Count an answered request. `route` is the route's pattern, not the path that was asked for."""
        counter, durations = self._of(route, method if method in _METHODS else "other", status)
        counter.inc()
        durations.observe(duration_s)

    @cache  # noqa: B019 - as many as there are routes, methods and statuses, and there is one of us a process
    def _of(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        return (
            self._requests.labels(route=route, method=method, status=str(status)),
            self._durations.labels(route=route, method=method),
        )

    def signal(self, *, kind: str, outcome: str) -> None:
        """Count a popup signal and what became of it."""
        self._signals.labels(kind=kind, outcome=outcome).inc()

    def render(self) -> bytes:
        """Return everything in Prometheus's text format (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)
