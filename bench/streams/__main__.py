"""`python -m bench.streams`: streams at one API process, and how soon each is told of one change.

Sessions are changed by another process, as fast as the store takes it, so that the API does nothing but tell. The
second part has seven streams of each of fewer sessions, as many in all: what a tab more costs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import structlog
import uvloop
from cryptography.fernet import Fernet
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from bench.lifecycle import ours, processes
from bench.lifecycle.processes import Process
from bench.lifecycle.upstream import Answers
from bench.streams.readers import Reader, opened
from orchestrator import bootstrap
from orchestrator.clock import SystemClock
from orchestrator.core.ports.upstream import Upstream
from orchestrator.core.session import SessionKey
from orchestrator.core.signals import SessionChanged
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.engine import NewSession
from orchestrator.settings import Settings
from orchestrator.store import embedded

STREAMS: Final = 2_000
TABS: Final = 7
IDLE_S: Final = 20.0
WARM_UP: Final = 20
MADE_AT_ONCE: Final = 200
TOLD_WITHIN_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one part saw. Delays are from a change's commit until its stream has it; CPU time is the API's."""

    sessions: int
    streams: int
    delays_s: tuple[float, ...]
    took_s: float
    kib_per_stream: float
    us_per_change: float
    us_per_opening: float
    idle_cpu: float

    def percentile_ms(self, percent: int) -> float:
        """Return a percentile of the delays, in milliseconds."""
        return statistics.quantiles(self.delays_s, n=100, method="inclusive")[percent - 1] * 1000

    def numbers(self, prefix: str = "") -> dict[str, float]:
        """Return what the last line shows."""
        return {
            f"{prefix}streams": self.streams,
            f"{prefix}p50_ms": round(self.percentile_ms(50), 1),
            f"{prefix}p99_ms": round(self.percentile_ms(99), 1),
            f"{prefix}max_ms": round(max(self.delays_s) * 1000, 1),
            f"{prefix}all_told_s": round(self.took_s, 3),
            f"{prefix}kib_per_stream": round(self.kib_per_stream, 1),
            f"{prefix}us_per_change": round(self.us_per_change, 1),
            f"{prefix}us_per_opening": round(self.us_per_opening, 1),
            f"{prefix}idle_cpu": round(self.idle_cpu, 4),
        }


class Site:
    """One API process on a store, and sessions that are changed beside it."""

    def __init__(self, api: Process, zapwright: bootstrap.Zapwright) -> None:
        self._api = api
        self._zapwright = zapwright

    async def begin(self, count: int) -> list[SessionKey]:
        """Begin sessions, each of a user of its own."""
        made: list[SessionKey] = []
        for first in range(0, count, MADE_AT_ONCE):
            several = range(first, min(first + MADE_AT_ONCE, count))
            news = (NewSession(tenant_id=DEFAULT_TENANT, user_id=f"user-{number}", title="old") for number in several)
            begun = await asyncio.gather(*map(self._zapwright.engine.create_session, news))
            made += [one.session.key for one in begun]
        return made

    async def measure(self, *, sessions: int, tabs: int, idle_s: float) -> Figures:
        """Have so many streams of each session, and change each session once."""
        keys = await self.begin(sessions)
        ids = [key.session_id for key in keys for _ in range(tabs)]
        memory, cpu = _resident_kib(self._api), self._api.cpu_s()
        readers = await opened(self._api.port, ids, key=ours.API_KEY)
        try:
            opening, memory = self._api.cpu_s() - cpu, _resident_kib(self._api) - memory
            cpu = self._api.cpu_s()
            await asyncio.sleep(idle_s)
            idle = self._api.cpu_s() - cpu
            cpu, began = self._api.cpu_s(), time.perf_counter()
            committed = await asyncio.gather(*map(self._changed, keys))
            async with asyncio.timeout(TOLD_WITHIN_S):
                await asyncio.gather(*(reader.until_shown(2) for reader in readers))
            telling = self._api.cpu_s() - cpu
            return Figures(
                sessions=sessions,
                streams=len(readers),
                delays_s=_delays(readers, committed, tabs=tabs),
                took_s=max(reader.told_s[0] for reader in readers) - began,
                kib_per_stream=memory / len(readers),
                us_per_change=telling * 1e6 / sessions,
                us_per_opening=opening * 1e6 / len(readers),
                idle_cpu=idle / idle_s if idle_s else 0,
            )
        finally:
            for reader in readers:
                reader.close()

    async def _changed(self, key: SessionKey) -> float:
        await self._zapwright.engine.apply(key, SessionChanged(title="new"))
        return time.perf_counter()


def _delays(readers: list[Reader], committed: list[float], *, tabs: int) -> tuple[float, ...]:
    """Return how long each stream took; one that heard of a commit before it was answered took no time."""
    at = [moment for moment in committed for _ in range(tabs)]
    return tuple(max(0.0, reader.told_s[0] - moment) for reader, moment in zip(readers, at, strict=True))


def _resident_kib(process: Process) -> float:
    lines = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii").splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmRSS:")))


@asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """Have everything running, in a folder that is removed."""
    with tempfile.TemporaryDirectory(prefix="zapwright-bench-") as directory, ExitStack() as stack:
        folder = Path(directory)
        store = embedded.start(folder, appendfsync="always")
        stack.callback(store.stop)
        key = Fernet.generate_key().decode()
        environment = ours.environment(redis_url=store.url, credential_key=key)
        api = stack.enter_context(processes.server("ours", log=folder / "ours.log", environment=environment))
        settings = Settings(credential_keys=(SecretStr(key),))
        upstream = cast("Upstream", Answers(SystemClock()))
        async with bootstrap.opened(settings, redis_url=store.url, upstream=upstream) as zapwright:
            yield Site(api, zapwright)


async def run(*, streams: int, idle_s: float) -> tuple[Figures, Figures]:
    """Measure one stream a session, and seven, each at a process of its own."""
    alone = await _warm(sessions=streams, tabs=1, idle_s=idle_s)
    return alone, await _warm(sessions=max(1, streams // TABS), tabs=TABS, idle_s=idle_s)


async def _warm(*, sessions: int, tabs: int, idle_s: float) -> Figures:
    """Measure after a few that warm up and are not counted."""
    async with site() as here:
        await here.measure(sessions=WARM_UP, tabs=1, idle_s=0)
        return await here.measure(sessions=sessions, tabs=tabs, idle_s=idle_s)


def compared(*parts: Figures) -> Table:
    """Draw both parts."""
    table = Table(
        title="one change each, from its commit until the stream has it; CPU is the API's", title_justify="left"
    )
    for column in (
        "",
        "p50, ms",
        "p99, ms",
        "max, ms",
        "all, s",
        "KiB a stream",
        "CPU a change, µs",
        "a opening, µs",
        "idle",
    ):
        table.add_column(column, justify="right" if column else "left")
    for one in parts:
        table.add_row(
            f"{one.streams} streams of {one.sessions} sessions",
            f"{one.percentile_ms(50):.0f}",
            f"{one.percentile_ms(99):.0f}",
            f"{max(one.delays_s) * 1000:.0f}",
            f"{one.took_s:.2f}",
            f"{one.kib_per_stream:.1f}",
            f"{one.us_per_change:.0f}",
            f"{one.us_per_opening:.0f}",
            f"{one.idle_cpu:.1%}",
        )
    return table


def main() -> int:
    """Run it all."""
    parser = argparse.ArgumentParser(prog="python -m bench.streams", description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        alone, shared = runner.run(run(streams=arguments.streams, idle_s=IDLE_S))
    Console().print(compared(alone, shared))
    if arguments.json:
        print(json.dumps(alone.numbers() | shared.numbers("tabs_")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
