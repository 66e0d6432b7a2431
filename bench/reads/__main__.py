"""`python -m bench.reads`: every list, filter and count of the operators' API, with very many sessions in the store.

Each session is written by the commits of its own life, beginning and signals, before anything is asked. Each question
is asked of one API process, by one client, in turn with all others; beside it, as the floor, what asks nothing of the
store (`/healthz`), and as the rival one search that scans.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import uvloop
from cryptography.fernet import Fernet
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from bench.lifecycle import ours, processes
from bench.reads import questions, rival, webhooks
from bench.reads.lives import APPS, TENANTS, life
from bench.reads.questions import Question
from orchestrator.bootstrap import Zapwright, opened
from orchestrator.clock import SystemClock
from orchestrator.core.session import Instant
from orchestrator.core.tenants import DEFAULT_TENANT, ApiKey, Scope, Tenant, digest_of, key_text
from orchestrator.settings import Settings
from orchestrator.store import embedded

FLOOR: Final = "/healthz"
KEY_ID: Final = "akbench"
SECRET: Final = "s" * 40
WITHIN_S: Final = 1800.0
SHOWN: Final = 12


class FalseAnswerError(Exception):
    """An answer cannot be true: the benchmark has no result."""


class Client:
    """Asks one API process, over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key_text(KEY_ID, SECRET)}"}

    def ask(self, path: str) -> tuple[float, dict[str, Any]]:
        """Return how long an answer took, to its last byte, in milliseconds, and the answer."""
        began = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        took = 1000 * (time.perf_counter() - began)
        if answer.status != http.client.OK:
            raise FalseAnswerError(f"{path}: {answer.status} {body.decode()}")
        return took, json.loads(body)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def seed(url: str, *, sessions: int, writers: int, now: Instant) -> float:
    """Let so many processes commit the lives of so many sessions; returns how many seconds that took."""
    began = time.monotonic()
    share = -(-sessions // writers)
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "bench.reads.seeding", str(first), str(min(first + share, sessions)), str(now)],
            env={"PATH": os.environ["PATH"], "REDIS_URL": url},
        )
        for first in range(0, sessions, share)
    ]
    try:
        for one in running:
            if one.wait(timeout=WITHIN_S):
                raise SystemExit(f"a writer ended with {one.returncode}")
    finally:
        for one in running:
            one.kill()
    return time.monotonic() - began


async def prepare(zapwright: Zapwright) -> None:
    """Have the tenants and an operator."""
    store, now = zapwright.store, zapwright.clock.now()
    for tenant_id in TENANTS:
        if tenant_id != DEFAULT_TENANT:
            client_id = f"client-of-{tenant_id}"
            await store.tenants.create(Tenant(id=tenant_id, name="", created_at=now, zapier_client_id=client_id))
    scopes = frozenset({Scope.OPERATOR})
    key = ApiKey(id=KEY_ID, tenant_id=None, name="", scopes=scopes, digest=digest_of(SECRET), created_at=now)
    await store.api_keys.create(key)


def measure(client: Client, asked: list[Question], *, rounds: int) -> dict[str, list[float]]:
    """Ask every question in turn, so many times; returns how long each took. Raises FalseAnswerError."""
    took: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        took[FLOOR].append(client.ask(FLOOR)[0])
        for question in asked:
            for name, ms in _pages(client, question):
                took[name].append(ms)
    return took


def _pages(client: Client, question: Question) -> Iterator[tuple[str, float]]:
    ms, answer = client.ask(question.path)
    if not question.fits(answer):
        raise FalseAnswerError(f"{question.path}: {json.dumps(answer)[:2000]}")
    yield question.path, ms
    if question.is_flipped_through and answer["cursor"] is not None:
        path = f"{question.path}{'&' if '?' in question.path else '?'}cursor={answer['cursor']}"
        ms, answer = client.ask(path)
        if not question.fits(answer):
            raise FalseAnswerError(f"{path}: {json.dumps(answer)[:2000]}")
        yield f"{question.path} (second page)", ms


def p99(took: list[float]) -> float:
    """Return the 99th percentile: of a hundred the second longest."""
    return sorted(took)[max(0, int(len(took) * 0.99) - 1)]


async def run(options: argparse.Namespace, stack: ExitStack) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Seed, ask, and return the figures, with how long each answer took."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    store = embedded.start(folder, appendfsync="everysec")
    stack.callback(store.stop)
    key, now = Fernet.generate_key().decode(), SystemClock().now()
    settings = Settings(zapier_api_url="http://127.0.0.1:1", credential_keys=(SecretStr(key),), log_level="warning")
    empty = rival.used_memory(store.url)
    async with opened(settings, redis_url=store.url) as zapwright:
        await prepare(zapwright)
        seeded_s = seed(store.url, sessions=options.sessions, writers=options.writers, now=now)
        size = (rival.used_memory(store.url) - empty) / options.sessions
        await webhooks.relay_some(zapwright)
    environment = ours.environment(redis_url=store.url, credential_key=key)
    server = stack.enter_context(processes.server("ours", log=folder / "api.log", environment=environment))
    client = Client(server.port)
    stack.callback(client.close)
    known = next(
        one for number in range(options.sessions)
        if (one := life(number, now=now, shards=settings.shards)).session.reference
    )  # fmt: skip
    asked = [*questions.searches(known), *questions.others(sessions=options.sessions)]
    measure(client, asked, rounds=1)
    took = measure(client, asked, rounds=options.rounds)
    began = time.perf_counter()
    scanned = rival.search(store.url, state="needs-auth", app_id=APPS[0])
    scan_ms = 1000 * (time.perf_counter() - began)
    worst = max((name for name in took if name != FLOOR), key=lambda name: p99(took[name]))
    figures = {
        "sessions": options.sessions,
        "worst_p99_ms": round(p99(took[worst]), 1),
        "worst": worst,
        "questions": len(took) - 1,
        "median_p99_ms": round(sorted(p99(times) for times in took.values())[len(took) // 2], 1),
        "floor_p99_ms": round(p99(took[FLOOR]), 1),
        "scan_ms": round(scan_ms),
        "scan_found": scanned,
        "bytes_per_session": round(size),
        "seeded_s": round(seeded_s),
    }
    return figures, took


def main() -> int:
    """Measure and print; 1 when an answer took too long."""
    parser = argparse.ArgumentParser(prog="python -m bench.reads", description=__doc__)
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    parser.add_argument("--sessions", type=int, default=100_000, help="how many there are")
    parser.add_argument("--rounds", type=int, default=100, help="how often each question is asked")
    parser.add_argument("--writers", type=int, default=2, help="processes that write the sessions")
    parser.add_argument("--limit-ms", type=float, default=100, help="the longest that a p99 may be")
    options = parser.parse_args()
    with ExitStack() as stack, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures, took = runner.run(run(options, stack))
    status = int(figures["worst_p99_ms"] > options.limit_ms)
    if options.json:
        print(json.dumps(figures))
        return status
    console = Console(highlight=False)
    table = Table("asked", "p50", "p99")
    slowest = sorted(took, key=lambda name: -p99(took[name]))[:SHOWN]
    for name in dict.fromkeys((*slowest, "/v1/operator/overview", "/v1/operator/apps", FLOOR)):
        table.add_row(name, f"{sorted(took[name])[len(took[name]) // 2]:.1f} ms", f"{p99(took[name]):.1f} ms")
    console.print(table)
    console.print(f"{figures['sessions']:,} sessions, written in {figures['seeded_s']} s")
    console.print(f"worst p99 {figures['worst_p99_ms']} ms, a search that scans {figures['scan_ms']:,} ms")
    console.print(f"the store keeps {figures['bytes_per_session']} bytes for a session, with its events and indexes")
    return status


if __name__ == "__main__":
    sys.exit(main())
