"""A backup taken while everything runs, and what is there when it is restored into a new server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import httpx
import pytest

from tests.acceptance.installation import installed
from tests.acceptance.waiting import app_id, ask, each, lose_message, result, say
from tests.support.fleets import DURABLE
from tests.support.processes import come_true
from tests.support.valkey import ValkeyServer, wait_until

USERS: Final = 20
RESOLVED: Final = 8
WROTE: Final = 50
LIMITS: Final = {"ZAPWRIGHT_RATE_LIMIT_EGRESS": "5000", "ZAPWRIGHT_RATE_LIMIT_PARTNER": "5000"}
"""Never reached, but counted: the backup holds permits."""


def back_up(server: ValkeyServer, place: Path) -> None:
    """Copy the append-only files as the guide says: no rewrite may begin meanwhile."""
    with server.client() as client:
        percentage = client.config_get("auto-aof-rewrite-percentage")["auto-aof-rewrite-percentage"]
        client.config_set("auto-aof-rewrite-percentage", 0)
        wait_until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0, else_say=lambda: server.log)
        shutil.copytree(server.folder / "appendonlydir", place / "appendonlydir")
        client.config_set("auto-aof-rewrite-percentage", percentage)


async def write(api: httpx.AsyncClient, acknowledged: dict[str, int], *, enough: asyncio.Event) -> None:
    """Create sessions for as long as the block needs, and note what was answered; `enough` is set after a while."""
    while True:
        session = await ask(api, "POST", "/v1/sessions", {"user_id": "writer", "steps": [{}]})
        acknowledged[session["id"]] = session["seq"]
        if len(acknowledged) == WROTE:
            enough.set()


async def written_meanwhile(api: httpx.AsyncClient, back_up: Callable[[], None]) -> dict[str, int]:
    """Make the backup while sessions are created; return those that were answered before it began."""
    acknowledged: dict[str, int] = {}
    enough = asyncio.Event()
    writer = asyncio.create_task(write(api, acknowledged, enough=enough))
    await enough.wait()
    before = dict(acknowledged)
    await asyncio.to_thread(back_up)
    await come_true(lambda: exceeds(acknowledged, before), what="the writer goes on")
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    return before


async def exceeds(acknowledged: dict[str, int], before: dict[str, int]) -> bool:
    """Tell whether more was answered since."""
    return len(acknowledged) > len(before)


async def seq(api: httpx.AsyncClient, session_id: str) -> int:
    """Return how far a session is."""
    return int((await ask(api, "GET", f"/v1/sessions/{session_id}"))["seq"])


@pytest.fixture
def servers() -> Iterator[tuple[ValkeyServer, ValkeyServer]]:
    """Two servers that are not started; the second one for what is restored."""
    with TemporaryDirectory(prefix="zw-") as first, TemporaryDirectory(prefix="zw-") as second:
        both = ValkeyServer(Path(first), *DURABLE), ValkeyServer(Path(second), *DURABLE)
        yield both
        for server in both:
            server.stop()


@pytest.mark.slow
async def test_a_backup_taken_while_everything_runs_can_be_gone_on_with(
    servers: tuple[ValkeyServer, ValkeyServer], tmp_path: Path
) -> None:
    """What was answered before it is there; who had a result has it, who waits gets theirs, nothing is in the way."""
    server, restored = servers
    server.start()
    with installed(tmp_path / "backup", REDIS_URL=server.url, **LIMITS) as installation:
        await asyncio.to_thread(installation.up)
        async with installation.api() as api, installation.simulator() as simulator:
            app = await app_id(api)
            users = [f"user{number}" for number in range(USERS)]
            waiting = await each(users, lambda user: lose_message(api, simulator, user, app))
            await each(waiting[:RESOLVED], lambda one: say(api, one, "finished"))
            await each(waiting[:RESOLVED], lambda one: result(api, one))
            before = await written_meanwhile(api, lambda: back_up(server, restored.folder))
        installation.down()
    server.stop()

    restored.start()
    with installed(tmp_path / "backup", REDIS_URL=restored.url, **LIMITS) as installation:
        await asyncio.to_thread(installation.up)
        async with installation.api() as api:
            kept = {session_id: await seq(api, session_id) for session_id in before}
            await each(waiting[RESOLVED:], lambda one: say(api, one, "finished"))
            found = await each(waiting, lambda one: result(api, one))

    assert kept == before
    assert found == [one.made for one in waiting]
