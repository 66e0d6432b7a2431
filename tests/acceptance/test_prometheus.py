"""Debian's Prometheus scrapes what runs: every series that the documents name is there, and moves."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from orchestrator.core.events import EventName
from orchestrator.metrics import CATALOGUE, Process
from tests.acceptance.installation import WITHOUT_LIMITS, Installation, everything_up
from tests.support.patience import PATIENT
from tests.support.ports import free_port
from tests.support.processes import READY_WITHIN_S, come_true, eventually
from tests.support.receivers import a_receiver

ROOT: Final = Path(__file__).parents[2]
CONFIGURATION: Final = """
global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: ["{rules}"]
scrape_configs:
  - {{ job_name: zapwright-api, static_configs: [{{ targets: ["{api}"] }}] }}
  - {{ job_name: zapwright-worker, static_configs: [{{ targets: ["{worker}"] }}] }}
"""
MOVED: Final = (
    'zapwright_http_requests_total{status="201"}',
    "zapwright_http_request_duration_seconds_count",
    'zapwright_signals_total{kind="finished", outcome="applied"}',
    'zapwright_events_total{event="auth_resolved", job="zapwright-worker"}',
    'zapwright_transitions_total{state="awaiting-popup", job="zapwright-api"}',
    'zapwright_popups_total{fate="opened"}',
    'zapwright_popups_total{fate="without_message"}',
    'zapwright_return_to_resolved_seconds_count{channel="difference"}',
    'zapwright_upstream_calls_total{endpoint="GET /v2/authentications", status="200", job="zapwright-worker"}',
    "zapwright_upstream_call_duration_seconds_count",
    'zapwright_permits_total{outcome="given"}',
    'zapwright_check_delay_seconds_count{urgency="strong"}',
    'zapwright_checks_total{outcome="complete"}',
    'zapwright_deliveries_total{outcome="delivered"}',
    "zapwright_delivery_duration_seconds_count",
    "zapwright_delivery_age_seconds_count",
    'zapwright_store_exchange_duration_seconds_count{job="zapwright-api"}',
    'zapwright_store_exchange_commands_count{job="zapwright-worker"}',
    "zapwright_waiting_sessions",
    "zapwright_waiting_oldest_seconds",
    "zapwright_sampled_timestamp_seconds",
)
"""What the story below moves, or leaves waiting."""


class Prometheus:
    """A Prometheus that runs."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        try:
            return self._http.get("/-/ready").is_success
        except httpx.TransportError:
            return False

    def asked(self, query: str) -> list[dict[str, Any]]:
        """Return the samples that a query finds now."""
        answer = self._http.get("/api/v1/query", params={"query": query}).raise_for_status().json()
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def rules(self) -> dict[str, str]:
        """Return how each rule fares."""
        groups = self._http.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
        return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}


@contextmanager
def a_prometheus(folder: Path, *, api: str, worker: str) -> Iterator[Prometheus]:
    """Have one that scrapes these two."""
    configuration, log = folder / "prometheus.yml", folder / "prometheus.log"
    configuration.write_text(CONFIGURATION.format(rules=ROOT / "ops" / "rules.yaml", api=api, worker=worker))
    address = f"127.0.0.1:{free_port()}"
    command = ["prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={address}"], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        with httpx.Client(base_url=f"http://{address}", **PATIENT) as http:
            prometheus = Prometheus(http)
            eventually(prometheus.is_ready, what="prometheus is ready")
            yield prometheus
    finally:
        process.terminate()
        process.wait(timeout=READY_WITHIN_S)


async def walk(installation: Installation, hook: str) -> None:
    """Have a popup whose message gets lost found by a check, and leave a second one open."""
    async with installation.api() as api, installation.simulator() as simulator:

        async def ok(method: str, path: str, body: object = None) -> Any:
            answer = await api.request(method, f"/v1/{path}", json=body)
            return answer.raise_for_status().json() if answer.content else None

        await ok("PUT", "users/ada/credential", {"access_token": "sim-ada"})
        await ok("POST", "webhooks", {"url": hook, "events": [name.value for name in EventName]})
        session = await ok("POST", "sessions", {"user_id": "ada", "steps": [{}, {}]})
        steps = [f"sessions/{session['id']}/steps/{step['id']}" for step in session["steps"]]
        (app, *_) = (await ok("GET", f"sessions/{session['id']}/apps?query=hubspot"))["apps"]
        for number, step in enumerate(steps):
            await ok("PUT", f"{step}/app", {"app_id": app["id"]})
            attempt = (await ok("POST", f"{step}/popup", {}))["attempt_id"]
            if number:
                return
            made = {"user": "ada", "app": app["id"]}
            (await simulator.post("/_control/authentications", json=made)).raise_for_status()
            await ok("POST", f"{step}/popup/signals", {"attempt_id": attempt, "kind": "finished"})

            async def is_resolved() -> bool:
                read = await ok("GET", f"sessions/{session['id']}")
                return bool(read["steps"][0]["state"] == "resolved")

            await come_true(is_resolved, within_s=60)


@pytest.mark.prometheus
@pytest.mark.slow
async def test_every_series_is_there_and_moves(tmp_path: Path) -> None:
    """By name and by process; and no alert rule fails to be evaluated."""
    worker = f"127.0.0.1:{free_port()}"
    environment = {
        **WITHOUT_LIMITS,
        "ZAPWRIGHT_WORKER_METRICS_PORT": worker.rpartition(":")[2],
        "ZAPWRIGHT_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    async with a_receiver() as receiver:
        with everything_up(tmp_path / "up", **environment) as installation:
            api = installation.variables["ZAPWRIGHT_API_URL"].removeprefix("http://")
            await walk(installation, receiver.url)
            await receiver.hear(5)
            with a_prometheus(tmp_path, api=api, worker=worker) as prometheus:

                async def has_all() -> bool:
                    missing = await asyncio.to_thread(still_missing, prometheus)
                    return not missing

                try:
                    await come_true(has_all, within_s=120)
                finally:
                    left = still_missing(prometheus)
                rules = prometheus.rules()

    assert left == []
    assert {health for health in rules.values() if health != "ok"} <= {"unknown"}
    assert len(rules) >= 20


def still_missing(prometheus: Prometheus) -> list[str]:
    """Give what is not there, or has not moved."""
    series = [
        f'{metric.name}_bucket{{job="zapwright-{process}"}}'
        if metric.buckets
        else f'{metric.shown}{{job="zapwright-{process}"}}'
        for process in (Process.API, Process.WORKER)
        for metric in CATALOGUE
        if process in metric.by and (metric.name != "zapwright_return_to_resolved_seconds" or process is Process.WORKER)
    ]
    absent = [one for one in series if not prometheus.asked(f"count({one})")]
    return absent + [one for one in MOVED if not prometheus.asked(f"sum({one}) > 0")]
