"""Metrics for Prometheus. Labels come from closed sets: routes, methods, kinds and outcomes, never ids.

An app's id is the one exception, and bounded: a process names the first `MOST_APPS` it meets, and calls the rest other.
`docs/reference/metrics.md` is written from `CATALOGUE`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from orchestrator.core.deliveries import Answer, Delivery, DeliveryState
from orchestrator.core.events import EventName
from orchestrator.core.health import OF_POPUPS, counted
from orchestrator.core.metering import Meter, resolutions, transition
from orchestrator.core.ports.budget import Share
from orchestrator.core.ports.sessions import Commit
from orchestrator.core.ports.watches import Urgency
from orchestrator.core.session import SECOND, Millis, Session
from orchestrator.core.sign_ins import Failure
from orchestrator.core.upkeep import RefreshEnd
from orchestrator.settings import Settings

log = structlog.get_logger(__name__)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

MOST_APPS: Final = 200
OTHER: Final = "other"

_DURATIONS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_EXCHANGES: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
_WAITS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128)
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class Process(StrEnum):
    """Who shows a metric."""

    API = "api"
    WORKER = "worker"
    DASHBOARD = "dashboard"


API, WORKER = Process.API, Process.WORKER
SERVING: Final = (Process.API, Process.DASHBOARD)
WORKING: Final = (Process.API, Process.WORKER)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Metric:
    """One metric. `text` says what it counts, of the processes `by`; `buckets` make it a histogram.

    `known` are the values of its one label that are shown from the beginning, so that the first of each is a change.
    """

    kind: type[MetricWrapperBase]
    name: str
    text: str
    by: tuple[Process, ...]
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    known: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Its name in a scrape."""
        return f"{self.name}_total" if self.kind is Counter else self.name


def _counter(
    name: str, text: str, *labels: str, by: tuple[Process, ...] = WORKING, known: tuple[str, ...] = ()
) -> Metric:
    return Metric(kind=Counter, name=f"zapwright_{name}", text=text, labels=labels, by=by, known=known)


def _gauge(name: str, text: str, *labels: str, by: tuple[Process, ...] = (WORKER,)) -> Metric:
    return Metric(kind=Gauge, name=f"zapwright_{name}", text=text, labels=labels, by=by)


def _histogram(
    name: str, text: str, *labels: str, buckets: tuple[float, ...] = _DURATIONS, by: tuple[Process, ...] = WORKING
) -> Metric:
    return Metric(kind=Histogram, name=f"zapwright_{name}", text=text, labels=labels, by=by, buckets=buckets)


REQUESTS: Final = _counter("http_requests", "Requests answered.", "route", "method", "status", by=SERVING)
REQUEST_DURATIONS: Final = _histogram(
    "http_request_duration_seconds",
    "How long requests took, long polls and calls to Zapier included.",
    "route",
    "method",
    by=SERVING,
)
SIGNALS: Final = _counter("signals", "Popup signals heard, by what became of them.", "kind", "outcome", by=(API,))
STREAMS: Final = _gauge("streams", "Streams that are open now.", by=(API,))
EVENTS: Final = _counter("events", "Events committed.", "event")
TRANSITIONS: Final = _counter(
    "transitions", "Steps that came to a state, and why it needs an authentication.", "state", "reason"
)
POPUPS: Final = _counter(
    "popups",
    "Popups opened, and what became of them; of those found, without_message ÷ (by_message + without_message) is the "
    "lost rate. Unfinished: the user left, or the site failed; we cannot see which.",
    "app",
    "browser",
    "fate",
)
RETURN_TO_RESOLVED: Final = _histogram(
    "return_to_resolved_seconds",
    "From the first sign that the user is back at the page until the step was resolved.",
    "channel",
    buckets=_WAITS,
)
CALLS: Final = _counter(
    "upstream_calls", "Calls to Zapier by their answer's status; `none` when none came.", "endpoint", "status"
)
CALL_DURATIONS: Final = _histogram("upstream_call_duration_seconds", "How long calls to Zapier took.", "endpoint")
SIGNED_IN: Final = "signed_in"
SIGN_INS: Final = _counter(
    "sign_ins",
    "Sign-ins to Zapier that came back from there, by what came of them.",
    "outcome",
    by=(API,),
    known=(SIGNED_IN, *Failure),
)
REFRESHES: Final = _counter(
    "refreshes",
    "Uses of users' refresh tokens, by what came of them; after `refused` and `outcome_lost` a user has to sign in.",
    "outcome",
    known=tuple(RefreshEnd),
)
PERMITS: Final = _counter(
    "permits", "Permits to call Zapier, given and refused, by whom they were for.", "share", "outcome"
)
CHECK_DELAYS: Final = _histogram(
    "check_delay_seconds",
    "How long after they were due checks were sent to the workers.",
    "urgency",
    buckets=_WAITS,
    by=(WORKER,),
)
CHECKS: Final = _counter("checks", "Checks that ended, with a complete listing or without.", "outcome", by=(WORKER,))
DELIVERIES: Final = _counter(
    "deliveries", "Tries to deliver a webhook message, by what became of it.", "outcome", by=(WORKER,)
)
DELIVERY_DURATIONS: Final = _histogram(
    "delivery_duration_seconds", "How long webhook receivers took to answer.", by=(WORKER,)
)
DELIVERY_AGES: Final = _histogram(
    "delivery_age_seconds", "How old webhook messages were when they were received.", buckets=_WAITS, by=(WORKER,)
)
EXCHANGES: Final = _histogram(
    "store_exchange_duration_seconds", "How long exchanges with the store took.", buckets=_EXCHANGES
)
EXCHANGE_COMMANDS: Final = _histogram(
    "store_exchange_commands", "Commands that shared an exchange with the store (group commit).", buckets=_SIZES
)
EXCHANGES_BROKEN: Final = _counter("store_exchanges_broken", "Exchanges with the store that were not answered.")
WAITING: Final = _gauge("waiting_sessions", "Sessions in which somebody waits for a popup.")
WAITING_OLDEST: Final = _gauge("waiting_oldest_seconds", "How long the longest of them has waited.")
STUCK: Final = _gauge(
    "stuck_sessions",
    "Sessions in which somebody was heard, or should have been checked, half a minute ago, and waits still.",
    "by",
)
BUDGET_HELD: Final = _gauge("budget_held", "Permits that are held now.", "side")
BUDGET_LIMIT: Final = _gauge("budget_limit", "Permits there are a minute, 0 for no limit.", "side")
BUDGET_COOLDOWN: Final = _gauge("budget_cooldown_seconds", "For how long no permit will be given.", "side")
OUTBOX: Final = _gauge("outbox_events", "Events that no relay has taken yet.")
OUTBOX_OLDEST: Final = _gauge("outbox_oldest_seconds", "How long the oldest of them has waited.")
LANES: Final = _gauge("webhook_lanes", "Lanes in which a message is pending.")
PAUSED: Final = _gauge("webhook_endpoints_paused", "Endpoints to which nothing is sent now, by the reason.", "why")
SAMPLED: Final = _gauge("sampled_timestamp_seconds", "When the gauges above were read from the store, by the clock.")

CATALOGUE: Final[tuple[Metric, ...]] = tuple(one for one in list(globals().values()) if isinstance(one, Metric))
"""Every metric there is."""


class _Count:
    """A counter with its labels."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Count."""
        self.value += amount


class _Spread:
    """A histogram with its labels."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Note one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


class _Counted(Collector):
    """Counters and histograms of one metric, written down when they are asked for.

    Those of prometheus_client take a lock and several calls each time, which is a fifth of what a commit may cost here:
    one thread counts, and the one that shows reads.
    """

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self._counts: dict[tuple[str, ...], _Count] = {}
        self._spreads: dict[tuple[str, ...], _Spread] = {}

    def count(self, *values: str) -> _Count:
        """Return the counter with these label values."""
        return self._counts.setdefault(values, _Count())

    def spread(self, *values: str) -> _Spread:
        """Return the histogram with these label values."""
        return self._spreads.setdefault(values, _Spread(self._metric.buckets))

    def collect(self) -> Iterator[MetricFamily]:
        """Give all of it."""
        metric = self._metric
        if not metric.buckets:
            counters = CounterMetricFamily(metric.name, metric.text, labels=metric.labels)
            for values, count in list(self._counts.items()):
                counters.add_metric(values, count.value)
            yield counters
            return
        names = [*map(floatToGoString, metric.buckets), "+Inf"]
        histograms = HistogramMetricFamily(metric.name, metric.text, labels=metric.labels)
        for values, spread in list(self._spreads.items()):
            histograms.add_metric(values, list(zip(names, accumulate(spread.counts), strict=True)), spread.total)
        yield histograms


class Metrics:
    """What one process counts, in a registry of its own: a `Meter`, and gauges for what only the store knows.

    Shown is what such a process shows (`Metric.by`).
    """

    def __init__(self, process: Process = Process.API) -> None:
        self._registry = CollectorRegistry()
        self._counted: dict[str, _Counted] = {}
        self._gauges: dict[str, Gauge] = {}
        for metric in CATALOGUE:
            registry = self._registry if process in metric.by else None
            if metric.kind is Gauge:
                self._gauges[metric.name] = Gauge(metric.name, metric.text, metric.labels, registry=registry)
                continue
            self._counted[metric.name] = _Counted(metric)
            if registry is not None:
                registry.register(self._counted[metric.name])
            if not metric.labels:
                self._histogram(metric) if metric.buckets else self._counter(metric)
            for value in metric.known:
                self._counter(metric, value)
        self._apps: set[str] = set()
        self._shown: dict[str, set[str]] = {}
        self._exchanges, self._commands = self._histogram(EXCHANGES), self._histogram(EXCHANGE_COMMANDS)
        self._broken = self._counter(EXCHANGES_BROKEN)

    def render(self) -> bytes:
        """Return everything in Prometheus's text format (`CONTENT_TYPE`)."""
        return generate_latest(self._registry)

    @property
    def registry(self) -> CollectorRegistry:
        """Where it is kept, for who serves it."""
        return self._registry

    # --- what an edge counts ---

    def stream(self) -> AbstractContextManager[object]:
        """Count a stream as open for as long as the block lasts."""
        return self._gauge(STREAMS).track_inprogress()

    def request(self, *, route: str, method: str, status: int, duration_s: float) -> None:
        """Count an answered request. `route` is the route's pattern, not the path that was asked for."""
        counter, durations = self._of_request(route, method if method in _METHODS else OTHER, status)
        counter.inc()
        durations.observe(duration_s)

    @cache  # noqa: B019 - as many as there are routes, methods and statuses, and there is one of us a process
    def _of_request(self, route: str, method: str, status: int) -> tuple[_Count, _Spread]:
        return self._counter(REQUESTS, route, method, str(status)), self._histogram(REQUEST_DURATIONS, route, method)

    def signal(self, *, kind: str, outcome: str) -> None:
        """Count a popup signal and what became of it."""
        self._counter(SIGNALS, kind, outcome).inc()

    # --- the meter ---

    def committed(self, before: Session | None, commit: Commit) -> None:
        """Count the events of a commit, where they brought their steps, and which popups they resolved."""
        is_of_popup = is_resolved = False
        for event in commit.events:
            self._counter(EVENTS, event.name).inc()
            moved = transition(event)
            if moved is not None:
                self._counter(TRANSITIONS, moved.state, moved.reason or "none").inc()
                is_of_popup = is_of_popup or event.name in OF_POPUPS
                is_resolved = is_resolved or event.name is EventName.AUTH_RESOLVED
        if is_of_popup:
            for popups, fate in counted(commit.session, commit.events).popups:
                self._counter(POPUPS, self._app(popups.app_id), popups.browser, fate).inc()
        if is_resolved:
            for resolution in resolutions(before, commit):
                if resolution.wait is not None:
                    self._histogram(RETURN_TO_RESOLVED, resolution.channel).observe(resolution.wait / SECOND)

    def called(self, endpoint: str, *, status: int | None, took: Millis) -> None:
        """Count a call to Zapier."""
        self._counter(CALLS, endpoint, "none" if status is None else str(status)).inc()
        self._histogram(CALL_DURATIONS, endpoint).observe(took / SECOND)

    def asked(self, share: Share, *, wanted: int, given: int) -> None:
        """Count permits."""
        name = share.name.lower()
        self._counter(PERMITS, name, "given").inc(given)
        self._counter(PERMITS, name, "refused").inc(wanted - given)

    def dispatched(self, urgency: Urgency, *, late: Millis) -> None:
        """Note how late a check was sent."""
        self._histogram(CHECK_DELAYS, urgency.name.lower()).observe(max(0, late) / SECOND)

    def checked(self, *, is_complete: bool) -> None:
        """Count a check."""
        self._counter(CHECKS, "complete" if is_complete else "incomplete").inc()

    def tried(self, delivery: Delivery, answer: Answer, *, age: Millis) -> None:
        """Count a try to deliver."""
        outcome = "failed" if delivery.state is DeliveryState.PENDING else delivery.state.value
        self._counter(DELIVERIES, outcome).inc()
        self._histogram(DELIVERY_DURATIONS).observe(answer.took / SECOND)
        if delivery.state is DeliveryState.DELIVERED:
            self._histogram(DELIVERY_AGES).observe(max(0, age) / SECOND)

    def signed_in(self, failure: Failure | None) -> None:
        """Count a sign-in."""
        self._counter(SIGN_INS, SIGNED_IN if failure is None else failure.value).inc()

    def refreshed(self, end: RefreshEnd) -> None:
        """Count a use of a refresh token."""
        self._counter(REFRESHES, end.value).inc()

    def exchanged(self, commands: int, *, took_s: float, is_whole: bool) -> None:
        """Note an exchange with the store."""
        self._exchanges.observe(took_s)
        self._commands.observe(commands)
        if not is_whole:
            self._broken.inc()

    # --- what is read from the store now and then ---

    def show(self, values: Mapping[Metric, float | Mapping[str, float]]) -> None:
        """Set gauges, those with a label by its values; label values that are not given any more are 0."""
        for metric, value in values.items():
            if not isinstance(value, Mapping):
                self._gauge(metric).set(value)
                continue
            gauge, shown = self._gauge(metric), self._shown.setdefault(metric.name, set())
            shown.update(value)
            for label in shown:
                gauge.labels(label).set(value.get(label, 0))

    # --- label values ---

    def _app(self, app_id: str) -> str:
        if app_id not in self._apps and len(self._apps) >= MOST_APPS:
            return OTHER
        self._apps.add(app_id)
        return app_id

    @cache  # noqa: B019 - label values come from closed sets, and there is one of us a process
    def _counter(self, metric: Metric, *values: str) -> _Count:
        return self._counted[metric.name].count(*values)

    @cache  # noqa: B019 - the same
    def _histogram(self, metric: Metric, *values: str) -> _Spread:
        return self._counted[metric.name].spread(*values)

    def _gauge(self, metric: Metric) -> Gauge:
        return self._gauges[metric.name]


@contextmanager
def serving(metrics: Metrics, settings: Settings) -> Iterator[None]:
    """Show a worker's metrics over HTTP while the block lasts, where the settings name a port.

    A port that is taken is said in the log: work goes on without.
    """
    if settings.worker_metrics_port is None:
        yield
        return
    try:
        server, thread = start_http_server(
            settings.worker_metrics_port, settings.worker_metrics_host, registry=metrics.registry
        )
    except OSError as error:
        log.error("metrics_not_served", port=settings.worker_metrics_port, problem=str(error))  # noqa: TRY400
        yield
        return
    log.info("metrics_served", host=settings.worker_metrics_host, port=server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if TYPE_CHECKING:
    _: type[Meter] = Metrics
