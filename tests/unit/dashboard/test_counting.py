"""Every request of the dashboard is counted by its route."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families
from starlette.middleware import Middleware

from dashboard.counting import Counting
from orchestrator.metrics import Metrics, Process


def counted(metrics: Metrics) -> dict[tuple[str, str, str], float]:
    """Give how many requests were counted, by route, method and status."""
    return {
        (sample.labels["route"], sample.labels["method"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(metrics.render().decode())
        for sample in family.samples
        if sample.name == "zapwright_http_requests_total"
    }


async def test_a_request_is_counted_by_its_route_and_its_status() -> None:
    """Not by its path; what nobody answers was a failure."""
    metrics = Metrics(Process.DASHBOARD)
    app = FastAPI(middleware=[Middleware(Counting, metrics=metrics)])

    @app.get("/sessions/{session_id}")
    async def page(session_id: str) -> str:
        if session_id == "odd":
            raise RuntimeError(session_id)
        return session_id

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://board.test") as browser:
        for path in ("/sessions/a", "/sessions/b", "/nowhere/1", "/nowhere/2"):
            await browser.get(path)
        with pytest.raises(RuntimeError):
            await browser.get("/sessions/odd")

    assert counted(metrics) == {
        ("/sessions/{session_id}", "GET", "200"): 2,
        ("unknown", "GET", "404"): 2,
        ("/sessions/{session_id}", "GET", "500"): 1,
    }
