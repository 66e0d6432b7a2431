"""`python -m bench.events`: events a second from commit to receipt by one worker process, and how long each takes.

In one run, on one machine: ours, then the same number of messages by an RQ job each. The age of a message is from just
before its commit until its receipt; so the load is first as fast as it can be committed (rate), then steady (age).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import uvloop
from cryptography.fernet import Fernet
from pydantic import SecretStr
from redis import Redis
from rich.console import Console

from api.views import rendering
from bench.events import clients, rival, sizes
from bench.lifecycle.processes import Process
from orchestrator.bootstrap import Zapwright, opened
from orchestrator.core.endpoints import Endpoint
from orchestrator.core.events import EventName
from orchestrator.core.session import SessionKey
from orchestrator.core.signals import SessionChanged
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.engine import NewSession
from orchestrator.settings import Settings
from orchestrator.store import embedded
from orchestrator.webhooks import EndpointChange, NewEndpoint

NETWORKS: Final = "127.0.0.0/8"
WITHIN_S: Final = 300.0
SESSIONS: Final = 100


@contextmanager
def process(*arguments: str, environment: Mapping[str, str], fd: int | None = None) -> Iterator[Process]:
    """Have a process of ours until the block ends."""
    running = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=[] if fd is None else [fd],
    )
    try:
        yield Process(pid=running.pid, port=0)
    finally:
        running.terminate()
        try:
            running.wait(timeout=20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextmanager
def receiving() -> Iterator[str]:
    """Have a receiver, a process of its own, and give its URL."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        number = listening.fileno()
        with process("bench.events.receiver", str(number), environment={}, fd=number):
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def stalling() -> Iterator[str]:
    """Have a socket to which one may connect and write, and that never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@dataclass(frozen=True, slots=True)
class Tenancy:
    """A tenant's endpoint and sessions."""

    endpoint: Endpoint
    keys: list[SessionKey]


class Bench:
    """A deployment with one endpoint that wants one kind of event."""

    def __init__(self, zapwright: Zapwright, url: str) -> None:
        self._zapwright = zapwright
        self._url = url
        self._http = httpx.AsyncClient(trust_env=False)

    async def prepare(self, tenant_id: str, url: str) -> Tenancy:
        """Have an endpoint of a tenant, and sessions of many users."""
        wanted = frozenset({EventName.SESSION_CHANGED})
        made = await self._zapwright.webhooks.create(NewEndpoint(tenant_id=tenant_id, url=url, events=wanted))
        begun = [
            await self._zapwright.engine.create_session(NewSession(tenant_id=tenant_id, user_id=f"user-{number}"))
            for number in range(SESSIONS)
        ]
        return Tenancy(endpoint=made.endpoint, keys=[one.session.key for one in begun])

    async def isolation(
        self, keys: Sequence[SessionKey], *, each: int, rounds: int, healthy: str, stalled: str
    ) -> tuple[float, float]:
        """Return how many messages a second come beside another tenant's healthy receiver, and beside a stalled one.

        In turns, with as many events for the other as for us.
        """
        beside = {url: await self.prepare(tenant, url) for tenant, url in (("well", healthy), ("stuck", stalled))}
        rates: dict[str, list[float]] = {healthy: [], stalled: []}
        for _ in range(rounds):
            for url, other in beside.items():
                await self.pause(beside[stalled].endpoint, is_paused=url != stalled)
                elsewhere = asyncio.create_task(self.commit(other.keys, each=each))
                rates[url].append(await self.burst(keys, each=each))
                await elsewhere
        return statistics.median(rates[healthy]), statistics.median(rates[stalled])

    async def pause(self, endpoint: Endpoint, *, is_paused: bool) -> None:
        """Send an endpoint nothing, or go on."""
        await self._zapwright.webhooks.change(endpoint.tenant_id, endpoint.id, EndpointChange(paused=is_paused))

    async def change(self, key: SessionKey) -> None:
        """Commit one event whose session says when that was."""
        await self._zapwright.engine.apply(key, SessionChanged(title=str(time.time_ns() // 1_000_000)))

    async def commit(self, keys: Sequence[SessionKey], *, each: int) -> None:
        """Commit so many events of each session as fast as one process can."""

        async def many(key: SessionKey) -> None:
            for _ in range(each):
                await self.change(key)

        await asyncio.gather(*map(many, keys))

    async def burst(self, keys: Sequence[SessionKey], *, each: int) -> float:
        """Commit as fast as one process can, and return how many messages a second came, first to last."""
        began = time.time_ns() / 1e6
        await self.commit(keys, each=each)
        notes = await self.noted(len(keys) * each)
        return 1000 * len(notes) / (max(came for came, _ in notes) - began)

    async def steady(self, keys: Sequence[SessionKey], *, rate: int, seconds: int) -> list[float]:
        """Commit steadily and return how old each message's session was on receipt, in milliseconds."""
        began, tasks = time.perf_counter(), []
        for number in range(rate * seconds):
            late = began + number / rate - time.perf_counter()
            if late > 0:
                await asyncio.sleep(late)
            tasks.append(asyncio.create_task(self.change(keys[number % len(keys)])))
        await asyncio.gather(*tasks)
        return sorted(came - committed for came, committed in await self.noted(rate * seconds))

    async def heard(self, number: int) -> None:
        """Wait until so many messages have come."""
        notes: list[object] = []
        while len(notes) < number:
            await asyncio.sleep(0.02)
            notes = (await self._http.get(f"{self._url}/notes")).json()

    async def noted(self, number: int) -> list[tuple[float, float]]:
        """Wait until so many messages have come; the receiver forgets them."""
        deadline = time.monotonic() + WITHIN_S
        while True:
            notes = (await self._http.get(f"{self._url}/notes")).json()
            if len(notes) >= number:
                await self._http.get(f"{self._url}/forget")
                return [(came, committed) for came, committed in notes]
            if time.monotonic() > deadline:
                raise SystemExit(f"only {len(notes)} of {number} messages came")
            await asyncio.sleep(0.1)

    async def by_jobs(self, redis_url: str, *, number: int) -> tuple[float, float]:
        """Let RQ deliver so many messages by a job each; return how many came a second, and the µs of CPU for one."""
        body = '{"type": "session_changed", "data": {"title":"1"}, "filler": "' + "x" * 900 + '"}'
        with (
            Redis.from_url(redis_url) as redis,
            process("bench.events.rival", environment={"REDIS_URL": redis_url}) as worker,
        ):
            await asyncio.to_thread(rival.enqueue, redis, self._url, [body], now=self._zapwright.clock.now())
            await self.heard(1)  # it has begun
            before = worker.cpu_s()
            await asyncio.to_thread(rival.enqueue, redis, self._url, [body] * number, now=self._zapwright.clock.now())
            notes = await self.noted(1 + number)
            spent = worker.cpu_s() - before
        _, *came = sorted(came for came, _ in notes)
        return 1000 * (number - 1) / (came[-1] - came[0]), 1e6 * spent / number

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


async def run(options: argparse.Namespace, stack: ExitStack) -> dict[str, Any]:
    """Measure, and return the figures."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    store = embedded.start(folder, appendfsync="always")
    stack.callback(store.stop)
    url, well, stuck = (
        stack.enter_context(receiving()),
        stack.enter_context(receiving()),
        stack.enter_context(stalling()),
    )
    key = Fernet.generate_key().decode()
    settings = Settings(
        zapier_api_url="http://127.0.0.1:1",
        credential_keys=(SecretStr(key),),
        webhook_allowed_networks=(NETWORKS,),
        log_level="warning",
    )
    environment = {
        "REDIS_URL": store.url,
        "ZAPWRIGHT_CREDENTIAL_KEYS": key,
        "ZAPWRIGHT_ZAPIER_API_URL": "http://127.0.0.1:1",
        "ZAPWRIGHT_WEBHOOK_ALLOWED_NETWORKS": NETWORKS,
        "ZAPWRIGHT_LOG_LEVEL": "warning",
    }
    async with opened(settings, redis_url=store.url) as zapwright:
        rendering(settings)
        bench = Bench(zapwright, url)
        posts = await clients.compare(url, seconds=options.seconds / 4)
        await bench.noted(1)
        keys = (await bench.prepare(DEFAULT_TENANT, url)).keys
        with process("cli", "worker", environment=environment) as worker:
            await bench.burst(keys, each=2)
            before = worker.cpu_s()
            burst = [await bench.burst(keys, each=options.each) for _ in range(options.rounds)]
            spent = 1e6 * (worker.cpu_s() - before) / (options.rounds * options.each * SESSIONS)
            ages = await bench.steady(keys, rate=options.rate, seconds=options.seconds)
            beside_healthy, beside_stalled = await bench.isolation(
                keys, each=options.each, rounds=options.rounds, healthy=well, stalled=stuck
            )
        jobs, spent_by_job = await bench.by_jobs(store.url, number=options.jobs)
        await bench.aclose()
    kept = await sizes.measured(folder / "sizes", url=url, networks=NETWORKS, sessions=options.sessions)
    return {
        "events_per_s": round(statistics.median(burst)),
        "event_p50_ms": round(statistics.median(ages), 1),
        "event_p99_ms": round(ages[int(len(ages) * 0.99)], 1),
        "rq_per_s": round(jobs),
        "ratio_to_rq": round(statistics.median(burst) / jobs, 1),
        "cpu_us_per_event": round(spent),
        "rq_cpu_us_per_message": round(spent_by_job),
        "steady_rate_per_s": options.rate,
        **{f"{name}_posts_per_s": round(rate) for name, (rate, _) in posts.items()},
        **{f"{name}_cpu_us_per_post": round(cost) for name, (_, cost) in posts.items()},
        "beside_healthy_per_s": round(beside_healthy),
        "beside_stalled_ratio": round(beside_stalled / beside_healthy, 2),
        "events_per_session": kept.events,
        "bytes_per_session": kept.whole,
        "bytes_per_trimmed_session": kept.alone,
        "bytes_per_trimmed_session_with_watch": kept.trimmed,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.events", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--rounds", type=int, default=3, help="bursts; the median counts")
    parser.add_argument("--each", type=int, default=20, help="events of each of 100 sessions in a burst")
    parser.add_argument("--rate", type=int, default=200, help="events a second of the steady load")
    parser.add_argument("--seconds", type=int, default=10, help="how long the steady load lasts")
    parser.add_argument("--sessions", type=int, default=1000, help="sessions whose bytes are counted")
    parser.add_argument("--jobs", type=int, default=300, help="messages that are delivered by an RQ job each")
    options = parser.parse_args()
    with ExitStack() as stack, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(run(options, stack))
    console = Console(highlight=False)
    if options.json:
        print(json.dumps(figures))
        return 0
    console.print(f"one worker: {figures['events_per_s']} events/s from commit to receipt, in bursts")
    ages = f"p50 {figures['event_p50_ms']} ms, p99 {figures['event_p99_ms']} ms"
    console.print(f"at {figures['steady_rate_per_s']} events/s: {ages}")
    console.print(
        f"an RQ job for each: {figures['rq_per_s']} messages/s; ours does {figures['ratio_to_rq']} times as many"
    )
    console.print(
        f"CPU time: {figures['cpu_us_per_event']} µs an event, {figures['rq_cpu_us_per_message']} µs an RQ job"
    )
    for name in ("aiohttp", "httpx"):
        rate, cost = figures[f"{name}_posts_per_s"], figures[f"{name}_cpu_us_per_post"]
        console.print(f"POSTs of one process by {name}: {rate}/s, {cost} µs of CPU each")
    ratio, healthy = figures["beside_stalled_ratio"], figures["beside_healthy_per_s"]
    console.print(f"beside another tenant's stalled receiver: {ratio} × as fast as beside a healthy one ({healthy}/s)")
    whole, events = figures["bytes_per_session"], figures["events_per_session"]
    left, watched = figures["bytes_per_trimmed_session"], figures["bytes_per_trimmed_session_with_watch"]
    console.print(f"the store keeps {whole} bytes of a session with its {events} events and what was sent of them,")
    console.print(f"and {left} once it has ended and is trimmed ({watched} while its watch is kept)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
