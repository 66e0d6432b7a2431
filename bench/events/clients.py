"""httpx beside aiohttp: POSTs a second from one process to the receiver, each with one body of the usual size."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import httpx

from orchestrator.clock import SystemClock
from orchestrator.core.endpoints import Networks
from orchestrator.core.session import SECOND
from orchestrator.posting import AiohttpPost

BODY: Final = b"x" * 2_000
AT_ONCE: Final = 32

Posting = Callable[[], Awaitable[object]]


async def compare(url: str, *, seconds: float) -> dict[str, tuple[float, float]]:
    """Return how many POSTs a second each client makes, in turns, and what one costs, in µs of CPU."""
    post = AiohttpPost(networks=Networks.of(["127.0.0.0/8"]), limit=5 * SECOND, clock=SystemClock())
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(trust_env=False, limits=limits) as client:
        ways: dict[str, Posting] = {
            "httpx": lambda: client.post(url, content=BODY),
            "aiohttp": lambda: post.post(url, headers={}, body=BODY),
        }
        turns = [(name, await _rate(way, seconds=seconds)) for _ in range(2) for name, way in ways.items()]
    await post.aclose()
    return {
        name: (
            sum(rate for turn, (rate, _) in turns if turn == name) / 2,
            sum(cost for turn, (_, cost) in turns if turn == name) / 2,
        )
        for name in ways
    }


async def _rate(posting: Posting, *, seconds: float) -> tuple[float, float]:
    began, before, done = time.perf_counter(), time.process_time(), 0

    async def keep_posting() -> None:
        nonlocal done
        while time.perf_counter() - began < seconds:
            await posting()
            done += 1

    await asyncio.gather(*(keep_posting() for _ in range(AT_ONCE)))
    return done / (time.perf_counter() - began), 1e6 * (time.process_time() - before) / max(1, done)
