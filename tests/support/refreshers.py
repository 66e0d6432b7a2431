"""Processes that call Zapier for one user whose access token is dead, all of them for real.

They are forked from a server that has imported everything, so that ten begin in no time.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Final

from pydantic import SecretStr

from orchestrator.bootstrap import opened
from orchestrator.clock import SystemClock
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.session import Millis
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.settings import Settings
from simulator.accounts import secret_of
from tests.support.copies import forkserver
from tests.support.processes import SEALING_KEY

USER: Final = "alice"
CLIENT: Final = "zapwright"
READY: Final = "ready"
DONE: Final = "ok"
ANSWERS_WITHIN_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Place:
    """Where store and simulator are."""

    redis_url: str
    simulator_url: str


@dataclass(frozen=True, slots=True)
class Refresher:
    """One of the processes. It says that it is ready, calls when it is told to, and says what came of it."""

    process: ForkServerProcess
    ours: Connection

    @property
    def pid(self) -> int:
        """Its id."""
        assert self.process.pid is not None
        return self.process.pid

    def go(self) -> None:
        """Let it call."""
        self.ours.send(None)

    def said(self, *, within_s: float = ANSWERS_WITHIN_S) -> str:
        """Return what it says next: `ready`; then `ok`, or an error's code."""
        assert self.ours.poll(within_s), "it says nothing"
        return str(self.ours.recv())

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, signum)


@contextmanager
def refreshers(
    place: Place, count: int = 1, *, ahead: Millis = 0, limit_s: float = 10, patience_s: float = 5
) -> Iterator[list[Refresher]]:
    """Have processes that are ready to call, whose clocks are ahead by so much; they end with the block."""
    made = [_started(_Order(place, ahead, limit_s, patience_s)) for _ in range(count)]
    try:
        for refresher in made:
            assert refresher.said() == READY
        yield made
    finally:
        for refresher in made:
            refresher.process.kill()
            refresher.process.join()
            refresher.ours.close()


def call(place: Place, *, ahead: Millis = 0) -> str:
    """Call from a process of its own, so much later, and return what came of it."""
    with refreshers(place, ahead=ahead) as (only,):
        only.go()
        return only.said()


@dataclass(frozen=True, slots=True)
class _Order:
    place: Place
    ahead: Millis
    limit_s: float
    patience_s: float


def _started(order: _Order) -> Refresher:
    ours, theirs = forkserver().Pipe()
    process = forkserver().Process(target=_run, args=(order, theirs), daemon=True)
    process.start()
    theirs.close()
    return Refresher(process, ours)


def _run(order: _Order, told: Connection) -> None:
    asyncio.run(_call(order, told))


async def _call(order: _Order, told: Connection) -> None:
    settings = Settings(
        credential_keys=(SecretStr(SEALING_KEY),),
        zapier_api_url=order.place.simulator_url,
        zapier_client_id=CLIENT,
        zapier_client_secret=SecretStr(secret_of(CLIENT)),
        rate_limit_egress=0,
        rate_limit_partner=0,
        call_limit_s=order.limit_s,
        interactive_wait_s=order.patience_s,
    )
    async with opened(settings, redis_url=order.place.redis_url) as zapwright:
        assert isinstance(zapwright.clock, SystemClock)
        zapwright.clock.offset += order.ahead
        credential = await zapwright.store.credentials.get(DEFAULT_TENANT, USER)
        assert credential is not None
        told.send(READY)
        await asyncio.to_thread(told.recv)
        try:
            await zapwright.upstream.zaps(credential)
        except ZapwrightError as error:
            told.send(error.code)
        else:
            told.send(DONE)
