"""A receiver that fails in every way there is, as a process that may itself be killed and started again.

`python -m tests.support.sick_receiver PORT FOLDER SEED` listens on the port. What it keeps of a message it writes down
before it answers, so that its death loses nothing; `FOLDER/well` makes it well. `Journal` reads what was written.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

from aiohttp import web

JOURNAL: Final = "journal"
WELL: Final = "well"
STALL_S: Final = 2.0


class Journal:
    """What a receiver did, one line each, and what it has kept of each session: the one with the greatest `seq`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / JOURNAL
        self._well = folder / WELL

    def cure(self) -> None:
        """From now on all is well."""
        self._well.touch()

    @property
    def is_well(self) -> bool:
        return self._well.exists()

    def note(self, did: str, session: dict[str, Any] | None = None) -> None:
        """Write down what was done, and the session if it was kept."""
        with self._path.open("a", encoding="utf-8") as journal:
            journal.write(json.dumps({"did": did, "session": session}) + "\n")

    def _lines(self) -> Iterator[dict[str, Any]]:
        if self._path.exists():
            for line in self._path.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("\n"):  # the last one may be half written
                    yield json.loads(line)

    @property
    def counts(self) -> Counter[str]:
        """How often it did what."""
        return Counter(line["did"] for line in self._lines())

    @property
    def posts(self) -> int:
        """How many there were."""
        return self._path.read_bytes().count(b"\n") if self._path.exists() else 0

    @property
    def kept(self) -> dict[str, dict[str, Any]]:
        """Each session as it was kept, by id."""
        sessions: dict[str, dict[str, Any]] = {}
        for line in self._lines():
            session = line["session"]
            if session is not None and session["seq"] > sessions.get(session["id"], {"seq": 0})["seq"]:
                sessions[session["id"]] = session
        return sessions


class Sick:
    """Its behaviour: refuses, stalls, drops the connection, fails before it has kept what came, or after."""

    def __init__(self, journal: Journal, chance: Random) -> None:
        self._journal = journal
        self._chance = chance

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one POST, somehow."""
        session = json.loads(await request.read())["data"]["session"]
        fate = 1.0 if self._journal.is_well else self._chance.random()
        if fate < 0.15:
            self._journal.note("refused")
            return web.Response(status=self._chance.choice([500, 502, 503, 429, 404]))
        if fate < 0.17:
            self._journal.note("stalled")
            await asyncio.sleep(STALL_S)
            return web.Response()
        if fate < 0.22:
            self._journal.note("dropped")
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError
        is_told = fate >= 0.27
        self._journal.note("kept" if is_told else "answer lost", session)
        return web.Response(status=204 if is_told else 500)


async def serve(port: int, folder: Path, seed: int) -> None:
    """Serve until killed."""
    sick, app = Sick(Journal(folder), Random(seed)), web.Application()
    app.router.add_post("/{path:.*}", sick.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    print("listening", flush=True)  # noqa: T201 - for who waits for it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
