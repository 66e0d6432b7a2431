"""`python -m bench.reads.seeding first last now`: commits the lives of these numbers, as use cases commit.

The store's address is in the environment. Each session is begun, and each of its signals applied, by a commit of its
own, at its own time.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextvars import ContextVar
from typing import Final

import uvloop
from cryptography.fernet import Fernet

from bench.reads.lives import Life, life
from orchestrator.clock import RandomIds
from orchestrator.commits import Commits
from orchestrator.core.decide import found
from orchestrator.core.session import Instant, Millis
from orchestrator.settings import Settings
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store

AT_ONCE: Final = 48

_now: ContextVar[Instant] = ContextVar("now")


class ClockOfALife:
    """In each task the time of the life that is lived there."""

    def now(self) -> Instant:
        """Return the present moment of this life."""
        return _now.get()

    async def sleep(self, duration: Millis) -> None:
        """Come back after this long."""
        await asyncio.sleep(duration / 1000)


async def live(one: Life, commits: Commits, settings: Settings) -> None:
    """Commit a life from its beginning to now."""
    _now.set(one.session.created_at)
    decision = found(one.session, policy=settings.policy(), now=one.session.created_at)
    session = (await commits.begin(decision)).session
    for at, signal in one.happens:
        _now.set(at)
        session = (await commits.apply(session.key, signal, read=session)).session


async def seed(store: Store, numbers: range, *, now: Instant) -> None:
    """Commit the lives of these numbers, several at a time."""
    settings = Settings()
    commits = Commits(
        sessions=store.sessions,
        receipts=store.receipts,
        watches=store.watches,
        clock=ClockOfALife(),
        ids=RandomIds(),
        policy=settings.policy(),
    )
    left = iter(numbers)

    async def some() -> None:
        for number in left:
            await live(life(number, now=now, shards=store.shards), commits, settings)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(some())


async def _main(first: int, last: int, now: Instant) -> None:
    store = open_store(
        os.environ["REDIS_URL"],
        shards=Settings().shards,
        limits=Limits(),
        credential_keys=[Fernet.generate_key().decode()],
    )
    try:
        await store.check()
        await seed(store, range(first, last), now=now)
    finally:
        await store.aclose()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(*map(int, sys.argv[1:])))
