"""How soon a lost message is made up for."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from rq.utils import now

from orchestrator.core.schedule import FIRST_QUIET_WAIT
from orchestrator.core.session import MINUTE, SECOND, StepState
from orchestrator.settings import Settings
from tests.integration.workers.site import Site
from tests.support.processes import eventually
from tests.support.valkey import ValkeyServer
from workers.fetching import BatchWorker, fetchers
from workers.queues import connect


@pytest.mark.slow
async def test_a_silent_popup_is_resolved_soon_after_a_strong_signal(site: Site) -> None:
    """The user comes back and says so; without that it would be a long time until somebody looks.

    It is meant to take two seconds at most: how long it took is printed, since a machine may be busy.
    """
    with site.worker():
        waiting, made = await site.lose_message("told")
        said_at = site.zapwright.clock.now()
        step = await site.resolution(waiting, within_s=FIRST_QUIET_WAIT / SECOND)
        (found_at,) = await site.resolved_at(waiting)
    print(f"found {found_at - said_at} ms after the signal")  # noqa: T201 - for people

    assert step.authentication is not None
    assert step.authentication.id == made
    assert found_at < waiting.opened_at + FIRST_QUIET_WAIT


@pytest.mark.slow
async def test_machines_whose_clocks_are_ten_minutes_apart_look_when_they_should(site: Site) -> None:
    """Neither before a check is due, nor twice, nor late; and each of them is known to live."""
    with site.worker(clock_ahead_ms=5 * MINUTE) as ahead, site.worker(clock_ahead_ms=-5 * MINUTE) as behind:
        silent = await site.waiting("silent-in-time")
        told = [await site.lose_message(f"told-in-time-{number}") for number in range(2)]
        steps = [await site.resolution(waiting, within_s=60) for waiting, _ in told]
        times = [len(await site.resolved_at(waiting)) for waiting, _ in told]
        step = (await site.session(silent)).steps[0]
        watch = await site.watch(silent)
        found = {one.pid: one.silent_s for one in fetchers(site.valkey.url)}

    assert [step.authentication and step.authentication.id for step in steps] == [made for _, made in told]
    assert times == [1] * len(told)
    assert (step.state, watch.checks, watch.lease_token) == (StepState.AWAITING_POPUP, (), None)
    assert max(found[ahead.pid], found[behind.pid]) < 30


def test_workers_stand_back_behind_what_answers_users(site: Site) -> None:
    """All their threads do, as far as the settings say."""
    with site.worker() as worker:
        nice = set()
        for thread in Path(f"/proc/{worker.pid}/task").iterdir():
            with suppress(ProcessLookupError):  # some end by themselves
                nice.add(os.getpriority(os.PRIO_PROCESS, int(thread.name)))

    assert nice == {os.getpriority(os.PRIO_PROCESS, 0) + Settings().worker_nice}


@pytest.mark.slow
async def test_a_worker_that_was_forgotten_while_its_machine_slept_is_known_again(site: Site) -> None:
    """And it fetches as before."""
    redis = connect(site.valkey.url)
    with site.worker() as worker:
        redis.delete(*redis.keys("rq:worker*"))
        eventually(lambda: worker.pid in {one.pid for one in fetchers(site.valkey.url)}, what="the worker")
        waiting, made = await site.lose_message("slept")
        step = await site.resolution(waiting, within_s=60)
    redis.close()

    assert step.authentication is not None
    assert step.authentication.id == made


def test_a_worker_that_is_never_idle_says_who_it_is_with_what_it_says_anyway(valkey: ValkeyServer) -> None:
    """It was forgotten, and has no moment for a word of its own."""
    worker = BatchWorker(connect(valkey.url))
    worker.register_birth()  # type: ignore[no-untyped-call]
    worker.connection.delete(*worker.connection.keys("rq:worker*"))
    with worker.connection.pipeline() as pipeline:
        worker.heartbeat(pipeline=pipeline)
        pipeline.execute()

    assert [one.pid for one in fetchers(valkey.url)] == [os.getpid()]


def test_a_worker_whose_clock_was_set_back_goes_on_saying_that_it_lives(valkey: ValkeyServer) -> None:
    """RQ's server would forget it after a minute and a half."""
    worker = BatchWorker(connect(valkey.url))
    worker.register_birth()  # type: ignore[no-untyped-call]
    worker.connection.delete(worker.key)
    worker.last_heartbeat = now() + timedelta(hours=1)
    worker.heartbeat()

    assert worker.connection.ttl(worker.key) > 0
