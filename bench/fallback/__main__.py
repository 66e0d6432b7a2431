"""`python -m bench.fallback`: two simulated hours, then saturation, then an overload; ours beside a naive loop."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from cryptography.fernet import Fernet
from rich.console import Console
from rich.table import Table

from bench.fallback.naive import Naive
from bench.fallback.ours import Ours
from bench.fallback.world import Result, Visit, visits
from bench.virtual import VirtualTimeLoop
from orchestrator.settings import Settings
from orchestrator.store import embedded
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store

TENANTS = {"large": 0.7, "middle": 0.2, "small": 0.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one side did with one world."""

    results: list[Result]
    listings: int
    refused: int
    busy: int = 0

    @property
    def delays(self) -> list[float]:
        """How long each resolved login took to be known, in seconds."""
        return [result.delay_s for result in self.results if result.delay_s is not None]

    @property
    def wrong(self) -> int:
        """Steps with another authentication than their user made."""
        return sum(result.is_wrong for result in self.results)

    @property
    def lost(self) -> int:
        """Logins done in vain."""
        return sum(result.is_lost for result in self.results)

    @property
    def kept(self) -> int:
        """Logins done after the deadline and offered when their user looks again."""
        return sum(result.is_kept for result in self.results)

    def percentile(self, percent: int, tenant: str | None = None) -> float:
        """Return a percentile of the delays."""
        delays = [
            result.delay_s
            for result in self.results
            if result.delay_s is not None and tenant in {None, result.visit.tenant}
        ]
        if len(delays) < 2:
            return delays[0] if delays else 0.0
        return statistics.quantiles(delays, n=100, method="inclusive")[percent - 1]

    @property
    def listings_per_resolved(self) -> float:
        """Listings made to find results, per result."""
        return self.listings / max(1, len(self.delays))

    def numbers(self) -> dict[str, float]:
        """Return what the last line shows."""
        return {
            "delay_p50_s": round(self.percentile(50), 3),
            "delay_p95_s": round(self.percentile(95), 3),
            "listings_per_resolved": round(self.listings_per_resolved, 3),
            "refused_429": self.refused,
            "wrong": self.wrong,
            "lost": self.lost,
        }


def ours(world: list[Visit], console: Console) -> Run:
    """Run ours on an empty store of its own."""
    with tempfile.TemporaryDirectory(prefix="zapwright-bench-") as directory:
        server = embedded.start(Path(directory), appendfsync="everysec")
        try:
            key = Fernet.generate_key().decode()
            store = open_store(server.url, shards=Settings().shards, limits=Limits(), credential_keys=(key,))
            loop = VirtualTimeLoop(is_waiting=lambda: store.in_flight > 0)
            with _timed("ours", world, console), asyncio.Runner(loop_factory=lambda: loop) as runner:
                return runner.run(_ours(loop, store, world))
        finally:
            server.stop()


async def _ours(loop: VirtualTimeLoop, store: Store, world: list[Visit]) -> Run:
    await store.check()
    run = Ours(loop, store)
    results = await run.run(world)
    await store.aclose()
    return Run(results=results, listings=run.listings, refused=run.zapier.refused, busy=run.busy)


def naive(world: list[Visit], console: Console) -> Run:
    """Run the naive loop."""
    loop = VirtualTimeLoop(is_waiting=lambda: False)
    with _timed("naive", world, console), asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_naive(loop, world))


async def _naive(loop: VirtualTimeLoop, world: list[Visit]) -> Run:
    run = Naive(loop)
    results = await run.run(world)
    return Run(results=results, listings=run.listings, refused=run.zapier.refused)


@contextmanager
def _timed(name: str, world: list[Visit], console: Console) -> Iterator[None]:
    began = time.perf_counter()
    yield
    console.print(f"  {name}: {len(world)} visits in {time.perf_counter() - began:.0f} s of real time")


def overload(seed: int) -> list[Visit]:
    """Draw a world: ordinary, then three times as many for ten minutes, then ordinary again; three tenants."""
    normal, rush = 8.0, 24.0
    return [
        *visits(seed=seed, per_minute=normal, minutes=20, tenants=TENANTS),
        *visits(seed=seed + 1, per_minute=rush, minutes=10, begin_s=20 * 60, tenants=TENANTS),
        *visits(seed=seed + 2, per_minute=normal, minutes=30, begin_s=30 * 60, tenants=TENANTS),
    ]


def compared(title: str, runs: dict[str, Run]) -> Table:
    """Draw runs side by side."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in runs:
        table.add_column(name, justify="right")
    lines: dict[str, Callable[[Run], str]] = {
        "logins done": lambda run: str(sum(result.done_s is not None for result in run.results)),
        "found without being offered": lambda run: str(len(run.delays)),
        "delay p50, s": lambda run: f"{run.percentile(50):.1f}",
        "delay p95, s": lambda run: f"{run.percentile(95):.1f}",
        "delay max, s": lambda run: f"{max(run.delays, default=0):.1f}",
        "listings per resolved step": lambda run: f"{run.listings_per_resolved:.2f}",
        "answers 429": lambda run: str(run.refused),
        "wrong": lambda run: str(run.wrong),
        "offered when looked at again": lambda run: str(run.kept),
        "lost": lambda run: str(run.lost),
        "requests that waited for room": lambda run: str(run.busy),
    }
    for name, value in lines.items():
        table.add_row(name, *(value(run) for run in runs.values()))
    return table


def tenants_of(run: Run) -> Table:
    """Draw how long each tenant's users waited."""
    table = Table(title="delay by tenant under overload", title_justify="left")
    for column in ("tenant", "share of visits", "p50, s", "p95, s"):
        table.add_column(column, justify="right")
    for tenant, share in TENANTS.items():
        table.add_row(tenant, f"{share:.0%}", f"{run.percentile(50, tenant):.1f}", f"{run.percentile(95, tenant):.1f}")
    return table


def main() -> int:
    """Run it all; the exit code is 1 when anything of ours was refused, wrong or lost."""
    parser = argparse.ArgumentParser(prog="python -m bench.fallback", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--only", choices=("normal", "saturation", "overload"))
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    console = Console()
    mine: list[Run] = []
    numbers: dict[str, float] = {}
    if arguments.only in {None, "normal"}:
        world = list(visits(seed=arguments.seed, per_minute=8, minutes=arguments.minutes))
        console.print(f"8 attempts a minute for {arguments.minutes:.0f} simulated minutes, limits 60/150 with cooldown")
        console.print("(two cores take about two minutes for all three worlds)")
        one, rival = ours(world, console), naive(world, console)
        console.print(compared("8 attempts a minute", {"ours": one, "naive, every 3 s": rival}))
        numbers = one.numbers() | {f"naive_{name}": value for name, value in rival.numbers().items()}
        mine.append(one)
    if arguments.only in {None, "saturation"}:
        world = list(visits(seed=arguments.seed, per_minute=10, minutes=arguments.minutes))
        mine.append(ours(world, console))
        console.print(compared("10 attempts a minute: saturation", {"ours": mine[-1]}))
    if arguments.only in {None, "overload"}:
        mine.append(ours(overload(arguments.seed), console))
        console.print(compared("24 attempts a minute for ten minutes, and recovery", {"ours": mine[-1]}))
        console.print(tenants_of(mine[-1]))
    if arguments.json:
        print(json.dumps(numbers))
    return 1 if any(run.refused or run.wrong or run.lost for run in mine) else 0


def interruptible() -> int:
    """Run it all; on Ctrl-C or SIGTERM end what was started, quietly."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return main()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(interruptible())
