"""Our processes for tests: a simulator, workers, and a gate before the store at which a worker can be caught."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

from tests.support.copies import become, command, forkserver
from workers.fetching import fetchers

ROOT: Final = Path(__file__).resolve().parents[2]
SEALING_KEY: Final = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
READY_WITHIN_S: Final = 60.0
ENDS_WITHIN_S: Final = 20.0
WRONG_CLOCK: Final = Path(__file__).with_name("wrong_clock")

Found = TypeVar("Found")


def eventually(look: Callable[[], Found | None], *, within_s: float = READY_WITHIN_S, what: str = "") -> Found:
    """Return what `look` finds as soon as it finds something true."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.02)


async def come_true(look: Callable[[], Awaitable[object]], *, within_s: float = READY_WITHIN_S, what: str = "") -> None:
    """Wait until what `look` finds is true."""
    deadline = time.monotonic() + within_s
    while True:
        if await look():
            return
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        await asyncio.sleep(0.02)


class Process:
    """One of our commands in a process of its own, ended at the latest with its test."""

    def __init__(self, arguments: list[str], *, environment: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=ROOT,
                env={"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(signum)

    def kill(self) -> None:
        """End it without warning."""
        self._process.kill()
        self._process.wait()

    def wait(self, *, within_s: float = READY_WITHIN_S) -> int:
        """Wait for its end and return its status."""
        return self._process.wait(timeout=within_s)

    def end(self) -> None:
        """Ask it to end, and see to it that it does."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=ENDS_WITHIN_S)
            return
        self.kill()


class Copy(Process):
    """The same, as a copy of a process that has imported everything."""

    def __init__(self, arguments: list[str], *, environment: Mapping[str, str], log: Path) -> None:
        log.touch()
        self._log = log
        self._copy = forkserver().Process(
            target=become, args=(log, {"PATH": os.environ["PATH"], **environment}, command, *arguments)
        )
        self._copy.start()

    @property
    def pid(self) -> int:
        assert self._copy.pid is not None
        return self._copy.pid

    @property
    def is_alive(self) -> bool:
        return self._copy.is_alive()

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        if self.is_alive:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        """End it without warning."""
        self._copy.kill()
        self._copy.join()

    def wait(self, *, within_s: float = READY_WITHIN_S) -> int:
        """Wait for its end and return its status."""
        self._copy.join(within_s)
        assert self._copy.exitcode is not None, f"it does not end within {within_s:g} s"
        return self._copy.exitcode

    def end(self) -> None:
        """Ask it to end, and see to it that it does."""
        self._copy.terminate()
        self._copy.join(ENDS_WITHIN_S)
        self.kill()


@contextmanager
def running(process: Process) -> Iterator[Process]:
    """Have a process that lives at most as long as the block."""
    try:
        yield process
    finally:
        if process.is_alive:
            process.end()


@contextmanager
def a_simulator(folder: Path) -> Iterator[str]:
    """Have a simulator without rate limits; yields its address."""
    arguments = ["simulator", "--port", "0", "--data-dir", str(folder / "world")]
    arguments += ["--switches", '{"limits": {"ip": 0, "partner": 0}}']
    with running(Process(arguments, environment={}, log=folder / "simulator.log")) as process:
        yield eventually(lambda: _address(process), what=process.output)


@contextmanager
def a_worker(
    log: Path, *, redis_url: str, environment: Mapping[str, str], is_awaited: bool = True, clock_ahead_ms: int = 0
) -> Iterator[Process]:
    """Have a worker process, on a machine whose clock is wrong if so wished; one that is awaited fetches batches."""
    variables = {"REDIS_URL": redis_url, **environment}
    wrong = {"PYTHONPATH": str(WRONG_CLOCK), "CLOCK_AHEAD_MS": str(clock_ahead_ms)}
    process = (
        Process(["cli", "worker"], environment=variables | wrong, log=log)
        if clock_ahead_ms
        else Copy(["worker"], environment=variables, log=log)
    )
    with running(process):
        if is_awaited:
            eventually(lambda: process.pid in {one.pid for one in fetchers(redis_url)}, what=process.output)
        yield process


def _address(process: Process) -> str | None:
    assert process.is_alive, process.output
    return process.output.strip().rpartition(" ")[2] if "listening on" in process.output else None


class Gate:
    """Stands between one worker and the store, and can stop at a command, so that the worker is caught right there."""

    def __init__(self, folder: Path, *, store: Path) -> None:
        self._path = folder / "gate.sock"
        self.url = f"unix://{self._path}"
        self.reached = threading.Event()
        self._store = store
        self._needle: bytes | None = None
        self._is_answered = True
        self._is_shut = False
        self._answering: socket.socket | None = None
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self._path))
        self._listening.listen(64)
        self._open: list[socket.socket] = [self._listening]
        threading.Thread(target=self._accept, daemon=True).start()

    def stop_at(self, needle: bytes, *, once_done: bool = False) -> None:
        """Let nothing more pass once this is asked for; with `once_done` it is still done, but not answered.

        When it is `reached`, it was done.
        """
        self._needle, self._is_answered = needle, not once_done

    def close(self) -> None:
        """End every connection."""
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                store = socket.socket(socket.AF_UNIX)
                store.connect(str(self._store))
                self._open += [caller, store]
                for pump in (self._forth, self._back):
                    threading.Thread(target=pump, args=(caller, store), daemon=True).start()

    def _forth(self, caller: socket.socket, store: socket.socket) -> None:
        with suppress(OSError):
            while data := caller.recv(65_536):
                if self._needle is not None and self._needle in data:
                    self._is_shut = True
                    if self._is_answered:
                        self.reached.set()
                    else:
                        self._answering = store
                        store.sendall(data)
                if self._is_shut:
                    return
                store.sendall(data)
            store.shutdown(socket.SHUT_WR)

    def _back(self, caller: socket.socket, store: socket.socket) -> None:
        with suppress(OSError):
            while data := store.recv(65_536):
                if self._answering is store:
                    self.reached.set()
                if self._is_shut:
                    return
                caller.sendall(data)
            caller.shutdown(socket.SHUT_WR)
