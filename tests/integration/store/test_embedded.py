"""The bundled store starts once per data directory, outlives its starter, and keeps what it was told."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from orchestrator.store.embedded import EmbeddedStore, EmbeddedStoreError, start
from orchestrator.store.limits import Limits
from orchestrator.store.opening import open_store
from tests.integration.store.conftest import SEALING_KEY
from tests.support.store_values import SHARDS, a_session, committed

ROOT = Path(__file__).resolve().parents[3]
STARTER = """
import pathlib, sys, time
from orchestrator.store.embedded import start
print(start(pathlib.Path(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    """A directory whose name needs care; its store is stopped afterwards."""
    folder = tmp_path / 'my "data" ü'
    yield folder
    if (folder / "store" / "place.json").exists() and _is_served(folder):
        start(folder).stop()


def _is_served(folder: Path) -> bool:
    return EmbeddedStore(url="", pid=0, folder=folder / "store").is_running


def client(store: EmbeddedStore) -> Redis:
    """Return a client of this store."""
    return Redis.from_url(store.url, protocol=2, decode_responses=True)


async def test_it_is_fit_to_be_the_only_memory(data_dir: Path) -> None:
    """Nothing is evicted, and with `always` what is acknowledged is on the disk."""
    opened = open_store(start(data_dir).url, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY])
    try:
        (report,) = await opened.check()
        session = await committed(opened, a_session())

        assert (report.name, report.is_persistent, report.appendfsync) == ("valkey", True, "always")
        assert session == await opened.sessions.load(session.key)
    finally:
        await opened.aclose()


def test_a_store_that_runs_is_adopted(data_dir: Path) -> None:
    """However often it is started, and with the durability that is asked for now."""
    first, second = start(data_dir), start(data_dir, appendfsync="everysec")

    assert first == second
    with client(second) as redis:
        assert redis.config_get("appendfsync") == {"appendfsync": "everysec"}


def test_of_many_starters_one_starts_it(data_dir: Path) -> None:
    """All of them get the same store."""
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(start, [data_dir] * 8))

    assert [stores[0]] * 8 == stores


def test_a_store_that_died_is_started_on_what_it_left(data_dir: Path) -> None:
    """At the address it had, so that whoever used it finds it again."""
    before = start(data_dir)
    with client(before) as redis:
        redis.set("key", "value")
    os.kill(before.pid, signal.SIGKILL)

    after = start(data_dir)

    assert before.url == after.url
    assert before.pid != after.pid
    with client(after) as redis:
        assert redis.get("key") == "value"


def test_it_moves_when_its_port_was_taken(data_dir: Path) -> None:
    """Somebody else may have come while it was away; its data comes along."""
    before = start(data_dir)
    before.stop()
    with socket.socket() as somebody_else:
        somebody_else.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody_else.bind(("127.0.0.1", int(before.url.rpartition(":")[2].removesuffix("/0"))))
        somebody_else.listen()

        after = start(data_dir)

    assert before.url != after.url
    with client(after) as redis:
        assert redis.ping()


def test_it_outlives_its_starter(data_dir: Path) -> None:
    """Killing the starter and all of its group leaves the store alone."""
    command = [sys.executable, "-c", STARTER, str(data_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        os.killpg(starter.pid, signal.SIGKILL)

    adopted = start(data_dir)

    assert pid == adopted.pid


def test_it_is_stopped_once(data_dir: Path) -> None:
    """All is written before it goes; stopping again is fine."""
    store = start(data_dir)
    was_running = store.is_running
    with client(store) as redis:
        redis.set("key", "value")

    store.stop()
    store.stop()

    assert (was_running, store.is_running) == (True, False)
    with client(start(data_dir)) as redis:
        assert redis.get("key") == "value"


def test_only_who_may_read_the_directory_may_use_it(data_dir: Path) -> None:
    """There is a password, only the owner can read it, and it is in no representation."""
    store = start(data_dir)
    secrets = [data_dir / "store" / name for name in ("place.json", "valkey.conf")]

    assert [path.stat().st_mode & 0o777 for path in secrets] == [0o600] * 2
    assert (data_dir / "store").stat().st_mode & 0o777 == 0o700
    assert store.url not in repr(store)
    stranger = Redis.from_url(f"redis://{store.url.partition('@')[2]}", protocol=2)
    with stranger, pytest.raises(AuthenticationError):
        stranger.ping()


def test_two_directories_have_two_stores(data_dir: Path, tmp_path: Path) -> None:
    """Each with its own data."""
    one, other = start(data_dir), start(tmp_path / "other")
    try:
        assert one.pid != other.pid
        assert one.url != other.url
    finally:
        other.stop()


def test_a_store_that_does_not_start_says_why(data_dir: Path) -> None:
    """The error holds the server's own words."""
    store = start(data_dir)
    with client(store) as redis:
        redis.set("key", "value")
    store.stop()
    for part in (data_dir / "store" / "appendonlydir").glob("*.aof"):
        part.write_bytes(b"*3\r\n$3\r\nSET\r\n$3\r\nkeX" + b"garbage\r\n" * 9)

    with pytest.raises(EmbeddedStoreError, match="Bad file format"):
        start(data_dir)
