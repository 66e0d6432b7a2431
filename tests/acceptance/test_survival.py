"""Everything killed at once, with `kill -9`: nothing acknowledged is lost, and everybody gets their own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.acceptance.installation import WITHOUT_LIMITS, installed
from tests.acceptance.waiting import app_id, ask, each, lose_message, result, say

SESSIONS: Final = 200


@pytest.mark.slow
async def test_everything_but_the_store_is_killed_while_200_sessions_wait(tmp_path: Path) -> None:
    """`up` again: every session resolves to its own authentication, whether its page spoke again or not."""
    with installed(tmp_path / "killed", **WITHOUT_LIMITS) as installation:
        await asyncio.to_thread(installation.up)
        async with installation.api() as api, installation.simulator() as simulator:
            app = await app_id(api)
            users = [f"user{number}" for number in range(SESSIONS)]
            waiting = await each(users, lambda user: lose_message(api, simulator, user, app))
            await each(waiting[: SESSIONS // 2], lambda one: say(api, one, "closed"))
        installation.kill_everything_but_the_store()
        await asyncio.to_thread(installation.up)
        async with installation.api() as api:
            await each(waiting[SESSIONS // 2 :], lambda one: say(api, one, "finished"))
            found = await each(waiting, lambda one: result(api, one))

    assert found == [one.made for one in waiting]


@pytest.mark.slow
async def test_a_killed_store_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Every session whose creation was answered is there afterwards, with everything that was answered of it."""
    with installed(tmp_path / "store") as installation:
        await asyncio.to_thread(installation.up, "--workers", "1")
        acknowledged: dict[str, int] = {}
        enough = asyncio.Event()
        async with installation.api() as api:
            writers = [asyncio.create_task(_write(api, number, acknowledged, enough)) for number in range(4)]
            await _until(lambda: len(acknowledged) > 50)
            os.kill(killed := installation.store_pid, signal.SIGKILL)
            before = len(acknowledged)
            await _until(lambda: len(acknowledged) > before + 50)
            enough.set()
            await asyncio.gather(*writers)
            kept = {session_id: await _seq(api, session_id) for session_id in acknowledged}
            revived = installation.store_pid

    assert kept == acknowledged
    assert revived != killed


async def _write(api: httpx.AsyncClient, number: int, acknowledged: dict[str, int], enough: asyncio.Event) -> None:
    """Create sessions with one step each. What failed may have happened or not."""
    while not enough.is_set():
        try:
            created = await api.post("/v1/sessions", json={"user_id": f"writer{number}"})
            if created.status_code != httpx.codes.CREATED:
                await asyncio.sleep(0.05)
                continue
            added = await api.post(f"/v1/sessions/{created.json()['id']}/steps", json={})
            if added.is_success:
                acknowledged[created.json()["id"]] = added.json()["session"]["seq"]
        except httpx.TransportError:
            await asyncio.sleep(0.05)


async def _seq(api: httpx.AsyncClient, session_id: str) -> int:
    return int((await ask(api, "GET", f"/v1/sessions/{session_id}"))["seq"])


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while True:
            if is_so():
                return
            await asyncio.sleep(0.02)
