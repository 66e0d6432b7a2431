"""A file to which every change is appended before anybody hears of it.

The first line describes the world, the others are changes; replaying them gives the world as it was. A process that is
killed loses nothing it has answered for: what was written is with the operating system. A last line that is torn
belongs to a change that nobody was told of, and is left out. (A machine that loses power may lose the last moments:
this is a simulator, and does not wait for the disk.)
"""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_FILE: Final = "world.jsonl"
_LOCK: Final = "world.lock"


class JournalError(Exception):
    """The data directory cannot be used; the message says why."""


class Journal:
    """The one writer of a data directory's `world.jsonl`."""

    def __init__(self, directory: Path) -> None:
        """Take the directory, made where it is missing. Raises JournalError while another simulator has it."""
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = _open(directory / _LOCK)
            self._file = _open(directory / _FILE)
        except OSError as problem:
            raise JournalError(f"the data directory {directory} cannot be used: {problem.strerror}") from problem
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            self.close()
            raise JournalError(f"another simulator uses the data directory {directory}") from problem
        self.path: Final = directory / _FILE
        self.appended = 0  #: lines since the last `rewrite`

    def lines(self) -> list[bytes]:
        """Return what was written, without a torn last line."""
        return self.path.read_bytes().split(b"\n")[:-1]

    def append(self, line: bytes) -> None:
        """Write one line, wholly or not at all. Raises OSError if it could not be written."""
        end = os.lseek(self._file, 0, os.SEEK_END)
        try:
            _write(self._file, line + b"\n")
        except OSError:
            os.ftruncate(self._file, end)
            raise
        self.appended += 1

    def rewrite(self, lines: Iterable[bytes]) -> None:
        """Replace everything with `lines`: whoever reads sees the old file or the new one."""
        draft = self.path.with_suffix(".new")
        file = _open(draft)
        try:
            os.ftruncate(file, 0)
            _write(file, b"".join(line + b"\n" for line in lines))
            draft.replace(self.path)
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self.appended = file, 0

    def close(self) -> None:
        """Let another simulator have the directory."""
        os.close(self._file)
        os.close(self._lock)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _write(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]
