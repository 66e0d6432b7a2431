"""Metrics have few labels, whatever happens."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from orchestrator.metrics import Metrics


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
