"""`python -m bench.lifecycle`: a session's life by ours, by the floor, by the naive design and by FastAPI hello.

Each round measures every one of them in turn, on one machine, from one load process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import structlog
import uvloop
from cryptography.fernet import Fernet
from rich.console import Console
from rich.table import Table

from bench.lifecycle import floor, hello, naive, ours, processes
from bench.lifecycle.figures import (
    ALWAYS,
    CALLING,
    EVERYSEC,
    FLOOR,
    HELLO,
    NAIVE,
    NAMES,
    OURS,
    SOUND,
    Figures,
    Measurement,
)
from bench.lifecycle.load import Life, put_on
from bench.lifecycle.processes import Process
from bench.lifecycle.shares import drawn, medians, run_shares
from orchestrator.store import embedded

CLIENTS = 32
BROWSERS = 2
"""Operators' browsers that have every page of the dashboard open."""

NAIVE_SHARE = 4
"""The naive design is so much slower that it is given a part of the sessions, so that it takes about as long."""

RUNS = 2
"""A void run is repeated once."""


class Arena:
    """Everything that is measured, running."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        rivals = _store(folder / "rivals", stack)
        self._folder = folder / "ours"
        mine = _store(self._folder, stack)
        self._credential_key = Fernet.generate_key().decode()
        self._redis_url = mine.url
        self.store = Process(pid=mine.pid, port=0)
        environment = ours.environment(redis_url=mine.url, credential_key=self._credential_key)
        self._servers: dict[str, Process] = {}
        for name in (HELLO, FLOOR, NAIVE):
            log = folder / f"{name}.log"
            running = processes.server(name, log=log, environment={"REDIS_URL": rivals.url})
            self._servers[name] = stack.enter_context(running)
        for kind, names in (("ours", (ALWAYS, EVERYSEC)), ("calling", (CALLING,))):
            running = processes.server(kind, log=folder / f"{kind}.log", environment=environment)
            self._servers |= dict.fromkeys(names, stack.enter_context(running))
        self.worker = stack.enter_context(processes.worker(log=folder / "worker.log", environment=environment))
        self._lives = ours.Lives()
        self._next = 0

    @property
    def api(self) -> Process:
        """The API of ours."""
        return self._servers[ALWAYS]

    @contextmanager
    def watched(self, *, browsers: int = BROWSERS) -> Iterator[Callable[[], AbstractContextManager[None]]]:
        """Have a dashboard for ours; what is given opens the pages of operators' browsers in it, for a while."""
        key = asyncio.run(ours.operator_key(redis_url=self._redis_url, credential_key=self._credential_key))
        port = processes.free_port()
        environment = {"ZAPWRIGHT_API_URL": f"http://127.0.0.1:{self.api.port}"}
        folder = self._folder.parent
        with processes.dashboard(port=port, log=folder / "dashboard.log", environment=environment):
            url = f"http://127.0.0.1:{port}"
            yield lambda: processes.watchers(url, browsers, key=key, log=folder / "watchers.log")

    async def measure(
        self, name: str, *, sessions: int, clients: int, during: AbstractContextManager[None] | None = None
    ) -> Measurement:
        """Put the load on one contestant, `during` around it; of ours every step is afterwards found resolved."""
        server = self._servers[name]
        numbers = range(self._next, self._next + (sessions // NAIVE_SHARE if name == NAIVE else sessions))
        self._next = numbers.stop
        is_ours = name in OURS
        if is_ours:
            embedded.start(self._folder, appendfsync="everysec" if name == EVERYSEC else "always")
            await ours.sign_in(numbers, redis_url=self._redis_url, credential_key=self._credential_key)
        with during or nullcontext():
            began_s = server.cpu_s()
            load = await put_on(server.port, self._life(name), numbers=numbers, clients=clients)
            measurement = Measurement(load=load, cpu_s=server.cpu_s() - began_s)
        if is_ours:
            await self._lives.verify(server.port)
        return measurement

    def _life(self, name: str) -> Life:
        return {HELLO: hello.life, FLOOR: floor.life, NAIVE: naive.life}.get(name, self._lives)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much is measured."""

    rounds: int
    sessions: int
    clients: int = CLIENTS


@contextmanager
def arena() -> Iterator[Arena]:
    """Have everything running that is measured, in a folder that is removed."""
    with tempfile.TemporaryDirectory(prefix="zapwright-bench-") as directory, ExitStack() as stack:
        yield Arena(Path(directory), stack)


async def run(where: Arena, plan: Plan, console: Console) -> Figures:
    """Measure round by round, after a short one that warms up and is not counted."""
    for name in NAMES:
        await where.measure(name, sessions=max(plan.clients, plan.sessions // 8), clients=plan.clients)
    rounds = []
    for number in range(1, plan.rounds + 1):
        one = {}
        for name in NAMES:
            one[name] = await where.measure(name, sessions=plan.sessions, clients=plan.clients)
        rounds.append(one)
        said = ", ".join(f"{name} {one[name].load.sessions_per_s:.0f}" for name in NAMES)
        console.print(f"  round {number}: sessions a second: {said}")
    return Figures(rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One round of ours: without the dashboard, and with its pages open."""

    without: Measurement
    opened: Measurement

    @property
    def kept(self) -> float:
        """Which part of the sessions a second was kept."""
        return self.opened.load.sessions_per_s / self.without.load.sessions_per_s

    @property
    def cpu(self) -> float:
        """How many times the CPU time of the API a transition cost, what the dashboard asked for included."""
        return self.opened.us_per_transition / self.without.us_per_transition


async def run_watched(
    where: Arena, plan: Plan, console: Console, opened: Callable[[], AbstractContextManager[None]]
) -> list[Watched]:
    """Measure ours without and with the dashboard open, by turns, after a short round that is not counted."""
    rounds = []
    for number in range(plan.rounds + 1):
        sessions = plan.sessions if number else max(plan.clients, plan.sessions // 8)
        found = {}
        for is_open in (False, True) if number % 2 else (True, False):
            with opened() if is_open else nullcontext():
                found[is_open] = await where.measure(ALWAYS, sessions=sessions, clients=plan.clients)
        if number:
            rounds.append(one := Watched(without=found[False], opened=found[True]))
            without, with_it = (found[is_open].load.sessions_per_s for is_open in (False, True))
            console.print(
                f"  round {number}: {without:.0f} sessions a second without, {with_it:.0f} with it: {one.kept:.2f}; "
                f"CPU of a transition × {one.cpu:.2f}"
            )
    return rounds


def compared(figures: Figures) -> Table:
    """Draw everybody side by side."""
    table = Table(
        title="sessions walked through their lives: medians; p50, p99 and CPU are of one transition",
        title_justify="left",
    )
    for column in ("", "× floor", "in each round", "per s", "p50, ms", "p99, ms", "CPU, µs"):
        table.add_column(column, justify="right" if column else "left")
    for name in NAMES:
        table.add_row(
            name,
            f"{figures.ratio(name, FLOOR):.2f}",
            " ".join(f"{ratio:.2f}" for ratio in figures.ratios(name, FLOOR)),
            f"{figures.median(name, lambda one: one.load.sessions_per_s):.0f}",
            f"{figures.median(name, lambda one: one.percentile_ms(50)):.1f}",
            f"{figures.median(name, lambda one: one.percentile_ms(99)):.1f}",
            f"{figures.median(name, lambda one: one.us_per_transition):.0f}",
        )
    return table


def _store(folder: Path, stack: ExitStack) -> embedded.EmbeddedStore:
    folder.mkdir()
    store = embedded.start(folder, appendfsync="everysec")
    stack.callback(store.stop)
    return store


def main() -> int:
    """Run it all; the exit code is 2 when no run was sound."""
    parser = argparse.ArgumentParser(prog="python -m bench.lifecycle", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sessions", type=int, default=1600, help="sessions a round, of each but the naive design")
    parser.add_argument("--dashboard", action="store_true", help="ours alone, without and with the dashboard open")
    parser.add_argument("--shares", action="store_true", help="ours alone: whose CPU time a session takes")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    console = Console()
    plan = Plan(rounds=arguments.rounds, sessions=arguments.sessions)
    console.print(f"{CLIENTS} clients, {plan.rounds} rounds of {plan.sessions} sessions")
    if arguments.dashboard:
        return _main_watched(plan, console, as_json=arguments.json)
    if arguments.shares:
        return _main_shares(plan, console, as_json=arguments.json)
    for _ in range(RUNS):
        with arena() as where, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(run(where, plan, console))
        console.print(compared(figures))
        if figures.is_sound:
            if arguments.json:
                print(json.dumps(figures.numbers()))
            return 0
        console.print(
            f"void: floor ÷ hello is {figures.ratio(FLOOR, HELLO):.2f}, outside {SOUND[0]:.2f}–{SOUND[1]:.2f}"
        )
    return 2


def _main_watched(plan: Plan, console: Console, *, as_json: bool) -> int:
    with arena() as where, where.watched() as opened, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        rounds = runner.run(run_watched(where, plan, console, opened))
    kept, cpu = (statistics.median(values) for values in ([one.kept for one in rounds], [one.cpu for one in rounds]))
    console.print(
        f"with every page of the dashboard open in {BROWSERS} browsers: {kept:.2f} of the sessions a second; "
        f"{cpu:.2f} times the API's CPU time"
    )
    if as_json:
        print(json.dumps({"dashboard_kept": round(kept, 3), "dashboard_cpu": round(cpu, 3)}))
    return 0


def _main_shares(plan: Plan, console: Console, *, as_json: bool) -> int:
    with arena() as where, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        turns = runner.run(run_shares(where, plan, console))
    console.print(drawn(turns))
    if as_json:
        print(json.dumps(medians(turns)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
