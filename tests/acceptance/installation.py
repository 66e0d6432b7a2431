"""`zapwright up` in a directory of its own, as a user has it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from unittest import mock

import httpx
import msgspec
from typer.testing import CliRunner

from cli import devenv
from cli.main import app
from orchestrator.store.embedded import start
from tests.support.patience import PATIENT
from tests.support.ports import free_port
from tests.support.processes import Process, eventually

EVERYTHING_RUNS: Final = "Ctrl-C (or SIGTERM) ends it."
READY_WITHIN_S: Final = 120.0
WITHOUT_LIMITS: Final = {"ZAPWRIGHT_RATE_LIMIT_EGRESS": "0", "ZAPWRIGHT_RATE_LIMIT_PARTNER": "0"}


class Installation:
    """One data directory, and what runs on it."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self._environment = environment
        self._starts = 0
        self.supervisor: Process | None = None

    def command(self, *arguments: str, **environment: str) -> Process:
        """Start one of our commands beside it."""
        self._starts += 1
        log = self.folder.parent / f"{self.folder.name}-{self._starts}.log"
        variables = {"HOME": str(self.folder), "TERM": "dumb", **self._environment, **environment}
        return Process(["cli", *arguments], environment=variables, log=log)

    def up(self, *options: str) -> None:
        """Run everything, and return when it does its work; at first at ports that nothing else is likely to choose."""
        if not self.variables:
            ports = ("--api-port", "--simulator-port", "--dashboard-port")
            options = (*options, *(word for option in ports for word in (option, str(free_port()))))
        process = self.command("up", "--data-dir", str(self.folder), *options)
        self.supervisor = process
        eventually(lambda: _runs(process), within_s=READY_WITHIN_S, what="up")

    def down(self) -> int:
        """End everything as Ctrl-C does, and return the exit status."""
        assert self.supervisor is not None
        self.supervisor.send(signal.SIGINT)
        return self.supervisor.wait()

    def kill_everything_but_the_store(self) -> None:
        """`kill -9`."""
        assert self.supervisor is not None
        pids = list(self.pids.values())
        self.supervisor.kill()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    @property
    def pids(self) -> dict[str, int]:
        """The processes that the supervisor started, by name; one that is being started again is left out."""
        texts = {path.stem: path.read_text() for path in (self.folder / "run").glob("*.pid")}
        return {name: int(text) for name, text in texts.items() if text}

    @property
    def variables(self) -> dict[str, str]:
        """What dev.env says."""
        return devenv.read(self.folder)

    @property
    def store_pid(self) -> int:
        """The store's process."""
        return start(self.folder).pid

    def api(self) -> httpx.AsyncClient:
        """Return a client of the API."""
        headers = {"Authorization": f"Bearer {self.variables['ZAPWRIGHT_API_KEY']}"}
        return httpx.AsyncClient(base_url=self.variables["ZAPWRIGHT_API_URL"], headers=headers, **PATIENT)

    def simulator(self) -> httpx.AsyncClient:
        """Return a client of the simulator."""
        return httpx.AsyncClient(base_url=self.variables["SIMULATOR_URL"], **PATIENT)

    def says(self, *arguments: str) -> Any:
        """Return the JSON document that a command prints, which runs in this process: starting one costs a second.

        It has a thread of its own, where its event loop is the only one.
        """
        variables = {"HOME": str(self.folder), "TERM": "dumb", **self._environment}
        with mock.patch.dict(os.environ), ThreadPoolExecutor(1) as thread:  # what it puts there ends with it
            result = thread.submit(CliRunner().invoke, app, arguments, env=variables).result()
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return msgspec.json.decode(result.stdout)


@contextmanager
def installed(folder: Path, **environment: str) -> Iterator[Installation]:
    """Have a directory; whatever runs on it at the end of the block is ended."""
    installation = Installation(folder, **environment)
    try:
        yield installation
    finally:
        if installation.supervisor is not None and installation.supervisor.is_alive:
            installation.supervisor.end()
        if (folder / "store").exists():
            start(folder).stop()


@contextmanager
def everything_up(folder: Path, **environment: str) -> Iterator[Installation]:
    """Have everything run on a directory."""
    with installed(folder, **environment) as installation:
        installation.up("--workers", "1")
        yield installation


def is_running(pid: int) -> bool:
    """Tell whether a process is there and not merely not yet buried."""
    try:
        os.kill(pid, 0)
        state = re.search(r"^State:\s+(\S)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except (ProcessLookupError, FileNotFoundError):
        return False
    return state is None or state[1] not in "ZX"


def _runs(process: Process) -> bool:
    assert process.is_alive, process.output
    return EVERYTHING_RUNS in process.output
