"""Whose CPU time a session of ours takes: the API's, the worker's, the store's and the load's, and what is left.

On a machine whose processors are all busy, sessions a second follow the sum. Beside it, by turns, the same while the
worker rests: what the API and its store do alone. The worker makes its checks afterwards.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from rich.table import Table

from bench.lifecycle import processes
from bench.lifecycle.figures import ALWAYS

if TYPE_CHECKING:
    from rich.console import Console

    from bench.lifecycle.__main__ import Arena, Plan


@dataclass(frozen=True, kw_only=True)
class Shares:
    """One round: what its clients saw, and milliseconds of CPU a session.

    `left_ms` is the rest of what the machine has: idle, the kernel's own, or used by whatever else runs on it.
    """

    sessions_per_s: float
    p99_ms: float
    api_ms: float
    worker_ms: float
    store_ms: float
    load_ms: float
    left_ms: float


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Two rounds, one after the other: with the worker beside the API, and while it rested."""

    beside: Shares
    alone: Shares


async def run_shares(where: Arena, plan: Plan, console: Console) -> list[Turn]:
    """Measure ours with and without the worker, by turns, after a short round that is not counted."""
    turns = []
    await measure(where, plan, sessions=max(plan.clients, plan.sessions // 8), rests=False)
    for number in range(1, plan.rounds + 1):
        found = {
            rests: await measure(where, plan, sessions=plan.sessions, rests=rests)
            for rests in ((False, True) if number % 2 else (True, False))
        }
        turns.append(turn := Turn(beside=found[False], alone=found[True]))
        beside, alone = turn.beside.sessions_per_s, turn.alone.sessions_per_s
        console.print(f"  round {number}: {beside:.0f} sessions a second beside the worker, {alone:.0f} while it rests")
    return turns


async def measure(where: Arena, plan: Plan, *, sessions: int, rests: bool) -> Shares:
    """Put the load on ours once; every step is found resolved afterwards, by a worker that goes on if it rested."""
    used_s = [0.0] * 4

    @contextmanager
    def watched() -> Iterator[None]:
        with processes.stopped(where.worker) if rests else nullcontext():
            before_s = _used(where)
            yield
            used_s[:] = [after - before for before, after in zip(before_s, _used(where), strict=True)]

    found = await where.measure(ALWAYS, sessions=sessions, clients=plan.clients, during=watched())
    api_ms, worker_ms, store_ms, load_ms = (one * 1000 / sessions for one in used_s)
    has_ms = len(os.sched_getaffinity(0)) * 1000 / found.load.sessions_per_s
    return Shares(
        sessions_per_s=found.load.sessions_per_s,
        p99_ms=found.percentile_ms(99),
        api_ms=api_ms,
        worker_ms=worker_ms,
        store_ms=store_ms,
        load_ms=load_ms,
        left_ms=has_ms - api_ms - worker_ms - store_ms - load_ms,
    )


def medians(turns: Sequence[Turn]) -> dict[str, float]:
    """Return the medians over the rounds; `alone_` stands before what was measured while the worker rested."""
    found = {}
    for prefix, rounds in (("", [turn.beside for turn in turns]), ("alone_", [turn.alone for turn in turns])):
        for one in fields(Shares):
            found[prefix + one.name] = round(statistics.median(getattr(shares, one.name) for shares in rounds), 3)
    return found


def drawn(turns: Sequence[Turn]) -> Table:
    """Draw the medians."""
    found = medians(turns)
    table = Table(title="milliseconds of CPU a session, of everybody: medians", title_justify="left")
    for column in ("", "per s", "p99, ms", "API", "worker", "store", "load", "left"):
        table.add_column(column, justify="right" if column else "left")
    for name, prefix in (("beside the worker", ""), ("while it rests", "alone_")):
        per_s, p99_ms, *shares = (found[prefix + one.name] for one in fields(Shares))
        table.add_row(name, f"{per_s:.0f}", f"{p99_ms:.1f}", *(f"{share:.2f}" for share in shares))
    return table


def _used(where: Arena) -> list[float]:
    servers = (where.api, where.worker, where.store)
    return [*(process.cpu_s() for process in servers), time.process_time()]
