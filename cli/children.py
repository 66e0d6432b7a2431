"""Processes that a supervisor starts, knows by more than their number, starts again when they die, and ends."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cli import lifeline

ENDS_WITHIN_S: Final = 30.0
KILLED_WITHIN_S: Final = 5.0
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
SOUND_AFTER_S: Final = 30.0
"""A process that lived this long died of something new: it is started again soon."""

LARGEST_LOG: Final = 10 * 2**20
LAST_LINES: Final = 20
_POLL_S: Final = 0.05


class Child:
    """One process of ours.

    While it lives it holds a lock on its file in `folder`, which also has its number: so whoever comes later knows that
    the number is still that process, and not one that got it afterwards.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        is_ready: Callable[[int], bool],
    ) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._arguments = arguments
        self._folder = folder
        self.environment = environment
        self._is_ready = is_ready
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause = FIRST_PAUSE_S

    @property
    def pid(self) -> int | None:
        """Its number; None while there is no such process."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    @property
    def status(self) -> int | None:
        """How it ended; None while it has not."""
        return None if self._process is None else self._process.poll()

    def start(self, lifeline_end: int) -> None:
        """Start it, hanging on the reading end of a lifeline; its output goes to its log."""
        _turn_over(self.log)
        with _locked(self._folder / f"{self.name}.pid") as lock, self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli", *self._arguments],
                env={**self.environment, lifeline.VARIABLE: str(lifeline_end)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(lock, lifeline_end),
                start_new_session=True,  # a Ctrl-C in the terminal is for the supervisor alone
            )
            os.pwrite(lock, f"{self._process.pid}\n".encode(), 0)
        self._started_at = time.monotonic()

    def is_ready(self) -> bool:
        """Tell whether it lives and does its work."""
        return self.pid is not None and self._is_ready(self.pid)

    def pause_s(self) -> float:
        """Return how long to wait before it is started again: longer each time, unless it had lived for a while."""
        if time.monotonic() - self._started_at > SOUND_AFTER_S:
            self._pause = FIRST_PAUSE_S
        pause = self._pause
        self._pause = min(2 * pause, LONGEST_PAUSE_S)
        return pause

    def ask_to_end(self) -> None:
        """Send it SIGTERM, if it lives."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def kill(self) -> None:
        """Send it SIGKILL, if it lives."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()

    def wait(self, until: float) -> None:
        """Wait for its end until this moment of the monotonic clock; then kill it."""
        if self._process is None:
            return
        try:
            self._process.wait(timeout=max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=KILLED_WITHIN_S)

    def last_words(self) -> str:
        """Return the end of its log."""
        with suppress(OSError):
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])
        return ""


def end_orphans(folder: Path) -> list[str]:
    """End what a killed supervisor left behind in this folder; returns the names of those that were still there.

    No number of an earlier run is left.
    """
    orphans = [(path, pid) for path in sorted(folder.glob("*.pid")) if (pid := _living(path)) is not None]
    for _, pid in orphans:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + KILLED_WITHIN_S
    for path, pid in orphans:
        _await_end(path, pid, deadline)
    for path in folder.glob("*.pid"):
        path.unlink()
    return [path.stem for path, _ in orphans]


def living(folder: Path, names: str) -> dict[str, int]:
    """Return the processes with such names that live, by their numbers, under a supervisor that has this folder.

    Their locks are left alone: the supervisor may want one. A moment ago one of them may have ended.
    """
    numbers = {path.stem: path.read_text(encoding="ascii").strip() for path in sorted(folder.glob(f"{names}.pid"))}
    return {name: int(number) for name, number in numbers.items() if number and lives(int(number))}


def lives(pid: int) -> bool:
    """Tell whether there is a process with this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _await_end(path: Path, pid: int, deadline: float) -> None:
    while _living(path) == pid:
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_S)


def _living(path: Path) -> int | None:
    """Return the number in a file whose lock is held; None when nobody holds it."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            number = file.read().strip()
            return int(number) if number else None
        return None


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Have a lock on a file; it lasts as long as anybody has the descriptor open.

    Raises BlockingIOError when somebody else has it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _turn_over(log: Path) -> None:
    with suppress(FileNotFoundError):
        if log.stat().st_size > LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
