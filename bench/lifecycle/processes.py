"""The processes of the benchmark: each started, reached, timed by what its CPU did, and ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

STARTS_WITHIN_S: Final = 60.0
ENDS_WITHIN_S: Final = 30.0

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_USER_TIME, _SYSTEM_TIME = 11, 12
"""Places in `/proc/<pid>/stat` behind the name of the program (proc_pid_stat(5): utime, stime)."""


class StartFailedError(Exception):
    """A process did not start; the message has its last words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A running process; a server listens on `port`."""

    pid: int
    port: int

    def cpu_s(self) -> float:
        """Return how long it has kept a CPU busy so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS_A_SECOND


@contextmanager
def server(name: str, *, log: Path, environment: Mapping[str, str] | None = None) -> Iterator[Process]:
    """Have a server of `bench.lifecycle.serve` that answers, until the block ends. Raises StartFailedError."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        port: int = listening.getsockname()[1]
        with _running(
            [name, str(listening.fileno())], log, environment or {}, pass_fds=[listening.fileno()]
        ) as running:
            _wait_until_it_answers(running, port, log)
            yield Process(pid=running.pid, port=port)


@contextmanager
def worker(*, log: Path, environment: Mapping[str, str]) -> Iterator[Process]:
    """Have a worker until the block ends."""
    with _running(["worker"], log, environment, pass_fds=[]) as running:
        yield Process(pid=running.pid, port=0)


@contextmanager
def stopped(process: Process) -> Iterator[None]:
    """Have a process do nothing until the block ends."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@contextmanager
def dashboard(*, port: int, log: Path, environment: Mapping[str, str]) -> Iterator[Process]:
    """Have the dashboard at a port until the block ends. Raises StartFailedError."""
    with _running(["dashboard"], log, {**environment, "ZAPWRIGHT_DASHBOARD_PORT": str(port)}, pass_fds=[]) as running:
        _wait_until_it_listens(running, port, log)
        yield Process(pid=running.pid, port=port)


@contextmanager
def watchers(url: str, browsers: int, *, key: str, log: Path) -> Iterator[None]:
    """Have operators' browsers open at a dashboard until the block ends. Raises StartFailedError."""
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "bench.lifecycle.watching", url, str(browsers)],
            env={"PATH": os.environ["PATH"], "ZAPWRIGHT_OPERATOR_KEY": key},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
        )
    try:
        if running.stdout is None or running.stdout.readline() != b"open\n":
            raise StartFailedError(log.read_text(encoding="utf-8", errors="replace")[-2000:])
        yield
    finally:
        running.kill()
        running.wait()
        if running.stdout is not None:
            running.stdout.close()


def free_port() -> int:
    """Return a port at which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _wait_until_it_listens(running: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while running.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(0.05)
    raise StartFailedError(log.read_text(encoding="utf-8", errors="replace")[-2000:])


@contextmanager
def _running(
    arguments: list[str], log: Path, environment: Mapping[str, str], *, pass_fds: list[int]
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "bench.lifecycle.serve", *arguments],
            env={"PATH": os.environ["PATH"], **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=pass_fds,
        )
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(timeout=ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def _wait_until_it_answers(running: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """The socket takes connections before its server does, so only an answer tells."""
    deadline = time.monotonic() + STARTS_WITHIN_S
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0) as probe:
        probe.sendall(b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        while running.poll() is None and time.monotonic() < deadline:
            with suppress(TimeoutError):
                if probe.recv(1):
                    return
                break
    raise StartFailedError(log.read_text(encoding="utf-8", errors="replace")[-2000:])
