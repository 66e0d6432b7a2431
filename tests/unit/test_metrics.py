"""Metrics have few labels, whatever happens."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from orchestrator import metrics as catalogue
from orchestrator.core.deliveries import Answer, Delivery, DeliveryState
from orchestrator.core.events import Event, EventName
from orchestrator.core.ports.budget import Share
from orchestrator.core.ports.sessions import Commit
from orchestrator.core.ports.watches import Urgency
from orchestrator.core.session import App, Attempt, Channel, Evidence, Hint, HintKind, Session, Step, StepState
from orchestrator.core.sign_ins import Failure
from orchestrator.core.upkeep import RefreshEnd
from orchestrator.metrics import CATALOGUE, MOST_APPS, Metric, Metrics, Process, serving
from orchestrator.settings import Settings
from tests.support.store_values import NOON, a_session, next_commit
from tests.support.webhook_values import a_lane


def samples(metrics: Metrics, name: str) -> dict[tuple[str, ...], float]:
    """Return a metric's values by its labels' values, in the order of their names."""
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name == name
    }


def test_requests_are_counted_and_timed() -> None:
    """By route, method and status."""
    metrics = Metrics()
    metrics.request(route="/v1/sessions", method="POST", status=201, duration_s=0.02)
    metrics.request(route="/v1/sessions", method="POST", status=409, duration_s=0.3)

    assert samples(metrics, "zapwright_http_requests_total") == {
        ("POST", "/v1/sessions", "201"): 1,
        ("POST", "/v1/sessions", "409"): 1,
    }
    assert samples(metrics, "zapwright_http_request_duration_seconds_sum") == {("POST", "/v1/sessions"): 0.32}


def test_made_up_methods_share_a_label() -> None:
    """A caller cannot fill our memory with labels."""
    metrics = Metrics()
    for method in ("BREW", "SIP"):
        metrics.request(route="unknown", method=method, status=405, duration_s=0)

    assert samples(metrics, "zapwright_http_requests_total") == {("other", "unknown", "405"): 2}


def test_signals_are_counted_by_what_became_of_them() -> None:
    """Many `stale` ones mean that pages speak too late."""
    metrics = Metrics()
    metrics.signal(kind="focus", outcome="applied")
    metrics.signal(kind="focus", outcome="applied")

    assert samples(metrics, "zapwright_signals_total") == {("focus", "applied"): 2}


def test_each_process_counts_for_itself() -> None:
    """There is no registry for everybody."""
    one, other = Metrics(), Metrics()
    one.signal(kind="focus", outcome="applied")

    assert samples(other, "zapwright_signals_total") == {}


# --- the meter ---

STEP: Final = Step(
    id="st1",
    state=StepState.RESOLVED,
    app=App(id="hub", title="HubSpot"),
    evidence=Evidence(channels=(Channel.MESSAGE, Channel.DIFFERENCE), checked_at=NOON, attempt_id="at1"),
    attempts=(
        Attempt(
            id="at1",
            app_id="hub",
            opened_at=NOON,
            deadline=NOON + 9,
            hints=(Hint(kind=HintKind.FOCUS, at=NOON + 1_000), Hint(kind=HintKind.FINISHED, at=NOON + 2_000)),
        ),
    ),
)


def resolved(app_id: str = "hub") -> tuple[Session, Commit]:
    """Give a session whose popup is waited for, and the commit that resolves its step, four seconds after a focus."""
    app = App(id=app_id, title=app_id)
    step = replace(STEP, app=app, attempts=(replace(STEP.attempts[0], app_id=app_id),))
    commit = next_commit(replace(a_session(), steps=(step,)), events=0)
    event = Event(seq=1, name=EventName.AUTH_RESOLVED, at=NOON + 5_000, step_id="st1", data={})
    return a_session(), replace(commit, events=(event,), session=replace(commit.session, seq=1))


def a_try(state: DeliveryState) -> tuple[Delivery, Answer]:
    """Give a delivery after a try, and what was answered."""
    delivery = Delivery(
        lane=a_lane(a_session()), seq=1, name=EventName.ZAP_CREATED, message_id="m", created_at=NOON, state=state
    )
    return delivery, Answer(status=204, took=250)


def commit(metrics: Metrics) -> None:
    """Commit the resolution of a popup."""
    metrics.committed(*resolved())


def call(metrics: Metrics) -> None:
    """Call Zapier."""
    metrics.called("GET /v2/apps", status=200, took=250)


def deliver(metrics: Metrics) -> None:
    """Deliver a message."""
    metrics.tried(*a_try(DeliveryState.DELIVERED), age=400)


def exchange(metrics: Metrics) -> None:
    """Exchange with the store, in vain."""
    metrics.exchanged(3, took_s=0.002, is_whole=False)


def request(metrics: Metrics) -> None:
    """Answer a request."""
    metrics.request(route="/v1/sessions", method="POST", status=201, duration_s=0.02)


def _shows(metric: Metric, value: float | dict[str, float] = 7) -> Callable[[Metrics], None]:
    return lambda metrics: metrics.show({metric: value})


DEEDS: Final[dict[Metric, Callable[[Metrics], object]]] = {
    catalogue.REQUESTS: request,
    catalogue.REQUEST_DURATIONS: request,
    catalogue.SIGNALS: lambda metrics: metrics.signal(kind="focus", outcome="applied"),
    catalogue.STREAMS: lambda metrics: metrics.stream().__enter__(),
    catalogue.EVENTS: commit,
    catalogue.TRANSITIONS: commit,
    catalogue.POPUPS: commit,
    catalogue.RETURN_TO_RESOLVED: commit,
    catalogue.CALLS: call,
    catalogue.CALL_DURATIONS: call,
    catalogue.SIGN_INS: lambda metrics: metrics.signed_in(None),
    catalogue.REFRESHES: lambda metrics: metrics.refreshed(RefreshEnd.REFRESHED),
    catalogue.PERMITS: lambda metrics: metrics.asked(Share.QUIET, wanted=3, given=1),
    catalogue.CHECK_DELAYS: lambda metrics: metrics.dispatched(Urgency.STRONG, late=40),
    catalogue.CHECKS: lambda metrics: metrics.checked(is_complete=False),
    catalogue.DELIVERIES: deliver,
    catalogue.DELIVERY_DURATIONS: deliver,
    catalogue.DELIVERY_AGES: deliver,
    catalogue.EXCHANGES: exchange,
    catalogue.EXCHANGE_COMMANDS: exchange,
    catalogue.EXCHANGES_BROKEN: exchange,
    catalogue.WAITING: _shows(catalogue.WAITING),
    catalogue.WAITING_OLDEST: _shows(catalogue.WAITING_OLDEST),
    catalogue.STUCK: _shows(catalogue.STUCK, {"check": 2}),
    catalogue.BUDGET_HELD: _shows(catalogue.BUDGET_HELD, {"egress": 59}),
    catalogue.BUDGET_LIMIT: _shows(catalogue.BUDGET_LIMIT, {"egress": 60}),
    catalogue.BUDGET_COOLDOWN: _shows(catalogue.BUDGET_COOLDOWN, {"egress": 12}),
    catalogue.OUTBOX: _shows(catalogue.OUTBOX),
    catalogue.OUTBOX_OLDEST: _shows(catalogue.OUTBOX_OLDEST),
    catalogue.LANES: _shows(catalogue.LANES),
    catalogue.PAUSED: _shows(catalogue.PAUSED, {"dead": 1}),
    catalogue.SAMPLED: _shows(catalogue.SAMPLED),
}
"""What moves each metric."""


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.shown)
def test_every_metric_moves(metric: Metric) -> None:
    """By what it is about, in each process that shows it."""
    for process in metric.by:
        metrics = Metrics(process)
        name = f"{metric.name}_count" if metric.buckets else metric.shown
        before = samples(metrics, name)
        DEEDS[metric](metrics)

        assert samples(metrics, name) != before
        assert any(value > 0 for value in samples(metrics, name).values())


@pytest.mark.parametrize("process", Process)
def test_a_process_shows_what_is_its_own(process: Process) -> None:
    """Nobody shows a gauge that only others set: it would be 0 there."""
    shown = {family.name for family in text_string_to_metric_families(Metrics(process).render().decode())}

    assert shown == {metric.name for metric in CATALOGUE if process in metric.by}


def test_a_popup_is_counted_by_what_became_of_it_and_how_long_it_took() -> None:
    """From the first sign that the user is back; whoever spoke the loudest names it."""
    metrics = Metrics()
    metrics.committed(*resolved())

    assert samples(metrics, "zapwright_popups_total") == {("hub", "other", "by_message"): 1}
    assert samples(metrics, "zapwright_return_to_resolved_seconds_sum") == {("message",): 4}
    assert samples(metrics, "zapwright_transitions_total") == {("none", "resolved"): 1}
    assert samples(metrics, "zapwright_events_total") == {("auth_resolved",): 1}


def test_a_process_names_so_many_apps_and_no_more() -> None:
    """Zapier has thousands; the rest are counted together."""
    metrics = Metrics()
    for number in range(MOST_APPS + 3):
        metrics.committed(*resolved(f"app-{number}"))
    metrics.committed(*resolved("app-0"))
    found = samples(metrics, "zapwright_popups_total")

    assert len(found) == MOST_APPS + 1
    assert (found["app-0", "other", "by_message"], found["other", "other", "by_message"]) == (2, 3)


def test_deliveries_are_counted_by_what_became_of_them() -> None:
    """One that failed comes again; the age is that of those that were received."""
    metrics = Metrics(Process.WORKER)
    for state in DeliveryState:
        metrics.tried(*a_try(state), age=400)

    assert samples(metrics, "zapwright_deliveries_total") == {("failed",): 1, ("delivered",): 1, ("dead",): 1}
    assert samples(metrics, "zapwright_delivery_age_seconds_count") == {(): 1}


def test_ends_that_nobody_met_yet_are_shown_as_none() -> None:
    """The first that fails is a change, which an alert can see."""
    metrics = Metrics()
    metrics.signed_in(Failure.CLIENT_REFUSED)
    sign_ins, refreshes = (samples(metrics, f"zapwright_{name}_total") for name in ("sign_ins", "refreshes"))

    assert sign_ins == {(one,): int(one == "client_refused") for one in ("signed_in", *Failure)}
    assert refreshes == {(one,): 0 for one in RefreshEnd}


def test_a_label_that_is_not_shown_any_more_is_nothing() -> None:
    """It does not stay at what it was."""
    metrics = Metrics(Process.WORKER)
    metrics.show({catalogue.STUCK: {"check": 2, "signal": 1}})
    metrics.show({catalogue.STUCK: {"signal": 3}})

    assert samples(metrics, "zapwright_stuck_sessions") == {("check",): 0, ("signal",): 3}


def test_a_worker_shows_its_metrics_where_it_is_told_to() -> None:
    """At a port of its own; without one, nowhere."""
    metrics = Metrics(Process.WORKER)
    with structlog.testing.capture_logs() as logs, serving(metrics, Settings(worker_metrics_port=0)):
        answer = httpx.get(f"http://127.0.0.1:{logs[0]['port']}/metrics", trust_env=False)
    with structlog.testing.capture_logs() as silent, serving(metrics, Settings()):
        pass

    assert "zapwright_webhook_lanes" in answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert silent == []


def test_a_port_that_is_taken_stops_no_worker() -> None:
    """It is said in the log."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = Settings(worker_metrics_port=port)
        with structlog.testing.capture_logs() as logs, serving(Metrics(), settings):
            pass

    assert [(line["event"], line["port"]) for line in logs] == [("metrics_not_served", port)]
